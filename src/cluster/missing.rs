//! Who has not answered a request.

use alloc::vec::Vec;

use super::message::NodeId;

/// The nodes of a cluster that have not answered a request to all of them. On a server that is
/// alone, nobody is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Missing {
    /// The nodes that are known to be there, or to have been there: they did not answer in time, or
    /// went away before they answered, or their answer was too large.
    pub nodes: Vec<NodeId>,
    /// How many more nodes the engine has counted. Official nodes of Redis Streams send no
    /// heartbeats, so they have no name before they answer.
    pub others: usize,
    /// Whether no other node was asked, because the engine was away.
    pub was_away: bool,
}

impl Missing {
    /// Returns whether all nodes have answered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && !self.was_away
    }

    /// Returns the number of nodes that have not answered.
    pub fn len(&self) -> usize {
        self.nodes.len().saturating_add(self.others)
    }
}
