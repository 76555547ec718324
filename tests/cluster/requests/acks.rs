//! Broadcasts with acknowledgements.

use serde_json::json;
use socketio_proto::{
    cluster::message::{
        Body, BroadcastFlags, BroadcastOptions, ClusterBroadcast, NodeId, RequestId, Value,
    },
    hub::{Audience, Responder},
    server::ServerEvent,
    socket::Event,
};

use super::{WAIT, acquainted, asked, event, ids, official, says, with_official};
use crate::fleet::{Client, Fleet, name};

#[derive(Debug, PartialEq)]
struct Acked {
    responses: Vec<(Option<NodeId>, String)>,
    missing: usize,
    nodes_missing: Vec<NodeId>,
    timed_out: bool,
}

fn acked(fleet: &mut Fleet, node: usize) -> Option<Acked> {
    event(fleet, node, |event| match event {
        ServerEvent::BroadcastAcked { responses, missing, nodes_missing, timed_out, .. } => {
            let mut responses: Vec<_> = responses
                .iter()
                .map(|(from, args)| match from {
                    Responder::Node(node) => (Some(node.clone()), args.json().to_owned()),
                    _ => (None, args.json().to_owned()),
                })
                .collect();
            responses.sort();
            let (missing, timed_out) = (*missing, *timed_out);
            let nodes_missing = nodes_missing.nodes.clone();
            Some(Acked { responses, missing, nodes_missing, timed_out })
        }
        _ => None,
    })
}

fn ask(fleet: &mut Fleet, audience: &Audience) {
    let question = Event::new("ready?", &()).unwrap();
    fleet.at(0, |at| at.broadcast_with_ack("/", audience, &question, WAIT).unwrap());
}

/// A client answers the question that it got last.
fn reply(fleet: &mut Fleet, client: Client, answer: &str) {
    let question = fleet.frames(client).last().unwrap().clone();
    let id = question.trim_start_matches("42").split('[').next().unwrap().to_owned();
    assert!(question.ends_with("[\"ready?\"]"), "{question}");
    fleet.send(client, &format!("43{id}[{answer}]"));
}

#[test]
fn clients_of_all_nodes_acknowledge_a_broadcast() {
    let mut fleet = with_official(2);
    let clients = [fleet.open(0), fleet.open(1), fleet.open(1)];
    ask(&mut fleet, &Audience::all());
    let request = asked(&fleet);
    fleet.settle();
    for (number, client) in clients.iter().enumerate() {
        reply(&mut fleet, *client, &format!("{number},\"second argument\""));
    }
    fleet.settle();
    // An answer may overtake the number of clients.
    let answer = Value::new("x").unwrap();
    says(&mut fleet, 0, Body::BroadcastAck { request: request.clone(), answer });
    assert_eq!(acked(&mut fleet, 0), None);
    let body = Body::BroadcastClientCount { request, client_count: 1 };
    says(&mut fleet, 0, body);
    let there = |text: &str| (Some(name(1)), text.to_owned());
    let expected = Acked {
        responses: vec![
            (None, "[0,\"second argument\"]".into()),
            (Some(official()), "[\"x\"]".into()),
            there("[1]"),
            there("[2]"),
        ],
        missing: 0,
        nodes_missing: Vec::new(),
        timed_out: false,
    };
    assert_eq!(acked(&mut fleet, 0), Some(expected));
    assert_eq!(fleet.nodes[1].server.stats().pending_acks, 0);
}

/// The time in which others introduce themselves was over long ago. A check in the past looked like a
/// node that had not run since then: its timers waited for a grace period of up to 20 seconds.
#[test]
fn a_broadcast_settles_at_its_timeout_also_where_the_engine_cannot_count() {
    for counts in [true, false] {
        let mut fleet = acquainted(2);
        fleet.counts = counts;
        fleet.open(0);
        fleet.wait(4_500);
        ask(&mut fleet, &Audience::all());
        // It does not answer.
        fleet.nodes[1].inbox.clear();
        fleet.wait(2_999);
        assert_eq!(acked(&mut fleet, 0), None);
        fleet.wait(1);
        let settled = acked(&mut fleet, 0).unwrap();
        assert_eq!((settled.missing, settled.nodes_missing), (1, vec![name(1)]), "{counts}");
    }
}

/// A grace period is for the clients that may have answered before. It delayed the end of every question, by up
/// to 20 seconds.
#[test]
fn a_broadcast_after_a_pause_of_its_node_settles_at_its_timeout() {
    let mut fleet = acquainted(2);
    let client = fleet.open(0);
    ask(&mut fleet, &Audience::all());
    fleet.nodes[1].inbox.clear();
    fleet.wait_for(1, 15_000);
    fleet.wait(0);
    assert_eq!(acked(&mut fleet, 0), None, "the client may have answered");
    reply(&mut fleet, client, "0");
    ask(&mut fleet, &Audience::all());
    fleet.settle();
    fleet.wait(2_999);
    assert_eq!(acked(&mut fleet, 0), None);
    fleet.wait(1);
    let settled = acked(&mut fleet, 0).unwrap();
    assert_eq!((settled.missing, settled.timed_out, settled.responses.len()), (1, true, 0));
    // The first one has the rest of the grace period, since the other node may have answered as well.
    fleet.wait(9_000);
    let settled = acked(&mut fleet, 0).unwrap();
    assert_eq!((settled.timed_out, settled.responses.len()), (true, 1));
}

#[test]
fn a_client_of_another_node_that_goes_is_missing_at_once() {
    let mut fleet = acquainted(2);
    let clients = [fleet.open(1), fleet.open(1), fleet.open(1)];
    ask(&mut fleet, &Audience::all());
    fleet.settle();
    reply(&mut fleet, clients[0], "1");
    fleet.lose(clients[1]);
    fleet.settle();
    assert_eq!(acked(&mut fleet, 0), None);
    fleet.send(clients[2], "41");
    fleet.settle();
    let acked = acked(&mut fleet, 0).unwrap();
    assert_eq!((acked.responses.len(), acked.missing, acked.timed_out), (1, 2, false));
}

#[test]
fn what_is_missing_of_a_broadcast_is_told_at_its_timeout() {
    let mut fleet = with_official(3);
    let clients = [fleet.open(0), fleet.open(1), fleet.open(1), fleet.open(2)];
    ask(&mut fleet, &Audience::all());
    fleet.nodes[2].inbox.clear();
    fleet.settle();
    reply(&mut fleet, clients[1], "1");
    fleet.settle();
    fleet.wait(3_000);
    let acked = acked(&mut fleet, 0).unwrap();
    assert_eq!((acked.responses.len(), acked.missing, acked.timed_out), (1, 2, true));
    assert_eq!(acked.nodes_missing, [name(2)], "it has not told how many clients it has");
    reply(&mut fleet, clients[2], "1");
    fleet.settle();
    assert_eq!(fleet.nodes[1].server.stats().total.acks_unmatched, 1, "it does not wait either");
    assert_eq!(fleet.nodes[0].server.stats().total.responses_unmatched, 0);
}

#[test]
fn the_answers_of_one_node_never_stand_for_those_of_another() {
    let mut fleet = with_official(2);
    let client = fleet.open(1);
    ask(&mut fleet, &Audience::all());
    let request = asked(&fleet);
    fleet.settle();
    for _ in 0..3 {
        let body = Body::BroadcastClientCount { request: request.clone(), client_count: 1 };
        says(&mut fleet, 0, body);
        let answer = Value::new("x").unwrap();
        says(&mut fleet, 0, Body::BroadcastAck { request: request.clone(), answer });
    }
    assert_eq!(acked(&mut fleet, 0), None);
    reply(&mut fleet, client, "\"y\"");
    fleet.settle();
    let acked = acked(&mut fleet, 0).unwrap();
    assert_eq!((acked.responses.len(), acked.missing), (2, 0));
}

#[test]
fn one_answer_is_enough_for_a_single_response() {
    let mut fleet = acquainted(2);
    let clients = [fleet.open(1), fleet.open(1)];
    let id = ids(&fleet, &clients[..1]).remove(0);
    ask(&mut fleet, &Audience::room(id).expect_single_response());
    fleet.settle();
    reply(&mut fleet, clients[0], "1");
    fleet.settle();
    let acked = acked(&mut fleet, 0).unwrap();
    assert_eq!(acked.responses, [(Some(name(1)), "[1]".to_owned())]);
    assert!(fleet.got(clients[1]).is_empty());
}

/// With `fetchSockets` and a timeout, an official node waits for every client of ours.
#[test]
fn official_nodes_get_the_answers_of_our_clients() {
    let mut fleet = with_official(1);
    let clients = [fleet.open(0), fleet.open(0)];
    let request = RequestId::new("66f17b788fefb905").unwrap();
    let mut flags = BroadcastFlags::default();
    flags.timeout = Some(500);
    let options = BroadcastOptions::all().flags(flags);
    let event = Event::new("ready?", &()).unwrap();
    let broadcast = ClusterBroadcast::new(options, event).with_request(request.clone());
    // Whether it comes once or twice, nobody is asked twice.
    says(&mut fleet, 0, Body::Broadcast(broadcast.clone()));
    says(&mut fleet, 0, Body::Broadcast(broadcast));
    reply(&mut fleet, clients[0], "{\"a\":1},2");
    fleet.lose(clients[1]);
    let bodies: Vec<Body> = fleet.officials[0].inbox.drain(..).map(|it| it.body).collect();
    let answer = Value::new(&json!({"a": 1})).unwrap();
    let expected = [
        Body::BroadcastClientCount { request: request.clone(), client_count: 2 },
        Body::BroadcastAck { request, answer },
    ];
    assert_eq!(bodies, expected, "it knows nothing of clients that go");
}
