//! A process that does nothing for a while.

use std::collections::VecDeque;

use crate::net::Transit;

/// Keeps what arrives while a process is frozen, in order.
#[derive(Debug, Default)]
pub(super) struct Freezer {
    /// Until when the process does nothing, in microseconds.
    until: u64,
    held: VecDeque<Transit>,
}

impl Freezer {
    /// The process does nothing until then.
    pub(super) fn freeze(&mut self, until: u64) {
        self.until = self.until.max(until);
    }

    /// Another process has taken its place.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// When the process continues.
    pub(super) fn until(&self) -> u64 {
        self.until
    }

    /// Something arrives. Returns it if the process takes it now.
    pub(super) fn hold(&mut self, now: u64, transit: Transit) -> Option<Transit> {
        if now >= self.until && self.held.is_empty() {
            return Some(transit);
        }
        self.held.push_back(transit);
        None
    }

    /// Returns the next thing that has arrived in the meantime.
    pub(super) fn release(&mut self, now: u64) -> Option<Transit> {
        if now < self.until { None } else { self.held.pop_front() }
    }

    /// When there is something to release.
    pub(super) fn due(&self) -> Option<u64> {
        (!self.held.is_empty()).then_some(self.until)
    }
}
