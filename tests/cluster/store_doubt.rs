//! The reply to the command that takes a record is lost, and another node had claimed the session before, in vain. So
//! it could have taken the record.

use socketio_proto::{recovery::RecoveryRefusal, server::ServerEvent};

use crate::{
    fleet::{Client, Fleet},
    moves::{claim, ids, outcome},
    store::{RECOVERED, refused, stored},
    store_races::stored_without_reply,
};

/// A client of node 0 is away. Node 2, which does not have everything since, has claimed its session and was refused.
/// The nodes know each other.
fn contested() -> (Fleet, (String, String)) {
    let (mut fleet, client, pid) = stored(3);
    fleet.channel.trimmed = fleet.channel.entries.len();
    fleet.crash(2);
    fleet.connect(2);
    fleet.settle();
    get_to_know(&mut fleet);
    fleet.open_with(2, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!(outcome(&fleet, 2), refused(RecoveryRefusal::Gap));
    (fleet, client)
}

/// The client comes back to node 0. The reply to the command that takes the record is lost.
fn come_in_doubt(fleet: &mut Fleet, (pid, _): &(String, String)) -> Client {
    let back = fleet.open_with(0, &claim(pid, "7000-0"));
    fleet.take(0, 0);
    assert!(fleet.store.sessions.is_empty(), "it was taken");
    fleet.cut(0, 0);
    back
}

fn in_doubt() -> (Fleet, (String, String), Client) {
    let (mut fleet, of_client) = contested();
    let back = come_in_doubt(&mut fleet, &of_client);
    (fleet, of_client, back)
}

/// The engine is back, and the nodes know each other again.
fn go_on(fleet: &mut Fleet) {
    fleet.connect(0);
    fleet.settle();
    get_to_know(fleet);
}

/// After a lost connection, a node gives the others a second to introduce themselves.
fn get_to_know(fleet: &mut Fleet) {
    for _ in 0..2 {
        fleet.wait(500);
        fleet.settle();
    }
}

#[test]
fn a_session_goes_on_if_no_other_node_has_it() {
    let (mut fleet, of_client, back) = in_doubt();
    go_on(&mut fleet);
    assert_eq!((ids(&fleet, back), outcome(&fleet, 0)), (of_client, RECOVERED));
    fleet.at(2, |at| at.all().emit("live", &()).unwrap());
    fleet.settle();
    assert_eq!(fleet.got(back), ["missed", "live"]);
}

/// It waits for the next client, also if that comes to another node, and before the others have answered.
#[test]
fn a_session_goes_on_without_its_client() {
    for (node, is_early) in [(0, true), (1, true), (0, false), (1, false)] {
        let (mut fleet, of_client, back) = in_doubt();
        fleet.lose(back);
        fleet.connect(0);
        fleet.settle();
        fleet.wait(500);
        if !is_early {
            get_to_know(&mut fleet);
        }
        let back = fleet.open_with(node, &claim(&of_client.0, "7000-0"));
        fleet.settle();
        get_to_know(&mut fleet);
        assert_eq!(ids(&fleet, back), of_client, "{node} {is_early}");
        assert_eq!(fleet.sessions(2), 1);
    }
}

/// A node that has the session says so, or hands it over.
#[test]
fn a_session_that_another_node_has_ends_here() {
    for is_connected in [true, false] {
        let (mut fleet, of_client) = contested();
        let other = fleet.open_with(1, &claim(&of_client.0, "7000-0"));
        fleet.take(1, 1);
        fleet.read(1, usize::MAX);
        for _ in 0..2 {
            fleet.take(1, 0);
            fleet.answer(1);
        }
        assert_eq!(ids(&fleet, other), of_client, "node 1 has taken the record");
        let back = come_in_doubt(&mut fleet, &of_client);
        if !is_connected {
            fleet.lose(other);
        }
        go_on(&mut fleet);
        // It has come later than the other client.
        assert_eq!(ids(&fleet, back), of_client);
        fleet.at(2, |at| at.all().emit("live", &()).unwrap());
        fleet.settle();
        assert_eq!(fleet.got(back), ["missed", "live"]);
        assert_eq!(fleet.sessions(2), 1, "{is_connected}");
    }
}

/// The node that had claimed it has died, perhaps with the session. What this node has is older than that.
#[test]
fn a_session_ends_if_a_node_that_may_have_had_it_has_died() {
    for is_replaced in [true, false] {
        let (mut fleet, of_client) = contested();
        let back = come_in_doubt(&mut fleet, &of_client);
        fleet.crash(2);
        if is_replaced {
            fleet.connect(2);
        }
        go_on(&mut fleet);
        if !is_replaced {
            assert!(fleet.frames(back).is_empty(), "node 2 may have it");
            fleet.wait(20_000);
        }
        get_to_know(&mut fleet);
        assert_eq!(fleet.sessions(2), 1, "a new one");
        assert_ne!(ids(&fleet, back), of_client, "{is_replaced}");
    }
}

/// There is no room for its question. It is asked as soon as there is.
#[test]
fn a_node_without_room_asks_later() {
    let (mut fleet, of_client, back) = in_doubt();
    for _ in 0..20 {
        fleet.at(0, |at| at.to("nobody").emit("waits", &()).unwrap());
    }
    go_on(&mut fleet);
    get_to_know(&mut fleet);
    assert_eq!(ids(&fleet, back), of_client);
}

/// The owner, node 0, keeps the latest claim until its application has decided about another client. Node 1, which has
/// claimed the session before node 2, has taken the record. Returns the clients of nodes 1 and 2.
pub fn claimed_before_a_decision() -> (Fleet, (String, String), [Client; 2]) {
    let mut fleet = Fleet::new(3);
    let of_client = stored_without_reply(&mut fleet);
    fleet.read(0, usize::MAX);
    fleet.nodes[0].answers_late = true;
    fleet.open_with(0, &claim(&of_client.0, "no offset"));
    let claims = [1, 2].map(|node| {
        let client = fleet.open_with(node, &claim(&of_client.0, "7000-0"));
        fleet.take(node, 1);
        client
    });
    // Node 1 reads its own claim only.
    fleet.read(1, 1);
    for _ in 0..2 {
        fleet.take(1, 0);
        fleet.answer(1);
    }
    assert_eq!(ids(&fleet, claims[0]), of_client);
    (fleet, of_client, claims)
}

/// The owner reads both claims, and finds no record. Then it decides, and everything else happens.
pub fn decide(fleet: &mut Fleet) {
    fleet.read(0, usize::MAX);
    for _ in 0..2 {
        fleet.take(0, 1);
        fleet.read(0, usize::MAX);
    }
    let mut latest = fleet.nodes[0].events.iter().rev();
    let request = latest.find_map(|event| match event {
        ServerEvent::ConnectRequested { request, recoverable: None, .. } => Some(*request),
        _ => None,
    });
    fleet.at(0, |at| at.accept(request.unwrap()));
    fleet.settle();
}

/// A marker of the owner does not show that the node of an earlier claim has taken the record.
#[test]
fn a_claim_that_a_later_one_has_replaced_counts() {
    let (mut fleet, of_client, claims) = claimed_before_a_decision();
    let at_first = fleet.socket(claims[0]);
    fleet.at(1, |at| at.set_data(at_first, 9));
    decide(&mut fleet);
    assert_eq!(ids(&fleet, claims[1]), of_client);
    let at_second = fleet.socket(claims[1]);
    assert_eq!(fleet.nodes[2].server.data(at_second), Some(&9));
    fleet.wait(2_000);
    fleet.settle();
    assert_eq!(fleet.sessions(3), 2, "that of the client without an offset is new");
}
