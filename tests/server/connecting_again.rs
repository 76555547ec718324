//! A second CONNECT for a namespace, and packets for a namespace that the client is not in. The
//! official client sends these when its public methods are called in an unusual order. The table is
//! in the documentation of the module `link`.

use socketio_proto::{
    ServerConfig,
    engine::Frame,
    hub::{DisconnectReason, Rejection},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::{ServerEvent, ServerInput},
};

use crate::support::{
    Client, Received, Session, World, broadcast, event, get, numbers, post, recovery_config,
};

/// A client that is in `/b`, too, and must not notice anything.
struct Shared {
    world: World,
    client: Client,
    other: socketio_proto::SocketKey,
}

impl Shared {
    fn new(config: ServerConfig) -> Self {
        let mut world = World::new(config);
        world.server.at(world.now).add_namespace("/b").unwrap();
        let client = world.open();
        world.send(client, "40/b,");
        world.session(client);
        let (other, _) = world.connected();
        Self { world, client, other }
    }

    fn send(&mut self, packet: &str) {
        self.world.send(self.client, packet);
    }

    fn session(&mut self) -> Session {
        self.world.session(self.client)
    }

    fn texts(&mut self) -> Vec<String> {
        self.world.texts(self.client)
    }

    /// Joins, lost and told since the last look, in order.
    fn story(&mut self) -> Vec<String> {
        self.world.pick(|event| match event {
            ServerEvent::Connected { recovery, .. } => Some(format!("{recovery:?}")),
            ServerEvent::Disconnected { reason, data, .. } => {
                Some(format!("{reason:?} {}", if data.is_some() { "over" } else { "parked" }))
            }
            ServerEvent::Received { event, .. } => Some(event.name().to_owned()),
            _ => None,
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.world.drain();
            assert!(self.world.server.is_connected(self.other), "the other namespace has noticed");
            assert_eq!(self.world.server.stats().total.connections_closed.protocol_violation, 0);
        }
    }
}

fn configs() -> [ServerConfig; 2] {
    [ServerConfig::new(), recovery_config()]
}

/// `io()` and `connect()` before the answer: both CONNECTs are on their way together.
#[test]
fn a_connect_whose_answer_has_not_left_needs_no_other() {
    for config in configs() {
        let mut shared = Shared::new(config);
        shared.world.server.pause(shared.client.wire);
        shared.send("40");
        let (socket, _) = shared.world.connected();
        shared.world.server.at(shared.world.now).emit(socket, &event("welcome", 1)).unwrap();
        for _ in 0..3 {
            shared.send("40");
        }
        assert_eq!(shared.story(), Vec::<String>::new());
        shared.world.server.resume(shared.world.now, shared.client.wire);
        shared.world.drain();
        shared.session();
        assert_eq!(numbers(&shared.texts()).0, [1], "one answer, and what follows it");
        assert!(shared.world.server.is_connected(socket));
    }
}

/// connect, disconnect, connect: the client has ignored the answer if that came in between.
#[test]
fn a_connect_that_is_repeated_is_answered_again() {
    for config in configs() {
        let mut shared = Shared::new(config);
        shared.send("40");
        let session = shared.session();
        let (socket, _) = shared.world.connected();
        for _ in 0..3 {
            shared.send("40");
            assert_eq!(shared.session(), session, "the same ids");
        }
        assert_eq!((shared.story(), shared.texts()), (Vec::new(), Vec::new()));
        shared.send("42[\"hello\"]");
        assert_eq!(shared.story(), ["hello"]);
        assert!(shared.world.server.is_connected(socket));
    }
}

/// A client that reads nothing cannot make answers pile up.
#[test]
fn answers_to_repeated_connects_do_not_pile_up() {
    let mut shared = Shared::new(recovery_config());
    shared.send("40");
    shared.session();
    shared.world.server.pause(shared.client.wire);
    for _ in 0..50 {
        shared.send("40");
    }
    shared.world.server.resume(shared.world.now, shared.client.wire);
    shared.world.drain();
    assert_eq!(shared.texts().len(), 1);
}

/// The client has left before the answer came, and comes back later. It has ignored the packets
/// that it was sent meanwhile, so its session cannot continue.
#[test]
fn a_connect_after_events_replaces_the_session() {
    for config in configs() {
        let mut shared = Shared::new(config);
        shared.send("40");
        let session = shared.session();
        let (earlier, _) = shared.world.connected();
        shared.world.server.at(shared.world.now).set_data(earlier, 7);
        shared.world.server.at(shared.world.now).emit(earlier, &event("ignored", 1)).unwrap();
        shared.world.drain();
        shared.texts();
        shared.send("40");
        assert_ne!(shared.session(), session);
        assert_eq!(shared.story(), ["Replaced over", "New"], "in this order");
        assert_eq!(shared.world.server.data(earlier), None);
        assert_eq!(shared.world.server.stats().total.sessions_replaced, 1);
        assert_eq!(shared.world.server.stats().sockets, 2);
        broadcast(&mut shared.world, &socketio_proto::hub::Audience::all(), 5);
        assert_eq!(numbers(&shared.texts()).0, [5], "once");
    }
}

/// The same if the event waited in the queue with the answer, and both have left.
#[test]
fn a_connect_after_a_welcome_replaces_the_session() {
    let mut shared = Shared::new(recovery_config());
    shared.world.server.pause(shared.client.wire);
    shared.send("40");
    let (earlier, _) = shared.world.connected();
    shared.world.server.at(shared.world.now).emit(earlier, &event("welcome", 1)).unwrap();
    shared.world.server.resume(shared.world.now, shared.client.wire);
    shared.world.drain();
    shared.texts();
    shared.send("40");
    shared.session();
    assert_eq!(shared.story(), ["Replaced over", "New"]);
}

/// Other authentication data is another wish.
#[test]
fn a_connect_with_other_auth_replaces_the_session() {
    for config in configs() {
        let mut shared = Shared::new(config);
        shared.send(r#"40{"user":"a"}"#);
        let session = shared.session();
        shared.story();
        shared.send(r#"40{"user":"b"}"#);
        assert_ne!(shared.session(), session);
        assert_eq!(shared.story(), ["Replaced over", "New"]);
    }
}

/// Until the application has decided, the client keeps its old session.
#[test]
fn the_former_session_goes_on_until_the_new_one_is_decided() {
    for is_accepted in [true, false] {
        let mut shared = Shared::new(recovery_config());
        shared.send(r#"40{"user":"a"}"#);
        shared.session();
        let (earlier, _) = shared.world.connected();
        shared.world.auto_accept = false;
        shared.send(r#"40{"user":"b"}"#);
        let (request, ..) = shared.world.requested();
        shared.send("42[\"before\"]");
        assert_eq!(shared.story(), ["before"]);
        shared.world.server.at(shared.world.now).emit(earlier, &event("live", 1)).unwrap();
        shared.world.drain();
        assert_eq!(numbers(&shared.texts()).0, [1]);
        if is_accepted {
            let socket = shared.world.server.at(shared.world.now).accept(request).unwrap();
            shared.world.drain();
            shared.session();
            shared.send("42[\"after\"]");
            assert_eq!(shared.story(), ["Replaced over", "New", "after"]);
            assert!(shared.world.server.is_connected(socket));
        } else {
            assert!(
                shared.world.server.at(shared.world.now).reject(request, &Rejection::new("no"))
            );
            shared.world.drain();
            assert_eq!(shared.texts(), [r#"44{"message":"no"}"#]);
            // The official client takes itself for connected still, and may say so.
            for late in ["42[\"late\"]", "430[]", "41"] {
                shared.send(late);
            }
            assert_eq!(shared.story(), ["Replaced over"]);
        }
        assert!(!shared.world.server.is_connected(earlier));
    }
}

/// React's strict mode with an application that takes its time: one answer, to the newest.
#[test]
fn of_connects_that_wait_the_newest_is_answered() {
    for config in configs() {
        let mut shared = Shared::new(config);
        shared.world.auto_accept = false;
        shared.send(r#"40{"n":1}"#);
        let (first, ..) = shared.world.requested();
        shared.send(r#"40{"n":1}"#);
        assert!(shared.world.events.is_empty(), "the same wish");
        shared.send(r#"40{"n":2}"#);
        let (second, _, auth, _) = shared.world.requested();
        assert_eq!(auth, r#"{"n":2}"#);
        assert_eq!(shared.world.server.at(shared.world.now).accept(first), None);
        assert!(!shared.world.server.at(shared.world.now).reject(first, &Rejection::new("no")));
        assert!(shared.world.server.at(shared.world.now).accept(second).is_some());
        shared.world.drain();
        shared.session();
        assert_eq!(shared.texts(), Vec::<String>::new());
        assert_eq!(shared.world.server.stats().connects_waiting, 0);
        assert_eq!(shared.story(), ["New"]);
    }
}

#[test]
fn several_connects_in_one_polling_body_are_one() {
    for config in configs() {
        let mut world = World::new(config);
        let wire = world.wire();
        world.input(ServerInput::Request {
            wire,
            head: get("EIO=4&transport=polling"),
            body: None,
        });
        let Some(Received::Response(open)) = world.take(wire).pop() else {
            panic!("no answer");
        };
        let open = String::from_utf8(open.body.to_vec()).unwrap();
        let sid = open.split('"').nth(3).unwrap().to_owned();
        let query = format!("EIO=4&transport=polling&sid={sid}");
        let wire = world.wire();
        let body = "40\u{1e}40\u{1e}40".into();
        world.input(ServerInput::Request { wire, head: post(&query), body: Some(body) });
        assert_eq!(
            world.pick(|it| matches!(it, ServerEvent::Connected { .. }).then_some(())).len(),
            1
        );
        let wire = world.wire();
        world.input(ServerInput::Request { wire, head: get(&query), body: None });
        let Some(Received::Response(answer)) = world.take(wire).pop() else {
            panic!("no answer");
        };
        let answer = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(answer.starts_with("40{") && !answer.contains('\u{1e}'), "one: {answer}");
    }
}

/// What the client has sent before is void once it leaves.
#[test]
fn who_leaves_is_not_let_in_any_more() {
    let mut shared = Shared::new(recovery_config());
    shared.send(r#"40{"user":"a"}"#);
    shared.session();
    shared.world.auto_accept = false;
    shared.send(r#"40{"user":"b"}"#);
    let (request, ..) = shared.world.requested();
    shared.send("41");
    assert_eq!(shared.story(), ["ClientNamespaceDisconnect over"]);
    assert_eq!(shared.world.server.at(shared.world.now).accept(request), None);
    shared.send(r#"40{"user":"c"}"#);
    let (request, ..) = shared.world.requested();
    shared.send("41");
    assert_eq!(shared.world.server.at(shared.world.now).accept(request), None);
    assert_eq!(shared.world.server.stats().connects_waiting, 0);
    assert_eq!(shared.texts(), Vec::<String>::new());
}

/// An application that allows one socket for each user ends the others before it accepts. Among
/// them is the one that the client itself has left behind.
#[test]
fn a_kick_of_the_session_that_is_replaced_does_not_reach_the_client() {
    let mut shared = Shared::new(recovery_config());
    shared.send("40");
    shared.session();
    let (earlier, _) = shared.world.connected();
    shared.world.server.at(shared.world.now).emit(earlier, &event("ignored", 1)).unwrap();
    shared.world.drain();
    shared.texts();
    shared.world.auto_accept = false;
    shared.send("40");
    let (request, ..) = shared.world.requested();
    assert!(shared.world.server.at(shared.world.now).disconnect(earlier, false));
    shared.world.drain();
    assert_eq!(shared.texts(), Vec::<String>::new(), "it would make the client deaf");
    assert!(shared.world.server.at(shared.world.now).accept(request).is_some());
    shared.world.drain();
    shared.session();
    assert_eq!(shared.story(), ["ServerNamespaceDisconnect over", "New"]);
}

/// With `auth` as a function, the second CONNECT may come when the client has the first answer: it
/// claims the session that it has.
#[test]
fn a_claim_of_the_own_session_is_granted_if_nothing_is_open() {
    let mut shared = Shared::new(recovery_config());
    shared.send("40");
    let session = shared.session();
    shared.story();
    shared.send(&crate::support::claim_packet(&session, None));
    assert_eq!(shared.session(), session);
    assert_eq!(shared.story(), ["TakenOver parked", "Recovered { replayed: 0 }"]);
}

/// Neither would sending the packets again be exact, nor not sending them.
#[test]
fn a_claim_of_the_own_session_is_refused_if_packets_are_on_their_way() {
    let mut shared = Shared::new(recovery_config());
    shared.send("40");
    let session = shared.session();
    let (socket, _) = shared.world.connected();
    shared.world.server.at(shared.world.now).emit(socket, &event("open", 1)).unwrap();
    shared.world.drain();
    let offset = numbers(&shared.texts()).1.unwrap();
    shared.send(&crate::support::claim_packet(&session, None));
    let other = shared.session();
    assert_ne!(other, session);
    assert_eq!(shared.texts(), Vec::<String>::new(), "not twice");
    let expected = ["Replaced over", "Refused(SameConnection)"];
    assert_eq!(shared.story(), expected);
    assert_eq!(shared.world.server.stats().total.refused.same_connection, 1);
    // Who has processed it all may have it.
    let (socket, _) = {
        shared.send(&crate::support::claim_packet(&other, None));
        assert_eq!(shared.session(), other);
        shared.world.connected()
    };
    shared.world.server.at(shared.world.now).emit(socket, &event("seen", 2)).unwrap();
    shared.world.drain();
    let offset = numbers(&shared.texts()).1.filter(|next| *next != offset).unwrap();
    shared.send(&crate::support::claim_packet(&other, Some(&offset)));
    assert_eq!(shared.session(), other);
}

/// A recovery that is asked for twice is one, unless the client may have ignored what it missed.
#[test]
fn a_recovery_is_asked_for_twice() {
    for missed in [0, 2] {
        let mut world = World::with_recovery();
        let (client, session) = world.connect();
        world.cut(client);
        for number in 0..missed {
            broadcast(&mut world, &socketio_proto::hub::Audience::all(), number);
        }
        let (client, again) = world.claim(&session, None);
        assert_eq!(again, session);
        assert_eq!(numbers(&world.texts(client)).0.len() as u64, missed);
        world.events.clear();
        world.send(client, &crate::support::claim_packet(&session, None));
        if missed == 0 {
            assert_eq!(world.session(client), session);
            assert!(world.events.is_empty());
        } else {
            assert_ne!(world.session(client), session);
            let (_, outcome) = world.connected();
            assert_eq!(outcome, RecoveryOutcome::Refused(RecoveryRefusal::SameConnection));
        }
        assert_eq!(world.texts(client), Vec::<String>::new());
    }
}

/// The replay is in the queue with its CONNECT, and the client will process both.
#[test]
fn a_recovery_that_has_not_left_is_the_answer_to_the_next_connect() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    world.cut(client);
    broadcast(&mut world, &socketio_proto::hub::Audience::all(), 1);
    let client = world.open();
    world.server.pause(client.wire);
    for _ in 0..2 {
        world.send(client, &crate::support::claim_packet(&session, None));
    }
    world.server.resume(world.now, client.wire);
    world.drain();
    assert_eq!(world.session(client), session);
    assert_eq!(numbers(&world.texts(client)).0, [1]);
}

/// Two links claim one session, and the application takes its time: the later one has it.
#[test]
fn an_older_claim_that_is_accepted_last_does_not_take_the_session() {
    let mut world = crate::support::recovering(|recovery| recovery.skip_authorization = false);
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    world.cut(client);
    world.auto_accept = false;
    let older = world.open();
    world.send(older, &crate::support::claim_packet(&session, None));
    let (first, ..) = world.requested();
    let newer = world.open();
    world.send(newer, &crate::support::claim_packet(&session, None));
    let (second, ..) = world.requested();
    assert_eq!(world.server.at(world.now).accept(second), Some(socket));
    world.drain();
    assert_eq!(world.session(newer), session);
    let other = world.server.at(world.now).accept(first).unwrap();
    assert_ne!(other, socket);
    world.drain();
    assert_ne!(world.session(older), session, "it is served, with a session of its own");
    assert_eq!(world.connected().1, RecoveryOutcome::Refused(RecoveryRefusal::Superseded));
    assert!(world.server.is_connected(socket) && !world.is_closed(newer));
    assert_eq!(world.server.stats().total.refused.superseded, 1);
    // In the order of arrival each takes it from the one before.
    let third = world.open();
    world.send(third, &crate::support::claim_packet(&session, None));
    let (request, ..) = world.requested();
    assert_eq!(world.server.at(world.now).accept(request), Some(socket));
}

/// A callback that is called late, an event that is flushed behind `disconnect()`, a client that
/// was refused while it took itself for connected.
#[test]
fn packets_for_a_namespace_that_the_client_is_not_in_are_ignored() {
    let late = ["42[\"x\"]", "421[\"x\"]", "430[]", "43[]", "41"];
    for state in ["never", "left", "asked", "refused", "kicked"] {
        let mut shared = Shared::new(recovery_config());
        match state {
            "left" => {
                shared.send("40");
                shared.session();
                shared.send("41");
            }
            "kicked" => {
                shared.send("40");
                shared.session();
                let (socket, _) = shared.world.connected();
                assert!(shared.world.server.at(shared.world.now).disconnect(socket, false));
                shared.world.drain();
                assert_eq!(shared.texts(), ["41"]);
            }
            "asked" => {
                shared.world.auto_accept = false;
                shared.send("40");
            }
            "refused" => {
                shared.world.auto_accept = false;
                shared.send("40");
                let (request, ..) = shared.world.requested();
                shared.world.server.at(shared.world.now).reject(request, &Rejection::new("no"));
                shared.world.drain();
                shared.texts();
            }
            _ => {}
        }
        shared.world.events.clear();
        for packet in late {
            shared.send(packet);
        }
        let ignored = shared.world.server.stats().total.packets_misplaced;
        // DISCONNECT takes a request back, which is not nothing.
        assert_eq!(ignored, late.len() as u64 - u64::from(state == "asked"), "{state}");
        assert_eq!(shared.story(), Vec::<String>::new(), "{state}");
        assert_eq!(shared.texts(), Vec::<String>::new(), "{state}");
        shared.world.auto_accept = true;
        shared.send("40");
        shared.session();
        shared.send("42[\"x\"]");
        assert_eq!(shared.story(), ["New", "x"], "{state}");
    }
}

/// No client sends CONNECT_ERROR. It costs the session in that namespace, and the client hears so.
#[test]
fn a_violation_ends_the_namespace_that_it_concerns() {
    let mut shared = Shared::new(recovery_config());
    shared.send("40");
    let session = shared.session();
    shared.story();
    shared.send("44{\"message\":\"\"}");
    assert_eq!(shared.texts(), ["41"]);
    assert_eq!(shared.story(), ["ProtocolViolation over"]);
    shared.send(&crate::support::claim_packet(&session, None));
    assert_ne!(shared.session(), session, "H56: it is not waited for");
    shared.send("41");
    shared.world.auto_accept = false;
    shared.send("40");
    let (request, ..) = shared.world.requested();
    shared.send("44");
    assert_eq!(shared.texts(), [r#"44{"message":"Protocol violation"}"#]);
    assert_eq!(shared.world.server.at(shared.world.now).accept(request), None);
    shared.send("44");
    assert_eq!(shared.texts(), Vec::<String>::new(), "there is nothing to end");
    assert_eq!(shared.world.server.stats().total.violations, 3);
}

/// Several frames at once: nothing is looked at in between but what the hub says.
#[test]
fn connects_and_disconnects_in_turn_end_with_the_last() {
    for config in configs() {
        let mut shared = Shared::new(config);
        for packet in ["40", "41", "40", "41", "40", "40"] {
            let frame = Frame::Text(packet.into());
            let wire = shared.client.wire;
            shared.world.server.handle_input(shared.world.now, ServerInput::Frame { wire, frame });
        }
        shared.world.drain();
        let accepted = shared.world.pick(|event| match event {
            ServerEvent::Disconnected { reason, .. } => Some(*reason),
            _ => None,
        });
        assert!(accepted.iter().all(|it| *it == DisconnectReason::ClientNamespaceDisconnect));
        let answers = shared.texts();
        assert!(answers.last().unwrap().starts_with("40{"), "{answers:?}");
        assert_eq!(shared.world.server.stats().sockets, 2);
    }
}
