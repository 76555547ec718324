//! The end of all connections, and who waits for it.

use tokio::{sync::oneshot, time::Instant};

use crate::calls::Job;

/// All connections have to end.
pub(crate) struct Ending<M> {
    /// They are gone, or have had their time.
    pub(crate) is_done: bool,
    /// When what is waited for has had its time: the connections, or else the machine.
    pub(crate) deadline: Instant,
    /// Whether the machine has had its time.
    pub(crate) is_overdue: bool,
    /// Who waits for that.
    pub(crate) waiting: Vec<oneshot::Sender<()>>,
    /// What is to be done then. If there is something, the machine ends with it.
    pub(crate) last: Vec<Job<M>>,
}

impl<M> Ending<M> {
    pub(crate) fn new(deadline: Instant) -> Self {
        let (waiting, last) = (Vec::new(), Vec::new());
        Self { is_done: false, deadline, is_overdue: false, waiting, last }
    }

    /// When to stop waiting. `None` if nothing is waited for.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let is_waiting = !self.is_done || !self.last.is_empty();
        is_waiting.then_some(self.deadline)
    }

    pub(crate) fn answer(&mut self) {
        for waiting in self.waiting.drain(..) {
            waiting.send(()).ok();
        }
    }
}
