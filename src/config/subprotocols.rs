//! How a server chooses a WebSocket sub-protocol.

use alloc::{string::String, vec::Vec};

use bytestring::ByteString;

/// How a server chooses among the WebSocket sub-protocols that a client offers (RFC 6455, 4.2.2).
///
/// Socket.IO defines no sub-protocol, but its clients have the option `protocols`, and a browser
/// fails a handshake if the answer selects none of those that it has offered.
///
/// ```
/// use socketio_proto::{ServerConfig, Subprotocols};
///
/// let known = Subprotocols::Known(vec!["mcu.v2".into(), "mcu.v1".into()]);
/// assert!(ServerConfig::new().subprotocols(known).validate().is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subprotocols {
    /// The first one that the client offers, whatever it is. This is the default, as in the
    /// reference.
    #[default]
    First,
    /// The first one that the client offers and that is in this list. If there is none, the answer
    /// selects none, and the client decides whether it continues.
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
