//! One TCP connection: HTTP exchanges one after another, until it becomes a WebSocket or ends.
//!
//! ```text
//!            complete head              whole body
//!   ┌─ Head ───────────────▶ Body ───────────────▶ Answer
//!   │   ▲                      │                     │
//!   │   └──────────────────────┼─────────────────────┤ answered, keep-alive
//!   │ handshake                │ refused early,      │ answered, no keep-alive
//!   ▼                          ▼ too late            ▼
//!   WebSocket ─────────────▶ Closing ─────────────▶ Gone
//!              close frame            peer gone, too late or too much
//! ```
//!
//! A head that is malformed or late leads to `Closing` as well, and from every stage a connection
//! that breaks is `Gone`. A client that half-closes its side has gone too, as for the reference.

use std::{mem, time::Duration};

use bytes::{Buf as _, BytesMut};
use mio::{event::Event, net::TcpStream};
use socketio_proto::{
    Timestamp, WireId,
    engine::{Fields, Response, WebSocketResponse},
    server::ServerInput,
};
use socketio_proto_websocket::{Received, WebSocket, close_frame, write_message};

use super::{
    buffers::{self, Broken, Buffers, Chunk, Stream},
    http::{self, MAX_HEAD, Request},
    machine::Outgoing,
};

/// Time that the first request, or the rest of a later one, may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time that a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Time between two requests, from the last byte of the response on.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time without progress that a peer may take to read what was sent.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time that a peer may take to hang up.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that a peer may still send until then. Messages on their way are read; a flood is not.
const CLOSE_BYTES: usize = 1024 * 1024;
/// Bytes to be sent beyond which a WebSocket takes no frames, and is not read from either.
const MUCH: usize = 64 * 1024;

/// A TCP connection and what is going on on it.
pub struct Connection {
    stream: Stream,
    buffers: Buffers,
    stage: Stage,
    /// The exchange or the WebSocket that the core knows of.
    wire: Option<WireId>,
    request: Answering,
    /// The next request was sent ahead, and its turn has come.
    has_more: bool,
    /// The core was told to hold frames back.
    is_paused: bool,
    stage_deadline: Option<Timestamp>,
    write_deadline: Option<Timestamp>,
}

/// The properties of the current request that its response depends on.
#[derive(Default)]
struct Answering {
    keep_alive: bool,
    is_head: bool,
    /// What CORS adds.
    added: Fields,
}

enum Stage {
    /// Between two requests, or within the head of one.
    Head,
    /// The core knows the request. This many bytes of its body go to the core.
    Body {
        wanted: usize,
    },
    /// The core has the whole request.
    Answer,
    WebSocket(Box<WebSocket>),
    /// The last bytes go out, and what still comes in is thrown away: closing at once could make
    /// the system throw away the last bytes instead.
    Closing {
        is_shut: bool,
        heard: usize,
    },
    Gone,
}

/// What came in on a connection.
pub enum Incoming {
    /// A request: to be answered by `begin`, `upgrade`, `answer_preflight` or `refuse`.
    Request(Request),
    /// For the core.
    Input(ServerInput<'static>),
}

impl Connection {
    /// Takes over a stream, with what was read from it already.
    pub fn new(now: Timestamp, stream: TcpStream, input: BytesMut) -> Self {
        Self {
            stream: Stream::new(stream),
            buffers: Buffers { input, output: BytesMut::new() },
            stage: Stage::Head,
            wire: None,
            request: Answering::default(),
            has_more: true,
            is_paused: false,
            stage_deadline: Some(now.saturating_add(HEAD_TIMEOUT)),
            write_deadline: None,
        }
    }

    /// Moves bytes and takes the next thing that came in. `None` if nothing did.
    pub fn advance(&mut self, now: Timestamp, chunk: &mut Chunk) -> Option<Incoming> {
        self.has_more = false;
        self.write(now);
        self.read(now, chunk);
        let incoming = match self.stage {
            Stage::Head => self.next_request(),
            Stage::Body { wanted } => self.next_body(wanted),
            Stage::WebSocket(_) => self.next_frame(now),
            Stage::Answer | Stage::Closing { .. } | Stage::Gone => None,
        };
        incoming.or_else(|| self.next_loss())
    }

    /// The poll has news of the stream.
    pub fn handle_readiness(&mut self, event: &Event) {
        self.stream.handle_readiness(event);
    }

    /// It is `deadline`.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if self.write_deadline.is_some_and(|deadline| deadline <= now) {
            self.stage = Stage::Gone;
        } else if self.stage_deadline.is_some_and(|deadline| deadline <= now) {
            match self.stage {
                Stage::Head if self.buffers.input.is_empty() => self.stage = Stage::Gone,
                Stage::Head | Stage::Body { .. } => self.refuse(408),
                Stage::Closing { .. } => self.stage = Stage::Gone,
                Stage::Answer | Stage::WebSocket(_) | Stage::Gone => {}
            }
        }
    }

    /// When `handle_timeout` is due.
    pub fn deadline(&self) -> Option<Timestamp> {
        [self.stage_deadline, self.write_deadline].into_iter().flatten().min()
    }

    /// Whether `advance` might do something.
    pub fn is_ready(&self) -> bool {
        let writes = self.stream.is_writable() && !self.buffers.output.is_empty();
        self.has_more || writes || (self.stream.is_readable() && self.wants_input())
    }

    /// Whether there is nothing left but to forget the connection.
    pub fn is_gone(&self) -> bool {
        matches!(self.stage, Stage::Gone) && self.wire.is_none()
    }

    /// Whether this wire is the one of now.
    pub fn has_wire(&self, wire: WireId) -> bool {
        self.wire == Some(wire)
    }

    /// The request goes to the core under this name.
    pub fn begin(&mut self, now: Timestamp, wire: WireId, request: &Request, max_payload: usize) {
        self.wire = Some(wire);
        let (keep_alive, is_head) = (request.keep_alive, request.is_head());
        self.request = Answering { keep_alive, is_head, added: request.added.clone() };
        if !request.has_body() {
            // An unwanted body is not read, so no other request can follow on the connection.
            self.request.keep_alive &= request.content_length == 0;
            self.enter(Stage::Answer, None);
            return;
        }
        // One byte more than allowed suffices to be refused.
        let most = max_payload.saturating_add(1);
        let wanted = request.content_length.min(most);
        self.request.keep_alive &= wanted == request.content_length;
        if request.expects_continue && self.buffers.input.len() < wanted {
            http::write_continue(&mut self.buffers.output);
        }
        self.enter(Stage::Body { wanted }, Some(now.saturating_add(BODY_TIMEOUT)));
    }

    /// The request is a WebSocket handshake, to be completed.
    pub fn upgrade(&mut self, wire: WireId, switching: &WebSocketResponse, max_payload: usize) {
        self.wire = Some(wire);
        http::write_switching_protocols(&mut self.buffers.output, switching);
        self.enter(Stage::WebSocket(Box::new(WebSocket::new(max_payload))), None);
    }

    /// The request does not get to the core.
    pub fn refuse(&mut self, status: u16) {
        http::write_error(&mut self.buffers.output, status);
        self.close(None);
    }

    /// Answers the request.
    pub fn respond(&mut self, response: &Response) {
        self.wire = None;
        let is_whole = matches!(self.stage, Stage::Answer);
        if !is_whole && !matches!(self.stage, Stage::Body { .. }) {
            return;
        }
        let Answering { keep_alive, is_head, added } = mem::take(&mut self.request);
        let keep_alive = keep_alive && is_whole && !http::closes(response);
        http::write_response(&mut self.buffers.output, response, &added, keep_alive, is_head);
        self.go_on(keep_alive);
    }

    /// Answers a preflight request, which does not get to the core.
    pub fn answer_preflight(&mut self, request: &Request) {
        let keep_alive = request.keep_alive && request.content_length == 0;
        http::write_preflight(&mut self.buffers.output, &request.added, keep_alive);
        self.go_on(keep_alive);
    }

    /// The request is answered. The time for what follows begins when all is written.
    fn go_on(&mut self, keep_alive: bool) {
        if keep_alive {
            self.has_more = !self.buffers.input.is_empty();
            self.enter(Stage::Head, None);
        } else {
            self.close(None);
        }
    }

    /// Does what the core wants, short of writing it to the stream.
    pub fn carry_out(&mut self, now: Timestamp, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Send(frame) => {
                if let Stage::WebSocket(_) = &self.stage {
                    write_message(&mut self.buffers.output, frame);
                }
            }
            Outgoing::Respond(response) => self.respond(&response),
            Outgoing::Close(code) => self.finish(now, code),
        }
    }

    /// Whether there is more to be sent than should wait for the end of the core's output.
    pub fn has_much(&self) -> bool {
        self.buffers.output.len() > MUCH
    }

    /// Takes the memory that its turn needs.
    pub fn borrow(&mut self, spare: &mut Buffers) {
        buffers::borrow(&mut self.buffers, spare);
    }

    /// Gives the memory back.
    pub fn give_back(&mut self, spare: &mut Buffers) {
        buffers::give_back(&mut self.buffers, spare);
    }

    /// Gives up the stream between two requests, with what was read of the next ones.
    pub fn into_parts(self) -> (TcpStream, BytesMut) {
        (self.stream.into_tcp(), self.buffers.input)
    }

    /// Closes the WebSocket, or drops the exchange without an answer.
    fn finish(&mut self, now: Timestamp, code: Option<u16>) {
        self.wire = None;
        match &mut self.stage {
            Stage::WebSocket(stream) => {
                stream.close(&mut self.buffers, code.map(close_frame));
                self.close(Some(now));
            }
            Stage::Body { .. } | Stage::Answer => self.stage = Stage::Gone,
            Stage::Head | Stage::Closing { .. } | Stage::Gone => {}
        }
    }

    /// Takes the news that the peer of the WebSocket has fallen behind (`true`), or has caught up.
    pub fn take_congestion(&mut self) -> Option<(WireId, bool)> {
        let is_websocket = matches!(self.stage, Stage::WebSocket(_));
        let pending = self.buffers.output.len();
        let is_congested = if self.is_paused { pending > MUCH / 2 } else { pending > MUCH };
        let wire = self.wire.filter(|_| is_websocket && is_congested != self.is_paused)?;
        self.is_paused = is_congested;
        Some((wire, is_congested))
    }

    /// Writes pending bytes, as far as the stream takes them.
    pub fn write(&mut self, now: Timestamp) {
        match self.stream.drain(&mut self.buffers) {
            Ok(_) if self.buffers.output.is_empty() => self.write_deadline = None,
            Ok(has_moved) if has_moved || self.write_deadline.is_none() => {
                self.write_deadline = Some(now.saturating_add(WRITE_TIMEOUT));
            }
            Ok(_) => {}
            Err(Broken) => self.stage = Stage::Gone,
        }
        if self.buffers.output.is_empty() {
            self.handle_written(now);
        }
    }

    /// Who reads slowly has the time for what follows from here on.
    fn handle_written(&mut self, now: Timestamp) {
        match self.stage {
            Stage::Head if self.stage_deadline.is_none() => {
                let has_more = !self.buffers.input.is_empty();
                let time = if has_more { HEAD_TIMEOUT } else { IDLE_TIMEOUT };
                self.stage_deadline = Some(now.saturating_add(time));
            }
            Stage::Closing { is_shut: false, heard } => {
                self.stage_deadline.get_or_insert_with(|| now.saturating_add(CLOSE_TIMEOUT));
                let is_shut = self.stream.shut().is_ok();
                self.stage = if is_shut { Stage::Closing { is_shut, heard } } else { Stage::Gone };
            }
            _ => {}
        }
    }

    fn read(&mut self, now: Timestamp, chunk: &mut Chunk) {
        if !self.wants_input() {
            return;
        }
        let starts = self.buffers.input.is_empty() && self.buffers.output.is_empty();
        self.stream.fill(chunk, &mut self.buffers);
        match &mut self.stage {
            Stage::Head if starts && !self.buffers.input.is_empty() => {
                self.stage_deadline = Some(now.saturating_add(HEAD_TIMEOUT));
            }
            Stage::Closing { heard, .. } => {
                *heard = heard.saturating_add(self.buffers.input.len());
                self.buffers.input.clear();
                if *heard > CLOSE_BYTES {
                    self.stage = Stage::Gone;
                }
            }
            _ => {}
        }
    }

    fn wants_input(&self) -> bool {
        let received = self.buffers.input.len();
        match self.stage {
            // While a response is pending, reading continues, to notice that the client has gone.
            Stage::Head | Stage::Answer => received < MAX_HEAD,
            Stage::Body { wanted } => received < wanted,
            // If the peer does not read, we do not read from it either, because its pings would
            // have to be answered.
            Stage::WebSocket(_) => received == 0 && self.buffers.output.len() <= MUCH,
            Stage::Closing { .. } => true,
            Stage::Gone => false,
        }
    }

    fn next_request(&mut self) -> Option<Incoming> {
        // One answer at a time, however many requests were sent ahead.
        if self.buffers.input.is_empty() || !self.buffers.output.is_empty() {
            return None;
        }
        match Request::parse(&self.buffers.input) {
            Ok(None) => None,
            Ok(Some((request, len))) => {
                self.buffers.input.advance(len);
                Some(Incoming::Request(request))
            }
            Err(status) => {
                self.refuse(status);
                None
            }
        }
    }

    fn next_body(&mut self, wanted: usize) -> Option<Incoming> {
        let wire = self.wire.filter(|_| self.buffers.input.len() >= wanted)?;
        let body = self.buffers.input.split_to(wanted).freeze();
        self.enter(Stage::Answer, None);
        Some(Incoming::Input(ServerInput::Body { wire, body }))
    }

    fn next_frame(&mut self, now: Timestamp) -> Option<Incoming> {
        let wire = self.wire?;
        let Stage::WebSocket(websocket) = &mut self.stage else { return None };
        let received = websocket.receive(&mut self.buffers);
        if let Received::Closed = received {
            self.close(Some(now));
        }
        received.into_input(wire).map(Incoming::Input)
    }

    /// Tells the core, once, that its wire is gone.
    fn next_loss(&mut self) -> Option<Incoming> {
        let is_closing = matches!(self.stage, Stage::Closing { .. });
        if self.stream.is_ended() && (!is_closing || self.buffers.output.is_empty()) {
            self.stage = Stage::Gone;
        }
        if !is_closing && !matches!(self.stage, Stage::Gone) {
            return None;
        }
        let wire = self.wire.take()?;
        Some(Incoming::Input(ServerInput::WireClosed { wire }))
    }

    /// The peer has limited time to hang up, from `since` on, or else when it has got everything.
    fn close(&mut self, since: Option<Timestamp>) {
        self.buffers.input.clear();
        let deadline = since.map(|since| since.saturating_add(CLOSE_TIMEOUT));
        self.enter(Stage::Closing { is_shut: false, heard: 0 }, deadline);
    }

    fn enter(&mut self, stage: Stage, deadline: Option<Timestamp>) {
        self.stage = stage;
        self.stage_deadline = deadline;
    }
}
