//! One deadline per key, updated lazily.

use alloc::collections::BTreeSet;

use crate::time::Timestamp;

/// The deadlines of many machines.
///
/// An entry moves only when the deadline of its machine gets earlier. When it gets later, as with
/// each heartbeat, the entry stays, and the machine is asked again when the entry is due. So a busy
/// connection costs nothing here, and there is never more than one entry per key.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    entries: BTreeSet<(Timestamp, K)>,
}

impl<K: Ord + Copy> Timers<K> {
    pub(crate) fn new() -> Self {
        Self { entries: BTreeSet::new() }
    }

    /// Makes sure that `key` is due at `deadline` or earlier. `armed` is the entry of the key,
    /// which is kept with the machine; [`Timestamp::NEVER`] if it has none.
    pub(crate) fn arm(&mut self, key: K, armed: &mut Timestamp, deadline: Timestamp) {
        if deadline >= *armed {
            return;
        }
        self.disarm(key, armed);
        self.entries.insert((deadline, key));
        *armed = deadline;
    }

    /// Removes the entry of a machine that is gone.
    pub(crate) fn disarm(&mut self, key: K, armed: &mut Timestamp) {
        if *armed != Timestamp::NEVER {
            self.entries.remove(&(*armed, key));
            *armed = Timestamp::NEVER;
        }
    }

    /// Takes one key that is due. The caller sets `armed` of its machine to [`Timestamp::NEVER`].
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<K> {
        let (deadline, _) = self.entries.first()?;
        if *deadline > now {
            return None;
        }
        self.entries.pop_first().map(|(_, key)| key)
    }

    /// The earliest entry. Its machine may have nothing to do at that time.
    pub(crate) fn deadline(&self) -> Timestamp {
        self.entries.first().map_or(Timestamp::NEVER, |(deadline, _)| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn an_entry_moves_only_to_an_earlier_moment() {
        let mut timers = Timers::new();
        let mut armed = Timestamp::NEVER;
        timers.arm('a', &mut armed, at(10));
        timers.arm('a', &mut armed, at(20));
        assert_eq!(timers.deadline(), at(10));
        timers.arm('a', &mut armed, at(5));
        assert_eq!(timers.deadline(), at(5));
        assert_eq!(timers.pop_due(at(4)), None);
        assert_eq!(timers.pop_due(at(5)), Some('a'));
        assert_eq!(timers.pop_due(at(100)), None, "one entry a key");
    }

    #[test]
    fn a_machine_that_is_gone_does_not_come_up() {
        let mut timers = Timers::new();
        let (mut a, mut b) = (Timestamp::NEVER, Timestamp::NEVER);
        timers.arm('a', &mut a, at(1));
        timers.arm('b', &mut b, at(2));
        timers.disarm('a', &mut a);
        assert_eq!(timers.pop_due(at(9)), Some('b'));
        assert_eq!(timers.deadline(), Timestamp::NEVER);
    }
}
