//! How much memory the server uses, and that it frees all of it.

use std::time::Duration;

use socketio_proto::{ServerConfig, hub::Audience, socket::Event};

use crate::support::{
    allocator,
    fleet::{self, Fleet},
    held,
};

fn event() -> Event {
    Event::new("msg", &("x".repeat(100),)).unwrap()
}

/// What the bytes are made of is in `benches/README.md`.
#[test]
fn what_is_idle_is_small() {
    // Tables that grow by doubling are three quarters full.
    const COUNT: usize = 25_000;
    let figures = [
        ("idle connected socket, recovery off", held::socket(fleet::config(), COUNT), 878.0),
        ("idle connected socket, recovery on", held::socket(fleet::recovery(), COUNT), 923.0),
        ("parked session in five shared rooms", held::parked_session(COUNT), 460.0),
        ("packet in the log beyond its bytes", held::log_entry(COUNT), 32.0),
        // Each has a position of 16 bytes beside it.
        ("entry of a cluster for nobody here", held::replica_entry(COUNT, |_| "a".into()), 54.0),
    ];
    for (name, bytes, limit) in figures {
        assert!((20.0..=limit).contains(&bytes), "{name}: {bytes} bytes, at most {limit}");
    }
}

#[test]
fn a_broadcast_does_not_allocate_for_each_recipient() {
    for config in [fleet::config(), fleet::recovery()] {
        let mut fleet = Fleet::new(config);
        fleet.room("lobby", 2_000);
        let (lobby, event) = (Audience::room("lobby"), event());
        let mut round = || {
            let before = allocator::allocations();
            for _ in 0..4 {
                fleet.server.at(fleet.now).broadcast("/", &lobby, &event).unwrap();
            }
            assert_eq!(fleet.count_frames(), 4 * 2_000);
            allocator::allocations() - before
        };
        // Queues grow to what they need and stay there.
        round();
        let allocations = round();
        // One list of recipients that grows by doubling, and the packet.
        assert!(allocations <= 4 * 20, "{allocations} for 8,000 frames");
    }
}

#[test]
fn clients_that_have_gone_leave_nothing() {
    for config in [fleet::config(), fleet::recovery()] {
        let mut fleet = fleet_with_one(config);
        come_and_go(&mut fleet);
        let before = allocator::bytes();
        come_and_go(&mut fleet);
        assert_eq!(allocator::bytes(), before);
    }
}

/// One client stays, so that there is somebody to broadcast to.
fn fleet_with_one(config: ServerConfig) -> Fleet {
    let mut fleet = Fleet::new(config);
    fleet.room("lobby", 1);
    fleet
}

fn come_and_go(fleet: &mut Fleet) {
    let event = event();
    for number in 0..1_000 {
        let client = fleet.connect();
        for room in ["lobby", "hall", &format!("room {number}")] {
            fleet.server.at(fleet.now).join(client.socket, room).unwrap();
        }
        let audience = Audience::room("lobby").except("hall");
        fleet.server.at(fleet.now).broadcast("/", &audience, &event).unwrap();
        fleet.server.at(fleet.now).leave(client.socket, "hall");
        fleet.server.at(fleet.now).emit(client.socket, &event).unwrap();
        fleet.send(client.wire, "42[\"ask\"]");
        fleet.drain();
        fleet.lose(client.wire);
        fleet.drain();
    }
    // What was parked expires, and so does what was logged.
    fleet.pass(Duration::from_secs(600));
    let stats = fleet.server.stats();
    assert_eq!((stats.connections, stats.sockets, stats.parked_sessions), (1, 1, 0));
    assert_eq!((stats.rooms, stats.log_packets), (2, 0));
}
