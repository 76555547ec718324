//! The requests of a node to the others, and who has not answered yet.

#[cfg(test)]
mod tests;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::{
    Missing,
    message::{NodeId, RequestId},
};
use crate::time::Timestamp;

/// The requests of a node that are not settled. `P` is what a request collects.
///
/// ```text
///   unpublished ──► published ──► complete: all members have answered, and as many nodes
///        │              │                   as the engine has counted
///        └──────────────┴───────► over, at its deadline
/// ```
pub(crate) struct Requests<P> {
    pending: BTreeMap<RequestId, Pending<P>>,
    by_namespace: BTreeSet<(u32, RequestId)>,
    /// The nodes that have not answered, with what they have not answered.
    by_node: BTreeSet<(u32, NodeId, RequestId)>,
    /// When each request is looked at next.
    checks: BTreeSet<(Timestamp, RequestId)>,
    /// The questions to the engine how many nodes there are.
    questions: BTreeMap<u64, RequestId>,
    latest_question: u64,
    /// The end of the latest pause that requests were postponed for.
    postponed_to: Timestamp,
}

struct Pending<P> {
    namespace: u32,
    deadline: Timestamp,
    check: Timestamp,
    stage: Stage,
    /// Whether only the number of nodes is asked for.
    is_count: bool,
    waiting: BTreeSet<NodeId>,
    answered: BTreeSet<NodeId>,
    gone: BTreeSet<NodeId>,
    /// Those that have answered too much.
    dropped: BTreeSet<NodeId>,
    collected: P,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Unpublished,
    /// The engine is asked how many nodes there are.
    Counting {
        question: u64,
        introduced_at: Timestamp,
    },
    /// It has counted the other nodes.
    Counted {
        others: usize,
    },
    /// It cannot count. Until then, others may introduce themselves.
    Introducing(Timestamp),
}

/// A request that is settled.
pub(crate) struct Settled<P> {
    pub(crate) namespace: u32,
    pub(crate) collected: P,
    pub(crate) missing: Missing,
    /// How many other nodes there are, as far as is known.
    pub(crate) others: usize,
    pub(crate) timed_out: bool,
}

impl<P> Requests<P> {
    pub(crate) const fn new() -> Self {
        Self {
            pending: BTreeMap::new(),
            by_namespace: BTreeSet::new(),
            by_node: BTreeSet::new(),
            checks: BTreeSet::new(),
            questions: BTreeMap::new(),
            latest_question: 0,
            postponed_to: Timestamp::ZERO,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Adds a request that is not published yet.
    pub(crate) fn add(
        &mut self,
        namespace: u32,
        request: &RequestId,
        deadline: Timestamp,
        collected: P,
    ) {
        self.by_namespace.insert((namespace, request.clone()));
        self.checks.insert((deadline, request.clone()));
        let pending = Pending {
            namespace,
            deadline,
            check: deadline,
            stage: Stage::Unpublished,
            is_count: false,
            waiting: BTreeSet::new(),
            answered: BTreeSet::new(),
            gone: BTreeSet::new(),
            dropped: BTreeSet::new(),
            collected,
        };
        self.pending.insert(request.clone(), pending);
    }

    /// Only the number of nodes is asked for, so that nobody answers.
    pub(crate) fn only_count(&mut self, request: &RequestId) {
        if let Some(pending) = self.pending.get_mut(request) {
            pending.is_count = true;
        }
    }

    /// The requests of a namespace.
    pub(crate) fn of_namespace(&self, namespace: u32) -> Vec<RequestId> {
        let from = self.by_namespace.range((namespace, RequestId::FIRST)..);
        let of_namespace = from.take_while(|(id, _)| *id == namespace);
        of_namespace.map(|(_, request)| request.clone()).collect()
    }

    pub(crate) fn is_unpublished(&self, request: &RequestId) -> bool {
        self.pending.get(request).is_some_and(|pending| pending.stage == Stage::Unpublished)
    }

    /// A request is published. These members have to answer. Returns the number of the question how
    /// many nodes there are.
    pub(crate) fn publish(
        &mut self,
        request: &RequestId,
        members: impl Iterator<Item = NodeId>,
        introduced_at: Timestamp,
    ) -> u64 {
        self.await_members(request, members);
        self.ask(request, introduced_at)
    }

    /// Waits for these members as well, unless they have answered.
    pub(crate) fn await_members(
        &mut self,
        request: &RequestId,
        members: impl Iterator<Item = NodeId>,
    ) {
        let Some(pending) = self.pending.get_mut(request) else { return };
        for node in members.filter(|node| !pending.answered.contains(node)) {
            self.by_node.insert((pending.namespace, node.clone(), request.clone()));
            pending.waiting.insert(node);
        }
    }

    /// The engine has answered a question. Returns the request that it was for.
    pub(crate) fn note_counted(
        &mut self,
        now: Timestamp,
        question: u64,
        servers: Option<u64>,
    ) -> Option<RequestId> {
        let request = self.questions.remove(&question)?;
        let pending = self.pending.get_mut(&request)?;
        let Stage::Counting { introduced_at, .. } = pending.stage else { return None };
        pending.stage = match servers {
            Some(servers) => {
                let others = usize::try_from(servers.saturating_sub(1)).unwrap_or(usize::MAX);
                Stage::Counted { others }
            }
            None => Stage::Introducing(introduced_at),
        };
        // A timer in the past would look as if this node had not run for a while: whatever else it waits
        // for would get a grace period.
        let is_ahead = now < introduced_at && introduced_at < pending.check;
        if servers.is_none() && is_ahead {
            self.checks.remove(&(pending.check, request.clone()));
            pending.check = introduced_at;
            self.checks.insert((introduced_at, request.clone()));
        }
        Some(request)
    }

    /// What a published request of a namespace has collected.
    pub(crate) fn collected(&mut self, namespace: u32, request: &RequestId) -> Option<&mut P> {
        let pending = self.pending.get_mut(request)?;
        (pending.namespace == namespace).then_some(&mut pending.collected)
    }

    /// Whether a node has given its whole answer.
    pub(crate) fn has_answered(&self, request: &RequestId, node: &NodeId) -> bool {
        self.pending.get(request).is_some_and(|pending| pending.answered.contains(node))
    }

    /// The namespace of a request.
    pub(crate) fn namespace(&self, request: &RequestId) -> Option<u32> {
        Some(self.pending.get(request)?.namespace)
    }

    /// The answer of a node had to be dropped. It counts as missing, and is not waited for.
    pub(crate) fn note_dropped(&mut self, request: &RequestId, node: &NodeId) {
        self.note_answered(request, node);
        if let Some(pending) = self.pending.get_mut(request) {
            pending.dropped.insert(node.clone());
        }
    }

    /// A node has given its whole answer.
    pub(crate) fn note_answered(&mut self, request: &RequestId, node: &NodeId) {
        let Some(pending) = self.pending.get_mut(request) else { return };
        self.by_node.remove(&(pending.namespace, node.clone(), request.clone()));
        pending.waiting.remove(node);
        pending.gone.remove(node);
        pending.answered.insert(node.clone());
    }

    /// A node is gone. Returns the requests that it has not answered, and the questions to ask the
    /// engine again: it may have counted a node that does not answer any more.
    pub(crate) fn note_gone(
        &mut self,
        namespace: u32,
        node: &NodeId,
    ) -> Vec<(RequestId, Option<u64>)> {
        let first = (namespace, node.clone(), RequestId::FIRST);
        let of_node = self.by_node.range(first..);
        let of_node = of_node.take_while(|(id, name, _)| *id == namespace && name == node);
        let concerned: Vec<RequestId> = of_node.map(|(.., request)| request.clone()).collect();
        concerned
            .into_iter()
            .map(|request| {
                self.by_node.remove(&(namespace, node.clone(), request.clone()));
                let question = self.give_up(&request, node);
                (request, question)
            })
            .collect()
    }

    /// Whether nobody is waited for any longer.
    pub(crate) fn is_complete(&self, now: Timestamp, request: &RequestId) -> bool {
        self.pending.get(request).is_some_and(|pending| {
            let is_answered = pending.is_count || pending.waiting.is_empty();
            is_answered
                && match pending.stage {
                    Stage::Unpublished | Stage::Counting { .. } => false,
                    Stage::Counted { others } => {
                        pending.is_count || pending.answered.len() >= others
                    }
                    Stage::Introducing(until) => until <= now,
                }
        })
    }

    /// Removes a request and returns what it has come to.
    pub(crate) fn settle(&mut self, now: Timestamp, request: &RequestId) -> Option<Settled<P>> {
        let timed_out = !self.is_complete(now, request);
        let pending = self.pending.remove(request)?;
        let Pending { namespace, stage, check, is_count, collected, answered, waiting, .. } =
            pending;
        let (mut gone, dropped) = (pending.gone, pending.dropped);
        self.by_namespace.remove(&(namespace, request.clone()));
        self.checks.remove(&(check, request.clone()));
        if let Stage::Counting { question, .. } = stage {
            self.questions.remove(&question);
        }
        for node in &waiting {
            self.by_node.remove(&(namespace, node.clone(), request.clone()));
        }
        gone.extend(waiting);
        let known = answered.len().saturating_add(gone.len());
        let others = match stage {
            Stage::Counted { others } if is_count => others,
            Stage::Counted { others } => others.max(known),
            _ => known,
        };
        gone.extend(dropped);
        let missing = Missing {
            others: others.saturating_sub(known),
            nodes: gone.into_iter().collect(),
            was_away: stage == Stage::Unpublished,
        };
        Some(Settled { namespace, collected, missing, others, timed_out })
    }

    /// A request that has to be looked at: it may be over, or others have had the time to introduce
    /// themselves. Returns whether it is over.
    pub(crate) fn next_due(&mut self, now: Timestamp) -> Option<(RequestId, bool)> {
        if self.deadline() > now {
            return None;
        }
        let (_, request) = self.checks.pop_first()?;
        let pending = self.pending.get_mut(&request)?;
        let is_over = pending.deadline <= now;
        if !is_over {
            pending.check = pending.deadline;
            self.checks.insert((pending.check, request.clone()));
        }
        Some((request, is_over))
    }

    /// This node did not run for a while: answers may still wait to be read. What was to be looked at
    /// before this moment is looked at then. Calls with the same moment change nothing.
    pub(crate) fn postpone(&mut self, until: Timestamp) {
        if until == self.postponed_to {
            return;
        }
        self.postponed_to = until;
        while self.deadline() < until
            && let Some((_, request)) = self.checks.pop_first()
            && let Some(pending) = self.pending.get_mut(&request)
        {
            pending.check = until;
            self.checks.insert((until, request));
        }
    }

    pub(crate) fn deadline(&self) -> Timestamp {
        self.checks.first().map_or(Timestamp::NEVER, |(due, _)| *due)
    }

    fn ask(&mut self, request: &RequestId, introduced_at: Timestamp) -> u64 {
        self.latest_question = self.latest_question.wrapping_add(1);
        let question = self.latest_question;
        if let Some(pending) = self.pending.get_mut(request) {
            pending.stage = Stage::Counting { question, introduced_at };
            self.questions.insert(question, request.clone());
        }
        question
    }

    fn give_up(&mut self, request: &RequestId, node: &NodeId) -> Option<u64> {
        let pending = self.pending.get_mut(request)?;
        pending.waiting.remove(node);
        pending.gone.insert(node.clone());
        let must_count = matches!(pending.stage, Stage::Counted { .. });
        // That others were introduced does not matter to an engine that counts.
        must_count.then(|| self.ask(request, Timestamp::ZERO))
    }
}
