//! Invalid packets that an application can make the unmodified official client send. No client
//! loses its session because of them. The table is in the documentation of the module `link`.

use socketio_proto::{
    Limits, ServerConfig,
    hub::{Audience, DisconnectReason},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::{ServerEvent, Totals},
    socket::NamespaceName,
};

use crate::support::{
    Client, Received, Session, World, broadcast, claim_packet, event, numbers, recovery_config,
};

/// A client that is in `/` and `/b`.
struct Shared {
    world: World,
    client: Client,
    main: Session,
    other: Session,
}

impl Shared {
    fn new(config: ServerConfig) -> Self {
        let mut world = World::new(config);
        world.server.at(world.now).add_namespace("/b").unwrap();
        let (client, main) = world.connect();
        world.send(client, "40/b,");
        let other = world.session(client);
        world.events.clear();
        Self { world, client, main, other }
    }

    fn send(&mut self, packet: &str) {
        self.world.send(self.client, packet);
    }

    /// Sockets that were lost since the last look, and how.
    fn lost(&mut self) -> Vec<String> {
        let mut lost = self.world.pick(|event| match event {
            ServerEvent::Disconnected { namespace, reason, data, .. } => {
                let kept = if data.is_some() { "over" } else { "parked" };
                Some(format!("{namespace} {reason:?} {kept}"))
            }
            ServerEvent::ConnectionClosed { reason, .. } => Some(format!("{reason:?}")),
            _ => None,
        });
        lost.sort();
        lost
    }

    fn total(&self) -> Totals {
        self.world.server.stats().total
    }

    /// In the main namespace, the client can still emit and still receives broadcasts.
    fn assert_alive(&mut self) {
        self.send("42[\"alive\"]");
        let heard = self.world.pick(|event| match event {
            ServerEvent::Received { event, .. } => Some(event.name().to_owned()),
            _ => None,
        });
        assert_eq!(heard, ["alive"]);
        broadcast(&mut self.world, &Audience::all(), 9);
        assert_eq!(numbers(&self.world.texts(self.client)).0, [9]);
    }

    /// The client comes back on another connection, and has lost nothing in either namespace.
    fn assert_recovered(mut self) {
        let now = self.world.now;
        for (number, namespace) in [(1, "/"), (2, "/b")] {
            let missed = event("m", number);
            self.world.server.at(now).broadcast(namespace, &Audience::all(), &missed).unwrap();
        }
        self.world.drain();
        let (back, main) = self.world.claim(&self.main, None);
        assert_eq!(main, self.main);
        assert!(self.world.connected().1.is_recovered());
        assert_eq!(numbers(&self.world.texts(back)).0, [1]);
        let claim = claim_packet(&self.other, None).replace("40", "40/b,");
        self.world.send(back, &claim);
        assert_eq!(self.world.session(back), self.other);
        assert!(self.world.connected().1.is_recovered());
        let missed = self.world.texts(back);
        assert!(missed.len() == 1 && missed[0].starts_with("42/b,[\"m\",2,"), "{missed:?}");
        assert_eq!(self.total().connections_closed.protocol_violation, 0);
    }
}

/// `emit` with more attachments than the server takes, with an object that looks like a placeholder,
/// with bytes that `toJSON` hides, with a name that is none, and answers of the same kinds.
#[test]
fn an_event_that_is_not_taken_costs_no_session() {
    let deep = format!(r#"51-["a",{}{}]"#, "[".repeat(128), "]".repeat(128));
    for packet in [
        r#"511-["files"]"#,
        r#"5100000000000000000000000-["files"]"#,
        r#"511-/b,3["files"]"#,
        "611-1[]",
        r#"51-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":7}]"#,
        r#"61-1[{"_placeholder":true,"num":1}]"#,
        r#"50-["a",{}]"#,
        "20[]",
        "2[null]",
        "2[true,1]",
        "2/b,[{}]",
        "25[[\"a\"]]",
        &deep,
    ] {
        let mut shared = Shared::new(recovery_config());
        shared.send(&format!("4{packet}"));
        assert_eq!(
            shared.world.take(shared.client.wire),
            [Received::Closed(Some(1007))],
            "{packet}"
        );
        let lost = ["/ InvalidPacket parked", "/b InvalidPacket parked", "InvalidPacket"];
        assert_eq!(shared.lost(), lost, "{packet}");
        assert_eq!(shared.total().connections_closed.invalid_packet, 1, "{packet}");
        shared.assert_recovered();
    }
}

#[test]
fn attachments_that_are_too_large_cost_no_session() {
    let mut limits = Limits::default();
    limits.attachment_bytes = 5;
    let mut shared = Shared::new(recovery_config().limits(limits));
    shared.send("452-[\"a\"]");
    shared.world.send_binary(shared.client, b"123");
    assert_eq!(shared.lost(), Vec::<String>::new());
    shared.world.send_binary(shared.client, b"456");
    assert_eq!(shared.total().connections_closed.invalid_packet, 1);
    shared.assert_recovered();
}

/// A `Blob` in Node.js is announced as an attachment, and sent as text.
#[test]
fn text_in_the_place_of_an_attachment_costs_no_session() {
    for text in ["4[object Blob]", "4[object File]"] {
        let mut shared = Shared::new(recovery_config());
        shared.send("451-[\"a\",{\"_placeholder\":true,\"num\":0}]");
        shared.send(text);
        assert_eq!(shared.total().connections_closed.invalid_packet, 1, "{text}");
        shared.assert_recovered();
    }
}

/// A process with other limits has taken over, and a listener answers what came before that.
#[test]
fn an_answer_in_a_namespace_whose_name_has_become_too_long_costs_no_session() {
    let mut limits = Limits::default();
    limits.namespace_name_bytes = 4;
    let mut shared = Shared::new(recovery_config().limits(limits));
    shared.send("43/former,7[]");
    assert_eq!(shared.total().connections_closed.invalid_packet, 1);
    shared.assert_recovered();
}

/// With recovery off there is no session to be kept, and the reason is the same.
#[test]
fn without_recovery_the_sockets_are_disconnected() {
    let mut shared = Shared::new(ServerConfig::new());
    shared.send("42[null]");
    assert_eq!(shared.lost(), ["/ InvalidPacket over", "/b InvalidPacket over", "InvalidPacket"]);
}

/// H56 is for what no client sends.
#[test]
fn what_no_client_sends_ends_the_sessions() {
    for packet in
        ["42{}", "42[", "42abc[\"a\"]", "42[\"connect\"]", "45-[\"a\"]", "41{}", "40{", "4x"]
    {
        let mut shared = Shared::new(recovery_config());
        shared.send(packet);
        let lost = ["/ ProtocolViolation over", "/b ProtocolViolation over", "ProtocolViolation"];
        assert_eq!(shared.lost(), lost, "{packet}");
        assert_ne!(shared.world.claim(&shared.main, None).1, shared.main, "{packet}");
    }
    for packet in ["42[\"a\"]", "40", "40\"token\"", "4"] {
        let mut shared = Shared::new(recovery_config());
        shared.send("451-[\"a\",{\"_placeholder\":true,\"num\":0}]");
        shared.send(packet);
        assert_eq!(shared.total().connections_closed.protocol_violation, 1, "{packet}");
    }
}

const BAD_AUTH: &str = r#"{"message":"Invalid authentication data"}"#;

/// `auth: "token"` and all else that is no object: a number is read as an id, and its digits behind the
/// point are no JSON; of a function or a symbol JavaScript makes `undefined`.
#[test]
fn authentication_data_that_is_no_object_is_refused_in_words() {
    let auths = [
        r#""token""#,
        r#"["a","b"]"#,
        "[]",
        "true",
        "null",
        "-1",
        "1.5",
        "1e+21",
        "100000000000000000000",
        "undefined",
    ];
    for auth in auths {
        for name in ["", "/c,"] {
            let mut world = World::with_recovery();
            world.server.at(world.now).add_namespace("/b").unwrap();
            world.server.at(world.now).add_namespace("/c").unwrap();
            let client = world.open();
            world.send(client, "40/b,");
            let other = world.session(client);
            world.events.clear();
            world.send(client, &format!("40{name}{auth}"));
            assert_eq!(world.texts(client), [format!("44{name}{BAD_AUTH}")], "{auth}");
            assert_eq!(world.pick(|event| Some(format!("{event:?}"))), Vec::<String>::new());
            assert_eq!(world.server.stats().total.connects_refused.invalid_packet, 1);
            // The application has learned from it.
            world.send(client, &format!("40{name}{{\"token\":\"x\"}}"));
            world.session(client);
            world.cut(client);
            let claim = claim_packet(&other, None).replace("40", "40/b,");
            assert_eq!(world.connect_with(&claim).1, other, "{auth}");
        }
    }
}

/// `connect()` twice before the answer, with other `auth` in between. The client takes the refusal for
/// the end of its stay, and may come back for its session on the same connection.
#[test]
fn a_member_whose_authentication_data_is_refused_is_parked() {
    let mut shared = Shared::new(recovery_config());
    shared.send("40\"token\"");
    assert_eq!(shared.world.texts(shared.client), [format!("44{BAD_AUTH}")]);
    assert_eq!(shared.lost(), ["/ InvalidPacket parked"]);
    broadcast(&mut shared.world, &Audience::all(), 1);
    shared.send("41");
    let claim = claim_packet(&shared.main, None);
    shared.send(&claim);
    assert_eq!(shared.world.session(shared.client), shared.main);
    assert_eq!(shared.world.connected().1, RecoveryOutcome::Recovered { replayed: 1 });
    assert_eq!(numbers(&shared.world.texts(shared.client)).0, [1]);
    assert_eq!(DisconnectReason::InvalidPacket.as_str(), "forced close");
}

/// Found by the simulator: the client asks again before it has received what was sent to it on the
/// same connection, so a replay from its offset would bring the same event twice.
#[test]
fn a_member_that_comes_back_on_the_same_connection_gets_nothing_twice() {
    for has_processed in [false, true] {
        let mut shared = Shared::new(recovery_config());
        broadcast(&mut shared.world, &Audience::all(), 1);
        let (events, offset) = numbers(&shared.world.texts(shared.client));
        assert_eq!(events, [1]);
        shared.send("40\"token\"");
        broadcast(&mut shared.world, &Audience::all(), 2);
        let claim = claim_packet(&shared.main, offset.as_deref().filter(|_| has_processed));
        shared.send(&claim);
        let (_, outcome) = shared.world.connected();
        if has_processed {
            assert_eq!(outcome, RecoveryOutcome::Recovered { replayed: 1 });
        } else {
            assert_eq!(outcome, RecoveryOutcome::Refused(RecoveryRefusal::SameConnection));
        }
    }
}

/// The same while the application decides: it is asked no more.
#[test]
fn a_request_is_taken_back_when_the_next_one_is_refused() {
    let mut world = World::with_recovery();
    world.auto_accept = false;
    let client = world.open();
    world.send(client, "40{\"token\":1}");
    let (request, ..) = world.requested();
    world.send(client, "40[1]");
    assert_eq!(world.texts(client), [format!("44{BAD_AUTH}")]);
    assert!(world.server.at(world.now).accept(request).is_none());
    world.send(client, "40");
    let (request, ..) = world.requested();
    assert!(world.server.at(world.now).accept(request).is_some());
    world.drain();
    world.session(client);
}

/// `manager.socket("lobby")` without a slash: the client writes a CONNECT whose namespace nobody can
/// tell from authentication data. The main namespace has nothing to do with it.
#[test]
fn a_name_without_a_slash_disturbs_nobody() {
    for packet in ["40lobby,", "40lobby,{\"token\":1}", "405,", "40/b,c,"] {
        let mut shared = Shared::new(recovery_config());
        shared.send(packet);
        assert_eq!(shared.world.texts(shared.client), Vec::<String>::new(), "{packet}");
        assert_eq!(shared.lost(), Vec::<String>::new(), "{packet}");
        assert_eq!(shared.total().packets_misplaced, 1, "{packet}");
        shared.assert_alive();
    }
    // Nor does a request of it that is not decided.
    let mut world = World::with_recovery();
    world.auto_accept = false;
    let client = world.open();
    world.send(client, "40");
    let (request, ..) = world.requested();
    world.send(client, "40lobby,");
    assert!(world.server.at(world.now).accept(request).is_some());
}

/// `io("/" + name)`: the client hears of it by the name that it has asked for.
#[test]
fn a_namespace_name_that_is_too_long_is_refused_in_words() {
    for length in [256, 100_000] {
        let mut shared = Shared::new(recovery_config());
        let name = format!("/{}", "x".repeat(length - 1));
        for auth in ["", "{\"pid\":\"x\"}"] {
            shared.send(&format!("40{name},{auth}"));
            let refusal = format!(r#"44{name},{{"message":"Namespace name too long"}}"#);
            assert_eq!(shared.world.texts(shared.client), [refusal]);
        }
        assert_eq!(shared.total().connects_refused.invalid_packet, 2);
        assert_eq!(shared.lost(), Vec::<String>::new());
        shared.assert_alive();
    }
    let longest = format!("/{}", "x".repeat(254));
    let mut shared = Shared::new(recovery_config());
    shared.world.server.at(shared.world.now).add_namespace(&longest).unwrap();
    shared.send(&format!("40{longest},"));
    shared.world.session(shared.client);
    assert!(NamespaceName::new(&longest).is_ok());
}

/// What is answered counts as what is queued for a client that does not read.
#[test]
fn refusals_do_not_pile_up() {
    let mut limits = Limits::default();
    limits.queued_bytes = 10_000;
    let mut shared = Shared::new(recovery_config().limits(limits));
    shared.world.server.pause(shared.client.wire);
    for _ in 0..1_000 {
        shared.send("40\"token\"");
    }
    assert_eq!(shared.total().connections_closed.overflow, 1);
    assert!(shared.total().connects_refused.invalid_packet < 1_000);
    shared.assert_recovered();
}
