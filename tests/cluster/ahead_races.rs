//! Claims of sessions that nodes write ahead race with each other, with the application, and with nodes that
//! store sessions when they are parked.

use socketio_proto::{
    cluster::Durability,
    recovery::{RecoveryOutcome, RecoveryRefusal},
};

use crate::{
    ahead::{AHEAD, RECOVERED, come_back, connected, offset_of, version},
    fleet::{Client, Fleet},
    follow::asked,
    moves::{claim, ids, outcome},
    store::refused,
};

/// A client of node 0 that has processed an event and has lost its link. Returns also the CONNECT with
/// which it comes back.
fn parked(fleet: &mut Fleet) -> (Client, String) {
    let client = fleet.open(0);
    fleet.at(0, |at| at.all().emit("processed", &()).unwrap());
    fleet.settle();
    let again = claim(&ids(fleet, client).0, &offset_of(fleet, client, "processed"));
    fleet.lose(client);
    (client, again)
}

/// The application of the owner decides about a claim for so long that another node takes the record.
#[test]
fn a_claim_that_is_being_decided_is_superseded_when_the_session_leaves() {
    let (mut fleet, client, socket) = connected(&[AHEAD, AHEAD]);
    let of_client = ids(&fleet, client);
    fleet.lose(client);
    fleet.settle();
    let back = come_back(&mut fleet, client);
    fleet.nodes[0].answers_late = true;
    fleet.open_with(0, &claim(&of_client.0, &offset_of(&fleet, client, "processed")));
    fleet.settle();
    let asked = asked(&fleet);
    fleet.wait(500);
    fleet.settle();
    assert_eq!((ids(&fleet, back), outcome(&fleet, 1)), (of_client, RECOVERED));
    fleet.at(0, |at| at.set_data(socket, 9));
    fleet.settle();
    fleet.at(0, |at| at.accept(asked));
    assert_eq!(outcome(&fleet, 0), refused(RecoveryRefusal::Superseded));
}

/// The application of the owner decides about a claim. Another node has claimed the session, and takes the
/// record out of the store meanwhile. So no marker proves that nobody has it.
#[test]
fn a_claim_that_waits_for_a_decision_may_take_the_record() {
    let mut fleet = Fleet::durable(&[AHEAD, Durability::OnPark, AHEAD]);
    let client = fleet.open(2);
    fleet.settle();
    for name in ["processed", "missed"] {
        fleet.at(1, |at| at.all().emit(name, &()).unwrap());
    }
    fleet.settle();
    let of_client = ids(&fleet, client);
    let claim = claim(&of_client.0, &offset_of(&fleet, client, "processed"));
    fleet.lose(client);
    fleet.settle();
    // Node 0 gets the session, asks its application, and has not written the record yet.
    fleet.nodes[0].answers_late = true;
    fleet.open_with(0, &claim);
    fleet.take(0, 1);
    fleet.read(2, usize::MAX);
    fleet.take(2, usize::MAX);
    fleet.read(0, usize::MAX);
    let asked = asked(&fleet);
    let back = fleet.open_with(1, &claim);
    fleet.take(1, usize::MAX);
    (0..2).for_each(|node| fleet.read(node, usize::MAX));
    fleet.take(1, usize::MAX);
    fleet.answer(1);
    fleet.wait(500);
    fleet.take(1, usize::MAX);
    fleet.answer(1);
    assert_eq!((ids(&fleet, back), outcome(&fleet, 1)), (of_client, RECOVERED));
    fleet.settle();
    fleet.at(0, |at| at.accept(asked));
    assert_eq!(outcome(&fleet, 0), refused(RecoveryRefusal::Superseded));
}

/// A node that stores sessions when they are parked has not heard that its session has gone on at a
/// node that writes ahead. It takes the record back, its connection is lost with the reply, and then the
/// other node crashes.
#[test]
fn a_node_that_is_behind_does_not_take_what_another_one_has_written_ahead() {
    let mut fleet = Fleet::durable(&[Durability::OnPark, AHEAD, AHEAD]);
    let (client, again) = parked(&mut fleet);
    fleet.take(0, 0);
    fleet.answer(0);
    let moved = fleet.open_with(1, &again);
    fleet.take(1, 1);
    fleet.read(1, 1);
    for _ in 0..4 {
        fleet.take(1, 0);
        fleet.answer(1);
    }
    assert_eq!(ids(&fleet, moved), ids(&fleet, client));
    let written = version(&fleet, client);

    let late = fleet.open_with(0, &again);
    fleet.lose(late);
    fleet.take(0, 0);
    fleet.cut(0, 0);
    assert_eq!(version(&fleet, client), written);
    fleet.crash(1);
    fleet.connect(0);
    let back = fleet.open_with(2, &again);
    fleet.settle();
    fleet.wait(500);
    fleet.settle();
    assert_eq!(
        (ids(&fleet, back), outcome(&fleet, 2)),
        (ids(&fleet, client), RecoveryOutcome::Recovered { replayed: 0 })
    );
}

/// A session goes back to the node that it has just come from, after the other node has taken its record for a
/// client of its own, and has not heard of that. That client then claims the session once more, and yields to who has it. So the
/// record that is missing was not taken for this claim.
#[test]
fn a_claim_that_yields_does_not_take_the_record_that_is_missing() {
    let mut fleet = Fleet::durable(&[AHEAD, Durability::OnPark]);
    let (client, again) = parked(&mut fleet);
    fleet.settle();
    fleet.open_with(1, &again);
    fleet.take(1, usize::MAX);
    fleet.read(0, usize::MAX);
    fleet.nodes[0].answers_late = true;
    fleet.open_with(0, &again);
    fleet.take(0, usize::MAX);
    // Node 1 gets the session, and loses it again. The store gives the record back, but the reply is lost.
    fleet.read(1, usize::MAX);
    fleet.take(1, usize::MAX);
    fleet.cut(1, 0);
    fleet.connect(1);
    fleet.read(1, usize::MAX);
    fleet.take(1, usize::MAX);
    assert_eq!(version(&fleet, client), None);
    // The application of node 0 is asked before the claim that yields is read.
    fleet.read(0, usize::MAX);
    let asked = asked(&fleet);
    fleet.settle();
    fleet.at(0, |at| at.accept(asked));
    fleet.settle();
    assert_eq!(outcome(&fleet, 0), RecoveryOutcome::Recovered { replayed: 0 });
    assert_eq!(outcome(&fleet, 1), refused(RecoveryRefusal::Superseded));
}

/// The same, and a third node has claimed the session in between. It gets the session, and its client has
/// gone, so the claim that yields is answered from there.
#[test]
fn a_claim_that_yields_is_answered_by_the_node_that_the_session_goes_to() {
    let mut fleet = Fleet::durable(&[AHEAD, Durability::OnPark, Durability::OnPark]);
    let (client, again) = parked(&mut fleet);
    fleet.settle();
    let at_other = fleet.open_with(1, &again);
    fleet.take(1, usize::MAX);
    fleet.read(0, usize::MAX);
    fleet.open_with(0, &again);
    fleet.take(0, usize::MAX);
    let gone = fleet.open_with(2, &again);
    fleet.take(2, usize::MAX);
    fleet.read(2, usize::MAX);
    fleet.lose(gone);
    fleet.read(1, usize::MAX);
    fleet.take(1, usize::MAX);
    assert_eq!(version(&fleet, client), None);
    fleet.settle();
    assert_eq!(
        (ids(&fleet, at_other), outcome(&fleet, 1)),
        (ids(&fleet, client), RecoveryOutcome::Recovered { replayed: 0 })
    );
}
