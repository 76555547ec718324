//! Decides which tests may run at the same time. One runs alone: a browser uses every core, and the clients of the
//! others have timers.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static TURN: RwLock<()> = RwLock::new(());

/// Allows other tests with a shared guard to run at the same time, until the guard is dropped.
pub(crate) fn shared() -> RwLockReadGuard<'static, ()> {
    // A failed test must not block the others.
    TURN.read().unwrap_or_else(PoisonError::into_inner)
}

/// Lets no other test run, until the guard is dropped.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    TURN.write().unwrap_or_else(PoisonError::into_inner)
}
