//! How claims are paced: what they cost, and what is held for them while they wait.

use super::{
    Hub,
    message::ReplyKind,
    reason::{EndCause, ExpiryCause},
    request::ConnectRequest,
    sessions::Change,
    turns::{Paid, Stage},
};
use crate::{
    engine::CloseReason, id::SocketKey, recovery::Refusal, stats::increment, time::Timestamp,
};

/// A session that does not expire, because it was claimed in time.
#[derive(Clone, Copy)]
pub(super) struct Held {
    pub(super) socket: SocketKey,
    /// What the client has processed, if its offset is one of the session: from there on the log
    /// keeps what it has.
    pub(super) position: Result<u64, Refusal>,
    /// When it is let go of, whether the application has answered or not.
    pub(super) until: Timestamp,
}

/// Packets to look at that cost as much as the claim itself.
const PACKETS_PER_TOKEN: usize = 256;
/// Rooms to look at that cost as much.
const ROOMS_PER_TOKEN: usize = 32;

impl<D: Default> Hub<D> {
    /// Looks at the claims that have had to wait, as far as their rate allows.
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
                let change = Change::SpareTurn { index, generation, paid: tokens };
                namespace.sessions.apply(now, change);
            }
            self.proceed(request);
        }
    }

    /// Queues the claim of a session and keeps the session for it until the claim is decided, since
    /// it came in time. Returns false if the claim need not wait.
    ///
    /// A newer claim replaces one that waits: it is as if that had been let in and the session had
    /// then been taken over. One whose client has asked anew (`is_anew`) after its turn had come,
    /// and before it was answered, has made nothing of that turn: so the newer one has it, but only
    /// once, and if it costs no more. Without that, a client that asks in step with the rate would miss its turn each time.
    pub(super) fn queue(&mut self, request: ConnectRequest, held: Held, is_anew: bool) -> bool {
        let (now, Held { socket, position, .. }) = (self.now, held);
        let held = self.with_namespace(socket.namespace, |namespace, _| {
            let sessions = &mut namespace.sessions;
            let SocketKey { index, generation, .. } = socket;
            let paid = sessions.spare_turn(index);
            if paid > 0 {
                sessions.apply(now, Change::SpareTurn { index, generation, paid: 0 });
            }
            sessions.apply(now, Change::Hold { index, position: position.ok() });
            (sessions.reached(index), paid)
        });
        let (reached, paid) = held.unwrap_or_default();
        if is_anew && paid > 0 && self.cost(socket, request) <= paid {
            return false;
        }
        let cost = self.base_cost(socket);
        let former = self.connects.turns.enter(socket, request, cost, reached);
        if let Some(former) = former
            && self.take_waiting(former).is_some()
        {
            self.reply(former.connection, ReplyKind::Close { reason: CloseReason::TakenOver });
        }
        true
    }

    /// Looks at the claims after one has come.
    pub(super) fn serve_newest(&mut self, now: Timestamp, request: ConnectRequest) {
        self.serve_claims(now);
        let held = self.connects.held(request);
        if held.is_some_and(|held| self.connects.turns.is_waiting(held.socket, request)) {
            increment(&mut self.totals.paced);
        }
    }

    /// What the claim of a session costs at the least, in tokens.
    fn base_cost(&self, socket: SocketKey) -> u64 {
        let namespace = self.namespaces.get(&socket.namespace);
        let rooms = namespace.map_or(0, |it| it.sessions.rooms_to_look_at(socket.index));
        (rooms / ROOMS_PER_TOKEN).saturating_add(1) as u64
    }

    /// What it costs in all.
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

    /// Lets go of the session that was held for a request, at the end of this step.
    pub(super) fn release(&mut self, request: ConnectRequest, held: Option<Held>) {
        if let Some(held) = held {
            self.connects.overdue.remove(&(held.until, request));
            self.leave_queue(held.socket, request);
            self.connects.released.push(held);
        }
    }

    /// Lets go of the sessions of claims that the application has not answered for too long. It may
    /// answer yet: then the session is given back if it is still there.
    pub(super) fn release_overdue(&mut self, now: Timestamp) {
        while let Some((_, request)) = self.connects.pop_overdue(now) {
            let held = self.connects.take_held(request);
            self.release(request, held);
        }
        self.end_released(now);
    }

    /// Ends sessions that nothing but claims has kept, when these were decided against them. To be
    /// called at the end of each step, so that no timer is due in the past.
    pub(super) fn end_released(&mut self, now: Timestamp) {
        for Held { socket, position, .. } in core::mem::take(&mut self.connects.released) {
            let Some(namespace) = self.namespaces.get_mut(&socket.namespace) else {
                continue;
            };
            // The timer is seen to when the session is over, since its time may be long past.
            let SocketKey { index, generation, .. } = socket;
            let position = position.ok();
            namespace.sessions.apply(now, Change::Release { index, generation, position });
            if namespace.has_expired(now, socket) {
                self.end(socket, EndCause::Expired(ExpiryCause::TimedOut));
            }
            self.settle(socket.namespace);
        }
    }
}
