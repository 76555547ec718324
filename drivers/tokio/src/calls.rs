//! Calls of the application's tasks to the machine.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
};

use socketio_proto::Timestamp;
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};
use tokio_util::sync::CancellationToken;

use crate::{error::HandleError, stats::DriverStats};

/// A call that waits for the machine.
pub(crate) enum Call<M> {
    /// Do something with the machine.
    With(Job<M>),
    /// Close all connections, and answer when they are gone.
    CloseConnections(oneshot::Sender<()>),
    /// The same, and then do a last thing with the machine and end.
    End(Job<M>),
    /// Answer with figures.
    Stats(oneshot::Sender<DriverStats>),
}

/// Something to do with a machine.
pub(crate) type Job<M> = Box<dyn FnOnce(&mut M, Timestamp) + Send>;

/// The way from any task to a machine.
///
/// [`Handle`](crate::Handle) is made of it. Use it if you drive a [`Machine`](crate::Machine) of
/// your own.
///
/// ```
/// use socketio_proto_tokio::{Calls, HandleError, Machine};
///
/// async fn is_idle<M: Machine>(calls: &Calls<M>) -> Result<bool, HandleError> {
///     calls.with(|machine, _now| machine.deadline().is_none()).await
/// }
/// ```
pub struct Calls<M> {
    calls: mpsc::Sender<Call<M>>,
    closing: CancellationToken,
}

impl<M> Calls<M> {
    pub(crate) fn new(calls: mpsc::Sender<Call<M>>, closing: CancellationToken) -> Self {
        Self { calls, closing }
    }

    /// Runs a closure on the machine and returns its result. Waits for a place if 64 calls wait
    /// already. A panic of the closure continues in the caller; the machine goes on.
    ///
    /// Once it has its place, the closure runs even if this future is dropped.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`] if the machine has ended.
    pub async fn with<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut M, Timestamp) -> R + Send + 'static,
    ) -> Result<R, HandleError> {
        let (job, done) = answered(job);
        self.calls.send(Call::With(job)).await.map_err(|_| HandleError::Closed)?;
        finished(done).await
    }

    /// Hands in a closure, which must not panic. Waits for a place, but not for the result.
    pub(crate) async fn hand_in(
        &self,
        job: impl FnOnce(&mut M, Timestamp) + Send + 'static,
    ) -> Result<(), HandleError> {
        self.calls.send(Call::With(Box::new(job))).await.map_err(|_| HandleError::Closed)
    }

    /// Hands in a closure without waiting, neither for a place nor for the result.
    ///
    /// # Errors
    ///
    /// [`HandleError::Full`] if too many calls wait, and [`HandleError::Closed`] if the machine has
    /// ended.
    pub fn try_with(
        &self,
        job: impl FnOnce(&mut M, Timestamp) + Send + 'static,
    ) -> Result<(), HandleError> {
        let (job, _) = answered(job);
        self.calls.try_send(Call::With(job)).map_err(|error| match error {
            TrySendError::Full(_) => HandleError::Full,
            TrySendError::Closed(_) => HandleError::Closed,
        })
    }

    /// Runs a closure on the machine from a thread outside of the runtime.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`] if the machine has ended.
    ///
    /// # Panics
    ///
    /// If called within a runtime, whose thread it would block.
    pub fn blocking_with<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut M, Timestamp) -> R + Send + 'static,
    ) -> Result<R, HandleError> {
        let (job, done) = answered(job);
        self.calls.blocking_send(Call::With(job)).map_err(|_| HandleError::Closed)?;
        unwound(done.blocking_recv().map_err(|_| HandleError::Closed)?)
    }

    /// Closes all connections, and takes no new ones. Returns when they are gone, or after three
    /// seconds.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`] if the machine has ended.
    pub async fn close_connections(&self) -> Result<(), HandleError> {
        let (answer, done) = oneshot::channel();
        let call = Call::CloseConnections(answer);
        self.calls.send(call).await.map_err(|_| HandleError::Closed)?;
        done.await.map_err(|_| HandleError::Closed)
    }

    /// Closes all connections as [`close_connections`](Self::close_connections) does, waits until the
    /// machine [is settled](crate::Machine::is_settled), for at most five seconds, runs a last closure on
    /// it, and ends it.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`] if the machine has ended.
    pub async fn end<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut M, Timestamp) -> R + Send + 'static,
    ) -> Result<R, HandleError> {
        let (job, done) = answered(job);
        self.calls.send(Call::End(job)).await.map_err(|_| HandleError::Closed)?;
        finished(done).await
    }

    /// Returns what the driver holds, and its counters.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`] if the machine has ended.
    pub async fn driver_stats(&self) -> Result<DriverStats, HandleError> {
        let (answer, stats) = oneshot::channel();
        self.calls.send(Call::Stats(answer)).await.map_err(|_| HandleError::Closed)?;
        stats.await.map_err(|_| HandleError::Closed)
    }

    /// Returns a way that does not keep the machine alive.
    pub fn downgrade(&self) -> WeakCalls<M> {
        WeakCalls { calls: self.calls.downgrade(), closing: self.closing.clone() }
    }

    /// Waits until connections have to end: [`close_connections`](Self::close_connections) or
    /// [`end`](Self::end) was called, or the machine has ended.
    pub fn closing(&self) -> impl Future<Output = ()> + Send + 'static + use<M> {
        self.closing.clone().cancelled_owned()
    }

    /// Waits until the machine has ended.
    pub async fn ended(&self) {
        self.calls.closed().await;
    }
}

impl<M> Clone for Calls<M> {
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone(), closing: self.closing.clone() }
    }
}

impl<M> fmt::Debug for Calls<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").field("free_places", &self.calls.capacity()).finish_non_exhaustive()
    }
}

/// Gives a closure a way to answer. A panic is part of the answer.
fn answered<M, R: Send + 'static>(
    job: impl FnOnce(&mut M, Timestamp) -> R + Send + 'static,
) -> (Job<M>, oneshot::Receiver<thread::Result<R>>) {
    let (answer, done) = oneshot::channel();
    let job = move |machine: &mut M, now| {
        // A machine has no state that a verb leaves half changed: the core does not panic.
        let result = catch_unwind(AssertUnwindSafe(|| job(machine, now)));
        answer.send(result).ok();
    };
    (Box::new(job), done)
}

async fn finished<R>(done: oneshot::Receiver<thread::Result<R>>) -> Result<R, HandleError> {
    unwound(done.await.map_err(|_| HandleError::Closed)?)
}

fn unwound<R>(result: thread::Result<R>) -> Result<R, HandleError> {
    result.or_else(|panic| resume_unwind(panic))
}

/// [`Calls`] that do not keep a machine alive.
pub struct WeakCalls<M> {
    calls: mpsc::WeakSender<Call<M>>,
    closing: CancellationToken,
}

impl<M> WeakCalls<M> {
    /// Returns the way to the machine, unless all others were dropped.
    pub fn upgrade(&self) -> Option<Calls<M>> {
        let calls = self.calls.upgrade()?;
        Some(Calls { calls, closing: self.closing.clone() })
    }
}

impl<M> Clone for WeakCalls<M> {
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone(), closing: self.closing.clone() }
    }
}

impl<M> fmt::Debug for WeakCalls<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakCalls").finish_non_exhaustive()
    }
}
