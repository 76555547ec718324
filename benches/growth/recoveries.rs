//! Recoveries that queue, sessions that expire, heartbeats.

use std::time::Duration;

use socketio_proto::WireId;

use crate::{
    count::Meter,
    support::fleet::{Client, Fleet},
    world::{HOUR, Steps, config, recovery},
};

const SECOND: Duration = Duration::from_secs(1);

/// Many recoveries wait for their turn.
pub fn queue(count: usize, meter: &mut Meter) {
    let mut recovery = recovery();
    recovery.claim_burst = 1;
    recovery.claims_per_second = 1;
    let mut fleet = Fleet::new(config().recovery(recovery));
    let clients: Vec<Client> = (0..count + 100).map(|_| fleet.connect()).collect();
    let (late, early) = clients.split_at(100);
    for client in &clients {
        fleet.lose(client.wire);
    }
    fleet.drain();
    for client in early {
        claim(&mut fleet, client);
    }
    assert!(fleet.server.stats().recoveries_queued >= count - 1);
    let mut late = late.iter();
    for _ in meter.rounds() {
        let client = late.next().expect("one hundred");
        let first = meter.count("CONNECT that queues", || claim(&mut fleet, client));
        let second =
            meter.count("CONNECT that replaces one that queues", || claim(&mut fleet, client));
        fleet.lose(first);
        fleet.drain();
        meter.count("CONNECT that queues is lost", || {
            fleet.lose(second);
            fleet.drain();
        });
        fleet.now = fleet.now.saturating_add(SECOND);
        meter.count("one is let in", || {
            assert!(fleet.time_out().joined.is_some());
        });
    }
}

/// Opens a connection and claims a session, which has to wait.
fn claim(fleet: &mut Fleet, client: &Client) -> WireId {
    let wire = fleet.open();
    fleet.send(wire, &format!(r#"40{{"pid":"{}"}}"#, client.pid));
    fleet.drain();
    wire
}

/// Many sessions are parked, each since another moment.
pub fn parked(count: usize, meter: &mut Meter) {
    let mut recovery = recovery();
    recovery.max_disconnection = HOUR;
    recovery.parked_sessions = count;
    let mut fleet = Fleet::new(config().recovery(recovery));
    park(&mut fleet, count);
    for _ in meter.rounds() {
        let client = fleet.connect_in("room 1");
        meter.count("lose a WebSocket, and one too many is parked", || {
            fleet.lose(client.wire);
            fleet.drain();
        });
        assert_eq!(fleet.server.stats().parked_sessions, count);
    }
    // From the first one on, the deadline is that of the next one.
    while fleet.server.stats().parked_sessions == count {
        next_deadline(&mut fleet);
        fleet.time_out();
    }
    for round in meter.rounds() {
        next_deadline(&mut fleet);
        meter.count("a session expires", || fleet.time_out());
        assert_eq!(fleet.server.stats().parked_sessions, count - 2 - round);
    }
}

fn park(fleet: &mut Fleet, count: usize) {
    for _ in 0..count {
        let client = fleet.connect_in("lobby");
        fleet.lose(client.wire);
        fleet.drain();
        fleet.now = fleet.now.saturating_add(Duration::from_millis(10));
    }
}

/// Many connections, whose pings are due at other moments.
pub fn heartbeats(count: usize, meter: &mut Meter) {
    let mut fleet = Fleet::new(config().ping_interval(HOUR));
    for _ in 0..count {
        fleet.connect();
        fleet.now = fleet.now.saturating_add(Duration::from_millis(10));
    }
    for _ in meter.rounds() {
        next_deadline(&mut fleet);
        meter.count("ping and pong", || assert_eq!(fleet.time_out().frames, 1));
    }
}

fn next_deadline(fleet: &mut Fleet) {
    fleet.now = fleet.server.deadline().expect("something is due").max(fleet.now);
}
