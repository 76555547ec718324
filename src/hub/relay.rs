//! What another node learns of a broadcast for which it has asked.

use crate::{
    cluster::message::{NodeId, RequestId},
    socket::Args,
};

/// A node that waits for acknowledgements.
#[derive(Clone, Debug)]
pub(super) struct Requester {
    pub(super) node: NodeId,
    pub(super) request: RequestId,
    /// Whether it is a node of this crate.
    pub(super) is_ours: bool,
}

/// What a node learns of one socket that was asked on its behalf.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) to: Requester,
    /// The answer. `None` if the socket will not answer.
    pub(super) answer: Option<Args>,
}
