//! The clients of a world.

use socketio_proto::{
    Timestamp,
    socket::{Args, Event},
};

use super::{ReceivedEvent, SessionInfo, World, freezer::Freezer, hold, links::LinkTask};
use crate::{
    Application, Data, Rng,
    client::{AckToken, ClientModel, ClientOptions, OfficialClient, Outcome, OwnClient, Route},
    net::Transit,
};

pub(super) const ROUTES: [Route; 3] = [Route::WebSocket, Route::Polling, Route::Upgrade];

pub(super) struct Client {
    pub(super) model: Box<dyn ClientModel>,
    /// The namespaces that it has joined at some time.
    joined: Vec<String>,
    pub(super) received: Vec<ReceivedEvent>,
    pub(super) answers: Vec<(Event, Args)>,
    pub(super) sessions: Vec<SessionInfo>,
    /// What waits for its process.
    pub(super) freezer: Freezer,
    /// Until when new wires fail, and whether the failures are silent.
    pub(super) unreachable: (u64, bool),
    /// The node of its latest connection, and how many connections there were.
    pub(super) place: (usize, u64),
    /// When its latest request of long-polling has arrived.
    pub(super) polled_at: u64,
}

/// What is to happen later.
pub(super) enum Task {
    Transit(Transit),
    /// A client acknowledges an event.
    Answer(usize, AckToken, Args),
    /// Something happens between a node and its engine.
    Link(LinkTask),
    /// A process that has handed its sessions over ends, unless it has already. So many have ended
    /// before.
    Replace(usize, u64),
}

impl Client {
    pub(super) fn new(is_official: bool, options: ClientOptions, rng: Rng, number: usize) -> Self {
        let auth = Box::new(move |_: &str| format!("{{\"client\":{number}}}"));
        let model: Box<dyn ClientModel> = if is_official {
            Box::new(OfficialClient::new(options, rng, auth))
        } else {
            Box::new(OwnClient::new(&options, rng, auth))
        };
        Self {
            model,
            joined: Vec::new(),
            received: Vec::new(),
            answers: Vec::new(),
            sessions: Vec::new(),
            freezer: Freezer::default(),
            unreachable: (0, false),
            place: (0, 0),
            polled_at: 0,
        }
    }

    pub(super) fn join(&mut self, now: Timestamp, namespace: &str) {
        if !self.joined.iter().any(|it| it == namespace) {
            self.joined.push(namespace.to_owned());
        }
        self.model.connect(now, namespace);
    }

    pub(super) fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.joined.iter().map(|it| &**it)
    }
}

impl<A: Application<D>, D: Data> World<A, D> {
    /// Takes everything that a client wants.
    pub(super) fn drain_client(&mut self, client: usize) {
        while let Some(outcome) = self.clients[client].model.poll_outcome() {
            if !matches!(outcome, Outcome::Wire(_)) {
                self.tell(|| format!("client {client}: {outcome:?}"));
            }
            match outcome {
                Outcome::Wire(output) => self.client_wire(client, output),
                Outcome::Closed { reason, is_unreadable } => {
                    assert!(!is_unreadable, "client {client} cannot read it: {reason}");
                }
                Outcome::Connected { namespace, id, recovered } => {
                    hold(self.promise.connected(client, &namespace, &id, recovered));
                    if let Some(node) = self.node_of(client) {
                        self.places.told(&id, node);
                    }
                    let outcome = self.promise.outcome(&id);
                    let session = SessionInfo { namespace, id, outcome };
                    self.clients[client].sessions.push(session);
                }
                Outcome::Received { namespace, event, ack, is_buffered } => {
                    if let Some(token) = ack {
                        self.agenda.plan(self.now, Task::Answer(client, token, event.args()));
                    }
                    let told = self.promise.received(client, &namespace, &event, is_buffered);
                    if let Some(event) = hold(told) {
                        let at = Timestamp::from_micros(self.now);
                        let received = ReceivedEvent { namespace, event, at };
                        self.clients[client].received.push(received);
                    }
                }
                Outcome::Acked { tag, args } => {
                    if let Some(event) = self.uplink.event(tag).cloned() {
                        self.clients[client].answers.push((event, args));
                    }
                }
                Outcome::Opened
                | Outcome::Refused { .. }
                | Outcome::Disconnected { .. }
                | Outcome::Confused
                | Outcome::Failed { .. }
                | Outcome::GivenUp { .. } => {}
            }
        }
    }

    pub(super) fn answer(&mut self, client: usize, token: AckToken, args: &Args) {
        let now = self.now();
        self.clients[client].model.ack(now, token, args);
        self.drain_client(client);
    }
}
