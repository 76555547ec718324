//! The epochs of a log.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::recovery::snapshot::{Inconsistent, require};

/// The current epoch of a log and the earlier ones. Each restoration begins a new epoch.
///
/// A process may assign positions after it has taken the snapshot that its successor is restored
/// from. The successor assigns the same sequences to other packets. The epoch tells the two apart.
/// Epochs increase, so offsets of one log stay in order across restarts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Eras {
    epoch: u64,
    past: Vec<Era>,
}

/// An earlier epoch, and the last sequence that was assigned in it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Era(u64, u64);

/// The number of earlier epochs that a log remembers. An offset that is older than 64 restarts is
/// treated as foreign. This concerns only a client to which no packet was addressed since.
const PAST_MAX: usize = 64;

impl Eras {
    pub(super) fn new(epoch: u64) -> Self {
        Self { epoch, past: Vec::new() }
    }

    /// The epoch of the next packet.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The epoch in which `sequence` was assigned. 0 is the position before the first packet.
    pub(super) fn epoch_at(&self, sequence: u64) -> u64 {
        let index = self.past.partition_point(|Era(_, last)| *last < sequence);
        self.past.get(index).map_or(self.epoch, |Era(epoch, _)| *epoch)
    }

    /// Whether an earlier process assigned positions in this epoch.
    pub(super) fn is_past(&self, epoch: u64) -> bool {
        self.past.binary_search_by_key(&epoch, |Era(epoch, _)| *epoch).is_ok()
    }

    /// Begins a new epoch after `head`. Its number is higher than the current one by `jump` + 1.
    pub(super) fn begin(&mut self, head: u64, jump: u32) {
        // An epoch that ends where the one before it ends has assigned no positions.
        if self.past.last().is_none_or(|Era(_, last)| *last < head) {
            self.past.push(Era(self.epoch, head));
        }
        let excess = self.past.len().saturating_sub(PAST_MAX);
        self.past.drain(..excess);
        self.epoch = self.epoch.saturating_add(1).saturating_add(u64::from(jump));
    }

    /// Checks the values from a snapshot.
    pub(super) fn check(&self, head: u64) -> Result<(), Inconsistent> {
        let is_ascending = self.past.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1);
        let is_past =
            self.past.last().is_none_or(|Era(epoch, last)| *epoch < self.epoch && *last <= head);
        require(self.epoch <= u64::MAX / 2, "log.eras.epoch")?;
        require(is_ascending && is_past && self.past.len() <= PAST_MAX, "log.eras.past")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_keeps_the_epoch_that_it_was_given_out_under() {
        let mut eras = Eras::new(7);
        assert_eq!((eras.epoch_at(0), eras.epoch_at(5)), (7, 7));
        eras.begin(0, 0);
        assert_eq!((eras.epoch_at(0), eras.epoch_at(1)), (7, 8));
        eras.begin(0, 9);
        assert_eq!((eras.epoch_at(0), eras.epoch_at(1)), (7, 18), "8 was never used");
        eras.begin(3, 1);
        let epochs: Vec<u64> = (0..5).map(|sequence| eras.epoch_at(sequence)).collect();
        assert_eq!(epochs, [7, 18, 18, 18, 20]);
        assert!(eras.check(3).is_ok());
        assert!(eras.check(2).is_err(), "an epoch that ends beyond the head");
    }

    #[test]
    fn old_epochs_are_forgotten() {
        let mut eras = Eras::new(0);
        for head in 1..=200 {
            eras.begin(head, 0);
        }
        assert_eq!(eras.past.len(), PAST_MAX);
        assert_eq!(eras.epoch_at(200), 199);
        assert!(eras.check(200).is_ok());
    }
}
