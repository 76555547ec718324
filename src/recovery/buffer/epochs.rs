//! Positions that the log assigns itself: an epoch, and the sequence of the packet.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::resolution::Resolution;
use crate::recovery::{
    offset::Offset,
    snapshot::{Inconsistent, require},
};

/// The epochs of a log. Each restoration begins a new one.
///
/// A process may assign positions after it has taken the snapshot that its successor is restored
/// from. The successor assigns the same sequences to other packets. The epoch tells the two apart.
/// Epochs increase, so offsets of one log stay in order across restarts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Epochs {
    /// The epoch of the next packet.
    current: u64,
    past: Vec<Epoch>,
}

/// An earlier epoch: its number, and the sequence of the latest packet when it ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Epoch(u64, u64);

/// The number of earlier epochs that a log remembers. If there are more, it forgets the oldest of
/// those without a packet in the log's history, and after these the oldest of all. An offset of a
/// forgotten epoch is foreign. This concerns only a client to which no packet was addressed since.
const PAST_MAX: usize = 64;

impl Epochs {
    pub(super) fn new(first: u64) -> Self {
        Self { current: first, past: Vec::new() }
    }

    /// The position of the packet with this sequence. It may be the next packet. 0 is the position
    /// before the first packet.
    pub(super) fn offset(&self, sequence: u64) -> Offset {
        let index = self.past.partition_point(|Epoch(_, last)| *last < sequence);
        let epoch = self.past.get(index).map_or(self.current, |Epoch(number, _)| *number);
        Offset::pair(epoch, sequence)
    }

    /// Where an offset stands in a log whose latest packet has the sequence `head`.
    pub(super) fn resolve(&self, offset: Offset, head: u64) -> Resolution {
        let Some((epoch, sequence)) = offset.numbers() else {
            return Resolution::Foreign;
        };
        let is_assigned = sequence <= head && self.offset(sequence) == offset;
        if is_assigned {
            Resolution::After(sequence)
        } else if self.past.binary_search_by_key(&epoch, |Epoch(number, _)| *number).is_ok() {
            Resolution::Lost
        } else if epoch == self.current && sequence > head {
            Resolution::Future
        } else {
            Resolution::Foreign
        }
    }

    /// Begins a new epoch after `head`. Its number is higher than the current one by `jump` + 1.
    pub(super) fn begin(&mut self, head: u64, jump: u32) {
        self.past.push(Epoch(self.current, head));
        if self.past.len() > PAST_MAX {
            let unused = self.past.windows(2).position(|pair| matches!(pair, [a, b] if a.1 == b.1));
            self.past.remove(unused.map_or(0, |before| before + 1));
        }
        self.current = self.current.saturating_add(1).saturating_add(u64::from(jump));
    }

    /// Checks the values from a snapshot of a log whose latest packet has the sequence `head`.
    pub(super) fn check(&self, head: u64) -> Result<(), Inconsistent> {
        let is_ascending = self.past.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
        let latest = self.past.last();
        let is_past =
            latest.is_none_or(|Epoch(number, last)| *number < self.current && *last <= head);
        require(self.current <= u64::MAX / 2, "log.epochs.current")?;
        require(is_ascending && is_past && self.past.len() <= PAST_MAX, "log.epochs.past")
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::{
        collection::vec,
        prelude::*,
        test_runner::{Config, TestRunner},
    };

    use super::*;

    #[test]
    fn a_position_keeps_the_epoch_in_which_it_was_assigned() {
        let mut epochs = Epochs::new(7);
        assert_eq!((epochs.offset(0), epochs.offset(5)), (Offset::pair(7, 0), Offset::pair(7, 5)));
        epochs.begin(0, 0);
        assert_eq!((epochs.offset(0), epochs.offset(1)), (Offset::pair(7, 0), Offset::pair(8, 1)));
        epochs.begin(0, 9);
        assert_eq!((epochs.offset(0), epochs.offset(1)), (Offset::pair(7, 0), Offset::pair(18, 1)));
        epochs.begin(3, 1);
        let numbers: Vec<u64> =
            (0..5).map(|sequence| epochs.offset(sequence).numbers().unwrap().0).collect();
        assert_eq!(numbers, [7, 18, 18, 18, 20]);
        assert!(epochs.check(3).is_ok());
        assert!(epochs.check(2).is_err(), "an epoch that ends beyond the head");
    }

    #[test]
    fn a_position_stands_where_it_was_assigned() {
        let mut epochs = Epochs::new(7);
        epochs.begin(3, 0);
        epochs.begin(3, 0);
        let resolve = |epoch, sequence| epochs.resolve(Offset::pair(epoch, sequence), 5);
        assert_eq!((resolve(7, 0), resolve(7, 3)), (Resolution::After(0), Resolution::After(3)));
        assert_eq!((resolve(9, 4), resolve(9, 5)), (Resolution::After(4), Resolution::After(5)));
        assert_eq!(resolve(7, 4), Resolution::Lost, "assigned after the snapshot");
        assert_eq!(resolve(8, 4), Resolution::Lost, "by a process that had assigned none before");
        assert_eq!(resolve(9, 6), Resolution::Future);
        assert_eq!(resolve(9, 3), Resolution::Foreign, "this epoch began later");
        assert_eq!((resolve(6, 1), resolve(10, 1)), (Resolution::Foreign, Resolution::Foreign));
    }

    #[test]
    fn the_oldest_epochs_are_forgotten() {
        let mut epochs = Epochs::new(0);
        for head in 1..=200 {
            epochs.begin(head, 0);
        }
        assert_eq!(epochs.past.len(), PAST_MAX);
        assert_eq!(epochs.offset(200), Offset::pair(199, 200));
        assert_eq!(epochs.resolve(Offset::pair(100, 101), 200), Resolution::Foreign);
        assert!(epochs.check(200).is_ok());
    }

    #[test]
    fn restarts_without_packets_make_the_log_forget_no_packet() {
        let mut epochs = Epochs::new(0);
        epochs.begin(5, 0);
        epochs.begin(8, 0);
        for _ in 0..200 {
            epochs.begin(8, 0);
        }
        assert_eq!(epochs.past.len(), PAST_MAX);
        assert_eq!(epochs.resolve(Offset::pair(0, 5), 8), Resolution::After(5));
        assert_eq!(epochs.resolve(Offset::pair(1, 8), 8), Resolution::After(8));
        assert_eq!(
            epochs.resolve(Offset::pair(201, 9), 8),
            Resolution::Lost,
            "the latest is remembered"
        );
        assert_eq!(epochs.resolve(Offset::pair(2, 9), 8), Resolution::Foreign);
        assert!(epochs.check(8).is_ok());
    }
    /// What becomes of a log.
    #[derive(Clone, Debug)]
    enum Step {
        Append(u64),
        /// The process is restored from a snapshot without the latest packets.
        Restart {
            lost: u64,
            jump: u32,
        },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1_u64..5).prop_map(Step::Append),
            (0_u64..5, 0_u32..3).prop_map(|(lost, jump)| Step::Restart { lost, jump }),
        ]
    }

    /// Compares with every position that was ever assigned.
    fn play(steps: &[Step]) {
        // The epoch and the sequence of each position in the log, from the one before all packets
        // on. The present process has restored the first `restored` of them.
        let (mut epochs, mut log) = (Epochs::new(7), alloc::vec![(7, 0)]);
        let (mut current, mut restored) = (7, 1);
        let mut lost = BTreeSet::new();
        for step in steps {
            match *step {
                Step::Append(count) => {
                    for _ in 0..count {
                        log.push((current, log.len() as u64));
                    }
                }
                Step::Restart { lost: count, jump } => {
                    let kept = log.len().saturating_sub(usize::try_from(count).unwrap());
                    restored = kept.max(restored);
                    lost.extend(log.drain(restored..));
                    epochs.begin(restored as u64 - 1, jump);
                    current += 1 + u64::from(jump);
                }
            }
        }
        let head = log.len() as u64 - 1;
        assert!(epochs.check(head).is_ok());
        for (sequence, (epoch, _)) in (0..).zip(&log) {
            assert_eq!(epochs.offset(sequence), Offset::pair(*epoch, sequence));
        }
        for epoch in 0..current + 3 {
            for sequence in 0..head + 8 {
                let resolution = epochs.resolve(Offset::pair(epoch, sequence), head);
                let is_lost = lost.contains(&(epoch, sequence));
                if log.contains(&(epoch, sequence)) {
                    assert_eq!(resolution, Resolution::After(sequence));
                } else if is_lost {
                    assert_eq!(resolution, Resolution::Lost);
                } else if epoch == current && sequence > head {
                    assert_eq!(resolution, Resolution::Future);
                } else {
                    // Nobody has assigned it.
                    assert!(matches!(resolution, Resolution::Foreign | Resolution::Lost));
                }
            }
        }
    }

    #[test]
    fn every_position_is_told_from_those_that_were_lost() {
        let config = Config { failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new(config);
        let played = runner.run(&vec(step(), 0..30), |steps| {
            play(&steps);
            Ok(())
        });
        if let Err(failure) = played {
            panic!("{failure}\n{runner}");
        }
    }
}
