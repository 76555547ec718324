//! For tests: records changes, and dumps the state that they produce.

use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::fmt;
use std::sync::Mutex;

use super::{Change, Sessions};
use crate::{id::Generation, socket::NamespaceName, time::Timestamp};

/// The changes of the namespaces of a hub, in order.
pub(in crate::hub) type Entries<D> = Arc<Mutex<Vec<Entry<D>>>>;

#[derive(Clone, Debug)]
pub(in crate::hub) enum Entry<D> {
    /// A namespace was created.
    Made { name: NamespaceName, epoch: u64, next_ack: u64 },
    /// A namespace was removed.
    Gone { name: NamespaceName },
    /// Its sessions or its log have changed.
    Changed { name: NamespaceName, now: Timestamp, change: Change<'static, D> },
}

/// Records changes. Does nothing by default.
pub(in crate::hub) struct Journal<D>(Option<Recorder<D>>);

struct Recorder<D> {
    entries: Entries<D>,
    own: fn(&Change<'_, D>) -> Change<'static, D>,
}

impl<D> Journal<D> {
    pub(in crate::hub) fn new(entries: Entries<D>) -> Self
    where
        D: Clone,
    {
        Self(Some(Recorder { entries, own: |change| change.clone().into_owned() }))
    }

    pub(super) fn change(&self, name: &NamespaceName, now: Timestamp, change: &Change<'_, D>) {
        if let Some(recorder) = &self.0 {
            let change = (recorder.own)(change);
            self.note(Entry::Changed { name: name.clone(), now, change });
        }
    }

    pub(in crate::hub) fn note(&self, entry: Entry<D>) {
        if let Some(recorder) = &self.0 {
            recorder.entries.lock().unwrap().push(entry);
        }
    }
}

impl<D> Clone for Journal<D> {
    fn clone(&self) -> Self {
        let recorder = self.0.as_ref();
        Self(recorder.map(|it| Recorder { entries: it.entries.clone(), own: it.own }))
    }
}

impl<D> Default for Journal<D> {
    fn default() -> Self {
        Self(None)
    }
}

impl<D> Entry<D> {
    /// All values that [`Entry::kind`] can return.
    pub(in crate::hub) const KINDS: [&'static str; 31] = [
        "Made",
        "Gone",
        "Open",
        "Attach",
        "Park",
        "End",
        "Join",
        "Leave",
        "SetData",
        "TakeAckId",
        "Publish",
        "JoinAll",
        "LeaveAll",
        "EndAll",
        "SettleAck",
        "ExpireLog",
        "Count",
        "Accept",
        "Answer",
        "Withdraw",
        "Question",
        "Hold",
        "Release",
        "Reach",
        "UnusedTurn",
        "Replay",
        "Refuse",
        "Import",
        "Arrive",
        "Advance",
        "Follow",
    ];

    pub(in crate::hub) fn kind(&self) -> &'static str {
        let Self::Changed { change, .. } = self else {
            return if matches!(self, Self::Made { .. }) { "Made" } else { "Gone" };
        };
        match change {
            Change::Open(_) => "Open",
            Change::Attach { .. } => "Attach",
            Change::Park { .. } => "Park",
            Change::End { .. } => "End",
            Change::Join { .. } => "Join",
            Change::Leave { .. } => "Leave",
            Change::SetData { .. } => "SetData",
            Change::TakeAckId { .. } => "TakeAckId",
            Change::Publish { .. } => "Publish",
            Change::JoinAll { .. } => "JoinAll",
            Change::LeaveAll { .. } => "LeaveAll",
            Change::EndAll { .. } => "EndAll",
            Change::SettleAck { .. } => "SettleAck",
            Change::ExpireLog => "ExpireLog",
            Change::Count { .. } => "Count",
            Change::Accept { .. } => "Accept",
            Change::Answer { .. } => "Answer",
            Change::Withdraw { .. } => "Withdraw",
            Change::Question { .. } => "Question",
            Change::Hold { .. } => "Hold",
            Change::Release { .. } => "Release",
            Change::Reach { .. } => "Reach",
            Change::UnusedTurn { .. } => "UnusedTurn",
            Change::Replay { .. } => "Replay",
            Change::Refuse { .. } => "Refuse",
            Change::Import { .. } => "Import",
            Change::Arrive { .. } => "Arrive",
            Change::Advance { .. } => "Advance",
            Change::Follow { .. } => "Follow",
        }
    }
}

impl<D: fmt::Debug> Sessions<D> {
    /// Dumps the whole state of the sessions.
    pub(in crate::hub) fn dump(&self) -> String {
        let members: Vec<_> = self.members.iter().collect();
        format!(
            "{:#?}",
            (
                &self.name,
                (members, self.members.vacant_key(), &self.member_cuts),
                &self.log,
                (&self.claims, &self.expiries, &self.attempts, &self.left_open, self.next_ack),
            )
        )
    }
}

impl<D> Sessions<D> {
    /// Records the creation of a namespace with this epoch, and its changes from now on.
    pub(in crate::hub) fn recorded(mut self, journal: &Journal<D>, epoch: u64) -> Self {
        let (name, next_ack) = (self.name.clone(), self.next_ack);
        journal.note(Entry::Made { name, epoch, next_ack });
        self.journal = journal.clone();
        self
    }

    /// Indices and generations of the sessions that have private ids.
    pub(in crate::hub) fn with_keys(&self) -> impl Iterator<Item = (u32, Generation)> {
        let members = self.members.iter().filter(|(_, member)| member.key.is_some());
        members.map(|(index, member)| (u32::try_from(index).unwrap(), member.generation))
    }
}
