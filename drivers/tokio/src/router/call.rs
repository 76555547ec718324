//! Calls of the application's functions, whose panics harm nobody else.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
};

use futures_util::FutureExt as _;

/// A function of the application has panicked. The panic hook has reported it.
pub(super) struct Panicked;

/// What an async function of the application will return.
pub(super) type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Calls a function of the application.
pub(super) fn call<T>(function: impl FnOnce() -> T) -> Result<T, Panicked> {
    // What it leaves half done is its own: the core does not panic in a verb.
    catch_unwind(AssertUnwindSafe(function)).map_err(|_| Panicked)
}

/// An async function that was started.
pub(super) enum Started<T> {
    Done(Result<T, Panicked>),
    Waiting(Pending<T>),
}

/// Starts an async function of the application: it runs until it has to wait for something.
///
/// So functions start in the order of the events, and one that does not wait needs no task.
pub(super) fn start<T>(function: impl FnOnce() -> Pending<T>) -> Started<T> {
    let mut pending = match call(function) {
        Ok(pending) => pending,
        Err(panicked) => return Started::Done(Err(panicked)),
    };
    match call(|| pending.as_mut().now_or_never()) {
        Ok(Some(done)) => Started::Done(Ok(done)),
        Ok(None) => Started::Waiting(pending),
        Err(panicked) => Started::Done(Err(panicked)),
    }
}

/// Waits for the rest of an async function of the application.
pub(super) async fn wait<T>(pending: Pending<T>) -> Result<T, Panicked> {
    AssertUnwindSafe(pending).catch_unwind().await.map_err(|_| Panicked)
}
