//! Where the record of one parked session is.

use super::ahead::Versions;

/// Where the record of a parked session is.
pub(super) struct Record {
    pub(super) state: State,
    /// The version that the store has, or may have.
    pub(super) version: u64,
    /// The version before it, which may still be there instead.
    pub(super) older: Option<u64>,
    /// Whether the session has changed since the version was written.
    pub(super) is_outdated: bool,
    /// One of the versions was there. If none of them is, and no earlier command of this node has taken it,
    /// someone else has it.
    pub(super) was_there: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is here, and goes to the store.
    Waiting,
    /// It is here, because the engine does not take it.
    Refused,
    /// The store was told to keep it.
    Storing,
    /// The store has it.
    Stored,
    /// The store has it, and was told to replace it.
    Replacing,
    /// A reply was lost.
    Unknown,
    /// The store was asked whether it has it.
    Looking,
    /// The store was told to give it back. Contains whether it was there, if that is known.
    Taking(Option<bool>),
    /// It is not in the store. It is here once the marker with this number was read.
    Proving(u64),
    /// It is not in the store. It is here once the processes that have claimed it have said that they do not have it.
    Asking,
}

/// Whether a record may be in the store, for a node that the session goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InStore {
    pub(super) version: u64,
    /// The version before it, which may still be there instead.
    pub(super) older: Option<u64>,
    /// Whether the version certainly was there.
    pub(super) is_certain: bool,
    /// Whether one of both certainly was there.
    pub(super) was_there: bool,
    /// Whether the session may have changed since.
    pub(super) is_outdated: bool,
}

impl InStore {
    /// The store has this version, and it is all that there is to know of the session.
    pub(super) const fn certain(version: u64) -> Self {
        Self { version, older: None, is_certain: true, was_there: true, is_outdated: false }
    }

    /// The store may have this version.
    pub(super) const fn uncertain(version: u64) -> Self {
        Self { version, older: None, is_certain: false, was_there: false, is_outdated: false }
    }

    pub(super) fn versions(self) -> Versions {
        self.older.into_iter().chain([self.version]).collect()
    }
}

impl Record {
    pub(super) const fn new(state: State, version: u64) -> Self {
        Self { state, version, older: None, is_outdated: false, was_there: false }
    }

    /// The record of a session that has arrived from another node.
    pub(super) const fn arrived(in_store: InStore) -> Self {
        let InStore { version, older, is_certain, was_there, is_outdated } = in_store;
        let state = if is_certain { State::Stored } else { State::Unknown };
        Self { state, version, older, is_outdated, was_there }
    }

    pub(super) const fn in_store(&self) -> Option<InStore> {
        let is_certain = match self.state {
            State::Waiting | State::Refused => return None,
            State::Stored => true,
            State::Storing
            | State::Replacing
            | State::Unknown
            | State::Looking
            | State::Taking(_)
            | State::Proving(_)
            | State::Asking => false,
        };
        let Self { version, older, is_outdated, .. } = *self;
        let was_there = is_certain || matches!(self.state, State::Replacing);
        Some(InStore { version, older, is_certain, was_there, is_outdated })
    }

    /// Whether the store or other nodes are going to say where the record is. A session that `is_disputed` is not
    /// handed over before that: another node may have its record already.
    pub(super) const fn awaits_answer(&self, is_disputed: bool) -> bool {
        match self.state {
            State::Storing | State::Taking(_) | State::Asking => true,
            State::Unknown | State::Looking => self.was_there || is_disputed,
            State::Proving(_) => is_disputed,
            State::Waiting | State::Refused | State::Stored | State::Replacing => false,
        }
    }

    /// Whether the store may have this version.
    pub(super) fn may_be(&self, version: u64) -> bool {
        self.version == version || self.older == Some(version)
    }

    pub(super) fn is_to_be_replaced(&self) -> bool {
        self.is_outdated && self.state == State::Stored
    }

    /// It is replaced by the version with this number. Returns the one that it replaces.
    pub(super) const fn replace(&mut self, number: u64) -> u64 {
        let replaced = self.version;
        self.state = State::Replacing;
        self.version = number;
        self.older = Some(replaced);
        self.is_outdated = false;
        replaced
    }

    /// The store has this one of the versions.
    pub(super) fn settle(&mut self, version: u64) {
        self.is_outdated |= self.older == Some(version);
        self.state = State::Stored;
        self.version = version;
        self.older = None;
        self.was_there = false;
    }

    /// The engine does not take the latest version. The one before is there.
    pub(super) fn take_back(&mut self) {
        self.settle(self.older.unwrap_or(self.version));
    }

    /// The store is told to give it back. Returns the version that it is to have.
    pub(super) fn take(&mut self) -> u64 {
        let was_there = (self.state == State::Stored || self.was_there).then_some(true);
        self.state = State::Taking(was_there);
        self.version
    }

    /// The connection is lost. Returns whether a reply is lost by that.
    pub(super) const fn lose_reply(&mut self) -> bool {
        // What an earlier command has taken may be lost with its answer.
        self.was_there = false;
        let is_lost = match self.state {
            State::Storing
            | State::Replacing
            | State::Looking
            | State::Taking(_)
            | State::Proving(_)
            | State::Asking => true,
            State::Waiting | State::Refused | State::Stored | State::Unknown => false,
        };
        if is_lost {
            self.state = State::Unknown;
        }
        is_lost
    }
}
