//! The two ways in which packets travel.

use core::fmt;

use serde::{Deserialize, Serialize};

/// How packets travel.
///
/// The set is closed: these are the transports of the revision that this crate implements.
///
/// ```
/// use socketio_proto::engine::Transport;
///
/// assert_eq!(Transport::parse("websocket"), Some(Transport::WebSocket));
/// assert_eq!(Transport::parse("webtransport"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "closed: the transports that this crate implements")]
pub enum Transport {
    /// HTTP long-polling: GET receives, POST sends.
    Polling,
    /// WebSocket.
    WebSocket,
}

impl Transport {
    /// Reads the name used in query strings and open packets.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "polling" => Some(Self::Polling),
            "websocket" => Some(Self::WebSocket),
            _ => None,
        }
    }

    /// Returns the name used in query strings and open packets.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
