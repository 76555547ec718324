//! A small but exact model of the official client: the behaviour of its manager and its sockets
//! that recovery depends on, including its defects (protocol facts 3.7 and 4.2 to 4.7).

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use socketio_proto::{
    Timestamp, WireId,
    engine::{ClientInput, Frame, Payload},
    socket::{Args, Decoder, DecoderLimits, Event, Kind, NamespaceName, Packet},
};

use super::{
    AckToken, AuthSource, ClientModel, ClientOptions, Delivery, Outcome, Token,
    official_backoff::Backoff,
    official_engine::{Engine, EngineNotice},
    official_socket::{Message, Socket},
};
use crate::Rng;

/// A model of the official JavaScript client.
///
/// It behaves like the original where recovery, order and repetition depend on it: one manager with
/// several sockets, the backoff of reconnections, the buffers of sockets, acknowledgements with a
/// timeout, the queue of retries, and the offset that it takes from the last string of each event.
pub struct OfficialClient {
    options: ClientOptions,
    rng: Rng,
    auth: AuthSource,
    engine: Option<Engine>,
    decoder: Decoder,
    sockets: BTreeMap<NamespaceName, Socket>,
    backoff: Backoff,
    attempt_at: Option<Timestamp>,
    next_wire: u64,
    now: Timestamp,
    outcomes: VecDeque<Outcome>,
}

impl OfficialClient {
    /// Creates a client.
    pub fn new(options: ClientOptions, rng: Rng, auth: AuthSource) -> Self {
        Self {
            options,
            rng,
            auth,
            engine: None,
            decoder: Decoder::new(DecoderLimits {
                attachments: 10,
                attachment_bytes: 1_000_000,
                namespace_name_bytes: 1_000,
            }),
            sockets: BTreeMap::new(),
            backoff: Backoff::default(),
            attempt_at: None,
            next_wire: 0,
            now: Timestamp::ZERO,
            outcomes: VecDeque::new(),
        }
    }

    /// Whether the connection is open.
    pub fn is_open(&self) -> bool {
        self.engine.as_ref().is_some_and(Engine::is_open)
    }

    /// Sends a packet of Socket.IO as it is, for an application that makes a mistake. It is lost if
    /// the connection is not open.
    pub fn send_raw(&mut self, now: Timestamp, text: &str, attachments: &[Bytes]) {
        self.now = self.now.max(now);
        self.send_all(text, attachments);
    }

    fn open(&mut self) {
        self.attempt_at = None;
        self.decoder.reset();
        self.engine = Some(Engine::new(self.options.route, self.next_wire, self.now));
    }

    fn send(&mut self, (text, attachments): &Message) {
        self.send_all(text, attachments);
    }

    fn send_all(&mut self, text: &str, attachments: &[Bytes]) {
        if let Some(engine) = &mut self.engine {
            let head = std::iter::once(Frame::Text(format!("4{text}").into()));
            engine.send(head.chain(attachments.iter().cloned().map(Frame::Binary)));
        }
    }

    fn send_connect(&mut self, namespace: &NamespaceName) {
        let Some(socket) = self.sockets.get(namespace) else {
            return;
        };
        let text = socket.connect_text(&(self.auth)(namespace.as_str()));
        self.send_all(&text, &[]);
    }

    /// Passes on what the engine has to say.
    fn follow_engine(&mut self) {
        while let Some(event) = self.engine.as_mut().and_then(|engine| engine.events.pop_front()) {
            match event {
                EngineNotice::Opened => {
                    self.outcomes.push_back(Outcome::Opened);
                    let active = self.sockets.iter().filter(|(_, socket)| socket.is_active);
                    let active: Vec<NamespaceName> =
                        active.map(|(namespace, _)| namespace.clone()).collect();
                    for namespace in active {
                        self.send_connect(&namespace);
                    }
                }
                EngineNotice::Message(payload) => self.message(payload),
                EngineNotice::Closed(reason, is_nonsense) => self.closed(reason, is_nonsense),
            }
        }
    }

    fn message(&mut self, payload: Payload) {
        let decoded = match payload {
            Payload::Text(text) => self.decoder.push_text(text),
            Payload::Binary(bytes) => self.decoder.push_binary(bytes),
        };
        match decoded {
            Ok(Some(packet)) => self.packet(packet),
            Ok(None) => {}
            Err(error) => panic!("the server sent what is no packet: {error}"),
        }
    }

    fn packet(&mut self, packet: Packet) {
        let namespace = packet.namespace;
        // Nobody may have asked for it any more.
        let Some(socket) = self.sockets.get_mut(&namespace).filter(|socket| socket.is_active)
        else {
            return;
        };
        match packet.kind {
            Kind::Connect { auth } => {
                let auth = auth.expect("an answer to CONNECT has a payload");
                let ids: Ids<'_> = auth.parse().expect("an answer to CONNECT has ids");
                self.outcomes.extend(socket.connected(ids.sid, ids.pid));
                self.flush(&namespace);
            }
            Kind::Event { event, ack } => self.outcomes.extend(socket.event(event, ack)),
            Kind::Ack { id: Some(id), args } => {
                self.outcomes.extend(socket.acked(id, args));
                self.drain_queue(&namespace, false);
            }
            Kind::Ack { id: None, .. } => panic!("an answer that was not asked for"),
            Kind::Disconnect => {
                socket.is_active = false;
                if !socket.is_connected {
                    self.outcomes.push_back(Outcome::Confused);
                }
                let (outcomes, is_queued) = socket.disconnected("io server disconnect");
                self.outcomes.extend(outcomes);
                if is_queued {
                    self.drain_queue(&namespace, false);
                }
                self.close_if_unused();
            }
            Kind::ConnectError { error } => {
                socket.is_active = false;
                let message = format!("{error:?}");
                self.outcomes.push_back(Outcome::Refused { namespace, message });
                self.close_if_unused();
            }
        }
    }

    /// The order upon CONNECT: what was received before it (done already), what waits to be sent,
    /// the queue of retries.
    fn flush(&mut self, namespace: &NamespaceName) {
        while let Some(message) = self.sockets.get_mut(namespace).and_then(Socket::next_buffered) {
            self.send(&message);
        }
        self.drain_queue(namespace, true);
    }

    /// Sends the head of the queue of retries, unless it is out already.
    fn drain_queue(&mut self, namespace: &NamespaceName, force: bool) {
        let now = self.now;
        if let Some(socket) = self.sockets.get_mut(namespace)
            && let Some(message) = socket.next_try(now, force)
        {
            self.send(&message);
        }
    }

    fn closed(&mut self, reason: &'static str, is_unreadable: bool) {
        if let Some(engine) = self.engine.take() {
            self.next_wire = engine.next_wire();
            let mut wires = engine.wires;
            self.outcomes.extend(wires.drain(..).map(Outcome::Wire));
        }
        self.decoder.reset();
        for socket in self.sockets.values_mut().filter(|socket| socket.is_active) {
            let (outcomes, _) = socket.disconnected(reason);
            self.outcomes.extend(outcomes);
        }
        self.outcomes.push_back(Outcome::Closed { reason: reason.to_owned(), is_unreadable });
        if self.sockets.values().any(|socket| socket.is_active) {
            let delay = self.backoff.next(&self.options, &mut self.rng);
            self.attempt_at = Some(self.now.saturating_add(delay));
        }
    }

    fn close_if_unused(&mut self) {
        if self.sockets.values().any(|socket| socket.is_active) {
            return;
        }
        self.attempt_at = None;
        if let Some(engine) = &mut self.engine {
            engine.close();
        }
        self.follow_engine();
    }
}

#[derive(serde::Deserialize)]
struct Ids<'a> {
    sid: &'a str,
    #[serde(default)]
    pid: Option<&'a str>,
}

impl ClientModel for OfficialClient {
    fn handle_input(&mut self, now: Timestamp, input: ClientInput) {
        self.now = self.now.max(now);
        let is_timeout = input == ClientInput::Timeout;
        if let Some(engine) = &mut self.engine {
            engine.input(self.now, input);
        }
        self.follow_engine();
        if !is_timeout {
            return;
        }
        let namespaces: Vec<NamespaceName> = self.sockets.keys().cloned().collect();
        for namespace in namespaces {
            let now = self.now;
            let outcomes = self.sockets.get_mut(&namespace).map(|socket| socket.timeout(now));
            self.outcomes.extend(outcomes.into_iter().flatten());
            self.drain_queue(&namespace, false);
        }
        if self.attempt_at.is_some_and(|at| at <= self.now) {
            self.open();
        }
    }

    fn poll_outcome(&mut self) -> Option<Outcome> {
        if let Some(outcome) = self.outcomes.pop_front() {
            if matches!(outcome, Outcome::Connected { .. }) {
                self.backoff.reset();
            }
            return Some(outcome);
        }
        let output = self.engine.as_mut()?.wires.pop_front()?;
        Some(Outcome::Wire(output))
    }

    fn deadline(&self) -> Option<Timestamp> {
        let engine = self.engine.as_ref().and_then(|engine| engine.deadline);
        let sockets = self.sockets.values().filter_map(Socket::deadline).min();
        engine.into_iter().chain(self.attempt_at).chain(sockets).min()
    }

    fn set_paused(&mut self, now: Timestamp, wire: WireId, is_paused: bool) {
        self.now = self.now.max(now);
        if let Some(engine) = &mut self.engine {
            engine.set_paused(wire, is_paused);
        }
        self.follow_engine();
    }

    fn connect(&mut self, now: Timestamp, namespace: &str) {
        self.now = self.now.max(now);
        let name = NamespaceName::new(namespace).expect("the name of a namespace");
        let timeout = self.options.ack_timeout;
        let socket =
            self.sockets.entry(name.clone()).or_insert_with(|| Socket::new(name.clone(), timeout));
        if socket.is_connected {
            if socket.is_active {
                return;
            }
            // It was refused while it was connected, and takes itself for that until the
            // application calls `disconnect()`.
            let (outcomes, _) = socket.disconnected("io client disconnect");
            let text = socket.disconnect_text();
            self.outcomes.extend(outcomes);
            self.send_all(&text, &[]);
        }
        if let Some(socket) = self.sockets.get_mut(&name) {
            // It asks again each time until it is answered.
            socket.is_active = true;
        }
        match &self.engine {
            Some(engine) if engine.is_open() => self.send_connect(&name),
            Some(engine) if !engine.is_closed() => {}
            _ if self.attempt_at.is_none() => self.open(),
            _ => {}
        }
    }

    fn disconnect(&mut self, now: Timestamp, namespace: &str) {
        self.now = self.now.max(now);
        let Some(socket) = self.sockets.get_mut(namespace).filter(|socket| socket.is_active) else {
            return;
        };
        socket.is_active = false;
        if socket.is_connected {
            let text = socket.disconnect_text();
            let (outcomes, _) = socket.disconnected("io client disconnect");
            self.send_all(&text, &[]);
            self.outcomes.extend(outcomes);
        }
        self.close_if_unused();
    }

    /// `io.engine.close()`: the client comes back by itself.
    fn close(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        if let Some(engine) = &mut self.engine {
            engine.close();
        }
        self.follow_engine();
    }

    fn reconnect(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        if self.attempt_at.is_some() {
            self.open();
        }
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
        let is_writable = self.engine.as_ref().is_some_and(Engine::is_writable);
        let Some((name, socket)) = self.sockets.iter_mut().find(|(it, _)| it.as_str() == namespace)
        else {
            return false;
        };
        if delivery == Delivery::Volatile && !is_writable {
            return false;
        }
        if delivery == Delivery::Retry {
            let name = name.clone();
            socket.enqueue(event.clone(), tag);
            self.drain_queue(&name, false);
            return true;
        }
        if let Some(message) = socket.emit(event, delivery, tag, self.now) {
            self.send(&message);
        }
        true
    }

    fn ack(&mut self, now: Timestamp, token: AckToken, args: &Args) {
        self.now = self.now.max(now);
        if let AckToken(Token::Official { namespace, id }) = token
            && let Some(socket) = self.sockets.get(&namespace).filter(|it| it.is_connected)
        {
            let message = socket.ack_text(id, args);
            self.send(&message);
        }
    }

    fn is_connected(&self, namespace: &str) -> bool {
        self.sockets.get(namespace).is_some_and(|socket| socket.is_connected)
    }

    fn is_active(&self, namespace: &str) -> bool {
        self.sockets.get(namespace).is_some_and(|socket| socket.is_active)
    }

    fn is_idle(&self) -> bool {
        let is_sent = self.engine.as_ref().is_none_or(|engine| !engine.has_buffered());
        is_sent && self.sockets.values().all(Socket::is_idle)
    }

    fn needs(&self, wire: WireId) -> bool {
        self.engine.as_ref().is_some_and(|engine| engine.needs(wire))
    }
}
