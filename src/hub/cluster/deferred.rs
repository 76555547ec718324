//! The sessions that are going to be changed by what waits for own entries of the channel.

use alloc::collections::BTreeMap;

use crate::id::SocketKey;

/// How many changes each session waits for. Until they are made, its record would be wrong, so it does
/// not go to the store.
#[derive(Debug, Default)]
pub(super) struct Deferred(BTreeMap<SocketKey, u32>);

impl Deferred {
    pub(super) fn add(&mut self, socket: SocketKey) {
        let count = self.0.entry(socket).or_default();
        *count = count.saturating_add(1);
    }

    /// One of the changes was made. Returns whether it was the last one.
    pub(super) fn remove(&mut self, socket: SocketKey) -> bool {
        let Some(count) = self.0.get_mut(&socket) else { return false };
        *count = count.saturating_sub(1);
        *count == 0 && self.0.remove(&socket).is_some()
    }

    pub(super) fn contains(&self, socket: SocketKey) -> bool {
        self.0.contains_key(&socket)
    }
}
