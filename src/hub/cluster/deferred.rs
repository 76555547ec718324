//! The sessions that are going to be changed by what waits for own entries of the channel.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{
    Verb,
    claim::{ClaimEntry, Successor, takes},
};
use crate::{cluster::message::NodeId, hub::Hub, id::SocketKey};

/// The sessions that are going to be changed. Until then, the record of such a session would be
/// wrong, so it neither goes to the store nor to another node.
#[derive(Default)]
pub(super) struct Deferred {
    changing: BTreeMap<SocketKey, Changing>,
    /// The latest claim of each session about whose client the application decides, and the namespace
    /// of the claim.
    undecided: BTreeMap<SocketKey, (u32, Successor)>,
    /// The latest claim of each session whose record is on its way into the store or out of it, and the
    /// namespace of the claim.
    unanswered: BTreeMap<SocketKey, (u32, Successor)>,
}

#[derive(Default)]
struct Changing {
    /// How many changes it waits for.
    count: u32,
    /// The latest claim of it, which waits for them, and the namespace of the claim.
    claim: Option<(u32, Successor)>,
}

impl Deferred {
    fn add(&mut self, socket: SocketKey) {
        let changing = self.changing.entry(socket).or_default();
        changing.count = changing.count.saturating_add(1);
    }

    /// One of the changes was made. Returns what has waited for the last one.
    fn remove(&mut self, socket: SocketKey) -> Option<Changing> {
        let changing = self.changing.get_mut(&socket)?;
        changing.count = changing.count.saturating_sub(1);
        if changing.count == 0 { self.changing.remove(&socket) } else { None }
    }

    /// Keeps a claim until the session is changed. Returns false if nothing is going to change it.
    pub(super) fn postpone(
        &mut self,
        socket: SocketKey,
        claim: impl FnOnce() -> (u32, Successor),
    ) -> bool {
        let changing = self.changing.get_mut(&socket);
        changing.map(|changing| changing.claim = Some(claim())).is_some()
    }

    /// Takes the claims of sessions in namespaces for which `is_in` returns true.
    fn take_claims(&mut self, is_in: impl Fn(u32) -> bool) -> Vec<(u32, Successor)> {
        let changing = self.changing.iter_mut().filter(|(socket, _)| is_in(socket.namespace));
        changing.filter_map(|(_, changing)| changing.claim.take()).collect()
    }

    pub(super) fn contains(&self, socket: SocketKey) -> bool {
        self.changing.contains_key(&socket)
    }

    /// Whether a claim of a session is kept.
    pub(super) fn is_claimed(&self, socket: SocketKey) -> bool {
        let changing = self.changing.get(&socket);
        changing.is_some_and(|changing| changing.claim.is_some())
            || self.undecided.contains_key(&socket)
            || self.unanswered.contains_key(&socket)
    }

    /// Whether a session goes to another node as soon as it is changed, or the store has answered.
    pub(super) fn is_promised(&self, socket: SocketKey) -> bool {
        let changing = self.changing.get(&socket).and_then(|changing| changing.claim.as_ref());
        changing.is_some_and(takes) || self.unanswered.get(&socket).is_some_and(takes)
    }

    /// Keeps a claim until the application has decided about a client that was there before.
    pub(super) fn await_decision(&mut self, socket: SocketKey, claim: (u32, Successor)) {
        self.undecided.insert(socket, claim);
    }

    /// The claim that has waited for the decision of the application.
    pub(super) fn decided(&mut self, socket: SocketKey) -> Option<(u32, Successor)> {
        self.undecided.remove(&socket)
    }

    /// Keeps a claim until the store has said where the record of the session is.
    pub(super) fn await_store(&mut self, socket: SocketKey, claim: (u32, Successor)) {
        self.unanswered.insert(socket, claim);
    }

    /// Whether a claim waits for the store.
    pub(super) fn awaits_store(&self, socket: SocketKey) -> bool {
        self.unanswered.contains_key(&socket)
    }

    /// The claim that has waited for the store.
    pub(super) fn take_unanswered(&mut self, socket: SocketKey) -> Option<(u32, Successor)> {
        self.unanswered.remove(&socket)
    }

    /// The sessions with claims that wait for the store.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = SocketKey> {
        self.unanswered.keys().copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changing.is_empty()
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

    /// Whether an answer has to wait for what this node has emitted before.
    pub(in crate::hub) fn answer_waits(&self, socket: SocketKey) -> bool {
        let channel = self.channel_at(socket.namespace).filter(|it| it.is_behind());
        let node = self.node.as_ref().zip(channel);
        node.is_some_and(|(node, channel)| {
            !(channel.is_away() && may_answer_ahead(node.durable.is_some(), &node.deferred, socket))
        })
    }

    /// The engine is away: sends the answers that need not wait for it.
    pub(super) fn release_answers(&mut self) {
        let Some(node) = &mut self.node else { return };
        let (is_durable, deferred) = (node.durable.is_some(), &node.deferred);
        let released = node.channels.release(|verb| match verb {
            Verb::Acknowledge { token, .. } => {
                may_answer_ahead(is_durable, deferred, token.socket.key)
            }
            _ => false,
        });
        for answer in released {
            self.run_deferred(answer);
        }
    }

    /// Takes the claims of the sessions of a channel that wait for changes.
    pub(super) fn take_postponed(&mut self, number: u32) -> Vec<(u32, Successor)> {
        let namespaces = &self.namespaces;
        let channel = |id: u32| namespaces.get(&id).map(|namespace| namespace.channel);
        let node = self.node.as_mut();
        node.map_or_else(Vec::new, |it| it.deferred.take_claims(|id| channel(id) == Some(number)))
    }

    /// Does what has waited.
    pub(super) fn run_deferred(&mut self, verb: Verb) {
        let concerned = verb.changes();
        self.run(verb);
        let Some((node, socket)) = self.node.as_mut().zip(concerned) else { return };
        let Some(Changing { claim, .. }) = node.deferred.remove(socket) else { return };
        if let Some((id, (to, claim))) = claim {
            self.answer_late(id, &to, &claim);
        }
        self.note_parked(socket);
    }

    /// Answers a claim that had to wait.
    pub(super) fn answer_late(&mut self, id: u32, to: &NodeId, claim: &ClaimEntry) {
        if self.is_absent(claim.pid) {
            self.tell_absent(id, to, claim.number);
        } else if claim.yields && self.is_wanted(claim.pid) {
            self.supersede(id, to, claim);
        } else {
            self.hand_over(self.now, id, to, claim);
        }
    }
}

/// Whether an answer to a session may be given before what its node has emitted is in the channel, while the
/// engine is away. A session that waits for a change of its own gets the answer after it. With `OnChange`, a
/// crash must not contradict any answer.
fn may_answer_ahead(is_durable: bool, deferred: &Deferred, socket: SocketKey) -> bool {
    !is_durable && !deferred.contains(socket)
}
