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
    Waiting(Pending<Result<T, Panicked>>),
}

/// Starts an async function of the application: it runs until it has to wait for something.
///
/// So functions start in the order of the events, and one that does not wait needs no task.
pub(super) fn start<T: 'static>(function: impl FnOnce() -> Pending<T>) -> Started<T> {
    let future = match call(function) {
        Ok(future) => future,
        Err(panicked) => return Started::Done(Err(panicked)),
    };
    let future = AssertUnwindSafe(future).catch_unwind();
    let mut future: Pending<_> = Box::pin(future.map(|done| done.map_err(|_| Panicked)));
    match future.as_mut().now_or_never() {
        Some(done) => Started::Done(done),
        None => Started::Waiting(future),
    }
}
