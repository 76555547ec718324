//! Bytes of heap that the core holds for what is idle.

mod support;

use socketio_proto::{
    engine::ServerConnection, hub::Audience, link::Link, recovery::RecoveryOutcome, socket::Event,
};
use support::{
    Bench, allocator,
    fleet::{self, Fleet},
    mean,
};

fn main() {
    let bench = Bench::from_args("footprint");
    let count = if bench.is_smoke() { 1_000 } else { 100_000 };
    let print = |name: &str, bytes: f64| {
        if !bench.is_smoke() {
            println!("{name:<60} {bytes:>10.1} bytes");
        }
    };
    for (name, config) in [("off", fleet::config()), ("on", fleet::recovery())] {
        let mut fleet = Fleet::new(config.clone());
        let bytes = grown(count, || {
            fleet.open();
        });
        print(&format!("connection before CONNECT, recovery {name}"), bytes);
        let mut fleet = Fleet::new(config);
        let bytes = grown(count, || {
            fleet.connect();
        });
        print(&format!("idle connected socket, recovery {name}"), bytes);
    }
    print("  of it `engine::ServerConnection` itself", mean(size_of::<ServerConnection>(), 1));
    print("  of it `link::Link` itself, the former included", mean(size_of::<Link>(), 1));
    print("parked session with 5 rooms", parked(count));
    print("log entry beyond the encoded bytes", entry(count));
}

/// Heap per call of `f`.
fn grown(count: usize, mut f: impl FnMut()) -> f64 {
    let before = allocator::bytes();
    (0..count).for_each(|_| f());
    let grown = allocator::bytes() - before;
    assert!(grown > 0, "what is held takes memory");
    mean(grown, count)
}

/// Sessions in five of a thousand shared rooms each, and in their own.
fn parked(count: usize) -> f64 {
    let mut fleet = Fleet::new(fleet::recovery());
    let mut number = 0;
    grown(count, || {
        let client = fleet.connect();
        for step in 0..5 {
            let room = format!("room {}", (number * 7 + step * 13) % 1_000);
            assert_eq!(fleet.server.join(client.socket, &room), Ok(true));
        }
        fleet.lose(client.wire);
        fleet.drain();
        number += 1;
    })
}

/// Events of 100 bytes to a room in which nobody is connected.
fn entry(count: usize) -> f64 {
    let mut fleet = Fleet::new(fleet::recovery());
    let client = fleet.room("lobby", 1).remove(0);
    fleet.lose(client.wire);
    fleet.drain();
    let event = Event::new("msg", &("x".repeat(100),)).expect("legal");
    let bytes = grown(count, || {
        let sent = fleet.server.broadcast(fleet.now, "/", &Audience::room("lobby"), &event);
        assert_eq!(sent, Ok(0), "stored for the one who is away");
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
