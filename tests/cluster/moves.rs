//! Sessions move between nodes.

use socketio_proto::{
    SocketKey,
    hub::{AckToken, At, Audience, DisconnectReason, Once},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::ServerEvent,
    socket::Args,
};

use crate::fleet::{Client, Fleet};

/// The private id and the id in the answer to CONNECT.
pub fn ids(fleet: &Fleet, client: Client) -> (String, String) {
    let answer = &fleet.frames(client)[0];
    let mut parts = answer.split('"');
    let sid = parts.nth(3).unwrap().to_owned();
    (parts.nth(3).unwrap().to_owned(), sid)
}

pub fn claim(pid: &str, offset: &str) -> String {
    format!(r#"40{{"pid":"{pid}","offset":"{offset}"}}"#)
}

pub fn outcome(fleet: &Fleet, node: usize) -> RecoveryOutcome {
    let mut latest = fleet.nodes[node].events.iter().rev();
    let found = latest.find_map(|event| match event {
        ServerEvent::Connected { recovery, .. } => Some(*recovery),
        _ => None,
    });
    found.unwrap()
}

/// A client at node 0 that has processed the event at 7000-0, is in a room, and has missed an event.
/// Returns the fleet, the client and its private id.
pub fn parked(nodes: usize) -> (Fleet, Client, String) {
    let mut fleet = Fleet::new(nodes);
    let client = fleet.open(0);
    let socket = fleet.socket(client);
    fleet.at(0, |at| {
        at.join(socket, "room").unwrap();
        at.set_data(socket, 7);
    });
    fleet.at(1, |at| at.to("room").emit("processed", &()).unwrap());
    fleet.settle();
    fleet.lose(client);
    fleet.at(1, |at| at.to("room").emit("missed", &()).unwrap());
    fleet.at(1, |at| at.to("another room").emit("not missed", &()).unwrap());
    fleet.settle();
    let (pid, _) = ids(&fleet, client);
    (fleet, client, pid)
}

/// In a cluster of the reference, what is published between the replay and the first live event is
/// lost, or delivered twice.
#[test]
fn h20_h22_a_parked_session_is_recovered_at_another_node() {
    let (mut fleet, client, pid) = parked(3);
    let back = fleet.open_with(2, &claim(&pid, "7000-0"));
    assert!(fleet.frames(back).is_empty(), "it waits for the other node");
    fleet.at(1, |at| at.to("room").emit("meanwhile", &()).unwrap());
    fleet.settle();
    fleet.at(1, |at| at.to("room").emit("live", &()).unwrap());
    fleet.settle();
    assert_eq!(ids(&fleet, back), ids(&fleet, client));
    assert_eq!(fleet.got(back), ["missed", "meanwhile", "live"]);
    assert_eq!(outcome(&fleet, 2), RecoveryOutcome::Recovered { replayed: 2 });
    let socket = fleet.socket(back);
    assert_eq!(fleet.nodes[2].server.data(socket), Some(&7));
    let rooms: Vec<&str> = fleet.nodes[2].server.rooms(socket).collect();
    assert_eq!(rooms[1..], ["room"]);
    let total = |node: usize| fleet.nodes[node].server.stats().total;
    assert_eq!((total(0).sessions_moved, total(2).sessions_arrived), (1, 1));
    assert_eq!(fleet.nodes[0].server.stats().parked_sessions, 0);
}

/// A node of the reference has no session of a client whose loss it has not noticed.
#[test]
fn h03_h07_a_session_that_is_still_connected_elsewhere_is_taken_over() {
    let mut fleet = Fleet::new(2);
    let client = fleet.open(0);
    fleet.at(1, |at| at.all().emit("processed", &()).unwrap());
    fleet.settle();
    fleet.at(1, |at| at.all().emit("lost on the way", &()).unwrap());
    fleet.settle();
    let (pid, sid) = ids(&fleet, client);
    let back = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.settle();
    fleet.at(0, |at| at.all().emit("live", &()).unwrap());
    fleet.settle();
    assert_eq!(fleet.got(client), ["processed", "lost on the way", "closed"]);
    assert_eq!(
        (ids(&fleet, back).1, fleet.got(back)),
        (sid, vec!["lost on the way".into(), "live".into()])
    );
    let ended = fleet.nodes[0].events.iter().any(|event| {
        matches!(
            event,
            ServerEvent::Disconnected { reason: DisconnectReason::Moved, data: Some(0), .. }
        )
    });
    assert!(ended, "the application learns of it");
}

#[test]
fn a_session_moves_on_and_back_and_has_missed_nothing() {
    let (mut fleet, client, pid) = parked(3);
    let mut offset = "7000-0".to_owned();
    let mut got = Vec::new();
    for (turn, node) in [1, 2, 0, 0, 1].into_iter().enumerate() {
        let back = fleet.open_with(node, &claim(&pid, &offset));
        fleet.settle();
        fleet.at(2, |at| at.to("room").emit(&format!("live {turn}"), &()).unwrap());
        fleet.settle();
        assert_eq!(ids(&fleet, back), ids(&fleet, client));
        got.extend(fleet.got(back));
        let last = fleet.frames(back).last().unwrap();
        offset = last.split('"').nth(3).unwrap().to_owned();
        fleet.lose(back);
    }
    assert_eq!(got, ["missed", "live 0", "live 1", "live 2", "live 3", "live 4"]);
}

/// A kick, a join or a leave of all nodes reaches a session wherever it is.
#[test]
fn h53_what_concerns_a_session_on_its_way_is_applied() {
    let (mut fleet, _, pid) = parked(3);
    let back = fleet.open_with(2, &claim(&pid, "7000-0"));
    fleet.take(2, 1);
    fleet.read(0, 1);
    // The session has left its node, and has not arrived.
    fleet.at(1, |at| {
        at.sockets_join("/", &Audience::room("room"), "joined").unwrap();
        at.to("joined").emit("1", &()).unwrap();
        at.sockets_leave("/", &Audience::all().except("nobody"), "room").unwrap();
        at.to("room").emit("not for it", &()).unwrap();
        at.sockets_leave("/", &Audience::room("room"), "joined").unwrap();
        at.to("joined").except("room").emit("2", &()).unwrap();
    });
    fleet.take(1, 6);
    fleet.settle();
    assert_eq!(fleet.got(back), ["missed", "1", "2"]);
    let socket = fleet.socket(back);
    assert_eq!(fleet.nodes[2].server.rooms(socket).skip(1).collect::<Vec<_>>(), ["joined"]);
}

#[test]
fn a_session_that_is_kicked_on_its_way_is_over() {
    let (mut fleet, client, pid) = parked(3);
    let back = fleet.open_with(2, &claim(&pid, "7000-0"));
    fleet.take(2, 1);
    fleet.read(0, 1);
    fleet.at(1, |at| at.disconnect_sockets("/", &Audience::room("room"), false).unwrap());
    fleet.take(1, 1);
    fleet.settle();
    assert_eq!(outcome(&fleet, 2), RecoveryOutcome::Refused(RecoveryRefusal::Unknown));
    assert_ne!(ids(&fleet, back), ids(&fleet, client));
}

/// The reference consumes the session before its client has it.
#[test]
fn h08_a_client_that_goes_while_its_session_moves_finds_it_later() {
    let (mut fleet, client, pid) = parked(3);
    let gone = fleet.open_with(2, &claim(&pid, "7000-0"));
    fleet.take(2, 1);
    fleet.lose(gone);
    fleet.settle();
    assert_eq!(fleet.nodes[2].server.stats().parked_sessions, 1);
    let back = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!(ids(&fleet, back), ids(&fleet, client));
    assert_eq!(fleet.got(back), ["missed"]);
}

/// Of two claims, the later one in the channel wins.
#[test]
fn of_two_claims_one_gets_the_session() {
    let (mut fleet, client, pid) = parked(3);
    let first = fleet.open_with(1, &claim(&pid, "7000-0"));
    let second = fleet.open_with(2, &claim(&pid, "7000-0"));
    fleet.settle();
    fleet.wait(2_000);
    fleet.settle();
    assert_eq!(outcome(&fleet, 1), RecoveryOutcome::Refused(RecoveryRefusal::Superseded));
    assert_eq!(outcome(&fleet, 2), RecoveryOutcome::Recovered { replayed: 1 });
    assert_eq!(ids(&fleet, second), ids(&fleet, client));
    assert_ne!(ids(&fleet, first), ids(&fleet, client));
}

/// The first claimant applies what has come after both claims, and hands the session on.
#[test]
fn a_session_that_is_handed_on_is_changed_once() {
    let (mut fleet, client, pid) = parked(3);
    fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.take(1, 1);
    let second = fleet.open_with(2, &claim(&pid, "7000-0"));
    fleet.take(2, 1);
    for node in 0..3 {
        fleet.read(node, 2);
    }
    // The session is on its way to node 1, and has to go on to node 2.
    fleet.at(1, |at| {
        at.sockets_leave("/", &Audience::all(), "room").unwrap();
        at.to("room").emit("not for it", &()).unwrap();
        at.disconnect_sockets("/", &Audience::room("other"), false).unwrap();
        at.sockets_join("/", &Audience::all(), "other").unwrap();
        at.to("other").emit("for it", &()).unwrap();
        at.sockets_join("/", &Audience::all(), "room").unwrap();
    });
    fleet.take(1, 6);
    fleet.settle();
    assert_eq!(ids(&fleet, second), ids(&fleet, client));
    assert_eq!(fleet.got(second), ["missed", "for it"]);
}

#[test]
fn what_cannot_be_recovered_is_refused_with_the_reason_and_stays() {
    let (mut fleet, _, pid) = parked(3);
    for (packet, refusal) in [
        (claim("AAAAAAAAAAAAAAAAAAAA", "7000-0"), RecoveryRefusal::Unknown),
        (claim(&pid, "9999-0"), RecoveryRefusal::InvalidOffset),
        (claim(&pid, "no offset"), RecoveryRefusal::InvalidOffset),
        (format!(r#"40/b,{{"pid":"{pid}"}}"#), RecoveryRefusal::OtherNamespace),
    ] {
        fleet.open_with(2, &packet);
        fleet.settle();
        fleet.wait(1_001);
        fleet.settle();
        assert_eq!(outcome(&fleet, 2), RecoveryOutcome::Refused(refusal), "{packet}");
    }
    assert_eq!(fleet.nodes[0].server.stats().parked_sessions, 1);
    let back = fleet.open_with(2, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!(fleet.got(back), ["missed"]);
}

/// A node that was started after the client has missed something.
#[test]
fn a_node_that_knows_too_little_leaves_the_session_where_it_is() {
    let (mut fleet, _, pid) = parked(3);
    fleet.channel.trimmed = 2;
    fleet.crash(2);
    fleet.connect(2);
    fleet.settle();
    fleet.open_with(2, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!(outcome(&fleet, 2), RecoveryOutcome::Refused(RecoveryRefusal::Gap));
    // It is in the store as well, from where it would come back.
    let owner = fleet.nodes[0].server.stats();
    assert_eq!((owner.parked_sessions, owner.total.sessions_moved), (1, 0));
    let back = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!(fleet.got(back), ["missed"]);
}

/// An answer waits behind what its node has emitted before. Meanwhile the session moves.
#[test]
fn an_answer_that_waits_moves_with_its_session() {
    let mut fleet = Fleet::new(2);
    let client = fleet.open(0);
    let socket = fleet.socket(client);
    let (pid, _) = ids(&fleet, client);
    let back = fleet.open_with(1, &format!(r#"40{{"pid":"{pid}"}}"#));
    fleet.take(1, 1);
    for id in [1, 2] {
        fleet.send(client, &format!(r#"42{id}["say"]"#));
        let token = token(&mut fleet, 0);
        fleet.at(0, |at| {
            at.all().emit("behind the claim", &()).unwrap();
            let once = at.accept_once(socket, "offset", Some(token)).unwrap();
            if let Once::Fresh(Some(token)) = once {
                assert!(at.ack(token, &Args::new(&("done",)).unwrap()));
            }
        });
    }
    fleet.settle();
    let socket = fleet.socket(back);
    fleet.send(back, r#"423["say"]"#);
    let token = token(&mut fleet, 1);
    let once = fleet.at(1, |at| at.accept_once(socket, "offset", Some(token)));
    assert_eq!(once, Ok(Once::Duplicate));
    let got = fleet.got(back);
    assert_eq!(got, ["behind the claim", "behind the claim", r#"433["done"]"#]);
}

/// The token of the latest event that a client has emitted.
pub fn token(fleet: &mut Fleet, node: usize) -> AckToken {
    let events = std::mem::take(&mut fleet.nodes[node].events);
    let found = events.into_iter().rev().find_map(|event| match event {
        ServerEvent::Received { ack, .. } => ack,
        _ => None,
    });
    found.unwrap()
}

/// A client at node 0 whose session is claimed at node 1, after the application has emitted an event
/// that is not in the channel yet, and has done something to the socket.
fn claimed_while_behind(act: impl FnOnce(&mut At<'_, u32>, SocketKey)) -> (Fleet, String, Client) {
    let mut fleet = Fleet::new(2);
    let client = fleet.open(0);
    let (socket, (pid, sid)) = (fleet.socket(client), ids(&fleet, client));
    fleet.at(0, |at| {
        at.all().emit("first", &()).unwrap();
        act(at, socket);
    });
    let back = fleet.open_with(1, &format!(r#"40{{"pid":"{pid}"}}"#));
    fleet.take(1, 1);
    fleet.read(0, 1);
    assert_eq!(fleet.channel.entries.len(), 1, "the claim is first");
    fleet.settle();
    (fleet, sid, back)
}

/// What the application has done to a socket is not lost because its session moves.
#[test]
fn a_session_moves_after_what_was_done_to_it_before() {
    let (mut fleet, sid, back) = claimed_while_behind(|at, socket| {
        assert!(at.join(socket, "room").unwrap());
        assert!(at.join(socket, "another room").unwrap());
        at.leave(socket, "another room");
    });
    assert_eq!(ids(&fleet, back).1, sid);
    fleet.at(1, |at| at.to("room").emit("second", &()).unwrap());
    fleet.at(1, |at| at.to("another room").emit("third", &()).unwrap());
    fleet.settle();
    assert_eq!(fleet.got(back), ["first", "second"]);
}

/// A kick is final, also if the client is elsewhere when it takes effect.
#[test]
fn a_session_that_was_kicked_before_does_not_move() {
    let (mut fleet, sid, back) = claimed_while_behind(|at, socket| {
        assert!(at.disconnect(socket, true));
    });
    fleet.wait(2_000);
    fleet.settle();
    assert_ne!(ids(&fleet, back).1, sid);
    assert!(!outcome(&fleet, 1).is_recovered());
    assert_eq!(fleet.nodes[0].server.stats().total.sessions_moved, 0);
}

/// Of two claims, the later one gets the session.
#[test]
fn two_claims_of_a_session_that_is_still_changed() {
    let mut fleet = Fleet::new(3);
    let client = fleet.open(0);
    let (socket, (pid, sid)) = (fleet.socket(client), ids(&fleet, client));
    fleet.at(0, |at| {
        at.all().emit("first", &()).unwrap();
        at.join(socket, "room").unwrap();
    });
    let packet = format!(r#"40{{"pid":"{pid}"}}"#);
    let [early, late] = [1, 2].map(|node| {
        let client = fleet.open_with(node, &packet);
        fleet.take(node, 1);
        client
    });
    fleet.read(0, 2);
    fleet.settle();
    fleet.wait(2_000);
    fleet.settle();
    assert_eq!(ids(&fleet, late).1, sid);
    assert_ne!(ids(&fleet, early).1, sid);
    assert_eq!(fleet.got(late), ["first"]);
}
