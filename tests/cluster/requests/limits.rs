//! What other nodes can make a node keep is bounded.

use socketio_proto::{
    cluster::{
        ClusterInput,
        message::{Body, Message, NodeId},
    },
    hub::{Audience, EmitError},
    socket::{Event, NamespaceName},
};

use super::{WAIT, asked, details, fetch, fetched, official, says};
use crate::fleet::{Fleet, Official};

#[test]
fn pending_requests_are_bounded() {
    let mut fleet = Fleet::with_cluster(2, |config| config.pending_requests(2));
    fleet.settle();
    let everyone = Audience::all();
    let question = Event::new("q", &()).unwrap();
    fleet.at(0, |at| {
        at.fetch_sockets("/", &everyone).unwrap();
        at.server_side_emit_with_ack("/", &question, WAIT).unwrap();
        let full = Err(EmitError::TooManyRequests { limit: 2 });
        assert_eq!(at.fetch_sockets("/", &everyone), full);
        assert_eq!(at.count_servers("/"), full);
        assert_eq!(at.server_side_emit_with_ack("/", &question, WAIT), full);
        assert!(
            at.server_side_emit("/", &question).is_ok() && at.all().local().fetch_sockets().is_ok()
        );
    });
    assert_eq!(fleet.nodes[0].server.stats().total.requests_to_nodes_refused, 3);
    fleet.settle();
    fleet.wait(5_000);
    fetch(&mut fleet, 0);
}

#[test]
fn the_answers_of_others_are_bounded() {
    let mut fleet = Fleet::with_cluster(1, |config| config.response_bytes(2_000));
    fleet.officials.push(Official { id: official(), inbox: Vec::new() });
    for (bytes, is_dropped) in [(100, false), (3_000, true), (100, false)] {
        fetch(&mut fleet, 0);
        let request = asked(&fleet);
        let sockets = vec![details(&"x".repeat(20)); 1 + bytes / 100];
        says(&mut fleet, 0, Body::FetchSocketsResponse { request, sockets });
        let (sockets, missing) = fetched(&mut fleet, 0).expect("it does not wait any longer");
        assert_eq!(
            (sockets.is_empty(), missing.nodes.len()),
            (is_dropped, usize::from(is_dropped))
        );
    }
    assert_eq!(fleet.nodes[0].server.stats().total.responses_dropped, 1);
}

#[test]
fn members_are_bounded() {
    let mut fleet = Fleet::with_cluster(1, |config| config.members(2));
    for number in 0..5 {
        let node = NodeId::new(format!("forged-{number}")).unwrap();
        let message = Message::new(node, NamespaceName::ROOT, Body::Heartbeat);
        fleet.input(0, ClusterInput::Message(message));
    }
    assert_eq!(fleet.nodes[0].server.nodes("/").count(), 2);
    assert_eq!(fleet.nodes[0].server.stats().total.members_refused, 3);
}
