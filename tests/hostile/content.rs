//! Packets with content that is difficult for parsers.
//!
//! Each test is one attack; see `peers.rs`. An invalid packet ends the session. A valid packet,
//! however unusual, reaches the application unchanged, and the server can send it back unchanged.

use bytes::Bytes;
use socketio_proto::{
    WireId,
    engine::EngineDecodeError,
    hub::Audience,
    server::{ServerEvent, ServerInput, Totals},
    socket,
};

use crate::support::{Client, Received, World, bystander::Bystander, get, post};

fn world() -> (World, Bystander) {
    let mut world = World::with_recovery();
    let bystander = Bystander::new(&mut world);
    (world, bystander)
}

fn totals(world: &World) -> Totals {
    world.server.stats().total
}

/// Sends a packet that has to reach the application.
fn receive(world: &mut World, client: Client, packet: &str) -> socket::Event {
    world.events.clear();
    world.send(client, packet);
    let received = world.events.drain(..).find_map(|event| match event {
        ServerEvent::Received { event, .. } => Some(event),
        _ => None,
    });
    received.unwrap_or_else(|| panic!("not received: {}", &packet[..packet.len().min(100)]))
}

/// The body of the response on a wire.
fn body(world: &mut World, wire: WireId) -> String {
    let received = world.take(wire);
    let [Received::Response(response)] = &received[..] else { panic!("{received:?}") };
    String::from_utf8(response.body.to_vec()).unwrap()
}

/// Sends each packet on a separate connection. Each must end its connection and its session.
fn assert_violations<'a>(packets: impl IntoIterator<Item = &'a str>) {
    let (mut world, mut bystander) = world();
    for (number, packet) in (1..).zip(packets) {
        let (client, session) = world.connect();
        world.send(client, packet);
        let shown = &packet[..packet.len().min(100)];
        assert!(world.is_closed(client), "{shown}");
        let closed = totals(&world).connections_closed;
        assert_eq!(closed.protocol_violation + closed.parse_error, number, "{shown}");
        assert_ne!(world.claim(&session, None).1, session, "{shown}");
        bystander.check(&mut world);
    }
}

/// An event's name as long as a packet may be | `max_payload` | delivered; beyond it closed (1009), parked | `connections_closed.transport_error`
#[test]
fn a_giant_event_name() {
    let (mut world, mut bystander) = world();
    let (client, _) = world.connect();
    let name = "x".repeat(1_000_000 - 6);
    let event = receive(&mut world, client, &format!("42[\"{name}\"]"));
    assert_eq!(event.name(), name);
    world.send(client, &format!("42[\"{name}x\"]"));
    assert_eq!(world.take(client.wire), [Received::Closed(Some(1009))]);
    assert_eq!(totals(&world).connections_closed.transport_error, 1);
    bystander.check(&mut world);
}

/// JSON nested as deep as a packet is long | none: it is checked without recursion | delivered as text; what reads it gets an error | -
#[test]
fn deep_json() {
    let (mut world, mut bystander) = world();
    let (client, _) = world.connect();
    let depth = 490_000;
    let packet = format!("42[\"a\",{}{}]", "[".repeat(depth), "]".repeat(depth));
    let event = receive(&mut world, client, &packet);
    assert!(event.get::<serde_json::Value>(0).is_err());
    bystander.check(&mut world);
    assert_violations([
        &*format!("42[\"a\",{}", "[".repeat(depth)),
        &*format!("40/x,{}", "{\"a\":".repeat(depth / 5)),
        &*format!("40{}", "[".repeat(depth)),
    ]);
    // Next to bytes only so much is read. An application may have done it.
    let (client, session) = world.connect();
    world.send(client, &format!("451-[\"a\",{}{}]", "[".repeat(depth), "]".repeat(depth)));
    assert_eq!(world.take(client.wire), [Received::Closed(Some(1007))]);
    assert_eq!(world.claim(&session, None).1, session);
    bystander.check(&mut world);
}

/// Numbers that no type holds | none: they are text | delivered as text; as an id the session ends | `connections_closed.protocol_violation`
#[test]
fn huge_numbers() {
    let (mut world, mut bystander) = world();
    let (client, _) = world.connect();
    let digits = "9".repeat(100_000);
    let packet = format!("42[\"a\",{digits},-1e999999999,0.{digits}]");
    let event = receive(&mut world, client, &packet);
    assert!(event.get::<u64>(0).is_err() && event.get::<f64>(1).is_err());
    assert_eq!(event.json(), &packet[2..]);
    bystander.check(&mut world);
    let id = format!("42{digits}[\"a\"]");
    assert_violations([&*id, "429007199254740992[\"a\"]", "4318446744073709551616[]"]);
}

/// Halves of surrogate pairs | none: they are legal JSON | delivered as text; what reads a string gets an error | -
#[test]
fn halves_of_surrogate_pairs() {
    let (mut world, mut bystander) = world();
    let (client, _) = world.connect();
    let event = receive(&mut world, client, r#"42["a","\ud800","\udc00x"]"#);
    assert!(event.get::<String>(0).is_err());
    let event = receive(&mut world, client, r#"42["\ud800","a"]"#);
    assert!(event.name().contains('\u{fffd}'));
    // As part of a room's name or a namespace's they are nothing special.
    world.send(client, r"40/\ud800,");
    assert_eq!(world.texts(client), [r#"44/\ud800,{"message":"Invalid namespace"}"#]);
    bystander.check(&mut world);
}

/// NUL bytes and other control characters | none | escaped they are delivered; bare ones end the session | `connections_closed.protocol_violation`
#[test]
fn nul_bytes() {
    let (mut world, mut bystander) = world();
    let (client, _) = world.connect();
    let event = receive(&mut world, client, r#"42["a\u0000","\u0000"]"#);
    assert_eq!((event.name(), event.get::<String>(0).unwrap().as_str()), ("a\0", "\0"));
    world.send(client, "40/\0,");
    assert_eq!(world.texts(client), ["44/\0,{\"message\":\"Invalid namespace\"}"]);
    bystander.check(&mut world);
    assert_violations(["42[\"\0\"]", "42\0[\"a\"]", "4\0", "\0", "42[\"a\"]\0", "42[\"\u{1f}\"]"]);
}

/// The separator of polling (U+001E) inside of a message | none | escaped it is delivered; a bare one ends the session | `connections_closed.protocol_violation`
#[test]
fn the_separator_of_polling_inside_of_a_message() {
    let (mut world, mut bystander) = world();
    let (client, _) = world.connect();
    let event = receive(&mut world, client, r#"42["a","x\u001e40\u001e41"]"#);
    assert_eq!(event.get::<String>(0).unwrap(), "x\u{1e}40\u{1e}41");
    // It is sent escaped, on every transport.
    let again = socket::Event::new("a", &(event.get::<String>(0).unwrap(),)).unwrap();
    let (socket, now) =
        (world.server.at(world.now).local_sockets("/", &Audience::all()).unwrap()[1], world.now);
    world.server.at(now).emit(socket, &again).unwrap();
    world.drain();
    assert!(!world.texts(client).concat().contains('\u{1e}'));
    bystander.check(&mut world);
    assert_violations(["42[\"a\u{1e}b\"]", "42[\"a\"]\u{1e}", "\u{1e}"]);
}

/// A polling body with a message that contains the separator | none | split; a part that is not a packet ends the session | `connections_closed.protocol_violation`
#[test]
fn a_body_that_is_split_inside_of_a_message() {
    let (mut world, mut bystander) = world();
    let wire = world.wire();
    world.input(ServerInput::Request { wire, head: get("EIO=4&transport=polling"), body: None });
    let received = world.take(wire);
    let [Received::Response(response)] = &received[..] else { panic!("{received:?}") };
    let open: serde_json::Value = serde_json::from_slice(&response.body[1..]).unwrap();
    let query = format!("EIO=4&transport=polling&sid={}", open["sid"].as_str().unwrap());
    let body = Some(Bytes::from_static(b"40\x1e42[\"a\x1e4\"]"));
    let wire = world.wire();
    world.input(ServerInput::Request { wire, head: post(&query), body });
    assert_eq!(totals(&world).connections_closed.protocol_violation, 0, "it has to be told first");
    let wire = world.wire();
    world.input(ServerInput::Request { wire, head: get(&query), body: None });
    assert_eq!(totals(&world).connections_closed.protocol_violation, 1);
    assert_eq!(world.server.stats().parked_sessions, 0);
    bystander.check(&mut world);
}

/// Bytes that are not a packet | none | the session ends | `connections_closed.parse_error`
#[test]
fn bytes_that_are_no_packet() {
    let (mut world, mut bystander) = world();
    for packet in ["", "x", "7", "b!", "b===", "\u{10ffff}", "-1"] {
        let (client, _) = world.connect();
        world.events.clear();
        world.send(client, packet);
        let faults = world.pick(|event| match event {
            ServerEvent::ConnectionClosed { reason, .. } => Some(reason.to_string()),
            _ => None,
        });
        assert_eq!(faults.len(), 1, "{packet}");
        assert!(faults[0].starts_with("parse error: "), "{faults:?}");
        bystander.check(&mut world);
    }
    assert_eq!(EngineDecodeError::Empty.to_string(), "empty packet");
    assert_eq!(totals(&world).connections_closed.parse_error, 7);
}

/// A client with another parser than the default one (`socket.io-msgpack-parser`) | none | CONNECT_ERROR, closed (1003) | `connections_closed.other_parser`
#[test]
fn a_client_with_another_parser() {
    let (mut world, mut bystander) = world();
    let refusal = r#"44{"message":"This server speaks the default parser"}"#;
    let msgpack: &[u8] = b"\x83\xa4type\x00\xa4data\xc0\xa3nsp\xa1/";
    let (binary, json) = (world.open(), world.open());
    world.send_binary(binary, msgpack);
    // The parser that makes JSON of whole packets.
    world.send(json, r#"4{"type":0,"nsp":"/"}"#);
    for client in [binary, json] {
        let told = [Received::Text(refusal.into()), Received::Closed(Some(1003))];
        assert_eq!(world.take(client.wire), told);
    }
    let wire = world.wire();
    world.input(ServerInput::Request { wire, head: get("EIO=4&transport=polling"), body: None });
    let open = body(&mut world, wire);
    let sid = open.split("\"sid\":\"").nth(1).unwrap()[..20].to_owned();
    let query = format!("EIO=4&transport=polling&sid={sid}");
    let (sent, polled) = (world.wire(), world.wire());
    let packet = Some(Bytes::from_static(b"bg6R0eXBlAKRkYXRhwKNuc3ChLw=="));
    world.input(ServerInput::Request { wire: sent, head: post(&query), body: packet });
    world.input(ServerInput::Request { wire: polled, head: get(&query), body: None });
    assert_eq!(body(&mut world, polled), refusal);
    assert_eq!(totals(&world).connections_closed.other_parser, 2, "the third has to be told first");
    let last = world.wire();
    world.input(ServerInput::Request { wire: last, head: get(&query), body: None });
    assert_eq!(body(&mut world, last), "1");
    assert_eq!(totals(&world).connections_closed.other_parser, 3);
    bystander.check(&mut world);
}

#[test]
fn a_binary_message_of_who_has_joined_is_a_violation() {
    let (mut world, mut bystander) = world();
    let (client, _) = world.connect();
    // It was understood before, so it has no other parser.
    world.send_binary(client, b"\x01");
    let closed = totals(&world).connections_closed;
    assert_eq!((closed.other_parser, closed.protocol_violation), (0, 1));
    bystander.check(&mut world);
}

static MEGABYTE: [u8; 1_000_000] = [0; 1_000_000];

/// More attachments, or larger ones, than a packet may have | `attachments`, `attachment_bytes` | closed (1007), parked | `connections_closed.invalid_packet`
#[test]
fn more_attachments_than_a_packet_may_have() {
    assert_violations(["45-[\"a\"]", "45x-[\"a\"]"]);
    let (mut world, mut bystander) = world();
    let digits = "9".repeat(100_000);
    let huge = format!("45{digits}-[\"a\"]");
    for packet in ["4511-[\"a\"]", "4599999999999999999999-[\"a\"]", "450-[\"a\"]", &huge] {
        let (client, session) = world.connect();
        world.send(client, packet);
        assert_eq!(world.take(client.wire), [Received::Closed(Some(1007))]);
        assert_eq!(world.claim(&session, None).1, session, "an application may have done it");
    }
    assert_eq!(totals(&world).connections_closed.invalid_packet, 4);
    let (client, _) = world.connect();
    world.send(client, "4510-[\"a\"]");
    for _ in 0..9 {
        world.send_binary(client, &MEGABYTE);
    }
    assert!(!world.is_closed(client));
    world.send(client, "42[\"not an attachment\"]");
    assert!(world.is_closed(client));
    bystander.check(&mut world);
}

/// Authentication data that is not an object, again and again | `packet_burst`, `packets_per_second`; `queued_bytes` | CONNECT_ERROR each | `connects_refused.invalid_packet`
#[test]
fn authentication_data_that_is_no_object() {
    let (mut world, mut bystander) = world();
    let client = world.open();
    let deep = format!("40{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for packet in ["40\"token\"", "40[1]", "40null", "401e999", "40undefined", &deep] {
        world.send(client, packet);
        assert_eq!(world.texts(client), [r#"44{"message":"Invalid authentication data"}"#]);
    }
    assert_eq!(totals(&world).connects_refused.invalid_packet, 6);
    bystander.check(&mut world);
}

/// Names of namespaces as long as a packet may be | `namespace_name_bytes` | CONNECT_ERROR | `connects_refused.invalid_packet`
#[test]
fn giant_names_of_namespaces() {
    let (mut world, mut bystander) = world();
    let client = world.open();
    let name = format!("/{}", "x".repeat(900_000));
    world.server.pause(client.wire);
    for _ in 0..10 {
        world.send(client, &format!("40{name},"));
    }
    // What is repeated to the client counts as queued for it.
    assert_eq!(totals(&world).connections_closed.overflow, 1);
    assert_eq!(totals(&world).connects_refused.invalid_packet, 5);
    assert_eq!(world.server.stats().namespaces, 1);
    bystander.check(&mut world);
}

/// Queries with thousands of parameters, and long ones | none: nothing is held (heads are bounded by the embedder) | read to the end; 400 | `requests_refused.unknown_transport`
#[test]
fn oversized_queries() {
    let (mut world, mut bystander) = world();
    let many = "&transport=tube".repeat(10_000);
    let long = format!("EIO=4&transport={}", "x".repeat(100_000));
    let escaped = format!("EIO=4&{}=1", "%00%ff%".repeat(10_000));
    for query in [&many, &long, &escaped] {
        let wire = world.wire();
        world.input(ServerInput::Request { wire, head: get(query), body: None });
        let received = world.take(wire);
        let [Received::Response(response)] = &received[..] else { panic!("{received:?}") };
        assert_eq!(response.status, 400);
    }
    assert_eq!(totals(&world).requests_refused.unknown_transport, 3);
    // The last of each counts, wherever it stands.
    let wire = world.wire();
    let query = format!("{many}&EIO=4&transport=polling");
    world.input(ServerInput::Request { wire, head: get(&query), body: None });
    assert_eq!(world.server.stats().connections, 2);
    bystander.check(&mut world);
}
