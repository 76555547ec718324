//! How clients join namespaces, and the effect of each packet in each state (protocol facts 2.5 to
//! 2.8).

use std::time::Duration;

use socketio_proto::{
    ServerConfig,
    engine::CloseReason,
    hub::{DisconnectReason, NamespaceError, Rejection},
    recovery::RecoveryOutcome,
    server::{ServerEvent, ServerInput},
    socket,
};

use crate::support::{Received, World, get, post};

fn world() -> World {
    World::new(ServerConfig::new())
}

#[test]
fn a_client_joins_the_main_namespace() {
    let mut world = world();
    let (client, session) = world.connect();
    assert_eq!(session.sid.len(), 20);
    assert_eq!(session.pid, "", "no private id without recovery");
    let (socket, outcome) = world.connected();
    assert_eq!(outcome, RecoveryOutcome::New);
    assert_eq!(world.server.socket_id(socket).unwrap().as_str(), session.sid);
    assert_eq!(world.server.rooms(socket).collect::<Vec<_>>(), [session.sid.as_str()]);
    assert!(world.texts(client).is_empty());
}

#[test]
fn the_socket_id_is_not_the_engine_id() {
    let mut world = world();
    let wire = world.wire();
    let head = get("EIO=4&transport=websocket");
    world.input(ServerInput::WebSocketOpened { wire, head });
    let client = crate::support::Client { wire };
    let open = world.text(client);
    world.send(client, "40");
    let session = world.session(client);
    assert!(!open.contains(&session.sid), "{open}");
}

#[test]
fn auth_reaches_the_application() {
    let mut world = world();
    world.auto_accept = false;
    let client = world.open();
    world.send(client, r#"40{"token":"123","deep":{"a":[null]}}"#);
    let (_, namespace, auth, recoverable) = world.requested();
    assert_eq!((namespace.as_str(), recoverable), ("/", None));
    assert_eq!(auth, r#"{"token":"123","deep":{"a":[null]}}"#);
    let client = world.open();
    world.send(client, "40");
    assert_eq!(world.requested().2, "{}");
}

#[test]
fn an_unknown_namespace_is_refused_and_the_connection_stays() {
    let mut world = world();
    let client = world.open();
    world.send(client, "40/random,");
    let refused = r#"44/random,{"message":"Invalid namespace"}"#;
    assert_eq!(world.texts(client), [refused]);
    world.send(client, "40");
    world.session(client);
}

#[test]
fn the_application_rejects_with_message_and_data() {
    let mut world = world();
    world.server.at(world.now).add_namespace("custom").unwrap();
    world.auto_accept = false;
    let client = world.open();
    world.send(client, "40/custom,{}");
    let (request, namespace, ..) = world.requested();
    assert_eq!(namespace.as_str(), "/custom", "a missing slash is added");
    let data = serde_json::json!({ "code": 7 });
    let rejection = Rejection::new("no \"entry\"").data(&data).unwrap();
    assert!(world.server.at(world.now).reject(request, &rejection));
    assert!(!world.server.at(world.now).reject(request, &rejection), "once");
    assert_eq!(world.server.at(world.now).accept(request), None, "once");
    world.drain();
    let expected = r#"44/custom,{"message":"no \"entry\"","data":{"code":7}}"#;
    assert_eq!(world.texts(client), [expected]);
    // It may try again.
    world.send(client, "40/custom,");
    let (request, ..) = world.requested();
    world.server.at(world.now).accept(request).unwrap();
    world.drain();
    world.session(client);
}

#[test]
fn namespaces_are_made_by_predicates_and_go_when_they_are_empty() {
    let mut world = world();
    world.server.at(world.now).add_namespaces_matching(|name| name.starts_with("/dyn-"));
    let (client, _) = world.connect_with("40/dyn-1,");
    let (socket, _) = world.connected();
    assert_eq!(world.server.stats().namespaces, 2);
    assert_eq!(world.server.namespace(socket).unwrap().as_str(), "/dyn-1");
    world.send(client, "41/dyn-1,");
    assert_eq!(world.server.stats().namespaces, 1);
    assert_eq!(world.server.namespace(socket), None);
    // A socket that is asked about keeps it, one that is rejected does not.
    world.auto_accept = false;
    let client = world.open();
    world.send(client, "40/dyn-2,");
    assert_eq!(world.server.stats().namespaces, 2);
    let (request, ..) = world.requested();
    world.server.at(world.now).reject(request, &Rejection::new("no"));
    assert_eq!(world.server.stats().namespaces, 1);
    // Nor does one that leaves while it is asked about.
    let client = world.open();
    world.send(client, "40/dyn-3,");
    world.cut(client);
    assert_eq!(world.server.stats().namespaces, 1);
}

/// The official client sends an answer whenever its application calls back, also after it has left
/// the namespace and joined it again.
#[test]
fn a_late_answer_is_none_to_a_question_of_a_namespace_that_was_made_again() {
    let mut world = world();
    world.server.at(world.now).add_namespaces_matching(|name| name == "/dyn");
    let client = world.open();
    let ask = |world: &mut World| {
        world.send(client, "40/dyn,");
        let (socket, _) = world.connected();
        world.texts(client);
        let (event, timeout) = (crate::support::event("ask", 1), Duration::from_secs(1));
        let ack = world.server.at(world.now).emit_with_ack(socket, &event, timeout).unwrap();
        world.drain();
        let packet = world.text(client);
        let id: String =
            packet["42/dyn,".len()..].chars().take_while(char::is_ascii_digit).collect();
        (ack, id)
    };
    let (_, earlier) = ask(&mut world);
    world.send(client, "41/dyn,");
    assert_eq!(world.server.stats().namespaces, 1, "it has gone");
    let (present, id) = ask(&mut world);
    world.send(client, &format!("43/dyn,{earlier}[\"late\"]"));
    assert_eq!(world.server.stats().total.acks_unmatched, 1);
    world.events.clear();
    world.send(client, &format!("43/dyn,{id}[\"in time\"]"));
    let answers = world.pick(|event| match event {
        ServerEvent::Acked { ack, args, .. } => Some((*ack, args.json().to_owned())),
        _ => None,
    });
    assert_eq!(answers, [(present, r#"["in time"]"#.to_owned())]);
}

#[test]
fn names_that_no_packet_can_carry_are_refused() {
    let mut world = world();
    for name in ["", "/a,b", "/a\nb", "/a\u{1e}"] {
        assert_eq!(
            world.server.at(world.now).add_namespace(name),
            Err(NamespaceError::InvalidName),
            "{name:?}"
        );
    }
    assert_eq!(world.server.at(world.now).add_namespace("/"), Ok(()), "again");
}

/// A WebSocket carries the separator of the packets of an HTTP body, and polling does not.
#[test]
fn names_that_polling_cannot_carry_make_no_namespace() {
    let mut world = world();
    world.server.at(world.now).add_namespaces_matching(|_| true);
    let client = world.open();
    world.send(client, "40/a\u{1e}b,");
    assert_eq!(world.texts(client), ["44/a\u{1e}b,{\"message\":\"Invalid namespace\"}"]);
    assert_eq!(world.server.stats().total.connects_refused.invalid_namespace, 1);
    world.send(client, "40/a\u{1d}b,");
    assert_eq!(world.server.stats().namespaces, 2, "polling carries any other name");
    world.send(client, "41/a\u{1d}b,");
    // In a body the name ends where the packet does.
    let wire = world.wire();
    world.input(ServerInput::Request { wire, head: get("EIO=4&transport=polling"), body: None });
    let open = world.take(wire);
    let Some(Received::Response(open)) = open.first() else { panic!("{open:?}") };
    let open: serde_json::Value = serde_json::from_slice(&open.body[1..]).unwrap();
    let query = format!("EIO=4&transport=polling&sid={}", open["sid"].as_str().unwrap());
    let wire = world.wire();
    let body = Some("40/a\u{1e}40/b,".into());
    world.input(ServerInput::Request { wire, head: post(&query), body });
    let joined = world.pick(|event| match event {
        ServerEvent::Connected { namespace, .. } => Some(namespace.as_str().to_owned()),
        _ => None,
    });
    assert_eq!(joined, ["/a\u{1d}b", "/a", "/b"]);
}

/// A message that is not a packet: nothing that the client sends after it can be trusted.
#[test]
fn what_cannot_be_read_closes_the_connection() {
    let unreadable = ["42[", "4", "4x", "47", "41{}", "4abc", "42{}", "451-[\"a\"]"];
    for packet in unreadable {
        for is_member in [true, false] {
            let mut world = world();
            let client = if is_member { world.connect().0 } else { world.open() };
            world.send(client, packet);
            world.send(client, packet);
            assert!(world.is_closed(client), "{packet}");
            assert_eq!(world.server.stats().connections, 0, "{packet}");
        }
    }
}

#[test]
fn what_cannot_be_read_ends_all_sockets_of_the_connection_and_no_other() {
    let mut world = world();
    world.server.at(world.now).add_namespace("/b").unwrap();
    let (client, _) = world.connect();
    world.send(client, "40/b,");
    world.session(client);
    let (bystander, _) = world.connect();
    world.events.clear();
    world.send(client, "42/b,[");
    let mut story = world.pick(|event| match event {
        ServerEvent::Disconnected { namespace, reason, .. } => {
            Some(format!("{namespace} {reason:?}"))
        }
        ServerEvent::ConnectionClosed { reason, .. } => Some(format!("{reason:?}")),
        _ => None,
    });
    story.sort();
    let expected = ["/ ProtocolViolation", "/b ProtocolViolation", "ProtocolViolation"];
    assert_eq!(story, expected);
    world.send(bystander, r#"42["still",1]"#);
    let events = world.pick(|event| match event {
        ServerEvent::Received { event, .. } => Some(event.name().to_owned()),
        _ => None,
    });
    assert_eq!(events, ["still"]);
}

#[test]
fn sockets_are_reported_before_their_connection() {
    let mut world = world();
    let (client, _) = world.connect();
    world.events.clear();
    world.cut(client);
    let story = world.pick(|event| match event {
        ServerEvent::Disconnected { reason, .. } => Some(reason.as_str().to_owned()),
        ServerEvent::ConnectionClosed { reason, .. } => Some(format!("{reason:?}")),
        _ => None,
    });
    assert_eq!(story, ["transport close", "TransportClose"]);
}

#[test]
fn who_joins_no_namespace_in_time_is_closed() {
    let mut world = World::new(ServerConfig::new().connect_timeout(Duration::from_secs(1)));
    let client = world.open();
    let (member, _) = world.connect();
    world.send(client, "40/random,");
    world.advance(Duration::from_millis(999));
    assert!(!world.is_closed(client));
    world.advance(Duration::from_millis(1));
    assert!(world.is_closed(client), "a refusal does not stop the clock");
    world.advance(Duration::from_secs(10));
    assert!(!world.is_closed(member));
}

#[test]
fn a_client_leaves_a_namespace_and_may_come_again() {
    let mut world = world();
    let (client, first) = world.connect();
    let (socket, _) = world.connected();
    world.server.at(world.now).set_data(socket, 4);
    assert_eq!(
        world.server.at(world.now).update_data(socket, |data| std::mem::replace(data, 5)),
        Some(4)
    );
    world.send(client, "41");
    let reasons = world.pick(|event| match event {
        ServerEvent::Disconnected { reason, data, .. } => Some((*reason, *data)),
        _ => None,
    });
    assert_eq!(reasons, [(DisconnectReason::ClientNamespaceDisconnect, Some(5))]);
    assert_eq!(world.server.data(socket), None);
    assert_eq!(world.server.at(world.now).update_data(socket, |data| *data), None);
    world.send(client, "40");
    assert_ne!(world.session(client), first);
}

#[test]
fn the_server_disconnects_a_socket_or_its_connection() {
    let mut world = world();
    world.server.at(world.now).add_namespace("/b").unwrap();
    let (client, _) = world.connect();
    let (main, _) = world.connected();
    world.send(client, "40/b,");
    world.session(client);
    world.connected();
    assert!(world.server.at(world.now).disconnect(main, false));
    assert!(!world.server.at(world.now).disconnect(main, false), "once");
    world.drain();
    assert_eq!(world.texts(client), ["41"]);
    world.send(client, "42/b,[\"still here\"]");
    world.send(client, "40");
    world.session(client);
    world.events.clear();
    world.send(client, "42[\"x\"]");
    let sockets = world.pick(|event| match event {
        ServerEvent::Received { socket, .. } => Some(*socket),
        _ => None,
    });
    world.server.at(world.now).disconnect(sockets[0], true);
    world.drain();
    let frames = world.take(client.wire);
    let expected = [Received::Text("41".into()), Received::Text("41/b,".into())];
    assert_eq!(frames[..2], expected);
    assert_eq!(frames[2], Received::Closed(None));
    let reasons = world.pick(|event| match event {
        ServerEvent::Disconnected { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(reasons, [DisconnectReason::ServerNamespaceDisconnect; 2]);
}

#[test]
fn close_connection_is_a_lost_link() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    let connection = world.server.connection(socket).unwrap();
    assert!(world.server.close_connection(world.now, connection));
    world.drain();
    assert!(world.is_closed(client));
    let reasons = world.pick(|event| match event {
        ServerEvent::Disconnected { reason, data, .. } => Some((*reason, *data)),
        _ => None,
    });
    assert_eq!(reasons, [(DisconnectReason::ForcedClose, None)], "parked");
    assert_eq!(world.claim(&session, None).1, session);
    assert!(!world.server.close_connection(world.now, connection), "a stale id is a miss");
}

#[test]
fn a_paused_connection_that_closes_is_reported_when_it_has_resumed() {
    let mut world = World::with_recovery();
    let (client, _) = world.connect();
    let (socket, _) = world.connected();
    world.server.pause(client.wire);
    world.server.at(world.now).emit(socket, &crate::support::event("last", 1)).unwrap();
    let connection = world.server.connection(socket).unwrap();
    assert!(world.server.close_connection(world.now, connection));
    world.drain();
    assert!(world.server.is_connected(socket), "it is waited for");
    world.server.resume(world.now, client.wire);
    world.drain();
    assert!(!world.server.is_connected(socket));
    let closed = world.pick(|event| match event {
        ServerEvent::ConnectionClosed { connection, .. } => Some(*connection),
        _ => None,
    });
    assert_eq!(closed, [connection]);
    let received = world.take(client.wire);
    assert!(matches!(&received[..], [Received::Text(_), Received::Closed(None)]), "{received:?}");
}

#[test]
fn a_shutdown_parks_everyone() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    world.server.shutdown(world.now);
    world.drain();
    assert!(world.is_closed(client));
    let reasons = world.pick(|event| match event {
        ServerEvent::Disconnected { reason, .. } => Some(reason.as_str()),
        ServerEvent::ConnectionClosed { reason, .. } => {
            assert_eq!(*reason, CloseReason::ServerShutdown);
            None
        }
        _ => None,
    });
    assert_eq!(reasons, ["server shutting down"]);
    assert_eq!(world.claim(&session, None).1, session);
}

#[test]
fn events_carry_arguments_binary_and_acknowledgements() {
    let mut world = world();
    let (client, _) = world.connect();
    world.events.clear();
    world.send(client, r#"451-2["upload",{"_placeholder":true,"num":0},{"n":1}]"#);
    assert!(world.events.is_empty(), "an attachment is missing");
    world.send_binary(client, b"\x01\x02");
    let Some(ServerEvent::Received { event, ack: Some(token), .. }) = world.events.pop_front()
    else {
        panic!("no event");
    };
    assert_eq!(event.name(), "upload");
    let (file, rest): (socket::Binary, serde_json::Value) = event.parse().unwrap();
    assert_eq!(file.resolve(&event).unwrap().as_ref(), b"\x01\x02");
    assert_eq!(rest["n"], 1);
    let answer = socket::Args::new(&(bytes::Bytes::from_static(b"ok"), "done")).unwrap();
    assert!(world.server.at(world.now).ack(token, &answer));
    world.drain();
    let frames = world.take(client.wire);
    let head = r#"461-2[{"_placeholder":true,"num":0},"done"]"#;
    let expected = [Received::Text(head.into()), Received::Binary(b"ok".as_slice().into())];
    assert_eq!(frames, expected);
}

#[test]
fn only_who_was_asked_can_answer() {
    let mut world = world();
    let (asked, _) = world.connect();
    let (socket, _) = world.connected();
    let (other, _) = world.connect();
    let question = socket::Event::new("q", &()).unwrap();
    let timeout = Duration::from_secs(5);
    let ack = world.server.at(world.now).emit_with_ack(socket, &question, timeout).unwrap();
    world.drain();
    let answers = |world: &mut World| {
        world.pick(|event| match event {
            ServerEvent::Acked { socket, ack, .. } => Some((*socket, *ack)),
            _ => None,
        })
    };
    world.send(other, "430[]");
    assert_eq!((answers(&mut world), world.server.stats().total.acks_unmatched), (vec![], 1));
    world.send(asked, "430[]");
    assert_eq!(answers(&mut world), [(socket, ack)]);
    world.send(asked, "430[]");
    assert_eq!((answers(&mut world), world.server.stats().total.acks_unmatched), (vec![], 2));
}

#[test]
fn an_acknowledgement_for_a_lost_link_goes_nowhere() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    world.send(client, r#"421["q"]"#);
    let token = world.token();
    world.cut(client);
    let (client, _) = world.claim(&session, None);
    assert!(!world.server.at(world.now).ack(token, &socket::Args::empty()));
    world.drain();
    assert!(world.texts(client).is_empty());
}

#[test]
fn the_whole_protocol_works_over_polling() {
    let mut world = World::with_recovery();
    let wire = world.wire();
    world.input(ServerInput::Request { wire, head: get("EIO=4&transport=polling"), body: None });
    let received = world.take(wire);
    let Received::Response(response) = &received[0] else { panic!("{received:?}") };
    let open: serde_json::Value = serde_json::from_slice(&response.body[1..]).unwrap();
    let query = format!("EIO=4&transport=polling&sid={}", open["sid"].as_str().unwrap());
    assert_eq!(open["upgrades"], serde_json::json!(["websocket"]));
    let send = |world: &mut World, body: &str| {
        let wire = world.wire();
        let body = Some(bytes::Bytes::copy_from_slice(body.as_bytes()));
        world.input(ServerInput::Request { wire, head: post(&query), body });
        let received = world.take(wire);
        assert!(matches!(&received[..], [Received::Response(r)] if &r.body[..] == b"ok"));
    };
    let poll = |world: &mut World| {
        let wire = world.wire();
        world.input(ServerInput::Request { wire, head: get(&query), body: None });
        match &world.take(wire)[..] {
            [Received::Response(response)] => String::from_utf8(response.body.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    };
    send(&mut world, "40");
    assert!(poll(&mut world).starts_with("40{\"sid\":"));
    world.events.clear();
    send(&mut world, "420[\"a\"]\u{1e}451-[\"b\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQID");
    let names = world.pick(|event| match event {
        ServerEvent::Received { event, .. } => {
            Some((event.name().to_owned(), event.attachments().len()))
        }
        _ => None,
    });
    assert_eq!(names, [("a".to_owned(), 0), ("b".to_owned(), 1)]);
    send(&mut world, "41");
    assert_eq!(world.server.stats().sockets, 0);
    assert_eq!(world.server.stats().connections, 1);
}

#[test]
fn refused_requests_are_answered_and_counted() {
    let mut world = world();
    for (query, code, status) in [
        ("", 0, 400),
        ("EIO=4", 0, 400),
        ("EIO=4&transport=carrier-pigeon", 0, 400),
        ("EIO=4&transport=polling&sid=abc", 1, 400),
        ("EIO=4&transport=websocket", 3, 400),
        ("EIO=3&transport=polling", 5, 400),
    ] {
        let wire = world.wire();
        world.input(ServerInput::Request { wire, head: get(query), body: None });
        let received = world.take(wire);
        let [Received::Response(response)] = &received[..] else { panic!("{received:?}") };
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!((response.status, body["code"].as_u64()), (status, Some(code)), "{query}");
    }
    let now = world.now;
    assert!(world.server.verify(now, &get("EIO=3&transport=polling")).is_err());
    assert!(world.server.verify(now, &get("EIO=4&transport=polling")).is_ok());
    let refused = world.server.stats().total.requests_refused;
    assert_eq!((refused.unknown_transport, refused.unknown_session), (3, 1));
    assert_eq!((refused.bad_request, refused.unsupported_version), (1, 2));
}

#[test]
fn wires_that_are_not_known_or_still_in_use_are_ignored() {
    let mut world = world();
    let (client, _) = world.connect();
    let stale = world.server.stats().total.stale;
    let wire = socketio_proto::WireId(99);
    world.input(ServerInput::WireClosed { wire });
    world.input(ServerInput::Body { wire, body: bytes::Bytes::new() });
    let head = get("EIO=4&transport=websocket");
    world.input(ServerInput::WebSocketOpened { wire: client.wire, head });
    assert_eq!(world.server.stats().total.stale, stale + 3);
    assert!(!world.is_closed(client));
}

/// Timers run whether or not output is taken: what comes out later is the same.
#[test]
fn a_ping_is_due_although_nothing_was_drained() {
    let mut world = world();
    let wire = world.wire();
    let head = get("EIO=4&transport=websocket");
    world.server.handle_input(world.now, ServerInput::WebSocketOpened { wire, head });
    world.now = world.now.saturating_add(Duration::from_secs(25));
    world.server.handle_input(world.now, ServerInput::Timeout);
    world.drain();
    let frames = world.texts(crate::support::Client { wire });
    assert_eq!(frames.len(), 2, "{frames:?}");
    assert!(frames[0].starts_with("0{") && frames[1] == "2", "{frames:?}");
}

/// What an embedder knows of a request, it finds for the CONNECT that the application decides about.
#[test]
fn a_connect_leads_to_the_request_of_its_connection() {
    let mut world = world();
    world.auto_accept = false;
    let clients = [world.open(), world.open()];
    world.send(clients[1], "40");
    let mut requests = std::collections::BTreeMap::new();
    let mut asked = Vec::new();
    for event in world.events.drain(..) {
        match event {
            ServerEvent::ConnectionOpened { connection, wire } => {
                requests.insert(connection, wire);
            }
            ServerEvent::ConnectRequested { connection, .. } => asked.push(requests[&connection]),
            _ => {}
        }
    }
    assert_eq!(asked, [clients[1].wire]);
    assert_eq!(requests.len(), 2);
}
