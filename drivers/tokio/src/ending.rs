//! The end of all connections, and who waits for it.

use tokio::sync::oneshot;

use crate::calls::Job;

/// All connections have to end.
pub(crate) struct Ending<M> {
    /// They are gone, or have had their time.
    pub(crate) is_done: bool,
    /// Who waits for that.
    pub(crate) waiting: Vec<oneshot::Sender<()>>,
    /// What is to be done then. If there is something, the machine ends with it.
    pub(crate) last: Vec<Job<M>>,
}

impl<M> Ending<M> {
    pub(crate) fn new() -> Self {
        Self { is_done: false, waiting: Vec::new(), last: Vec::new() }
    }

    pub(crate) fn answer(&mut self) {
        for waiting in self.waiting.drain(..) {
            waiting.send(()).ok();
        }
    }
}
