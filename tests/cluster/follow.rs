//! Claims whose sessions go elsewhere while they wait.

use socketio_proto::{hub::ConnectRequest, recovery::RecoveryOutcome, server::ServerEvent};

use crate::{
    fleet::Fleet,
    moves::{claim, ids, outcome, parked},
};

/// The client gives up a claim, and tries again at the same node before its session has come there.
#[test]
fn a_client_that_claims_again_at_the_same_node_gets_its_session() {
    let mut fleet = Fleet::new(3);
    let client = fleet.open(0);
    fleet.settle();
    let (pid, _) = ids(&fleet, client);
    let abandoned = fleet.open_with(2, &claim(&pid, ""));
    fleet.take(2, 1);
    fleet.lose(abandoned);
    let back = fleet.open_with(2, &claim(&pid, ""));
    fleet.take(2, 1);
    // The other nodes say that they do not have it before the owner's answer is read.
    for node in 0..3 {
        fleet.read(node, 2);
    }
    fleet.take(2, 0);
    fleet.answer(2);
    while !fleet.nodes[2].inbox.is_empty() {
        fleet.receive(2);
    }
    fleet.settle();
    assert_eq!(ids(&fleet, back), ids(&fleet, client));
}

/// A claim that the client has given up takes the session away while the application decides.
#[test]
fn a_session_stays_while_the_application_decides_about_its_client() {
    let (mut fleet, client, pid) = parked(2);
    let abandoned = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.lose(abandoned);
    fleet.nodes[0].answers_late = true;
    let back = fleet.open_with(0, &claim(&pid, "7000-0"));
    fleet.take(0, 0);
    fleet.answer(0);
    let request = asked(&fleet);
    fleet.settle();
    fleet.at(0, |at| at.accept(request));
    assert_eq!((ids(&fleet, back), &*fleet.got(back)[0]), (ids(&fleet, client), "missed"));
    // The other claim was later in the channel. Its client is gone, and this one comes back.
    fleet.settle();
    let back = fleet.open_with(0, &claim(&pid, "7000-0"));
    fleet.settle();
    let request = asked(&fleet);
    fleet.at(0, |at| at.accept(request));
    assert_eq!(ids(&fleet, back), ids(&fleet, client));
}

/// The latest CONNECT that the application of node 0 was asked about.
pub fn asked(fleet: &Fleet) -> ConnectRequest {
    let asked = fleet.nodes[0].events.iter().rev().find_map(|event| match event {
        ServerEvent::ConnectRequested { request, .. } => Some(*request),
        _ => None,
    });
    asked.unwrap()
}

/// The session has gone on elsewhere, and the client has processed more than its former node has read.
#[test]
fn a_node_that_lags_does_not_take_an_offset_for_a_made_up_one() {
    let (mut fleet, client, pid) = parked(2);
    let moved = fleet.open_with(1, &claim(&pid, "7000-0"));
    for _ in 0..3 {
        fleet.take(1, 1);
        fleet.read(1, 1);
        fleet.answer(1);
    }
    assert_eq!(ids(&fleet, moved), ids(&fleet, client), "it was in the store");
    fleet.at(1, |at| at.all().emit("processed there", &()).unwrap());
    fleet.take(1, 1);
    fleet.read(1, usize::MAX);
    let last = fleet.frames(moved).last().unwrap();
    let offset = last.split('"').nth(3).unwrap().to_owned();
    fleet.lose(moved);
    let back = fleet.open_with(0, &claim(&pid, &offset));
    fleet.settle();
    assert_eq!(ids(&fleet, back), ids(&fleet, client));
    assert_eq!(outcome(&fleet, 0), RecoveryOutcome::Recovered { replayed: 0 });
}

/// Nobody is in the namespace any more when the session arrives.
#[test]
fn a_session_of_a_dynamic_namespace_waits_for_its_client_where_it_was_claimed() {
    let mut fleet = Fleet::new(3);
    let client = fleet.open_with(0, "40/d,");
    fleet.settle();
    let (pid, _) = ids(&fleet, client);
    let packet = format!(r#"40/d,{{"pid":"{pid}"}}"#);
    let abandoned = fleet.open_with(1, &packet);
    fleet.take(1, 1);
    fleet.lose(abandoned);
    fleet.settle();
    let back = fleet.open_with(2, &packet);
    fleet.settle();
    fleet.wait(2_000);
    assert_eq!(ids(&fleet, back), ids(&fleet, client));
}
