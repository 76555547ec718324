//! Events for servers, and the number of servers.

use socketio_proto::{
    ServerConfig,
    cluster::{
        Missing,
        message::{Body, Message, NodeId, Value},
    },
    server::ServerEvent,
    socket::{Args, Event, NamespaceName},
};

use super::{WAIT, asked, event, official, says, with_official};
use crate::fleet::{Fleet, name};

/// Events for the servers, with what to answer.
fn server_side(fleet: &mut Fleet, node: usize) -> Vec<(String, ServerEvent<u32>)> {
    let events = std::mem::take(&mut fleet.nodes[node].events);
    let of_servers = events.into_iter().filter_map(|event| match &event {
        ServerEvent::ServerSideEvent { event: told, .. } => Some((told.json().to_owned(), event)),
        _ => None,
    });
    of_servers.collect()
}

#[test]
fn the_other_servers_get_an_event_for_servers() {
    let mut fleet = with_official(3);
    let event = Event::new("reload", &("users", 1)).unwrap();
    fleet.at(0, |at| at.server_side_emit("/", &event).unwrap());
    fleet.settle();
    for node in [1, 2] {
        let told = server_side(&mut fleet, node);
        assert_eq!(told.len(), 1);
        let ServerEvent::ServerSideEvent { from, ack: None, .. } = &told[0].1 else { panic!() };
        assert_eq!((told[0].0.as_str(), from), (r#"["reload","users",1]"#, &name(0)));
    }
    assert!(server_side(&mut fleet, 0).is_empty(), "not the one that emits it");
    let Body::ServerSideEmit { packet, request: None } = &fleet.officials[0].inbox[0].body else {
        panic!();
    };
    assert_eq!(packet.json(), r#"["reload","users",1]"#);
    let packet = Args::new(&("theirs", 2)).unwrap();
    says(&mut fleet, 0, Body::ServerSideEmit { packet, request: None });
    assert_eq!(server_side(&mut fleet, 0)[0].0, r#"["theirs",2]"#);
    let packet = Args::new(&("disconnect",)).unwrap();
    says(&mut fleet, 0, Body::ServerSideEmit { packet, request: None });
    assert!(server_side(&mut fleet, 0).is_empty(), "a reserved name");
}

fn answers(fleet: &mut Fleet, node: usize) -> Option<(Vec<(NodeId, String)>, Missing)> {
    event(fleet, node, |event| match event {
        ServerEvent::ServerSideAcked { responses, missing, .. } => {
            let responses =
                responses.iter().map(|(node, value)| (node.clone(), value.json().into()));
            Some((responses.collect(), missing.clone()))
        }
        _ => None,
    })
}

#[test]
fn servers_answer_each_other() {
    let mut fleet = with_official(3);
    let question = Event::new("load?", &()).unwrap();
    fleet.at(0, |at| at.server_side_emit_with_ack("/", &question, WAIT).unwrap());
    let request = asked(&fleet);
    fleet.settle();
    for node in [2, 1] {
        let (_, told) = server_side(&mut fleet, node).pop().unwrap();
        let ServerEvent::ServerSideEvent { ack: Some(token), .. } = told else { panic!() };
        let answer = Args::new(&(node, "not sent")).unwrap();
        fleet.at(node, |at| at.ack_server(token, &answer));
    }
    fleet.receive(0);
    fleet.receive(0);
    assert_eq!(answers(&mut fleet, 0), None);
    let answer = Value::new("theirs").unwrap();
    says(&mut fleet, 0, Body::ServerSideEmitResponse { request, answer });
    let (responses, missing) = answers(&mut fleet, 0).unwrap();
    let expected =
        [(name(2), "2".into()), (name(1), "1".into()), (official(), "\"theirs\"".into())];
    assert_eq!((responses, missing), (expected.to_vec(), Missing::default()));

    // One of them does not answer.
    fleet.officials.clear();
    fleet.at(0, |at| at.server_side_emit_with_ack("/", &question, WAIT).unwrap());
    fleet.settle();
    let (_, told) = server_side(&mut fleet, 1).pop().unwrap();
    let ServerEvent::ServerSideEvent { ack: Some(token), .. } = told else { panic!() };
    fleet.at(1, |at| at.ack_server(token, &Args::empty()));
    fleet.settle();
    fleet.wait(3_000);
    let (responses, missing) = answers(&mut fleet, 0).unwrap();
    assert_eq!((responses, missing.nodes), (vec![(name(1), "null".into())], vec![name(2)]));
}

/// An emitter writes into the stream. What it has said before this node came is none of its business.
#[test]
fn an_emitter_tells_the_servers_that_are_there() {
    let mut fleet = Fleet::disconnected(2, &ServerConfig::new());
    let packet = Args::new(&("told",)).unwrap();
    let body = Body::ServerSideEmit { packet, request: None };
    let message = Message::new(NodeId::EMITTER, NamespaceName::ROOT, body);
    fleet.connect(0);
    fleet.channel.entries.push(Some(message));
    fleet.settle();
    fleet.connect(1);
    fleet.nodes[1].read = Some(0);
    fleet.settle();
    assert_eq!(server_side(&mut fleet, 0).len(), 1);
    assert_eq!(server_side(&mut fleet, 1).len(), 0);
    assert_eq!(fleet.nodes[0].server.nodes("/").count(), 1, "an emitter is no node");
}

#[test]
fn servers_are_counted_by_the_engine_or_by_their_heartbeats() {
    let count = |fleet: &mut Fleet| {
        fleet.at(0, |at| at.count_servers("/").unwrap());
        fleet.wait(1_000);
        event(fleet, 0, |event| match event {
            ServerEvent::ServersCounted { servers, .. } => Some(*servers),
            _ => None,
        })
    };
    for (counts, expected) in [(true, 3), (false, 2)] {
        let mut fleet = with_official(2);
        fleet.counts = counts;
        assert_eq!(count(&mut fleet), Some(expected));
    }
    let mut fleet = Fleet::new(1);
    assert_eq!(count(&mut fleet), Some(1));
}
