//! What is sent to clients waits for the store, with [`Durability::OnChange`], within bounds.

use socketio_proto::{cluster::ClusterConfig, hub::At, socket::Args};

use crate::{
    ahead::{AHEAD, accepted, connected, version},
    fleet::Fleet,
};

#[test]
fn a_client_learns_of_its_session_when_the_store_has_it() {
    let mut fleet = Fleet::durable(&[AHEAD]);
    let client = fleet.open(0);
    assert!(fleet.frames(client).is_empty());
    fleet.take(0, 0);
    assert_eq!(fleet.store.sessions.len(), 1);
    assert!(fleet.frames(client).is_empty(), "the node does not know it yet");
    fleet.answer(0);
    assert_eq!(fleet.frames(client).len(), 1);
    assert_eq!(fleet.nodes[0].server.stats().total.changes_not_awaited, 0);
}

/// An engine that is away delays clients, and does not stop them.
#[test]
fn packets_wait_for_the_store_for_two_seconds_at_most() {
    let (mut fleet, client, socket) = connected(&[AHEAD, AHEAD]);
    let before = fleet.got(client).len();
    fleet.cut(0, 0);
    let token = accepted(&mut fleet, client, socket);
    fleet.at(0, |at| at.ack(token, &Args::empty()));
    let newcomer = fleet.open(0);
    fleet.wait(1_999);
    assert_eq!((fleet.got(client).len(), fleet.frames(newcomer).len()), (before, 0));
    fleet.wait(1);
    assert_eq!((fleet.got(client).len(), fleet.frames(newcomer).len()), (before + 1, 1));
    assert_eq!(fleet.nodes[0].server.stats().total.changes_not_awaited, 2);
    fleet.connect(0);
    fleet.settle();
    assert!(version(&fleet, newcomer).is_some());
}

#[test]
fn no_more_packets_wait_than_the_limit_says() {
    let mut fleet = Fleet::with_cluster(1, |config| {
        ClusterConfig::durability(config, AHEAD).withheld_packets(3)
    });
    fleet.durability = vec![AHEAD];
    fleet.crash(0);
    fleet.connect(0);
    let client = fleet.open(0);
    fleet.settle();
    let socket = fleet.socket(client);
    let emit = |at: &mut At<'_, u32>| at.socket(socket).volatile().emit("volatile", &()).unwrap();
    fleet.at(0, |at| {
        at.set_data(socket, 1);
        (0..3).for_each(|_| emit(at));
    });
    assert!(fleet.got(client).is_empty());
    fleet.at(0, emit);
    assert_eq!(fleet.got(client).len(), 4);
    assert_eq!(fleet.nodes[0].server.stats().total.changes_not_awaited, 1);
}

/// One event exceeds the limit of both, and nobody waits for more than that.
#[test]
fn each_connection_that_waits_for_too_much_is_sent_everything() {
    let mut fleet = Fleet::with_cluster(1, |config| {
        ClusterConfig::durability(config, AHEAD).withheld_packets(3)
    });
    fleet.durability = vec![AHEAD];
    fleet.crash(0);
    fleet.connect(0);
    let clients = [fleet.open(0), fleet.open(0)];
    fleet.settle();
    for client in clients {
        let socket = fleet.socket(client);
        fleet.at(0, |at| at.set_data(socket, 1));
    }
    for _ in 0..3 {
        fleet.at(0, |at| at.all().volatile().emit("volatile", &()).unwrap());
    }
    assert!(clients.iter().all(|client| fleet.got(*client).is_empty()));
    fleet.at(0, |at| at.all().volatile().emit("volatile", &()).unwrap());
    assert_eq!(clients.map(|client| fleet.got(client).len()), [4, 4]);
    assert_eq!(fleet.nodes[0].server.stats().total.changes_not_awaited, 2);
}
