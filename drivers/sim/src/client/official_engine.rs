//! The connection of the official client, as far as recovery depends on it (protocol facts 1.8 to
//! 1.10 and 4.8): one GET and one POST at a time, probe and upgrade, heartbeat, close.

use std::{collections::VecDeque, time::Duration};

use socketio_proto::{
    Timestamp, WireId,
    engine::{
        ClientInput, EngineClientOutput, EnginePacket, Frame, Open, Payload, PayloadReader,
        PayloadWriter, Transport,
    },
};

use super::Route;

#[derive(Debug, PartialEq)]
pub(super) enum EngineNotice {
    Opened,
    Message(Payload),
    /// Why, and whether the server sent what it must not.
    Closed(&'static str, bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening,
    Open,
    /// Waits until everything was sent.
    Closing,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    Opening(WireId),
    Probing(WireId),
    /// Waits for the requests that are out.
    Pausing(WireId),
}

pub(super) struct Engine {
    route: Route,
    state: State,
    transport: Transport,
    query: String,
    sid: String,
    max_payload: usize,
    period: Duration,
    /// When the handshake or a ping must have come.
    pub(super) deadline: Option<Timestamp>,
    get: Option<WireId>,
    post: Option<WireId>,
    websocket: Option<WireId>,
    probe: Option<Probe>,
    is_paused: bool,
    buffer: VecDeque<Frame>,
    next_wire: u64,
    pub(super) wires: VecDeque<EngineClientOutput>,
    pub(super) events: VecDeque<EngineNotice>,
    now: Timestamp,
}

/// How long the handshake may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);

impl Engine {
    pub(super) fn new(route: Route, first_wire: u64, now: Timestamp) -> Self {
        let transport = match route {
            Route::WebSocket => Transport::WebSocket,
            Route::Polling | Route::Upgrade => Transport::Polling,
        };
        let mut engine = Self {
            route,
            state: State::Opening,
            transport,
            query: format!("EIO=4&transport={transport}"),
            sid: String::new(),
            max_payload: 0,
            period: Duration::ZERO,
            deadline: Some(now.saturating_add(OPEN_TIMEOUT)),
            get: None,
            post: None,
            websocket: None,
            probe: None,
            is_paused: false,
            buffer: VecDeque::new(),
            next_wire: first_wire,
            wires: VecDeque::new(),
            events: VecDeque::new(),
            now,
        };
        match transport {
            Transport::Polling => engine.poll(),
            Transport::WebSocket => {
                let (wire, query) = (engine.name_wire(), engine.query.clone());
                engine.websocket = Some(wire);
                engine.wires.push_back(EngineClientOutput::OpenWebSocket { wire, query });
            }
        }
        engine
    }

    pub(super) fn next_wire(&self) -> u64 {
        self.next_wire
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    pub(super) fn is_writable(&self) -> bool {
        match self.transport {
            Transport::Polling => self.post.is_none(),
            Transport::WebSocket => true,
        }
    }

    pub(super) fn needs(&self, wire: WireId) -> bool {
        let probe = match self.probe {
            Some(Probe::Opening(wire) | Probe::Probing(wire) | Probe::Pausing(wire)) => Some(wire),
            None => None,
        };
        [self.get, self.post, self.websocket, probe].contains(&Some(wire))
    }

    pub(super) fn has_buffered(&self) -> bool {
        !self.buffer.is_empty()
    }

    pub(super) fn set_paused(&mut self, wire: WireId, is_paused: bool) {
        if self.websocket == Some(wire) {
            self.is_paused = is_paused;
            self.flush();
        }
    }

    pub(super) fn send(&mut self, frames: impl Iterator<Item = Frame>) {
        if self.is_open() {
            self.buffer.extend(frames);
            self.flush();
        }
    }

    pub(super) fn input(&mut self, now: Timestamp, input: ClientInput) {
        self.now = self.now.max(now);
        match input {
            ClientInput::Response { wire, status, body } => self.response(wire, status, body),
            ClientInput::WebSocketOpened { wire } => {
                if self.probe == Some(Probe::Opening(wire)) {
                    self.probe = Some(Probe::Probing(wire));
                    let frame = EnginePacket::Ping { probe: true }.encode();
                    self.wires.push_back(EngineClientOutput::Send { wire, frame });
                }
            }
            ClientInput::Frame { wire, frame } => self.frame(wire, frame),
            ClientInput::TooLarge { wire }
            | ClientInput::WireClosed { wire }
            | ClientInput::WebSocketClosed { wire, .. } => {
                self.lost(wire);
            }
            ClientInput::Timeout => {
                if self.deadline.is_some_and(|deadline| deadline <= self.now) {
                    let reason =
                        if self.state == State::Opening { "timeout" } else { "ping timeout" };
                    self.end(reason, false);
                }
            }
            other => unreachable!("unknown: {other:?}"),
        }
    }

    /// Closes once everything was sent and an upgrade has come to an end.
    pub(super) fn close(&mut self) {
        match self.state {
            State::Opening => self.end("forced close", false),
            State::Open => {
                self.state = State::Closing;
                self.finish();
            }
            State::Closing | State::Closed => {}
        }
    }

    fn finish(&mut self) {
        let is_upgrading = matches!(self.probe, Some(Probe::Pausing(_)));
        if self.state == State::Closing && self.buffer.is_empty() && !is_upgrading {
            if self.transport == Transport::Polling && self.post.is_some() {
                return;
            }
            self.end("forced close", false);
        }
    }

    fn response(&mut self, wire: WireId, status: u16, body: bytes::Bytes) {
        let is_get = self.get == Some(wire);
        if !is_get && self.post != Some(wire) {
            return;
        }
        if is_get {
            self.get = None;
        } else {
            self.post = None;
        }
        if self.is_closed() {
            return;
        }
        if status != 200 {
            return self.end("transport error", false);
        }
        if is_get {
            for packet in PayloadReader::new(body) {
                self.packet(packet.ok());
            }
            self.poll();
        }
        self.upgrade();
        self.flush();
    }

    fn frame(&mut self, wire: WireId, frame: Frame) {
        if self.websocket == Some(wire) {
            self.packet(EnginePacket::decode(frame).ok());
        } else if self.probe == Some(Probe::Probing(wire)) {
            if EnginePacket::decode(frame) == Ok(EnginePacket::Pong { probe: true }) {
                self.probe = Some(Probe::Pausing(wire));
                self.upgrade();
            } else {
                self.drop_probe();
            }
        }
    }

    fn packet(&mut self, packet: Option<EnginePacket>) {
        match packet {
            _ if self.is_closed() => {}
            Some(EnginePacket::Open(open)) if self.state == State::Opening => self.opened(&open),
            Some(EnginePacket::Ping { probe: false }) => {
                self.deadline = Some(self.now.saturating_add(self.period));
                self.send(std::iter::once(EnginePacket::Pong { probe: false }.encode()));
            }
            Some(EnginePacket::Message(payload)) => {
                self.events.push_back(EngineNotice::Message(payload));
            }
            Some(EnginePacket::Noop) => {}
            Some(EnginePacket::Close) => self.end("transport close", false),
            _ => self.end("parse error", true),
        }
    }

    fn opened(&mut self, open: &Open) {
        self.state = State::Open;
        self.sid = open.sid.to_string();
        self.max_payload = usize::try_from(open.max_payload).unwrap_or(usize::MAX);
        self.period = Duration::from_millis(open.ping_interval + open.ping_timeout);
        self.deadline = Some(self.now.saturating_add(self.period));
        self.query = format!("EIO=4&transport={}&sid={}", self.transport, self.sid);
        self.events.push_back(EngineNotice::Opened);
        if self.route == Route::Upgrade && open.upgrades.contains(&Transport::WebSocket) {
            let wire = self.name_wire();
            let query = format!("EIO=4&transport=websocket&sid={}", self.sid);
            self.probe = Some(Probe::Opening(wire));
            self.wires.push_back(EngineClientOutput::OpenWebSocket { wire, query });
        }
    }

    fn lost(&mut self, wire: WireId) {
        match self.probe {
            Some(Probe::Opening(probe) | Probe::Probing(probe) | Probe::Pausing(probe))
                if probe == wire =>
            {
                self.probe = None;
                self.poll();
                self.flush();
                return;
            }
            _ => {}
        }
        if self.get == Some(wire) || self.post == Some(wire) {
            self.get.take_if(|get| *get == wire);
            self.post.take_if(|post| *post == wire);
            self.end("transport error", false);
        } else if self.websocket == Some(wire) {
            self.websocket = None;
            self.end("transport close", false);
        }
    }

    fn drop_probe(&mut self) {
        if let Some(Probe::Opening(wire) | Probe::Probing(wire) | Probe::Pausing(wire)) =
            self.probe.take()
        {
            self.wires.push_back(EngineClientOutput::Close { wire });
        }
    }

    /// Moves to the WebSocket when the requests that were out have come back.
    fn upgrade(&mut self) {
        let Some(Probe::Pausing(wire)) = self.probe else {
            return;
        };
        if self.get.is_some() || self.post.is_some() || self.is_closed() {
            return;
        }
        self.probe = None;
        self.transport = Transport::WebSocket;
        self.websocket = Some(wire);
        let frame = EnginePacket::Upgrade.encode();
        self.wires.push_back(EngineClientOutput::Send { wire, frame });
        self.flush();
    }

    fn poll(&mut self) {
        let is_pausing = matches!(self.probe, Some(Probe::Pausing(_)));
        let is_polling = self.transport == Transport::Polling && !self.is_closed();
        if is_polling && !is_pausing && self.get.is_none() {
            let (wire, query) = (self.name_wire(), self.query.clone());
            self.get = Some(wire);
            self.wires.push_back(EngineClientOutput::Get { wire, query });
        }
    }

    fn flush(&mut self) {
        let is_pausing = matches!(self.probe, Some(Probe::Pausing(_)));
        if is_pausing || !matches!(self.state, State::Open | State::Closing) {
            return;
        }
        match self.transport {
            Transport::WebSocket => {
                if let Some(wire) = self.websocket.filter(|_| !self.is_paused) {
                    let frames = self.buffer.drain(..);
                    self.wires.extend(frames.map(|frame| EngineClientOutput::Send { wire, frame }));
                }
            }
            Transport::Polling if self.post.is_none() && !self.buffer.is_empty() => {
                let mut writer = PayloadWriter::new(self.max_payload);
                while self.buffer.front().is_some_and(|frame| writer.push(frame)) {
                    self.buffer.pop_front();
                }
                self.post(writer.finish());
            }
            Transport::Polling => {}
        }
        self.finish();
    }

    fn post(&mut self, body: bytes::Bytes) {
        let (wire, query) = (self.name_wire(), self.query.clone());
        self.post = Some(wire);
        self.wires.push_back(EngineClientOutput::Post { wire, query, body });
    }

    fn end(&mut self, reason: &'static str, is_nonsense: bool) {
        if self.is_closed() {
            return;
        }
        let was_open = self.state != State::Opening;
        self.state = State::Closed;
        self.deadline = None;
        self.buffer.clear();
        self.drop_probe();
        if let Some(wire) = self.websocket.take() {
            self.wires.push_back(EngineClientOutput::Close { wire });
        } else if was_open && self.transport == Transport::Polling {
            // It does not abort a waiting GET, and sends the close packet with a separate POST.
            self.post("1".into());
        }
        self.events.push_back(EngineNotice::Closed(reason, is_nonsense));
    }

    fn name_wire(&mut self) -> WireId {
        self.next_wire += 1;
        WireId(self.next_wire)
    }
}
