//! Real clients have timers of their own, and a browser takes every core: what runs beside them is
//! kept small.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static TURN: RwLock<()> = RwLock::new(());

/// Runs beside others that share, until the guard is dropped.
pub(crate) fn shared() -> RwLockReadGuard<'static, ()> {
    // One that failed holds up no other.
    TURN.read().unwrap_or_else(PoisonError::into_inner)
}

/// Runs alone, until the guard is dropped.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    TURN.write().unwrap_or_else(PoisonError::into_inner)
}
