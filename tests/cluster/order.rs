//! Everything takes effect in the order of the calls, and at all nodes in the same order.

use std::time::Duration;

use socketio_proto::{hub::Audience, server::ServerEvent};

use crate::{
    fleet::Fleet,
    moves::{claim, ids},
};

/// A node of the reference delivers its own events ahead of those of others.
#[test]
fn h21_all_clients_get_the_events_in_the_order_of_the_channel() {
    let mut fleet = Fleet::new(2);
    let clients = [fleet.open(0), fleet.open(1)];
    fleet.at(0, |at| at.all().emit("first called", &()).unwrap());
    fleet.at(1, |at| at.all().emit("first in the channel", &()).unwrap());
    assert!(clients.iter().all(|client| fleet.got(*client).is_empty()), "not read yet");
    fleet.take(1, 1);
    fleet.take(0, 1);
    fleet.settle();
    for client in clients {
        assert_eq!(fleet.got(client), ["first in the channel", "first called"]);
    }
    let offset = |client| fleet.frames(client).last().unwrap().clone();
    assert_eq!(offset(clients[0]), r#"42["first called","7000-1"]"#);
    assert_eq!(offset(clients[1]), offset(clients[0]), "the position is the offset");
}

/// In a cluster of the reference a disconnection overtakes the event emitted before it.
#[test]
fn h36_a_kick_after_an_emit_comes_after_it() {
    let mut fleet = Fleet::new(1);
    let client = fleet.open(0);
    let socket = fleet.socket(client);
    fleet.at(0, |at| {
        at.socket(socket).emit("banned", &()).unwrap();
        assert!(at.disconnect(socket, false));
    });
    assert!(fleet.got(client).is_empty() && fleet.nodes[0].server.is_connected(socket));
    fleet.settle();
    assert_eq!(fleet.got(client), ["banned", "41"]);
    assert!(!fleet.nodes[0].server.is_connected(socket));
}

/// The same for rooms.
#[test]
fn joins_and_leaves_take_effect_between_the_emits_around_them() {
    let mut fleet = Fleet::new(2);
    let (joins, leaves, far) = (fleet.open(0), fleet.open(0), fleet.open(1));
    let [joining, leaving, there] = [joins, leaves, far].map(|client| fleet.socket(client));
    fleet.at(0, |at| at.join(leaving, "room").unwrap());
    fleet.at(1, |at| at.join(there, "room").unwrap());
    fleet.at(0, |at| {
        at.to("room").emit("before", &()).unwrap();
        assert!(at.join(joining, "room").unwrap());
        assert!(at.leave(leaving, "room"));
        at.to("room").emit("after", &()).unwrap();
        assert!(!at.leave(joining, "another room"));
    });
    assert_eq!(fleet.nodes[0].server.rooms(joining).count(), 1, "it has not joined yet");
    fleet.settle();
    assert_eq!(fleet.got(joins), ["after"]);
    assert_eq!(fleet.got(leaves), ["before"]);
    assert_eq!(fleet.got(far), ["before", "after"]);
    assert_eq!(fleet.nodes[0].server.rooms(joining).count(), 2);
}

#[test]
fn what_is_not_in_the_channel_waits_as_well() {
    let mut fleet = Fleet::new(1);
    let client = fleet.open(0);
    let socket = fleet.socket(client);
    fleet.send(client, "421[\"question\"]");
    let events = std::mem::take(&mut fleet.nodes[0].events);
    let token = events.into_iter().find_map(|event| match event {
        ServerEvent::Received { ack, .. } => ack,
        _ => None,
    });
    let wait = Duration::from_secs(1);
    fleet.at(0, |at| {
        at.all().emit("1", &()).unwrap();
        at.socket(socket).volatile().emit("2", &()).unwrap();
        at.socket(socket).emit("3", &()).unwrap();
        at.socket(socket).emit_with_ack("4", &(), wait).unwrap();
        at.all().local().emit("5", &()).unwrap();
        at.all().emit_with_ack("6", &(), wait).unwrap();
        assert!(at.ack(token.unwrap(), &socketio_proto::socket::Args::empty()));
        at.all().volatile().emit("7", &()).unwrap();
    });
    assert!(fleet.got(client).is_empty());
    fleet.settle();
    let got = fleet.got(client);
    assert_eq!(got[..3], ["1", "2", "3"]);
    assert_eq!(got[3..], [r#"420["4"]"#, "5", r#"421["6"]"#, "431[]", "7"]);
}

#[test]
fn sockets_of_all_nodes_move_and_go() {
    let mut fleet = Fleet::new(2);
    let clients = [fleet.open(0), fleet.open(1), fleet.open(1)];
    let parked = fleet.socket(clients[2]);
    fleet.lose(clients[2]);
    fleet.at(0, |at| {
        at.sockets_join("/", &Audience::all(), "room").unwrap();
        at.to("room").emit("joined", &()).unwrap();
        at.sockets_leave("/", &Audience::all(), "room").unwrap();
        at.to("room").emit("left", &()).unwrap();
    });
    fleet.settle();
    for client in &clients[..2] {
        assert_eq!(fleet.got(*client), ["joined"]);
    }
    fleet.at(0, |at| at.disconnect_sockets("/", &Audience::all(), true).unwrap());
    fleet.settle();
    for client in &clients[..2] {
        assert_eq!(fleet.got(*client), ["joined", "41", "closed"]);
    }
    assert_eq!(fleet.nodes[1].server.data(parked), None, "also parked sessions end");
}

/// The reference sends every event for one socket to every server, also if it is never replayed.
#[test]
fn h61_volatile_and_local_events_are_not_in_the_channel() {
    let mut fleet = Fleet::new(2);
    let (near, far) = (fleet.open(0), fleet.open(1));
    fleet.at(0, |at| {
        at.all().volatile().emit("volatile", &()).unwrap();
        at.all().local().emit("local", &()).unwrap();
        at.all().emit_with_ack("question", &(), Duration::from_secs(1)).unwrap();
    });
    fleet.settle();
    assert_eq!(fleet.got(near), ["volatile", "local", r#"420["question"]"#]);
    assert_eq!(fleet.got(far), ["volatile", r#"420["question"]"#]);
    assert!(fleet.channel.entries.is_empty());
}

#[test]
fn a_socket_is_left_out_by_its_id() {
    let mut fleet = Fleet::new(2);
    let (sender, other, far) = (fleet.open(0), fleet.open(0), fleet.open(1));
    let socket = fleet.socket(sender);
    fleet.at(0, |at| at.socket(socket).broadcast().emit("m", &()).unwrap());
    fleet.settle();
    assert_eq!([sender, other, far].map(|client| fleet.got(client).len()), [0, 1, 1]);
}

/// A client that comes back to its node gets exactly what it missed.
#[test]
fn a_session_is_recovered_at_its_node() {
    let mut fleet = Fleet::new(2);
    let client = fleet.open(1);
    fleet.at(0, |at| at.all().emit("processed", &()).unwrap());
    fleet.settle();
    let answer = fleet.frames(client)[0].clone();
    let (pid, _) = ids(&fleet, client);
    fleet.at(0, |at| at.all().emit("sent before the loss", &()).unwrap());
    fleet.lose(client);
    fleet.at(1, |at| at.all().emit("sent after the loss", &()).unwrap());
    fleet.settle();
    let back = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!(fleet.frames(back)[0], answer);
    assert_eq!(fleet.got(back), ["sent before the loss", "sent after the loss"]);
}
