//! Acknowledgements that the server waits for. Each of them is settled: answered, failed or timed
//! out.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use core::fmt;

use super::{
    answers::{AnswerBytes, Answers},
    relay::{Relay, Requester},
    responder::Responder,
};
use crate::{
    cluster::{Missing, message::NodeId},
    id::SocketKey,
    socket::Args,
    time::Timestamp,
};

/// The acknowledgements that one namespace waits for, by id.
#[derive(Debug, Default)]
pub(super) struct AckTable {
    pending: BTreeMap<u64, Pending>,
    deadlines: BTreeSet<(Timestamp, u64)>,
    /// The deadlines that were there when the latest grace period began: they wait for its end.
    held: BTreeSet<(Timestamp, u64)>,
    /// The same acknowledgements by socket. A socket without acknowledgements takes no memory here.
    awaited: BTreeSet<(SocketKey, u64)>,
    answer_bytes: AnswerBytes,
    /// What other nodes have to learn of their broadcasts.
    relays: Vec<Relay>,
}

#[derive(Debug)]
struct Pending {
    deadline: Timestamp,
    waiting: AwaitedFrom,
}

/// The sockets whose acknowledgements are awaited.
#[derive(Debug)]
enum AwaitedFrom {
    One {
        socket: SocketKey,
        is_replayed: bool,
    },
    Many {
        sockets: BTreeSet<SocketKey>,
        missing: usize,
        answers: Answers,
        elsewhere: Elsewhere,
    },
    /// For another node, which counts the answers.
    Relayed {
        sockets: BTreeSet<SocketKey>,
        to: Requester,
    },
}

/// The part of a broadcast that other nodes have.
#[derive(Debug, Default)]
struct Elsewhere {
    /// Whether their answers are still awaited.
    is_awaited: bool,
    /// Whether one answer, whoever gives it, is all that is waited for.
    is_single: bool,
    missing: Missing,
}

/// How an acknowledgement was settled.
#[derive(Clone, Debug)]
pub(super) enum Settled {
    One {
        socket: SocketKey,
        outcome: Result<Args, AckFailure>,
    },
    Many {
        responses: Vec<(Responder, Args)>,
        missing: usize,
        nodes_missing: Missing,
        timed_out: bool,
    },
}

/// Why an acknowledgement failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AckFailure {
    /// The client did not answer in time.
    Timeout,
    /// The socket was disconnected before the client answered, or its session moved to another link
    /// and the event is not replayed.
    Disconnected,
}

impl fmt::Display for AckFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "the client did not acknowledge in time",
            Self::Disconnected => "the client was disconnected before it acknowledged",
        })
    }
}

impl AckTable {
    /// Starts to wait for one socket.
    pub(super) fn expect_one(
        &mut self,
        id: u64,
        deadline: Timestamp,
        socket: SocketKey,
        is_replayed: bool,
    ) {
        self.awaited.insert((socket, id));
        self.expect(id, deadline, AwaitedFrom::One { socket, is_replayed });
    }

    /// Starts to wait for many sockets, which are not known yet.
    pub(super) fn expect_many(&mut self, id: u64, deadline: Timestamp) {
        let (sockets, answers) = (BTreeSet::new(), Answers::default());
        let elsewhere = Elsewhere::default();
        self.expect(id, deadline, AwaitedFrom::Many { sockets, missing: 0, answers, elsewhere });
    }

    /// Starts to wait for many sockets on behalf of another node.
    pub(super) fn expect_relayed(&mut self, id: u64, deadline: Timestamp, to: Requester) {
        self.expect(id, deadline, AwaitedFrom::Relayed { sockets: BTreeSet::new(), to });
    }

    /// One answer is all that is waited for.
    pub(super) fn expect_single(&mut self, id: u64) {
        if let Some(elsewhere) = self.elsewhere(id) {
            elsewhere.is_single = true;
        }
    }

    /// Waits for the answers of other nodes as well. Returns until when.
    pub(super) fn expect_elsewhere(&mut self, id: u64) -> Option<Timestamp> {
        self.elsewhere(id)?.is_awaited = true;
        Some(self.pending.get(&id)?.deadline)
    }

    /// The other nodes have answered, or are not waited for any longer: so many of their sockets have
    /// not answered. Returns what this settles.
    pub(super) fn note_elsewhere(
        &mut self,
        id: u64,
        (sockets_missing, nodes_missing): (usize, Missing),
        timed_out: bool,
    ) -> Option<Settled> {
        let waiting = &mut self.pending.get_mut(&id)?.waiting;
        let AwaitedFrom::Many { missing, elsewhere, .. } = waiting else { return None };
        *missing = missing.saturating_add(sockets_missing);
        // If the time is over, it is over here as well in a moment.
        elsewhere.is_awaited = timed_out;
        elsewhere.missing = nodes_missing;
        self.settle_if_complete(id)
    }

    /// Records an answer from another node. See [`AckTable::answer`].
    pub(super) fn answer_elsewhere(
        &mut self,
        id: u64,
        from: NodeId,
        args: &Args,
        limit: usize,
    ) -> Option<(Option<Settled>, u64)> {
        let waiting = &mut self.pending.get_mut(&id)?.waiting;
        let AwaitedFrom::Many { answers, .. } = waiting else { return None };
        answers.push(&mut self.answer_bytes, id, Responder::Node(from), args);
        let dropped = self.drop_excess(limit);
        Some((self.settle_if_complete(id), dropped))
    }

    /// These sockets were asked. Returns the outcome if there are none.
    pub(super) fn note_asked(&mut self, id: u64, asked: BTreeSet<SocketKey>) -> Option<Settled> {
        if let Some(AwaitedFrom::Many { sockets, .. } | AwaitedFrom::Relayed { sockets, .. }) =
            self.pending.get_mut(&id).map(|pending| &mut pending.waiting)
        {
            self.awaited.extend(asked.iter().map(|socket| (*socket, id)));
            *sockets = asked;
        }
        self.settle_if_complete(id)
    }

    /// Records an answer of `from`. Returns what this settles: a broadcast is settled only when no
    /// other socket is awaited. Also returns the number of answers to broadcasts that were dropped,
    /// because all stored answers together took more than `limit` bytes. `None` if the id is not
    /// awaited from this socket.
    pub(super) fn answer(
        &mut self,
        id: u64,
        from: SocketKey,
        args: Args,
        limit: usize,
    ) -> Option<(Option<Settled>, u64)> {
        if !self.awaited.remove(&(from, id)) {
            return None;
        }
        match &mut self.pending.get_mut(&id)?.waiting {
            AwaitedFrom::One { .. } => {
                self.remove(id);
                Some((Some(Settled::One { socket: from, outcome: Ok(args) }), 0))
            }
            AwaitedFrom::Many { sockets, answers, .. } => {
                sockets.remove(&from);
                answers.push(&mut self.answer_bytes, id, Responder::Socket(from), &args);
                let dropped = self.drop_excess(limit);
                Some((self.settle_if_complete(id), dropped))
            }
            AwaitedFrom::Relayed { sockets, to } => {
                sockets.remove(&from);
                self.relays.push(Relay { to: to.clone(), answer: Some(args) });
                Some((self.settle_if_complete(id), 0))
            }
        }
    }

    /// Stops waiting for a socket. Either its session has ended, or it has lost its link and its
    /// session continues, parked or on another link (`goes_on`). Calls `settled` for each
    /// acknowledgement that this settles.
    pub(super) fn give_up(
        &mut self,
        on: SocketKey,
        goes_on: bool,
        mut settled: impl FnMut(u64, Settled),
    ) {
        let awaited: Vec<u64> =
            self.awaited.range((on, 0)..=(on, u64::MAX)).map(|(_, id)| *id).collect();
        for id in awaited {
            if goes_on && self.is_replayed(id) {
                continue;
            }
            self.awaited.remove(&(on, id));
            if let Some(outcome) = self.give_up_one(id, on) {
                settled(id, outcome);
            }
        }
    }

    /// A grace period begins: answers may wait to be read. It concerns no acknowledgement that is asked for
    /// from now on.
    pub(super) fn hold(&mut self) {
        self.held.append(&mut self.deadlines);
    }

    /// Settles the next acknowledgement whose timeout has passed. `may_judge` says that there is no grace
    /// period.
    pub(super) fn next_timed_out(
        &mut self,
        now: Timestamp,
        may_judge: bool,
    ) -> Option<(u64, Settled)> {
        loop {
            let held = self.held.first().filter(|_| may_judge);
            let (deadline, id) = *self.deadlines.first().into_iter().chain(held).min()?;
            if deadline > now {
                return None;
            }
            // The node that has asked has a timer of its own.
            if let Some(settled) = self.time_out(id) {
                return Some((id, settled));
            }
        }
    }

    fn time_out(&mut self, id: u64) -> Option<Settled> {
        Some(match self.remove(id)?.waiting {
            AwaitedFrom::One { socket, .. } => {
                self.awaited.remove(&(socket, id));
                Settled::One { socket, outcome: Err(AckFailure::Timeout) }
            }
            AwaitedFrom::Many { sockets, missing, answers, elsewhere } => {
                self.forget(id, &sockets);
                let missing = missing.saturating_add(sockets.len());
                let responses = answers.settle(&mut self.answer_bytes, id);
                let nodes_missing = elsewhere.missing;
                Settled::Many { responses, missing, nodes_missing, timed_out: true }
            }
            AwaitedFrom::Relayed { sockets, .. } => {
                self.forget(id, &sockets);
                return None;
            }
        })
    }

    fn forget(&mut self, id: u64, sockets: &BTreeSet<SocketKey>) {
        for socket in sockets {
            self.awaited.remove(&(*socket, id));
        }
    }

    /// Settles a broadcast if no socket is awaited any more.
    fn settle_if_complete(&mut self, id: u64) -> Option<Settled> {
        let is_complete = match &self.pending.get(&id)?.waiting {
            AwaitedFrom::One { .. } => false,
            AwaitedFrom::Many { sockets, elsewhere, answers, .. } => {
                let is_answered = elsewhere.is_single && !answers.is_empty();
                is_answered || sockets.is_empty() && !elsewhere.is_awaited
            }
            AwaitedFrom::Relayed { sockets, .. } => sockets.is_empty(),
        };
        if !is_complete {
            return None;
        }
        let AwaitedFrom::Many { sockets, missing, answers, elsewhere } = self.remove(id)?.waiting
        else {
            return None;
        };
        self.forget(id, &sockets);
        let responses = answers.settle(&mut self.answer_bytes, id);
        let nodes_missing = elsewhere.missing;
        Some(Settled::Many { responses, missing, nodes_missing, timed_out: false })
    }

    /// Takes what other nodes have to learn.
    pub(super) fn take_relays(&mut self) -> Vec<Relay> {
        core::mem::take(&mut self.relays)
    }

    pub(super) fn has_relays(&self) -> bool {
        !self.relays.is_empty()
    }

    fn elsewhere(&mut self, id: u64) -> Option<&mut Elsewhere> {
        match &mut self.pending.get_mut(&id)?.waiting {
            AwaitedFrom::Many { elsewhere, .. } => Some(elsewhere),
            _ => None,
        }
    }

    /// Whether the acknowledgement with this id is waited for.
    pub(super) fn is_pending(&self, id: u64) -> bool {
        self.pending.contains_key(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn deadline(&self) -> Timestamp {
        let held = self.held.first().map_or(Timestamp::NEVER, |(deadline, _)| *deadline);
        self.prompt_deadline().min(held)
    }

    /// The earliest deadline that no grace period postpones.
    pub(super) fn prompt_deadline(&self) -> Timestamp {
        self.deadlines.first().map_or(Timestamp::NEVER, |(deadline, _)| *deadline)
    }

    /// Drops answers to broadcasts while they take more than `limit` bytes. Their sockets count as
    /// missing.
    fn drop_excess(&mut self, limit: usize) -> u64 {
        let mut dropped = 0;
        while let Some((id, place)) = self.answer_bytes.pop_excess(limit) {
            let waiting = self.pending.get_mut(&id).map(|pending| &mut pending.waiting);
            if let Some(AwaitedFrom::Many { missing, answers, .. }) = waiting {
                answers.drop_at(place);
                *missing = missing.saturating_add(1);
                dropped += 1;
            }
        }
        dropped
    }

    fn is_replayed(&self, id: u64) -> bool {
        let waiting = self.pending.get(&id).map(|pending| &pending.waiting);
        matches!(waiting, Some(AwaitedFrom::One { is_replayed: true, .. }))
    }

    fn give_up_one(&mut self, id: u64, on: SocketKey) -> Option<Settled> {
        match &mut self.pending.get_mut(&id)?.waiting {
            AwaitedFrom::One { .. } => {
                self.remove(id);
                Some(Settled::One { socket: on, outcome: Err(AckFailure::Disconnected) })
            }
            AwaitedFrom::Many { sockets, missing, .. } => {
                if sockets.remove(&on) {
                    *missing = missing.saturating_add(1);
                }
                self.settle_if_complete(id)
            }
            AwaitedFrom::Relayed { sockets, to } => {
                sockets.remove(&on);
                self.relays.push(Relay { to: to.clone(), answer: None });
                self.settle_if_complete(id)
            }
        }
    }

    fn expect(&mut self, id: u64, deadline: Timestamp, waiting: AwaitedFrom) {
        self.pending.insert(id, Pending { deadline, waiting });
        self.deadlines.insert((deadline, id));
    }

    fn remove(&mut self, id: u64) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        if !self.deadlines.remove(&(pending.deadline, id)) {
            self.held.remove(&(pending.deadline, id));
        }
        Some(pending)
    }
}
