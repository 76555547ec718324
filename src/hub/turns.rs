//! When a recovery has its turn: paced by what it costs, and fair between sessions.
//!
//! A recovery costs a token, and more for what has to be looked at for it. Tokens come at the
//! configured rate. Each goes to the claim whose session has been given least: the claims are in
//! the order of a virtual time, in which a session moves on by what it has paid. So a session that
//! is claimed again and again, or that missed very much, waits for itself and for nobody else:
//! others that come meanwhile are let in before it (start-time fair queueing, with the cost paid
//! in instalments).

use alloc::collections::{BTreeMap, BTreeSet};

use super::request::ConnectRequest;
use crate::{
    bucket::{Bucket, Rate},
    config::{RecoveryConfig, ServerConfig},
    id::SocketKey,
    time::Timestamp,
};

/// The claims that wait, at most one of each session.
pub(super) struct Turns {
    /// `None` while recovery is off.
    rate: Option<Rate>,
    tokens: Bucket,
    waiting: BTreeMap<SocketKey, Turn>,
    /// The same in the order in which they pay.
    order: BTreeSet<Place>,
    arrivals: u64,
    /// Where in virtual time the claim stood that paid last.
    clock: u64,
}

/// Where a claim stands in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// Virtual time, in tokens.
    start: u64,
    arrival: u64,
    session: SocketKey,
}

/// A claim that waits.
#[derive(Clone, Copy, Debug)]
struct Turn {
    request: ConnectRequest,
    place: Place,
    paid: u64,
    owed: u64,
    stage: Stage,
}

/// How much of the cost is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// What can be told without looking at the log.
    Arrived,
    /// All of it.
    Estimated,
}

/// A claim that has paid what it owes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paid {
    pub(super) session: SocketKey,
    pub(super) request: ConnectRequest,
    pub(super) stage: Stage,
    /// What it has paid.
    pub(super) tokens: u64,
}

/// Tokens that a claim pays at once while others wait.
const INSTALMENT: u64 = 16;

impl Turns {
    pub(super) fn new(config: &ServerConfig) -> Self {
        Self {
            rate: config.recovery.as_ref().map(RecoveryConfig::claim_rate),
            tokens: Bucket::default(),
            waiting: BTreeMap::new(),
            order: BTreeSet::new(),
            arrivals: 0,
            clock: 0,
        }
    }

    /// Queues a claim that owes `cost` tokens, of a session that has got as far as `reached` in
    /// virtual time. It takes the place of an earlier claim of the session, which is returned.
    pub(super) fn enter(
        &mut self,
        session: SocketKey,
        request: ConnectRequest,
        cost: u64,
        reached: u64,
    ) -> Option<ConnectRequest> {
        if let Some(turn) = self.waiting.get_mut(&session) {
            // It has not lost what the earlier one paid, but what is looked at is looked at again.
            turn.owed = turn.paid.saturating_add(cost);
            turn.stage = Stage::Arrived;
            return Some(core::mem::replace(&mut turn.request, request));
        }
        let place = Place { start: self.clock.max(reached), arrival: self.arrivals, session };
        self.arrivals = self.arrivals.wrapping_add(1);
        self.order.insert(place);
        let turn = Turn { request, place, paid: 0, owed: cost, stage: Stage::Arrived };
        self.waiting.insert(session, turn);
        None
    }

    /// Takes a claim out, if `request` is the one that waits for the session. Returns how far the
    /// session has got in virtual time.
    pub(super) fn leave(&mut self, session: SocketKey, request: ConnectRequest) -> Option<u64> {
        let turn = *self.waiting.get(&session).filter(|turn| turn.request == request)?;
        self.waiting.remove(&session);
        self.order.remove(&turn.place);
        Some(turn.place.start)
    }

    /// The cost of a claim is known: it owes `cost` tokens in all. Returns whether these are paid.
    pub(super) fn estimate(&mut self, session: SocketKey, cost: u64) -> bool {
        let Some(turn) = self.waiting.get_mut(&session) else {
            return false;
        };
        turn.owed = cost.max(turn.owed);
        turn.stage = Stage::Estimated;
        turn.paid >= turn.owed
    }

    /// Gives the tokens that there are to those whose turn it is, until one has paid what it owes.
    /// That one stays in the queue. `None` if there are no more tokens, or no more claims.
    pub(super) fn next_paid(&mut self, now: Timestamp) -> Option<Paid> {
        let rate = self.rate?;
        loop {
            let place = *self.order.first()?;
            let turn = self.waiting.get_mut(&place.session)?;
            let owes = turn.owed.saturating_sub(turn.paid);
            let tokens = owes.min(INSTALMENT).min(self.tokens.available(now, rate));
            if tokens == 0 && owes > 0 {
                return None;
            }
            self.tokens.take(now, rate, tokens);
            self.clock = place.start;
            turn.paid = turn.paid.saturating_add(tokens);
            turn.place.start = place.start.saturating_add(tokens);
            let Turn { request, place: moved, stage, paid, .. } = *turn;
            self.order.remove(&place);
            self.order.insert(moved);
            if tokens == owes {
                return Some(Paid { session: place.session, request, stage, tokens: paid });
            }
        }
    }

    /// When the next token can be given to somebody.
    pub(super) fn deadline(&self) -> Timestamp {
        match self.rate {
            Some(rate) if !self.order.is_empty() => self.tokens.next_at(rate),
            _ => Timestamp::NEVER,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_waiting(&self, session: SocketKey, request: ConnectRequest) -> bool {
        self.waiting.get(&session).is_some_and(|turn| turn.request == request)
    }
}
