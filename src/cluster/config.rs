//! Settings of a node.

use core::time::Duration;

use super::{Channels, Durability, OfficialSessions, message::NodeId};
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
    /// How many namespaces that nobody here is in have their logs kept. Default 1,000. Only namespaces
    /// that a [predicate](crate::hub::At::add_namespaces_matching) accepts count. A log is kept for as
    /// long as it goes back. Beyond this number, the log that has been silent for longest is given
    /// up. A client that then comes to that namespace from another node, and has missed something
    /// there, gets a new session.
    pub vacant_namespaces: usize,
    /// The same limit in bytes of all these logs. Default 16 MiB. A single one may be larger.
    pub vacant_namespace_bytes: usize,
    /// How namespaces are spread over channels. Default [`Channels::ONE`]. Each channel has an
    /// [`append_queue`](Self#structfield.append_queue) of its own. The driver of an engine that has
    /// several sets this.
    pub channels: Channels,
    /// How often the node tells the others that it is still there. Default 5 seconds, as official
    /// nodes do.
    pub heartbeat_interval: Duration,
    /// After which silence another node counts as gone. Default 10 seconds, as for official nodes.
    /// Requests under way then do not wait for it any longer.
    pub heartbeat_timeout: Duration,
    /// How many other nodes the node knows in each namespace. Default 1,000. It does not wait for the
    /// answers of others, unless the engine counts them.
    pub members: usize,
    /// How long [`fetch_sockets`](crate::hub::At::fetch_sockets) and
    /// [`count_servers`](crate::hub::At::count_servers) wait for the other nodes. Default 5 seconds,
    /// as for official nodes.
    pub request_timeout: Duration,
    /// How many requests to other nodes may be pending: broadcasts with acknowledgements,
    /// [`fetch_sockets`](crate::hub::At::fetch_sockets) and so on. Default 10,000. Beyond it, requests
    /// are refused with [`EmitError::TooManyRequests`](crate::hub::EmitError::TooManyRequests).
    pub pending_requests: usize,
    /// How many bytes the answers of other nodes to all pending requests may take, without those to
    /// broadcasts, for which [`broadcast_answer_bytes`](crate::Limits::broadcast_answer_bytes)
    /// applies. Default 64 MiB. An answer beyond it is dropped, and its node counts as missing.
    pub response_bytes: usize,
    /// What happens if a client claims a session that a Node.js server has stored. By default it is
    /// refused.
    pub official_sessions: OfficialSessions,
    /// When sessions are put into the store. Default [`Durability::OnPark`].
    pub durability: Durability,
    /// With [`Durability::OnChange`]: how long the packets for a client wait until the store has what
    /// has changed its session. Default 2 seconds. After that they are sent nevertheless, and
    /// [`changes_not_awaited`](crate::server::Totals::changes_not_awaited) counts it. If the process
    /// crashes before the store has the change, the session that is recovered does not have it. So an
    /// engine that is away delays clients, and does not stop them. A node that alone has no engine
    /// continues its sessions in this way also if another node has taken them; such a client has to come
    /// back once more when the engine does.
    pub store_timeout: Duration,
    /// How many packets wait so, for each connection. Default 1,024, and at most
    /// [`outgoing_bytes`](crate::Limits#structfield.outgoing_bytes) in all. Beyond it they are sent at
    /// once, as after [`store_timeout`](Self#structfield.store_timeout).
    pub withheld_packets: usize,
}

impl ClusterConfig {
    /// The default settings of a node with this name.
    pub const fn new(node: NodeId) -> Self {
        Self {
            node,
            append_queue: 10_000,
            append_queue_bytes: 16 << 20,
            heartbeat_interval: Duration::from_secs(5),
            heartbeat_timeout: Duration::from_secs(10),
            members: 1_000,
            request_timeout: Duration::from_secs(5),
            pending_requests: 10_000,
            response_bytes: 64 << 20,
            vacant_namespaces: 1_000,
            vacant_namespace_bytes: 16 << 20,
            channels: Channels::ONE,
            official_sessions: OfficialSessions::Refuse,
            durability: Durability::OnPark,
            store_timeout: Duration::from_secs(2),
            withheld_packets: 1_024,
        }
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

    /// Sets [`vacant_namespaces`](Self#structfield.vacant_namespaces).
    #[must_use]
    pub const fn vacant_namespaces(mut self, namespaces: usize) -> Self {
        self.vacant_namespaces = namespaces;
        self
    }

    /// Sets [`vacant_namespace_bytes`](Self#structfield.vacant_namespace_bytes).
    #[must_use]
    pub const fn vacant_namespace_bytes(mut self, bytes: usize) -> Self {
        self.vacant_namespace_bytes = bytes;
        self
    }

    /// Sets [`channels`](Self#structfield.channels).
    #[must_use]
    pub const fn channels(mut self, channels: Channels) -> Self {
        self.channels = channels;
        self
    }

    /// Sets [`heartbeat_interval`](Self#structfield.heartbeat_interval).
    #[must_use]
    pub const fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.heartbeat_interval = interval;
        self
    }

    /// Sets [`heartbeat_timeout`](Self#structfield.heartbeat_timeout).
    #[must_use]
    pub const fn heartbeat_timeout(mut self, timeout: Duration) -> Self {
        self.heartbeat_timeout = timeout;
        self
    }

    /// Sets [`members`](Self#structfield.members).
    #[must_use]
    pub const fn members(mut self, nodes: usize) -> Self {
        self.members = nodes;
        self
    }

    /// Sets [`request_timeout`](Self#structfield.request_timeout).
    #[must_use]
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Sets [`pending_requests`](Self#structfield.pending_requests).
    #[must_use]
    pub const fn pending_requests(mut self, requests: usize) -> Self {
        self.pending_requests = requests;
        self
    }

    /// Sets [`response_bytes`](Self#structfield.response_bytes).
    #[must_use]
    pub const fn response_bytes(mut self, bytes: usize) -> Self {
        self.response_bytes = bytes;
        self
    }

    /// Sets [`official_sessions`](Self#structfield.official_sessions).
    #[must_use]
    pub const fn official_sessions(mut self, choice: OfficialSessions) -> Self {
        self.official_sessions = choice;
        self
    }

    /// Sets [`durability`](Self#structfield.durability).
    #[must_use]
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets [`store_timeout`](Self#structfield.store_timeout).
    #[must_use]
    pub const fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store_timeout = timeout;
        self
    }

    /// Sets [`withheld_packets`](Self#structfield.withheld_packets).
    #[must_use]
    pub const fn withheld_packets(mut self, packets: usize) -> Self {
        self.withheld_packets = packets;
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
            ("cluster.vacant_namespaces", self.vacant_namespaces > 0),
            ("cluster.vacant_namespace_bytes", self.vacant_namespace_bytes > 0),
            ("cluster.channels", self.channels.is_valid()),
            ("cluster.heartbeat_interval", !self.heartbeat_interval.is_zero()),
            ("cluster.heartbeat_timeout", self.heartbeat_timeout > self.heartbeat_interval),
            ("cluster.request_timeout", !self.request_timeout.is_zero()),
        ])
    }
}
