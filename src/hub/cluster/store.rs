//! The parked sessions of a node in the store, and what the store is asked.

use alloc::vec::Vec;

use super::commands::{Command, Next};
use crate::{
    cluster::{
        Channel, ClusterOutput, FetchedSession, StoreOutcome,
        message::{Body, OwnKind, Value},
    },
    hub::{
        Hub,
        output::HubOutput,
        reason::EndCause,
        sessions::{Change, Sessions},
    },
    id::{Generation, RecoveryKey, SocketKey},
    recovery::RecoveryRefusal,
    stats::increment,
};

impl<D: Default> Hub<D> {
    /// Whether the record of a session may be in the store. What changes its rooms or ends it then
    /// goes through the channel, so that it reaches the session wherever it is.
    pub(in crate::hub) fn is_in_store(&self, socket: SocketKey) -> bool {
        self.is_lent(socket) || self.is_ahead(socket)
    }

    /// Whether a session cannot go on here before its record was taken out of the store.
    pub(in crate::hub) fn is_lent(&self, socket: SocketKey) -> bool {
        self.node.as_ref().is_some_and(|node| node.records.in_store(socket).is_some())
    }

    /// How many records are on their way to the store.
    pub(in crate::hub) fn records_waiting(&self) -> usize {
        self.node.as_ref().map_or(0, |node| node.records_waiting())
    }

    /// A session was parked, or a claim of it was decided.
    pub(in crate::hub) fn note_parked(&mut self, socket: SocketKey) {
        let member = self.namespaces.get(&socket.namespace).and_then(|it| it.member(socket));
        let is_parked = member.is_some_and(|member| member.connection().is_none());
        let is_ahead = self.is_ahead(socket);
        if let Some(node) = self.node.as_mut().filter(|_| is_parked && !is_ahead) {
            node.records.park(socket);
        }
    }

    /// A claim of a session was decided. If the session was not recovered, it may have to be stored.
    pub(in crate::hub) fn note_decided(&mut self, socket: SocketKey) {
        if let Some(node) = &mut self.node {
            node.decided.push(socket);
        }
    }

    /// The data of a session have changed, or what it remembers of its client's events.
    pub(in crate::hub) fn note_changed(&mut self, socket: SocketKey) {
        if self.is_ahead(socket) {
            self.note_change(socket);
            self.ask_store();
        } else if self.is_lent(socket) {
            if let Some(node) = &mut self.node {
                node.records.change(socket);
            }
            self.ask_store();
        }
    }

    /// A session has ended.
    pub(in crate::hub) fn forget_record(
        &mut self,
        socket: SocketKey,
        key: Option<RecoveryKey>,
        cause: EndCause,
    ) {
        let Some(node) = &mut self.node else { return };
        let requests = node.records.take_requests(socket);
        node.orphans.extend(requests);
        if node.deferred.awaits_store(socket) {
            node.decided.push(socket);
        }
        let parked = node.records.forget(socket);
        let ahead = self.forget_ahead(socket);
        // Where it goes to, it may still be needed.
        let is_final = !cause.is_move() && !cause.is_gap();
        if let Some((node, key)) = self.node.as_mut().zip(key).filter(|_| is_final) {
            for version in parked.into_iter().chain(ahead) {
                node.records.discard(key, version);
            }
        }
    }

    /// Why a session that may be elsewhere is not recovered.
    pub(in crate::hub) fn unanswered(&self) -> RecoveryRefusal {
        match &self.node {
            Some(node) if !node.channels.are_open() => RecoveryRefusal::EngineAway,
            Some(_) => RecoveryRefusal::OwnerUnreachable,
            None => RecoveryRefusal::Unanswered,
        }
    }

    /// Asks the store for what is needed, as far as it can be asked now.
    pub(in crate::hub) fn ask_store(&mut self) {
        self.end_orphans();
        while let Some(socket) = self.node.as_mut().and_then(|node| node.decided.pop()) {
            if !self.connects.is_deciding(socket)
                && let Some(node) = &mut self.node
                && let Some((id, (to, claim))) = node.deferred.decided(socket)
            {
                self.answer_late(id, &to, &claim);
            }
            self.answer_unanswered(socket);
            self.note_parked(socket);
        }
        let Some(node) = &self.node else { return };
        if !(node.has_work() && node.channels.are_open()) {
            return;
        }
        while let Some(node) = &mut self.node {
            let Some(next) = node.records.next() else { break };
            let command = match next {
                Next::Fetch { claim, number } => {
                    let key = node.claims.key(claim);
                    if key.is_none() {
                        node.records.answered(number);
                    }
                    key.map(|key| ClusterOutput::Fetch { key, number })
                }
                Next::Recall { socket, version, number } => {
                    let (key, version) = (self.key_of(socket), Some(version));
                    key.map(|key| ClusterOutput::Take { key, version, number })
                }
                Next::Look { socket, number } => {
                    self.key_of(socket).map(|key| ClusterOutput::Fetch { key, number })
                }
                Next::Discard { key, version, number } => {
                    Some(ClusterOutput::Take { key, version: Some(version), number })
                }
                Next::Store(socket) => self.record_to_store(socket),
                Next::Replace(socket) => self.record_to_replace(socket),
            };
            self.out.extend(command.map(HubOutput::Cluster));
        }
        while self.node.as_ref().is_some_and(|node| node.records.has_room()) && self.ask_ahead() {}
    }

    /// The answer to [`ClusterOutput::Store`].
    pub(super) fn handle_stored(&mut self, number: u64, outcome: StoreOutcome) {
        let is_stored = outcome == StoreOutcome::Stored;
        let Some(node) = &mut self.node else { return };
        let socket = match node.records.answered(number) {
            Some(Command::Store(socket)) => socket,
            Some(Command::Rewrite(socket)) => {
                return self.handle_rewritten(socket, number, outcome);
            }
            Some(Command::Write(socket)) => return self.handle_written(socket, number, outcome),
            Some(Command::Replace(claim)) => return self.handle_replaced(claim, number, outcome),
            _ => return,
        };
        match node.records.stored(socket, number, is_stored) {
            Some(true) => increment(&mut self.totals.sessions_stored),
            Some(false) => increment(&mut self.totals.sessions_not_stored),
            None => {}
        }
        self.answer_unanswered(socket);
    }

    /// The store may have said where the record of a session is: then the claim that has waited for that is
    /// answered.
    pub(super) fn answer_unanswered(&mut self, socket: SocketKey) {
        let Some(node) = self.node.as_mut().filter(|it| !it.records.awaits_answer(socket)) else {
            return;
        };
        if let Some((id, (to, claim))) = node.deferred.take_unanswered(socket) {
            self.answer_late(id, &to, &claim);
        }
    }

    /// The answer to [`ClusterOutput::Fetch`] or [`ClusterOutput::Take`].
    pub(super) fn handle_fetched(&mut self, number: u64, session: Option<FetchedSession>) {
        let Some(node) = &mut self.node else { return };
        match node.records.answered(number) {
            Some(Command::Recall(socket)) => self.handle_recalled(socket, session),
            Some(Command::Look(socket)) => {
                self.handle_looked(socket, session);
            }
            Some(Command::Fetch(claim)) => self.handle_found(claim, session),
            Some(Command::Take(claim, expected)) => self.handle_taken(claim, session, expected),
            Some(Command::Check(socket)) => self.handle_checked(socket, session),
            Some(
                Command::Store(_)
                | Command::Rewrite(_)
                | Command::Discard(..)
                | Command::PutBack
                | Command::Write(_)
                | Command::Replace(_),
            )
            | None => {}
        }
    }

    /// The answer to [`Command::Look`].
    fn handle_looked(&mut self, socket: SocketKey, session: Option<FetchedSession>) {
        let has_expired = self.has_record_expired(socket);
        let Some(node) = &mut self.node else { return };
        let found = session.map(|it| it.session.version.unwrap_or_default());
        let looked = node.records.looked(socket, found, has_expired);
        self.go_on_with(socket, looked);
        self.answer_unanswered(socket);
    }

    /// This node has read a marker of its own.
    pub(super) fn handle_marker(&mut self, namespace: u32, data: &Value) {
        let Ok((index, generation, number)) = data.parse::<(u32, u64, u64)>() else { return };
        let Some(generation) = Generation::from_raw(generation) else { return };
        let socket = SocketKey { namespace, index, generation };
        if self.is_ahead(socket) {
            return self.handle_proof(socket, number);
        }
        let Some(node) = &mut self.node else { return };
        let recalled = node.records.proven(socket, number);
        self.go_on_with(socket, recalled);
    }

    /// The connection to the engine is lost.
    pub(super) fn lose_store(&mut self) {
        let Some(node) = &mut self.node else { return };
        if let Some(durable) = &mut node.durable {
            durable.ahead.disconnect();
        }
        for command in node.records.disconnect() {
            if let Command::Take(claim, _) | Command::Replace(claim) = command {
                self.assume_taken(claim);
            }
        }
        self.answer_all_unanswered();
    }

    /// No answers come any more.
    fn answer_all_unanswered(&mut self) {
        let sockets = self.node.as_ref().map(|node| node.deferred.unanswered().collect::<Vec<_>>());
        for socket in sockets.unwrap_or_default() {
            self.answer_unanswered(socket);
        }
    }

    /// Stores a session again that was taken in vain.
    pub(super) fn put_back(&mut self, taken: FetchedSession) {
        let Some(node) = &mut self.node else { return };
        let number = node.records.ask(Command::PutBack);
        let FetchedSession { session, expires_in } = taken;
        self.out.push_back(HubOutput::Cluster(ClusterOutput::Store {
            session,
            expires_in,
            replaces: None,
            number,
        }));
    }

    /// The private id of a session.
    pub(super) fn key_of(&self, socket: SocketKey) -> Option<RecoveryKey> {
        self.namespaces.get(&socket.namespace)?.member(socket)?.key
    }

    /// Whether the time of the record of a session may be over.
    pub(super) fn has_record_expired(&self, socket: SocketKey) -> bool {
        let namespace = self.namespaces.get(&socket.namespace);
        namespace.is_some_and(|it| it.sessions.time_is_over(self.now, socket.index))
    }

    /// The answer to [`Command::Rewrite`].
    fn handle_rewritten(&mut self, socket: SocketKey, number: u64, outcome: StoreOutcome) {
        let has_expired = self.has_record_expired(socket);
        let Some(node) = &mut self.node else { return };
        if outcome == StoreOutcome::Stored {
            increment(&mut self.totals.sessions_stored);
        }
        let replaced = node.records.replaced(socket, number, outcome, has_expired);
        self.go_on_with(socket, replaced);
        self.answer_unanswered(socket);
    }

    pub(super) fn append_marker(&mut self, socket: SocketKey) {
        let Some(node) = &mut self.node else { return };
        let number = node.records.prove(socket);
        if let Some(durable) = &mut node.durable {
            durable.ahead.prove(socket, number);
        }
        let data = Value::new(&(socket.index, socket.generation.as_raw(), number));
        let data = data.unwrap_or(Value::null());
        let bytes = data.json().len();
        let body = Body::Own { kind: OwnKind::Marker, data };
        if self.append(socket.namespace, body, bytes).is_err()
            && let Some(node) = &mut self.node
        {
            node.records.disprove(socket);
            if let Some(durable) = &mut node.durable {
                durable.ahead.disprove(socket);
            }
        }
    }

    /// The log of a namespace ends where its channel was read, and not with the latest entry for it: a record
    /// from a place that newer nodes have not read is of no use to them, even if nothing has happened since.
    pub(super) fn bring_up_to_date(&mut self, id: u32) {
        let position = self.channel_at(id).and_then(Channel::applied);
        if let (Some(position), Some(namespace)) = (position, self.namespaces.get_mut(&id)) {
            namespace.sessions.apply(self.now, Change::Advance { position });
        }
    }

    /// The command that stores a session. `None` if it need not be stored now.
    fn record_to_store(&mut self, socket: SocketKey) -> Option<ClusterOutput> {
        let now = self.now;
        self.bring_up_to_date(socket.namespace);
        let node = self.node.as_mut()?;
        let namespace = self.namespaces.get(&socket.namespace);
        let sessions = namespace.filter(|it| it.member(socket).is_some()).map(|it| &it.sessions);
        // While a claim is undecided, the session does not go away: it would have to come back.
        // The same holds while it is still going to be changed.
        let is_final = |sessions: &&Sessions<D>| {
            sessions.is_idle(socket.index) && !node.deferred.contains(socket)
        };
        let Some(sessions) = sessions.filter(is_final) else {
            node.records.keep(socket);
            return None;
        };
        let number = node.records.ask(Command::Store(socket));
        let Some(stored) = (node.codec.write)(sessions, now, socket.index, number, false) else {
            node.records.answered(number);
            node.records.stored(socket, number, false);
            increment(&mut self.totals.sessions_not_stored);
            return None;
        };
        let FetchedSession { session, expires_in } = stored;
        Some(ClusterOutput::Store { session, expires_in, replaces: None, number })
    }

    /// The command that replaces the record of a session. `None` if that is not possible: then the record is
    /// taken out of the store.
    fn record_to_replace(&mut self, socket: SocketKey) -> Option<ClusterOutput> {
        let now = self.now;
        self.bring_up_to_date(socket.namespace);
        let node = self.node.as_mut()?;
        let sessions = &self.namespaces.get(&socket.namespace)?.sessions;
        let number = node.records.ask(Command::Rewrite(socket));
        let Some(stored) = (node.codec.write)(sessions, now, socket.index, number, false) else {
            node.records.answered(number);
            node.records.recall(socket, None);
            return None;
        };
        let replaces = node.records.replace(socket, number);
        let FetchedSession { session, expires_in } = stored;
        Some(ClusterOutput::Store { session, expires_in, replaces, number })
    }
}
