//! Whatever happens to the messages between nodes: every request settles once, and nobody is counted
//! twice. Messages are lost, come twice and in another order; nodes crash, pause and come.
//!
//! `REQUESTS_SEED=<number>` replays one run; `REQUESTS_RUNS=<number>` plays more.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use socketio_proto::{
    AckId,
    cluster::message::RequestId,
    hub::{Audience, Responder},
    server::ServerEvent,
    socket::{Args, Event},
};

use crate::{
    dice::{Dice, number},
    fleet::{Client, Fleet, name},
};

const NODES: usize = 4;

#[derive(Default)]
struct Run {
    /// What each node has asked, and has not got an answer to.
    requests: Vec<BTreeSet<RequestId>>,
    /// The broadcasts likewise.
    broadcasts: Vec<BTreeSet<AckId>>,
    clients: Vec<Client>,
    /// How many frames the client of a link has read.
    read: BTreeMap<u64, usize>,
    settled: usize,
    complete: usize,
}

impl Run {
    fn step(&mut self, fleet: &mut Fleet, dice: &mut Dice) {
        let node = dice.roll(NODES);
        match dice.roll(24) {
            0 => self.ask(fleet, node, dice),
            1 => {
                let client = fleet.open(node);
                self.clients.push(client);
            }
            2 => {
                let index = dice.roll(self.clients.len().max(1));
                if let Some(client) = self.clients.get(index) {
                    fleet.lose(*client);
                    self.clients.remove(index);
                }
            }
            3..9 => fleet.receive(node),
            9..12 => Self::disturb(fleet, node, dice),
            12 => fleet.wait(dice.roll(2_000) as u64),
            13 if dice.roll(10) == 0 => self.crash(fleet, node),
            14 if dice.roll(4) == 0 => fleet.wait_for(node, 11_000),
            15 if dice.roll(4) == 0 && fleet.nodes[node].read.is_some() => fleet.cut(node, 0),
            16..18 if fleet.nodes[node].read.is_none() => fleet.connect(node),
            18 => fleet.settle(),
            _ => self.reply(fleet, dice),
        }
        for node in 0..NODES {
            self.look(fleet, node, dice);
        }
    }

    /// Asks something of all nodes.
    fn ask(&mut self, fleet: &mut Fleet, node: usize, dice: &mut Dice) {
        let everyone = Audience::all();
        let question = Event::new("q", &()).unwrap();
        let wait = Duration::from_millis(500 * (1 + dice.roll(20) as u64));
        let choice = dice.roll(4);
        let (request, ack) = fleet.at(node, |at| match choice {
            0 => (at.fetch_sockets("/", &everyone).ok(), None),
            1 => (at.server_side_emit_with_ack("/", &question, wait).ok(), None),
            2 => (at.count_servers("/").ok(), None),
            _ => (None, at.broadcast_with_ack("/", &everyone, &question, wait).ok()),
        });
        self.requests[node].extend(request);
        if let Some(ack) = ack {
            self.broadcasts[node].insert(ack);
        }
    }

    /// Messages on their way to a node are lost, come twice, or change places.
    fn disturb(fleet: &mut Fleet, node: usize, dice: &mut Dice) {
        let inbox = &mut fleet.nodes[node].inbox;
        if inbox.is_empty() {
            return;
        }
        let (one, other) = (dice.roll(inbox.len()), dice.roll(inbox.len()));
        match dice.roll(3) {
            0 => drop(inbox.remove(one)),
            1 => inbox.push_back(inbox[one].clone()),
            _ => inbox.swap(one, other),
        }
    }

    /// A process ends with everything that it has asked.
    fn crash(&mut self, fleet: &mut Fleet, node: usize) {
        self.requests[node].clear();
        self.broadcasts[node].clear();
        self.clients.retain(|client| client.node != node);
        fleet.crash(node);
    }

    /// A client answers the next frame that it has not answered.
    fn reply(&mut self, fleet: &mut Fleet, dice: &mut Dice) {
        let Some(client) = self.clients.get(dice.roll(self.clients.len().max(1))).copied() else {
            return;
        };
        let read = self.read.entry(client.wire.0).or_default();
        let Some(frame) = fleet.frames(client).get(*read).cloned() else { return };
        *read += 1;
        if let Some(id) = frame.strip_prefix("42").and_then(|rest| rest.strip_suffix("[\"q\"]")) {
            fleet.send(client, &format!("43{id}[\"{}\"]", client.wire.0));
        }
    }

    /// A node handles its events.
    fn look(&mut self, fleet: &mut Fleet, node: usize, dice: &mut Dice) {
        for event in std::mem::take(&mut fleet.nodes[node].events) {
            match event {
                ServerEvent::ServerSideEvent { ack: Some(token), .. } if dice.roll(8) > 0 => {
                    fleet.at(node, |at| at.ack_server(token, &Args::empty()));
                }
                ServerEvent::SocketsFetched { request, sockets, missing, .. } => {
                    self.settle(node, &request);
                    let ids: Vec<_> = sockets.iter().map(|socket| &socket.details.id).collect();
                    let distinct: BTreeSet<_> = ids.iter().collect();
                    assert_eq!(ids.len(), distinct.len(), "no socket is there twice");
                    self.complete += usize::from(missing.is_empty());
                }
                ServerEvent::ServerSideAcked { request, responses, missing, .. } => {
                    self.settle(node, &request);
                    let nodes: BTreeSet<_> = responses.iter().map(|(node, _)| node).collect();
                    assert_eq!(nodes.len(), responses.len(), "each node answers once");
                    assert!(!nodes.contains(&name(node)));
                    assert!(missing.nodes.iter().all(|node| !nodes.contains(node)));
                    assert!(responses.len() + missing.nodes.len() < NODES);
                }
                ServerEvent::ServersCounted { request, servers, .. } => {
                    self.settle(node, &request);
                    assert!((1..=NODES).contains(&servers));
                }
                ServerEvent::BroadcastAcked { ack, responses, missing, nodes_missing, .. } => {
                    assert!(self.broadcasts[node].remove(&ack), "it was pending");
                    self.settled += 1;
                    self.complete += usize::from(missing == 0 && nodes_missing.is_empty());
                    // Those of other nodes are told apart by what they answer.
                    let wires: BTreeSet<String> =
                        responses.iter().map(|(_, args)| args.json().to_owned()).collect();
                    assert_eq!(wires.len(), responses.len(), "each client answers once");
                    let remote = responses.iter().filter(|(from, _)| from.socket().is_none());
                    assert!(remote.clone().all(|(from, _)| *from != Responder::Node(name(node))));
                }
                _ => {}
            }
        }
    }

    fn settle(&mut self, node: usize, request: &RequestId) {
        assert!(self.requests[node].remove(request), "it was pending");
        self.settled += 1;
    }
}

fn play(seed: u64) -> (usize, usize) {
    let mut dice = Dice::new(seed);
    let mut fleet = Fleet::new(NODES);
    fleet.counts = seed.is_multiple_of(2);
    fleet.settle();
    let mut run = Run {
        requests: vec![BTreeSet::new(); NODES],
        broadcasts: vec![BTreeSet::new(); NODES],
        ..Run::default()
    };
    for _ in 0..500 {
        run.step(&mut fleet, &mut dice);
    }
    // The longest timeout, and a grace period for a node that was paused.
    for _ in 0..3 {
        fleet.wait(11_000);
        for node in 0..NODES {
            run.look(&mut fleet, node, &mut dice);
        }
    }
    assert!(run.requests.iter().all(BTreeSet::is_empty), "{:?}", run.requests);
    assert!(run.broadcasts.iter().all(BTreeSet::is_empty), "{:?}", run.broadcasts);
    for node in &fleet.nodes {
        assert_eq!(node.server.stats().pending_acks, 0);
    }
    (run.settled, run.complete)
}

#[test]
fn h79_every_request_settles_once_and_nobody_is_counted_twice() {
    if let Some(seed) = number("REQUESTS_SEED") {
        play(seed);
        return;
    }
    let (mut settled, mut complete) = (0, 0);
    for seed in 0..number("REQUESTS_RUNS").unwrap_or(100) {
        let played = std::panic::catch_unwind(|| play(seed));
        let one = played.unwrap_or_else(|_| panic!("REQUESTS_SEED={seed} replays it"));
        settled += one.0;
        complete += one.1;
    }
    println!("{settled} settled, {complete} complete");
    assert!(settled > 500 && complete > settled / 10 && complete < settled);
}
