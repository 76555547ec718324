//! A node ends, and hands its sessions over.

use socketio_proto::server::ServerEvent;

use crate::{
    fleet::{Client, Fleet},
    moves::{claim, ids},
};

/// How many sessions the store has, and has not, as soon as that is final.
fn handed_over(fleet: &Fleet, node: usize) -> Vec<(usize, usize)> {
    let found = fleet.nodes[node].events.iter().filter_map(|event| match event {
        ServerEvent::HandedOver { stored, not_stored } => Some((*stored, *not_stored)),
        _ => None,
    });
    found.collect()
}

fn end(fleet: &mut Fleet, node: usize) {
    let now = fleet.now;
    fleet.nodes[node].server.shutdown(now);
    fleet.at(node, |at| assert!(at.hand_over()));
}

fn two_clients() -> (Fleet, [Client; 2]) {
    let mut fleet = Fleet::new(2);
    let clients = [fleet.open(0), fleet.open(0)];
    fleet.at(1, |at| at.all().emit("processed", &()).unwrap());
    fleet.settle();
    (fleet, clients)
}

/// A node of the reference does not wait until the store has its sessions.
#[test]
fn h06_a_node_that_ends_hands_over_every_session() {
    let (mut fleet, clients) = two_clients();
    // Something still waits for the channel.
    let socket = fleet.socket(clients[0]);
    fleet.at(0, |at| {
        at.all().emit("missed", &()).unwrap();
        at.join(socket, "room").unwrap();
    });
    end(&mut fleet, 0);
    assert!(handed_over(&fleet, 0).is_empty());
    let all = clients.map(|client| ids(&fleet, client));
    fleet.settle();
    assert_eq!(handed_over(&fleet, 0), [(2, 0)]);
    fleet.crash(0);
    for of_client in all {
        let back = fleet.open_with(1, &claim(&of_client.0, "7000-0"));
        fleet.settle();
        assert_eq!((ids(&fleet, back), fleet.got(back)), (of_client, vec!["missed".into()]));
    }
    let server = &fleet.nodes[1].server;
    let mut sockets = fleet.nodes[1].events.iter().filter_map(|event| match event {
        ServerEvent::Connected { socket, .. } => Some(*socket),
        _ => None,
    });
    assert!(sockets.any(|socket| server.rooms(socket).any(|room| room == "room")));
}

#[test]
fn sessions_that_the_store_refuses_are_reported_as_not_handed_over() {
    let (mut fleet, _) = two_clients();
    fleet.store.is_full = true;
    end(&mut fleet, 0);
    fleet.settle();
    assert_eq!(handed_over(&fleet, 0), [(0, 2)]);
}

/// Which of the commands have taken effect is not known, so it is found out.
#[test]
fn a_node_that_ends_while_the_engine_is_away_hands_over_when_it_is_back() {
    let (mut fleet, _) = two_clients();
    end(&mut fleet, 0);
    fleet.take(0, 0);
    assert_eq!(fleet.store.sessions.len(), 2);
    fleet.cut(0, 0);
    assert!(handed_over(&fleet, 0).is_empty());
    assert_eq!(fleet.nodes[0].server.stats().records_waiting, 2);
    fleet.connect(0);
    fleet.settle();
    assert_eq!(handed_over(&fleet, 0), [(2, 0)]);
    assert_eq!(fleet.store.sessions.len(), 2);
}

/// A client has come from another node, which has handed its session over. The node that it has come to
/// ends before it has read that.
#[test]
fn a_node_that_ends_waits_for_a_session_that_is_on_its_way() {
    let (mut fleet, clients) = two_clients();
    let of_client = ids(&fleet, clients[0]);
    fleet.open_with(1, &claim(&of_client.0, "7000-0"));
    fleet.take(1, usize::MAX);
    fleet.read(0, usize::MAX);
    fleet.take(0, usize::MAX);
    end(&mut fleet, 1);
    fleet.take(1, usize::MAX);
    fleet.answer(1);
    assert!(handed_over(&fleet, 1).is_empty());
    fleet.settle();
    assert_eq!(handed_over(&fleet, 1), [(1, 0)]);
    fleet.crash(1);
    let back = fleet.open_with(0, &claim(&of_client.0, "7000-0"));
    fleet.settle();
    assert_eq!(ids(&fleet, back), of_client);
}

/// Nobody answers the claim of a node that ends.
#[test]
fn a_node_that_ends_waits_for_a_claim_no_longer_than_its_client_would() {
    let (mut fleet, clients) = two_clients();
    let of_client = ids(&fleet, clients[0]);
    fleet.open_with(1, &claim(&of_client.0, "7000-0"));
    fleet.take(1, usize::MAX);
    end(&mut fleet, 1);
    fleet.wait_for(1, 999);
    fleet.take(1, usize::MAX);
    fleet.read(1, usize::MAX);
    fleet.take(1, usize::MAX);
    fleet.answer(1);
    assert!(handed_over(&fleet, 1).is_empty());
    fleet.wait_for(1, 1);
    assert_eq!(handed_over(&fleet, 1), [(0, 0)]);
}

/// The store has given the session to it. A process that has gone would lose it.
#[test]
fn a_node_that_ends_waits_for_a_store_that_is_slow() {
    let (mut fleet, clients) = two_clients();
    let of_client = ids(&fleet, clients[0]);
    fleet.lose(clients[0]);
    fleet.settle();
    fleet.crash(0);
    fleet.open_with(1, &claim(&of_client.0, "7000-0"));
    for _ in 0..2 {
        fleet.take(1, 1);
        fleet.read(1, usize::MAX);
    }
    fleet.take(1, 1);
    assert!(!fleet.store.sessions.contains_key(&of_client.0), "it was taken");
    fleet.wait(1_500);
    end(&mut fleet, 1);
    assert!(handed_over(&fleet, 1).is_empty());
    fleet.settle();
    assert_eq!(handed_over(&fleet, 1), [(1, 0)]);
    assert!(fleet.store.sessions.contains_key(&of_client.0));
}
