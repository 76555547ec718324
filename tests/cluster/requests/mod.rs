//! What nodes ask each other.

mod acks;
mod claims;
mod fetch;
mod limits;
mod random;
mod servers;

use std::time::Duration;

use socketio_proto::{
    cluster::{
        ClusterInput, Missing,
        message::{Body, Message, NodeId, RequestId, SocketDetails, Value},
    },
    hub::Audience,
    server::ServerEvent,
    socket::NamespaceName,
};

use crate::fleet::{Client, Fleet, Official};

const WAIT: Duration = Duration::from_secs(3);

/// The nodes of a fleet know each other.
fn acquainted(nodes: usize) -> Fleet {
    let mut fleet = Fleet::new(nodes);
    fleet.settle();
    fleet
}

/// The official adapter sends no heartbeats.
fn with_official(nodes: usize) -> Fleet {
    let mut fleet = acquainted(nodes);
    fleet.officials.push(Official { id: official(), inbox: Vec::new() });
    fleet
}

fn official() -> NodeId {
    NodeId::new("c81a1630046574db").unwrap()
}

/// A message of the official node.
fn says(fleet: &mut Fleet, node: usize, body: Body) {
    let message = Message::new(official(), NamespaceName::ROOT, body);
    fleet.input(node, ClusterInput::Message(message));
}

/// The request that the official node got last.
fn asked(fleet: &Fleet) -> RequestId {
    let mut latest = fleet.officials[0].inbox.iter().rev();
    let request = latest.find_map(|message| match &message.body {
        Body::FetchSockets { request, .. } => Some(request),
        Body::ServerSideEmit { request, .. } => request.as_ref(),
        Body::Broadcast(broadcast) => broadcast.request.as_ref(),
        _ => None,
    });
    request.unwrap().clone()
}

/// The event of a node that `pick` takes. There must be one at most.
fn event<T>(
    fleet: &mut Fleet,
    node: usize,
    pick: impl Fn(&ServerEvent<u32>) -> Option<T>,
) -> Option<T> {
    let events = std::mem::take(&mut fleet.nodes[node].events);
    let mut picked = events.iter().filter_map(pick);
    let first = picked.next();
    assert!(picked.next().is_none(), "it is settled once");
    first
}

/// The ids of the sockets that were fetched, and who is missing.
fn fetched(fleet: &mut Fleet, node: usize) -> Option<(Vec<String>, Missing)> {
    event(fleet, node, |event| match event {
        ServerEvent::SocketsFetched { sockets, missing, .. } => {
            let mut ids: Vec<String> =
                sockets.iter().map(|socket| socket.details.id.to_string()).collect();
            ids.sort();
            Some((ids, missing.clone()))
        }
        _ => None,
    })
}

fn fetch(fleet: &mut Fleet, node: usize) {
    fleet.at(node, |at| at.fetch_sockets("/", &Audience::all()).unwrap());
}

fn ids(fleet: &Fleet, clients: &[Client]) -> Vec<String> {
    let id = |client: &Client| {
        fleet.nodes[client.node].server.socket_id(fleet.socket(*client)).unwrap().to_string()
    };
    let mut ids: Vec<String> = clients.iter().map(id).collect();
    ids.sort();
    ids
}

fn details(id: &str) -> SocketDetails {
    SocketDetails::new(id.to_owned().into(), Value::null(), Vec::new(), Value::null())
}
