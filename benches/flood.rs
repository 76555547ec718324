//! One client floods while another does round trips: what is left to the other.
//!
//! In the core: the cost of a round trip, alone and with a message of the flood before each, which is
//! what an embedder makes of a flood that reads one message of each connection in turn. The ratio of
//! the two is what the flood leaves to the other of a core that is busy.
//!
//! With `--server 127.0.0.1:3300`: the same over sockets, against the server `contract` (see
//! `flood/sockets.rs`).

#[path = "flood/sockets.rs"]
mod sockets;
mod support;

use socketio_proto::{
    WireId,
    server::{ServerEvent, ServerOutput},
    socket::Args,
};
use support::{
    Bench,
    fleet::{self, Fleet},
};

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--server");
    if let Some(server) = arguments.nth(1) {
        return sockets::measure(&server);
    }
    let bench = Bench::from_args("a round trip (an event, and its acknowledgement) of one client");
    round_trips(&bench, "alone", &Flood::Nothing);
    let large = format!("42[\"{}\"]", "x".repeat(100_000));
    for (name, flood) in [
        ("with an event of another before each", Flood::Packet("42[\"x\"]")),
        ("with an unsolicited ack before each", Flood::Packet("4399[\"x\"]")),
        ("with a pong before each", Flood::Packet("3")),
        ("with an event of 100 kB before each", Flood::Packet(&large)),
        ("with a violation and a handshake before each", Flood::Violation),
    ] {
        round_trips(&bench, name, &flood);
    }
}

enum Flood<'a> {
    Nothing,
    /// The same packet, as long as the connection lives.
    Packet(&'a str),
    /// Another connection, which breaks the protocol at once.
    Violation,
}

fn round_trips(bench: &Bench, name: &str, flood: &Flood<'_>) {
    let mut fleet = Fleet::new(fleet::recovery());
    let (client, other) = (fleet.connect(), fleet.connect());
    bench.run(name, 1, || {
        match flood {
            Flood::Nothing => {}
            Flood::Packet(packet) => fleet.send(other.wire, packet),
            Flood::Violation => {
                let wire = fleet.open();
                fleet.send(wire, "4bad");
            }
        }
        fleet.send(client.wire, "421[\"ask\"]");
        assert!(answer(&mut fleet, client.wire), "served");
    });
    let stats = fleet.server.stats();
    assert_eq!((stats.sockets, stats.connections), (2, 2), "nobody was closed");
}

/// Takes all output and answers what is asked. Returns whether `wire` has got an answer.
fn answer(fleet: &mut Fleet, wire: WireId) -> bool {
    let mut is_answered = false;
    while let Some(output) = fleet.server.poll_output() {
        match output {
            ServerOutput::Event(ServerEvent::Received { ack: Some(token), .. }) => {
                fleet.server.at(fleet.now).ack(token, &Args::empty());
            }
            ServerOutput::Send { wire: to, .. } => is_answered |= to == wire,
            _ => {}
        }
    }
    is_answered
}
