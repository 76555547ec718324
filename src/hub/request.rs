//! The name of a CONNECT that the application decides about.

use crate::id::ConnectionId;

/// Names a CONNECT that waits for the application's answer. A stale one is a miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectRequest {
    pub(crate) connection: ConnectionId,
    pub(crate) namespace: u32,
    pub(crate) serial: u64,
}
