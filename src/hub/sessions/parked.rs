//! A parked session as plain data, for the store of a cluster.

use alloc::{boxed::Box, collections::BTreeSet, vec::Vec};
use core::{fmt, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use super::{
    Sessions,
    arrival::{Arrival, RoomChange},
    kept::KeptOffset,
    receipts::ReceiptsSnapshot,
};
use crate::{
    id::{RecoveryKey, SocketId},
    recovery::{Offset, RecoveryRefusal},
    socket::NamespaceName,
    time::Timestamp,
};

/// A parked session as plain data. In contrast to an [`Arrival`], the offset that its client will
/// present is not known yet.
///
/// ```text
///   floor ──── since ──── start ──── last ──── at
///              │          │          │         └ everything up to here is in it
///              │          │          └ the latest packet to the session
///              │          └ its rooms are known from here on
///              └ between here and `start` there was no packet to the session
/// ```
#[derive(Clone)]
pub(in crate::hub) struct Parked<D> {
    pub(in crate::hub) sid: SocketId,
    pub(in crate::hub) pid: RecoveryKey,
    pub(in crate::hub) data: D,
    pub(in crate::hub) past: ParkedPast,
}

/// The part of [`Parked`] that only nodes of this crate read.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::hub) struct ParkedPast {
    pub(in crate::hub) namespace: NamespaceName,
    /// Everything up to this position is in it.
    pub(in crate::hub) at: Offset,
    /// From here on, the rooms of the session are known.
    start: Offset,
    /// A client that has processed this has missed nothing up to `start`. `None` if none has.
    since: Option<Offset>,
    /// A client that has processed this has missed nothing up to `at`. `None` if none has.
    last: Option<Offset>,
    /// The rooms at `start`, without the one that is named after the session.
    rooms: BTreeSet<Box<str>>,
    /// How they have changed since.
    changes: Vec<RoomChange>,
    /// `None` for the store, which has it as bytes beside the rest: it is the largest part by far. See
    /// [`packed_receipts`](Sessions::packed_receipts).
    #[serde(skip)]
    pub(in crate::hub) receipts: Option<ReceiptsSnapshot>,
    /// Whether a Node.js server kept it, so that what its client had received at `start` is not known.
    #[serde(default)]
    is_unproven: bool,
    /// An offset that its client may have kept from an earlier session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept: Option<KeptOffset>,
    /// Whether the node that has stored it still has the session, and may know more.
    #[serde(default)]
    pub(in crate::hub) is_held: bool,
}

impl<D: Clone> Sessions<D> {
    /// A session as plain data, and how long it still waits for its client. With `is_held`, this node goes
    /// on with it. `None` if it cannot be recovered.
    pub(in crate::hub) fn parked(
        &self,
        now: Timestamp,
        index: u32,
        is_held: bool,
    ) -> Option<(Parked<D>, Duration)> {
        let member = self.members.get(index as usize)?;
        let (log, memberships) = (&self.log, &member.memberships);
        let start = member.floor.max(log.evicted()).max(memberships.forgotten());
        let start_offset = log.before_next(start)?;
        let last = memberships.last(log);
        let last =
            (last > member.floor).then(|| log.mark_from(last).unwrap_or_else(|| log.head_offset()));
        let since =
            self.resumable(index, start).map(|it| log.mark_from(it).unwrap_or(start_offset));
        let (rooms, changes) = self.rooms_since(member, start)?;
        let left = self.time_left(now, member);
        let past = ParkedPast {
            namespace: self.name.clone(),
            at: log.head_offset(),
            start: start_offset,
            since,
            last,
            rooms,
            changes,
            receipts: None,
            is_unproven: member.is_unproven,
            kept: self.kept_offset(index, is_held).filter(|kept| kept.offset > start_offset),
            is_held,
        };
        Some((Parked { sid: member.id, pid: member.key?, data: member.data.clone(), past }, left))
    }

    /// What a session remembers of its client's events, for the same.
    pub(in crate::hub) fn packed_receipts(&self, index: u32, is_held: bool) -> Option<Bytes> {
        let member = self.members.get(index as usize)?;
        Some(member.receipts.as_ref()?.pack(is_held))
    }

    /// The first sequence from which a client can resume. `None` if it can from the beginning.
    /// `start` is one from which it can.
    fn resumable(&self, index: u32, start: u64) -> Option<u64> {
        let member = self.members.get(index as usize)?;
        let is_missing = |sequence: u64| member.memberships.check(&self.log, sequence).is_err();
        if !is_missing(member.floor) {
            return None;
        }
        let (mut missing, mut first) = (member.floor, start);
        while first.saturating_sub(missing) > 1 {
            let middle = missing.midpoint(first);
            if is_missing(middle) {
                missing = middle;
            } else {
                first = middle;
            }
        }
        Some(first)
    }
}

impl<D> Parked<D> {
    /// A session that a Node.js server kept, for a client that presents this offset: as if it had been
    /// in these rooms since then, and its client had received everything up to there.
    pub(in crate::hub) fn official(
        (sid, pid, data): (SocketId, RecoveryKey, D),
        namespace: NamespaceName,
        offset: Offset,
        rooms: &[ByteString],
    ) -> Self {
        let rooms = rooms.iter().filter(|room| ***room != *sid.as_str());
        let past = ParkedPast {
            namespace,
            at: offset,
            start: offset,
            since: None,
            last: None,
            rooms: rooms.map(|room| Box::from(&**room)).collect(),
            changes: Vec::new(),
            receipts: None,
            is_unproven: true,
            kept: None,
            is_held: false,
        };
        Self { sid, pid, data, past }
    }

    /// The session for a client that presents this offset, at a node that has read up to `head`.
    pub(in crate::hub) fn arrival(
        self,
        offset: Option<&str>,
        head: Offset,
        left: Duration,
    ) -> Result<Arrival<D>, RecoveryRefusal> {
        let Self { sid, pid, data, past } = self;
        let ParkedPast { at, start, since, last, rooms, changes, .. } = past;
        let ParkedPast { receipts, is_unproven, kept, .. } = past;
        let offset: Option<Offset> = offset
            .map(|text| text.parse().map_err(|_| RecoveryRefusal::InvalidOffset))
            .transpose()?;
        // A client with a kept offset may have processed nothing. Who goes on with the session decides.
        let offset = offset.filter(|offset| kept.is_none_or(|kept| kept.offset != *offset));
        if offset.is_some_and(|offset| !offset.has_form_of(head) || offset > head) {
            return Err(RecoveryRefusal::InvalidOffset);
        }
        let kept = kept.filter(|_| offset.is_none_or(|offset| offset <= start));
        let is_after = |mark: Option<Offset>| mark.is_none_or(|mark| offset >= Some(mark));
        let before = match (is_after(last), is_after(since)) {
            (true, _) => at,
            (false, true) => start,
            (false, false) => return Err(RecoveryRefusal::Gap),
        };
        let resume = offset.map_or(before, |offset| offset.max(before));
        let is_unproven = is_unproven && offset.is_none_or(|offset| offset <= start);
        Ok(Arrival {
            sid,
            pid,
            data,
            left,
            receipts,
            at,
            resume,
            rooms,
            changes,
            is_unproven,
            kept,
        })
    }
}

impl<D> fmt::Debug for Parked<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parked").field("at", &self.past.at).finish_non_exhaustive()
    }
}
