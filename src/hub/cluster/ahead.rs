//! The records of sessions that the store has all the time, with
//! [`Durability::OnChange`](crate::cluster::Durability::OnChange).
//!
//! The owner of a session writes its record whenever the session changes. Each write replaces exactly
//! the version before. So an owner that another node has followed, for example because it was paused,
//! learns of that by its next write.
//!
//! ```text
//!            write                 stored
//!   Absent ─────────► Writing ───────────────► Kept ──┐ write
//!     ▲                  ▲│                     ▲ ▲   │
//!     │                  ││ superseded,         │ └───┴──► Writing
//!     │                  ││ reply lost          │
//!     │ marker read      │▼      fetch          │ one of our versions is there
//!   Proving ◄───────── Doubtful ───────► Checking ─────────► elsewhere: the session is let go
//!            nothing there, and that proves nothing
//! ```
//!
//! While it is not certain which version is there, the session is not handed over.

mod answers;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use smallvec::{SmallVec, smallvec};

use super::claim::{Successor, takes};
use crate::{id::SocketKey, time::Timestamp};

/// The versions of a record that may be in the store.
pub(super) type Versions = SmallVec<[u64; 2]>;

/// The records of all sessions of a node.
pub(super) struct Ahead {
    records: BTreeMap<SocketKey, Record>,
    /// Those that are to be written or looked at, in order.
    waiting: VecDeque<SocketKey>,
    /// When each record has to be written again, so that the store does not forget it.
    refreshes: BTreeSet<(Timestamp, SocketKey)>,
    /// The number of the latest change of any session.
    changes: u64,
}

struct Record {
    state: State,
    /// The number of its latest change, and of the latest change that the store has.
    changed: u64,
    stored: u64,
    /// Whether it is in `waiting`.
    is_waiting: bool,
    /// Until when the store keeps the version that it certainly had.
    kept_until: Timestamp,
    /// When it is written again, and how many changes of many sockets the node had noted when it was
    /// written.
    again: Timestamp,
    noted: u64,
    /// Whether another node has claimed the session and is not answered, so that it may take the record.
    is_contested: bool,
    /// The latest claim, which waits until it is certain what the store has. It may take the record, too.
    claim: Option<(u32, Successor)>,
}

enum State {
    /// Nothing is in the store.
    Absent,
    /// The store has this version.
    Kept(u64),
    /// This version is on its way, with all changes up to a number. It replaces another one.
    Writing { number: u64, replaces: Option<u64>, covers: u64, until: Timestamp },
    /// One of these versions is in the store, or a version of another node, or nothing.
    Doubtful(Versions),
    /// The store was asked which one it is.
    Checking(Versions),
    /// Nothing is there. The session goes on here once the marker with this number was read.
    Proving(u64),
}

/// What to do for a record.
pub(super) enum Task {
    /// Write it. It replaces this version.
    Write(SocketKey, Option<u64>),
    /// Ask the store which version it has.
    Check(SocketKey),
}

/// What the store has.
#[derive(Clone, Copy)]
pub(super) enum Found {
    Nothing,
    Version(u64),
    /// A session of a Node.js server.
    Foreign,
}

/// What is known after the answer to a write, or to the question which version is there.
pub(super) enum Answer {
    /// Nobody waits for it any more.
    Late,
    /// The store has the session as it was at the change with this number.
    Stored(u64),
    /// The engine does not take it.
    Refused,
    /// It will be asked which version is there.
    Doubtful,
    /// The session is this node's.
    Here,
    /// Another node has it.
    Elsewhere,
    /// A marker has to prove that no other node has it.
    Unproven,
    /// Nobody has it, or the node whose claim waits. It has taken the record then, and needs no answer.
    Claimed,
}

/// A record is written again before so many changes of many sockets have come that the first of them
/// are forgotten: it could not be brought up to date then.
const CHANGES_BETWEEN: u64 = 32_768;

impl Ahead {
    pub(super) fn new() -> Self {
        Self {
            records: BTreeMap::new(),
            waiting: VecDeque::new(),
            refreshes: BTreeSet::new(),
            changes: 0,
        }
    }

    pub(super) fn contains(&self, socket: SocketKey) -> bool {
        self.records.contains_key(&socket)
    }

    /// A session is here. `certain` is the version of its record that is in the store, if that is
    /// known; otherwise one of `possible` may be.
    pub(super) fn arrive(&mut self, socket: SocketKey, certain: Option<u64>, possible: Versions) {
        let state = match certain {
            Some(version) if possible.is_empty() => State::Kept(version),
            None if possible.is_empty() => State::Absent,
            _ => State::Doubtful(certain.into_iter().chain(possible).collect()),
        };
        let record = Record {
            state,
            changed: 0,
            stored: 0,
            is_waiting: false,
            kept_until: Timestamp::ZERO,
            again: Timestamp::NEVER,
            noted: 0,
            is_contested: false,
            claim: None,
        };
        self.records.insert(socket, record);
    }

    /// A session has changed. Returns the number of the change. `None` if the session has no record.
    pub(super) fn change(&mut self, socket: SocketKey) -> Option<u64> {
        let record = self.records.get_mut(&socket)?;
        self.changes = self.changes.saturating_add(1);
        record.changed = self.changes;
        self.wake(socket);
        Some(self.changes)
    }

    /// The number of the latest change of any session.
    pub(super) fn latest(&self) -> u64 {
        self.changes
    }

    /// The first change of a session after this one. `None` if there is none.
    pub(super) fn first_unstored(&self, socket: SocketKey, covers: u64) -> Option<u64> {
        let record = self.records.get(&socket)?;
        (record.changed > covers).then(|| covers.saturating_add(1))
    }

    /// The version that the store has. `None` if there is none; while that is not certain, see
    /// [`postpone`](Self::postpone).
    pub(super) fn kept(&self, socket: SocketKey) -> Option<u64> {
        match self.records.get(&socket)?.state {
            State::Kept(version) => Some(version),
            _ => None,
        }
    }

    /// Keeps a claim until it is certain what the store has. Returns false if that is certain.
    pub(super) fn postpone(
        &mut self,
        socket: SocketKey,
        claim: impl FnOnce() -> (u32, Successor),
    ) -> bool {
        let Some(record) = self.records.get_mut(&socket) else { return false };
        let is_certain = match record.state {
            State::Absent => true,
            State::Kept(_) => !record.is_contested,
            _ => false,
        };
        if is_certain {
            return false;
        }
        record.is_contested |= record.is_promised();
        record.claim = Some(claim());
        if matches!(record.state, State::Kept(_)) {
            // The next write shows whether another node has it.
            self.change(socket);
        }
        true
    }

    /// Whether a session goes to another node as soon as it is certain what the store has.
    pub(super) fn is_promised(&self, socket: SocketKey) -> bool {
        self.records.get(&socket).is_some_and(Record::is_promised)
    }

    /// A claim was not answered. The other node may take the record.
    pub(super) fn contest(&mut self, socket: SocketKey) {
        if let Some(record) = self.records.get_mut(&socket) {
            record.is_contested = true;
        }
    }

    /// The claim that has waited, if it need not wait any longer.
    pub(super) fn take_claim(&mut self, socket: SocketKey) -> Option<(u32, Successor)> {
        let record = self.records.get_mut(&socket)?;
        let is_certain = matches!(record.state, State::Absent | State::Kept(_));
        record.claim.take_if(|_| is_certain)
    }

    /// The session has ended, or has gone to another node. Returns the versions that may be in the
    /// store.
    pub(super) fn forget(&mut self, socket: SocketKey) -> Versions {
        let record = self.records.remove(&socket);
        if let Some(record) = &record {
            self.refreshes.remove(&(record.again, socket));
        }
        match record.map(|record| record.state) {
            None | Some(State::Absent | State::Proving(_)) => Versions::new(),
            Some(State::Kept(version)) => smallvec![version],
            Some(State::Writing { number, replaces, .. }) => {
                replaces.into_iter().chain([number]).collect()
            }
            Some(State::Doubtful(versions) | State::Checking(versions)) => versions,
        }
    }

    /// How many records wait until the store is asked. What it was asked counts as a command, and a marker
    /// as a step of the channel.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What to do next.
    pub(super) fn next(&mut self) -> Option<Task> {
        while let Some(socket) = self.waiting.pop_front() {
            let Some(record) = self.records.get_mut(&socket) else { continue };
            record.is_waiting = false;
            match &mut record.state {
                State::Absent => return Some(Task::Write(socket, None)),
                State::Kept(version) => return Some(Task::Write(socket, Some(*version))),
                State::Doubtful(versions) => {
                    record.state = State::Checking(core::mem::take(versions));
                    return Some(Task::Check(socket));
                }
                // It is its turn after the answer.
                State::Writing { .. } | State::Checking(_) | State::Proving(_) => {}
            }
        }
        self.waiting = VecDeque::new();
        None
    }

    /// A record is on its way. The store keeps it until `until`, and it is written again at `again`.
    pub(super) fn write(
        &mut self,
        socket: SocketKey,
        number: u64,
        (until, again): (Timestamp, Timestamp),
        noted: u64,
    ) {
        let Some(record) = self.records.get_mut(&socket) else { return };
        let replaces = match record.state {
            State::Kept(version) => Some(version),
            _ => None,
        };
        record.state = State::Writing { number, replaces, covers: record.changed, until };
        self.refreshes.remove(&(record.again, socket));
        self.refreshes.insert((again, socket));
        (record.again, record.noted) = (again, noted);
    }

    /// A record could not be written.
    pub(super) fn fail(&mut self, socket: SocketKey) {
        if let Some(record) = self.records.get_mut(&socket) {
            record.stored = record.changed;
        }
    }

    /// When the next record has to be written again.
    pub(super) fn refresh_at(&self) -> Timestamp {
        self.refreshes.first().map_or(Timestamp::NEVER, |it| it.0)
    }

    /// Notes the records that have to be written again. `noted` is the number of changes of many
    /// sockets.
    pub(super) fn refresh(&mut self, now: Timestamp, noted: u64) {
        while let Some((at, socket)) = self.refreshes.first().copied() {
            let before = self.records.get(&socket).map_or(noted, |record| record.noted);
            if at > now && noted.saturating_sub(before) < CHANGES_BETWEEN {
                return;
            }
            self.refreshes.pop_first();
            self.wake(socket);
        }
    }

    fn wake(&mut self, socket: SocketKey) {
        if let Some(record) = self.records.get_mut(&socket).filter(|record| !record.is_waiting) {
            record.is_waiting = true;
            self.waiting.push_back(socket);
        }
    }

    fn wake_if_changed(&mut self, socket: SocketKey) {
        if self.records.get(&socket).is_some_and(|record| record.changed > record.stored) {
            self.wake(socket);
        }
    }
}

impl Record {
    /// Whether the claim that waits takes the session. It may also take the record. One that yields does
    /// neither, as long as a client or another claim wants the session.
    fn is_promised(&self) -> bool {
        self.claim.as_ref().is_some_and(takes)
    }

    fn leave_to_claim(&mut self) -> Answer {
        self.state = State::Absent;
        Answer::Claimed
    }
}
