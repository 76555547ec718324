//! What makes the server of a world a cluster.

use socketio_proto::cluster::ClusterConfig;

use crate::engine::EngineOptions;

/// Describes a cluster: how many nodes it has, and the engine that connects them.
///
/// ```
/// use socketio_proto_sim::{Cluster, engine::EngineOptions};
///
/// let cluster = Cluster::new(3).engine(EngineOptions::redis_pubsub());
/// assert_eq!(cluster.nodes, 3);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Cluster {
    /// How many nodes there are.
    pub nodes: usize,
    /// What the engine is able to do. Default [`EngineOptions::redis_streams`].
    pub engine: EngineOptions,
    /// Changes the settings of each node, by its number. By default they stay as they are.
    pub config: fn(usize, ClusterConfig) -> ClusterConfig,
}

impl Cluster {
    /// A cluster of this many nodes over Redis Streams.
    ///
    /// # Panics
    ///
    /// If there are no nodes.
    pub const fn new(nodes: usize) -> Self {
        assert!(nodes > 0, "a cluster has nodes");
        Self { nodes, engine: EngineOptions::redis_streams(), config: |_, config| config }
    }

    /// Sets what the engine is able to do.
    #[must_use]
    pub const fn engine(self, engine: EngineOptions) -> Self {
        Self { engine, ..self }
    }

    /// Changes the settings of each node, by its number.
    ///
    /// ```
    /// use socketio_proto::cluster::Durability;
    /// use socketio_proto_sim::Cluster;
    ///
    /// // One node stores parked sessions, the others store all of theirs.
    /// let cluster = Cluster::new(3).config(|node, config| match node {
    ///     0 => config.durability(Durability::OnPark),
    ///     _ => config.durability(Durability::OnChange),
    /// });
    /// # assert_eq!(cluster.nodes, 3);
    /// ```
    #[must_use]
    pub const fn config(self, config: fn(usize, ClusterConfig) -> ClusterConfig) -> Self {
        Self { config, ..self }
    }
}
