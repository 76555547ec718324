//! Messages of official nodes and emitters that are to come into the channel.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use socketio_proto::{
    ByteString,
    cluster::{
        engines::postgres::{PostgresImport, PostgresPlace},
        message::NodeId,
    },
};
use tokio::time::Instant;

/// How long a node leaves a message to the one that has imported the latest one.
const PATIENCE: Duration = Duration::from_millis(250);
/// After this time, nobody can tell any more whether another node has imported it.
const STALE: Duration = Duration::from_secs(60);
/// Messages that wait.
const WAITING: usize = 10_000;
/// Messages that are imported at once.
pub(crate) const BATCH: usize = 500;

/// What this node has heard and not yet read in the channel.
#[derive(Debug, Default)]
pub(crate) struct Imports(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<PostgresPlace, (PostgresImport, Instant)>,
    /// The node that has imported the latest one. It goes on, so that not all nodes try it with each.
    latest: Option<ByteString>,
}

impl Imports {
    /// A message was heard. Returns how many were dropped because too many wait.
    pub(crate) fn hear(&self, import: PostgresImport, now: Instant) -> usize {
        let mut state = self.lock();
        state.waiting.insert(import.place.clone(), (import, now));
        let too_many = state.waiting.len().saturating_sub(WAITING);
        for _ in 0..too_many {
            state.waiting.pop_first();
        }
        too_many
    }

    /// A message was read in the channel.
    pub(crate) fn note_read(&self, place: &PostgresPlace, importer: ByteString) {
        let mut state = self.lock();
        state.waiting.remove(place);
        state.latest = Some(importer);
    }

    /// Messages are in the channel.
    pub(crate) fn note_done(&self, places: &[PostgresPlace]) {
        let mut state = self.lock();
        for place in places {
            state.waiting.remove(place);
        }
    }

    /// What this node imports now, in order. Also returns how many were dropped.
    pub(crate) fn due(&self, node: &NodeId, now: Instant) -> (Vec<PostgresImport>, usize) {
        let mut state = self.lock();
        let before = state.waiting.len();
        state.waiting.retain(|_, (_, heard)| now.duration_since(*heard) < STALE);
        let dropped = before.saturating_sub(state.waiting.len());
        let is_ours = state.latest.as_ref().is_none_or(|latest| **latest == *node.as_str());
        let is_overdue = |heard: &Instant| now.duration_since(*heard) >= PATIENCE;
        let is_due = is_ours || state.waiting.values().any(|(_, heard)| is_overdue(heard));
        // All of them: their order is that in which they were heard.
        let due = state.waiting.values().take(if is_due { BATCH } else { 0 });
        (due.map(|(import, _)| import.clone()).collect(), dropped)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// The channel was made anew: places are others there.
    pub(crate) fn clear(&self) {
        *self.lock() = State::default();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
