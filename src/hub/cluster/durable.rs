//! Sessions whose records are written ahead, with
//! [`Durability::OnChange`](crate::cluster::Durability::OnChange).

use core::time::Duration;

use super::{
    Node,
    ahead::{Ahead, Answer, Found, Task, Versions},
    claim::ClaimEntry,
    closing::Links,
    commands::Command,
    placed::InStore,
    withheld::Withheld,
};
use crate::{
    cluster::{ClusterConfig, ClusterOutput, Durability, FetchedSession, StoreOutcome},
    config::ServerConfig,
    engine::CloseReason,
    hub::{Hub, message::ReplyKind, output::HubOutput},
    id::SocketKey,
    stats::increment,
    time::Timestamp,
};

/// What a node has because it writes records ahead.
pub(super) struct Durable<D> {
    pub(super) ahead: Ahead,
    withheld: Withheld<D>,
    pub(super) links: Links,
    /// How many outputs of the hub, the next ones, have waited already.
    released: usize,
    timeout: Duration,
}

impl<D> Durable<D> {
    /// `None` if the node does not write records ahead.
    pub(super) fn new(cluster: &ClusterConfig, config: &ServerConfig) -> Option<Self> {
        let is_on = cluster.durability == Durability::OnChange && config.recovery.is_some();
        is_on.then(|| Self {
            ahead: Ahead::new(),
            withheld: Withheld::new(cluster.withheld_packets, config.limits.outgoing_bytes),
            links: Links::default(),
            released: 0,
            timeout: cluster.store_timeout,
        })
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Timestamp {
        self.withheld.deadline().min(self.ahead.refresh_at())
    }
}

impl<D> Node<D> {
    /// How many records are on their way to the store.
    pub(super) fn records_waiting(&self) -> usize {
        let ahead = self.durable.as_ref().map_or(0, |durable| durable.ahead.waiting());
        self.records.on_their_way().saturating_add(ahead)
    }

    /// Whether the store is to be asked for something.
    pub(super) fn has_work(&self) -> bool {
        self.records.has_work() || self.durable.as_ref().is_some_and(|it| it.ahead.waiting() > 0)
    }

    /// The version of the record of a session that the store has, or may have.
    pub(super) fn in_store(&self, socket: SocketKey) -> Option<InStore> {
        let ahead = self.durable.as_ref().and_then(|durable| durable.ahead.kept(socket));
        let ahead = ahead.map(InStore::certain);
        self.records.in_store(socket).or(ahead)
    }

    /// Whether a session goes to another node soon.
    pub(super) fn is_promised(&self, socket: SocketKey) -> bool {
        let is_promised = |durable: &Durable<D>| durable.ahead.is_promised(socket);
        self.deferred.is_promised(socket) || self.durable.as_ref().is_some_and(is_promised)
    }

    /// Another node has claimed a session, and may take its record, but the session stays here.
    pub(super) fn contest(&mut self, socket: SocketKey) {
        match &mut self.durable {
            Some(durable) => durable.ahead.contest(socket),
            None => self.records.contests.note_refused(socket),
        }
    }
}

impl<D: Default> Hub<D> {
    pub(super) fn durable(&mut self) -> Option<&mut Durable<D>> {
        self.node.as_mut()?.durable.as_mut()
    }

    fn durable_ref(&self) -> Option<&Durable<D>> {
        self.node.as_ref()?.durable.as_ref()
    }

    /// Whether the record of a session is written ahead.
    pub(in crate::hub) fn is_ahead(&self, socket: SocketKey) -> bool {
        self.durable_ref().is_some_and(|durable| durable.ahead.contains(socket))
    }

    /// Whether outputs may have to wait for the store.
    #[inline]
    pub(in crate::hub) fn withholds(&self) -> bool {
        self.durable_ref().is_some()
    }

    /// Sees to it that the next output need not wait for the store. There may be none then.
    // Most hubs never call this, and all of them are polled very often.
    #[cold]
    #[inline(never)]
    pub(in crate::hub) fn withhold(&mut self) {
        while let Some(durable) = self.durable() {
            if durable.released > 0 {
                durable.released = durable.released.saturating_sub(1);
                return;
            }
            let Some(output) = self.out.pop_front() else { return };
            let Some(durable) = self.durable() else { return };
            let (output, given_up) = durable.withheld.keep(durable.ahead.latest(), output);
            let total = &mut self.totals.changes_not_awaited;
            *total = total.wrapping_add(given_up);
            self.put_out_released();
            if let Some(output) = output {
                // What was released is for other connections.
                return self.out.push_front(output);
            }
        }
    }

    /// Puts out what need not wait any longer: before everything that may have to, and after what was
    /// released before.
    fn put_out_released(&mut self) {
        let Some(durable) = self.node.as_mut().and_then(|node| node.durable.as_mut()) else {
            return;
        };
        let released = durable.withheld.take_released();
        let before = durable.released;
        durable.released = before.saturating_add(released.len());
        self.out.rotate_left(before);
        for output in released.into_iter().rev() {
            self.out.push_front(output);
        }
        self.out.rotate_right(before);
    }

    /// The store has a session up to a change, or need not have it any more. `first` is the next change
    /// that it does not have.
    fn note_stored(&mut self, socket: SocketKey, first: Option<u64>) {
        if let Some(durable) = self.durable() {
            durable.withheld.note_stored(socket, first);
            self.put_out_released();
        }
    }

    /// A client is going to be told of its session. The store has it before that.
    pub(in crate::hub) fn note_admitted(&mut self, socket: SocketKey) {
        if self.key_of(socket).is_none() {
            return;
        }
        let link = self.connection(socket);
        let Some(durable) = self.durable() else { return };
        if let Some(link) = link {
            durable.links.attach(socket, link);
        }
        if !durable.ahead.contains(socket) {
            durable.ahead.arrive(socket, None, Versions::new());
        }
        self.note_change(socket);
    }

    /// Another node has claimed a session, and waits for it. It may take the record meanwhile, unless it
    /// yields to the node that has the session.
    pub(super) fn contest_ahead(&mut self, socket: SocketKey, claim: &ClaimEntry) {
        if let Some(durable) = self.durable().filter(|_| !claim.yields) {
            durable.ahead.contest(socket);
        }
    }

    /// A session whose record is written ahead has changed.
    pub(in crate::hub) fn note_change(&mut self, socket: SocketKey) {
        let (now, link) = (self.now, self.connection(socket));
        let Some(durable) = self.durable() else { return };
        let Some(change) = durable.ahead.change(socket) else { return };
        if let Some(link) = link {
            let until = now.saturating_add(durable.timeout);
            durable.withheld.begin(link, socket, change, until);
        }
    }

    /// Asks the store for what is next of the records that are written ahead. Returns false if there is
    /// nothing.
    pub(super) fn ask_ahead(&mut self) -> bool {
        let Some(durable) = self.durable() else { return false };
        let command = match durable.ahead.next() {
            None => return false,
            Some(Task::Write(socket, replaces)) => self.write_ahead(socket, replaces),
            Some(Task::Check(socket)) => {
                let key = self.key_of(socket);
                let records = self.node.as_mut().map(|node| &mut node.records);
                key.zip(records).map(|(key, records)| {
                    let number = records.ask(Command::Check(socket));
                    ClusterOutput::Fetch { key, number }
                })
            }
        };
        self.out.extend(command.map(HubOutput::Cluster));
        true
    }

    fn write_ahead(&mut self, socket: SocketKey, replaces: Option<u64>) -> Option<ClusterOutput> {
        let now = self.now;
        self.bring_up_to_date(socket.namespace);
        let recovery = self.config.recovery.as_ref()?;
        let between = recovery.max_disconnection;
        let node = self.node.as_mut()?;
        let noted = node.changes.noted();
        let durable = node.durable.as_mut()?;
        let sessions = &self.namespaces.get(&socket.namespace)?.sessions;
        let number = node.records.ask(Command::Write(socket));
        let Some(written) = (node.codec.write)(sessions, now, socket.index, number, true) else {
            node.records.answered(number);
            durable.ahead.fail(socket);
            self.note_stored(socket, None);
            increment(&mut self.totals.sessions_not_stored);
            return None;
        };
        let FetchedSession { session, expires_in } = written;
        // It is written again before that, and then kept for as long as the client may be away.
        let expires_in = expires_in.saturating_add(between);
        let times = (now.saturating_add(expires_in), now.saturating_add(between));
        durable.ahead.write(socket, number, times, noted);
        Some(ClusterOutput::Store { session, expires_in, replaces, number })
    }

    /// The answer to [`Command::Write`].
    pub(super) fn handle_written(&mut self, socket: SocketKey, number: u64, outcome: StoreOutcome) {
        let Some(durable) = self.durable() else { return };
        let answer = durable.ahead.written(socket, number, outcome);
        match answer {
            Answer::Stored(covers) => {
                let first = durable.ahead.first_unstored(socket, covers);
                self.note_stored(socket, first);
                increment(&mut self.totals.sessions_stored);
            }
            Answer::Refused => {
                // Nothing can be waited for.
                self.note_stored(socket, None);
                increment(&mut self.totals.sessions_not_stored);
            }
            _ => {}
        }
        self.go_on_ahead(socket, &answer);
    }

    /// The answer to [`Command::Check`].
    pub(super) fn handle_checked(&mut self, socket: SocketKey, found: Option<FetchedSession>) {
        let now = self.now;
        let Some(durable) = self.durable() else { return };
        let version =
            |it: FetchedSession| it.session.version.map_or(Found::Foreign, Found::Version);
        let answer = durable.ahead.checked(now, socket, found.map_or(Found::Nothing, version));
        self.go_on_ahead(socket, &answer);
    }

    /// This node has read a marker of its own.
    pub(super) fn handle_proof(&mut self, socket: SocketKey, number: u64) {
        let Some(durable) = self.durable() else { return };
        let answer = durable.ahead.proven(socket, number);
        self.go_on_ahead(socket, &answer);
    }

    fn go_on_ahead(&mut self, socket: SocketKey, answer: &Answer) {
        match answer {
            Answer::Elsewhere => self.let_go(socket),
            Answer::Unproven => self.append_marker(socket),
            Answer::Stored(_) | Answer::Refused | Answer::Here => self.answer_claim_ahead(socket),
            Answer::Claimed => {
                self.answer_claim_ahead(socket);
                // It was not handed over, and may be at the other node.
                if self.is_ahead(socket) {
                    self.let_go(socket);
                }
            }
            Answer::Late | Answer::Doubtful => {}
        }
    }

    /// It is certain now what the store has.
    fn answer_claim_ahead(&mut self, socket: SocketKey) {
        let claim = self.durable().and_then(|durable| durable.ahead.take_claim(socket));
        if let Some((id, (to, claim))) = claim {
            self.answer_late(id, &to, &claim);
        }
    }

    /// Another node has a session. Its client is sent nothing more from here.
    pub(super) fn close_link(&mut self, socket: SocketKey) -> bool {
        let Some(link) = self.connection(socket) else { return false };
        if let Some(durable) = self.durable() {
            durable.withheld.discard(link);
        }
        self.reply(link, ReplyKind::Close { reason: CloseReason::TakenOver });
        true
    }

    /// A session has ended, or has gone to another node. Returns the versions of its record that may be in
    /// the store.
    pub(super) fn forget_ahead(&mut self, socket: SocketKey) -> Versions {
        let Some(durable) = self.durable() else { return Versions::new() };
        let versions = durable.ahead.forget(socket);
        durable.links.forget(socket);
        self.note_stored(socket, None);
        versions
    }

    /// Does what is due and waits for nobody.
    #[inline(never)]
    pub(in crate::hub) fn run_cluster_timers(&mut self, now: Timestamp) {
        self.send_heartbeats(now);
        self.run_store_timers(now);
        self.end_patience(now);
    }

    /// When something of the cluster is due that no grace period postpones.
    #[inline(never)]
    pub(in crate::hub) fn cluster_timer(&self) -> Timestamp {
        let requests = self.node.as_ref().map_or(Timestamp::NEVER, |it| it.requests.deadline());
        self.heartbeat_at().min(self.store_due()).min(self.handover_due()).min(requests)
    }

    /// Writes records again, and sends what has waited for too long.
    fn run_store_timers(&mut self, now: Timestamp) {
        let Some(node) = &mut self.node else { return };
        let noted = node.changes.noted();
        let Some(durable) = &mut node.durable else { return };
        durable.ahead.refresh(now, noted);
        while let Some(link) = durable.withheld.overdue(now) {
            if durable.withheld.give_up(link) {
                increment(&mut self.totals.changes_not_awaited);
            }
        }
        self.put_out_released();
    }

    fn store_due(&self) -> Timestamp {
        let Some(node) = &self.node else { return Timestamp::NEVER };
        let durable = self.durable_ref().map_or(Timestamp::NEVER, Durable::deadline);
        durable.min(node.claims.patience_ends())
    }

    /// Takes the records of claims whose owners have not answered.
    fn end_patience(&mut self, now: Timestamp) {
        while let Some(claim) = self.node.as_mut().and_then(|it| it.claims.pop_impatient(now)) {
            let pending = self.node.as_ref().and_then(|it| it.claims.get(claim));
            if pending.is_some_and(|pending| pending.doubt.is_some()) {
                self.reconsider(claim);
            } else {
                self.use_record(claim);
            }
        }
    }
}
