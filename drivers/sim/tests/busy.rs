//! An application that uses everything keeps the promise, whatever the settings are.

mod busy_application;

use std::{cell::Cell, time::Duration};

use socketio_proto::{RecoveryConfig, ReplayOrder, ServerConfig};
use socketio_proto_sim::Simulation;

use self::busy_application::Busy;

/// Returns how many recoveries there were.
fn play(seeds: impl IntoIterator<Item = u64>, config: ServerConfig) -> usize {
    let recovered = Cell::new(0);
    let simulation = Simulation::new(config, Busy::default)
        .clients(4)
        .namespaces(&["/", "/b"])
        .length(60)
        .events(busy_application::draw);
    simulation.check(seeds, |world| {
        let sessions = (0..world.clients()).flat_map(|client| world.sessions(client));
        let outcomes = sessions.filter_map(|session| session.outcome);
        recovered.set(recovered.get() + outcomes.filter(|it| it.is_recovered()).count());
    });
    recovered.get()
}

fn recovering(change: impl FnOnce(&mut RecoveryConfig)) -> ServerConfig {
    let mut recovery = RecoveryConfig::default();
    change(&mut recovery);
    let millis = Duration::from_millis;
    ServerConfig::new().ping_interval(millis(2_000)).ping_timeout(millis(1_500)).recovery(recovery)
}

#[test]
fn with_the_defaults() {
    assert!(play(0..25, recovering(|_| ())) > 50);
}

#[test]
fn with_everything_replayed_and_counted() {
    let config = recovering(|recovery| {
        recovery.replay_ack_events = true;
        recovery.count_events = true;
    });
    assert!(play(100..125, config) > 50);
}

#[test]
fn with_the_order_of_the_reference() {
    let config = recovering(|recovery| recovery.replay_order = ReplayOrder::BeforeConnect);
    assert!(play(200..225, config) > 50);
}

#[test]
fn with_little_room() {
    let config = recovering(|recovery| {
        recovery.buffer_packets = 10;
        recovery.parked_sessions = 2;
        recovery.max_disconnection = Duration::from_secs(5);
    });
    assert!(play(300..325, config) > 10);
}

#[test]
fn without_recovery() {
    // In 4166 the official client asks twice, and takes the second answer for a new session.
    assert_eq!(play((400..415).chain([4_166]), ServerConfig::new()), 0);
}
