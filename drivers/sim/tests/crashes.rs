//! A node crashes at each of its commands to the engine, one run after the other, and comes back on the same
//! engine. The world checks the promise of recovery in each run.

mod busy_application;

use std::{collections::BTreeSet, panic::AssertUnwindSafe, time::Duration};

use socketio_proto::{
    RecoveryConfig, ServerConfig,
    cluster::{ClusterConfig, Durability},
    socket::Event,
};
use socketio_proto_sim::{
    Action, Cluster, Fault, Moment, Simulation, Step, World, client::Delivery,
    engine::EngineOptions, net::Notice,
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
        .events(busy_application::draw)
}

/// Clients come, ask for something, lose their links, come back to any node, leave, and are kicked.
fn script() -> Vec<Action> {
    let emit = |client, choice: u64| {
        let event = Event::new("do", &(choice, choice)).unwrap();
        Action::Emit { client, namespace: "/".to_owned(), event, delivery: Delivery::Plain }
    };
    let at_once = Notice { client: Some(0), server: Some(0) };
    let cut = |client| Action::Fail(Fault::Cut { client, notice: at_once });
    let (join_a_room, to_a_room, kick) = (0, 6, 30);
    let mut actions = vec![Action::Wait { ms: 500 }];
    for round in 0..3 {
        actions.extend([emit(0, join_a_room), emit(1, to_a_room + round), cut(0), cut(1)]);
        actions.push(Action::Wait { ms: 1_000 });
    }
    actions.push(emit(1, kick));
    actions.push(Action::Leave { client: 0, namespace: "/b".to_owned() });
    actions.push(Action::Wait { ms: 200 });
    let join = |client| Action::Join { client, namespace: "/".to_owned() };
    actions.extend([join(1), Action::Join { client: 0, namespace: "/b".to_owned() }]);
    actions.push(Action::Wait { ms: 500 });
    actions
}

/// Plays the run of a seed with this crash. It may already happen when the first clients come.
fn play(simulation: &Simulation<Busy, u32>, seed: u64, crash: &Fault) -> World<Busy, u32> {
    let run = || {
        let mut world = simulation.world(seed);
        world.fail(crash);
        for (id, action) in (0..).zip(script()) {
            world.apply(&Step { id, after_ms: 0, action });
        }
        world.settle();
        world
    };
    let played = std::panic::catch_unwind(AssertUnwindSafe(run));
    played.unwrap_or_else(|_| panic!("seed {seed}, {crash:?}"))
}

/// Plays the run of a seed with a crash at each command of each node. Returns for each moment the kinds of
/// commands at which there was one, by their names.
fn crash_everywhere(simulation: &Simulation<Busy, u32>, seed: u64) -> [Vec<&'static str>; 2] {
    MOMENTS.map(|moment| {
        let mut kinds = BTreeSet::new();
        for node in 0..NODES {
            for commands in 0.. {
                let crash = Fault::CrashAt { node, commands, moment, down_ms: 300 };
                let world = play(simulation, seed, &crash);
                let [crash] = world.crashes() else { break };
                assert_eq!(crash.moment, moment);
                kinds.insert(crash.command);
            }
        }
        kinds.into_iter().collect()
    })
}

#[test]
fn a_node_that_writes_ahead_may_crash_at_any_command() {
    let simulation = simulation(|_, config| config.durability(Durability::OnChange));
    for seen in crash_everywhere(&simulation, 0) {
        assert_eq!(seen, ["Append", "Fetch", "Publish", "Read", "Store", "Subscribe", "Take"]);
    }
}

#[test]
fn a_node_that_stores_parked_sessions_may_crash_at_any_command() {
    let simulation = simulation(|_, config| config.durability(Durability::OnPark));
    for seen in crash_everywhere(&simulation, 0) {
        assert_eq!(seen, ["Append", "Fetch", "Publish", "Read", "Store", "Subscribe", "Take"]);
    }
}
