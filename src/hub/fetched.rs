//! Sockets of all servers, as values.

use crate::{cluster::message::SocketDetails, id::SocketKey};

/// A connected socket of any server of the cluster:
/// [`At::fetch_sockets`](super::At::fetch_sockets).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchedSocket {
    /// Its key, if it is a socket of this server.
    pub key: Option<SocketKey>,
    /// Its id, its rooms and its data. On a server that is alone, whose data need not be
    /// serializable, the data is `null`: read it with the key.
    pub details: SocketDetails,
}
