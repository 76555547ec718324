//! What is done to sessions in the store, and when they end.

use socketio_proto::{
    SocketKey, Timestamp,
    hub::{At, Audience, Once},
    recovery::RecoveryRefusal,
};

use crate::{
    fleet::Fleet,
    moves::{claim, ids, outcome},
    store::{parked_socket, refused, stored},
};

/// What all nodes do to a room reaches a session that is in the store only.
#[test]
fn h53_joins_and_leaves_reach_a_session_that_is_parked_in_the_store_only() {
    let (mut fleet, _, pid) = stored(3);
    fleet.crash(0);
    let room = Audience::room("room");
    fleet.at(1, |at| {
        at.sockets_join("/", &room, "annex").unwrap();
        at.to("annex").emit("in the annex", &()).unwrap();
        at.sockets_leave("/", &Audience::room("annex"), "room").unwrap();
        at.to("room").emit("not in the room", &()).unwrap();
        at.sockets_join("/", &room, "not for it").unwrap();
    });
    fleet.settle();
    let back = fleet.open_with(2, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!(fleet.got(back), ["missed", "in the annex"]);
    let rooms: Vec<&str> = fleet.nodes[2].server.rooms(fleet.socket(back)).collect();
    assert_eq!(rooms[1..], ["annex"]);
}

/// So does a kick, and it is final.
#[test]
fn h53_a_kick_of_a_session_that_is_parked_in_the_store_only_is_final() {
    let (mut fleet, client, pid) = stored(3);
    fleet.crash(0);
    fleet.at(1, |at| at.disconnect_sockets("/", &Audience::room("room"), false).unwrap());
    fleet.settle();
    for node in [1, 2] {
        let back = fleet.open_with(node, &claim(&pid, "7000-0"));
        fleet.settle();
        assert_eq!(outcome(&fleet, node), refused(RecoveryRefusal::Unknown));
        assert_ne!(ids(&fleet, back).1, client.1);
    }
}

/// What the application of the owner does to one parked socket is not lost if the owner dies.
#[test]
fn what_the_owner_does_to_a_parked_socket_goes_with_it() {
    let (mut fleet, _, pid) = stored(2);
    let socket = parked_socket(&fleet);
    fleet.at(0, |at| {
        assert_eq!(at.join(socket, "later"), Ok(true));
        at.to("later").emit("later", &()).unwrap();
        assert!(at.leave(socket, "room"));
        at.to("room").emit("not in the room", &()).unwrap();
        at.set_data(socket, 8);
    });
    fleet.settle();
    fleet.crash(0);
    let back = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!(fleet.got(back), ["missed", "later"]);
    assert_eq!(fleet.nodes[1].server.data(fleet.socket(back)), Some(&8));
}

/// Its driver does not wait for anything else.
#[test]
fn what_is_done_to_a_parked_socket_is_put_out_at_once() {
    type Act = fn(&mut At<'_, u32>, SocketKey);
    let acts: [Act; 4] = [
        |at, socket| assert_eq!(at.join(socket, "later"), Ok(true)),
        |at, socket| assert!(at.leave(socket, "room")),
        |at, socket| assert_eq!(at.set_data(socket, 8), Some(7)),
        |at, socket| assert!(at.accept_once(socket, "offset", None).is_ok()),
    ];
    for (number, act) in acts.into_iter().enumerate() {
        let (mut fleet, ..) = stored(2);
        let socket = parked_socket(&fleet);
        let sent = fleet.nodes[0].in_flight.len();
        fleet.at(0, |at| act(at, socket));
        assert_eq!(fleet.nodes[0].in_flight.len(), sent + 1, "{number}");
    }
}

#[test]
fn an_event_that_was_accepted_for_a_parked_socket_is_known_elsewhere() {
    let (mut fleet, _, pid) = stored(2);
    let socket = parked_socket(&fleet);
    let accepted = fleet.at(0, |at| at.accept_once(socket, "offset", None));
    assert!(matches!(accepted, Ok(Once::Fresh(None))));
    fleet.settle();
    fleet.crash(0);
    let back = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.settle();
    let socket = fleet.socket(back);
    let again = fleet.at(1, |at| at.accept_once(socket, "offset", None));
    assert!(matches!(again, Ok(Once::Duplicate)));
}

/// Otherwise the record would be wrong about what was emitted after that.
#[test]
fn a_session_is_stored_once_nothing_waits_that_changes_it() {
    let mut fleet = Fleet::new(2);
    let client = fleet.open(0);
    let socket = fleet.socket(client);
    let of_client = ids(&fleet, client);
    fleet.at(0, |at| {
        at.join(socket, "room").unwrap();
        at.to("room").emit("before", &()).unwrap();
        at.leave(socket, "room");
        at.to("room").emit("after", &()).unwrap();
    });
    fleet.lose(client);
    fleet.take(0, 2);
    assert!(fleet.store.sessions.is_empty());
    fleet.read(0, 1);
    fleet.take(0, 0);
    assert!(fleet.store.sessions.contains_key(&of_client.0));
    fleet.crash(0);
    let back = fleet.open_with(1, &claim(&of_client.0, ""));
    fleet.settle();
    assert_eq!((ids(&fleet, back), fleet.got(back)), (of_client, vec!["before".into()]));
}

#[test]
fn a_session_that_has_ended_leaves_no_record() {
    // The application ends it, or its time is over.
    for is_kicked in [true, false] {
        let (mut fleet, client, pid) = stored(2);
        let socket = parked_socket(&fleet);
        if is_kicked {
            fleet.at(0, |at| assert!(at.disconnect(socket, false)));
        } else {
            // The clock of the engine is slow.
            let (_, expires) = fleet.store.sessions.get_mut(&pid).unwrap();
            *expires = Timestamp::from_millis(u64::MAX);
            fleet.wait(120_000);
        }
        fleet.settle();
        assert!(fleet.store.sessions.is_empty(), "{is_kicked}");
        let back = fleet.open_with(1, &claim(&pid, "7000-0"));
        fleet.settle();
        fleet.wait(1_000);
        fleet.settle();
        assert_ne!(ids(&fleet, back).1, client.1);
    }
}
