//! Sockets of all nodes, and whom a node waits for.

use socketio_proto::{
    ServerConfig,
    cluster::{
        ClusterOutput, Missing,
        message::{Body, BroadcastOptions, RequestId},
    },
    hub::Audience,
    server::ServerEvent,
};

use super::{WAIT, acquainted, asked, details, event, fetch, fetched, ids, says, with_official};
use crate::fleet::{Fleet, name};

/// The names of the namespaces that a node wants to receive, or no longer.
fn subscriptions(fleet: &mut Fleet, node: usize) -> Vec<String> {
    let commands = std::mem::take(&mut fleet.nodes[node].commands);
    let names = commands.iter().filter_map(|command| match command {
        ClusterOutput::Subscribe { namespace } => Some(format!("+{namespace}")),
        ClusterOutput::Unsubscribe { namespace } => Some(format!("-{namespace}")),
        _ => None,
    });
    names.collect()
}

/// The official adapter does not unsubscribe when it closes a namespace. When that namespace is there
/// again, the node answers each request twice.
#[test]
fn h79_a_node_receives_what_is_published_in_each_of_its_namespaces_once() {
    let mut fleet = Fleet::new(1);
    assert_eq!(subscriptions(&mut fleet, 0), ["+/", "+/b"]);
    fleet.at(0, |at| at.add_namespaces_matching(|name| name == "/dynamic"));
    for _ in 0..2 {
        let client = fleet.open_with(0, "40/dynamic,");
        assert_eq!(subscriptions(&mut fleet, 0), ["+/dynamic"]);
        fleet.send(client, "41/dynamic,");
        assert_eq!(subscriptions(&mut fleet, 0), ["-/dynamic"]);
    }
    fleet.cut(0, 0);
    fleet.connect(0);
    assert_eq!(subscriptions(&mut fleet, 0), ["+/", "+/b"], "again after each connection");
}

#[test]
fn sockets_of_all_nodes_are_fetched_with_their_rooms_and_data() {
    let mut fleet = acquainted(3);
    let clients = [fleet.open(0), fleet.open(1), fleet.open(2), fleet.open(2)];
    let sockets = clients.map(|client| fleet.socket(client));
    for (client, socket) in clients.iter().zip(sockets) {
        fleet.at(client.node, |at| {
            at.join(socket, "room").unwrap();
            at.set_data(socket, 7 + u32::try_from(client.node).unwrap());
        });
    }
    fleet.at(2, |at| at.leave(sockets[3], "room"));
    let request = fleet.at(0, |at| at.to("room").fetch_sockets().unwrap());
    assert!(fetched(&mut fleet, 0).is_none(), "the others have not answered");
    fleet.settle();
    let answer = event(&mut fleet, 0, |event| match event {
        ServerEvent::SocketsFetched { request, sockets, missing, .. } => {
            Some((request.clone(), sockets.clone(), missing.clone()))
        }
        _ => None,
    });
    let (answered, found, missing) = answer.unwrap();
    assert_eq!((answered, missing), (request, Missing::default()));
    assert_eq!(found[0].key, Some(sockets[0]), "those of this node have a key");
    assert!(found[1..].iter().all(|socket| socket.key.is_none()));
    for (socket, client) in found.iter().zip(&clients[..3]) {
        assert_eq!(socket.details.data.json(), (7 + client.node).to_string());
        assert_eq!(socket.details.rooms[1..], ["room"]);
        assert_eq!(ids(&fleet, &[*client]), [socket.details.id.to_string()]);
    }
}

/// What follows from what an application has emitted, the others see before they answer.
#[test]
fn a_request_comes_after_what_was_emitted_before_it() {
    let mut fleet = acquainted(2);
    let client = fleet.open(1);
    fleet.at(0, |at| {
        at.sockets_join("/", &Audience::all(), "room").unwrap();
        at.to("room").fetch_sockets().unwrap();
    });
    fleet.take(0, 1);
    fleet.read(0, 1);
    assert_eq!(fleet.nodes[1].inbox.len(), 1, "it is asked before it has read the entry");
    fleet.receive(1);
    assert!(fleet.nodes[0].inbox.is_empty(), "it waits");
    fleet.read(1, 1);
    fleet.settle();
    let expected = ids(&fleet, &[client]);
    assert_eq!(fetched(&mut fleet, 0), Some((expected, Missing::default())));

    // But it does not wait for ever.
    fleet.at(0, |at| {
        at.sockets_leave("/", &Audience::all(), "room").unwrap();
        at.to("room").fetch_sockets().unwrap();
    });
    fleet.take(0, 1);
    fleet.read(0, 1);
    fleet.receive(1);
    fleet.wait(1_000);
    fleet.receive(0);
    assert_eq!(fetched(&mut fleet, 0).unwrap().0.len(), 1, "it was not told to leave yet");
}

#[test]
fn with_local_only_the_sockets_of_this_node_are_fetched_at_once() {
    let mut fleet = acquainted(2);
    let clients = [fleet.open(0), fleet.open(1)];
    let expected = ids(&fleet, &clients[..1]);
    fleet.at(0, |at| {
        let request = at.all().local().fetch_sockets();
        assert_eq!(at.local_sockets("/", &Audience::all()).unwrap().len(), 1);
        request.unwrap()
    });
    assert_eq!(fetched(&mut fleet, 0), Some((expected, Missing::default())));
    assert!(fleet.nodes[1].inbox.is_empty());
}

/// The official adapter counts answers, not nodes: one that answers twice stands for another one.
#[test]
fn h79_a_node_that_answers_twice_is_counted_once() {
    let mut fleet = with_official(2);
    let client = fleet.open(1);
    fetch(&mut fleet, 0);
    let request = asked(&fleet);
    for _ in 0..2 {
        let sockets = vec![details("theirs")];
        says(&mut fleet, 0, Body::FetchSocketsResponse { request: request.clone(), sockets });
    }
    assert_eq!(fetched(&mut fleet, 0), None);
    fleet.settle();
    let mut expected = ids(&fleet, &[client]);
    expected.push("theirs".into());
    expected.sort();
    assert_eq!(fetched(&mut fleet, 0), Some((expected, Missing::default())));
    assert_eq!(fleet.nodes[0].server.stats().total.responses_unmatched, 1);
    says(&mut fleet, 0, Body::FetchSocketsResponse { request, sockets: Vec::new() });
    assert_eq!(fetched(&mut fleet, 0), None, "what comes late has no effect");
    assert_eq!(fleet.nodes[0].server.stats().total.responses_unmatched, 2);
}

#[test]
fn official_nodes_get_our_sockets_in_their_shape() {
    let mut fleet = with_official(1);
    let client = fleet.open(0);
    let socket = fleet.socket(client);
    fleet.at(0, |at| {
        at.join(socket, "r1").unwrap();
        at.set_data(socket, 9);
    });
    let request = RequestId::new("826f7ce71b1aa351").unwrap();
    let options = BroadcastOptions::all();
    says(&mut fleet, 0, Body::FetchSockets { options, request: request.clone() });
    let answer = fleet.officials[0].inbox.pop().unwrap();
    let Body::FetchSocketsResponse { request: answered, sockets } = &answer.body else {
        panic!("{answer:?}");
    };
    assert_eq!((answered, sockets.len()), (&request, 1));
    let handshake: serde_json::Value = sockets[0].handshake.parse().unwrap();
    let fields: Vec<&String> = handshake.as_object().unwrap().keys().collect();
    let official =
        ["address", "auth", "headers", "issued", "query", "secure", "time", "url", "xdomain"];
    assert_eq!(fields, official);
    assert_eq!(sockets[0].data.json(), "9");
    let own = ids(&fleet, &[client]);
    assert_eq!(sockets[0].rooms, [own[0].as_str(), "r1"]);
    assert!(answer.to_msgpack().is_ok());
}

#[test]
fn a_node_that_says_goodbye_is_missing_at_once() {
    let mut fleet = acquainted(3);
    let client = fleet.open(1);
    fetch(&mut fleet, 0);
    fleet.receive(1);
    let now = fleet.now;
    fleet.nodes[2].server.shutdown(now);
    fleet.nodes[2].subscribed.clear();
    fleet.pump(2);
    fleet.nodes[2].inbox.clear();
    fleet.settle();
    let missing = fetched(&mut fleet, 0).unwrap();
    assert_eq!((missing.0, missing.1.nodes), (ids(&fleet, &[client]), vec![name(2)]));
    fetch(&mut fleet, 0);
    fleet.settle();
    assert!(fetched(&mut fleet, 0).unwrap().1.is_empty(), "nobody waits for it any longer");
}

#[test]
fn a_node_that_falls_silent_is_missing_when_its_heartbeat_is_overdue() {
    let mut fleet = Fleet::with_cluster(2, |config| config.request_timeout(WAIT * 20));
    fleet.settle();
    assert_eq!(fleet.nodes[0].server.nodes("/").count(), 1);
    fetch(&mut fleet, 0);
    fleet.nodes[1].inbox.clear();
    fleet.nodes[1].subscribed.clear();
    fleet.wait_for(0, 9_999);
    assert!(fetched(&mut fleet, 0).is_none());
    fleet.wait_for(0, 1);
    assert_eq!(fetched(&mut fleet, 0).unwrap().1.nodes, [name(1)]);
    assert_eq!(fleet.nodes[0].server.nodes("/").count(), 0);
}

#[test]
fn a_request_that_is_not_answered_in_time_names_who_is_missing() {
    for counts in [true, false] {
        let mut fleet = with_official(2);
        fleet.counts = counts;
        fetch(&mut fleet, 0);
        fleet.nodes[1].inbox.clear();
        fleet.wait(4_999);
        assert!(fetched(&mut fleet, 0).is_none());
        fleet.wait(1);
        let (sockets, missing) = fetched(&mut fleet, 0).unwrap();
        assert!(sockets.is_empty() && !missing.was_away);
        assert_eq!(missing.nodes, [name(1)]);
        assert_eq!(missing.others, usize::from(counts), "the engine knows of one more");
        fleet.settle();
        assert_eq!(fetched(&mut fleet, 0), None);
    }
}

/// Right after its start, an official node sees only its own sockets.
#[test]
fn a_node_that_has_just_come_waits_for_the_others_to_introduce_themselves() {
    for counts in [true, false] {
        let mut fleet = Fleet::disconnected(2, &ServerConfig::new());
        fleet.counts = counts;
        fleet.connect(1);
        let client = fleet.open(1);
        fetch(&mut fleet, 0);
        fleet.connect(0);
        fleet.settle();
        if !counts {
            assert!(fetched(&mut fleet, 0).is_none());
            fleet.wait(1_000);
        }
        let expected = ids(&fleet, &[client]);
        assert_eq!(fetched(&mut fleet, 0), Some((expected, Missing::default())));
    }
}

#[test]
fn without_an_engine_a_request_settles_with_what_is_here() {
    let mut fleet = acquainted(2);
    fleet.cut(0, 0);
    let client = fleet.open(0);
    fetch(&mut fleet, 0);
    fleet.wait(5_000);
    let (sockets, missing) = fetched(&mut fleet, 0).unwrap();
    assert_eq!(sockets, ids(&fleet, &[client]));
    assert!(missing.was_away && missing.nodes == [name(1)], "{missing:?}");
}

/// A node stood still for 20 seconds, and its engine has lost it. It waited for the end of the grace
/// period of its clients, up to 20 seconds more, before it noticed that the others had introduced themselves.
#[test]
fn a_request_after_a_pause_of_its_node_is_not_delayed_by_it() {
    let mut fleet = acquainted(2);
    fleet.counts = false;
    let client = fleet.open(0);
    fleet.wait_for(1, 20_000);
    fleet.wait(0);
    fleet.cut(0, 0);
    fleet.connect(0);
    fetch(&mut fleet, 0);
    fleet.settle();
    fleet.wait(999);
    assert_eq!(fetched(&mut fleet, 0), None);
    fleet.wait(1);
    assert_eq!(fetched(&mut fleet, 0), Some((ids(&fleet, &[client]), Missing::default())));
    // A request that nobody answers has its own time, and not more.
    fetch(&mut fleet, 0);
    fleet.nodes[1].inbox.clear();
    fleet.wait(4_999);
    assert_eq!(fetched(&mut fleet, 0), None);
    fleet.wait(1);
    assert_eq!(fetched(&mut fleet, 0).unwrap().1.nodes, [name(1)]);
}

/// The answers to what it had asked before may still wait to be read.
#[test]
fn a_request_before_a_pause_of_its_node_has_the_grace_period() {
    for is_answered in [true, false] {
        let mut fleet = acquainted(2);
        let client = fleet.open(1);
        fetch(&mut fleet, 0);
        fleet.wait_for(1, 7_000);
        fleet.wait(0);
        assert_eq!(fetched(&mut fleet, 0), None, "over for two seconds, and it was not there");
        if is_answered {
            fleet.settle();
            let expected = ids(&fleet, &[client]);
            assert_eq!(fetched(&mut fleet, 0), Some((expected, Missing::default())));
        } else {
            fleet.nodes[1].inbox.clear();
            fleet.wait(10_000);
            assert_eq!(fetched(&mut fleet, 0).unwrap().1.nodes, [name(1)]);
        }
    }
}
