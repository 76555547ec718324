//! The way of the parked sessions of a node out of the store, and where they turn out to be.

use super::{placed::InStore, records::Recalled};
use crate::{
    cluster::FetchedSession,
    hub::{Hub, pacing::Held, reason::EndCause, request::ConnectRequest, wait::Wait},
    id::SocketKey,
    recovery::RecoveryRefusal,
    stats::increment,
    time::Timestamp,
};

impl<D: Default> Hub<D> {
    /// Whether a claim has to wait until the record of its session was taken out of the store, so
    /// that no other node continues the session.
    pub(in crate::hub) fn awaits_record(&mut self, request: ConnectRequest) -> bool {
        let Some(node) = &mut self.node else { return false };
        let claimed = self.connects.get(request).and_then(|waiting| waiting.claimed);
        let Some(Ok(held)) = claimed else { return false };
        let namespace = self.namespaces.get(&held.socket.namespace);
        if held.position.is_err() || namespace.is_none_or(|it| it.member(held.socket).is_none()) {
            return false;
        }
        if node.records.recall(held.socket, Some(request)) {
            return false;
        }
        let timeout = self.config.recovery.as_ref().and_then(|it| it.lookup_timeout);
        self.connects.begin_recall(request, Wait::new(self.now, timeout.unwrap_or_default()));
        self.ask_store();
        true
    }

    /// A claim that waits for its record is given up.
    pub(in crate::hub) fn abandon_recall(
        &mut self,
        request: ConnectRequest,
        claimed: Option<Result<Held, RecoveryRefusal>>,
    ) {
        if let (Some(node), Some(Ok(held))) = (&mut self.node, claimed) {
            node.records.abandon(held.socket, request);
        }
    }

    /// Refuses the claims whose records could not be taken in time.
    pub(in crate::hub) fn end_overdue_recalls(&mut self, now: Timestamp) {
        while let Some(request) = self.connects.overdue_recall(now) {
            let longer = self.engine_has_until(now);
            if longer.is_some_and(|until| self.connects.prolong_recall(request, until)) {
                continue;
            }
            let refusal = self.unanswered();
            let claimed = self.connects.get(request).and_then(|waiting| waiting.claimed);
            self.abandon_recall(request, claimed);
            if self.connects.end_recall(request) {
                self.refuse_claim(request, refusal);
            }
        }
    }

    /// The record of a session is here, so that claims of it can go on.
    pub(super) fn go_on_here(&mut self, socket: SocketKey) {
        // A claim of another node that has waited for this takes the session.
        self.answer_unanswered(socket);
        let Some(node) = &mut self.node else { return };
        let requests = node.records.take_requests(socket);
        for request in requests {
            if self.connects.end_recall(request) {
                self.proceed(request);
            }
        }
        self.note_parked(socket);
    }

    /// The record of a session of this node was taken, if it was still there.
    pub(super) fn handle_recalled(&mut self, socket: SocketKey, session: Option<FetchedSession>) {
        let has_expired = self.has_record_expired(socket);
        let Some(node) = &mut self.node else { return };
        let found = session.map(|it| it.session.version.unwrap_or_default());
        let recalled = node.records.recalled(socket, found, has_expired);
        self.go_on_with(socket, recalled);
        self.answer_unanswered(socket);
    }

    /// Goes on with a session of this node whose record was to be taken.
    pub(super) fn go_on_with(&mut self, socket: SocketKey, recalled: Recalled) {
        match recalled {
            Recalled::Here => self.go_on_here(socket),
            Recalled::Unproven => self.append_marker(socket),
            Recalled::Contested => self.ask_others(socket),
            Recalled::Elsewhere => self.let_go(socket),
            Recalled::Late => {}
        }
    }

    /// Another node claims a session that is not handed over. If the store certainly had it, it goes on
    /// from there, or does already.
    pub(super) fn leave_to_the_store(&mut self, socket: SocketKey, in_store: Option<InStore>) {
        if in_store.is_some_and(|it| it.is_certain) {
            self.let_go(socket);
        }
    }

    /// Another node has a session that was parked here.
    pub(super) fn let_go(&mut self, socket: SocketKey) {
        let key = self.key_of(socket);
        let Some(node) = &mut self.node else { return };
        let requests = node.records.take_requests(socket);
        node.records.forget(socket);
        if let Some(key) = key {
            node.answered.note_overtaken(key);
        }
        increment(&mut self.totals.sessions_moved);
        // The application is asked already, so these cannot follow the session.
        while let Some(request) = self.connects.first_deciding(socket)
            && self.give_up_held(request, RecoveryRefusal::Superseded)
        {}
        let is_connected = self.close_link(socket);
        self.end(socket, EndCause::by_move(is_connected));
        self.settle(socket.namespace);
        for request in requests {
            if self.connects.end_recall(request) && !self.follow_session(request) {
                self.refuse_claim(request, RecoveryRefusal::Superseded);
            }
        }
    }

    /// Refuses a claim that has waited for the record of its session.
    fn refuse_claim(&mut self, request: ConnectRequest, refusal: RecoveryRefusal) {
        self.give_up_held(request, refusal);
        self.proceed(request);
    }

    /// Claims of sessions that have ended while their records were taken.
    pub(super) fn end_orphans(&mut self) {
        while let Some(request) = self.node.as_mut().and_then(|node| node.orphans.pop()) {
            if self.connects.end_recall(request) {
                self.proceed(request);
            }
        }
    }
}
