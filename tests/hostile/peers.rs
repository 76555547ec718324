//! Clients that flood the server, and clients that occupy its resources.
//!
//! Each test is one attack. Its doc line is a row of the table in `SECURITY.md`, which `documents`
//! generates: attack, limit, reaction, counter. During the attack, another client is served as
//! usual. Attacks with the content of packets are in `content.rs`, attacks on sessions in
//! `sessions.rs`.

use std::time::Duration;

use bytes::Bytes;
use socketio_proto::{
    Limits, WireId,
    engine::RequestHead,
    hub::{Audience, EmitError},
    server::{ServerEvent, ServerInput, Totals},
    socket,
};

use crate::support::{Client, Received, World, bystander::Bystander, get, post, recovery_config};

fn world(change: impl FnOnce(&mut Limits)) -> (World, Bystander) {
    let mut limits = Limits::default();
    change(&mut limits);
    let mut world = World::new(recovery_config().limits(limits));
    let bystander = Bystander::new(&mut world);
    (world, bystander)
}

fn totals(world: &World) -> Totals {
    world.server.stats().total
}

/// Sends packets, drawn one by one, until the connection is closed. Returns how many that took.
fn flood(
    world: &mut World,
    bystander: &mut Bystander,
    client: Client,
    packets: impl IntoIterator<Item = String>,
) -> usize {
    for (count, packet) in packets.into_iter().enumerate() {
        world.send(client, &packet);
        if count % 5_000 == 0 {
            bystander.check(world);
        }
        if world.is_closed(client) {
            bystander.check(world);
            return count;
        }
    }
    panic!("the flood was never stopped");
}

fn repeat(packet: &str) -> impl Iterator<Item = String> {
    std::iter::repeat_n(packet.to_owned(), 1_000_000)
}

/// Opens a session on HTTP long-polling. Returns what its requests have as a query.
fn open_polling(world: &mut World) -> String {
    let wire = world.wire();
    world.input(ServerInput::Request { wire, head: get("EIO=4&transport=polling"), body: None });
    let received = world.take(wire);
    let [Received::Response(response)] = &received[..] else { panic!("{received:?}") };
    let open: serde_json::Value = serde_json::from_slice(&response.body[1..]).unwrap();
    format!("EIO=4&transport=polling&sid={}", open["sid"].as_str().unwrap())
}

/// The status of the answer to a request, if there is one already.
fn status(world: &mut World, head: RequestHead<'_>, body: Option<&'static str>) -> Option<u16> {
    let wire = world.wire();
    let body = body.map(|body| Bytes::from_static(body.as_bytes()));
    world.input(ServerInput::Request { wire, head, body });
    match world.take(wire).pop()? {
        Received::Response(response) => Some(response.status),
        other => panic!("{other:?}"),
    }
}

fn upgrade(query: &str) -> RequestHead<'_> {
    RequestHead { upgrade: true, ..get(query) }
}

/// Events as fast as the wire takes them | `packet_burst`, `packets_per_second` | closed (1008), parked | `connections_closed.rate_limited`
#[test]
fn a_flood_of_events() {
    let (mut world, mut bystander) = world(|_| {});
    let (client, session) = world.connect();
    let count = flood(&mut world, &mut bystander, client, repeat("42[\"x\"]"));
    assert_eq!(count, 49_999);
    assert_eq!(totals(&world).connections_closed.rate_limited, 1);
    assert_eq!(world.claim(&session, None).1, session, "it was parked");
}

/// Acknowledgements that nobody has asked for | `packet_burst`, `packets_per_second` | ignored, then closed (1008), parked | `acks_unmatched`
#[test]
fn a_flood_of_acknowledgements() {
    let (mut world, mut bystander) = world(|_| {});
    let (client, _) = world.connect();
    let acks = (0..).map(|id| format!("43{id}[\"made up\"]"));
    let count = flood(&mut world, &mut bystander, client, acks);
    assert_eq!(totals(&world).acks_unmatched, count as u64);
    assert_eq!(totals(&world).connections_closed.rate_limited, 1);
}

/// CONNECT and DISCONNECT in turn | `packet_burst`, `packets_per_second` | closed (1008) | `connections_closed.rate_limited`
#[test]
fn connecting_and_disconnecting_in_turn() {
    let (mut world, mut bystander) = world(|_| {});
    let client = world.open();
    let packets = (0..).map(|turn| ["40", "41"][turn % 2].to_owned());
    flood(&mut world, &mut bystander, client, packets);
    let stats = world.server.stats();
    assert_eq!(stats.total.connections_closed.rate_limited, 1);
    assert_eq!((stats.sockets, stats.parked_sessions, stats.rooms), (1, 0, 1), "nothing is left");
}

/// Pongs that were not asked for | `packet_burst`, `packets_per_second` | closed (1008), parked | `connections_closed.rate_limited`
#[test]
fn a_flood_of_pongs() {
    let (mut world, mut bystander) = world(|_| {});
    let (client, _) = world.connect();
    flood(&mut world, &mut bystander, client, repeat("3"));
    assert_eq!(totals(&world).connections_closed.rate_limited, 1);
}

/// Pings, which only servers send | the first one | closed, parked | `connections_closed.transport_error`
#[test]
fn a_flood_of_pings() {
    let (mut world, mut bystander) = world(|_| {});
    let (client, _) = world.connect();
    assert_eq!(flood(&mut world, &mut bystander, client, repeat("2")), 0);
    assert_eq!(totals(&world).connections_closed.transport_error, 1);
}

/// Upgrades that are begun again and again | `packet_burst`, `packets_per_second` | closed each, then the session (1008), parked | `connections_closed.rate_limited`
#[test]
fn upgrades_that_are_begun_again_and_again() {
    let (mut world, mut bystander) = world(|limits| limits.packet_burst = 200);
    let query = open_polling(&mut world);
    let websocket = query.replace("polling", "websocket");
    let mut tries = 0;
    while totals(&world).connections_closed.rate_limited == 0 {
        let wire = world.wire();
        world.input(ServerInput::WebSocketOpened { wire, head: upgrade(&websocket) });
        let is_probing = world.take(wire).is_empty();
        assert!(is_probing || tries > 0, "the first may probe");
        tries += 1;
    }
    assert_eq!(tries, 201);
    assert_eq!(world.server.stats().connections, 1);
    bystander.check(&mut world);
}

/// Requests without a pause and without content | `packet_burst`, `packets_per_second` | 429, closed, parked | `connections_closed.rate_limited`
#[test]
fn requests_without_a_pause() {
    let (mut world, mut bystander) = world(|limits| limits.packet_burst = 200);
    let query = open_polling(&mut world);
    let answers: Vec<_> = (0..1_000)
        .map(|_| status(&mut world, post(&query), Some("6")).unwrap())
        .take_while(|status| *status == 200)
        .collect();
    assert_eq!(answers.len(), 100, "a token for the request, another for its packet");
    assert_eq!(totals(&world).connections_closed.rate_limited, 1);
    bystander.check(&mut world);
}

/// GETs or POSTs at the same time | one of each | 400, closed, parked | `connections_closed.transport_error`
#[test]
fn requests_that_overlap() {
    let (mut world, mut bystander) = world(|_| {});
    let query = open_polling(&mut world);
    assert_eq!(status(&mut world, get(&query), None), None);
    assert_eq!(status(&mut world, get(&query), None), Some(400));
    let query = open_polling(&mut world);
    assert_eq!(status(&mut world, post(&query), None), None);
    assert_eq!(status(&mut world, post(&query), None), Some(400));
    assert_eq!(status(&mut world, post(&query), None), Some(400), "the session is gone");
    assert_eq!(totals(&world).connections_closed.transport_error, 2);
    assert_eq!(totals(&world).requests_refused.unknown_session, 1);
    bystander.check(&mut world);
}

/// A body that never completes | `ping_interval`, `ping_timeout` | closed, parked | `connections_closed.ping_timeout`
#[test]
fn a_body_that_never_completes() {
    let (mut world, mut bystander) = world(|_| {});
    let query = open_polling(&mut world);
    assert_eq!(status(&mut world, post(&query), Some("40")), Some(200));
    assert_eq!(status(&mut world, get(&query), None), Some(200));
    // It is announced, and no byte of it ever comes; nor can a pong come then.
    assert_eq!(status(&mut world, post(&query), None), None);
    world.advance(Duration::from_secs(44));
    bystander.pong(&mut world);
    assert_eq!(totals(&world).connections_closed.ping_timeout, 0);
    world.advance(Duration::from_secs(1));
    assert_eq!(totals(&world).connections_closed.ping_timeout, 1);
    assert_eq!(world.server.stats().parked_sessions, 1);
    bystander.check(&mut world);
}

/// Attachments that never follow | `attachment_timeout` | closed, parked | `connections_closed.attachment_timeout`
#[test]
fn attachments_that_never_follow() {
    let (mut world, mut bystander) = world(|_| {});
    let (client, _) = world.connect();
    world.send(client, "459-[\"x\"]");
    world.send_binary(client, b"as much as it likes");
    for _ in 0..3 {
        world.advance(Duration::from_secs(10));
        world.send(client, "3");
        bystander.pong(&mut world);
    }
    assert!(world.is_closed(client));
    assert_eq!(totals(&world).connections_closed.attachment_timeout, 1);
    bystander.check(&mut world);
}

/// Connections that join no namespace | `connect_timeout` | closed | `connections_closed.connect_timeout`
#[test]
fn connections_that_join_nothing() {
    let (mut world, mut bystander) = world(|_| {});
    let clients: Vec<_> = (0..1_000).map(|_| world.open()).collect();
    for _ in 0..3 {
        world.advance(Duration::from_secs(15));
        for client in clients.iter().chain([&bystander.client]) {
            world.send(*client, "3");
        }
    }
    assert_eq!(totals(&world).connections_closed.connect_timeout, 1_000);
    assert_eq!(world.server.stats().connections, 1);
    bystander.check(&mut world);
}

/// More connections than can be served | `connections` | the handshake is refused (code 3, 1013) | `requests_refused.too_many_connections`
#[test]
fn more_connections_than_can_be_served() {
    let (mut world, mut bystander) = world(|limits| limits.connections = 100);
    for _ in 0..99 {
        world.open();
    }
    for _ in 0..1_000 {
        assert_eq!(status(&mut world, get("EIO=4&transport=polling"), None), Some(400));
    }
    assert_eq!(totals(&world).requests_refused.too_many_connections, 1_000);
    assert_eq!(world.server.stats().connections, 100);
    bystander.check(&mut world);
}

/// Connections that are opened and closed in turn | `handshake_burst`, `handshakes_per_second` | the handshake is refused (code 3, 1013) | `requests_refused.too_many_handshakes`
#[test]
fn connections_opened_and_closed_in_turn() {
    let (mut world, mut bystander) = world(|limits| limits.handshake_burst = 100);
    for _ in 0..99 {
        let client = world.open();
        world.cut(client);
    }
    for _ in 0..1_000 {
        assert_eq!(status(&mut world, get("EIO=4&transport=polling"), None), Some(400));
    }
    assert_eq!(totals(&world).requests_refused.too_many_handshakes, 1_000);
    assert_eq!(world.server.stats().connections, 1);
    bystander.check(&mut world);
}

/// Requests with sids that were made up | none: nothing is held | 400 (code 1) | `requests_refused.unknown_session`
#[test]
fn requests_with_sids_that_were_made_up() {
    let (mut world, mut bystander) = world(|_| {});
    for number in 0..10_000 {
        let query = format!("EIO=4&transport=polling&sid=made-up-{number:012}");
        assert_eq!(status(&mut world, get(&query), None), Some(400));
    }
    assert_eq!(totals(&world).requests_refused.unknown_session, 10_000);
    bystander.check(&mut world);
}

/// CONNECTs to thousands of namespaces | `namespaces_per_connection` | CONNECT_ERROR | `connects_refused.too_many_on_connection`
#[test]
fn one_client_in_thousands_of_namespaces() {
    let (mut world, mut bystander) = world(|_| {});
    world.server.at(world.now).add_namespaces_matching(|_| true);
    let client = world.open();
    for number in 0..5_000 {
        world.send(client, &format!("40/n{number},"));
    }
    let answers = world.texts(client);
    assert_eq!(answers.iter().filter(|answer| answer.starts_with("40/")).count(), 64);
    assert_eq!(totals(&world).connects_refused.too_many_on_connection, 5_000 - 64);
    assert_eq!(world.server.stats().namespaces, 65);
    bystander.check(&mut world);
}

/// Namespaces that clients make together | `namespaces` | CONNECT_ERROR | `connects_refused.too_many_namespaces`
#[test]
fn thousands_of_clients_in_namespaces_of_their_own() {
    let (mut world, mut bystander) = world(|limits| limits.namespaces = 100);
    world.server.at(world.now).add_namespaces_matching(|_| true);
    for number in 0..500 {
        let client = world.open();
        world.send(client, &format!("40/n{number},"));
    }
    assert_eq!(totals(&world).connects_refused.too_many_namespaces, 401);
    assert_eq!(world.server.stats().namespaces, 100);
    bystander.check(&mut world);
}

/// CONNECTs to namespaces that do not exist | none: nothing is held | CONNECT_ERROR | `connects_refused.invalid_namespace`
#[test]
fn namespaces_that_there_are_not() {
    let (mut world, mut bystander) = world(|_| {});
    let client = world.open();
    for number in 0..5_000 {
        world.send(client, &format!("40/n{number},"));
    }
    assert_eq!(totals(&world).connects_refused.invalid_namespace, 5_000);
    assert_eq!(world.server.stats().namespaces, 1);
    bystander.check(&mut world);
}

/// Joins of thousands of rooms, where clients may ask for them | `rooms_per_socket`, `room_name_bytes` | the join is refused | `joins_refused`
#[test]
fn one_client_in_thousands_of_rooms() {
    let (mut world, mut bystander) = world(|_| {});
    let (_client, _) = world.connect();
    let (socket, _) = world.connected();
    let names = (0..5_000).map(|number| format!("room {number}"));
    let joined = names.filter(|name| world.server.at(world.now).join(socket, name).is_ok()).count();
    assert_eq!(joined, 1_023, "and its own");
    assert!(world.server.at(world.now).join(socket, &"x".repeat(300)).is_err());
    assert_eq!(totals(&world).joins_refused, 5_000 - 1_023 + 1);
    bystander.check(&mut world);
}

/// Acknowledgements that the server asks for and never gets | `pending_acks` | the emit is refused | `acks_refused`
#[test]
fn questions_that_are_never_answered() {
    let (mut world, mut bystander) = world(|limits| limits.pending_acks = 1_000);
    let (client, _) = world.connect();
    let (socket, _) = world.connected();
    let question = socket::Event::new("question", &()).unwrap();
    for number in 0..5_000 {
        let (now, timeout) = (world.now, Duration::from_secs(20));
        let asked = world.server.at(now).emit_with_ack(socket, &question, timeout);
        let is_over = matches!(asked, Err(EmitError::TooManyAcks { .. }));
        assert_eq!(is_over, number >= 1_000);
        world.drain();
    }
    world.take(client.wire);
    assert_eq!(totals(&world).acks_refused, 4_000);
    bystander.check(&mut world);
    world.advance(Duration::from_secs(20));
    let failed = world.pick(|event| matches!(event, ServerEvent::AckFailed { .. }).then_some(()));
    assert_eq!((failed.len(), world.server.stats().pending_acks), (1_000, 0), "all settle");
}

/// Large answers to broadcasts, while others are waited for | `broadcast_answer_bytes` | dropped, the largest first; the socket is missing | `answers_dropped`
#[test]
fn large_answers_to_broadcasts() {
    let (mut world, mut bystander) = world(|limits| limits.broadcast_answer_bytes = 1 << 20);
    let (hostile, _) = world.connect();
    let (honest, _) = world.connect();
    let (_silent, _) = world.connect();
    world.events.clear();
    let question = socket::Event::new("question", &()).unwrap();
    for id in 0..20_u32 {
        let (now, timeout) = (world.now, Duration::from_secs(20));
        let everyone = Audience::all();
        world.server.at(now).broadcast_with_ack("/", &everyone, &question, timeout).unwrap();
        world.drain();
        world.send(honest, &format!("43{id}[\"yes\"]"));
        world.send(hostile, &format!("43{id}[\"{}\"]", "x".repeat(300_000)));
    }
    assert_eq!(totals(&world).answers_dropped, 17, "three of them fit");
    world.take(hostile.wire);
    world.take(honest.wire);
    bystander.pong(&mut world);
    world.advance(Duration::from_secs(20));
    let answered = world.pick(|event| match event {
        ServerEvent::BroadcastAcked { responses, .. } => {
            Some(responses.iter().any(|(_, args)| args.json() == r#"["yes"]"#))
        }
        _ => None,
    });
    assert_eq!(answered, [true; 20], "no honest answer is lost");
    bystander.check(&mut world);
}

/// Reading nothing of what is sent | `queued_bytes`, `queued_packets` | closed, parked | `connections_closed.overflow`
#[test]
fn reading_nothing() {
    let (mut world, mut bystander) = world(|_| {});
    let (client, session) = world.connect();
    world.server.pause(client.wire);
    let message = socket::Event::new("m", &("x".repeat(10_000),)).unwrap();
    for _ in 0..500 {
        let now = world.now;
        world.server.at(now).broadcast("/", &Audience::all(), &message).unwrap();
        world.drain();
        world.take(bystander.client.wire);
    }
    assert_eq!(totals(&world).connections_closed.overflow, 1);
    let (back, again) = world.claim(&session, None);
    assert_eq!((again, world.texts(back).len()), (session, 500), "nothing is lost");
    bystander.check(&mut world);
}

/// CONNECTs whose answers are not read | `queued_bytes`, `queued_packets` | closed, parked | `connections_closed.overflow`
#[test]
fn connects_whose_answers_are_not_read() {
    let (mut world, mut bystander) = world(|_| {});
    let (client, session) = world.connect();
    world.server.pause(client.wire);
    for _ in 0..16_385 {
        world.send(client, "40/nope,");
    }
    assert_eq!(totals(&world).connections_closed.overflow, 1);
    assert_eq!(world.claim(&session, None).1, session);
    bystander.check(&mut world);
}

/// Pongs of a client that takes no ping | `ping_timeout` | closed, parked | `connections_closed.ping_timeout`
#[test]
fn pongs_of_a_client_that_takes_no_ping() {
    let (mut world, mut bystander) = world(|_| {});
    let (client, session) = world.connect();
    world.server.pause(client.wire);
    for _ in 0..9 {
        world.advance(Duration::from_secs(5));
        world.send(client, "3");
        bystander.pong(&mut world);
    }
    assert_eq!(totals(&world).connections_closed.ping_timeout, 1);
    assert_eq!(world.claim(&session, None).1, session);
    bystander.check(&mut world);
}

/// Large authentication data in many namespaces, while the application decides | `pending_auth_bytes` | CONNECT_ERROR | `connects_refused.too_much_auth`
#[test]
fn large_auth_in_many_namespaces() {
    let (mut world, mut bystander) = world(|_| {});
    world.server.at(world.now).add_namespaces_matching(|_| true);
    world.auto_accept = false;
    let client = world.open();
    let large = "x".repeat(990_000);
    for number in 0..64 {
        // As a value, which waits with the request; as the private id and as the offset, which are
        // looked up at once and not kept.
        let auth = match number % 3 {
            0 => format!(r#"{{"token":"{large}"}}"#),
            1 => format!(r#"{{"pid":"{large}"}}"#),
            _ => format!(r#"{{"pid":"","offset":"{large}"}}"#),
        };
        world.send(client, &format!("40/{number},{auth}"));
    }
    assert_eq!(totals(&world).connects_refused.too_much_auth, 20);
    let stats = world.server.stats();
    assert_eq!((stats.connects_waiting, stats.namespaces), (44, 45), "no namespace stays");
    world.auto_accept = true;
    bystander.check(&mut world);
}

/// Inputs for wires that do not exist | none: nothing is held | ignored | `stale`
#[test]
fn wires_that_there_are_not() {
    let (mut world, mut bystander) = world(|_| {});
    for number in 0..1_000 {
        let wire = WireId(1_000_000 + number);
        world.input(ServerInput::Body { wire, body: Bytes::new() });
    }
    assert_eq!(totals(&world).stale, 1_000);
    bystander.check(&mut world);
}
