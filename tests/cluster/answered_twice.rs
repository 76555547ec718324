//! A claim is answered by an owner whose record another node has taken, and by that node.

use crate::{
    fleet::{Client, Fleet},
    moves::{claim, ids},
};

/// Nodes 1 and 2 claim a session, in this order. The owner, node 0, has to wait for the store and hands the session
/// over to node 2, but node 1 takes the record. Returns the ids of the session, and the two clients.
fn claimed_twice(nodes: usize) -> (Fleet, (String, String), [Client; 2]) {
    let mut fleet = Fleet::new(nodes);
    fleet.settle();
    // The nodes know each other.
    fleet.wait(1_000);
    fleet.settle();
    let client = fleet.open(0);
    fleet.at(1, |at| at.all().emit("processed", &()).unwrap());
    fleet.settle();
    let of_client = ids(&fleet, client);
    fleet.lose(client);
    let claims = [1, 2].map(|node| {
        let client = fleet.open_with(node, &claim(&of_client.0, "7000-0"));
        fleet.take(node, 1);
        client
    });
    fleet.read(0, usize::MAX);
    fleet.take(0, 0);
    fleet.read(1, usize::MAX);
    // Node 1 finds the record.
    fleet.take(1, 0);
    fleet.answer(1);
    // The owner hands over.
    fleet.answer(0);
    fleet.take(0, 1);
    assert!(fleet.store.sessions.contains_key(&of_client.0));
    fleet.take(1, 0);
    assert!(fleet.store.sessions.is_empty(), "node 1 has taken it");
    (fleet, of_client, claims)
}

fn parked(fleet: &Fleet) -> Vec<usize> {
    fleet.nodes.iter().map(|it| it.server.stats().parked_sessions).collect()
}

#[test]
fn the_session_comes_from_the_node_that_has_taken_it() {
    for is_found_out in [false, true] {
        let (mut fleet, of_client, [first, second]) = claimed_twice(3);
        fleet.lose(first);
        fleet.read(2, usize::MAX);
        if is_found_out {
            fleet.take(2, usize::MAX);
            fleet.read(2, usize::MAX);
            assert_eq!(parked(&fleet)[2], 0, "its record is not there");
        }
        fleet.settle();
        assert_eq!(ids(&fleet, second), of_client, "{is_found_out}");
        assert_eq!(parked(&fleet), [0, 0, 0]);
        fleet.at(0, |at| at.all().emit("live", &()).unwrap());
        fleet.settle();
        assert_eq!(fleet.got(second), ["live"]);
    }
}

/// It waits there for the next claim.
#[test]
fn the_session_comes_also_if_its_client_has_gone() {
    for is_found_out in [false, true] {
        let (mut fleet, of_client, clients) = claimed_twice(3);
        for client in clients {
            fleet.lose(client);
        }
        fleet.read(2, usize::MAX);
        if is_found_out {
            fleet.take(2, usize::MAX);
            fleet.read(2, usize::MAX);
        }
        fleet.settle();
        assert_eq!(parked(&fleet).iter().sum::<usize>(), 1, "{is_found_out}");
        let back = fleet.open_with(1, &claim(&of_client.0, "7000-0"));
        fleet.settle();
        assert_eq!(ids(&fleet, back), of_client, "{is_found_out}");
        assert_eq!(parked(&fleet), [0, 0, 0]);
    }
}

/// A third node has claimed it meanwhile, and has got what the owner has handed over, or nothing.
#[test]
fn the_session_goes_on_to_a_later_claim() {
    for is_found_out in [false, true] {
        let (mut fleet, of_client, clients) = claimed_twice(4);
        fleet.read(2, usize::MAX);
        if is_found_out {
            fleet.take(2, usize::MAX);
            fleet.read(2, usize::MAX);
        }
        for client in clients {
            fleet.lose(client);
        }
        let back = fleet.open_with(3, &claim(&of_client.0, "7000-0"));
        fleet.take(3, 1);
        fleet.read(2, usize::MAX);
        fleet.read(3, usize::MAX);
        fleet.take(2, usize::MAX);
        fleet.read(3, usize::MAX);
        fleet.settle();
        assert_eq!(ids(&fleet, back), of_client, "{is_found_out}");
        assert_eq!(parked(&fleet), [0, 0, 0, 0]);
    }
}

/// No node has the session at present, and the store has no record. But it is on its way.
#[test]
fn a_later_claim_is_not_told_that_nobody_has_the_session() {
    let (mut fleet, of_client, clients) = claimed_twice(4);
    for client in clients {
        fleet.lose(client);
    }
    fleet.answer(1);
    fleet.read(2, usize::MAX);
    fleet.take(2, usize::MAX);
    fleet.answer(2);
    let back = fleet.open_with(3, &claim(&of_client.0, "7000-0"));
    fleet.take(3, 1);
    for node in 0..4 {
        fleet.read(node, usize::MAX);
    }
    fleet.take(3, 0);
    fleet.answer(3);
    while !fleet.nodes[3].inbox.is_empty() {
        fleet.receive(3);
    }
    assert!(fleet.frames(back).is_empty(), "it waits");
    fleet.settle();
    assert_eq!(ids(&fleet, back), of_client);
}
