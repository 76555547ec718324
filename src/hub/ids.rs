//! Ids of new sessions.

use super::Hub;
use crate::id::{RecoveryKey, SocketId};

impl<D> Hub<D> {
    /// Draws a public id that names no room yet, and so no session.
    pub(super) fn draw_id(&mut self, namespace: u32) -> SocketId {
        let sessions = self.namespaces.get(&namespace).map(|namespace| &namespace.sessions);
        let is_free =
            |id: &SocketId| sessions.is_none_or(|sessions| !sessions.has_room(id.as_str()));
        let entropy = &mut *self.entropy;
        draw(|| SocketId::from_entropy(entropy), is_free)
    }

    /// Draws a private id that no session has.
    pub(super) fn draw_key(&mut self) -> RecoveryKey {
        let (entropy, keys) = (&mut *self.entropy, &self.keys);
        draw(|| RecoveryKey::from_entropy(entropy), |key| keys.get(&key.index_key()).is_none())
    }
}

/// Ids have 120 random bits, so that one that is taken is never drawn, unless the embedder's
/// entropy repeats itself: after a restart with the same seed, or in a virtual machine that was
/// started from an image twice.
fn draw<T>(mut source: impl FnMut() -> T, is_free: impl Fn(&T) -> bool) -> T {
    let first = source();
    if is_free(&first) {
        return first;
    }
    (0..DRAWS_MAX).map(|_| source()).find(|id| is_free(id)).unwrap_or(first)
}

/// Beyond it the entropy is a constant.
const DRAWS_MAX: u32 = 1_000;
