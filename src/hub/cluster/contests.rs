//! Which sessions of a node others have claimed, without an answer or in vain.
//!
//! A node takes a record out of the store only after it has read its own claim in the channel. So after a lost
//! reply, a node that has seen no claim of a session knows that nobody else has it. For the others, it has to know
//! who has claimed them.

use alloc::{collections::BTreeMap, vec::Vec};

use super::pending::Process;
use crate::id::SocketKey;

/// Which sessions of a node others have claimed.
pub(super) struct Contests(BTreeMap<SocketKey, Contest>);

struct Contest {
    /// Whether a claim was answered, and the session stayed here.
    is_refused: bool,
    /// Whether a claim was not answered, because a later one came.
    has_rival: bool,
    /// The processes that have claimed the session while it was here. `None` if they are not all known.
    claimants: Option<Vec<Process>>,
}

/// So many processes are remembered for a session that they have claimed in vain.
const CLAIMANTS_MAX: usize = 64;

impl Contests {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Another node has claimed a session, and may take its record, but the session stays here.
    pub(super) fn note_refused(&mut self, socket: SocketKey) {
        self.of(socket).is_refused = true;
    }

    /// A claim of another node is not answered, because a later one has come. So its node may take the record.
    pub(super) fn note_rival(&mut self, socket: SocketKey) {
        self.of(socket).has_rival = true;
    }

    /// A process has claimed a session that is here.
    pub(super) fn note_claimant(&mut self, socket: SocketKey, process: Process) {
        let claimants = &mut self.of(socket).claimants;
        if let Some(known) = claimants.as_mut().filter(|known| !known.contains(&process)) {
            known.push(process);
        }
        claimants.take_if(|known| known.len() > CLAIMANTS_MAX);
    }

    /// The record of a session may have been taken by processes that are not known here.
    pub(super) fn note_unknown_claimants(&mut self, socket: SocketKey) {
        self.of(socket).claimants = None;
    }

    /// The session has ended or was handed over.
    pub(super) fn forget(&mut self, socket: SocketKey) {
        self.0.remove(&socket);
    }

    /// The processes that may have taken the record of a session. `None` if they are not all known.
    pub(super) fn claimants(&self, socket: SocketKey) -> Option<&[Process]> {
        self.0.get(&socket).map_or(Some(&[]), |contest| contest.claimants.as_deref())
    }

    /// Whether another node may have taken the record of a session although a marker does not show that.
    pub(super) fn is_disputed(&self, socket: SocketKey) -> bool {
        self.0.get(&socket).is_some_and(|contest| contest.is_refused || contest.has_rival)
    }

    /// Whether another node has claimed a session that was not handed over.
    pub(super) fn is_refused(&self, socket: SocketKey) -> bool {
        self.0.get(&socket).is_some_and(|contest| contest.is_refused)
    }

    fn of(&mut self, socket: SocketKey) -> &mut Contest {
        self.0.entry(socket).or_insert_with(|| Contest {
            is_refused: false,
            has_rival: false,
            claimants: Some(Vec::new()),
        })
    }
}
