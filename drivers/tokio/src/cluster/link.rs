//! The engine's end of the ways to and from its server.

use std::{fmt, pin::Pin, sync::Arc};

use socketio_proto::cluster::{ClusterInput, ClusterOutput, message::NodeId};
use tokio::sync::mpsc;

use super::{outputs::Queued, stats::Figures};
use crate::{
    app::{App, Hosted},
    calls::WeakCalls,
};

/// The way from an engine to its server, and back.
pub struct EngineLink {
    node: NodeId,
    outputs: mpsc::UnboundedReceiver<Queued>,
    inputs: EngineInputs,
    /// The present connection: how many were lost before.
    connection: u64,
    /// Between two connections: the entries that were meant for the one before.
    not_sent: Option<Vec<ClusterInput>>,
    figures: Arc<Figures>,
}

impl EngineLink {
    pub(super) fn new(
        node: NodeId,
        outputs: mpsc::UnboundedReceiver<Queued>,
        inputs: EngineInputs,
        figures: Arc<Figures>,
    ) -> Self {
        Self { node, outputs, inputs, connection: 0, not_sent: None, figures }
    }

    /// Returns the name of the server's node.
    pub const fn node(&self) -> &NodeId {
        &self.node
    }

    /// Returns the way back, of which there may be clones in other tasks.
    pub const fn inputs(&self) -> &EngineInputs {
        &self.inputs
    }

    /// Waits for the next output. `None` if the server has ended and everything was returned. It
    /// loses nothing if it is dropped.
    ///
    /// What was meant for an earlier connection is left out.
    pub async fn recv(&mut self) -> Option<ClusterOutput> {
        loop {
            let queued = self.outputs.recv().await?;
            if let Some(output) = self.take(queued) {
                return Some(output);
            }
        }
    }

    /// Returns the next output if there is one now.
    pub fn try_recv(&mut self) -> Option<ClusterOutput> {
        loop {
            let queued = self.outputs.try_recv().ok()?;
            if let Some(output) = self.take(queued) {
                return Some(output);
            }
        }
    }

    /// Whether the server has ended and everything was returned.
    pub(super) fn is_closed(&self) -> bool {
        self.outputs.is_closed() && self.outputs.is_empty()
    }

    fn take(&mut self, queued: Queued) -> Option<ClusterOutput> {
        let is_meant = queued.connection == self.connection;
        self.figures.with(|stats| {
            queued.leave(stats);
            if !is_meant {
                stats.outdated = stats.outdated.wrapping_add(1);
            }
        });
        if is_meant {
            return Some(queued.output);
        }
        if let (Some(not_sent), ClusterOutput::Append(message)) =
            (&mut self.not_sent, queued.output)
            && let Some(stamp) = message.stamp
        {
            let (namespace, sequence) = (message.namespace.clone(), stamp.sequence);
            not_sent.push(ClusterInput::NotSent { namespace, sequence });
        }
        None
    }

    /// The connection is lost. What is on its way was meant for it.
    pub(super) async fn begin_anew(&mut self) {
        self.connection = self.connection.wrapping_add(1);
        self.not_sent = Some(Vec::new());
        self.inputs.server.disconnect().await;
    }

    /// Before the next connection: reports the entries that the last one was not given.
    pub(super) async fn report_not_sent(&mut self) {
        let not_sent = self.not_sent.take().unwrap_or_default();
        self.inputs.send(not_sent).await;
    }
}

impl fmt::Debug for EngineLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineLink").field("node", &self.node).finish_non_exhaustive()
    }
}

/// The way from an engine to its server. Cheap to clone.
#[derive(Clone)]
pub struct EngineInputs {
    server: Arc<dyn TakesInputs>,
    figures: Arc<Figures>,
}

impl EngineInputs {
    pub(super) fn new<A: App>(server: WeakCalls<Hosted<A>>, figures: Arc<Figures>) -> Self {
        Self { server: Arc::new(server), figures }
    }

    /// The way to something that is not a server.
    #[cfg(feature = "engine-contract")]
    pub(super) fn to(inputs: mpsc::UnboundedSender<ClusterInput>, figures: Arc<Figures>) -> Self {
        Self { server: Arc::new(inputs), figures }
    }

    /// Hands in what the engine has learned, in this order. Waits for a place if the server has much
    /// to do. If the server has ended, this does nothing.
    ///
    /// The order is also that of the calls, if each is awaited before the next.
    pub async fn send(&self, inputs: Vec<ClusterInput>) {
        let is_connected =
            inputs.iter().any(|input| matches!(input, ClusterInput::Connected { .. }));
        if is_connected {
            self.figures.with(|stats| {
                // With several streams there are several such inputs.
                if !stats.is_connected {
                    stats.connected = stats.connected.wrapping_add(1);
                }
                stats.is_connected = true;
            });
        }
        if !inputs.is_empty() {
            self.server.take(inputs).await;
        }
    }

    /// Counts a message of another node that was dropped because too many wait for the server.
    pub fn count_dropped(&self) {
        self.figures.with(|stats| stats.received_dropped = stats.received_dropped.wrapping_add(1));
    }

    /// Counts what the engine's server has said that is larger than the engine may hold.
    pub fn count_too_large(&self) {
        self.figures
            .with(|stats| stats.received_too_large = stats.received_too_large.wrapping_add(1));
    }

    /// Counts a message of this node that is not stored, and that cannot be sent.
    pub fn count_refused(&self) {
        self.figures
            .with(|stats| stats.published_refused = stats.published_refused.wrapping_add(1));
    }

    /// Counts a message that is not stored, and that nobody can read.
    pub fn count_skipped(&self) {
        self.figures.with(|stats| stats.received_skipped = stats.received_skipped.wrapping_add(1));
    }
}

impl fmt::Debug for EngineInputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineInputs").finish_non_exhaustive()
    }
}

type Taken<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A server with any application.
trait TakesInputs: Send + Sync {
    fn take(&self, inputs: Vec<ClusterInput>) -> Taken<'_>;
    fn disconnect(&self) -> Taken<'_>;
}

impl<A: App> TakesInputs for WeakCalls<Hosted<A>> {
    fn take(&self, inputs: Vec<ClusterInput>) -> Taken<'_> {
        Box::pin(async move {
            if let Some(calls) = self.upgrade() {
                calls.hand_in(move |hosted, now| hosted.handle_cluster(now, inputs)).await.ok();
            }
        })
    }

    fn disconnect(&self) -> Taken<'_> {
        Box::pin(async move {
            if let Some(calls) = self.upgrade() {
                calls.hand_in(Hosted::handle_disconnected).await.ok();
            }
        })
    }
}

#[cfg(feature = "engine-contract")]
impl TakesInputs for mpsc::UnboundedSender<ClusterInput> {
    fn take(&self, inputs: Vec<ClusterInput>) -> Taken<'_> {
        Box::pin(async move {
            for input in inputs {
                self.send(input).ok();
            }
        })
    }

    fn disconnect(&self) -> Taken<'_> {
        Box::pin(async move {
            self.send(ClusterInput::Disconnected).ok();
        })
    }
}
