//! Claims of sessions that nobody has.

use socketio_proto::recovery::{RecoveryOutcome, RecoveryRefusal};

use super::acquainted;
use crate::{
    fleet::{Client, Fleet},
    moves::{claim, ids, outcome},
};

const MADE_UP: &str = "xxxxxxxxxxxxxxxxxxxx";

/// Nodes that have had the time to introduce themselves.
fn fleet(nodes: usize) -> Fleet {
    let mut fleet = acquainted(nodes);
    fleet.wait(1_000);
    fleet.settle();
    fleet
}

/// The store answers what it was asked.
fn answer_by_store(fleet: &mut Fleet) {
    for node in 0..fleet.nodes.len() {
        fleet.take(node, 0);
        fleet.answer(node);
    }
}

fn is_answered(fleet: &Fleet, client: Client) -> bool {
    !fleet.frames(client).is_empty()
}

#[test]
fn a_private_id_that_nobody_knows_is_refused_as_soon_as_all_have_said_so() {
    for nodes in [1, 3] {
        let mut fleet = fleet(nodes);
        let client = fleet.open_with(0, &claim(MADE_UP, "7000-0"));
        assert!(!is_answered(&fleet, client));
        fleet.settle();
        assert_eq!(outcome(&fleet, 0), RecoveryOutcome::Refused(RecoveryRefusal::Unknown));
        assert!(is_answered(&fleet, client));
    }
}

#[test]
fn a_node_that_does_not_say_so_is_waited_for() {
    let mut fleet = fleet(3);
    let client = fleet.open_with(0, &claim(MADE_UP, "7000-0"));
    fleet.take(0, 1);
    fleet.read(0, 1);
    fleet.read(1, 1);
    answer_by_store(&mut fleet);
    fleet.receive(0);
    fleet.wait(999);
    assert!(!is_answered(&fleet, client), "node 2 may have the session");
    fleet.wait(1);
    answer_by_store(&mut fleet);
    assert!(is_answered(&fleet, client));
}

/// The session has left the first node and has not arrived at the second one, when the third one
/// claims it.
#[test]
fn a_session_on_its_way_is_not_taken_for_absent() {
    let mut fleet = fleet(3);
    let parked = fleet.open(0);
    fleet.at(1, |at| at.all().emit("processed", &()).unwrap());
    fleet.settle();
    let (pid, _) = ids(&fleet, parked);
    let claims = [1, 2].map(|node| fleet.open_with(node, &claim(&pid, "7000-0")));
    fleet.take(1, 1);
    fleet.take(2, 1);
    for node in 0..3 {
        fleet.read(node, 2);
    }
    answer_by_store(&mut fleet);
    // What the nodes say overtakes the session.
    for node in 0..3 {
        while !fleet.nodes[node].inbox.is_empty() {
            fleet.receive(node);
        }
    }
    assert!(!claims.iter().any(|client| is_answered(&fleet, *client)));
    fleet.settle();
    fleet.wait(1_000);
    assert!(outcome(&fleet, 2).is_recovered(), "{:?}", outcome(&fleet, 2));
    assert!(!outcome(&fleet, 1).is_recovered());
}
