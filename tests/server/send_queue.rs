//! The send queue of a client. A burst of events from the application does not count against the
//! client, and the server does not wait for a client that does not read.

use std::time::Duration;

use bytes::Bytes;
use socketio_proto::{
    Limits, ServerConfig,
    hub::{Audience, EmitError},
    server::{ServerEvent, ServerInput},
    socket,
};

use crate::support::{Received, World, bystander::Bystander, event, get, post, recovery_config};

/// A client on HTTP long-polling that has joined the main namespace.
struct Poller {
    query: String,
}

impl Poller {
    fn connect(world: &mut World) -> Self {
        let wire = world.wire();
        world.input(ServerInput::Request {
            wire,
            head: get("EIO=4&transport=polling"),
            body: None,
        });
        let open = body(&world.take(wire));
        let sid = open.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap();
        let poller = Self { query: format!("EIO=4&transport=polling&sid={sid}") };
        assert_eq!(poller.post(world, "40"), 200);
        poller
    }

    fn post(&self, world: &mut World, packets: &str) -> u16 {
        let (wire, body) = (world.wire(), Bytes::copy_from_slice(packets.as_bytes()));
        world.input(ServerInput::Request { wire, head: post(&self.query), body: Some(body) });
        match &world.take(wire)[..] {
            [Received::Response(response)] => response.status,
            other => panic!("{other:?}"),
        }
    }

    /// Takes what is queued, with as many GETs as that takes. Returns the packets.
    fn read(&self, world: &mut World) -> Vec<String> {
        let mut packets = Vec::new();
        loop {
            let wire = world.wire();
            world.input(ServerInput::Request { wire, head: get(&self.query), body: None });
            let received = world.take(wire);
            if received.is_empty() {
                return packets;
            }
            packets.extend(body(&received).split('\u{1e}').map(str::to_owned));
        }
    }
}

fn body(received: &[Received]) -> String {
    let [Received::Response(response)] = received else { panic!("{received:?}") };
    assert_eq!(response.status, 200);
    String::from_utf8(response.body.to_vec()).unwrap()
}

fn text(bytes: usize) -> socket::Event {
    socket::Event::new("big", &("x".repeat(bytes), 0)).unwrap()
}

/// With recovery and without.
fn worlds(change: impl Fn(&mut Limits)) -> [World; 2] {
    let mut limits = Limits::default();
    change(&mut limits);
    let limited = |config: ServerConfig| World::new(config.limits(limits.clone()));
    [limited(recovery_config()), limited(ServerConfig::new())]
}

#[test]
fn twenty_thousand_events_of_one_handler() {
    for mut world in worlds(|_| {}) {
        let poller = Poller::connect(&mut world);
        let (polling, _) = world.connected();
        let (client, _) = world.connect();
        let (websocket, _) = world.connected();
        for number in 0..20_000 {
            for socket in [polling, websocket] {
                assert_eq!(world.server.at(world.now).emit(socket, &event("tick", number)), Ok(()));
            }
        }
        world.drain();
        assert_eq!(world.texts(client).len(), 20_000);
        assert_eq!(poller.read(&mut world).len(), 20_000 + 1);
        assert_eq!(world.server.stats().connections, 2);
    }
}

#[test]
fn one_event_larger_than_all_limits() {
    for mut world in worlds(|limits| limits.queue_burst_bytes = 1_000_000) {
        let poller = Poller::connect(&mut world);
        let (client, _) = world.connect();
        world.server.at(world.now).broadcast("/", &Audience::all(), &text(6_000_000)).unwrap();
        world.drain();
        assert!(world.text(client).len() > 6_000_000);
        assert!(poller.read(&mut world).last().unwrap().len() > 6_000_000);
        // A client that does not read for the moment takes one, too.
        world.server.pause(client.wire);
        world.server.at(world.now).broadcast("/", &Audience::all(), &text(6_000_000)).unwrap();
        world.drain();
        world.server.resume(world.now, client.wire);
        world.drain();
        assert!(world.text(client).len() > 6_000_000);
    }
}

#[test]
fn an_echo_to_a_client_that_has_not_polled_yet() {
    for mut world in worlds(|_| {}) {
        let poller = Poller::connect(&mut world);
        let (socket, _) = world.connected();
        let sent = format!("42[\"echo\",\"{}\"]", "x".repeat(900_000));
        for _ in 0..5 {
            assert_eq!(poller.post(&mut world, &sent), 200);
            let events = world.pick(|event| match event {
                ServerEvent::Received { event, .. } => Some(event.clone()),
                _ => None,
            });
            for event in events {
                assert_eq!(world.server.at(world.now).emit(socket, &event), Ok(()));
            }
            world.drain();
        }
        assert_eq!(poller.read(&mut world).len(), 5 + 1);
    }
}

/// A socket buffer takes some of a burst, and the rest when the client has read.
#[test]
fn the_rest_of_a_burst_waits_for_a_client_that_reads() {
    for mut world in worlds(|limits| (limits.queued_bytes, limits.queued_packets) = (2_000, 10)) {
        let (client, _) = world.connect();
        let (socket, _) = world.connected();
        for number in 0..1_000 {
            world.server.at(world.now).emit(socket, &event("tick", number)).unwrap();
        }
        for _ in 0..10 {
            assert!(world.server.poll_output().is_some());
        }
        world.server.pause(client.wire);
        world.server.at(world.now).emit(socket, &event("tick", 1_000)).unwrap();
        world.advance(Duration::from_secs(26));
        world.server.resume(world.now, client.wire);
        world.drain();
        let texts = world.texts(client);
        assert_eq!((texts.len(), &*texts[0]), (1_000 - 10 + 1 + 1, "2"), "the ping comes first");
        world.send(client, "3");
        world.advance(Duration::from_secs(24));
        assert_eq!(world.server.stats().connections, 1);
    }
}

#[test]
fn an_emit_beyond_the_burst_is_refused_and_closes_nobody() {
    for mut world in worlds(|limits| limits.queue_burst_packets = 100) {
        let (client, _) = world.connect();
        let (socket, _) = world.connected();
        for number in 0..105 {
            let emitted = world.server.at(world.now).emit(socket, &event("tick", number));
            assert_eq!(emitted.err(), (number >= 100).then_some(EmitError::QueueFull));
        }
        let timeout = Duration::from_secs(1);
        let asked = world.server.at(world.now).emit_with_ack(socket, &event("ask", 0), timeout);
        assert_eq!(asked.err(), Some(EmitError::QueueFull));
        let stats = world.server.stats();
        assert_eq!((stats.total.packets_refused, stats.pending_acks), (6, 0));
        assert!(stats.log_packets <= 100, "what was refused is not replayed either");
        world.drain();
        assert_eq!(world.texts(client).len(), 100);
        assert_eq!(world.server.at(world.now).emit(socket, &event("tick", 100)), Ok(()));
    }
}

#[test]
fn a_broadcast_beyond_the_burst_tells_how_many_missed_it() {
    let [mut recovering, mut bare] = worlds(|limits| limits.queue_burst_packets = 10);
    for (world, is_recovering) in [(&mut recovering, true), (&mut bare, false)] {
        let (client, session) = world.connect();
        let (_other, _) = world.connect();
        for number in 0..11 {
            let (now, all) = (world.now, Audience::all());
            let sent = world.server.at(now).broadcast("/", &all, &event("m", number));
            let reach = sent.unwrap();
            let missed = if number < 10 { 0 } else { 2 };
            let lost = if is_recovering { (0, missed) } else { (missed, 0) };
            assert_eq!((reach.sockets, (reach.refused, reach.closed)), (2, lost), "{number}");
        }
        world.drain();
        if is_recovering {
            assert!(world.is_closed(client));
            let (back, again) = world.claim(&session, None);
            assert_eq!((again, world.texts(back).len()), (session, 11), "nothing is missed");
        } else {
            assert_eq!(world.texts(client).len(), 10);
            assert_eq!(world.server.stats().connections, 2);
        }
    }
}

#[test]
fn an_emit_to_a_client_that_does_not_read() {
    let [mut recovering, mut bare] = worlds(|limits| limits.queued_packets = 10);
    for (world, is_recovering) in [(&mut recovering, true), (&mut bare, false)] {
        let (client, session) = world.connect();
        let (socket, _) = world.connected();
        world.server.pause(client.wire);
        for number in 0..11 {
            let emitted = world.server.at(world.now).emit(socket, &event("m", number));
            let is_refused = !is_recovering && number == 10;
            assert_eq!(emitted.err(), is_refused.then_some(EmitError::QueueFull));
        }
        world.drain();
        assert_eq!(world.is_closed(client), is_recovering, "what is replayed is not refused");
        if is_recovering {
            let (back, again) = world.claim(&session, None);
            assert_eq!((again, world.texts(back).len()), (session, 11));
        }
    }
}

#[test]
fn volatile_events_beyond_the_burst_are_dropped() {
    for mut world in worlds(|limits| limits.queue_burst_packets = 10) {
        let (client, _) = world.connect();
        let all = Audience::all().volatile();
        for number in 0..11 {
            let sent = world.server.at(world.now).broadcast("/", &all, &event("m", number));
            assert_eq!(sent.unwrap().dropped, usize::from(number == 10));
        }
        world.drain();
        assert_eq!(world.texts(client).len(), 10);
    }
}

/// Otherwise a client that asks more at once loses its connection, asks again, and so on.
#[test]
fn a_client_gets_all_answers_to_what_it_asked_at_once() {
    for mut world in worlds(|limits| limits.queue_burst_packets = 2) {
        let poller = Poller::connect(&mut world);
        let questions: Vec<String> = (0..20).map(|id| format!("42{id}[\"question\"]")).collect();
        assert_eq!(poller.post(&mut world, &questions.join("\u{1e}")), 200);
        let received = |event| match event {
            ServerEvent::Received { ack, .. } => ack,
            _ => None,
        };
        let tokens: Vec<_> = world.events.drain(..).filter_map(received).collect();
        assert_eq!(tokens.len(), 20);
        for token in tokens {
            assert!(world.server.at(world.now).ack(token, &socket::Args::empty()));
        }
        world.drain();
        let answers: Vec<String> = (0..20).map(|id| format!("43{id}[]")).collect();
        // The first packet is the answer to CONNECT.
        assert_eq!(poller.read(&mut world)[1..], answers);
        assert_eq!(world.server.stats().connections, 1);
    }
}

/// All frames of a message are queued, or none.
#[test]
fn a_message_with_attachments_is_taken_as_a_whole() {
    for mut world in worlds(|limits| limits.queue_burst_packets = 5) {
        let (client, _) = world.connect();
        let (socket, _) = world.connected();
        let parts = [Bytes::from_static(b"1"), Bytes::from_static(b"2")];
        let file = socket::Event::new("file", &(&parts[0], &parts[1], 0)).unwrap();
        assert_eq!(world.server.at(world.now).emit(socket, &file), Ok(()));
        assert_eq!(world.server.at(world.now).emit(socket, &file), Err(EmitError::QueueFull));
        world.drain();
        assert_eq!(world.take(client.wire).len(), 3);
    }
}

#[test]
fn answers_to_connects_are_bounded_for_a_client_that_does_not_poll() {
    let mut world = World::with_recovery();
    let mut bystander = Bystander::new(&mut world);
    let poller = Poller::connect(&mut world);
    let packet = |number| format!("40/{number},");
    let packets: Vec<String> = (0..3_500).map(packet).collect();
    for round in 0..5 {
        assert_eq!(world.server.stats().connections, 2, "{round}: {} answers", round * 3_500);
        poller.post(&mut world, &packets.join("\u{1e}"));
    }
    assert_eq!(world.server.stats().total.connections_closed.overflow, 1);
    bystander.check(&mut world);
}

#[test]
fn answers_to_connects_are_bounded_for_a_paused_websocket() {
    for packets in [&["40/nope,"][..], &["40/other,", "41/other,"][..]] {
        let mut world = World::with_recovery();
        world.server.at(world.now).add_namespace("/other").unwrap();
        let (client, _) = world.connect();
        world.server.pause(client.wire);
        for number in 0..16_385 {
            assert!(!world.is_closed(client), "{number}");
            for packet in packets {
                world.send(client, packet);
            }
        }
        assert!(world.is_closed(client));
        assert_eq!(world.server.stats().total.connections_closed.overflow, 1);
    }
}

#[test]
fn pongs_do_not_keep_a_client_that_does_not_read() {
    let mut world = World::with_recovery();
    let (client, _) = world.connect();
    let poller = Poller::connect(&mut world);
    world.server.pause(client.wire);
    for _ in 0..10 {
        assert_eq!(world.server.stats().connections, 2);
        world.advance(Duration::from_secs(4));
        world.send(client, "3");
        poller.post(&mut world, "3");
    }
    world.advance(Duration::from_secs(5));
    assert_eq!(world.server.stats().total.connections_closed.ping_timeout, 2);
}

/// A GET waits for almost the time after which a client without one counts as not reading. The event
/// that answers it starts that time anew: the client needs a moment to send the next GET.
#[test]
fn a_client_whose_get_was_answered_just_now_is_one_that_reads() {
    for mut world in worlds(|limits| limits.queued_packets = 10) {
        let poller = Poller::connect(&mut world);
        let (socket, _) = world.connected();
        poller.read(&mut world);
        world.advance(Duration::from_secs(21));
        world.server.at(world.now).emit(socket, &event("answers the GET", 0)).unwrap();
        world.drain();
        world.advance(Duration::from_millis(100));
        assert_eq!(poller.post(&mut world, "42[\"sent meanwhile\"]"), 200);
        for number in 0..100 {
            assert_eq!(world.server.at(world.now).emit(socket, &event("tick", number)), Ok(()));
        }
        world.drain();
        assert_eq!(world.server.stats().connections, 1);
        assert_eq!(poller.read(&mut world).len(), 100);
    }
}

/// Nothing else has happened for a while when the client reads again, and its connection ends.
#[test]
fn a_session_is_kept_from_the_moment_its_client_has_read_the_rest() {
    let [mut world, _] = worlds(|_| {});
    let (client, _) = world.connect();
    let (socket, _) = world.connected();
    world.server.pause(client.wire);
    world.server.at(world.now).emit(socket, &event("last", 0)).unwrap();
    let connection = world.server.connection(socket).unwrap();
    assert!(world.server.close_connection(world.now, connection));
    world.drain();
    assert!(world.server.is_connected(socket), "the client reads what is queued first");
    world.now = world.now.saturating_add(Duration::from_secs(20));
    world.server.resume(world.now, client.wire);
    world.drain();
    assert!(!world.server.is_connected(socket));
    let expiry = world.now.saturating_add(Duration::from_secs(120));
    assert_eq!(world.server.deadline(), Some(expiry));
}
