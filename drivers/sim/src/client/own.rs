//! The client of `socketio-proto`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use socketio_proto::{
    AckId, Timestamp, WireId,
    client::{Auth, Client, ClientConfig, ClientEvent, ClientOutput},
    engine::{ClientCloseReason, ClientFault, ClientInput, Transport},
    socket::{Args, Event, Json, NamespaceName},
};

use super::{AckToken, AuthSource, ClientModel, ClientOptions, Delivery, Outcome, Route, Token};
use crate::Rng;

/// The client of `socketio-proto` in a simulation.
pub struct OwnClient {
    client: Client,
    config: ClientConfig,
    ack_timeout: Duration,
    rng: Rng,
    auth: AuthSource,
    now: Timestamp,
    /// The namespaces that it has asked for.
    namespaces: BTreeSet<NamespaceName>,
    /// The tags of the events whose acknowledgements are awaited.
    awaited: BTreeMap<(NamespaceName, AckId), u64>,
    /// The snapshot that was stored last, and the namespaces of that time.
    stored: Option<Stored>,
}

#[derive(Clone)]
struct Stored {
    snapshot: String,
    active: Vec<NamespaceName>,
}

impl OwnClient {
    /// Creates a client.
    ///
    /// # Panics
    ///
    /// If the options are not valid.
    pub fn new(options: &ClientOptions, mut rng: Rng, auth: AuthSource) -> Self {
        let config = config(options);
        let client = Client::new(config.clone(), Rng::new(rng.next()).entropy());
        Self {
            client: client.expect("valid options"),
            config,
            ack_timeout: options.ack_timeout,
            rng,
            auth,
            now: Timestamp::ZERO,
            namespaces: BTreeSet::new(),
            awaited: BTreeMap::new(),
            stored: None,
        }
    }

    /// Returns the machine of the client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Calls a method of the machine at time `now`.
    pub fn call<T>(&mut self, now: Timestamp, f: impl FnOnce(&mut Client, Timestamp) -> T) -> T {
        self.now = self.now.max(now);
        f(&mut self.client, now)
    }

    /// Stores a snapshot.
    ///
    /// # Panics
    ///
    /// If the snapshot cannot be written.
    pub fn store(&mut self) {
        self.stored = Some(self.take_snapshot());
    }

    /// Ends the process and starts another one with the snapshot that was stored last, or with one
    /// of this moment. `tag_of` returns the tag of an event that is still being retried. Returns
    /// false if no snapshot was stored.
    ///
    /// # Panics
    ///
    /// If the snapshot cannot be restored.
    pub fn restart(
        &mut self,
        now: Timestamp,
        is_stored: bool,
        tag_of: impl Fn(&Event) -> u64,
    ) -> bool {
        self.now = self.now.max(now);
        let stored = if is_stored { self.stored.clone() } else { Some(self.take_snapshot()) };
        let Some(Stored { snapshot, active }) = stored else {
            return false;
        };
        let entropy = Rng::new(self.rng.next()).entropy();
        self.client = Client::new(self.config.clone(), entropy).expect("valid options");
        let snapshot = serde_json::from_str(&snapshot).expect("a snapshot");
        self.client.restore(now, snapshot).expect("its own snapshot");
        self.awaited.clear();
        for namespace in &self.namespaces {
            let retrying = self.client.retrying(namespace.as_str());
            let tags =
                retrying.map(|(ack, event)| ((namespace.clone(), ack), tag_of(event.event())));
            self.awaited.extend(tags);
        }
        for namespace in active {
            self.client.connect(now, namespace.as_str(), Auth::Ask).expect("a namespace");
        }
        true
    }

    fn take_snapshot(&self) -> Stored {
        let snapshot = serde_json::to_string(&self.client.snapshot()).expect("a snapshot");
        let active = self.namespaces.iter().filter(|it| self.client.is_active(it.as_str()));
        Stored { snapshot, active: active.cloned().collect() }
    }

    fn outcome(&mut self, event: ClientEvent) -> Option<Outcome> {
        Some(match event {
            ClientEvent::AuthRequested { request, namespace } => {
                let auth = Json::from_text(&(self.auth)(namespace.as_str()));
                let auth = auth.expect("auth is a JSON object");
                self.client.provide_auth(self.now, request, &auth).expect("auth is an object");
                return None;
            }
            ClientEvent::ConnectionOpened { .. } => Outcome::Opened,
            ClientEvent::ConnectionClosed { reason, .. } => {
                Outcome::Closed { reason: reason.to_string(), is_unreadable: is_nonsense(reason) }
            }
            ClientEvent::TransportFailed { fault, .. } => {
                Outcome::Closed { reason: fault.to_string(), is_unreadable: is_unreadable(fault) }
            }
            ClientEvent::Connected { namespace, id, recovered } => {
                Outcome::Connected { namespace, id: id.to_string(), recovered }
            }
            ClientEvent::ConnectError { namespace, error } => {
                Outcome::Refused { namespace, message: format!("{error:?}") }
            }
            ClientEvent::Disconnected { namespace, reason, .. } => {
                Outcome::Disconnected { namespace, reason: reason.as_str() }
            }
            ClientEvent::Received { namespace, event, ack } => {
                let ack = ack.map(|token| AckToken(Token::Own(token)));
                Outcome::Received { namespace, event, ack, is_buffered: false }
            }
            ClientEvent::Acked { namespace, ack, args } => {
                let tag = self.awaited.remove(&(namespace, ack));
                Outcome::Acked { tag: tag.expect("an answer that was asked for, once"), args }
            }
            ClientEvent::AckFailed { namespace, ack, .. } => {
                let tag = self.awaited.remove(&(namespace, ack));
                Outcome::Failed { tag: tag.expect("a failure, once") }
            }
            ClientEvent::BufferExpired { namespace, event, .. }
            | ClientEvent::Unconfirmed { namespace, event, .. } => {
                Outcome::GivenUp { namespace, event: event.event().clone() }
            }
            // A client that has restored an older snapshot knows it.
            ClientEvent::SnapshotOutOfDate { .. }
            | ClientEvent::ConnectionUpgraded
            | ClientEvent::UpgradeFailed
            | ClientEvent::Reconnecting { .. }
            | ClientEvent::ReconnectionFailed => return None,
            other => panic!("unexpected: {other:?}"),
        })
    }
}

fn config(options: &ClientOptions) -> ClientConfig {
    let transports: &[Transport] = match options.route {
        Route::WebSocket => &[Transport::WebSocket],
        Route::Polling => &[Transport::Polling],
        Route::Upgrade => &[Transport::Polling, Transport::WebSocket],
    };
    ClientConfig::new()
        .transports(transports)
        .reconnection_delay(options.reconnection_delay)
        .reconnection_delay_max(options.reconnection_delay_max)
        .ack_timeout(options.ack_timeout)
}

impl ClientModel for OwnClient {
    fn handle_input(&mut self, now: Timestamp, input: ClientInput) {
        self.now = self.now.max(now);
        self.client.handle_input(now, input);
    }

    fn poll_outcome(&mut self) -> Option<Outcome> {
        loop {
            let due = self.client.deadline();
            let output = self.client.poll_output()?;
            assert!(due.is_some_and(|due| due <= self.now), "output is due at once: {due:?}");
            match output {
                ClientOutput::Wire(output) => return Some(Outcome::Wire(output)),
                ClientOutput::Event(event) => {
                    if let Some(outcome) = self.outcome(event) {
                        return Some(outcome);
                    }
                }
                other => unreachable!("unknown: {other:?}"),
            }
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.client.deadline()
    }

    fn set_paused(&mut self, now: Timestamp, wire: WireId, is_paused: bool) {
        self.now = self.now.max(now);
        if is_paused { self.client.pause(wire) } else { self.client.resume(now, wire) }
    }

    fn connect(&mut self, now: Timestamp, namespace: &str) {
        self.now = self.now.max(now);
        self.namespaces.extend(NamespaceName::new(namespace));
        self.client.connect(now, namespace, Auth::Ask).expect("a namespace");
    }

    fn disconnect(&mut self, now: Timestamp, namespace: &str) {
        self.now = self.now.max(now);
        self.client.disconnect(now, namespace);
    }

    fn close(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.client.close(now);
    }

    fn reconnect(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.client.reconnect(now);
    }

    fn emit(
        &mut self,
        now: Timestamp,
        namespace: &str,
        event: &Event,
        delivery: Delivery,
        tag: u64,
    ) -> bool {
        self.now = self.now.max(now);
        let client = &mut self.client;
        let ack = match delivery {
            Delivery::Plain => return client.emit(now, namespace, event).is_ok(),
            Delivery::Volatile => return client.emit_volatile(now, namespace, event),
            Delivery::Ack => client.emit_with_ack(now, namespace, event, self.ack_timeout),
            Delivery::Retry => client.emit_with_retries(now, namespace, event),
        };
        if let (Ok(ack), Ok(namespace)) = (&ack, NamespaceName::new(namespace)) {
            self.awaited.insert((namespace, *ack), tag);
        }
        ack.is_ok()
    }

    fn ack(&mut self, now: Timestamp, token: AckToken, args: &Args) {
        self.now = self.now.max(now);
        if let AckToken(Token::Own(token)) = token {
            self.client.ack(now, token, args);
        }
    }

    fn is_connected(&self, namespace: &str) -> bool {
        self.client.is_connected(namespace)
    }

    fn is_active(&self, namespace: &str) -> bool {
        self.client.is_active(namespace)
    }

    fn is_idle(&self) -> bool {
        let is_empty = |namespace: &str| {
            self.client.buffered(namespace).next().is_none()
                && self.client.retrying(namespace).next().is_none()
        };
        self.awaited.is_empty() && self.namespaces.iter().all(|it| is_empty(it.as_str()))
    }
}

/// Whether the server sent what no server may send.
fn is_nonsense(reason: ClientCloseReason) -> bool {
    match reason {
        ClientCloseReason::ParseError => true,
        ClientCloseReason::TransportError(fault) => is_unreadable(fault),
        _ => false,
    }
}

fn is_unreadable(fault: ClientFault) -> bool {
    matches!(
        fault,
        ClientFault::Decode(_) | ClientFault::NoHandshake | ClientFault::PayloadTooLarge
    )
}
