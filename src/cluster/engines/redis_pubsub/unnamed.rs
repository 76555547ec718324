//! Whose an answer is that does not tell it.

use alloc::{
    collections::{BTreeMap, VecDeque},
    format,
    vec::Vec,
};

use crate::cluster::message::{Body, NodeId, RequestId};

/// Broadcasts whose answers are told apart. Beyond them, those of the earliest one count as coming from
/// nodes of their own.
const BROADCASTS: usize = 1_000;
/// Nodes of one broadcast, likewise.
const NODES: usize = 1_000;

/// Gives names to official nodes that answer.
///
/// Each of them answers a request once, so each answer has a name of its own. Only a broadcast has more
/// answers: first the number of clients of a node, and then one for each. Whose clients they are does
/// not matter to the sum, so they count for the latest node that still has some.
#[derive(Clone, Debug, Default)]
pub(super) struct Unnamed {
    named: u64,
    broadcasts: BTreeMap<RequestId, Vec<(NodeId, u64)>>,
    order: VecDeque<RequestId>,
}

impl Unnamed {
    pub(super) fn sender(&mut self, body: &Body) -> NodeId {
        match body {
            Body::BroadcastClientCount { request, client_count } => {
                let name = self.name();
                self.expect(request, &name, *client_count);
                name
            }
            Body::BroadcastAck { request, .. } => {
                self.asked(request).unwrap_or_else(|| self.name())
            }
            _ => self.name(),
        }
    }

    fn name(&mut self) -> NodeId {
        self.named = self.named.wrapping_add(1);
        NodeId::new(format!("unnamed-{}", self.named)).unwrap_or(NodeId::EMITTER)
    }

    fn expect(&mut self, request: &RequestId, node: &NodeId, clients: u64) {
        if clients == 0 {
            return;
        }
        let nodes = self.broadcasts.entry(request.clone()).or_default();
        if nodes.is_empty() {
            self.order.push_back(request.clone());
        }
        if nodes.len() < NODES {
            nodes.push((node.clone(), clients));
        }
        if self.order.len() > BROADCASTS
            && let Some(earliest) = self.order.pop_front()
        {
            self.broadcasts.remove(&earliest);
        }
    }

    fn asked(&mut self, request: &RequestId) -> Option<NodeId> {
        let nodes = self.broadcasts.get_mut(request)?;
        let (node, clients) = nodes.last_mut()?;
        let name = node.clone();
        *clients = clients.saturating_sub(1);
        if *clients == 0 {
            nodes.pop();
        }
        Some(name)
    }
}
