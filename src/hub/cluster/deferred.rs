//! The sessions that are going to be changed by what waits for own entries of the channel.

use alloc::collections::BTreeMap;

use super::Verb;
use crate::{hub::Hub, id::SocketKey};

/// How many changes each session waits for. Until they are made, its record would be wrong, so it does
/// not go to the store.
#[derive(Debug, Default)]
pub(super) struct Deferred(BTreeMap<SocketKey, u32>);

impl Deferred {
    pub(super) fn add(&mut self, socket: SocketKey) {
        let count = self.0.entry(socket).or_default();
        *count = count.saturating_add(1);
    }

    /// One of the changes was made. Returns whether it was the last one.
    pub(super) fn remove(&mut self, socket: SocketKey) -> bool {
        let Some(count) = self.0.get_mut(&socket) else { return false };
        *count = count.saturating_sub(1);
        *count == 0 && self.0.remove(&socket).is_some()
    }

    pub(super) fn contains(&self, socket: SocketKey) -> bool {
        self.0.contains_key(&socket)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<D: Default> Hub<D> {
    /// Does something once everything that this node has emitted before has taken effect. Returns
    /// what to do at once.
    pub(in crate::hub) fn defer(&mut self, verb: Verb) -> Option<Verb> {
        let (bytes, changes) = (verb.size(), verb.changes());
        let namespace = self.namespaces.get(&verb.namespace());
        let channel = namespace.map(|it| it.channel);
        let Some(channel) = channel.and_then(|channel| self.channel_mut(channel)) else {
            return Some(verb);
        };
        let verb = channel.defer(verb, bytes);
        if let (None, Some(socket), Some(node)) = (&verb, changes, &mut self.node) {
            node.deferred.add(socket);
        }
        verb
    }

    /// Does what has waited.
    pub(super) fn run_deferred(&mut self, verb: Verb) {
        let changes = verb.changes();
        self.run(verb);
        if let (Some(node), Some(socket)) = (&mut self.node, changes)
            && node.deferred.remove(socket)
        {
            if let Some((id, (to, claim))) = node.postponed.remove(&socket) {
                self.hand_over(self.now, id, &to, &claim);
            }
            self.note_parked(socket);
        }
    }
}
