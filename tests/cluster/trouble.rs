//! Engines that go away, lose something, or bring in what nobody expects.

use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use socketio_proto::{
    ConfigError, Limits, RecoveryConfig, ServerConfig, Timestamp,
    cluster::{
        ClusterConfig, ClusterInput, Durability,
        engines::redis_streams::{RedisStreams, RedisStreamsOptions},
        message::{
            Body, BroadcastFlags, BroadcastOptions, ClusterBroadcast, Message, NodeId, Stamp,
        },
    },
    hub::{AckToken, Audience, DisconnectReason, EmitError, ExpiryCause, RestoreError},
    recovery::Offset,
    server::{Server, ServerEvent},
    socket::{Args, Event, NamespaceName},
};

use crate::fleet::{Client, Fleet, Flight, name};

/// An event of the reference whose publication fails is delivered without an offset.
#[test]
fn h05_h80_while_the_engine_is_away_nothing_is_delivered_and_nothing_is_lost() {
    let mut fleet = Fleet::new(2);
    let clients = [fleet.open(0), fleet.open(1)];
    fleet.at(0, |at| at.all().emit("lost on the way", &()).unwrap());
    fleet.cut(0, 0);
    fleet.at(0, |at| at.all().emit("while away", &()).unwrap());
    let late = fleet.open(0);
    fleet.settle();
    assert!(clients.iter().all(|client| fleet.got(*client).is_empty()));
    fleet.connect(0);
    fleet.settle();
    for client in clients.into_iter().chain([late]) {
        assert_eq!(fleet.got(client), ["lost on the way", "while away"]);
    }
}

/// A client of node 0 asks something.
fn asked(fleet: &mut Fleet, client: Client, question: &str) -> AckToken {
    fleet.send(client, question);
    let event = fleet.nodes[0].events.pop();
    let Some(ServerEvent::Received { ack: Some(token), .. }) = event else {
        panic!("{event:?}");
    };
    token
}

/// A client that asks something gets its answer, whatever the node has emitted before.
#[test]
fn an_answer_does_not_wait_for_an_engine_that_is_away() {
    let mut fleet = Fleet::new(1);
    let client = fleet.open(0);
    let empty = Args::empty();
    let early = asked(&mut fleet, client, "421[\"answered before\"]");
    fleet.at(0, |at| {
        at.all().emit("m", &()).unwrap();
        assert!(at.ack(early, &empty));
    });
    assert!(fleet.got(client).is_empty(), "the engine is there, so it waits for the event");
    fleet.cut(0, 0);
    assert_eq!(fleet.got(client), ["431[]"]);
    let late = asked(&mut fleet, client, "422[\"answered while away\"]");
    fleet.at(0, |at| assert!(at.ack(late, &empty)));
    assert_eq!(fleet.got(client), ["431[]", "432[]"]);
    fleet.connect(0);
    fleet.settle();
    assert_eq!(fleet.got(client), ["431[]", "432[]", "m"]);
}

/// What the answer is about may only be in the memory of the process.
#[test]
fn with_on_change_no_answer_overtakes_what_a_crash_would_lose() {
    let mut fleet = Fleet::durable(&[Durability::OnChange]);
    let client = fleet.open(0);
    fleet.settle();
    let ask = |fleet: &mut Fleet, question: &str| {
        let token = asked(fleet, client, question);
        fleet.at(0, |at| {
            at.all().emit("m", &()).unwrap();
            assert!(at.ack(token, &Args::empty()));
        });
    };
    ask(&mut fleet, "421[\"before\"]");
    fleet.cut(0, 0);
    ask(&mut fleet, "422[\"while away\"]");
    assert!(fleet.got(client).is_empty());
    fleet.connect(0);
    fleet.settle();
    assert_eq!(fleet.got(client), ["m", "431[]", "m", "432[]"]);
}

/// An answer says that what was asked for is done, so it waits for that.
#[test]
fn an_answer_waits_for_the_changes_of_its_own_session() {
    let mut fleet = Fleet::new(1);
    let [joins, other] = [fleet.open(0), fleet.open(0)];
    let tokens = [joins, other].map(|client| asked(&mut fleet, client, "421[\"question\"]"));
    let socket = fleet.socket(joins);
    fleet.at(0, |at| {
        at.all().emit("m", &()).unwrap();
        assert!(at.join(socket, "room").unwrap());
        for token in tokens {
            assert!(at.ack(token, &Args::empty()));
        }
    });
    fleet.cut(0, 0);
    assert!(fleet.got(joins).is_empty());
    assert_eq!(fleet.got(other), ["431[]"]);
    fleet.connect(0);
    fleet.settle();
    assert_eq!(fleet.got(joins), ["m", "431[]"]);
    assert_eq!(fleet.got(other), ["431[]", "m"]);
}

/// If only the answer to the append is lost, nodes of the reference deliver the event twice.
#[test]
fn h71_an_append_that_has_taken_effect_is_not_repeated() {
    let mut fleet = Fleet::new(2);
    let clients = [fleet.open(0), fleet.open(1)];
    fleet.at(0, |at| {
        at.all().emit("taken", &()).unwrap();
        at.all().emit("not taken", &()).unwrap();
    });
    fleet.cut(0, 1);
    fleet.connect(0);
    fleet.settle();
    assert_eq!(fleet.channel.entries.len(), 2);
    for client in clients {
        assert_eq!(fleet.got(client), ["taken", "not taken"]);
    }
}

/// The engine cannot carry everything that a client can.
#[test]
fn what_is_behind_a_rejected_entry_is_not_held_up() {
    let mut fleet = Fleet::new(1);
    let client = fleet.open(0);
    fleet.at(0, |at| {
        at.all().emit("1", &()).unwrap();
        at.all().emit("rejected", &()).unwrap();
        at.all().local().emit("2", &()).unwrap();
        at.all().emit("3", &()).unwrap();
    });
    let rejected = fleet.nodes[0].in_flight.remove(1);
    let Some(Flight::Append(rejected)) = rejected else { panic!("{rejected:?}") };
    let sequence = rejected.stamp.unwrap().sequence;
    for _ in 0..2 {
        fleet.input(0, ClusterInput::Rejected { sequence });
    }
    assert!(fleet.got(client).is_empty());
    fleet.settle();
    assert_eq!(fleet.got(client), ["1", "2", "3"]);
    assert_eq!(fleet.nodes[0].server.stats().total.appends_lost, 1);
}

/// A list with so many lists inside each other.
struct Nested(usize);

impl Serialize for Nested {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.checked_sub(1).map(Nested))
    }
}

/// Otherwise it would be lost behind the back of the application.
#[test]
fn an_event_that_no_engine_carries_is_refused_when_it_is_emitted() {
    let mut fleet = Fleet::new(2);
    let client = fleet.open(0);
    let socket = fleet.socket(client);
    let event = |levels: usize| Event::new("e", &Nested(levels - 1)).unwrap();
    let all = Audience::all();
    let too_deep = |limit| Err(EmitError::TooDeep { limit });
    fleet.at(0, |at| {
        assert_eq!(at.broadcast("/", &all, &event(513)).map(|_| ()), too_deep(512));
        assert_eq!(at.emit(socket, &event(513)), too_deep(512));
        // What is not stored is written in another way.
        let volatile = all.clone().volatile();
        assert_eq!(at.broadcast("/", &volatile, &event(129)).map(|_| ()), too_deep(128));
        assert_eq!(at.broadcast("/", &volatile, &event(128)).map(|_| ()), Ok(()));
        // No engine carries these.
        assert_eq!(at.broadcast("/", &all.clone().local(), &event(513)).map(|_| ()), Ok(()));
        assert_eq!(at.emit_volatile(socket, &event(513)), Ok(()));
        assert_eq!(at.broadcast("/", &all, &event(512)).map(|_| ()), Ok(()));
        assert_eq!(at.emit(socket, &event(512)), Ok(()));
    });
    assert_eq!(fleet.got(client), ["e"; 3]);
    let redis = RedisStreams::new(RedisStreamsOptions::new()).unwrap();
    assert_eq!(fleet.nodes[0].in_flight.len(), 2);
    for flight in &fleet.nodes[0].in_flight {
        let Flight::Append(message) = flight else { panic!("{flight:?}") };
        redis.append(message).unwrap();
    }
    redis.publish(&fleet.nodes[1].inbox[0], None).unwrap();
    fleet.settle();
    assert_eq!(fleet.got(client), ["e"; 5]);
    assert_eq!(fleet.nodes[0].server.stats().total.emits_refused, 3);
}

#[test]
fn an_emit_is_refused_when_too_much_waits() {
    let mut fleet = Fleet::new(1);
    let client = fleet.open(0);
    let socket = fleet.socket(client);
    fleet.cut(0, 0);
    for _ in 0..20 {
        fleet.at(0, |at| at.all().emit("m", &()).unwrap());
    }
    let full = Err(EmitError::ChannelFull { limit: 20 });
    assert_eq!(fleet.at(0, |at| at.socket(socket).emit("m", &())), full);
    let moved = fleet.at(0, |at| at.sockets_leave("/", &Audience::all(), "room"));
    assert_eq!(moved.map(|_| ()), full);
    assert_eq!(fleet.nodes[0].server.stats().total.appends_refused, 2);
    assert!(fleet.at(0, |at| at.disconnect(socket, true)), "a kick is not refused");
    assert_eq!(fleet.got(client), ["41", "closed"]);
    fleet.connect(0);
    fleet.settle();
    assert_eq!(fleet.channel.entries.len(), 20);
}

/// The application learns in time that nobody has answered.
#[test]
fn a_question_for_many_that_waits_for_the_engine_times_out() {
    let mut fleet = Fleet::new(1);
    let client = fleet.open(0);
    fleet.cut(0, 0);
    let ack = fleet.at(0, |at| {
        at.all().emit("1", &()).unwrap();
        at.all().emit_with_ack("2", &(), Duration::from_secs(1)).unwrap()
    });
    assert_eq!(fleet.nodes[0].server.stats().pending_acks, 1);
    fleet.nodes[0].events.clear();
    fleet.wait(1_000);
    let [
        ServerEvent::BroadcastAcked {
            ack: settled, responses, missing: 0, timed_out: true, ..
        },
    ] = &fleet.nodes[0].events[..]
    else {
        panic!("{:?}", fleet.nodes[0].events)
    };
    assert!(*settled == ack && responses.is_empty());
    fleet.connect(0);
    fleet.settle();
    assert_eq!(fleet.got(client), ["1"], "nobody is asked any more");
    assert_eq!(fleet.nodes[0].server.stats().pending_acks, 0);
}

#[test]
fn after_a_gap_the_sessions_end_with_the_reason() {
    let mut fleet = Fleet::new(2);
    let (live, parked) = (fleet.open(0), fleet.open(0));
    let sockets = [live, parked].map(|client| fleet.socket(client));
    fleet.lose(parked);
    fleet.cut(0, 0);
    fleet.at(1, |at| at.all().emit("missed", &()).unwrap());
    fleet.settle();
    fleet.channel.trimmed = 1;
    fleet.nodes[0].events.clear();
    fleet.connect(0);
    assert_eq!(fleet.got(live), ["closed"], "its client comes back");
    let mut ends = fleet.nodes[0].events.iter().filter_map(|event| match event {
        ServerEvent::Disconnected { socket, reason, .. } => Some((*socket, Ok(*reason))),
        ServerEvent::SessionExpired { socket, cause, .. } => Some((*socket, Err(*cause))),
        _ => None,
    });
    let mut expected = [
        (sockets[0], Ok(DisconnectReason::ChannelGap)),
        (sockets[1], Err(ExpiryCause::ChannelGap)),
    ];
    let mut ended = [ends.next().unwrap(), ends.next().unwrap()];
    expected.sort_by_key(|it| it.0);
    ended.sort_by_key(|it| it.0);
    assert_eq!((ended, ends.next()), (expected, None));
    let back = fleet.open(0);
    fleet.at(1, |at| at.all().emit("later", &()).unwrap());
    fleet.settle();
    assert_eq!(fleet.got(back), ["later"]);
}

/// An append that was under way before a gap may have been in it.
#[test]
fn after_a_gap_an_append_is_not_repeated() {
    let mut fleet = Fleet::new(2);
    let far = fleet.open(1);
    fleet.at(0, |at| at.all().emit("in the gap", &()).unwrap());
    fleet.cut(0, 1);
    fleet.at(0, |at| at.all().emit("after the gap", &()).unwrap());
    fleet.channel.trimmed = 1;
    fleet.read(1, 1);
    fleet.connect(0);
    fleet.settle();
    assert_eq!(fleet.got(far), ["in the gap", "after the gap"]);
    assert_eq!(fleet.nodes[0].server.stats().total.appends_lost, 1);
}

/// It was accepted, and the other node has no gap.
#[test]
fn after_a_gap_what_was_not_sent_reaches_the_other_nodes() {
    let mut fleet = Fleet::new(2);
    let far = fleet.open(1);
    for name in ["in the gap", "not sent", "not sent either"] {
        fleet.at(0, |at| at.all().emit(name, &()).unwrap());
    }
    fleet.cut_before_sending(0, 1);
    fleet.at(0, |at| at.all().emit("after the gap", &()).unwrap());
    fleet.channel.trimmed = 1;
    fleet.read(1, 1);
    fleet.connect(0);
    fleet.settle();
    assert_eq!(fleet.got(far), ["in the gap", "not sent", "not sent either", "after the gap"]);
    assert_eq!(fleet.nodes[0].server.stats().total.appends_lost, 1, "nobody knows of the first");
}

#[test]
fn clients_wait_until_the_node_knows_what_was_there_before() {
    let config = ServerConfig::new().recovery(RecoveryConfig::new());
    let mut fleet = Fleet::disconnected(2, &config);
    fleet.connect(0);
    fleet.at(0, |at| at.all().emit("old", &()).unwrap());
    fleet.settle();
    let early = fleet.open(1);
    let impatient = fleet.open(1);
    fleet.send(impatient, "41");
    fleet.at(1, |at| at.all().emit("waits as well", &()).unwrap());
    fleet.connect(1);
    assert!(fleet.frames(early).is_empty(), "it has not read the old one");
    fleet.settle();
    assert!(fleet.frames(early)[0].starts_with("40{"));
    assert_eq!(fleet.got(early), ["waits as well"]);
}

fn broadcast(options: BroadcastOptions, name: &str) -> Body {
    Body::Broadcast(ClusterBroadcast::new(options, Event::new(name, &()).unwrap()))
}

fn foreign(namespace: &str, body: Body) -> Message {
    let namespace = NamespaceName::new(namespace).unwrap();
    Message::new(NodeId::new("f0aebfa2cd17e8df").unwrap(), namespace, body)
}

/// An entry that a node of the reference cannot handle stops everything behind it.
#[test]
fn h72_entries_that_nobody_understands_are_skipped() {
    let mut fleet = Fleet::new(1);
    let client = fleet.open(0);
    let all = BroadcastOptions::all;
    let attachments = vec![Bytes::new(); 2_000];
    let huge = Event::new("huge", &(attachments,)).unwrap();
    let volatile = BroadcastFlags::default();
    let own = Message::new(name(0), NamespaceName::ROOT, broadcast(all(), "forged"));
    let entries = [
        foreign("/", Body::Unknown { kind: 64 }),
        foreign("/nowhere", broadcast(all(), "elsewhere")),
        foreign("/", Body::Broadcast(ClusterBroadcast::new(all(), huge))),
        foreign("/", Body::Heartbeat),
        own.clone().stamped(Stamp::new(u64::MAX, 3)),
        foreign("/", broadcast(all().flags(volatile), "of an official node")),
        foreign("/", broadcast(all().to("a room"), "for nobody here")),
    ];
    fleet.channel.entries.push(None);
    fleet.channel.entries.extend(entries.map(Some));
    fleet.at(0, |at| at.all().emit("own", &()).unwrap());
    fleet.settle();
    assert_eq!(fleet.got(client), ["forged", "of an official node", "own"]);
    let repeated =
        ClusterInput::Entry { channel: 0, position: Offset::pair(1, 0), message: Some(own) };
    fleet.input(0, repeated);
    let total = fleet.nodes[0].server.stats().total;
    assert_eq!((total.entries_read, total.entries_skipped), (9, 3));
}

#[test]
fn what_a_cluster_cannot_do_is_refused() {
    let entropy = |dest: &mut [u8]| dest.fill(7);
    let node = || ClusterConfig::new(name(0));
    let config = || ServerConfig::new().recovery(RecoveryConfig::new());
    let replays = ServerConfig::new().recovery(RecoveryConfig::new().replay_ack_events(true));
    let made = Server::<u32>::clustered(replays, node(), entropy).map(|_| ());
    assert_eq!(made, Err(ConfigError::OutOfRange { field: "recovery.replay_ack_events" }));
    let made = Server::<u32>::clustered(config(), node().append_queue(0), entropy).map(|_| ());
    assert_eq!(made, Err(ConfigError::OutOfRange { field: "cluster.append_queue" }));
    let mut server = Server::<u32>::clustered(config(), node(), entropy).unwrap();
    let snapshot = server.snapshot(Timestamp::ZERO);
    assert_eq!(server.at(Timestamp::ZERO).restore(snapshot), Err(RestoreError::Clustered));
}

/// A server that is alone has no use for them.
#[test]
fn a_server_that_is_alone_ignores_the_engine() {
    let mut server =
        Server::<u32>::new(ServerConfig::new(), |dest: &mut [u8]| dest.fill(7)).unwrap();
    let before = server.stats();
    for input in [
        ClusterInput::Connected {
            channel: 0,
            oldest: Offset::pair(0, 0),
            head: Offset::pair(0, 0),
        },
        ClusterInput::Entry { channel: 0, position: Offset::pair(0, 1), message: None },
        ClusterInput::Message(foreign("/", Body::Heartbeat)),
        ClusterInput::Disconnected,
    ] {
        server.handle_cluster(Timestamp::ZERO, input);
    }
    assert_eq!(server.stats(), before);
    assert!(server.poll_output().is_none());
}

/// A client that waits for a node costs no more than one that waits for the application.
#[test]
fn what_waits_for_a_node_is_bounded() {
    let config = ServerConfig::new().recovery(RecoveryConfig::new());
    let limits = Limits::new().pending_auth_bytes(100);
    let mut fleet = Fleet::disconnected(1, &config.limits(limits));
    let auth = format!(r#"{{"token":"{}"}}"#, "x".repeat(60));
    let client = fleet.open_with(0, &format!("40{auth}"));
    fleet.send(client, &format!("40/b,{auth}"));
    let refusal = r#"44/b,{"message":"Too much authentication data"}"#;
    assert_eq!(fleet.frames(client), [refusal]);
    let gone = fleet.open_with(0, &format!("40/b,{auth}"));
    fleet.lose(gone);
    fleet.connect(0);
    fleet.settle();
    assert!(fleet.frames(client)[1].starts_with("40{"));
    assert_eq!(fleet.nodes[0].server.stats().sockets, 1);
    assert_eq!(fleet.nodes[0].server.stats().total.connects_refused.too_much_auth, 1);
}
