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
use crate::{Application, Cluster, Data, Rng, script::Moment};

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
    /// At which of its next commands it crashes.
    pub(super) crash: Option<PlannedCrash>,
}

/// A node crashes when so many commands have come to this moment, and another one does.
#[derive(Clone, Copy)]
pub(super) struct PlannedCrash {
    pub(super) commands: u64,
    pub(super) moment: Moment,
    /// How long nobody is there after that, in milliseconds.
    pub(super) down_ms: u64,
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
            (cluster.config)(number, node)
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
        Self {
            server,
            application,
            writes_ahead,
            restarts,
            freezer,
            records,
            leaving: None,
            crash: None,
        }
    }

    pub(super) fn server_due(&self) -> Option<u64> {
        Some(self.server.deadline()?.as_micros().max(self.freezer.until()))
    }

    pub(super) fn application_due(&self) -> Option<u64> {
        Some(self.application.deadline()?.as_micros().max(self.freezer.until()))
    }

    /// A command has come to this moment. Returns for how long nobody is there if the node crashes now.
    pub(super) fn crash_at(&mut self, moment: Moment) -> Option<u64> {
        let crash = self.crash.as_mut().filter(|crash| crash.moment == moment)?;
        let is_now = crash.commands == 0;
        crash.commands = crash.commands.saturating_sub(1);
        is_now.then_some(crash.down_ms)
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
