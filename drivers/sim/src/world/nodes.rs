//! The servers of a world: one, or the nodes of a cluster.

use socketio_proto::{
    ServerConfig, Timestamp,
    cluster::{Channels, ClusterConfig, Durability, message::NodeId},
    server::Server,
};

use super::{
    freezer::Freezer,
    promise::{Records, recorder},
};
use crate::{Application, Cluster, Data, Rng};

/// A server with its application.
pub(super) struct Node<A, D: Data> {
    pub(super) server: Server<D>,
    pub(super) application: A,
    /// Whether it stores its sessions before their clients learn of a change. Then another node may take
    /// one of them while this one is up.
    pub(super) writes_ahead: bool,
    /// How many processes of it there have been before.
    pub(super) restarts: u64,
    /// What waits for its process.
    pub(super) freezer: Freezer,
    pub(super) records: Records,
    /// If it hands its sessions over: how long nobody is there after that, in milliseconds.
    pub(super) leaving: Option<u64>,
}

/// What all processes of a world have in common.
pub(super) struct Setup<'a> {
    pub(super) seed: u64,
    pub(super) config: &'a ServerConfig,
    pub(super) cluster: Option<&'a Cluster>,
}

impl<A: Application<D>, D: Data> Node<A, D> {
    /// Starts a process.
    pub(super) fn start(
        setup: &Setup<'_>,
        number: usize,
        restarts: u64,
        mut application: A,
    ) -> Self {
        let rng = match number {
            0 => Rng::keyed(setup.seed, &[0x5e, restarts]),
            _ => Rng::keyed(setup.seed, &[0x5e, restarts, number as u64]),
        };
        let (config, entropy) = (setup.config.clone(), rng.entropy());
        let cluster = setup.cluster.map(|cluster| {
            let node = ClusterConfig::new(name(number, restarts)).channels(layout(cluster));
            (cluster.config)(node)
        });
        let writes_ahead =
            cluster.as_ref().is_some_and(|cluster| cluster.durability == Durability::OnChange);
        let server = match cluster {
            None => Server::new(config, entropy),
            Some(cluster) => Server::clustered(config, cluster, entropy),
        };
        let mut server = server.expect("a valid configuration");
        let records = Records::default();
        server.at(Timestamp::ZERO).set_recorder(recorder(&records));
        application.start(&mut server, Timestamp::ZERO);
        let freezer = Freezer::default();
        Self { server, application, writes_ahead, restarts, freezer, records, leaving: None }
    }

    pub(super) fn server_due(&self) -> Option<u64> {
        Some(self.server.deadline()?.as_micros().max(self.freezer.until()))
    }

    pub(super) fn application_due(&self) -> Option<u64> {
        Some(self.application.deadline()?.as_micros().max(self.freezer.until()))
    }

    /// Whether a balancer sends clients to it.
    pub(super) fn is_open(&self, now: u64) -> bool {
        self.freezer.until() <= now && self.leaving.is_none()
    }
}

/// No two processes have the same name.
pub(super) fn name(number: usize, restarts: u64) -> NodeId {
    NodeId::new(format!("node-{number}-{restarts}")).expect("a name")
}

/// How the namespaces are spread over the channels.
pub(super) fn layout(cluster: &Cluster) -> Channels {
    Channels::new(cluster.engine.channels, |name, count| {
        u32::try_from(name.as_str().len()).unwrap_or_default() % count
    })
}
