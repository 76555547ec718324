//! Which WebSocket sub-protocols a server speaks.

use alloc::{string::String, vec::Vec};

use bytestring::ByteString;

/// Which WebSocket sub-protocol is chosen of those that a client offers (RFC 6455, 4.2.2).
///
/// Socket.IO has none, but its clients have the option `protocols`, and a browser fails a handshake
/// whose answer selects none of what it has offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subprotocols {
    /// The first one that the client offers, whatever it is, as in the reference: the default.
    #[default]
    First,
    /// The first one that the client offers and that is in this list. If none is, none is chosen,
    /// and the client decides whether it goes on without.
    Known(Vec<String>),
}

impl Subprotocols {
    pub(crate) fn choose<'a>(&self, offered: &'a [ByteString]) -> Option<&'a ByteString> {
        match self {
            Self::First => offered.first(),
            Self::Known(known) => offered.iter().find(|name| known.iter().any(|k| *k == ***name)),
        }
    }
}
