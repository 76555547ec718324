//! Figures of an engine.

use std::sync::Mutex;

use serde::Serialize;

use crate::lock::lock;

/// What an engine holds, and what it has counted since the start. Counters wrap around. From
/// [`Handle::engine_stats`](crate::Handle::engine_stats).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EngineStats {
    /// Whether it is connected.
    pub is_connected: bool,
    /// How often it was connected, the first time included.
    pub connected: u64,
    /// How often it could not connect, or has lost its connection.
    pub failures: u64,
    /// How many of these failures were panics of the engine.
    pub panics: u64,
    /// The cause of the latest failure.
    pub last_failure: Option<String>,
    /// Outputs of the server that wait for the engine.
    pub outputs_waiting: usize,
    /// Messages that are not stored, and that wait for the engine. At 1,000 further
    /// volatile events are dropped; at 100,000 also requests, answers and heartbeats.
    pub published_waiting: usize,
    /// About how many bytes they say. At 16 MiB further ones are dropped.
    pub published_bytes_waiting: usize,
    /// Messages dropped because too many waited.
    pub published_dropped: u64,
    /// Messages that are not stored, and that could not be sent: too large, or refused by the engine's
    /// server. They have reached nobody.
    pub published_refused: u64,
    /// Messages of other nodes dropped because too many waited for the server.
    pub received_dropped: u64,
    /// Messages of other nodes that are not stored, and that nobody could read; with PostgreSQL also those of
    /// Node.js servers that could not be put into the channel. Entries of a channel are
    /// in [`entries_skipped`](socketio_proto::server::Totals#structfield.entries_skipped).
    pub received_skipped: u64,
    /// What the engine's server has said that was larger than the engine may hold. Each time, the
    /// connection has ended.
    pub received_too_large: u64,
    /// Outputs that were meant for a connection that was lost before they were carried out. The server
    /// repeats what it still wants.
    pub outdated: u64,
}

/// Figures that the server's task and the engine's share.
#[derive(Debug, Default)]
pub(super) struct Figures(Mutex<EngineStats>);

impl Figures {
    pub(super) fn get(&self) -> EngineStats {
        self.with(|stats| stats.clone())
    }

    pub(super) fn with<R>(&self, change: impl FnOnce(&mut EngineStats) -> R) -> R {
        change(&mut lock(&self.0))
    }
}
