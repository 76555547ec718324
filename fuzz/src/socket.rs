//! The codec of Socket.IO.

use super::{packets, source::Source, tree};

/// The codec of Socket.IO: one text message, a sequence of messages, or arguments of any shape.
pub fn socket_codec(data: &[u8]) {
    let mut source = Source::new(data);
    match source.below(3) {
        0 => packets::text(source.rest()),
        1 => packets::packets(source.rest()),
        _ => tree::args(source),
    }
}
