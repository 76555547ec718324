//! Settings of a node.

use super::{Channels, message::NodeId};
use crate::{
    config::{ConfigError, check},
    entropy::Entropy,
};

/// Settings of a node of a cluster.
///
/// ```
/// use socketio_proto::cluster::ClusterConfig;
///
/// let mut entropy = |dest: &mut [u8]| dest.fill(7); // Random bytes, in production.
/// let config = ClusterConfig::from_entropy(&mut entropy).append_queue(1_000);
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// The name of this node. No two nodes have the same name, not even one after the other.
    pub node: NodeId,
    /// How many verbs may wait until the channel has brought in what was emitted before them: what
    /// this node emits, and what it does after that. Default 10,000. Beyond it, what would go into
    /// the channel is refused with [`EmitError::ChannelFull`](crate::hub::EmitError::ChannelFull).
    /// Joins, leaves, disconnections and answers are not refused. They then take effect at once,
    /// ahead of what was emitted before.
    pub append_queue: usize,
    /// The same limit in bytes. Default 16 MiB.
    pub append_queue_bytes: usize,
    /// How namespaces are spread over channels. Default [`Channels::ONE`]. Each channel has an
    /// [`append_queue`](Self#structfield.append_queue) of its own. The driver of an engine that has
    /// several sets this.
    pub channels: Channels,
}

impl ClusterConfig {
    /// The default settings of a node with this name.
    pub const fn new(node: NodeId) -> Self {
        Self { node, append_queue: 10_000, append_queue_bytes: 16 << 20, channels: Channels::ONE }
    }

    /// The default settings of a node with a random name.
    pub fn from_entropy(entropy: &mut dyn Entropy) -> Self {
        Self::new(NodeId::from_entropy(entropy))
    }

    /// Sets [`append_queue`](Self#structfield.append_queue).
    #[must_use]
    pub const fn append_queue(mut self, verbs: usize) -> Self {
        self.append_queue = verbs;
        self
    }

    /// Sets [`append_queue_bytes`](Self#structfield.append_queue_bytes).
    #[must_use]
    pub const fn append_queue_bytes(mut self, bytes: usize) -> Self {
        self.append_queue_bytes = bytes;
        self
    }

    /// Sets [`channels`](Self#structfield.channels).
    #[must_use]
    pub const fn channels(mut self, channels: Channels) -> Self {
        self.channels = channels;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the name of a setting that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check(&[
            ("cluster.append_queue", self.append_queue > 0),
            ("cluster.append_queue_bytes", self.append_queue_bytes > 0),
            ("cluster.channels", self.channels.is_valid()),
        ])
    }
}
