//! Offsets that clients keep from their earlier sessions.
//!
//! The official client keeps its last offset when it gets a new session. Usually that is from before
//! the new session, and says so itself. But a node of a cluster may have read less than the client has
//! received at another node. Then the session begins before the offset, and the packets in between
//! are addressed to it. A client that presents the offset again may have processed nothing of the new
//! session, or everything up to there.

use serde::{Deserialize, Serialize};

use super::{Member, Sessions};
use crate::recovery::{Offset, RecoveryRefusal, Resolution};

/// An offset that the client of a session may have kept from an earlier session. The session began
/// before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::hub) struct KeptOffset {
    pub(super) offset: Offset,
    /// Whether the client may have received the packet at this offset in the session.
    pub(super) is_reached: bool,
}

impl<D> Sessions<D> {
    /// The client of a new session has presented an offset with its CONNECT.
    pub(super) fn keep_offset(&mut self, index: u32, presented: Option<Offset>) {
        if let Some(offset) = presented.filter(|it| *it > self.log.head_offset()) {
            self.kept.insert(index, KeptOffset { offset, is_reached: false });
        }
    }

    /// The session has lost its link. What comes later does not reach the client.
    pub(super) fn park_kept(&mut self, index: u32) {
        let head = self.log.head_offset();
        if let Some(kept) = self.kept.get_mut(&index) {
            kept.is_reached |= kept.offset <= head;
        }
    }

    /// The client resumes from this position. If this is after the beginning of the session, the client
    /// has processed something of it, and has no offset from before any more.
    pub(super) fn note_progress(&mut self, index: u32, position: u64) {
        if self.members.get(index as usize).is_some_and(|member| position > member.floor) {
            self.kept.remove(&index);
        }
    }

    /// The offset that the client of a session may have kept, for another node. `goes_on` says whether
    /// the client may receive more here.
    pub(super) fn kept_offset(&self, index: u32, goes_on: bool) -> Option<KeptOffset> {
        let kept = self.kept.get(&index)?;
        let is_live = self.members.get(index as usize).is_some_and(Member::is_live);
        let is_reached =
            goes_on || kept.is_reached || is_live && kept.offset <= self.log.head_offset();
        Some(KeptOffset { is_reached, ..*kept })
    }

    /// The position of a client that presents an offset which it may have kept. `None` if it cannot
    /// have kept this one.
    pub(super) fn position_of_kept(
        &self,
        index: u32,
        member: &Member<D>,
        offset: Offset,
    ) -> Option<Result<u64, RecoveryRefusal>> {
        let kept = self.kept_offset(index, false).filter(|kept| kept.offset == offset)?;
        let is_addressed = || match self.log.resolve(offset) {
            // If it was evicted, the session is refused for that, or it was not for the session.
            Resolution::After(sequence) if sequence > member.floor.max(self.log.evicted()) => {
                let missed = member.memberships.missed(&self.log, sequence.saturating_sub(1));
                self.log.kept_position(sequence) == Some(offset)
                    && missed.first() == Some(&sequence)
            }
            _ => false,
        };
        let is_ambiguous = kept.is_reached && is_addressed();
        Some(if is_ambiguous { Err(RecoveryRefusal::Gap) } else { Ok(member.floor) })
    }
}
