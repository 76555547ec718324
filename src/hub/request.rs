//! The id of a CONNECT that the application decides about.

use crate::id::ConnectionId;

/// Identifies a CONNECT that waits for the application's answer. After the answer, it has no
/// effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectRequest {
    pub(crate) connection: ConnectionId,
    pub(crate) namespace: u32,
    pub(crate) serial: u64,
}

impl ConnectRequest {
    /// The request of no client.
    pub(crate) const fn nobody(namespace: u32) -> Self {
        Self { connection: ConnectionId::from_raw(u64::MAX), namespace, serial: u64::MAX }
    }
}
