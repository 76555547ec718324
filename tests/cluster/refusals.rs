//! Clients that come back in time, and must not be refused.

use socketio_proto::{hub::Audience, socket::Event};

use crate::{
    fleet::Fleet,
    moves::{claim, ids},
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
