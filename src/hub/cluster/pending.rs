//! One claim of a node that others have not answered.

use alloc::{boxed::Box, collections::BTreeSet, vec::Vec};
use core::{mem, ops::RangeInclusive};

use crate::{
    cluster::{
        FetchedSession,
        message::{Message, NodeId},
    },
    hub::request::ConnectRequest,
    id::{IdBytes, RecoveryKey, SocketKey},
    recovery::{Offset, RecoveryRefusal},
    time::Timestamp,
};

/// One claim. `S` is a later claim of another node.
#[derive(Clone)]
pub(super) struct Pending<S> {
    pub(super) key: RecoveryKey,
    pub(super) request: ConnectRequest,
    /// Its offset as the client has presented it.
    pub(super) offset: Option<Box<str>>,
    pub(super) priority: Priority,
    pub(super) end: Timestamp,
    /// Until when it waits for an owner that has a record in the store.
    pub(super) patience: Timestamp,
    /// The position of the claim. `None` before this node has read it.
    pub(super) position: Option<Offset>,
    /// The latest of the later claims of other nodes.
    pub(super) successor: Option<S>,
    /// How many there were.
    pub(super) successors: u32,
    /// What the store knows of the session.
    pub(super) lookup: Lookup,
    /// Whether the store was asked once more, because the time of the claim was over.
    pub(super) has_looked_again: bool,
    /// Why its owner does not hand the session over, if the record was on its way here by then.
    pub(super) refused: Option<RecoveryRefusal>,
    /// If it is for no client: the session that it asks the other nodes about.
    pub(super) doubt: Option<Doubt>,
    /// Whether its session has come here for another claim.
    pub(super) has_come: bool,
    /// The nodes that do not have the session. `None` if another node has said goodbye meanwhile: it may
    /// have handed the session over before.
    pub(super) absent: Option<BTreeSet<NodeId>>,
}

/// Whether a claim takes the session from a client that has it, or waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    Takes,
    Yields,
}

/// What the store was asked for a claim, and has answered.
#[derive(Clone, Default)]
pub(super) struct Lookup {
    /// The record that was found.
    pub(super) found: Option<FetchedSession>,
    /// Whether the store was asked for the record, and has not answered.
    pub(super) is_fetched: bool,
    /// Whether the record is being taken out of the store.
    pub(super) is_taken: bool,
    /// Whether the store has no record.
    pub(super) has_none: bool,
    /// The version of the record with which nobody else can have got the session.
    pub(super) origin: Option<u64>,
    /// The version with which the record is being replaced.
    pub(super) replaced_as: Option<u64>,
}

/// A session of this node that another node may have.
#[derive(Clone)]
pub(super) struct Doubt {
    pub(super) socket: SocketKey,
    /// Whether the claim is in the channel, or on its way there.
    pub(super) is_asked: bool,
    /// The processes that do not have the session.
    pub(super) denied: Vec<Process>,
}

/// A node, and the number that tells its process from an earlier one with the same name.
pub(super) type Process = (NodeId, u64);

/// The process that has sent a message.
pub(super) fn process_of(message: &Message) -> Option<Process> {
    message.stamp.map(|stamp| (message.sender.clone(), stamp.nonce))
}

impl<S> Pending<S> {
    pub(super) fn new(
        (key, offset, priority): (RecoveryKey, Option<Box<str>>, Priority),
        request: ConnectRequest,
        end: Timestamp,
        patience: Timestamp,
    ) -> Self {
        Self {
            key,
            request,
            offset,
            priority,
            end,
            patience,
            position: None,
            successor: None,
            successors: 0,
            lookup: Lookup::default(),
            has_looked_again: false,
            refused: None,
            doubt: None,
            has_come: false,
            absent: Some(BTreeSet::new()),
        }
    }

    /// Whether the engine has to answer: it has not shown the claim yet, or the store was asked. If nothing in
    /// its channel is `behind`, the claim was given up in a gap.
    pub(super) const fn awaits_engine(&self, is_behind: bool) -> bool {
        (self.position.is_none() && is_behind) || self.lookup.is_fetched || self.lookup.is_taken
    }

    /// The store is to be asked once more. Returns false if it was already, or need not be. A claim that yields takes no
    /// record from a node that does not answer.
    pub(super) fn begin_last_look(&mut self) -> bool {
        let is_read = self.position.is_some() && self.priority == Priority::Takes;
        is_read && !self.has_come && !mem::replace(&mut self.has_looked_again, true)
    }

    /// Whether the channel can have assigned its offset before it.
    pub(super) fn has_offset_before(&self) -> bool {
        self.position.is_some_and(|claim| is_before(self.offset.as_deref(), claim))
    }
}

impl Lookup {
    /// The version of the record that was found. That of an official node has none.
    pub(super) fn version(&self) -> Option<u64> {
        self.found.as_ref().and_then(|found| found.session.version)
    }
}

impl Doubt {
    pub(super) const fn new(socket: SocketKey) -> Self {
        Self { socket, is_asked: false, denied: Vec::new() }
    }
}

/// Whether the channel can have assigned an offset before a claim. All nodes judge alike, whatever they
/// have read since.
pub(super) fn is_before(offset: Option<&str>, claim: Offset) -> bool {
    let Some(text) = offset else { return true };
    text.parse::<Offset>().is_ok_and(|offset| offset.has_form_of(claim) && offset < claim)
}

/// Where the numbers of the claims of a session are in an index by private id.
pub(super) fn numbers_of(key: RecoveryKey) -> RangeInclusive<(IdBytes, u64)> {
    let key = key.index_key();
    (key, 0)..=(key, u64::MAX)
}
