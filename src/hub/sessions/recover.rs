//! Whether a session can be recovered at an offset, and what it missed. Changes nothing.

use alloc::vec::Vec;

use super::{Member, Sessions, member::Place};
use crate::{
    recovery::{Missing, Offset, Refusal},
    socket::Encoded,
    time::Timestamp,
};

impl<D> Sessions<D> {
    /// The position that a client resumes from, if its session can be recovered there.
    pub(in crate::hub) fn check(
        &self,
        now: Timestamp,
        index: u32,
        offset: Option<&str>,
    ) -> Result<u64, Refusal> {
        let member = self.members.get(index as usize).ok_or(Refusal::Unknown)?;
        if matches!(member.place, Place::Parked { expires } if expires <= now) {
            return Err(Refusal::Expired);
        }
        let position = match offset {
            Some(text) => self.position(member, text)?,
            None => member.floor,
        };
        member.memberships.check(&self.log, position).map_err(|missing| match missing {
            Missing::Evicted => Refusal::Gap,
            Missing::Forgotten => Refusal::Limit,
        })?;
        Ok(position)
    }

    /// The packets after `position` that were addressed to a session, in order. An event that asks
    /// for an acknowledgement is among them while `is_awaited` holds for its id.
    pub(in crate::hub) fn missed(
        &self,
        index: u32,
        position: u64,
        is_awaited: impl Fn(u64) -> bool,
    ) -> Result<Vec<Encoded>, Refusal> {
        let member = self.members.get(index as usize).ok_or(Refusal::Unknown)?;
        let limit = self.config.recovery.as_ref().map_or(0, |recovery| recovery.replay_bytes);
        let sequences = member.memberships.missed(&self.log, position);
        let mut packets = Vec::with_capacity(sequences.len());
        let mut bytes = 0_usize;
        for (packet, ack) in sequences.into_iter().filter_map(|sequence| self.log.get(sequence)) {
            if ack.is_some_and(|id| !is_awaited(id)) {
                continue;
            }
            bytes = bytes.saturating_add(packet.wire_len());
            if bytes > limit {
                return Err(Refusal::Limit);
            }
            packets.push(packet);
        }
        Ok(packets)
    }

    fn position(&self, member: &Member<D>, text: &str) -> Result<u64, Refusal> {
        let offset: Offset = text.parse().map_err(|_| Refusal::InvalidOffset)?;
        let sequence = self.log.sequence_of(offset).ok_or(Refusal::InvalidOffset)?;
        if sequence >= member.floor { Ok(sequence) } else { Err(Refusal::InvalidOffset) }
    }
}
