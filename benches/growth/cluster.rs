//! Nodes of a cluster: what is read for nobody, sessions that move, joins on all nodes.

use socketio_proto::{
    cluster::message::{Body, BroadcastOptions, ClusterBroadcast, Message, NodeId},
    hub::Audience,
    recovery::RecoveryOutcome,
    socket::NamespaceName,
};

use crate::{
    count::Meter,
    support::{
        cluster::Cluster,
        fleet::{Client, Drained},
    },
    world::{config, event},
};

/// Two nodes, each with as many connected and parked sessions, in rooms of their own and in a lobby. As
/// many events have been emitted to rooms that nobody is in.
fn crowd(count: usize) -> Cluster {
    let mut cluster = Cluster::new(2, &config());
    for number in 0..count {
        for node in 0..2 {
            let room = format!("room {number} of {node}");
            connect_in(&mut cluster, node, &room);
            let gone = connect_in(&mut cluster, node, &room);
            cluster.nodes[node].lose(gone.wire);
            cluster.settle();
            emit(&mut cluster, node, &room);
            emit(&mut cluster, node, &format!("nobody {number} of {node}"));
        }
    }
    cluster
}

fn connect_in(cluster: &mut Cluster, node: usize, room: &str) -> Client {
    let fleet = &mut cluster.nodes[node];
    let client = fleet.connect();
    for room in [room, "lobby"] {
        assert_eq!(fleet.server.at(fleet.now).join(client.socket, room), Ok(true));
    }
    cluster.settle();
    client
}

/// Returns what has come out of each node.
fn emit(cluster: &mut Cluster, node: usize, room: &str) -> Vec<Drained> {
    let fleet = &mut cluster.nodes[node];
    let sent = fleet.server.at(fleet.now).broadcast("/", &Audience::room(room), &event());
    assert!(sent.is_ok());
    cluster.settle()
}

fn claim(cluster: &mut Cluster, node: usize, pid: &str) -> Drained {
    let fleet = &mut cluster.nodes[node];
    let wire = fleet.open();
    fleet.send(wire, &format!(r#"40{{"pid":"{pid}"}}"#));
    cluster.settle().swap_remove(node)
}

/// As another node appends it.
fn entry(room: &str) -> Message {
    let sender = NodeId::new("another").expect("a name");
    let options = BroadcastOptions::all().to(room);
    let broadcast = ClusterBroadcast::new(options, event());
    Message::new(sender, NamespaceName::ROOT, Body::Broadcast(broadcast))
}

/// Steps of two nodes beside much of everything on both.
pub fn run(count: usize, meter: &mut Meter) {
    let mut cluster = crowd(count);
    let pid = "no session of anybody";
    for round in meter.rounds() {
        for (step, room) in [
            ("an entry for nobody here", "elsewhere"),
            ("an entry for a room that was emitted to", "nobody 3 of 1"),
            ("an entry for one client", "room 3 of 1"),
        ] {
            let message = entry(room);
            meter.count(step, || cluster.read(1, message));
            cluster.settle();
        }
        let message = entry(&format!("new {round}"));
        meter.count("an entry for a room that nobody has heard of", || cluster.read(1, message));
        cluster.settle();
        let drained = meter
            .count("emit to one client of the other node", || emit(&mut cluster, 0, "room 7 of 1"));
        assert_eq!(drained[1].frames, 1);
        let options = Audience::room("room 9 of 1");
        meter.count("all sockets of a room join another", || {
            let fleet = &mut cluster.nodes[0];
            fleet.server.at(fleet.now).sockets_join("/", &options, &format!("joined {round}")).ok();
            cluster.settle();
        });
        let moving = connect_in(&mut cluster, 0, "moving");
        emit(&mut cluster, 1, "moving");
        meter.count("a link is lost, and the session stored", || {
            cluster.nodes[0].lose(moving.wire);
            cluster.settle();
        });
        let back = meter
            .count("the session moves to the other node", || claim(&mut cluster, 1, &moving.pid));
        assert_eq!(back.joined.map(|it| it.1), Some(RecoveryOutcome::Recovered { replayed: 1 }));
        let refused = meter
            .count("a claim of a session that nobody has", || claim(&mut cluster, 1, &pid[..20]));
        assert!(refused.joined.is_some_and(|it| !it.1.is_recovered()));
    }
}
