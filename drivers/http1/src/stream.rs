//! One stream: HTTP exchanges one after another, until it becomes a WebSocket or ends.
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
//! A head that is malformed or late leads to `Closing` as well, and from every stage a stream that
//! breaks is `Gone`. A client that half-closes its side has gone too, as for the reference.

use std::mem;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode, request::Parts};
use socketio_proto::{
    Timestamp, WireId,
    engine::{Fields, Frame, WebSocketResponse},
    server::ServerInput,
};
use socketio_proto_websocket::{
    Buffers, Received, WebSocket, close_frame,
    http::{add_fields, switching_protocols},
    write_message,
};

use crate::{
    head::{Framing, HEAD_BYTES, Head, empty_response, read_head, write_continue, write_response},
    limits::StreamLimits,
    writing::{MUCH, Writing},
};

/// Bytes that a peer may still send while it is to hang up. Messages on their way are read; a flood
/// is not.
const CLOSE_BYTES: usize = 1 << 20;

pub(crate) struct Stream {
    limits: StreamLimits,
    buffers: Buffers,
    writing: Writing,
    stage: Stage,
    /// The exchange or the WebSocket that the core knows of.
    wire: Option<WireId>,
    /// What the response to the current request depends on.
    answering: Answering,
    /// The peer has closed its side.
    has_ended: bool,
    stage_deadline: Option<Timestamp>,
}

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
    /// This many bytes of a body go to the core, or to the application with this request.
    Body {
        wanted: usize,
        request: Option<Box<Parts>>,
    },
    /// The whole request was handed in.
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

/// What came in on a stream.
pub(crate) enum Incoming {
    /// A head: to be answered by `begin`, `upgrade` or `respond`.
    Head(Head),
    /// For the core.
    Input(ServerInput<'static>),
    /// For the application.
    Request(Request<Bytes>),
}

/// What is to be done with a stream itself.
pub(crate) enum Action {
    Write(BytesMut),
    ShutWrite,
}

impl Stream {
    pub(crate) fn new(now: Timestamp, limits: StreamLimits) -> Self {
        Self {
            limits,
            buffers: Buffers::default(),
            writing: Writing::new(limits.write),
            stage: Stage::Head,
            wire: None,
            answering: Answering::default(),
            has_ended: false,
            stage_deadline: Some(now.saturating_add(limits.head)),
        }
    }

    /// Whether bytes should be read from it.
    pub(crate) fn wants_input(&self) -> bool {
        let received = self.buffers.input.len();
        match self.stage {
            _ if self.has_ended => false,
            // While a response is pending, reading continues, to notice that the client has gone.
            Stage::Head | Stage::Answer => received < HEAD_BYTES,
            Stage::Body { wanted, .. } => received < wanted,
            // If the peer does not read, we do not read from it either, because its pings would
            // have to be answered.
            Stage::WebSocket(_) => received == 0 && self.pending() <= MUCH,
            Stage::Closing { .. } => true,
            Stage::Gone => false,
        }
    }

    pub(crate) fn receive(&mut self, now: Timestamp, bytes: &[u8]) {
        if let Stage::Closing { heard, .. } = &mut self.stage {
            *heard = heard.saturating_add(bytes.len());
            if *heard > CLOSE_BYTES {
                self.stage = Stage::Gone;
            }
            return;
        }
        if matches!(self.stage, Stage::Head) && self.buffers.input.is_empty() && self.pending() == 0
        {
            self.stage_deadline = Some(now.saturating_add(self.limits.head));
        }
        self.buffers.input.extend_from_slice(bytes);
    }

    /// The peer has closed its side.
    pub(crate) fn end(&mut self) {
        self.has_ended = true;
    }

    /// The stream is broken.
    pub(crate) fn fail(&mut self) {
        self.stage = Stage::Gone;
    }

    /// Takes the next thing that came in. `None` if nothing did.
    pub(crate) fn poll_incoming(&mut self, now: Timestamp) -> Option<Incoming> {
        let incoming = match self.stage {
            Stage::Head => self.next_head(),
            Stage::Body { .. } => self.next_body(),
            Stage::WebSocket(_) => self.next_message(now),
            Stage::Answer | Stage::Closing { .. } | Stage::Gone => None,
        };
        incoming.or_else(|| self.next_loss())
    }

    /// The request is handed in: to the core under the name `wire`, or else to the application.
    pub(crate) fn begin(
        &mut self,
        now: Timestamp,
        framing: Framing,
        added: Fields,
        wire: Result<WireId, Box<Parts>>,
        max_body: usize,
    ) {
        let Framing { is_post, is_head, content_length, expects_continue, keep_alive } = framing;
        // Only the body of a POST has a meaning. One byte more than allowed suffices to be refused.
        let most = if is_post { max_body.saturating_add(1) } else { 0 };
        let wanted = content_length.min(most);
        // What is not read of a body would be taken for the next request.
        let keep_alive = keep_alive && wanted == content_length;
        self.answering = Answering { keep_alive, is_head, added };
        if expects_continue && self.buffers.input.len() < wanted {
            write_continue(&mut self.buffers.output);
        }
        let has_body = is_post || wire.is_err();
        let request = match wire {
            Ok(wire) => {
                self.wire = Some(wire);
                None
            }
            Err(parts) => Some(parts),
        };
        if has_body {
            let deadline = now.saturating_add(self.limits.body);
            self.enter(Stage::Body { wanted, request }, Some(deadline));
        } else {
            self.enter(Stage::Answer, None);
        }
    }

    /// The request is a WebSocket handshake, to be completed.
    pub(crate) fn upgrade(&mut self, wire: WireId, verified: &WebSocketResponse, max: usize) {
        self.wire = Some(wire);
        write_response(&mut self.buffers.output, &switching_protocols(verified), false, true);
        self.enter(Stage::WebSocket(Box::new(WebSocket::new(max))), None);
    }

    /// Answers the request.
    pub(crate) fn respond(&mut self, mut response: Response<Bytes>) {
        self.wire = None;
        let is_whole = matches!(self.stage, Stage::Answer);
        if !is_whole && !matches!(self.stage, Stage::Body { .. }) {
            return;
        }
        let Answering { keep_alive, is_head, added } = mem::take(&mut self.answering);
        add_fields(response.headers_mut(), added);
        let keep_alive = keep_alive && is_whole && !self.has_ended;
        let output = &mut self.buffers.output;
        // Who reads slowly has the time for what follows when all is written.
        if write_response(output, &response, is_head, keep_alive) {
            self.enter(Stage::Head, None);
        } else {
            self.close(None);
        }
    }

    /// Answers a request that is handed in to nobody.
    pub(crate) fn answer(&mut self, framing: Framing, added: Fields, response: Response<Bytes>) {
        let Framing { is_head, content_length, keep_alive, .. } = framing;
        let keep_alive = keep_alive && content_length == 0;
        self.answering = Answering { keep_alive, is_head, added };
        self.stage = Stage::Answer;
        self.respond(response);
    }

    pub(crate) fn send(&mut self, frame: Frame) {
        if let Stage::WebSocket(_) = self.stage {
            write_message(&mut self.buffers.output, frame);
        }
    }

    /// Closes the WebSocket, or drops the exchange without an answer.
    pub(crate) fn finish(&mut self, now: Timestamp, code: Option<u16>) {
        self.wire = None;
        match &mut self.stage {
            Stage::WebSocket(websocket) => {
                websocket.close(&mut self.buffers, code.map(close_frame));
                self.close(Some(now));
            }
            Stage::Body { .. } | Stage::Answer => self.stage = Stage::Gone,
            Stage::Head | Stage::Closing { .. } | Stage::Gone => {}
        }
    }

    /// Ends it unless a request waits for its response.
    pub(crate) fn end_if_idle(&mut self) {
        self.answering.keep_alive = false;
        if matches!(self.stage, Stage::Head) {
            self.close(None);
        }
    }

    /// Takes what is to be done with the stream next.
    pub(crate) fn poll_action(&mut self, now: Timestamp) -> Option<Action> {
        if matches!(self.stage, Stage::Gone) {
            return None;
        }
        if let Some(bytes) = self.writing.take(now, &mut self.buffers.output) {
            return Some(Action::Write(bytes));
        }
        if self.pending() > 0 {
            return None;
        }
        let Stage::Closing { is_shut, .. } = &mut self.stage else { return None };
        if mem::replace(is_shut, true) {
            return None;
        }
        self.stage_deadline.get_or_insert_with(|| now.saturating_add(self.limits.close));
        Some(Action::ShutWrite)
    }

    /// Bytes were written.
    pub(crate) fn written(&mut self, now: Timestamp, len: usize) {
        self.writing.advance(now, len);
        if matches!(self.stage, Stage::Head) && self.pending() == 0 {
            let has_more = !self.buffers.input.is_empty();
            let time = if has_more { self.limits.head } else { self.limits.idle };
            self.stage_deadline = Some(now.saturating_add(time));
        }
    }

    /// Whether there is more to be sent than should wait for the end of the core's output.
    pub(crate) fn has_much(&self) -> bool {
        self.buffers.output.len() > MUCH
    }

    /// Takes the news that the peer of the WebSocket has fallen behind (`true`), or has caught up.
    pub(crate) fn take_congestion(&mut self) -> Option<(WireId, bool)> {
        let wire = self.wire.filter(|_| matches!(self.stage, Stage::WebSocket(_)))?;
        let is_congested = self.writing.take_congestion(&self.buffers.output)?;
        Some((wire, is_congested))
    }

    /// When `handle_timeout` is due.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        [self.stage_deadline, self.writing.deadline()].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Timestamp) {
        if self.writing.deadline().is_some_and(|deadline| deadline <= now) {
            self.stage = Stage::Gone;
        } else if self.stage_deadline.is_some_and(|deadline| deadline <= now) {
            match self.stage {
                Stage::Head if self.buffers.input.is_empty() => self.stage = Stage::Gone,
                Stage::Head | Stage::Body { .. } => self.refuse(StatusCode::REQUEST_TIMEOUT),
                Stage::Closing { .. } => self.stage = Stage::Gone,
                Stage::Answer | Stage::WebSocket(_) | Stage::Gone => {}
            }
        }
    }

    /// Whether there is nothing left but to forget it.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.stage, Stage::Gone) && self.wire.is_none()
    }

    /// Bytes that the peer has not taken yet.
    fn pending(&self) -> usize {
        self.writing.pending(&self.buffers.output)
    }

    fn next_head(&mut self) -> Option<Incoming> {
        // One answer at a time, however many requests were sent ahead.
        if self.buffers.input.is_empty() || self.pending() > 0 {
            return None;
        }
        match read_head(&mut self.buffers.input) {
            Ok(head) => head.map(Incoming::Head),
            Err(status) => {
                self.refuse(status);
                None
            }
        }
    }

    fn next_body(&mut self) -> Option<Incoming> {
        let Stage::Body { wanted, request } = &mut self.stage else { return None };
        if self.buffers.input.len() < *wanted {
            return None;
        }
        let body = self.buffers.input.split_to(*wanted).freeze();
        let request = request.take();
        self.enter(Stage::Answer, None);
        match (request, self.wire) {
            (Some(parts), _) => Some(Incoming::Request(Request::from_parts(*parts, body))),
            (None, Some(wire)) => Some(Incoming::Input(ServerInput::Body { wire, body })),
            (None, None) => None,
        }
    }

    fn next_message(&mut self, now: Timestamp) -> Option<Incoming> {
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
        if self.has_ended && (!is_closing || self.pending() == 0) {
            self.stage = Stage::Gone;
        }
        if !is_closing && !matches!(self.stage, Stage::Gone) {
            return None;
        }
        let wire = self.wire.take()?;
        Some(Incoming::Input(ServerInput::WireClosed { wire }))
    }

    fn refuse(&mut self, status: StatusCode) {
        write_response(&mut self.buffers.output, &empty_response(status), false, false);
        self.close(None);
    }

    /// The peer has limited time to hang up, from `since` on, or else when it has got everything.
    fn close(&mut self, since: Option<Timestamp>) {
        self.buffers.input = BytesMut::new();
        let deadline = since.map(|since| since.saturating_add(self.limits.close));
        self.enter(Stage::Closing { is_shut: false, heard: 0 }, deadline);
    }

    fn enter(&mut self, stage: Stage, deadline: Option<Timestamp>) {
        self.stage = stage;
        self.stage_deadline = deadline;
        if self.buffers.input.is_empty() {
            // An idle stream keeps no memory.
            self.buffers.input = BytesMut::new();
        }
    }
}
