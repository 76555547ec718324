//! An application on a cluster keeps the promise, whatever fails and whatever the engine is able to do.
//!
//! `SIM_RECOVERIES=1000000` plays until there were so many recoveries per kind of engine, from
//! `SIM_START` on; `SIM_KIND` plays one kind only, and `SIM_SEED` one run of it. `SIM_DURABILITY=park`,
//! `change` or `mixed` says when the nodes store their sessions.

mod busy_application;

use std::{cell::RefCell, collections::BTreeMap, env, time::Duration};

use socketio_proto::{
    RecoveryConfig, ServerConfig, Timestamp,
    cluster::Durability,
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::{Server, ServerEvent},
    socket::Event,
};
use socketio_proto_sim::{Cluster, Simulation, World, client::Delivery, engine::EngineOptions};

use self::busy_application::Busy;

const NODES: usize = 3;

/// When the nodes store their sessions.
#[derive(Clone, Copy)]
enum Durabilities {
    OnPark,
    OnChange,
    /// The first node when they are parked, the others ahead.
    Mixed,
}

/// The kinds of engines, and when their nodes store sessions.
fn kinds() -> [(&'static str, EngineOptions, Durabilities); 8] {
    use Durabilities::{Mixed, OnChange, OnPark};
    [
        ("redis-streams", EngineOptions::redis_streams(), OnPark),
        ("several-streams", EngineOptions::redis_streams().channels(2), OnPark),
        ("postgres", EngineOptions::postgres(), OnPark),
        ("sqlite", EngineOptions::sqlite(), OnChange),
        ("mixed", EngineOptions::sqlite(), Mixed),
        ("mongodb", EngineOptions::mongodb(), OnPark),
        ("redis-pubsub", EngineOptions::redis_pubsub(), OnPark),
        ("no-store", EngineOptions::redis_streams().without_records(), OnPark),
    ]
}

fn nodes(engine: EngineOptions, durabilities: Durabilities) -> Cluster {
    let durabilities = match env::var("SIM_DURABILITY").as_deref() {
        Ok("park") => Durabilities::OnPark,
        Ok("change") => Durabilities::OnChange,
        Ok("mixed") => Durabilities::Mixed,
        Ok(other) => panic!("SIM_DURABILITY is park, change or mixed, and not {other}"),
        Err(_) => durabilities,
    };
    let cluster = Cluster::new(NODES).engine(engine);
    match durabilities {
        Durabilities::OnPark => cluster,
        Durabilities::OnChange => {
            cluster.config(|_, config| config.durability(Durability::OnChange))
        }
        Durabilities::Mixed => cluster.config(|node, config| match node {
            0 => config,
            _ => config.durability(Durability::OnChange),
        }),
    }
}

fn simulation(cluster: Cluster) -> Simulation<Busy, u32> {
    let millis = Duration::from_millis;
    let config = ServerConfig::new()
        .ping_interval(millis(2_000))
        .ping_timeout(millis(1_500))
        .recovery(RecoveryConfig::default());
    Simulation::new(config, Busy::default)
        .cluster(cluster)
        .clients(4)
        .namespaces(&["/", "/b"])
        .length(60)
        .events(busy_application::draw)
}

/// How often each outcome was seen.
#[derive(Default)]
struct Tally(BTreeMap<String, u64>);

impl Tally {
    fn add(&mut self, world: &World<Busy, u32>) {
        for client in 0..world.clients() {
            for outcome in world.sessions(client).iter().filter_map(|session| session.outcome) {
                let name = match outcome {
                    RecoveryOutcome::Recovered { .. } => "recovered".to_owned(),
                    other => format!("{other:?}"),
                };
                *self.0.entry(name).or_default() += 1;
            }
        }
        for crash in world.crashes() {
            *self.0.entry(format!("crash: {} {:?}", crash.command, crash.moment)).or_default() += 1;
        }
        for node in 0..world.nodes() {
            let moved = world.server_of(node).stats().total.sessions_arrived;
            *self.0.entry("moved".to_owned()).or_default() += moved;
        }
    }

    fn count(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    fn refused(&self, refusal: RecoveryRefusal) -> u64 {
        self.count(&format!("{:?}", RecoveryOutcome::Refused(refusal)))
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Plays runs until there were enough recoveries.
fn play(name: &str, cluster: Cluster, recoveries: u64) -> Tally {
    let (tally, mut seed) = (RefCell::new(Tally::default()), number("SIM_START").unwrap_or(0));
    let simulation = simulation(cluster);
    if let Some(seed) = number("SIM_SEED") {
        simulation.check([seed], |world| println!("{}", world.trace()));
        return tally.into_inner();
    }
    while tally.borrow().count("recovered") < recoveries {
        simulation.check([seed], |world| tally.borrow_mut().add(world));
        seed += 1;
    }
    println!("{name}: {seed} runs, {:?}", tally.borrow().0);
    tally.into_inner()
}

fn check(name: &str, is_enough: impl Fn(&Tally) -> bool) {
    if env::var("SIM_KIND").is_ok_and(|kind| kind != name) {
        return;
    }
    let kind = kinds().into_iter().find(|kind| kind.0 == name);
    let (_, engine, durabilities) = kind.expect("a kind");
    let tally = play(name, nodes(engine, durabilities), number("SIM_RECOVERIES").unwrap_or(300));
    assert!(
        number("SIM_SEED").is_some() || is_enough(&tally),
        "too little was seen: {:?}",
        tally.0
    );
}

/// Sessions move, and most come back.
fn usual(tally: &Tally) -> bool {
    let refused = tally.0.iter().filter(|(name, _)| name.starts_with("Refused"));
    let refused: u64 = refused.map(|(_, count)| count).sum();
    tally.count("moved") > 50 && tally.count("recovered") > 2 * refused
}

#[test]
fn redis_streams() {
    check("redis-streams", usual);
}

#[test]
fn several_streams() {
    check("several-streams", usual);
}

#[test]
fn postgres() {
    check("postgres", usual);
}

/// Its nodes write sessions ahead. So those of a node that has crashed are not lost.
#[test]
fn sqlite() {
    check("sqlite", usual);
}

/// Sessions move between nodes that write them ahead and one that does not.
#[test]
fn mixed() {
    check("mixed", usual);
}

#[test]
fn mongodb() {
    check("mongodb", usual);
}

#[test]
fn redis_pubsub() {
    // What a node has missed it cannot read again.
    check("redis-pubsub", |tally| tally.count("moved") > 50);
}

#[test]
fn no_store() {
    // The sessions of a node that is down are lost.
    check("no-store", |tally| {
        tally.count("moved") > 50 && tally.refused(RecoveryRefusal::Unknown) > 0
    });
}

/// The same seed is the same run, byte for byte.
#[test]
fn a_seed_gives_the_same_run_of_a_cluster_each_time() {
    let simulation = simulation(nodes(EngineOptions::redis_streams(), Durabilities::OnPark));
    for seed in 0..3 {
        let script = simulation.script(seed);
        let (one, other) = (simulation.play(seed, &script), simulation.play(seed, &script));
        assert_eq!(one.trace(), other.trace());
        assert!(one.trace().contains("node 2"), "all nodes take part");
    }
}

/// A chat that emits to the sockets of its own node only.
fn forgetful(server: &mut Server, now: Timestamp, event: ServerEvent<()>) {
    match event {
        ServerEvent::ConnectRequested { request, .. } => {
            server.at(now).accept(request);
        }
        ServerEvent::Received { event, .. } => {
            server.at(now).all().local().emit(event.name(), &("to this node",)).unwrap();
        }
        _ => {}
    }
}

#[test]
fn an_application_that_forgets_the_other_nodes_is_found() {
    let config = ServerConfig::new().recovery(RecoveryConfig::default());
    let simulation = Simulation::new(config, || forgetful).cluster(Cluster::new(NODES)).clients(3);
    let failure = simulation.find_failure(0..50, |world| {
        world.emit(0, "/", &Event::new("last", &()).unwrap(), Delivery::Plain);
        world.settle();
        let has_heard = |client: usize| {
            let last = world.received(client).last();
            !world.is_connected(client, "/") || last.is_some_and(|it| it.event.name() == "last")
        };
        assert!((0..3).all(has_heard), "somebody has not heard it");
    });
    let failure = failure.expect("it is found");
    assert!(failure.message.contains("somebody has not heard it"), "{failure}");
    assert!(failure.steps.len() <= 1, "{failure}");
}
