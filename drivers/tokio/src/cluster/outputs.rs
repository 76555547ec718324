//! The way from a server to its engine.

use std::sync::Arc;

use bytes::Bytes;
use socketio_proto::cluster::{ClusterOutput, message::Body};
use tokio::sync::mpsc;

use super::stats::{EngineStats, Figures};

/// Volatile events that may wait.
const PUBLISHED: usize = 1_000;
/// All messages that are not stored, and that may wait. A broadcast has as many answers as clients.
const MESSAGES: usize = 100_000;
/// Bytes of what they say.
const PUBLISHED_BYTES: usize = 16 << 20;

/// About what the description of a socket takes.
const SOCKET: usize = 512;

/// An output on its way.
pub(super) struct Queued {
    pub(super) output: ClusterOutput,
    /// The connection that it is meant for: how many were lost before.
    pub(super) connection: u64,
    /// About how many bytes it says, if it may be dropped.
    pub(super) published: Option<usize>,
}

/// The server's end of the way. It never waits. How many entries and sessions there can be on the way
/// is bounded by the server; what else there may be is bounded here.
pub(crate) struct Outputs {
    queue: mpsc::UnboundedSender<Queued>,
    connection: u64,
    figures: Arc<Figures>,
}

impl Outputs {
    pub(super) fn new(figures: Arc<Figures>) -> (Self, mpsc::UnboundedReceiver<Queued>) {
        let (queue, outputs) = mpsc::unbounded_channel();
        (Self { queue, connection: 0, figures }, outputs)
    }

    pub(crate) fn stats(&self) -> EngineStats {
        self.figures.get()
    }

    /// A connection was lost. What is sent from now on is meant for the next one.
    pub(crate) fn begin_anew(&mut self) {
        self.connection = self.connection.wrapping_add(1);
    }

    pub(crate) fn send(&self, output: ClusterOutput) {
        let published = published(&output);
        let limit = if is_volatile(&output) { PUBLISHED } else { MESSAGES };
        let takes = self.figures.with(|stats| take_place(stats, published, limit));
        if takes {
            let connection = self.connection;
            // Without an engine nobody needs it.
            self.queue.send(Queued { output, connection, published }).ok();
        }
    }
}

impl Queued {
    /// It waits no longer.
    pub(super) fn leave(&self, stats: &mut EngineStats) {
        stats.outputs_waiting = stats.outputs_waiting.saturating_sub(1);
        if let Some(bytes) = self.published {
            stats.published_waiting = stats.published_waiting.saturating_sub(1);
            stats.published_bytes_waiting = stats.published_bytes_waiting.saturating_sub(bytes);
        }
    }
}

fn take_place(stats: &mut EngineStats, published: Option<usize>, limit: usize) -> bool {
    if let Some(bytes) = published {
        let all = stats.published_bytes_waiting.saturating_add(bytes);
        // One message is always allowed.
        let is_too_much = stats.published_waiting > 0 && all > PUBLISHED_BYTES;
        if stats.published_waiting >= limit || is_too_much {
            stats.published_dropped = stats.published_dropped.wrapping_add(1);
            return false;
        }
        stats.published_waiting += 1;
        stats.published_bytes_waiting = all;
    }
    stats.outputs_waiting += 1;
    true
}

/// About how many bytes a message says that may be dropped.
fn published(output: &ClusterOutput) -> Option<usize> {
    let ClusterOutput::Publish { message, .. } = output else { return None };
    let contents = match &message.body {
        Body::Broadcast(broadcast) => {
            broadcast.packet().map_or(0, |packet| packet.event.wire_len())
        }
        Body::FetchSocketsResponse { sockets, .. } => sockets.len().saturating_mul(SOCKET),
        Body::ServerSideEmit { packet, .. } => len(packet.json(), packet.attachments()),
        Body::ServerSideEmitResponse { answer: value, .. }
        | Body::BroadcastAck { answer: value, .. }
        | Body::Own { data: value, .. } => len(value.json(), value.attachments()),
        _ => 0,
    };
    Some(contents)
}

fn len(text: &str, attachments: &[Bytes]) -> usize {
    attachments.iter().map(Bytes::len).fold(text.len(), usize::saturating_add)
}

/// Whether it is an event that may be lost. Requests, answers and heartbeats should not be.
fn is_volatile(output: &ClusterOutput) -> bool {
    let ClusterOutput::Publish { message, .. } = output else { return false };
    matches!(&message.body, Body::Broadcast(broadcast) if broadcast.request.is_none())
}
