//! The acknowledgement that another server waits for.

use crate::cluster::message::{NodeId, RequestId};

/// Identifies an event of another server that asks for an acknowledgement. It is used up by the
/// answer: [`At::ack_server`](super::At::ack_server).
#[derive(Debug, PartialEq, Eq)]
pub struct ServerAckToken {
    pub(super) namespace: u32,
    pub(super) to: NodeId,
    pub(super) request: RequestId,
}
