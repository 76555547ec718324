//! A server that is one node of a cluster.

use alloc::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use super::Server;
use crate::{
    cluster::{ClusterConfig, ClusterInput, message::NodeId},
    config::{ConfigError, ServerConfig},
    entropy::Entropy,
    hub::Hub,
    pool::Pool,
    time::Timestamp,
};

impl<D: Default> Server<D> {
    /// Creates a server that is one node of a [cluster](crate::cluster), without namespaces. It has
    /// the methods of any other server. Carry out each
    /// [`ServerOutput::Cluster`](super::ServerOutput::Cluster), and hand in what comes back with
    /// [`handle_cluster`](Self::handle_cluster).
    ///
    /// Clients wait until the node is [connected](ClusterInput::Connected) for the first time.
    ///
    /// ```
    /// use socketio_proto::cluster::ClusterConfig;
    /// use socketio_proto::server::Server;
    /// use socketio_proto::{RecoveryConfig, ServerConfig};
    ///
    /// # fn fill_from_the_operating_system(dest: &mut [u8]) { dest.fill(7) }
    /// let config = ServerConfig::new().recovery(RecoveryConfig::new());
    /// let node = ClusterConfig::from_entropy(&mut fill_from_the_operating_system);
    /// let server = Server::<()>::clustered(config, node, fill_from_the_operating_system)?;
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Hub::clustered`].
    pub fn clustered(
        config: ServerConfig,
        cluster: ClusterConfig,
        entropy: impl Entropy + 'static,
    ) -> Result<Self, ConfigError>
    where
        D: Clone + Serialize + DeserializeOwned,
    {
        let config = Arc::new(config);
        let hub = Hub::clustered(config.clone(), cluster, entropy)?;
        let pool = Pool::with_seed(config, 0, hub.seed());
        Ok(Self::with_hub(hub, pool))
    }

    /// Returns the name of this node. `None` if the server is alone.
    pub fn node(&self) -> Option<&NodeId> {
        self.hub.node()
    }

    /// Handles what the engine of the cluster reports. Has no effect on a server that is alone.
    ///
    /// ```
    /// use std::{collections::VecDeque, sync::Arc};
    ///
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::cluster::{ClusterInput, ClusterOutput};
    /// use socketio_proto::recovery::Offset;
    /// use socketio_proto::server::{Server, ServerOutput};
    ///
    /// /// The whole engine of a cluster of one node.
    /// fn serve(server: &mut Server, now: Timestamp, position: &mut u64) {
    ///     while let Some(output) = server.poll_output() {
    ///         if let ServerOutput::Cluster(ClusterOutput::Append(message)) = output {
    ///             *position += 1;
    ///             let (position, message) = (Offset::pair(0, *position), Some(Arc::unwrap_or_clone(message)));
    ///             server.handle_cluster(now, ClusterInput::Entry { channel: 0, position, message });
    ///         }
    ///     }
    /// }
    /// ```
    pub fn handle_cluster(&mut self, now: Timestamp, input: ClusterInput) {
        let now = self.outside.pool.advance(now);
        self.hub.handle_cluster(now, input);
        self.follow();
    }
}
