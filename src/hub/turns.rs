//! When a recovery has its turn: limited by a rate of cost, and fair between sessions.
//!
//! A recovery costs one token, and more if it has to examine many packets or rooms. Tokens arrive
//! at the configured rate. Each token goes to the claim whose session has received least: claims
//! are ordered by a virtual time, and the virtual time of a session advances by what it has paid.
//! So a session that is claimed repeatedly, or that missed very much, delays only itself: the
//! claims of other sessions overtake it. (This is start-time fair queueing, with the cost paid in
//! instalments.)

use alloc::collections::{BTreeMap, BTreeSet};

use super::request::ConnectRequest;
use crate::{
    bucket::{Bucket, Rate},
    config::{RecoveryConfig, ServerConfig},
    id::SocketKey,
    time::Timestamp,
};

/// The waiting claims, at most one per session.
pub(super) struct Turns {
    /// `None` while recovery is off.
    rate: Option<Rate>,
    tokens: Bucket,
    waiting: BTreeMap<SocketKey, Turn>,
    /// The same claims in the order in which they pay.
    order: BTreeSet<Place>,
    arrivals: u64,
    /// The virtual time of the claim that paid last.
    clock: u64,
}

/// The place of a claim in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// Virtual time, in tokens.
    start: u64,
    arrival: u64,
    session: SocketKey,
}

/// A waiting claim.
#[derive(Clone, Copy, Debug)]
struct Turn {
    request: ConnectRequest,
    place: Place,
    paid: u64,
    owed: u64,
    stage: Stage,
}

/// How much of the cost of a claim is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Only the part that is known without examining the log.
    Arrived,
    /// The whole cost.
    Estimated,
}

/// A claim that has paid its cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paid {
    pub(super) session: SocketKey,
    pub(super) request: ConnectRequest,
    pub(super) stage: Stage,
    /// What it has paid.
    pub(super) tokens: u64,
}

/// The number of tokens that a claim pays at once while others wait.
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

    /// Queues a claim that costs `cost` tokens. The virtual time of its session is `reached`. It
    /// takes the place of an earlier claim of the session, which is returned.
    pub(super) fn enter(
        &mut self,
        session: SocketKey,
        request: ConnectRequest,
        cost: u64,
        reached: u64,
    ) -> Option<ConnectRequest> {
        if let Some(turn) = self.waiting.get_mut(&session) {
            // What the earlier claim paid is not lost, but the new claim has to examine the log
            // again.
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

    /// Removes the claim of a session, if it is `request`. Returns the virtual time of the session.
    pub(super) fn leave(&mut self, session: SocketKey, request: ConnectRequest) -> Option<u64> {
        let turn = *self.waiting.get(&session).filter(|turn| turn.request == request)?;
        self.waiting.remove(&session);
        self.order.remove(&turn.place);
        Some(turn.place.start)
    }

    /// Sets the whole cost of a claim to `cost` tokens. Returns whether it is paid.
    pub(super) fn estimate(&mut self, session: SocketKey, cost: u64) -> bool {
        let Some(turn) = self.waiting.get_mut(&session) else {
            return false;
        };
        turn.owed = cost.max(turn.owed);
        turn.stage = Stage::Estimated;
        turn.paid >= turn.owed
    }

    /// Gives the available tokens to the claims in their order, until one claim has paid its cost.
    /// That claim stays in the queue. `None` if there are no more tokens, or no more claims.
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

    /// When the next token is available for a waiting claim.
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
