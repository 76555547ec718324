//! Every decision has a counter. A test here reaches each counter, and a new counter needs a test.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::Value;
use socketio_proto::{
    Limits, Origins, RecoveryConfig,
    cluster::{
        ClusterConfig, ClusterInput, ClusterOutput, Durability, FetchedSession, StoreOutcome,
        message::{Body, Message, NodeId, SocketDetails, StoredSession, Value as NodeValue},
    },
    engine::{Method, RequestHead, WebSocketRequest},
    hub::{Audience, Rejection},
    recovery::Offset,
    server::{Server, ServerInput, ServerOutput, Stats},
    socket::{self, NamespaceName},
};

use crate::support::{Session, World, broadcast, claim_packet, get, recovery_config};

/// What the counters of several servers came to.
#[derive(Default)]
struct Sum(BTreeMap<String, u64>);

impl Sum {
    /// Adds the counters of a server, which must be these and no others.
    fn expect(&mut self, world: &World, expected: &[(&str, u64)]) {
        let total = leaves(&world.server.stats());
        // What every server does.
        let usual = ["connections_opened", "sessions_opened", "stale"];
        let counted: Vec<(&str, u64)> = total
            .iter()
            .filter(|(path, count)| **count > 0 && !usual.contains(&path.as_str()))
            .map(|(path, count)| (path.as_str(), *count))
            .collect();
        assert_eq!(counted, expected);
        for (path, count) in total {
            *self.0.entry(path).or_default() += count;
        }
    }
}

/// The counters by path, in order.
fn leaves(stats: &Stats) -> BTreeMap<String, u64> {
    let mut leaves = BTreeMap::new();
    let mut rest = vec![(String::new(), serde_json::to_value(stats.total).unwrap())];
    while let Some((path, value)) = rest.pop() {
        match value {
            Value::Object(fields) => {
                let dot = if path.is_empty() { "" } else { "." };
                rest.extend(
                    fields.into_iter().map(|(name, it)| (format!("{path}{dot}{name}"), it)),
                );
            }
            count => {
                leaves.insert(path, count.as_u64().unwrap());
            }
        }
    }
    leaves
}

fn world(change: impl FnOnce(&mut Limits, &mut RecoveryConfig)) -> World {
    let (mut limits, mut recovery) = (Limits::default(), RecoveryConfig::default());
    change(&mut limits, &mut recovery);
    let origins = Origins::list(["https://app.example"]);
    World::new(recovery_config().limits(limits).recovery(recovery).origins(origins))
}

fn request(world: &mut World, head: RequestHead<'_>) {
    let wire = world.wire();
    world.input(ServerInput::Request { wire, head, body: None });
}

#[test]
fn every_counter_is_driven() {
    let mut sum = Sum::default();
    requests(&mut sum);
    connects(&mut sum);
    packets_out_of_place(&mut sum);
    closes_by_peers(&mut sum);
    closes_by_the_server(&mut sum);
    closes_by_limits(&mut sum);
    recoveries(&mut sum);
    refused_recoveries(&mut sum);
    claims_out_of_order(&mut sum);
    refused_replays(&mut sum);
    lookups(&mut sum);
    ends_of_sessions(&mut sum);
    emissions(&mut sum);
    entries_of_a_channel(&mut sum);
    vacant_namespaces(&mut sum);
    moves(&mut sum);
    messages_of_nodes(&mut sum);
    changes_of_a_session(&mut sum);
    sessions_in_the_store(&mut sum);
    let never: Vec<_> = sum.0.iter().filter(|(_, count)| **count == 0).collect();
    assert!(never.is_empty(), "{never:?}");
}

/// One node of a cluster.
fn node(name: &'static str, number: u8) -> World {
    let mut world = world(|_, _| {});
    let node = ClusterConfig::new(NodeId::new(name).unwrap()).append_queue(1).vacant_namespaces(1);
    let entropy = move |dest: &mut [u8]| dest.fill(number);
    world.server = Server::clustered(recovery_config(), node, entropy).unwrap();
    world.server.at(world.now).add_namespace("/").unwrap();
    world
}

/// A session moves from one node to another.
fn moves(sum: &mut Sum) {
    let mut nodes = [node("one", 1), node("two", 2)];
    for world in &mut nodes {
        let (oldest, head) = (Offset::pair(0, 0), Offset::pair(0, 0));
        world
            .server
            .handle_cluster(world.now, ClusterInput::Connected { channel: 0, oldest, head });
    }
    let [one, two] = &mut nodes;
    let (client, session) = one.connect();
    one.cut(client);
    let stored = one.commands.pop_back();
    let Some(ClusterOutput::Store { session: record, number, .. }) = stored else {
        panic!("{stored:?}")
    };
    let outcome = StoreOutcome::Stored;
    one.server.handle_cluster(one.now, ClusterInput::Stored { number, outcome });
    let client = two.open();
    two.send(client, &claim_packet(&session, None));
    for (position, from) in [(1, 1), (2, 0)] {
        let appended = nodes[from].commands.pop_back();
        let Some(ClusterOutput::Append(message)) = appended else { panic!("{appended:?}") };
        for world in &mut nodes {
            let (position, message) = (Offset::pair(0, position), Some((*message).clone()));
            world
                .server
                .handle_cluster(world.now, ClusterInput::Entry { channel: 0, position, message });
            world.drain();
        }
    }
    let [one, mut two] = nodes;
    let taken = two.commands.pop_back();
    let Some(ClusterOutput::Take { number, .. }) = taken else { panic!("{taken:?}") };
    let session = Some(FetchedSession::new(record, Duration::from_secs(60)));
    two.server.handle_cluster(two.now, ClusterInput::Fetched { number, session });
    two.drain();
    let closed = ("connections_closed.transport_close", 1);
    let moved = [closed, ("entries_read", 2), ("sessions_moved", 1), ("sessions_stored", 1)];
    sum.expect(&one, &moved);
    let arrived = ("sessions_arrived", 1);
    sum.expect(&two, &[("entries_read", 2), ("lookups", 1), ("recovered", 1), arrived]);
}

/// Sessions go to the store, and cannot be recovered from it.
fn sessions_in_the_store(sum: &mut Sum) {
    let mut world = world(|_, _| {});
    let mut drawn = 0;
    let entropy = move |dest: &mut [u8]| {
        drawn += 1;
        dest.fill(drawn);
    };
    let cluster = ClusterConfig::new(NodeId::new("node").unwrap());
    world.server = Server::clustered(recovery_config(), cluster, entropy).unwrap();
    world.server.at(world.now).add_namespace("/").unwrap();
    let connected = |at| ClusterInput::Connected { channel: 0, oldest: at, head: at };
    let hand_in = |world: &mut World, input| {
        world.server.handle_cluster(world.now, input);
        world.drain();
    };
    hand_in(&mut world, connected(Offset::pair(0, 0)));
    let mut stored = Vec::new();
    for outcome in [StoreOutcome::Refused, StoreOutcome::Stored] {
        let (client, session) = world.connect();
        world.cut(client);
        let command = world.commands.pop_back();
        let Some(ClusterOutput::Store { session: record, number, .. }) = command else {
            panic!("{command:?}")
        };
        hand_in(&mut world, ClusterInput::Stored { number, outcome });
        stored.push((session, record));
    }
    hand_in(&mut world, ClusterInput::Disconnected);
    let (session, record) = stored.pop().unwrap();
    let claim = claim_packet(&session, None);
    let client = world.open();
    world.send(client, &claim);
    world.advance(Duration::from_secs(1));
    // It does not know what has happened to the session since.
    hand_in(&mut world, connected(Offset::pair(0, 9)));
    let of_official = StoredSession::new(record.sid, record.pid, Vec::new(), NodeValue::null());
    for (position, found) in [(10, Some(record)), (11, Some(of_official)), (12, None)] {
        let client = world.open();
        world.send(client, &claim);
        let appended = world.commands.pop_back();
        let Some(ClusterOutput::Append(message)) = appended else { panic!("{appended:?}") };
        let (position, message) = (Offset::pair(0, position), Some((*message).clone()));
        hand_in(&mut world, ClusterInput::Entry { channel: 0, position, message });
        let found = found.map(|found| FetchedSession::new(found, Duration::from_secs(60)));
        // It asks once more before it refuses the claim, if it does not know the reason yet.
        while let Some(fetch) = world.commands.pop_back() {
            let ClusterOutput::Fetch { number, .. } = fetch else { continue };
            hand_in(&mut world, ClusterInput::Fetched { number, session: found.clone() });
            world.advance(Duration::from_secs(1));
        }
    }
    let expected = [
        ("connections_closed.forced_close", 1),
        ("connections_closed.transport_close", 2),
        ("entries_read", 3),
        ("lookups", 3),
        ("refused.engine_away", 1),
        ("refused.order_not_provable", 1),
        ("refused.owner_unreachable", 1),
        ("refused.trimmed", 1),
        ("sessions_not_stored", 1),
        ("sessions_stored", 1),
    ];
    sum.expect(&world, &expected);
}

/// The store does not answer.
fn changes_of_a_session(sum: &mut Sum) {
    let mut world = world(|_, _| {});
    let cluster = ClusterConfig::new(NodeId::new("node").unwrap());
    let cluster = cluster.durability(Durability::OnChange);
    let entropy = |dest: &mut [u8]| dest.fill(7);
    world.server = Server::clustered(recovery_config(), cluster, entropy).unwrap();
    world.server.at(world.now).add_namespace("/").unwrap();
    let (oldest, head) = (Offset::pair(0, 0), Offset::pair(0, 0));
    world.server.handle_cluster(world.now, ClusterInput::Connected { channel: 0, oldest, head });
    let client = world.open();
    world.send(client, "40");
    world.advance(Duration::from_secs(2));
    sum.expect(&world, &[("changes_not_awaited", 1)]);
}

/// Another node is beyond a limit, answers too much, and answers what nobody has asked.
fn messages_of_nodes(sum: &mut Sum) {
    let mut world = world(|_, _| {});
    let limits = ClusterConfig::new(NodeId::new("node").unwrap()).members(0);
    let limits = limits.pending_requests(1).response_bytes(0);
    let entropy = |dest: &mut [u8]| dest.fill(7);
    world.server = Server::clustered(recovery_config(), limits, entropy).unwrap();
    let (server, now) = (&mut world.server, world.now);
    server.at(now).add_namespace("/").unwrap();
    let (oldest, head) = (Offset::pair(0, 0), Offset::pair(0, 0));
    let namespace = NamespaceName::ROOT;
    server.handle_cluster(now, ClusterInput::Connected { channel: 0, oldest, head });
    server.handle_cluster(now, ClusterInput::Subscribed { namespace: namespace.clone() });
    let request = server.at(now).fetch_sockets("/", &Audience::all()).unwrap();
    server.at(now).fetch_sockets("/", &Audience::all()).unwrap_err();
    let response = Body::FetchSocketsResponse { request, sockets: Vec::new() };
    let details = SocketDetails::new("x".into(), NodeValue::null(), Vec::new(), NodeValue::null());
    let Body::FetchSocketsResponse { request, .. } = response.clone() else { unreachable!() };
    let too_much = Body::FetchSocketsResponse { request, sockets: vec![details] };
    for body in [Body::Heartbeat, too_much, response] {
        let message = Message::new(NodeId::new("another").unwrap(), namespace.clone(), body);
        server.handle_cluster(now, ClusterInput::Message(message));
    }
    while server.poll_output().is_some() {}
    let expected = [
        ("members_refused", 1),
        ("requests_to_nodes_refused", 1),
        ("responses_dropped", 1),
        ("responses_unmatched", 1),
    ];
    sum.expect(&world, &expected);
}

fn entries_of_a_channel(sum: &mut Sum) {
    let mut world = node("node", 7);
    let server = &mut world.server;
    server.at(world.now).all().emit("waits", &()).unwrap();
    server.at(world.now).all().emit("is refused", &()).unwrap_err();
    let connected = |at| ClusterInput::Connected { channel: 0, oldest: at, head: at };
    server.handle_cluster(world.now, connected(Offset::pair(0, 0)));
    let unreadable =
        ClusterInput::Entry { channel: 0, position: Offset::pair(0, 1), message: None };
    server.handle_cluster(world.now, unreadable);
    // The entry that was sent may be among those that cannot be read any more.
    server.handle_cluster(world.now, connected(Offset::pair(0, 9)));
    while server.poll_output().is_some() {}
    let expected =
        [("appends_lost", 1), ("appends_refused", 1), ("entries_read", 1), ("entries_skipped", 1)];
    sum.expect(&world, &expected);
}

fn vacant_namespaces(sum: &mut Sum) {
    let mut world = node("node", 7);
    let server = &mut world.server;
    server.at(world.now).add_namespaces_matching(|_| true);
    let (oldest, head) = (Offset::pair(0, 0), Offset::pair(0, 0));
    server.handle_cluster(world.now, ClusterInput::Connected { channel: 0, oldest, head });
    for (position, namespace) in [(1, "/first"), (2, "/second")] {
        server.at(world.now).of(namespace).emit("m", &()).unwrap();
        let commands = std::iter::from_fn(|| server.poll_output());
        let appended = commands.filter_map(|output| match output {
            ServerOutput::Cluster(ClusterOutput::Append(message)) => Some(message),
            _ => None,
        });
        let (position, message) =
            (Offset::pair(0, position), appended.last().map(Arc::unwrap_or_clone));
        let entry = ClusterInput::Entry { channel: 0, position, message };
        server.handle_cluster(world.now, entry);
    }
    sum.expect(&world, &[("entries_read", 2), ("vacant_namespaces_removed", 1)]);
}

fn requests(sum: &mut Sum) {
    let mut world = world(|limits, _| (limits.connections, limits.handshake_burst) = (2, 3));
    let polling = get("EIO=4&transport=polling");
    request(&mut world, get("EIO=4"));
    request(&mut world, get("EIO=4&transport=polling&sid=x"));
    request(&mut world, RequestHead { method: Method::Other, ..polling });
    request(&mut world, get("EIO=4&transport=websocket"));
    request(&mut world, get("EIO=3&transport=polling"));
    let _first = world.open();
    for _ in 0..2 {
        let client = world.open();
        request(&mut world, polling);
        world.cut(client);
    }
    request(&mut world, polling);
    // One that only asks is counted as well.
    assert!(world.server.verify(world.now, &polling).is_err());
    let websocket = get("EIO=4&transport=websocket");
    request(&mut world, RequestHead { origin: Some(b"https://evil.example"), ..polling });
    let fields: [(&str, &[u8]); 2] = [("connection", b"upgrade"), ("upgrade", b"websocket")];
    let asked = WebSocketRequest::read(Method::Get, true, fields).unwrap();
    assert!(world.server.verify_websocket(world.now, &websocket, &asked).is_err());
    sum.expect(
        &world,
        &[
            ("connections_closed.transport_close", 2),
            ("requests_refused.bad_handshake_method", 1),
            ("requests_refused.bad_request", 1),
            ("requests_refused.origin_not_allowed", 1),
            ("requests_refused.too_many_connections", 2),
            ("requests_refused.too_many_handshakes", 2),
            ("requests_refused.unknown_session", 1),
            ("requests_refused.unknown_transport", 1),
            ("requests_refused.unsupported_version", 1),
            ("requests_refused.websocket_handshake", 1),
        ],
    );
}

fn connects(sum: &mut Sum) {
    let mut world =
        world(|limits, _| (limits.namespaces, limits.namespaces_per_connection) = (2, 2));
    world.server.at(world.now).add_namespaces_matching(|name| name.starts_with("/d"));
    world.auto_accept = false;
    let client = world.open();
    world.send(client, "40");
    let stats = world.server.stats();
    assert_eq!((stats.connects_waiting, stats.sockets), (1, 0));
    let (request, ..) = world.requested();
    assert!(world.server.at(world.now).reject(request, &Rejection::new("no")));
    world.send(client, "40/x,");
    world.auto_accept = true;
    world.send(client, "40/d1,");
    world.send(client, "40/d2,");
    world.send(client, "40");
    world.send(client, "40/d3,");
    world.send(client, "40/d4,\"token\"");
    sum.expect(
        &world,
        &[
            ("connects_refused.invalid_namespace", 1),
            ("connects_refused.invalid_packet", 1),
            ("connects_refused.rejected", 1),
            ("connects_refused.too_many_namespaces", 1),
            ("connects_refused.too_many_on_connection", 1),
        ],
    );
}

fn packets_out_of_place(sum: &mut Sum) {
    let mut world = world(|_, _| {});
    let (client, _) = world.connect();
    for packet in ["42/x,[\"a\"]", "44", "40"] {
        world.send(client, packet);
    }
    world.send(client, "40{\"other\":1}");
    sum.expect(&world, &[("packets_misplaced", 1), ("sessions_replaced", 1), ("violations", 1)]);
}

fn closes_by_peers(sum: &mut Sum) {
    let mut world = world(|_, _| {});
    for packet in ["2", "1", "nonsense", "4nonsense", "42[null]"] {
        let (client, _) = world.connect();
        world.send(client, packet);
    }
    let foreign = world.open();
    world.send_binary(foreign, b"\x80");
    sum.expect(
        &world,
        &[
            ("connections_closed.invalid_packet", 1),
            ("connections_closed.other_parser", 1),
            ("connections_closed.parse_error", 1),
            ("connections_closed.protocol_violation", 1),
            ("connections_closed.transport_close", 1),
            ("connections_closed.transport_error", 1),
        ],
    );
}

fn closes_by_the_server(sum: &mut Sum) {
    let mut world = world(|_, _| {});
    let (_, _) = world.connect();
    let (socket, _) = world.connected();
    let connection = world.server.connection(socket).unwrap();
    assert!(world.server.close_connection(world.now, connection));
    let (_, _) = world.connect();
    world.server.shutdown(world.now);
    world.drain();
    sum.expect(
        &world,
        &[("connections_closed.forced_close", 1), ("connections_closed.server_shutdown", 1)],
    );
}

fn closes_by_limits(sum: &mut Sum) {
    let mut world = world(|limits, _| (limits.packet_burst, limits.queued_packets) = (10, 5));
    let (fast, _) = world.connect();
    for _ in 0..10 {
        world.send(fast, "3");
    }
    let (slow, _) = world.connect();
    world.server.pause(slow.wire);
    for number in 0..6 {
        broadcast(&mut world, &Audience::all(), number);
    }
    let stranger = world.open();
    let (half, _) = world.connect();
    world.send(half, "451-[\"x\"]");
    let (_silent, _) = world.connect();
    for _ in 0..3 {
        world.advance(Duration::from_secs(15));
        for client in [half, stranger] {
            world.send(client, "3");
        }
    }
    sum.expect(
        &world,
        &[
            ("connections_closed.attachment_timeout", 1),
            ("connections_closed.connect_timeout", 1),
            ("connections_closed.overflow", 1),
            ("connections_closed.ping_timeout", 1),
            ("connections_closed.rate_limited", 1),
        ],
    );
}

fn recoveries(sum: &mut Sum) {
    let mut world = world(|_, recovery| recovery.claim_burst = 2);
    let (client, session) = world.connect();
    world.cut(client);
    broadcast(&mut world, &Audience::all(), 1);
    world.claim(&session, None);
    world.claim(&session, None);
    let client = world.open();
    world.send(client, &claim_packet(&session, None));
    assert_eq!(world.server.stats().recoveries_queued, 1);
    sum.expect(
        &world,
        &[
            ("connections_closed.taken_over", 1),
            ("connections_closed.transport_close", 1),
            ("paced", 1),
            ("recovered", 2),
            ("replayed", 2),
            ("taken_over", 1),
        ],
    );
}

fn refused_recoveries(sum: &mut Sum) {
    let mut world = world(|_, recovery| {
        (recovery.buffer_packets, recovery.replay_bytes) = (2, 100);
        recovery.skip_authorization = false;
    });
    world.server.at(world.now).add_namespace("/other").unwrap();
    let (client, session) = world.connect();
    world.cut(client);
    world.connect_with(r#"40{"pid":"made up"}"#);
    world.connect_with(&format!(r#"40/other,{{"pid":"{}"}}"#, session.pid));
    world.claim(&session, Some("made up"));
    // It may be emitted, and is over the limit with what its packet adds.
    let large = socket::Event::new("m", &("x".repeat(90),)).unwrap();
    let (now, everyone) = (world.now, Audience::all());
    world.server.at(now).broadcast("/", &everyone, &large).unwrap();
    world.claim(&session, None);
    for _ in 0..2 {
        world.server.at(now).broadcast("/", &everyone, &large).unwrap();
    }
    world.claim(&session, None);
    world.now = world.now.saturating_add(Duration::from_secs(120));
    world.claim(&session, None);
    let total = world.server.stats().total;
    assert_eq!(total.packets_evicted, 1);
    // The clock has jumped, so those of the others are over as well.
    for (path, count) in leaves(&world.server.stats()) {
        if let Some(reason) = path.strip_prefix("refused.") {
            let elsewhere = ["superseded", "same_connection", "poison_event", "unanswered"];
            let of_cluster = ["engine_away", "owner_unreachable", "trimmed", "order_not_provable"];
            let is_elsewhere = elsewhere.contains(&reason) || of_cluster.contains(&reason);
            assert_eq!(count, u64::from(!is_elsewhere), "{reason}");
        }
        *sum.0.entry(path).or_default() += count;
    }
}

/// One claim is accepted too late, another comes from where the session is.
fn claims_out_of_order(sum: &mut Sum) {
    let mut world = world(|_, recovery| recovery.skip_authorization = false);
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    world.server.at(world.now).emit(socket, &socket::Event::new("m", &()).unwrap()).unwrap();
    world.drain();
    world.texts(client);
    world.send(client, &claim_packet(&session, None));
    let session = world.session(client);
    world.cut(client);
    world.auto_accept = false;
    let mut claim = || {
        let client = world.open();
        world.send(client, &claim_packet(&session, None));
        world.requested().0
    };
    for request in [claim(), claim()].into_iter().rev() {
        assert!(world.server.at(world.now).accept(request).is_some());
    }
    sum.expect(
        &world,
        &[
            ("connections_closed.transport_close", 1),
            ("recovered", 1),
            ("refused.same_connection", 1),
            ("refused.superseded", 1),
            ("sessions_replaced", 1),
        ],
    );
}

/// Nobody says whether the session is elsewhere.
fn lookups(sum: &mut Sum) {
    let mut world = world(|_, recovery| recovery.lookup_timeout = Some(Duration::from_secs(1)));
    let session = Session { sid: String::new(), pid: "abcdefghijklmnopqrst".into() };
    let client = world.open();
    world.send(client, &claim_packet(&session, None));
    world.advance(Duration::from_secs(1));
    sum.expect(&world, &[("lookups", 1), ("refused.unanswered", 1)]);
}

/// A client closes its WebSocket at the one replay that it may refuse.
fn refused_replays(sum: &mut Sum) {
    let mut world = world(|_, recovery| recovery.replay_attempts = 1);
    let (client, session) = world.connect();
    world.cut(client);
    broadcast(&mut world, &Audience::all(), 1);
    let (client, _) = world.claim(&session, None);
    world.input(ServerInput::CloseFrame { wire: client.wire });
    world.cut(client);
    world.claim(&session, None);
    sum.expect(
        &world,
        &[
            ("connections_closed.transport_close", 2),
            ("recovered", 1),
            ("refused.poison_event", 1),
            ("replayed", 1),
        ],
    );
}

fn ends_of_sessions(sum: &mut Sum) {
    let mut world = world(|_, recovery| recovery.parked_sessions = 1);
    for _ in 0..2 {
        let (client, _) = world.connect();
        world.cut(client);
    }
    let snapshot = world.server.snapshot(world.now);
    world.advance(Duration::from_secs(121));
    let total = world.server.stats().total;
    assert_eq!((total.sessions_evicted, total.sessions_expired), (1, 1));
    let mut next = World::with_recovery();
    next.now = world.now;
    assert_eq!(next.server.at(snapshot_time(&world)).restore(snapshot).unwrap().len(), 1);
    assert_eq!(next.server.stats().total.sessions_restored, 1);
    for stats in [world.server.stats(), next.server.stats()] {
        for (path, count) in leaves(&stats) {
            *sum.0.entry(path).or_default() += count;
        }
    }
}

/// The moment before the session of the snapshot expires.
fn snapshot_time(world: &World) -> socketio_proto::Timestamp {
    socketio_proto::Timestamp::from_micros(world.now.as_micros() - 121_000_000)
}

fn emissions(sum: &mut Sum) {
    let mut world = world(|limits, recovery| {
        (limits.rooms_per_socket, limits.pending_acks) = (1, 1);
        limits.broadcast_answer_bytes = 1;
        recovery.buffer_packets = 1;
    });
    let (client, _) = world.connect();
    let (socket, _) = world.connected();
    assert!(world.server.at(world.now).join(socket, "room").is_err());
    let event = socket::Event::new("m", &()).unwrap();
    let (now, timeout) = (world.now, Duration::from_secs(5));
    assert!(world.server.at(now).emit_with_ack(socket, &event, timeout).is_ok());
    assert!(world.server.at(now).emit_with_ack(socket, &event, timeout).is_err());
    world.send(client, "430[]");
    let everyone = Audience::all();
    assert!(world.server.at(now).broadcast_with_ack("/", &everyone, &event, timeout).is_ok());
    world.drain();
    world.send(client, "431[]");
    let attachments = vec![Bytes::new(); 11];
    let many = socket::Event::new("m", &attachments).unwrap();
    assert!(world.server.at(now).emit(socket, &many).is_err());
    world.send(client, "437[]");
    for _ in 0..2 {
        assert!(world.server.at(now).accept_once(socket, "offset", None).is_ok());
    }
    world.server.pause(client.wire);
    world.server.at(now).emit_volatile(socket, &event).unwrap();
    for _ in 0..2 {
        world.server.at(now).emit(socket, &event).unwrap();
    }
    let wire = world.wire();
    world.input(ServerInput::Body { wire, body: Bytes::new() });
    assert_eq!(world.server.stats().total.stale, 1);
    sum.expect(
        &world,
        &[
            ("acks_refused", 1),
            ("acks_unmatched", 1),
            ("answers_dropped", 1),
            ("duplicates", 1),
            ("emits_refused", 1),
            ("joins_refused", 1),
            ("packets_evicted", 1),
            ("volatile_dropped", 1),
        ],
    );
    emissions_at_once(sum);
    auth_that_waits(sum);
}

fn auth_that_waits(sum: &mut Sum) {
    let mut world = world(|limits, _| limits.pending_auth_bytes = 10);
    world.server.at(world.now).add_namespace("/a").unwrap();
    world.auto_accept = false;
    let client = world.open();
    world.send(client, r#"40{"token":"long"}"#);
    world.send(client, r#"40/a,{"token":"long"}"#);
    sum.expect(&world, &[("connects_refused.too_much_auth", 1)]);
}

fn emissions_at_once(sum: &mut Sum) {
    let mut world = world(|limits, _| limits.queue_burst_packets = 1);
    let (_, _) = world.connect();
    let (socket, _) = world.connected();
    let event = socket::Event::new("m", &()).unwrap();
    assert!(world.server.at(world.now).emit(socket, &event).is_ok());
    assert!(world.server.at(world.now).emit(socket, &event).is_err());
    sum.expect(&world, &[("packets_refused", 1)]);
}
