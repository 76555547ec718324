//! The end of the failures: everybody comes back, and everything arrives.

use super::World;
use crate::{
    Action, Application, Data, Step,
    net::{Wire, WireKind},
};

const SECOND: u64 = 1_000_000;
/// Longer than any timeout and any pause between two attempts to connect. Virtual time.
const PATIENCE: u64 = 1_200 * SECOND;

impl<A: Application<D>, D: Data> World<A, D> {
    /// Carries out a step of a script.
    pub fn apply(&mut self, step: &Step) {
        self.run_for(std::time::Duration::from_millis(step.after_ms));
        match &step.action {
            Action::Emit { client, namespace, event, delivery } => {
                self.emit(*client, namespace, event, *delivery);
            }
            Action::Leave { client, namespace } => self.leave(*client, namespace),
            Action::Join { client, namespace } => self.join(*client, namespace),
            Action::Fail(fault) => self.fail(fault),
            Action::Wait { ms } => self.run_for(std::time::Duration::from_millis(*ms)),
        }
    }

    /// Ends all failures and lets time pass until everything has come to rest: every client that
    /// wants to be in a namespace is, nothing is on its way, and everybody has received what was
    /// addressed to them.
    ///
    /// Clients that were disconnected or refused by the application stay away.
    ///
    /// # Panics
    ///
    /// If that does not happen within 20 minutes of virtual time, or if a promise is broken.
    pub fn settle(&mut self) {
        self.tell(|| "the failures end".to_owned());
        let frozen = self.clients.iter().map(|client| client.freezer.until());
        let nodes = self.nodes.iter().map(|node| node.freezer.until());
        let thawed_at = frozen.chain(nodes).max().unwrap_or_default();
        self.nodes.iter_mut().for_each(|node| node.crash = None);
        for client in 0..self.clients.len() {
            self.clients[client].unreachable = (0, false);
            self.network.slow_down(client, 0, 0);
        }
        self.run_until(thawed_at, |_| false);
        self.now = self.now.max(thawed_at);
        self.mend_links();
        let end = self.now + PATIENCE;
        while !self.is_settled() {
            let pause = (self.now + SECOND / 2).min(end);
            if self.run_until(pause, Self::is_settled) {
                return;
            }
            self.now = self.now.max(pause);
            assert!(self.now < end, "{}", self.what_is_missing());
        }
    }

    fn is_settled(&mut self) -> bool {
        // A connection that is cut unseen still looks alive to the server.
        let is_quiet = self.agenda.is_empty()
            && self.nodes.iter().all(|it| it.server_due().is_none_or(|due| due > self.now))
            && self.is_engine_quiet()
            && self.network.iter().all(|(_, wire)| !wire.is_cut || !wire.server_open);
        if is_quiet {
            self.promise.read_all();
        }
        is_quiet && (0..self.clients.len()).all(|client| self.missing(client).is_none())
    }

    /// What a client does not have yet.
    fn missing(&self, client: usize) -> Option<String> {
        let model = &self.clients[client].model;
        let is_away = |namespace: &str| !model.is_active(namespace);
        if !model.is_idle() && !self.clients[client].namespaces().any(is_away) {
            return Some("it is busy".to_owned());
        }
        if self.is_between(client) {
            return Some("it is between two connections".to_owned());
        }
        for namespace in self.clients[client].namespaces() {
            if model.is_active(namespace)
                && !(model.is_connected(namespace) && self.is_known(client, namespace))
            {
                return Some(format!("it is not in {namespace}"));
            }
            if let Some(event) = self.promise.owed(client, namespace)
                && model.is_active(namespace)
            {
                return Some(format!("it has not received {event:?}"));
            }
        }
        None
    }

    /// Whether a client moves to another transport, waits for the response to a POST, or has not
    /// noticed a cut. Meanwhile what it sends is held back or lost.
    fn is_between(&self, client: usize) -> bool {
        let model = &self.clients[client].model;
        let wires = self.network.of_client(client).map(|(_, wire)| wire);
        let needed: Vec<&Wire> =
            wires.filter(|wire| wire.local.is_some_and(|local| model.needs(local))).collect();
        let has = |kind| needed.iter().any(|wire| wire.kind == kind);
        needed.iter().any(|wire| wire.is_cut)
            || has(WireKind::Post)
            || (has(WireKind::WebSocket) && has(WireKind::Get))
    }

    /// Whether the session of a client is connected in the eyes of the server, too.
    fn is_known(&self, client: usize, namespace: &str) -> bool {
        let session = self.promise.session_of(client, namespace);
        let socket = session.and_then(|session| self.places.latest(session));
        socket.is_some_and(|(node, socket)| self.nodes[node].server.is_connected(socket))
    }

    fn what_is_missing(&self) -> String {
        let mut clients = 0..self.clients.len();
        let missing = clients.find_map(|client| Some((client, self.missing(client)?)));
        match missing {
            Some((client, what)) => format!("client {client} does not come to rest: {what}"),
            None => "the network does not come to rest".to_owned(),
        }
    }
}
