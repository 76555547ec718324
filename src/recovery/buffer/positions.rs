//! The positions of the packets in a log, beside their sequences.

use serde::{Deserialize, Serialize};

use super::{
    epochs::Epochs,
    given::{Given, GivenSnapshot, OutOfOrder},
    resolution::Resolution,
};
use crate::recovery::{offset::Offset, snapshot::Inconsistent};

/// The positions of the packets in a log.
///
/// The log itself computes with sequences, which are local and have no gaps. A position stands
/// beside each sequence. It is what clients know, in this process and in others.
#[derive(Debug)]
pub(super) enum Positions {
    /// The log assigns them. They follow from the sequences, so they take no memory.
    Assigned(Epochs),
    /// They are given with the packets.
    Given(Given),
}

/// The positions of a log as plain data.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PositionsSnapshot {
    Assigned(Epochs),
    Given(GivenSnapshot),
}

impl Positions {
    pub(super) const fn are_assigned(&self) -> bool {
        matches!(self, Self::Assigned(_))
    }

    /// The next position, for the packet with this sequence.
    pub(super) fn next(&self, sequence: u64) -> Offset {
        match self {
            Self::Assigned(epochs) => epochs.offset(sequence),
            Self::Given(given) => given.next(),
        }
    }

    /// Whether the next packet can have this position.
    pub(super) fn check(&self, position: Offset) -> Result<(), OutOfOrder> {
        match self {
            Self::Assigned(_) => Err(OutOfOrder),
            Self::Given(given) => given.check(position),
        }
    }

    /// Notes the position of the next packet.
    pub(super) fn append(&mut self, position: Offset) {
        match self {
            Self::Assigned(_) => {}
            Self::Given(given) => given.append(position),
        }
    }

    /// Notes that no packet of this log follows up to this position.
    pub(super) fn advance(&mut self, position: Offset) -> Result<(), OutOfOrder> {
        match self {
            Self::Assigned(_) => Err(OutOfOrder),
            Self::Given(given) => given.advance(position),
        }
    }

    /// Notes that the oldest packet, which has this sequence, leaves the log.
    pub(super) fn evict(&mut self, sequence: u64) {
        match self {
            Self::Assigned(_) => {}
            Self::Given(given) => given.evict(sequence),
        }
    }

    /// Whether it is time to call [`Positions::forget`].
    pub(super) fn has_excess(&self) -> bool {
        match self {
            Self::Assigned(_) => false,
            Self::Given(given) => given.has_excess(),
        }
    }

    /// Forgets the positions of evicted packets, except for these sequences.
    pub(super) fn forget(&mut self, marks: impl Iterator<Item = u64>) {
        match self {
            Self::Assigned(_) => {}
            Self::Given(given) => given.forget(marks),
        }
    }

    /// The latest position. A client that has processed everything so far may present it.
    pub(super) fn latest(&self, head: u64) -> Offset {
        match self {
            Self::Assigned(epochs) => epochs.offset(head),
            Self::Given(given) => given.latest(),
        }
    }

    /// The position of the packet with this sequence, if it is in the log.
    pub(super) fn get(&self, sequence: u64, evicted: u64) -> Option<Offset> {
        match self {
            Self::Assigned(epochs) => Some(epochs.offset(sequence)),
            Self::Given(given) => given.get(sequence, evicted),
        }
    }

    /// The sequence at an offset, if the log has everything that follows it. `None` if the log
    /// assigns its positions itself.
    pub(super) fn covered(&self, offset: Offset, evicted: u64) -> Option<u64> {
        match self {
            Self::Assigned(_) => None,
            Self::Given(given) => given.covered(offset, evicted),
        }
    }

    /// See [`RecoveryBuffer::mark_from`](super::RecoveryBuffer::mark_from).
    pub(super) fn mark_from(&self, sequence: u64, evicted: u64) -> Option<Offset> {
        match self {
            Self::Assigned(_) => None,
            Self::Given(given) => given.mark_from(sequence, evicted),
        }
    }

    /// The position of a packet in the log, or of the latest one that was evicted. `None` if the
    /// log assigns its positions itself.
    pub(super) fn kept(&self, sequence: u64, evicted: u64) -> Option<Offset> {
        match self {
            Self::Assigned(_) => None,
            Self::Given(given) => given.kept(sequence, evicted),
        }
    }

    /// See [`RecoveryBuffer::before_next`](super::RecoveryBuffer::before_next).
    pub(super) fn before_next(&self, sequence: u64, evicted: u64) -> Option<Offset> {
        match self {
            Self::Assigned(_) => None,
            Self::Given(given) => given.before_next(sequence, evicted),
        }
    }

    /// Where an offset stands.
    pub(super) fn resolve(&self, offset: Offset, evicted: u64, head: u64) -> Resolution {
        match self {
            Self::Assigned(epochs) => epochs.resolve(offset, head),
            Self::Given(given) => given.resolve(offset, evicted),
        }
    }

    /// The memory that the position of each packet takes.
    pub(super) const fn entry_bytes(&self) -> usize {
        match self {
            Self::Assigned(_) => 0,
            Self::Given(_) => Given::ENTRY_BYTES,
        }
    }

    /// Notes that a log whose latest packet has the sequence `head` was restored.
    pub(super) fn begin(&mut self, head: u64, jump: u32) {
        match self {
            Self::Assigned(epochs) => epochs.begin(head, jump),
            // The log gets every position that the stream assigns.
            Self::Given(_) => {}
        }
    }

    /// The number of evicted packets whose positions take memory.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        match self {
            Self::Assigned(_) => 0,
            Self::Given(given) => given.remembered(),
        }
    }

    pub(super) fn snapshot(&self) -> PositionsSnapshot {
        match self {
            Self::Assigned(epochs) => PositionsSnapshot::Assigned(epochs.clone()),
            Self::Given(given) => PositionsSnapshot::Given(given.snapshot()),
        }
    }
}

impl PositionsSnapshot {
    /// Restores the positions of a log from which `evicted` packets have gone, and which contains
    /// `packets`.
    pub(super) fn restore(self, evicted: u64, packets: usize) -> Result<Positions, Inconsistent> {
        match self {
            Self::Assigned(epochs) => {
                epochs.check(evicted.saturating_add(packets as u64))?;
                Ok(Positions::Assigned(epochs))
            }
            Self::Given(given) => given.restore(evicted, packets).map(Positions::Given),
        }
    }
}
