//! Positions that are given to a log with its packets, such as the ids of a stream.

use alloc::{collections::VecDeque, vec::Vec};

use serde::{Deserialize, Serialize};

use super::resolution::Resolution;
use crate::{
    recovery::{
        offset::{Form, Key, Offset},
        snapshot::{Inconsistent, require},
    },
    shrink::Shrink as _,
};

/// The positions of a log whose packets come from a stream. They ascend, but need not be
/// consecutive: the stream contains other entries, too.
///
/// The ids of some engines do not ascend, for example the object ids that several processes create,
/// or numbers that each sender counts on its own. For these, the reader of the stream numbers its
/// entries, and keeps an index from the id, which clients present, to the number.
///
/// A packet keeps its position while it is in the log. Of evicted packets, only some positions are
/// still needed. These are the packets that a room or a session remembers, because a client with an
/// earlier offset has missed them: the *marks*. The offset of a client is only ever compared with
/// marks and with packets in the log. So it is resolved to the latest mark that is not after it.
#[derive(Debug)]
pub(super) struct Given {
    form: Form,
    /// A position before the first packet.
    origin: Key,
    /// The positions of the packets in the log.
    held: VecDeque<Key>,
    /// Sequences and positions of evicted packets, ascending: those of all marks, of the latest
    /// evicted packet, and of some that are not needed any more.
    evicted: Vec<(u64, Key)>,
    /// The log has, or had, all its packets up to this position.
    latest: Key,
    /// The length of `evicted` at which those that are not needed are forgotten.
    excess_at: usize,
}

/// Given positions as plain data.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct GivenSnapshot {
    origin: Offset,
    evicted: Vec<(u64, Offset)>,
    held: Vec<Offset>,
    latest: Offset,
}

/// The position cannot be that of the next packet: it is not after all earlier ones, it has another
/// form, or the log assigns its positions itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfOrder;

/// Fewer evicted packets than this are not worth forgetting.
const EXCESS_MIN: usize = 64;

impl Given {
    /// The memory that the position of a packet takes.
    pub(super) const ENTRY_BYTES: usize = size_of::<Key>();

    /// The positions of a log whose packets are all after `origin`.
    pub(super) fn new(origin: Offset) -> Self {
        Self {
            form: origin.form(),
            origin: origin.key(),
            held: VecDeque::new(),
            evicted: Vec::new(),
            latest: origin.key(),
            excess_at: EXCESS_MIN,
        }
    }

    /// The position right after the latest one.
    pub(super) fn next(&self) -> Offset {
        self.offset(self.latest.next(self.form))
    }

    pub(super) fn check(&self, position: Offset) -> Result<(), OutOfOrder> {
        let is_next = position.form() == self.form && position.key() > self.latest;
        if is_next { Ok(()) } else { Err(OutOfOrder) }
    }

    pub(super) fn append(&mut self, position: Offset) {
        self.latest = position.key();
        self.held.push_back(position.key());
    }

    pub(super) fn advance(&mut self, position: Offset) -> Result<(), OutOfOrder> {
        if position != self.latest() {
            self.check(position)?;
            self.latest = position.key();
        }
        Ok(())
    }

    pub(super) fn evict(&mut self, sequence: u64) {
        self.evicted.extend(self.held.pop_front().map(|position| (sequence, position)));
        if self.held.is_empty() {
            self.held = VecDeque::new();
        }
        self.held.shrink_if_sparse();
    }

    pub(super) fn has_excess(&self) -> bool {
        self.evicted.len() >= self.excess_at
    }

    /// Forgets the positions of evicted packets that are not among these sequences.
    ///
    /// Takes O(n log n) in the number of sequences. It is not due again before as many packets were
    /// evicted. So each eviction costs O(log n), amortised, and fewer than twice as many positions
    /// are kept as there are sequences.
    pub(super) fn forget(&mut self, marks: impl Iterator<Item = u64>) {
        let mut marks: Vec<u64> = marks.collect();
        marks.sort_unstable();
        let latest = self.evicted.pop();
        self.evicted.retain(|(sequence, _)| marks.binary_search(sequence).is_ok());
        self.evicted.extend(latest);
        self.evicted.shrink_if_sparse();
        self.excess_at = self.evicted.len().saturating_mul(2).max(marks.len()).max(EXCESS_MIN);
    }

    pub(super) fn latest(&self) -> Offset {
        self.offset(self.latest)
    }

    pub(super) fn get(&self, sequence: u64, evicted: u64) -> Option<Offset> {
        let index = sequence.checked_sub(evicted)?.checked_sub(1)?;
        self.held.get(usize::try_from(index).ok()?).map(|position| self.offset(*position))
    }

    /// The sequence at an offset, if the log has everything that follows it.
    pub(super) fn covered(&self, offset: Offset, evicted: u64) -> Option<u64> {
        let position = offset.key();
        let is_covered =
            offset.form() == self.form && (self.before_held()..=self.latest).contains(&position);
        let held = || self.held.partition_point(|it| *it <= position);
        is_covered.then(|| evicted.saturating_add(held() as u64))
    }

    pub(super) fn mark_from(&self, sequence: u64, evicted: u64) -> Option<Offset> {
        if sequence > evicted {
            return self.get(sequence, evicted);
        }
        let index = self.evicted.partition_point(|(mark, _)| *mark < sequence);
        self.evicted.get(index).map(|(_, position)| self.offset(*position))
    }

    /// The position of a packet in the log, or of the latest one that was evicted.
    pub(super) fn kept(&self, sequence: u64, evicted: u64) -> Option<Offset> {
        if sequence == evicted {
            return Some(self.offset(self.before_held()));
        }
        self.get(sequence, evicted)
    }

    /// The latest position that the packet after this one does not precede.
    pub(super) fn before_next(&self, sequence: u64, evicted: u64) -> Option<Offset> {
        let index = usize::try_from(sequence.checked_sub(evicted)?).ok()?;
        let next = self.held.get(index).map(|position| position.previous(self.form));
        (index <= self.held.len()).then(|| self.offset(next.unwrap_or(self.latest)))
    }

    fn before_held(&self) -> Key {
        self.evicted.last().map_or(self.origin, |(_, position)| *position)
    }

    /// Takes O(log n).
    pub(super) fn resolve(&self, offset: Offset, evicted: u64) -> Resolution {
        let position = offset.key();
        if offset.form() != self.form {
            return Resolution::Foreign;
        }
        if position > self.latest {
            return Resolution::Future;
        }
        let held = self.held.partition_point(|it| *it <= position);
        if held > 0 {
            return Resolution::After(evicted.saturating_add(held as u64));
        }
        let before = self.evicted.partition_point(|(_, it)| *it <= position);
        let mark = before.checked_sub(1).and_then(|index| self.evicted.get(index));
        Resolution::After(mark.map_or(0, |(sequence, _)| *sequence))
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.evicted.len()
    }

    pub(super) fn snapshot(&self) -> GivenSnapshot {
        let evicted = self.evicted.iter();
        GivenSnapshot {
            origin: self.offset(self.origin),
            evicted: evicted
                .map(|(sequence, position)| (*sequence, self.offset(*position)))
                .collect(),
            held: self.held.iter().map(|position| self.offset(*position)).collect(),
            latest: self.latest(),
        }
    }

    fn offset(&self, key: Key) -> Offset {
        Offset::from_key(self.form, key)
    }
}

impl GivenSnapshot {
    pub(super) fn restore(self, evicted: u64, packets: usize) -> Result<Given, Inconsistent> {
        let Self { origin, evicted: remembered, held, latest } = self;
        let are_of_log = remembered.iter().all(|(sequence, _)| *sequence > 0)
            && remembered.is_sorted_by(|a, b| a.0 < b.0)
            && remembered.last().map_or(0, |(sequence, _)| *sequence) == evicted;
        require(are_of_log, "log.positions.evicted")?;
        require(held.len() == packets, "log.positions.held")?;
        let mut given = Given::new(origin);
        for (sequence, position) in remembered {
            require(given.check(position).is_ok(), "log.positions.evicted")?;
            given.latest = position.key();
            given.evicted.push((sequence, position.key()));
        }
        for position in held {
            require(given.check(position).is_ok(), "log.positions.held")?;
            given.append(position);
        }
        require(given.advance(latest).is_ok(), "log.positions.latest")?;
        Ok(given)
    }
}
