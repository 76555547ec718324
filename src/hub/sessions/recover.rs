//! Finds out whether a session can be recovered at an offset, and what it missed. Changes nothing.

use alloc::vec::Vec;

use super::{Member, Sessions};
use crate::{
    id::ConnectionId,
    recovery::{Missing, Offset, RecoveryRefusal, Resolution, RoomId},
    socket::Encoded,
    time::Timestamp,
};

impl<D> Sessions<D> {
    /// Checks whether a session that has not expired can be recovered at a position.
    pub(in crate::hub) fn check(&self, index: u32, position: u64) -> Result<(), RecoveryRefusal> {
        let member = self.members.get(index as usize).ok_or(RecoveryRefusal::Unknown)?;
        if member.attachment == u32::MAX {
            return Err(RecoveryRefusal::Limit);
        }
        member.memberships.check(&self.log, position).map_err(|missing| match missing {
            Missing::Evicted => RecoveryRefusal::Gap,
            Missing::Forgotten => RecoveryRefusal::Limit,
        })?;
        let question = self.log.questions(RoomId::own(index), position).next();
        if question.is_some_and(|sequence| sequence <= self.log.evicted()) {
            return Err(RecoveryRefusal::Gap);
        }
        if self.is_refused(index, position) {
            return Err(RecoveryRefusal::PoisonEvent);
        }
        Ok(())
    }

    /// Whether nobody knows what a client had received that resumes at `position`.
    pub(in crate::hub) fn is_unproven(&self, index: u32, position: u64) -> bool {
        let member = self.members.get(index as usize);
        member.is_some_and(|member| member.is_unproven && position <= member.floor)
    }

    /// Whether a parked session has expired. A held session was claimed in time, so it has not.
    pub(in crate::hub) fn has_expired(&self, now: Timestamp, index: u32) -> bool {
        let member = self.members.get(index as usize);
        let expiry = member.and_then(|member| member.expiry(self.is_held(index)));
        expiry.is_some_and(|expiry| expiry <= now)
    }

    /// Whether the time of a parked session is over, even if it is held.
    pub(in crate::hub) fn time_is_over(&self, now: Timestamp, index: u32) -> bool {
        let member = self.members.get(index as usize);
        member.and_then(|member| member.expiry(false)).is_some_and(|expiry| expiry <= now)
    }

    /// Whether a session is parked, and no claim of it is undecided.
    pub(in crate::hub) fn is_idle(&self, index: u32) -> bool {
        let member = self.members.get(index as usize);
        member.is_some_and(|member| !member.is_live()) && !self.is_held(index)
    }

    /// The position of an offset of this session.
    pub(in crate::hub) fn resume_from(
        &self,
        index: u32,
        offset: Option<&str>,
    ) -> Result<u64, RecoveryRefusal> {
        let member = self.members.get(index as usize).ok_or(RecoveryRefusal::Unknown)?;
        offset.map_or(Ok(member.floor), |text| self.position(index, member, text))
    }

    /// The packets after `position` that were addressed to a session, in order. This includes
    /// events that ask for an acknowledgement which is still awaited.
    pub(in crate::hub) fn missed(
        &self,
        index: u32,
        position: u64,
    ) -> Result<Vec<Encoded>, RecoveryRefusal> {
        let sequences = self.missed_sequences(index, position)?;
        let mut packets = Vec::with_capacity(sequences.len());
        packets.extend(sequences.into_iter().filter_map(|sequence| self.log.get(sequence)));
        Ok(packets)
    }

    /// The number of missed packets. Does not collect them.
    pub(in crate::hub) fn missed_len(
        &self,
        index: u32,
        position: u64,
    ) -> Result<usize, RecoveryRefusal> {
        Ok(self.missed_sequences(index, position)?.len())
    }

    /// Whether a client that resumes at `position` could receive a packet twice: its session was
    /// parked while this connection continued, and the packet was sent there before.
    pub(in crate::hub) fn may_repeat(
        &self,
        index: u32,
        position: u64,
        connection: ConnectionId,
    ) -> bool {
        let left = self.left_open.get(&index).filter(|(open, _)| *open == connection);
        left.is_some_and(|(_, head)| {
            let missed = self.missed_sequences(index, position);
            missed.is_ok_and(|missed| missed.first().is_some_and(|first| first <= head))
        })
    }

    /// The sequences of the missed packets, if their total size is within the limit.
    fn missed_sequences(&self, index: u32, position: u64) -> Result<Vec<u64>, RecoveryRefusal> {
        let member = self.members.get(index as usize).ok_or(RecoveryRefusal::Unknown)?;
        let limit = self.config.recovery.as_ref().map_or(0, |recovery| recovery.replay_bytes);
        let mut sequences = member.memberships.missed(&self.log, position);
        let addressed = sequences.len();
        sequences.extend(self.log.questions(RoomId::own(index), position));
        if sequences.len() > addressed {
            sequences.sort_unstable();
        }
        let lens = sequences.iter().map(|sequence| self.log.wire_len(*sequence));
        let bytes = lens.fold(0, usize::saturating_add);
        if bytes > limit { Err(RecoveryRefusal::Limit) } else { Ok(sequences) }
    }

    /// The position of an offset, or the floor if the offset is from an earlier session. The
    /// official client keeps its last offset when it gets a new session. So an offset from before
    /// the session proves that the client has processed nothing of the session.
    fn position(&self, index: u32, member: &Member<D>, text: &str) -> Result<u64, RecoveryRefusal> {
        let offset: Offset = text.parse().map_err(|_| RecoveryRefusal::InvalidOffset)?;
        if let Some(position) = self.position_of_kept(index, member, offset) {
            return position;
        }
        match self.log.resolve(offset) {
            Resolution::After(sequence) => Ok(sequence.max(member.floor)),
            // Every packet to a session that began in this process carries the current epoch, so
            // the offset is from before the session.
            Resolution::Lost if !member.is_restored => Ok(member.floor),
            // A restored session may have received packets that were emitted after the snapshot,
            // and these are unknown.
            Resolution::Lost | Resolution::Future | Resolution::Foreign => {
                Err(RecoveryRefusal::InvalidOffset)
            }
        }
    }
}
