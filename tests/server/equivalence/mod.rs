//! `Server` behaves like pools around a hub, and like the only node of a cluster: one tape is played
//! on both, and every wire must carry the same packets.
//!
//! Each pool has one connection and exchanges messages with the hub in another order. Only the order
//! from the hub to one pool, and from one pool to the hub, is kept. So everything that is true of
//! `Server` is also true of connections on many threads around one hub.

mod clustered;
mod op;
mod player;
mod pools;

use std::collections::BTreeMap;

use proptest::prelude::*;
use socketio_proto::{
    RecoveryConfig, ServerConfig, SocketKey, Timestamp, WireId,
    cluster::Durability,
    engine::Frame,
    hub::{AckToken, At, Once},
    server::{Server, ServerEvent, ServerInput, ServerOutput},
    socket::{Args, Event},
};

use self::{
    clustered::{Clustered, ranked},
    op::op,
    player::play,
    pools::{Pools, Shared},
};

/// What came out of a composition, in words.
type Story = BTreeMap<WireId, Vec<String>>;

/// Either composition, as far as the tape needs it.
trait Composition {
    fn input(&mut self, now: Timestamp, wire: WireId, input: ServerInput<'_>);
    fn pause(&mut self, now: Timestamp, wire: WireId, is_paused: bool);
    fn timeout(&mut self, now: Timestamp);
    fn deadline(&self) -> Option<Timestamp>;
    fn at(&mut self, now: Timestamp) -> At<'_, u32>;
    /// Takes all output; tells which sockets have connected on which connection.
    fn drain(&mut self, now: Timestamp, story: &mut Story) -> Vec<SocketKey>;
}

impl Composition for Server<u32> {
    fn input(&mut self, now: Timestamp, _: WireId, input: ServerInput<'_>) {
        self.handle_input(now, input);
    }

    fn pause(&mut self, now: Timestamp, wire: WireId, is_paused: bool) {
        if is_paused { self.pause(wire) } else { self.resume(now, wire) }
    }

    fn timeout(&mut self, now: Timestamp) {
        self.handle_input(now, ServerInput::Timeout);
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.deadline()
    }

    fn at(&mut self, now: Timestamp) -> At<'_, u32> {
        self.at(now)
    }

    fn drain(&mut self, now: Timestamp, story: &mut Story) -> Vec<SocketKey> {
        let mut connected = Vec::new();
        while let Some(output) = self.poll_output() {
            connected.extend(carry_out(self, now, story, output));
        }
        connected
    }
}

/// Returns the socket that has connected, if one has.
fn carry_out(
    server: &mut Server<u32>,
    now: Timestamp,
    story: &mut Story,
    output: ServerOutput<u32>,
) -> Option<SocketKey> {
    match output {
        ServerOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
            server.at(now).accept(request);
        }
        ServerOutput::Event(ServerEvent::Connected { socket, .. }) => return Some(socket),
        ServerOutput::Event(ServerEvent::Received { socket, event, ack, .. }) => {
            handle(&mut server.at(now), socket, &event, ack);
        }
        ServerOutput::Event(_) => {}
        ServerOutput::Send { wire, frame } => tell(story, wire, &frame),
        ServerOutput::Close { wire, code } => story.entry(wire).or_default().push(close(code)),
        ServerOutput::Respond { .. } => unreachable!("WebSockets only"),
        other => unreachable!("unknown: {other:?}"),
    }
    None
}

/// What the application does with an event: it counts those of the session, and answers with their
/// number. One that is called `once` it handles only the first time.
fn handle(at: &mut At<'_, u32>, socket: SocketKey, event: &Event, ack: Option<AckToken>) {
    let ack = match event.name() {
        "once" => match at.accept_once(socket, "offset", ack) {
            Ok(Once::Fresh(ack)) => ack,
            Ok(Once::Duplicate) | Err(_) => return,
        },
        _ => ack,
    };
    let count = at.update_data(socket, |count| {
        *count += 1;
        *count
    });
    if let Some(token) = ack {
        at.ack(token, &Args::new(&(event.name(), count)).unwrap());
    }
}

fn tell(story: &mut Story, wire: WireId, frame: &Frame) {
    let text = match frame {
        Frame::Text(text) => text.to_string(),
        Frame::Binary(bytes) => format!("{bytes:?}"),
    };
    story.entry(wire).or_default().push(text);
}

fn close(code: Option<u16>) -> String {
    format!("closed {code:?}")
}

/// What the server can give back: nothing, what it has sent, or what it has received as well.
#[derive(Clone, Copy, Debug)]
enum Recovers {
    Nothing,
    Sent,
    Both,
}

fn what() -> impl Strategy<Value = Recovers> {
    prop_oneof![Just(Recovers::Nothing), Just(Recovers::Sent), Just(Recovers::Both)]
}

fn config(what: Recovers) -> ServerConfig {
    let mut recovery = RecoveryConfig::default();
    recovery.count_events = matches!(what, Recovers::Both);
    match what {
        Recovers::Nothing => ServerConfig::new(),
        Recovers::Sent | Recovers::Both => ServerConfig::new().recovery(recovery),
    }
}

fn server(config: ServerConfig) -> Server<u32> {
    server_from(config, Shared::new().source())
}

fn server_from(
    config: ServerConfig,
    source: impl FnMut(&mut [u8]) + Send + 'static,
) -> Server<u32> {
    let mut server = Server::new(config, source).unwrap();
    server.at(Timestamp::ZERO).add_namespace("/").unwrap();
    server.at(Timestamp::ZERO).add_namespace("/b").unwrap();
    server
}

proptest! {
    #![proptest_config(crate::random::cases(300))]

    #[test]
    fn pools_around_a_hub_are_a_server(
        ops in prop::collection::vec(op(), 1..80),
        what in what(),
        dice in any::<u32>(),
    ) {
        let whole = play(&mut server(config(what)), &ops);
        let parts = play(&mut Pools::new(config(what), dice), &ops);
        prop_assert_eq!(whole, parts);
    }

    #[test]
    fn the_only_node_of_a_cluster_is_a_server(
        ops in prop::collection::vec(op(), 1..80),
        what in what(),
        channels in 1..3_u32,
        durability in prop_oneof![Just(Durability::OnPark), Just(Durability::OnChange)],
    ) {
        let mut source = Shared::new().source();
        // A node draws a number first.
        source(&mut [0; 8]);
        let alone = ranked(play(&mut server_from(config(what), source), &ops));
        let clustered = ranked(play(&mut Clustered::new(config(what), channels, durability), &ops));
        prop_assert_eq!(alone, clustered);
    }

    #[test]
    fn the_same_tape_gives_the_same_bytes(ops in prop::collection::vec(op(), 1..80)) {
        let first = play(&mut server(config(Recovers::Both)), &ops);
        let second = play(&mut server(config(Recovers::Both)), &ops);
        prop_assert_eq!(first, second);
    }
}
