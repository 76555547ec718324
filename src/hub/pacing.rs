//! Pacing of claims: what they cost, and which sessions are held for them while they wait.

use super::{
    Hub,
    message::ReplyKind,
    reason::{EndCause, ExpiryCause},
    request::ConnectRequest,
    sessions::Change,
    turns::{Paid, Stage},
};
use crate::{
    engine::CloseReason, id::SocketKey, recovery::RecoveryRefusal, stats::increment,
    time::Timestamp,
};

/// A session that is held, so that it does not expire: it was claimed in time.
#[derive(Clone, Copy)]
pub(super) struct Held {
    pub(super) socket: SocketKey,
    /// The position up to which the client has processed everything, if its offset is valid for the
    /// session. The log keeps the packets after it.
    pub(super) position: Result<u64, RecoveryRefusal>,
    /// When the session is released, even if the application has not answered.
    pub(super) until: Timestamp,
}

/// The number of packets to examine that costs one token.
const PACKETS_PER_TOKEN: usize = 256;
/// The number of rooms to examine that costs one token.
const ROOMS_PER_TOKEN: usize = 32;

impl<D: Default> Hub<D> {
    /// Serves waiting claims, as far as their rate allows.
    pub(super) fn serve_claims(&mut self, now: Timestamp) {
        while let Some(Paid { session, request, stage, tokens }) =
            self.connects.turns.next_paid(now)
        {
            if stage == Stage::Arrived {
                let cost = self.cost(session, request);
                if !self.connects.turns.estimate(session, cost) {
                    continue;
                }
            }
            self.leave_queue(session, request);
            if let Some(namespace) = self.namespaces.get_mut(&session.namespace) {
                let SocketKey { index, generation, .. } = session;
                let change = Change::UnusedTurn { index, generation, paid: tokens };
                namespace.sessions.apply(now, change);
            }
            self.proceed(request);
        }
    }

    /// Queues a claim, and holds its session until the claim is decided, because the claim came in
    /// time. Returns false if the claim need not wait.
    ///
    /// A newer claim replaces a waiting claim, as if the older one had been accepted and the
    /// session had then been taken over.
    ///
    /// If a client sends a new CONNECT (`is_repeated`) after the turn of its claim and before the
    /// answer, that turn had no result. Then the new claim uses the turn, but only once, and only
    /// if it costs no more. Otherwise a client that sends CONNECT in step with the rate would miss
    /// its turn each time.
    pub(super) fn queue(&mut self, request: ConnectRequest, held: Held, is_repeated: bool) -> bool {
        let (now, Held { socket, position, .. }) = (self.now, held);
        let held = self.with_namespace(socket.namespace, |namespace, _| {
            let sessions = &mut namespace.sessions;
            let SocketKey { index, generation, .. } = socket;
            let paid = sessions.unused_turn(index);
            if paid > 0 {
                sessions.apply(now, Change::UnusedTurn { index, generation, paid: 0 });
            }
            sessions.apply(now, Change::Hold { index, position: position.ok() });
            (sessions.reached(index), paid)
        });
        let (reached, paid) = held.unwrap_or_default();
        if is_repeated && paid > 0 && self.cost(socket, request) <= paid {
            return false;
        }
        let cost = self.base_cost(socket);
        let earlier = self.connects.turns.enter(socket, request, cost, reached);
        if let Some(earlier) = earlier
            && self.take_waiting(earlier).is_some()
        {
            self.reply(earlier.connection, ReplyKind::Close { reason: CloseReason::TakenOver });
        }
        true
    }

    /// Serves waiting claims after a new one has arrived.
    pub(super) fn serve_newest(&mut self, now: Timestamp, request: ConnectRequest) {
        self.serve_claims(now);
        let held = self.connects.held(request);
        if held.is_some_and(|held| self.connects.turns.is_waiting(held.socket, request)) {
            increment(&mut self.totals.paced);
        }
    }

    /// The minimum cost of a claim of a session, in tokens.
    fn base_cost(&self, socket: SocketKey) -> u64 {
        let namespace = self.namespaces.get(&socket.namespace);
        let rooms = namespace.map_or(0, |it| it.sessions.rooms_to_look_at(socket.index));
        (rooms / ROOMS_PER_TOKEN).saturating_add(1) as u64
    }

    /// The whole cost of a claim, in tokens.
    fn cost(&self, socket: SocketKey, request: ConnectRequest) -> u64 {
        let held = self.connects.held(request);
        let position = held.and_then(|held| held.position.ok());
        let packets = self
            .namespaces
            .get(&socket.namespace)
            .zip(position)
            .map_or(0, |(namespace, position)| {
                namespace.sessions.packets_to_look_at(socket.index, position)
            });
        self.base_cost(socket).saturating_add((packets / PACKETS_PER_TOKEN) as u64)
    }

    fn leave_queue(&mut self, session: SocketKey, request: ConnectRequest) {
        let now = self.now;
        let Some(reached) = self.connects.turns.leave(session, request) else {
            return;
        };
        if let Some(namespace) = self.namespaces.get_mut(&session.namespace) {
            let SocketKey { index, generation, .. } = session;
            namespace.sessions.apply(now, Change::Reach { index, generation, reached });
        }
    }

    /// Releases the session that was held for a request, at the end of this step.
    pub(super) fn release(&mut self, request: ConnectRequest, held: Option<Held>) {
        if let Some(held) = held {
            self.connects.overdue.remove(&(held.until, request));
            self.connects.deciding.remove(&(held.socket, request));
            self.leave_queue(held.socket, request);
            self.connects.released.push(held);
        }
    }

    /// Releases the sessions of claims that the application has not answered in time. It may still
    /// answer: then the session is recovered if it still exists.
    pub(super) fn release_overdue(&mut self, now: Timestamp) {
        while let Some((_, request)) = self.connects.pop_overdue(now) {
            let held = self.connects.take_held(request);
            self.release(request, held);
            if let Some(held) = held {
                self.note_decided(held.socket);
            }
        }
        self.end_released(now);
    }

    /// Ends sessions that only claims have kept, when these claims did not recover them. Call this
    /// at the end of each step, so that no timer is due in the past.
    pub(super) fn end_released(&mut self, now: Timestamp) {
        for Held { socket, position, .. } in core::mem::take(&mut self.connects.released) {
            let Some(namespace) = self.namespaces.get_mut(&socket.namespace) else {
                continue;
            };
            // Update the timer only after the session has ended, since its expiry may be long past.
            let SocketKey { index, generation, .. } = socket;
            let position = position.ok();
            namespace.sessions.apply(now, Change::Release { index, generation, position });
            if namespace.has_expired(now, socket) {
                self.end(socket, EndCause::Expired(ExpiryCause::TimedOut));
            }
            self.settle(socket.namespace);
        }
        if self.is_clustered() {
            self.ask_store();
        }
    }
}
