//! What other nodes can make a node keep is bounded.

use socketio_proto::{
    cluster::{
        ClusterInput,
        message::{Body, Message, NodeId, OwnKind},
    },
    hub::{Audience, EmitError},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    socket::{Event, NamespaceName},
};

use super::{WAIT, asked, details, fetch, fetched, official, says};
use crate::{
    fleet::{Fleet, Official},
    moves::{claim, outcome},
};

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

/// Each of them is an entry that every node reads.
#[test]
fn claims_of_made_up_sessions_are_bounded_for_each_connection() {
    let mut fleet = Fleet::new(2);
    fleet.wait(2_000);
    let claims = |fleet: &Fleet| {
        let messages = fleet.channel.entries.iter().flatten();
        let is_claim = |body: &Body| matches!(body, Body::Own { kind: OwnKind::Claim, .. });
        messages.filter(|message| is_claim(&message.body)).count()
    };
    let made_up = |number: usize| claim(&format!("{number:A>20}"), "7000-0");
    let client = fleet.open(0);
    let ask = |fleet: &mut Fleet, number: usize| {
        fleet.send(client, "41");
        fleet.send(client, &made_up(number));
        fleet.settle();
        outcome(fleet, 0)
    };
    for number in 0..64 {
        let refused = ask(&mut fleet, number);
        assert_eq!(refused, RecoveryOutcome::Refused(RecoveryRefusal::Unknown), "{number}");
    }
    for number in 64..200 {
        let refused = ask(&mut fleet, number);
        assert_eq!(refused, RecoveryOutcome::Refused(RecoveryRefusal::Limit), "{number}");
    }
    assert_eq!(claims(&fleet), 64, "as many as it may have namespaces");
    // It holds nobody else up, and not for ever.
    fleet.open_with(0, &made_up(200));
    fleet.settle();
    assert_eq!(claims(&fleet), 65);
    fleet.wait(1_000);
    ask(&mut fleet, 201);
    assert_eq!(claims(&fleet), 66);
}
