//! A node crashes at each of its commands to the engine, one run after the other, and comes back on the same
//! engine. The world checks the promise of recovery in each run.

mod busy_application;

use std::{collections::BTreeSet, ops::Range, panic::AssertUnwindSafe, time::Duration};

use socketio_proto::{
    RecoveryConfig, ServerConfig,
    cluster::{ClusterConfig, Durability},
};
use socketio_proto_sim::{
    Action, Cluster, Fault, Moment, Simulation, Step, World, engine::EngineOptions,
};

use self::busy_application::Busy;

const NODES: usize = 2;
const MOMENTS: [Moment; 2] = [Moment::Sent, Moment::CarriedOut];

fn simulation(node: fn(usize, ClusterConfig) -> ClusterConfig) -> Simulation<Busy, u32> {
    let config = ServerConfig::new()
        .ping_interval(Duration::from_secs(2))
        .ping_timeout(Duration::from_millis(1_500))
        .recovery(RecoveryConfig::default());
    let cluster = Cluster::new(NODES).engine(EngineOptions::sqlite());
    Simulation::new(config, Busy::default)
        .cluster(cluster.config(node))
        .clients(2)
        .namespaces(&["/", "/b"])
        .length(20)
        .events(busy_application::draw)
}

/// Plays the run of a seed whose only crash is this one. It may already happen when the first clients come.
fn play(simulation: &Simulation<Busy, u32>, seed: u64, crash: &Fault) -> World<Busy, u32> {
    let is_other = |step: &Step| !matches!(step.action, Action::Fail(Fault::CrashAt { .. }));
    let run = || {
        let mut world = simulation.world(seed);
        world.fail(crash);
        world.run_for(Duration::from_secs(2));
        for step in simulation.script(seed).iter().filter(|step| is_other(step)) {
            world.apply(step);
        }
        world.settle();
        world
    };
    let played = std::panic::catch_unwind(AssertUnwindSafe(run));
    played.unwrap_or_else(|_| panic!("seed {seed}, {crash:?}"))
}

/// Plays the runs of these seeds with a crash at each command of each node. Returns the kinds of commands at
/// which there was one, in the order of their names.
fn crash_everywhere(
    simulation: &Simulation<Busy, u32>,
    seeds: Range<u64>,
) -> [Vec<&'static str>; 2] {
    MOMENTS.map(|moment| {
        let mut seen = BTreeSet::new();
        for (seed, node) in seeds.clone().flat_map(|seed| (0..NODES).map(move |node| (seed, node)))
        {
            for commands in 0.. {
                let crash = Fault::CrashAt { node, commands, moment, down_ms: 300 };
                let world = play(simulation, seed, &crash);
                let [crash] = world.crashes() else { break };
                assert_eq!(crash.moment, moment);
                seen.insert(crash.command);
            }
        }
        seen.into_iter().collect()
    })
}

#[test]
fn a_node_that_writes_ahead_may_crash_at_any_command() {
    let simulation = simulation(|_, config| config.durability(Durability::OnChange));
    for seen in crash_everywhere(&simulation, 0..1) {
        assert_eq!(seen, ["Append", "Fetch", "Publish", "Read", "Store", "Subscribe"]);
    }
}

#[test]
fn a_node_that_stores_parked_sessions_may_crash_at_any_command() {
    let simulation = simulation(|_, config| config.durability(Durability::OnPark));
    for seen in crash_everywhere(&simulation, 2..4) {
        assert_eq!(seen, ["Append", "Fetch", "Publish", "Read", "Store", "Subscribe", "Take"]);
    }
}
