//! Heap bytes that a server holds for one of something.

use socketio_proto::{
    ServerConfig,
    cluster::message::{Body, BroadcastOptions, ClusterBroadcast, Message, NodeId},
    hub::Audience,
    recovery::RecoveryOutcome,
    socket::{Event, NamespaceName},
};

use super::{
    allocator,
    cluster::Cluster,
    fleet::{self, Fleet},
    mean,
};

/// For a connection whose client has not sent CONNECT.
pub fn connection(config: ServerConfig, count: usize) -> f64 {
    let mut fleet = Fleet::new(config);
    grown(count, || {
        fleet.open();
    })
}

/// For a connected socket that does nothing.
pub fn socket(config: ServerConfig, count: usize) -> f64 {
    let mut fleet = Fleet::new(config);
    grown(count, || {
        fleet.connect();
    })
}

/// Heap per call of `f`.
fn grown(count: usize, mut f: impl FnMut()) -> f64 {
    let before = allocator::bytes();
    (0..count).for_each(|_| f());
    let grown = allocator::bytes() - before;
    assert!(grown > 0, "what is held takes memory");
    mean(grown, count)
}

/// For a parked session in five of a thousand shared rooms each, and in its own.
pub fn parked_session(count: usize) -> f64 {
    let mut fleet = Fleet::new(fleet::recovery());
    let mut number = 0;
    grown(count, || {
        let client = fleet.connect();
        for step in 0..5 {
            let room = format!("room {}", (number * 7 + step * 13) % 1_000);
            assert_eq!(fleet.server.at(fleet.now).join(client.socket, &room), Ok(true));
        }
        fleet.lose(client.wire);
        fleet.drain();
        number += 1;
    })
}

/// For an entry of the channel of a cluster beyond its encoded bytes: an event of 100 bytes to a room
/// that nobody of this node is in. `room` names the room of each.
pub fn replica_entry(count: usize, room: impl Fn(usize) -> String) -> f64 {
    let mut cluster = Cluster::new(1, &fleet::recovery());
    let text = "x".repeat(100);
    let event = Event::new("msg", &(&text,)).expect("legal");
    let sender = NodeId::new("another").expect("a name");
    let mut number = 0;
    let bytes = grown(count, || {
        let options = BroadcastOptions::all().to(&*room(number));
        let body = Body::Broadcast(ClusterBroadcast::new(options, event.clone()));
        cluster.read(0, Message::new(sender.clone(), NamespaceName::ROOT, body));
        number += 1;
    });
    assert_eq!(cluster.nodes[0].server.stats().log_packets, count, "all are kept");
    let encoded = |number: usize| format!(r#"42["msg","{text}","1-{number}"]"#).len();
    bytes - mean((1..=count).map(encoded).sum::<usize>(), count)
}

/// For a packet in the log beyond its encoded bytes: an event of 100 bytes to a room in which nobody
/// is connected.
pub fn log_entry(count: usize) -> f64 {
    let mut fleet = Fleet::new(fleet::recovery());
    let client = fleet.room("lobby", 1).remove(0);
    fleet.lose(client.wire);
    fleet.drain();
    let event = Event::new("msg", &("x".repeat(100),)).expect("legal");
    let bytes = grown(count, || {
        let sent = fleet.server.at(fleet.now).broadcast("/", &Audience::room("lobby"), &event);
        assert_eq!(sent.map(|reach| reach.sockets), Ok(0), "stored for the one who is away");
    });
    // What was stored for the client is what it gets.
    let wire = fleet.open();
    fleet.send(wire, &format!(r#"40{{"pid":"{}"}}"#, client.pid));
    let drained = fleet.drain();
    let outcome = RecoveryOutcome::Recovered { replayed: count };
    assert_eq!(drained.joined, Some((client.socket, outcome)));
    let encoded = drained.bytes - drained.answer.len();
    bytes - mean(encoded, count)
}
