//! Where the records of the parked sessions of a node are, and what the store is asked.
//!
//! At any time, either a node or the store has the *right* to a session. A node that parks a session
//! puts its record into the store, and the right with it. Whoever wants to continue the session takes
//! the record out first: of several nodes that try, one gets it.
//!
//! ```text
//!             Store              stored              Take           taken
//!   Waiting ────────► Storing ────────► Stored ─────────► Taking ────────► here
//!      ▲                 │                │ ▲                │
//!      └─ parked         │       replaces ▼ │ stored         │
//!                        │            Replacing              │
//!                        │ connection lost │ connection lost │ connection lost
//!                        └──────────────► Unknown ◄──────────┘
//!                                          │ connected again: Fetch
//!                           there: Stored ◄┴─► not there: Proving ─► here again
//!                                              contested: Asking ──────┘
//! ```
//!
//! After a lost reply, the record stays where it is, so that it is not lost with this process. It is taken only
//! if the session is wanted here.
//!
//! A session that changes while its record is in the store is written again, in place of exactly the
//! version that is there. So the store has one of both all the time. Which one is not known before the
//! answer. If another node has taken the old version meanwhile, the session goes on there without the
//! change.
//!
//! If a reply was lost and the record is not there, either it never was, or another node has taken
//! it. Another node takes a record only after it has read its own claim in the channel. So this node
//! appends a marker. If it reads the marker before a claim of the session, nobody has taken it. A session
//! that stays here although a claim of it was read is *contested*: no marker proves anything about it, and the
//! processes that have claimed it are [asked](super::doubt).

mod answers;

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry},
    vec::Vec,
};

use super::{
    ahead::Versions,
    commands::{Command, Next},
    contests::Contests,
    placed::{InStore, Record, State},
};
use crate::{
    hub::request::ConnectRequest,
    id::{RecoveryKey, SocketKey},
};

/// Where the records of the parked sessions of a node are.
pub(super) struct Records {
    /// Sessions that are not here are not in the store.
    states: BTreeMap<SocketKey, Record>,
    /// Sessions in the order in which their records go to the store.
    waiting: VecDeque<SocketKey>,
    /// Sessions whose records are to be taken.
    wanted: BTreeSet<SocketKey>,
    /// Sessions whose records are to be replaced, because they have changed.
    changed: BTreeSet<SocketKey>,
    /// Sessions of which it is to be found out whether the store has their records.
    doubtful: BTreeSet<SocketKey>,
    pub(super) contests: Contests,
    /// The versions with which sessions were taken out of the store, so that no other node has got them.
    origins: BTreeMap<SocketKey, u64>,
    /// Claims that wait for the records of their sessions.
    requests: BTreeMap<SocketKey, Vec<ConnectRequest>>,
    /// Records of sessions that have ended.
    discards: VecDeque<(RecoveryKey, u64)>,
    /// Claims of sessions of other nodes, whose records are to be fetched.
    fetches: BTreeSet<u64>,
    /// What was not answered yet, by number.
    commands: BTreeMap<u64, Command>,
    latest: u64,
}

/// Whether a record that was asked for is there.
#[derive(Clone, Copy)]
pub(super) enum Recalled {
    /// The session continues here.
    Here,
    /// Another node has it.
    Elsewhere,
    /// A marker has to prove that no other node has it.
    Unproven,
    /// The processes that have claimed it have to say that they do not have it.
    Contested,
    /// Nobody waits for the answer any more.
    Late,
}

/// More commands than this are not given before the first of them is answered.
const COMMANDS_MAX: usize = 256;

/// More records of ended sessions than this do not wait for the engine. The store forgets the others
/// when their time is up.
const DISCARDS_MAX: usize = 10_000;

impl Records {
    pub(super) fn new(nonce: u64) -> Self {
        Self {
            states: BTreeMap::new(),
            waiting: VecDeque::new(),
            wanted: BTreeSet::new(),
            changed: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            contests: Contests::new(),
            origins: BTreeMap::new(),
            requests: BTreeMap::new(),
            discards: VecDeque::new(),
            fetches: BTreeSet::new(),
            commands: BTreeMap::new(),
            latest: nonce,
        }
    }

    /// A session was parked here, or is not claimed any longer.
    pub(super) fn park(&mut self, socket: SocketKey) {
        if let Entry::Vacant(entry) = self.states.entry(socket) {
            entry.insert(Record::new(State::Waiting, 0));
            self.waiting.push_back(socket);
        }
    }

    /// A session has arrived from another node.
    pub(super) fn arrive(&mut self, socket: SocketKey, in_store: InStore) {
        self.states.insert(socket, Record::arrived(in_store));
        if !in_store.is_certain {
            self.find_out(socket);
        }
        self.replace_if_outdated(socket);
    }

    /// A session has come out of the store, where its record had this version.
    pub(super) fn note_origin(&mut self, socket: SocketKey, version: Option<u64>) {
        self.origins.extend(version.map(|version| (socket, version)));
    }

    /// The version with which this session was taken out of the store.
    pub(super) fn origin(&self, socket: SocketKey) -> Option<u64> {
        self.origins.get(&socket).copied()
    }

    /// Whether the record of a session may be in the store. If so, nothing can be changed here.
    pub(super) fn in_store(&self, socket: SocketKey) -> Option<InStore> {
        self.states.get(&socket)?.in_store()
    }

    /// Whether the store or other nodes are going to say where the record of a session is.
    pub(super) fn awaits_answer(&self, socket: SocketKey) -> bool {
        let is_disputed = self.contests.is_disputed(socket);
        self.states.get(&socket).is_some_and(|record| record.awaits_answer(is_disputed))
    }

    /// A session has changed. If its record is in the store, it is replaced there.
    pub(super) fn change(&mut self, socket: SocketKey) {
        if let Some(record) = self.states.get_mut(&socket) {
            record.is_outdated = true;
            self.replace_if_outdated(socket);
        }
    }

    /// The record of a session of this node is wanted, for a claim or because it cannot be replaced.
    /// Returns true if it is here.
    pub(super) fn recall(&mut self, socket: SocketKey, request: Option<ConnectRequest>) -> bool {
        if self.in_store(socket).is_none() {
            self.states.remove(&socket);
            return true;
        }
        let state = self.states.get(&socket).map(|record| record.state);
        if !matches!(state, Some(State::Replacing | State::Taking(_) | State::Proving(_))) {
            self.wanted.insert(socket);
        }
        self.requests.entry(socket).or_default().extend(request);
        false
    }

    /// A claim does not wait any more. If it was the last one, the record stays where it is, so that it is
    /// not lost with this process.
    pub(super) fn abandon(&mut self, socket: SocketKey, request: ConnectRequest) {
        let Some(requests) = self.requests.get_mut(&socket) else { return };
        requests.retain(|it| *it != request);
        if !requests.is_empty() {
            return;
        }
        self.requests.remove(&socket);
        self.wanted.remove(&socket);
        if self.states.get(&socket).is_some_and(|record| record.state == State::Unknown) {
            self.find_out(socket);
        }
        // One that cannot be replaced is wanted again.
        self.replace_if_outdated(socket);
    }

    /// The claims that have waited for the record of a session.
    pub(super) fn take_requests(&mut self, socket: SocketKey) -> Vec<ConnectRequest> {
        self.requests.remove(&socket).unwrap_or_default()
    }

    /// The session has ended or was handed over. Returns the versions that may be in the store.
    pub(super) fn forget(&mut self, socket: SocketKey) -> Versions {
        let in_store = self.in_store(socket);
        self.states.remove(&socket);
        self.wanted.remove(&socket);
        self.changed.remove(&socket);
        self.doubtful.remove(&socket);
        self.contests.forget(socket);
        self.origins.remove(&socket);
        in_store.map(InStore::versions).unwrap_or_default()
    }

    /// The record of a session that has ended is not needed any more.
    pub(super) fn discard(&mut self, key: RecoveryKey, version: u64) {
        self.discards.push_back((key, version));
        if self.discards.len() > DISCARDS_MAX {
            self.discards.pop_front();
        }
    }

    /// The record for a claim is to be fetched.
    pub(super) fn fetch(&mut self, claim: u64) {
        self.fetches.insert(claim);
    }

    /// Whether the store is to be asked for something.
    pub(super) fn has_work(&self) -> bool {
        !(self.waiting.is_empty()
            && self.wanted.is_empty()
            && self.changed.is_empty()
            && self.doubtful.is_empty()
            && self.discards.is_empty()
            && self.fetches.is_empty())
    }

    /// What to ask the store next. `None` if there is nothing, or too much is unanswered.
    pub(super) fn next(&mut self) -> Option<Next> {
        if !self.has_room() {
            return None;
        }
        if let Some(claim) = self.fetches.pop_first() {
            return Some(Next::Fetch { claim, number: self.ask(Command::Fetch(claim)) });
        }
        if let Some(socket) = self.wanted.pop_first() {
            let version = self.states.get_mut(&socket).map_or(0, Record::take);
            let number = self.ask(Command::Recall(socket));
            return Some(Next::Recall { socket, version, number });
        }
        while let Some(socket) = self.doubtful.pop_first() {
            let record = self.states.get_mut(&socket);
            if let Some(record) = record.filter(|record| record.state == State::Unknown) {
                record.state = State::Looking;
                return Some(Next::Look { socket, number: self.ask(Command::Look(socket)) });
            }
        }
        while let Some(socket) = self.changed.pop_first() {
            if self.states.get(&socket).is_some_and(Record::is_to_be_replaced) {
                return Some(Next::Replace(socket));
            }
        }
        if let Some((key, version)) = self.discards.pop_front() {
            let number = self.ask(Command::Discard(key, version));
            return Some(Next::Discard { key, version, number });
        }
        while let Some(socket) = self.waiting.pop_front() {
            if self.states.get(&socket).is_some_and(|record| record.state == State::Waiting) {
                return Some(Next::Store(socket));
            }
        }
        self.waiting = VecDeque::new();
        None
    }

    /// The number of a command, which is also the version of a record that it stores.
    pub(super) fn ask(&mut self, command: Command) -> u64 {
        self.latest = self.latest.wrapping_add(1);
        self.commands.insert(self.latest, command);
        if let Command::Store(socket) = command {
            self.states.insert(socket, Record::new(State::Storing, self.latest));
        }
        self.latest
    }

    /// Whether another command can be given.
    pub(super) fn has_room(&self) -> bool {
        self.commands.len() < COMMANDS_MAX
    }

    /// The session need not be stored.
    pub(super) fn keep(&mut self, socket: SocketKey) {
        self.states.remove(&socket);
    }

    /// The record of a session is replaced by the version with this number. Returns the one that it
    /// replaces.
    pub(super) fn replace(&mut self, socket: SocketKey, number: u64) -> Option<u64> {
        self.states.get_mut(&socket).map(|record| record.replace(number))
    }

    /// The answer to a command.
    pub(super) fn answered(&mut self, number: u64) -> Option<Command> {
        self.commands.remove(&number)
    }

    /// How many records are on their way to the store.
    pub(super) fn on_their_way(&self) -> usize {
        let asked = self.commands.values().filter(|command| command.is_own()).count();
        let is_not_wanted = |socket: &&SocketKey| !self.wanted.contains(socket);
        let others = self.changed.union(&self.doubtful).filter(is_not_wanted).count();
        let queues = [self.waiting.len(), self.wanted.len(), others, self.discards.len()];
        queues.into_iter().fold(asked, usize::saturating_add)
    }

    /// A reply was lost. If nobody waits for the session, its record stays where it is.
    fn find_out(&mut self, socket: SocketKey) {
        let is_wanted = self.requests.contains_key(&socket);
        let to = if is_wanted { &mut self.wanted } else { &mut self.doubtful };
        to.insert(socket);
    }

    fn want_if_claimed(&mut self, socket: SocketKey) {
        if self.requests.contains_key(&socket) {
            self.wanted.insert(socket);
        }
    }

    fn replace_if_outdated(&mut self, socket: SocketKey) {
        if self.states.get(&socket).is_some_and(Record::is_to_be_replaced) {
            self.changed.insert(socket);
        }
    }

    fn is_here(&mut self, socket: SocketKey) -> Recalled {
        self.states.remove(&socket);
        self.wanted.remove(&socket);
        self.changed.remove(&socket);
        Recalled::Here
    }
}
