//! An application closes a connection with sessions in several namespaces, which the store has.

use socketio_proto::{
    RecoveryConfig, ServerConfig, SocketKey,
    cluster::{Channels, ClusterInput, Durability},
    hub::Audience,
    server::ServerEvent,
};

use crate::{
    ahead::AHEAD,
    fleet::{Client, Fleet, Flight},
};

/// A client of node 0 that is in `/` and in `/b`.
fn connected(nodes: &[Durability]) -> (Fleet, Client) {
    let mut fleet = Fleet::durable(nodes);
    let client = join_both(&mut fleet);
    (fleet, client)
}

fn join_both(fleet: &mut Fleet) -> Client {
    let client = fleet.open(0);
    fleet.send(client, "40/b,");
    fleet.settle();
    client
}

/// The sockets of all clients of a node, in the order in which they have come.
fn sockets(fleet: &Fleet, node: usize) -> Vec<SocketKey> {
    let socket = |event: &ServerEvent<u32>| match event {
        ServerEvent::Connected { socket, .. } => Some(*socket),
        _ => None,
    };
    fleet.nodes[node].events.iter().filter_map(socket).collect()
}

fn close(fleet: &mut Fleet) {
    let first = sockets(fleet, 0)[0];
    fleet.at(0, |at| assert!(at.disconnect(first, true)));
}

/// The packets with which the client comes back to both sessions.
fn claims(fleet: &Fleet, client: Client) -> [String; 2] {
    let pid = |number: usize| fleet.frames(client)[number].split('"').nth(7).unwrap();
    let claim = |number: usize| format!(r#"{{"pid":"{}","offset":""}}"#, pid(number));
    [format!("40{}", claim(0)), format!("40/b,{}", claim(1))]
}

fn come_back(fleet: &mut Fleet, claims: &[String; 2]) -> Client {
    let back = fleet.open_with(1, &claims[0]);
    fleet.send(back, &claims[1]);
    back
}

/// Which of both sessions the client gets at node 1, after node 0 has crashed.
fn recovered_after_crash(mut fleet: Fleet, client: Client) -> [bool; 2] {
    let claims = claims(&fleet, client);
    fleet.crash(0);
    come_back(&mut fleet, &claims);
    for _ in 0..3 {
        fleet.settle();
        fleet.wait(500);
    }
    let is_recovered = |name: &str| {
        let mut events = fleet.nodes[1].events.iter();
        let found = events.find_map(|event| match event {
            ServerEvent::Connected { namespace, recovery, .. } if namespace.as_str() == name => {
                Some(recovery.is_recovered())
            }
            _ => None,
        });
        found.expect("it is connected")
    };
    ["/", "/b"].map(is_recovered)
}

const CLOSED: [&str; 3] = ["41", "41/b,", "closed"];

#[test]
fn after_a_crash_no_session_of_a_connection_that_was_closed_is_recovered() {
    let (mut fleet, client) = connected(&[AHEAD, AHEAD]);
    close(&mut fleet);
    fleet.take(0, usize::MAX);
    fleet.read(0, usize::MAX);
    assert_eq!(fleet.got(client), CLOSED);
    assert_eq!(fleet.store.sessions.len(), 2, "the node has not removed them yet");
    assert_eq!(recovered_after_crash(fleet, client), [false; 2]);
}

/// Each session has an entry of its own. A client that has not heard of the end of a session may still get
/// it.
#[test]
fn a_crash_between_the_ends_of_two_sessions_leaves_what_the_client_has_not_heard() {
    let (mut fleet, client) = connected(&[AHEAD, AHEAD]);
    close(&mut fleet);
    fleet.take(0, 1);
    fleet.read(0, usize::MAX);
    assert_eq!(fleet.got(client), ["41"]);
    assert_eq!(recovered_after_crash(fleet, client), [false, true]);
}

/// That node does not know the other sessions of the connection.
#[test]
fn another_node_closes_a_connection_with_all_its_sessions() {
    for is_second_lost in [false, true] {
        let (mut fleet, client) = connected(&[AHEAD, AHEAD]);
        let socket = sockets(&fleet, 0)[0];
        fleet.at(0, |at| at.join(socket, "room").unwrap());
        fleet.settle();
        fleet.at(1, |at| at.disconnect_sockets("/", &Audience::room("room"), true).unwrap());
        fleet.take(1, 1);
        fleet.read(0, 1);
        assert_eq!(fleet.got(client), ["41"]);
        if !is_second_lost {
            fleet.take(0, 1);
            fleet.read(0, 1);
            assert_eq!(fleet.got(client), CLOSED);
        }
        assert_eq!(recovered_after_crash(fleet, client), [false, is_second_lost]);
    }
}

/// A node that was frozen does not know yet that its client is elsewhere, with one connection for each
/// session.
#[test]
fn a_connection_that_is_closed_takes_the_sessions_along_that_have_moved() {
    let (mut fleet, client) = connected(&[AHEAD, AHEAD]);
    let back = claims(&fleet, client).map(|claim| fleet.open_with(1, &claim));
    for _ in 0..5 {
        fleet.take(1, usize::MAX);
        fleet.read(1, usize::MAX);
        fleet.wait_for(1, 250);
    }
    assert!(back.iter().all(|back| fleet.frames(*back).len() == 1), "both are recovered");
    close(&mut fleet);
    fleet.settle();
    assert_eq!(fleet.got(back[0]), ["41", "closed"]);
    assert_eq!(fleet.got(back[1]), ["41/b,"]);
    fleet.wait(2_000);
    fleet.settle();
    assert!(fleet.store.sessions.is_empty());
}

/// What the client is sent is the same as without a cluster.
#[test]
fn a_client_is_told_of_the_ends_in_the_order_in_which_it_came() {
    for durability in [AHEAD, Durability::OnPark] {
        let mut fleet = Fleet::durable(&[durability]);
        let client = fleet.open(0);
        for name in ["/d1", "/b", "/d0"] {
            fleet.send(client, &format!("40{name},"));
        }
        fleet.settle();
        let second = sockets(&fleet, 0)[1];
        fleet.at(0, |at| assert!(at.disconnect(second, true)));
        fleet.settle();
        assert_eq!(fleet.got(client), ["41/d1,", "41", "41/b,", "41/d0,", "closed"]);
    }
}

#[test]
fn a_session_that_begins_while_its_connection_is_closed_ends_with_the_others() {
    let (mut fleet, client) = connected(&[AHEAD, AHEAD]);
    close(&mut fleet);
    fleet.send(client, "40/d,");
    fleet.settle();
    assert_eq!(fleet.got(client), ["41", "41/b,", "41/d,", "closed"]);
    let entries = fleet.channel.entries.len();
    assert_eq!(entries, 3, "one for each session");
    assert!(fleet.store.sessions.is_empty());
}

/// Otherwise a client could stay.
#[test]
fn a_client_that_always_joins_anew_is_disconnected() {
    let (mut fleet, client) = connected(&[AHEAD]);
    close(&mut fleet);
    for number in 0..10 {
        fleet.send(client, &format!("40/d{number},"));
        fleet.take(0, usize::MAX);
        fleet.read(0, usize::MAX);
    }
    assert_eq!(fleet.got(client).last().unwrap(), "closed");
    fleet.settle();
    assert!(fleet.store.sessions.is_empty());
}

/// The queue of appends has 20 places.
#[test]
fn a_connection_is_closed_also_if_there_is_no_room_for_the_ends() {
    for emitted in 16..=20 {
        let (mut fleet, client) = connected(&[AHEAD, AHEAD]);
        fleet.cut(0, 0);
        for _ in 0..emitted {
            fleet.at(0, |at| at.to("nobody").emit("m", &()).unwrap());
        }
        close(&mut fleet);
        assert_eq!(fleet.got(client).is_empty(), emitted < 20, "it waits if there is room");
        fleet.connect(0);
        fleet.settle();
        assert_eq!(fleet.got(client), CLOSED, "{emitted}");
        assert!(fleet.store.sessions.is_empty(), "{emitted}");
    }
}

/// Nothing waits for ever for what the engine does not take.
#[test]
fn a_connection_is_closed_also_if_the_engine_refuses_an_end() {
    for refused in [&[0][..], &[1], &[0, 1]] {
        let (mut fleet, client) = connected(&[AHEAD, AHEAD]);
        close(&mut fleet);
        let appends: Vec<_> = fleet.nodes[0].in_flight.drain(..).collect();
        for (number, flight) in appends.into_iter().enumerate() {
            let Flight::Append(message) = &flight else { panic!("{flight:?}") };
            let sequence = message.stamp.unwrap().sequence;
            if refused.contains(&number) {
                fleet.input(0, ClusterInput::Rejected { sequence });
            } else {
                fleet.nodes[0].in_flight.push_back(flight);
            }
        }
        fleet.settle();
        let mut got = fleet.got(client);
        assert_eq!(got.pop().unwrap(), "closed");
        got.sort_unstable();
        assert_eq!(got, ["41", "41/b,"], "{refused:?}");
        assert!(fleet.store.sessions.is_empty(), "{refused:?}");
    }
}

#[test]
fn a_connection_is_closed_when_all_channels_have_the_ends() {
    let layout = Channels::new(2, |name, _| u32::from(name.as_str() == "/b"));
    for is_first_late in [false, true] {
        let config = ServerConfig::new().recovery(RecoveryConfig::new());
        let mut fleet = Fleet::with_channels(0, &config, layout);
        fleet.durability = vec![AHEAD];
        fleet.add(0);
        let client = join_both(&mut fleet);
        close(&mut fleet);
        fleet.take(0, usize::MAX);
        if is_first_late {
            fleet.read_second(0, usize::MAX);
        } else {
            fleet.read(0, usize::MAX);
        }
        assert_eq!(fleet.got(client), [if is_first_late { "41/b," } else { "41" }]);
        fleet.settle();
        assert_eq!(fleet.got(client)[2..], ["closed"]);
        assert!(fleet.store.sessions.is_empty());
    }
}
