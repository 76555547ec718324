//! Namespaces that a predicate accepts, and that not every node has a client in.

use socketio_proto::{
    ConfigError, RecoveryConfig, ServerConfig,
    cluster::{
        ClusterConfig,
        message::{Body, Message, NodeId, OwnKind, Value},
    },
    hub::{Audience, EmitError},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::Server,
    socket::{Event, NamespaceName},
};

use crate::{
    fleet::{Client, Fleet, name},
    moves::{ids, outcome},
};

fn fleet(cluster: fn(ClusterConfig) -> ClusterConfig) -> Fleet {
    let mut fleet = Fleet::with_cluster(2, cluster);
    for node in 0..2 {
        fleet.at(node, |at| at.add_namespaces_matching(|name| name.starts_with("/room-")));
    }
    fleet
}

fn emit(fleet: &mut Fleet, node: usize, namespace: &str, name: &str) {
    let event = Event::new(name, &()).unwrap();
    fleet.at(node, |at| at.broadcast(namespace, &Audience::all(), &event).unwrap());
    fleet.settle();
}

/// A client that has processed an event in a namespace of node 0. Returns how it claims its session.
fn parked(fleet: &mut Fleet, namespace: &str) -> String {
    let client = fleet.open_with(0, &format!("40{namespace},"));
    emit(fleet, 0, namespace, "processed");
    let (pid, _) = ids(fleet, client);
    let offset = fleet.frames(client).last().unwrap().split('"').nth(3).unwrap().to_owned();
    fleet.lose(client);
    format!(r#"40{namespace},{{"pid":"{pid}","offset":"{offset}"}}"#)
}

fn come_to_other_node(fleet: &mut Fleet, claim: &str) -> Client {
    let client = fleet.open_with(1, claim);
    fleet.settle();
    fleet.wait(1_000);
    fleet.settle();
    client
}

fn vacant(fleet: &Fleet, node: usize) -> usize {
    let stats = fleet.nodes[node].server.stats();
    assert_eq!(stats.namespaces, 2 + stats.sockets, "the static ones, and those of the clients");
    stats.vacant_namespaces
}

#[test]
fn a_session_moves_to_a_node_that_nobody_of_its_namespace_was_at() {
    let mut fleet = fleet(|it| it);
    let claim = parked(&mut fleet, "/room-1");
    emit(&mut fleet, 0, "/room-1", "missed");
    assert_eq!(vacant(&fleet, 1), 1);
    let back = come_to_other_node(&mut fleet, &claim);
    assert!(outcome(&fleet, 1).is_recovered());
    let missed = fleet.frames(back)[1..].iter().map(|it| it.split('"').nth(1).unwrap());
    assert_eq!(missed.collect::<Vec<_>>(), ["missed"]);
    assert_eq!([0, 1].map(|node| vacant(&fleet, node)), [1, 0], "it has moved");
    fleet.lose(back);
    fleet.wait(10 * 60_000);
    assert_eq!([0, 1].map(|node| vacant(&fleet, node)), [0, 0], "nobody can come any more");
}

/// What official nodes have emitted meanwhile is in no log.
#[test]
fn a_record_from_before_somebody_heard_the_namespace_is_refused() {
    for was_unheard in [false, true] {
        let mut fleet = fleet(|it| it);
        let claim = parked(&mut fleet, "/room-1");
        fleet.settle();
        fleet.crash(0);
        if was_unheard {
            let body = Body::Own { kind: OwnKind::Unheard, data: Value::null() };
            let namespace = NamespaceName::new("/room-1").unwrap();
            let unheard = Message::new(NodeId::EMITTER, namespace, body);
            fleet.channel.append(Some(unheard));
        }
        come_to_other_node(&mut fleet, &claim);
        let outcome = outcome(&fleet, 1);
        if was_unheard {
            assert_eq!(outcome, RecoveryOutcome::Refused(RecoveryRefusal::Trimmed));
        } else {
            assert!(outcome.is_recovered(), "{outcome:?}");
        }
    }
}

#[test]
fn the_first_event_of_a_namespace_is_kept() {
    let mut fleet = fleet(|it| it);
    let client = fleet.open_with(0, "40/room-1,");
    let pid = fleet.frames(client)[0].split('"').nth(7).unwrap().to_owned();
    fleet.lose(client);
    emit(&mut fleet, 0, "/room-1", "missed");
    let back = come_to_other_node(&mut fleet, &format!(r#"40/room-1,{{"pid":"{pid}"}}"#));
    let missed = fleet.frames(back)[1..].iter().map(|it| it.split('"').nth(1).unwrap());
    assert_eq!(missed.collect::<Vec<_>>(), ["missed"]);
}

/// A namespace that becomes empty keeps what it has.
#[test]
fn a_session_moves_to_a_node_that_everyone_of_its_namespace_has_left() {
    let mut fleet = fleet(|it| it);
    let visitor = fleet.open_with(1, "40/room-1,");
    let claim = parked(&mut fleet, "/room-1");
    emit(&mut fleet, 0, "/room-1", "missed");
    fleet.send(visitor, "41/room-1,");
    assert_eq!(vacant(&fleet, 1), 1);
    emit(&mut fleet, 0, "/room-1", "missed as well");
    let back = come_to_other_node(&mut fleet, &claim);
    let missed = fleet.frames(back)[1..].iter().map(|it| it.split('"').nth(1).unwrap());
    assert_eq!(missed.collect::<Vec<_>>(), ["missed", "missed as well"]);
}

/// What was emitted before a log was given up does not matter to a session that has missed nothing.
#[test]
fn too_many_silent_namespaces_are_given_up() {
    let mut fleet = fleet(|it| it.vacant_namespaces(2));
    let claims = ["/room-1", "/room-2"].map(|namespace| parked(&mut fleet, namespace));
    let idle = parked(&mut fleet, "/room-5");
    emit(&mut fleet, 0, "/room-1", "missed");
    emit(&mut fleet, 0, "/room-2", "missed");
    emit(&mut fleet, 0, "/room-3", "noise");
    assert_eq!(vacant(&fleet, 1), 2);
    assert_eq!(fleet.nodes[1].server.stats().total.vacant_namespaces_removed, 4);
    come_to_other_node(&mut fleet, &claims[0]);
    assert_eq!(outcome(&fleet, 1), RecoveryOutcome::Refused(RecoveryRefusal::Gap));
    come_to_other_node(&mut fleet, &claims[1]);
    assert!(outcome(&fleet, 1).is_recovered());
    come_to_other_node(&mut fleet, &idle);
    assert!(outcome(&fleet, 1).is_recovered());
}

#[test]
fn the_bytes_of_silent_namespaces_are_bounded() {
    let mut fleet = fleet(|it| it.vacant_namespace_bytes(10_000));
    for number in 0..9 {
        let event = Event::new("noise", &("x".repeat(3_000),)).unwrap();
        let namespace = format!("/room-{number}");
        fleet.at(0, |at| at.broadcast(&namespace, &Audience::all(), &event).unwrap());
        fleet.settle();
    }
    assert_eq!(vacant(&fleet, 1), 3);
    let event = Event::new("noise", &("x".repeat(30_000),)).unwrap();
    fleet.at(0, |at| at.broadcast("/room-9", &Audience::all(), &event).unwrap());
    fleet.settle();
    assert_eq!(vacant(&fleet, 1), 1, "a single one is always allowed");
    let config = ClusterConfig::new(name(0)).vacant_namespaces(0);
    let made =
        Server::<u32>::clustered(ServerConfig::new(), config, |dest: &mut [u8]| dest.fill(7));
    let refused = ConfigError::OutOfRange { field: "cluster.vacant_namespaces" };
    assert_eq!(made.map(|_| ()), Err(refused));
}

/// Only events take memory, not the clients that come to made-up names.
#[test]
fn names_that_clients_make_up_cost_other_nodes_nothing() {
    let mut fleet = fleet(|it| it);
    for number in 0..20 {
        let client = fleet.open_with(0, &format!("40/room-{number},"));
        fleet.settle();
        fleet.send(client, &format!("41/room-{number},"));
        let claim = format!(r#"40/room-{number},{{"pid":"AAAAAAAAAAAAAAAAAAAAAAAA"}}"#);
        fleet.open_with(0, &claim);
        fleet.settle();
    }
    assert_eq!(vacant(&fleet, 1), 0);
}

/// An application emits to a namespace whose clients are all at other nodes.
#[test]
fn an_emit_reaches_a_namespace_that_is_only_elsewhere() {
    let mut fleet = fleet(|it| it);
    let client = fleet.open_with(0, "40/room-1,");
    emit(&mut fleet, 1, "/room-1", "m");
    fleet.at(1, |at| at.of("/room-1").volatile().emit("v", &()).unwrap());
    fleet.settle();
    let got = fleet.frames(client)[1..].iter().map(|it| it.split('"').nth(1).unwrap());
    assert_eq!(got.collect::<Vec<_>>(), ["m", "v"]);
    let closed = fleet.at(1, |at| at.disconnect_sockets("/room-1", &Audience::all(), true));
    assert_eq!(closed, Ok(0));
    fleet.settle();
    assert_eq!(fleet.frames(client).last().unwrap(), "closed");
    let unknown = fleet.at(1, |at| at.of("/nobody accepts it").emit("m", &()).map(|_| ()));
    assert_eq!(unknown, Err(EmitError::UnknownNamespace));
}

#[test]
fn a_gap_empties_what_was_kept() {
    let mut fleet = fleet(|it| it);
    let claim = parked(&mut fleet, "/room-1");
    emit(&mut fleet, 0, "/room-1", "missed");
    fleet.cut(1, 0);
    emit(&mut fleet, 0, "/room-1", "trimmed");
    fleet.channel.trimmed = fleet.channel.entries.len();
    fleet.connect(1);
    assert_eq!(vacant(&fleet, 1), 0);
    come_to_other_node(&mut fleet, &claim);
    assert_eq!(outcome(&fleet, 1), RecoveryOutcome::Refused(RecoveryRefusal::Gap));
}

#[test]
fn vacant_namespaces_do_not_count_as_namespaces() {
    let config = ServerConfig::new().recovery(RecoveryConfig::new());
    let limits = socketio_proto::Limits::new().namespaces(3);
    let mut fleet = Fleet::disconnected(2, &config.limits(limits));
    for node in 0..2 {
        fleet.at(node, |at| at.add_namespaces_matching(|name| name.starts_with("/room-")));
        fleet.connect(node);
    }
    for number in 0..9 {
        emit(&mut fleet, 0, &format!("/room-{number}"), "noise");
    }
    assert_eq!(vacant(&fleet, 1), 9);
    let first = fleet.open_with(1, "40/room-1,");
    assert!(fleet.frames(first)[0].starts_with("40/room-1,{"));
    let second = fleet.open_with(1, "40/room-2,");
    assert!(fleet.frames(second)[0].starts_with("44/room-2,"));
    fleet.wait(1_000);
    fleet.at(1, |at| at.add_namespace("/room-3").unwrap_err());
    fleet.send(first, "41/room-1,");
    fleet.at(1, |at| at.add_namespace("/room-3").unwrap());
    assert_eq!(fleet.nodes[1].server.stats().namespaces, 3);
}
