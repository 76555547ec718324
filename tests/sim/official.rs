//! A small but exact model of the official client: the behaviour of its manager and its sockets
//! that recovery depends on, including its defects (protocol facts 3.7 and 4.2 to 4.7).

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use socketio_proto::{
    Timestamp, WireId,
    engine::{ClientInput, Frame, Payload},
    socket::{Args, Decoder, DecoderLimits, Event, Kind, Packet},
};

use crate::{
    dice::Dice,
    official_engine::{Engine, EngineEvent},
    official_socket::{Socket, event_text},
    op::{Mistake, SPACES, Sending},
    peer::{Outcome, Peer, Token},
    plan::Route,
};

pub struct Official {
    route: Route,
    reconnection: (u64, u64),
    dice: Dice,
    serial: u64,
    engine: Option<Engine>,
    decoder: Decoder,
    pub sockets: BTreeMap<usize, Socket>,
    attempts: u32,
    attempt_at: Option<Timestamp>,
    next_wire: u64,
    now: Timestamp,
    outcomes: std::collections::VecDeque<Outcome>,
}

impl Official {
    pub fn new(route: Route, reconnection: (u64, u64), dice: Dice, serial: u64) -> Self {
        Self {
            route,
            reconnection,
            dice,
            serial,
            engine: None,
            decoder: Decoder::new(DecoderLimits {
                attachments: 10,
                attachment_bytes: 1_000_000,
                namespace_name_bytes: 1_000,
            }),
            sockets: BTreeMap::new(),
            attempts: 0,
            attempt_at: None,
            next_wire: 0,
            now: Timestamp::ZERO,
            outcomes: std::collections::VecDeque::new(),
        }
    }

    fn open(&mut self) {
        self.attempt_at = None;
        self.decoder.reset();
        self.engine = Some(Engine::new(self.route, self.next_wire, self.now));
    }

    fn send(&mut self, text: &str) {
        self.send_all(text, &[]);
    }

    fn send_all(&mut self, text: &str, attachments: &[Bytes]) {
        if let Some(engine) = &mut self.engine {
            let head = std::iter::once(Frame::Text(format!("4{text}").into()));
            engine.send(head.chain(attachments.iter().cloned().map(Frame::Binary)));
        }
    }

    fn send_connect(&mut self, space: usize) {
        self.serial += 1;
        let Some(socket) = self.sockets.get(&space) else {
            return;
        };
        let text = socket.connect_text(space, self.serial);
        self.send(&text);
    }

    /// Passes on what the engine has to say.
    fn settle(&mut self) {
        while let Some(event) = self.engine.as_mut().and_then(|engine| engine.events.pop_front()) {
            match event {
                EngineEvent::Opened => {
                    self.outcomes.push_back(Outcome::Opened);
                    let active = self.sockets.iter().filter(|(_, socket)| socket.is_active);
                    let active: Vec<usize> = active.map(|(space, _)| *space).collect();
                    for space in active {
                        self.send_connect(space);
                    }
                }
                EngineEvent::Message(payload) => self.message(payload),
                EngineEvent::Closed(reason, is_nonsense) => self.closed(reason, is_nonsense),
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
        let name = packet.namespace.as_str();
        let Some(space) = SPACES.iter().position(|space| *space == name) else {
            // Nobody has asked for it any more.
            return;
        };
        let Some(socket) = self.sockets.get_mut(&space).filter(|socket| socket.is_active) else {
            return;
        };
        match packet.kind {
            Kind::Connect { auth } => {
                let auth = auth.expect("an answer to CONNECT has a payload");
                let ids: Ids<'_> = auth.parse().expect("an answer to CONNECT has ids");
                let outcomes = socket.connected(space, ids.sid, ids.pid);
                self.outcomes.extend(outcomes);
                self.flush(space);
            }
            Kind::Event { event, ack } => {
                self.outcomes.extend(socket.event(space, event, ack));
            }
            Kind::Ack { id: Some(id), args } => {
                self.outcomes.extend(socket.acked(id, args));
                self.drain_queue(space, false);
            }
            Kind::Ack { id: None, .. } => panic!("an answer that was not asked for"),
            Kind::Disconnect => {
                socket.is_active = false;
                if !socket.is_connected {
                    self.outcomes.push_back(Outcome::Confused);
                }
                let (outcomes, is_queued) = socket.disconnected(space, "io server disconnect");
                self.outcomes.extend(outcomes);
                if is_queued {
                    self.drain_queue(space, false);
                }
                self.close_if_unused();
            }
            Kind::ConnectError { error } => {
                socket.is_active = false;
                let message = format!("{error:?}");
                self.outcomes.push_back(Outcome::Refused { space, message });
                self.close_if_unused();
            }
        }
    }

    /// The order upon CONNECT: what was received before it (done already), what waits to be sent,
    /// the queue of retries.
    fn flush(&mut self, space: usize) {
        while let Some(text) = self.sockets.get_mut(&space).and_then(Socket::next_buffered) {
            self.send(&text);
        }
        self.drain_queue(space, true);
    }

    /// Sends the head of the queue of retries, unless it is out already.
    fn drain_queue(&mut self, space: usize, force: bool) {
        let now = self.now;
        if let Some(socket) = self.sockets.get_mut(&space)
            && let Some(text) = socket.next_try(space, now, force)
        {
            self.send(&text);
        }
    }

    fn closed(&mut self, reason: &'static str, is_nonsense: bool) {
        if let Some(engine) = self.engine.take() {
            self.next_wire = engine.next_wire();
            let mut wires = engine.wires;
            self.outcomes.extend(wires.drain(..).map(Outcome::Wire));
        }
        self.decoder.reset();
        for (space, socket) in &mut self.sockets {
            if socket.is_active {
                let (outcomes, _) = socket.disconnected(*space, reason);
                self.outcomes.extend(outcomes);
            }
        }
        self.outcomes.push_back(Outcome::Closed(reason.to_owned(), is_nonsense));
        if self.sockets.values().any(|socket| socket.is_active) {
            self.schedule();
        }
    }

    /// The backoff of the reference (protocol facts 4.3).
    fn schedule(&mut self) {
        let (least, most) = self.reconnection;
        let base = least.saturating_mul(1 << self.attempts.min(20));
        self.attempts += 1;
        let random = self.dice.below(1_000);
        let deviation = base * random / 2_000;
        let is_down = (random / 100).is_multiple_of(2);
        let delay = if is_down { base - deviation } else { base + deviation }.min(most);
        self.attempt_at = Some(self.now.saturating_add(Duration::from_millis(delay)));
    }

    fn close_if_unused(&mut self) {
        if self.sockets.values().any(|socket| socket.is_active) {
            return;
        }
        self.attempt_at = None;
        if let Some(engine) = &mut self.engine {
            engine.close();
        }
        self.settle();
    }
}

#[derive(serde::Deserialize)]
struct Ids<'a> {
    sid: &'a str,
    #[serde(default)]
    pid: Option<&'a str>,
}

impl Peer for Official {
    fn input(&mut self, now: Timestamp, input: ClientInput) {
        self.now = self.now.max(now);
        let is_timeout = input == ClientInput::Timeout;
        if let Some(engine) = &mut self.engine {
            engine.input(self.now, input);
        }
        self.settle();
        if !is_timeout {
            return;
        }
        let spaces: Vec<usize> = self.sockets.keys().copied().collect();
        for space in spaces {
            let now = self.now;
            let outcomes = self.sockets.get_mut(&space).map(|socket| socket.timeout(now));
            self.outcomes.extend(outcomes.into_iter().flatten());
            self.drain_queue(space, false);
        }
        if self.attempt_at.is_some_and(|at| at <= self.now) {
            self.open();
        }
    }

    fn poll(&mut self) -> Option<Outcome> {
        if let Some(outcome) = self.outcomes.pop_front() {
            if matches!(outcome, Outcome::Connected { .. }) {
                self.attempts = 0;
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

    fn set_paused(&mut self, _: Timestamp, wire: WireId, is_paused: bool) {
        if let Some(engine) = &mut self.engine {
            engine.set_paused(wire, is_paused);
        }
        self.settle();
    }

    fn connect(&mut self, now: Timestamp, space: usize) {
        self.now = self.now.max(now);
        let socket = self.sockets.entry(space).or_default();
        if socket.is_connected {
            if socket.is_active {
                return;
            }
            // It was refused while it was connected, and takes itself for that until the
            // application calls `disconnect()`.
            let (outcomes, _) = socket.disconnected(space, "io client disconnect");
            self.outcomes.extend(outcomes);
            self.send(&event_text('1', space, None, ""));
        }
        let socket = self.sockets.entry(space).or_default();
        // It asks again each time until it is answered.
        socket.is_active = true;
        match &self.engine {
            Some(engine) if engine.is_open() => self.send_connect(space),
            Some(engine) if !engine.is_closed() => {}
            _ if self.attempt_at.is_none() => self.open(),
            _ => {}
        }
    }

    fn leave(&mut self, now: Timestamp, space: usize) {
        self.now = self.now.max(now);
        let Some(socket) = self.sockets.get_mut(&space).filter(|socket| socket.is_active) else {
            return;
        };
        socket.is_active = false;
        let was_connected = socket.is_connected;
        if was_connected {
            let text = if space == 0 { "1".to_owned() } else { format!("1{},", SPACES[space]) };
            self.send(&text);
            let socket = self.sockets.get_mut(&space).unwrap();
            let (outcomes, _) = socket.disconnected(space, "io client disconnect");
            self.outcomes.extend(outcomes);
        }
        self.close_if_unused();
    }

    fn close(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        // `io.engine.close()`: it comes back by itself.
        if let Some(engine) = &mut self.engine {
            engine.close();
        }
        self.settle();
    }

    fn reconnect(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        if self.attempt_at.is_some() {
            self.open();
        }
    }

    fn forget(&mut self, _: Timestamp, _: usize) -> bool {
        false
    }

    fn take_back(&mut self, _: Timestamp, _: usize) -> Vec<usize> {
        Vec::new()
    }

    fn save(&mut self) -> bool {
        false
    }

    fn restart(&mut self, _: Timestamp, _: bool) -> bool {
        false
    }

    fn emit(&mut self, now: Timestamp, space: usize, number: usize, sending: Sending) -> bool {
        self.now = self.now.max(now);
        let is_writable = self.engine.as_ref().is_some_and(Engine::is_writable);
        let Some(socket) = self.sockets.get_mut(&space) else {
            return false;
        };
        if sending == Sending::Volatile && !is_writable {
            return false;
        }
        if sending == Sending::Retry {
            socket.enqueue(number);
            self.drain_queue(space, false);
            return true;
        }
        if let Some(text) = socket.emit(space, number, sending, self.now) {
            self.send(&text);
        }
        true
    }

    fn blunder(&mut self, now: Timestamp, space: usize, what: Mistake, max_payload: usize) -> bool {
        self.now = self.now.max(now);
        let is_open = self.engine.as_ref().is_some_and(Engine::is_open);
        let Some(socket) = self.sockets.get(&space).filter(|it| is_open && it.is_active) else {
            return false;
        };
        let name = if space == 0 { String::new() } else { format!("{},", SPACES[space]) };
        match what {
            Mistake::TooManyAttachments | Mistake::TooLarge if !socket.is_connected => {
                return false;
            }
            Mistake::TooManyAttachments => {
                let holes: Vec<String> = (0..11)
                    .map(|number| format!("{{\"_placeholder\":true,\"num\":{number}}}"))
                    .collect();
                let text = format!("511-{name}[\"big\",{}]", holes.join(","));
                self.send_all(&text, &vec![Bytes::from_static(b"x"); 11]);
            }
            Mistake::TooLarge => {
                self.send(&format!("2{name}[\"big\",\"{}\"]", "x".repeat(max_payload)));
            }
            Mistake::LongName => self.send(&format!("40/{},{{}}", "n".repeat(300))[1..]),
            Mistake::NoObject => self.send(&format!("0{name}\"token\"")),
        }
        true
    }

    fn ack(&mut self, now: Timestamp, token: Token, args: &Args) {
        self.now = self.now.max(now);
        if let Token::Official { space, id } = token
            && self.sockets.get(&space).is_some_and(|socket| socket.is_connected)
        {
            let text = event_text('3', space, Some(id), args.json());
            self.send_all(&text, args.attachments());
        }
    }

    fn is_connected(&self, space: usize) -> bool {
        self.sockets.get(&space).is_some_and(|socket| socket.is_connected)
    }

    fn is_active(&self, space: usize) -> bool {
        self.sockets.get(&space).is_some_and(|socket| socket.is_active)
    }

    fn is_idle(&self) -> bool {
        let is_sent = self.engine.as_ref().is_none_or(|engine| !engine.has_buffered());
        is_sent && self.sockets.values().all(Socket::is_idle)
    }
}

/// The arguments of an event whose last one is a string, and that string: what the official client
/// takes for an offset.
pub fn trailing_string(event: &Event) -> Option<String> {
    let open = event.json().strip_suffix("\"]")?;
    let (rest, text) = open.rsplit_once('"')?;
    // Not the name of the event itself.
    (rest.len() > 1).then(|| text.to_owned())
}
