//! The parked sessions of a node in the store, and their way back.

use alloc::{string::String, vec::Vec};

use bytestring::ByteString;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::records::{Command, InStore, Next, Recalled};
use crate::{
    cluster::{
        ClusterOutput, FetchedSession, StoreOutcome,
        message::{Body, OwnKind, StoredSession, Value},
    },
    hub::{
        Hub,
        event::ServerEvent,
        output::HubOutput,
        reason::EndCause,
        request::ConnectRequest,
        sessions::{Parked, ParkedPast, Sessions},
    },
    id::{Generation, RecoveryKey, SocketKey},
    recovery::RecoveryRefusal,
    stats::increment,
    time::Timestamp,
};

/// [`StoredSession::extension`], as a text.
#[derive(Serialize, Deserialize)]
struct Extension {
    past: ParkedPast,
    /// The data exactly as they are. An official node may not keep every number as it is.
    data: String,
}

/// Writes a session of this node for the store.
pub(super) fn write<D: Clone + Serialize>(
    sessions: &Sessions<D>,
    now: Timestamp,
    index: u32,
    version: u64,
) -> Option<FetchedSession> {
    let (Parked { sid, pid, data, past }, left) = sessions.parked(now, index)?;
    let rooms: Vec<ByteString> = sessions.room_names(index).map(ByteString::from).collect();
    let official = Value::new(&data).unwrap_or(Value::null());
    let extension = Extension { past, data: serde_json::to_string(&data).ok()? };
    let text = serde_json::to_string(&extension).ok()?;
    let mut session = StoredSession::new(sid, pid, rooms, official);
    session.extension = Some(Value::new(&text).ok()?);
    session.version = Some(version);
    Some(FetchedSession::new(session, left))
}

/// Reads a session that a node of this crate has stored.
pub(super) fn read<D: DeserializeOwned>(session: &StoredSession) -> Option<Parked<D>> {
    let text: String = session.extension.as_ref()?.parse().ok()?;
    let Extension { past, data, .. } = serde_json::from_str(&text).ok()?;
    let data = serde_json::from_str(&data).ok()?;
    Some(Parked { sid: session.sid, pid: session.pid, data, past })
}

impl<D: Default> Hub<D> {
    /// Whether the record of a session may be in the store. What changes its rooms or ends it then
    /// goes through the channel, so that it reaches the session wherever it is.
    pub(in crate::hub) fn is_in_store(&self, socket: SocketKey) -> bool {
        self.node.as_ref().is_some_and(|node| node.records.in_store(socket).is_some())
    }

    /// How many records are on their way to the store.
    pub(in crate::hub) fn records_waiting(&self) -> usize {
        self.node.as_ref().map_or(0, |node| node.records.on_their_way())
    }

    /// A session was parked, or a claim of it was decided.
    pub(in crate::hub) fn note_parked(&mut self, socket: SocketKey) {
        let member = self.namespaces.get(&socket.namespace).and_then(|it| it.member(socket));
        let is_parked = member.is_some_and(|member| member.connection().is_none());
        if let Some(node) = self.node.as_mut().filter(|_| is_parked) {
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
        if self.is_in_store(socket) {
            if let Some(node) = &mut self.node {
                node.records.recall(socket, None);
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
        let version = node.records.forget(socket);
        // Where it goes to, it may still be needed.
        let is_final = !cause.is_move() && !cause.is_gap();
        if let (Some(version), Some(key), true) = (version, key, is_final) {
            node.records.discard(key, version);
        }
    }

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
        let until = self.now.saturating_add(timeout.unwrap_or_default());
        self.connects.begin_recall(request, until);
        self.ask_store();
        true
    }

    /// Refuses the claims whose records could not be taken in time.
    pub(in crate::hub) fn end_overdue_recalls(&mut self, now: Timestamp) {
        while let Some(request) = self.connects.overdue_recall(now) {
            let refusal = self.unanswered();
            if self.connects.end_recall(request) {
                self.refuse_claim(request, refusal);
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
        self.ask_store_now();
        self.report_handover();
    }

    fn ask_store_now(&mut self) {
        self.end_orphans();
        while let Some(socket) = self.node.as_mut().and_then(|node| node.decided.pop()) {
            if !self.connects.is_deciding(socket)
                && let Some(node) = &mut self.node
                && let Some((id, (to, claim))) = node.deferred.decided(socket)
            {
                self.answer_late(id, &to, &claim);
            }
            self.note_parked(socket);
        }
        let Some(node) = &self.node else { return };
        if !(node.records.has_work() && node.channels.are_open()) {
            return;
        }
        while let Some(node) = &mut self.node {
            let Some(next) = node.records.next() else { return };
            let command = match next {
                Next::Fetch(claim, number) => {
                    let key = node.claims.key(claim);
                    if key.is_none() {
                        node.records.answered(number);
                    }
                    key.map(|key| ClusterOutput::Fetch { key, number })
                }
                Next::Recall(socket, number) => {
                    let key = self.key_of(socket);
                    key.map(|key| ClusterOutput::Take { key, number })
                }
                Next::Discard(key, number) => Some(ClusterOutput::Take { key, number }),
                Next::Store(socket) => self.record_to_store(socket),
            };
            self.out.extend(command.map(HubOutput::Cluster));
        }
    }

    /// See [`At::hand_over`](crate::hub::At::hand_over).
    pub(in crate::hub) fn begin_handover(&mut self) -> bool {
        let Some(node) = &mut self.node else { return false };
        node.is_handing_over = true;
        self.ask_store();
        true
    }

    fn report_handover(&mut self) {
        let Some(node) = self.node.as_mut().filter(|node| node.is_handing_over) else { return };
        let is_under_way = node.records.on_their_way() > 0 || !node.deferred.is_empty();
        if is_under_way || node.channels.waiting() > 0 {
            return;
        }
        node.is_handing_over = false;
        let is_stored = |socket: &&SocketKey| node.records.in_store(**socket).is_some();
        let stored = self.keys.values().filter(is_stored).count();
        let not_stored = self.keys.values().count().saturating_sub(stored);
        let event = ServerEvent::HandedOver { stored, not_stored };
        self.out.push_back(HubOutput::Event(event));
    }

    /// The answer to [`ClusterOutput::Store`].
    pub(super) fn handle_stored(&mut self, number: u64, outcome: StoreOutcome) {
        let is_stored = outcome == StoreOutcome::Stored;
        let Some(node) = &mut self.node else { return };
        let Some(Command::Store(socket)) = node.records.answered(number) else { return };
        match node.records.stored(socket, number, is_stored) {
            Some(true) => increment(&mut self.totals.sessions_stored),
            Some(false) => increment(&mut self.totals.sessions_not_stored),
            None => {}
        }
    }

    /// The answer to [`ClusterOutput::Fetch`] or [`ClusterOutput::Take`].
    pub(super) fn handle_fetched(&mut self, number: u64, session: Option<FetchedSession>) {
        let Some(node) = &mut self.node else { return };
        match node.records.answered(number) {
            Some(Command::Recall(socket, expected)) => {
                if let Some(session) = self.handle_recalled(socket, session) {
                    self.put_back_other(session, expected);
                }
            }
            Some(Command::Fetch(claim)) => self.handle_found(claim, session),
            Some(Command::Take(claim, expected)) => self.handle_taken(claim, session, expected),
            Some(Command::Discard(_, expected)) => {
                if let Some(session) = session {
                    self.put_back_other(session, expected);
                }
            }
            Some(Command::Store(_) | Command::PutBack) | None => {}
        }
    }

    /// This node has read a marker of its own.
    pub(super) fn handle_marker(&mut self, namespace: u32, data: &Value) {
        let Ok((index, generation, number)) = data.parse::<(u32, u64, u64)>() else { return };
        let Some(generation) = Generation::from_raw(generation) else { return };
        let socket = SocketKey { namespace, index, generation };
        let Some(node) = &mut self.node else { return };
        let recalled = node.records.proven(socket, number);
        self.go_on_with(socket, recalled, None);
    }

    /// The connection to the engine is lost.
    pub(super) fn lose_store(&mut self) {
        let Some(node) = &mut self.node else { return };
        for command in node.records.disconnect() {
            if let Command::Take(claim, _) = command {
                self.assume_taken(claim);
            }
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

    /// Stores a session again that another node has stored since this version.
    fn put_back_other(&mut self, taken: FetchedSession, version: u64) {
        if taken.session.version != Some(version) {
            self.put_back(taken);
        }
    }

    /// The record of a session is here, so that claims of it can go on.
    pub(super) fn go_on_here(&mut self, socket: SocketKey) {
        let Some(node) = &mut self.node else { return };
        let requests = node.records.take_requests(socket);
        for request in requests {
            if self.connects.end_recall(request) {
                self.proceed(request);
            }
        }
        self.note_parked(socket);
    }

    /// The private id of a session.
    pub(super) fn key_of(&self, socket: SocketKey) -> Option<RecoveryKey> {
        self.namespaces.get(&socket.namespace)?.member(socket)?.key
    }

    /// Returns a record that comes when its session is not here any more.
    fn handle_recalled(
        &mut self,
        socket: SocketKey,
        session: Option<FetchedSession>,
    ) -> Option<FetchedSession> {
        let now = self.now;
        let node = self.node.as_mut()?;
        let found = session.as_ref().map(|it| it.session.version.unwrap_or_default());
        let namespace = self.namespaces.get(&socket.namespace);
        let has_expired = namespace.is_some_and(|it| it.sessions.time_is_over(now, socket.index));
        let recalled = node.records.recalled(socket, found, has_expired);
        if matches!(recalled, Recalled::Late) {
            return session;
        }
        self.go_on_with(socket, recalled, session);
        None
    }

    /// Goes on with a session of this node whose record was to be taken.
    fn go_on_with(
        &mut self,
        socket: SocketKey,
        recalled: Recalled,
        session: Option<FetchedSession>,
    ) {
        match recalled {
            Recalled::Here => self.go_on_here(socket),
            Recalled::Unproven => self.append_marker(socket),
            Recalled::Elsewhere => {
                if let Some(session) = session {
                    self.put_back(session);
                }
                self.let_go(socket);
            }
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
        let Some(node) = &mut self.node else { return };
        let requests = node.records.take_requests(socket);
        node.records.forget(socket);
        increment(&mut self.totals.sessions_moved);
        self.end(socket, EndCause::by_move(false));
        self.settle(socket.namespace);
        for request in requests {
            if self.connects.end_recall(request) && !self.follow_session(request) {
                self.refuse_claim(request, RecoveryRefusal::Superseded);
            }
        }
    }

    /// Refuses a claim that has waited for the record of its session.
    fn refuse_claim(&mut self, request: ConnectRequest, refusal: RecoveryRefusal) {
        let held = self.connects.take_held(request);
        self.release(request, held);
        self.connects.set_claimed(request, Err(refusal));
        self.proceed(request);
    }

    /// Claims of sessions that have ended while their records were taken.
    fn end_orphans(&mut self) {
        while let Some(request) = self.node.as_mut().and_then(|node| node.orphans.pop()) {
            if self.connects.end_recall(request) {
                self.proceed(request);
            }
        }
    }

    fn append_marker(&mut self, socket: SocketKey) {
        let Some(node) = &mut self.node else { return };
        let number = node.records.prove(socket);
        let data = Value::new(&(socket.index, socket.generation.as_raw(), number));
        let data = data.unwrap_or(Value::null());
        let bytes = data.json().len();
        let body = Body::Own { kind: OwnKind::Marker, data };
        if self.append(socket.namespace, body, bytes).is_err()
            && let Some(node) = &mut self.node
        {
            node.records.disprove(socket);
        }
    }

    /// The command that stores a session. `None` if it need not be stored now.
    fn record_to_store(&mut self, socket: SocketKey) -> Option<ClusterOutput> {
        let now = self.now;
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
        let Some(stored) = (node.codec.write)(sessions, now, socket.index, number) else {
            node.records.answered(number);
            node.records.stored(socket, number, false);
            increment(&mut self.totals.sessions_not_stored);
            return None;
        };
        let FetchedSession { session, expires_in } = stored;
        Some(ClusterOutput::Store { session, expires_in, replaces: None, number })
    }
}
