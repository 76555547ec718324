//! What is going to happen, in the order of its time.

use std::collections::BTreeMap;

/// Tasks by the time at which they are due, in microseconds. Tasks of the same time come out in the
/// order in which they were planned.
///
/// ```
/// use socketio_proto_sim::Agenda;
///
/// let mut agenda = Agenda::default();
/// agenda.plan(20, "second");
/// agenda.plan(10, "first");
/// assert_eq!(agenda.next_due(), Some(10));
/// assert_eq!(agenda.take_due(15), Some("first"));
/// assert_eq!(agenda.take_due(15), None);
/// ```
#[derive(Debug)]
pub struct Agenda<T> {
    tasks: BTreeMap<(u64, u64), T>,
    next: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { tasks: BTreeMap::new(), next: 0 }
    }
}

impl<T> Agenda<T> {
    /// Plans a task for a time.
    pub fn plan(&mut self, at: u64, task: T) {
        self.tasks.insert((at, self.next), task);
        self.next += 1;
    }

    /// Returns when the next task is due.
    pub fn next_due(&self) -> Option<u64> {
        self.tasks.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the next task that is due by `now`.
    pub fn take_due(&mut self, now: u64) -> Option<T> {
        let entry = self.tasks.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    /// Whether nothing is planned.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Forgets all tasks that `is_kept` does not keep.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&T) -> bool) {
        self.tasks.retain(|_, task| is_kept(task));
    }
}
