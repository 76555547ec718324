//! Clients that come back in time, and must not be refused.

use socketio_proto::{hub::Audience, recovery::RecoveryRefusal, socket::Event};

use crate::{
    fleet::Fleet,
    follow::asked,
    moves::{claim, ids, outcome},
    store::{RECOVERED, parked_socket, refused, stored},
};

fn emit(fleet: &mut Fleet, namespace: &str, name: &str) {
    let event = Event::new(name, &()).unwrap();
    fleet.at(0, |at| at.broadcast(namespace, &Audience::all(), &event).unwrap());
}

/// Between the latest packet before a session and its beginning, the channel has entries of other
/// namespaces. A node that begins to read there has everything that the session needs.
#[test]
fn a_node_that_has_read_since_a_session_began_can_go_on_with_it() {
    for is_owner_there in [true, false] {
        let mut fleet = Fleet::new(2);
        emit(&mut fleet, "/", "before");
        emit(&mut fleet, "/b", "of another namespace");
        fleet.settle();
        fleet.channel.trim(2);
        fleet.crash(1);
        fleet.connect(1);
        fleet.settle();
        let client = fleet.open(0);
        fleet.settle();
        emit(&mut fleet, "/", "missed");
        fleet.settle();
        let of_client = ids(&fleet, client);
        fleet.lose(client);
        fleet.settle();
        if !is_owner_there {
            fleet.crash(0);
        }
        let back = fleet.open_with(1, &format!(r#"40{{"pid":"{}"}}"#, of_client.0));
        fleet.settle();
        assert_eq!((ids(&fleet, back), fleet.got(back)), (of_client, vec!["missed".to_owned()]));
    }
}

/// The last client of a namespace is claimed by another node. So the owner has nobody there any more,
/// and says goodbye. Its answer to the claim is still on its way.
#[test]
fn a_node_that_says_goodbye_may_have_handed_the_session_over() {
    let mut fleet = Fleet::new(2);
    let client = fleet.open_with(0, "40/d");
    // The claimant knows the owner as a member of the namespace.
    let other = fleet.open_with(1, "40/d");
    fleet.settle();
    fleet.wait(1_500);
    fleet.settle();
    let answer = fleet.frames(client)[0].replacen("/d,", "", 1);
    let pid = answer.split('"').nth(7).unwrap().to_owned();
    let back = fleet.open_with(1, &format!(r#"40/d,{{"pid":"{pid}"}}"#));
    fleet.take(1, 1);
    fleet.read(0, 1);
    fleet.read(1, 1);
    while !fleet.nodes[1].inbox.is_empty() {
        fleet.receive(1);
    }
    fleet.take(1, 0);
    fleet.answer(1);
    fleet.settle();
    assert_eq!(fleet.frames(back)[0], fleet.frames(client)[0]);
    fleet.lose(other);
}

/// A client that has a wrong offset cannot be recovered, at no node. So its claim says nothing about
/// where the session is, if the reply of the store is lost later.
#[test]
fn a_claim_with_a_wrong_offset_leaves_no_doubt_about_the_session() {
    for offset in ["x", "9999-0", "6774d5c0a1b2c3d4e5f60718"] {
        let mut fleet = Fleet::new(2);
        let client = fleet.open(0);
        emit(&mut fleet, "/", "processed");
        fleet.settle();
        let of_client = ids(&fleet, client);
        let wrong = fleet.open_with(1, &claim(&of_client.0, offset));
        fleet.settle();
        assert_eq!(outcome(&fleet, 1), refused(RecoveryRefusal::InvalidOffset));
        fleet.lose(wrong);
        // The record does not reach the store, and the node does not know.
        fleet.lose(client);
        fleet.nodes[0].in_flight.clear();
        fleet.cut(0, 0);
        fleet.connect(0);
        fleet.settle();
        let back = fleet.open_with(1, &claim(&of_client.0, "7000-0"));
        fleet.settle();
        assert_eq!(ids(&fleet, back), of_client);
    }
}

/// The owner of a session is paused, and comes back after the claimant has begun to take the record. It
/// cannot hand the session over any more, but the claimant can go on with the record.
#[test]
fn a_record_that_was_taken_is_not_lost_because_the_owner_has_refused() {
    let (mut fleet, client, pid) = stored(2);
    let back = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.take(1, 1);
    fleet.read(1, 1);
    fleet.take(1, 0);
    fleet.answer(1);
    // It has looked at the record and takes it. By the time of the owner, the session has expired.
    let now = fleet.now;
    fleet.now = now.saturating_add(std::time::Duration::from_secs(3 * 60));
    fleet.read(0, 1);
    fleet.take(0, 1);
    fleet.now = now;
    fleet.read(1, 1);
    fleet.settle();
    assert_eq!((ids(&fleet, back), outcome(&fleet, 1)), (client, RECOVERED));
}

/// A session waits for what its node has emitted before, and has a claim by then. After a gap, the node
/// does what has waited, but not in the place where it belongs. The session must not leave with that.
#[test]
fn a_session_does_not_leave_a_node_that_has_a_gap() {
    let mut fleet = Fleet::new(2);
    let client = fleet.open(0);
    emit(&mut fleet, "/", "processed");
    fleet.settle();
    let of_client = ids(&fleet, client);
    let socket = fleet.socket(client);
    let back = fleet.open_with(1, &claim(&of_client.0, "7000-0"));
    fleet.at(0, |at| {
        at.to("room").emit("before it joins", &()).unwrap();
        at.join(socket, "room").unwrap();
    });
    fleet.take(1, 1);
    fleet.read(0, 1);
    fleet.take(0, 1);
    fleet.cut(0, 0);
    fleet.settle();
    fleet.channel.trim(fleet.channel.entries.len());
    fleet.connect(0);
    fleet.settle();
    fleet.wait(1_000);
    fleet.settle();
    assert_ne!(ids(&fleet, back), of_client);
    assert!(fleet.got(back).is_empty());
}

/// Node 1 claims a session twice, and node 2 in between. The store gives it to the second claim of
/// node 1. The answer to the first one comes after that. The session must not go to node 2 now: from
/// there it would go on to the second claim, which nobody waits for any more.
#[test]
fn a_session_does_not_go_back_to_an_earlier_claim() {
    let (mut fleet, client, pid) = stored(3);
    let claim = claim(&pid, "7000-0");
    let given_up = fleet.open_with(1, &claim);
    fleet.take(1, 1);
    fleet.lose(given_up);
    let between = fleet.open_with(2, &claim);
    fleet.take(2, 1);
    let last = fleet.open_with(1, &claim);
    fleet.take(1, 1);
    fleet.read(1, 3);
    for _ in 0..2 {
        fleet.take(1, 0);
        fleet.answer(1);
    }
    assert_eq!((ids(&fleet, last), outcome(&fleet, 1)), (client.clone(), RECOVERED));
    fleet.settle();
    assert_eq!(outcome(&fleet, 2), refused(RecoveryRefusal::Superseded));
    assert_eq!(fleet.got(last), ["missed"], "it is still connected");
    fleet.lose(between);
    fleet.lose(last);
    let back = fleet.open_with(0, &claim);
    fleet.settle();
    assert_eq!(ids(&fleet, back), client);
}

/// A node takes back the record of a session, which leaves meanwhile. The command reaches the store when
/// the next node has stored the session there.
#[test]
fn a_node_does_not_take_the_record_that_another_one_has_stored() {
    let (mut fleet, client, pid) = stored(3);
    let claim = claim(&pid, "7000-0");
    let moved = fleet.open_with(1, &claim);
    fleet.take(1, 1);
    fleet.read(1, 1);
    for _ in 0..2 {
        fleet.take(1, 0);
        fleet.answer(1);
    }
    assert_eq!(ids(&fleet, moved), client);
    let late = fleet.open_with(0, &claim);
    fleet.lose(late);
    fleet.read(0, 1);
    fleet.lose(moved);
    fleet.take(1, 0);
    assert!(fleet.store.sessions.contains_key(&pid));
    fleet.take(0, 0);
    assert!(fleet.store.sessions.contains_key(&pid), "it is another version");
    fleet.settle();
    let back = fleet.open_with(2, &claim);
    fleet.settle();
    assert_eq!((ids(&fleet, back), outcome(&fleet, 2)), (client, RECOVERED));
}

/// The claimant has not heard yet that the owner has come to the namespace, but knows the node from
/// another one.
#[test]
fn a_node_that_is_known_from_another_namespace_is_waited_for() {
    let mut fleet = Fleet::new(2);
    fleet.open_with(1, "40/d");
    fleet.settle();
    fleet.wait(1_500);
    fleet.settle();
    let client = fleet.open_with(0, "40/d");
    fleet.nodes[1].inbox.clear();
    let pid = fleet.frames(client)[0].split('"').nth(7).unwrap().to_owned();
    let back = fleet.open_with(1, &format!(r#"40/d,{{"pid":"{pid}"}}"#));
    fleet.take(1, 1);
    fleet.read(0, 1);
    fleet.read(1, 1);
    fleet.take(1, 0);
    fleet.answer(1);
    fleet.settle();
    assert_eq!(fleet.frames(back)[0], fleet.frames(client)[0]);
}

/// The owner takes the record back before the claimant can, and its application decides about somebody
/// who cannot have the session. The claimant waits for that.
#[test]
fn a_claim_that_comes_to_nothing_keeps_the_session_from_nobody() {
    let (mut fleet, client, pid) = stored(2);
    let socket = parked_socket(&fleet);
    fleet.nodes[0].answers_late = true;
    fleet.open_with(0, &claim(&pid, "x"));
    let back = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.take(1, 1);
    fleet.read(1, 1);
    fleet.take(1, 0);
    fleet.answer(1);
    fleet.at(0, |at| at.set_data(socket, 8));
    fleet.take(0, 0);
    fleet.settle();
    let asked = asked(&fleet);
    fleet.at(0, |at| at.accept(asked));
    fleet.settle();
    assert_eq!((ids(&fleet, back), outcome(&fleet, 1)), (client, RECOVERED));
}

/// Node 2 takes the record for its claim, but node 1, which has claimed the session later, has had it and
/// has stored it again.
#[test]
fn a_record_is_not_taken_from_a_later_claimant() {
    let (mut fleet, client, pid) = stored(3);
    let claim = claim(&pid, "7000-0");
    let first = fleet.open_with(2, &claim);
    fleet.take(2, 1);
    fleet.read(2, 1);
    fleet.take(2, 0);
    fleet.answer(2);
    let later = fleet.open_with(1, &claim);
    fleet.take(1, 1);
    fleet.read(1, 2);
    for _ in 0..2 {
        fleet.take(1, 0);
        fleet.answer(1);
    }
    assert_eq!((ids(&fleet, later), outcome(&fleet, 1)), (client.clone(), RECOVERED));
    fleet.read(2, 1);
    fleet.lose(later);
    fleet.take(1, 0);
    fleet.take(2, 0);
    fleet.lose(first);
    fleet.settle();
    let back = fleet.open_with(0, &claim);
    fleet.settle();
    assert_eq!((ids(&fleet, back), outcome(&fleet, 0)), (client, RECOVERED));
}

/// Node 1 claims the session of node 2 with a right and then with a wrong offset, after node 0 has
/// claimed it. The store gives it to the right claim. The owner hands its copy over to node 0.
#[test]
fn a_claim_with_a_wrong_offset_hides_no_other_claim() {
    let (mut fleet, client, pid) = stored(3);
    let right = claim(&pid, "7000-0");
    let first = fleet.open_with(2, &right);
    fleet.take(2, 1);
    let back = fleet.open_with(1, &right);
    fleet.take(1, 1);
    fleet.open_with(1, &claim(&pid, "x"));
    fleet.take(1, 1);
    fleet.read(2, 3);
    fleet.take(2, 0);
    fleet.answer(2);
    fleet.read(1, 3);
    for _ in 0..2 {
        fleet.take(1, 0);
        fleet.answer(1);
    }
    assert_eq!((ids(&fleet, back), outcome(&fleet, 1)), (client, RECOVERED));
    fleet.read(0, 1);
    fleet.take(0, 1);
    fleet.read(2, 1);
    fleet.settle();
    assert!(!outcome(&fleet, 2).is_recovered(), "node 1 has it");
    fleet.lose(first);
}
