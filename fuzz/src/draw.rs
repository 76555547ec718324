//! Values that several targets draw in the same way.

use bytes::Bytes;
use socketio_proto::{
    engine::{Frame, Payload},
    socket::Event,
};

use crate::source::Source;

/// An event with a text, a file or a number.
pub(super) fn event(source: &mut Source<'_>) -> Event {
    let event = match source.below(4) {
        0 => Event::new("text", &(&*source.text(),)),
        1 => Event::new("file", &(Bytes::copy_from_slice(source.bytes()),)),
        _ => Event::new("number", &(source.byte(),)),
    };
    let Ok(event) = event else {
        unreachable!("plain values are JSON");
    };
    event
}

/// A message that differs from all others by its number.
pub(super) fn payload(source: &mut Source<'_>, number: u32) -> Payload {
    if source.flag() {
        return Payload::Text(format!("{number}").into());
    }
    let mut bytes = source.bytes().to_vec();
    bytes.extend(number.to_le_bytes());
    Payload::Binary(bytes.into())
}

/// A polling body of one packet and `others` more.
pub(super) fn body(others: u8, mut draw_frame: impl FnMut() -> Frame) -> Bytes {
    let mut body = Vec::new();
    for index in 0..=others {
        if index > 0 {
            body.push(0x1e);
        }
        match draw_frame() {
            Frame::Text(text) => body.extend_from_slice(text.as_bytes()),
            Frame::Binary(bytes) => body.extend_from_slice(&bytes),
        }
    }
    body.into()
}
