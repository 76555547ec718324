//! A server with its streams.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
};

use bytes::Bytes;
use http::{
    Response, StatusCode,
    header::{self, HeaderValue},
    request::Parts,
};
use socketio_proto::{
    Timestamp, WireId,
    engine::{Cors, Fields, WebSocketRequest},
    server::{Server, ServerInput, ServerOutput},
};
use socketio_proto_websocket::http::{preflight, request_head, to_response, websocket_request};

use crate::{
    head::{Framing, Head, empty_response},
    limits::StreamLimits,
    output::EndpointOutput,
    stream::{Action, Incoming, Stream},
    streams::{StreamId, Streams},
};

/// A Socket.IO server whose peers are streams of bytes.
///
/// Tell it of each stream that you accept ([`open`](Self::open)), of what its peer sends
/// ([`receive`](Self::receive)) and of its end ([`end`](Self::end), [`fail`](Self::fail)). After any call, carry out what
/// [`poll_output`](Self::poll_output) returns until that is `None`, and call
/// [`handle_timeout`](Self::handle_timeout) when it is [`deadline`](Self::deadline).
pub struct Endpoint<D = ()> {
    server: Server<D>,
    path: String,
    cors: Option<Cors>,
    limits: StreamLimits,
    streams: Streams,
    wires: BTreeMap<WireId, StreamId>,
    last_wire: u64,
    /// The request that was handed in last.
    request: Option<(WireId, Parts)>,
    /// The stream that the outputs of the server are for, until one is for another stream.
    current: Option<StreamId>,
    outputs: VecDeque<EndpointOutput<D>>,
    is_ending: bool,
}

impl<D: Default> Endpoint<D> {
    /// Creates an endpoint that answers requests for `/socket.io/` by `server`, and hands out all
    /// others.
    pub fn new(server: Server<D>) -> Self {
        Self {
            server,
            path: "/socket.io".to_owned(),
            cors: None,
            limits: StreamLimits::default(),
            streams: Streams::default(),
            wires: BTreeMap::new(),
            last_wire: 0,
            request: None,
            current: None,
            outputs: VecDeque::new(),
            is_ending: false,
        }
    }

    /// The path of Socket.IO, without and with a slash at the end. Default: `/socket.io`.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        path.trim_end_matches('/').clone_into(&mut self.path);
        self
    }

    /// Lets pages of other origins read the responses, on all paths, and answers their preflight
    /// requests. Default: none.
    ///
    /// **CORS does not keep a page from opening a WebSocket**:
    /// [`ServerConfig::origins`](socketio_proto::ServerConfig::origins) does.
    #[must_use]
    pub fn cors(mut self, cors: Cors) -> Self {
        self.cors = Some(cors);
        self
    }

    /// Limits for the peers of streams.
    #[must_use]
    pub fn limits(mut self, limits: StreamLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Returns the server.
    pub fn server(&self) -> &Server<D> {
        &self.server
    }

    /// Returns the server, for its verbs. Leave inputs, outputs and the shutdown to the endpoint.
    pub fn server_mut(&mut self) -> &mut Server<D> {
        &mut self.server
    }

    /// Returns the request that the wire of a
    /// [`ConnectionOpened`](socketio_proto::server::ServerEvent::ConnectionOpened) belongs to: its
    /// header fields, its query. Only while that event is handled.
    pub fn request(&self, wire: WireId) -> Option<&Parts> {
        self.request.as_ref().filter(|(of, _)| *of == wire).map(|(_, parts)| parts)
    }

    /// The number of streams.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Adds a stream. Returns `None` after [`shutdown`](Self::shutdown): close it.
    pub fn open(&mut self, now: Timestamp) -> Option<StreamId> {
        if self.is_ending {
            return None;
        }
        let id = self.streams.add(Stream::new(now, self.limits));
        self.settle(now, id);
        Some(id)
    }

    /// Whether to read from a stream. If not, wait until that changes, which is after a call of
    /// [`written`](Self::written), or after any output for the stream. A peer that sends while
    /// nothing is read is slowed down by that.
    pub fn wants_input(&self, stream: StreamId) -> bool {
        self.streams.get(stream).is_some_and(Stream::wants_input)
    }

    /// Handles bytes that were read from a stream, some thousand at a time.
    pub fn receive(&mut self, now: Timestamp, stream: StreamId, bytes: &[u8]) {
        self.with(now, stream, |stream| stream.receive(now, bytes));
    }

    /// The peer of a stream has closed its side: reading has returned no bytes.
    pub fn end(&mut self, now: Timestamp, stream: StreamId) {
        self.with(now, stream, Stream::end);
    }

    /// A stream is broken: reading or writing has failed, or it was closed from this side.
    pub fn fail(&mut self, now: Timestamp, stream: StreamId) {
        self.with(now, stream, Stream::fail);
    }

    /// So many more bytes of an [`EndpointOutput::Write`] were written.
    pub fn written(&mut self, now: Timestamp, stream: StreamId, len: usize) {
        self.with(now, stream, |stream| stream.written(now, len));
    }

    /// Answers an [`EndpointOutput::Request`].
    pub fn respond(&mut self, now: Timestamp, stream: StreamId, response: Response<Bytes>) {
        self.with(now, stream, |stream| stream.respond(response));
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout).
    pub fn deadline(&self) -> Option<Timestamp> {
        [self.server.deadline(), self.streams.deadline()].into_iter().flatten().min()
    }

    /// Handles the passing of time. First hand in what has arrived.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if self.server.deadline().is_some_and(|at| at <= now) {
            self.server.handle_input(now, ServerInput::Timeout);
        }
        while let Some(id) = self.streams.take_due(now) {
            self.with(now, id, |stream| stream.handle_timeout(now));
        }
    }

    /// Closes all connections and takes no new streams. Streams close when their last response is
    /// written: wait until there are [none](Self::streams), for some seconds.
    pub fn shutdown(&mut self, now: Timestamp) {
        self.is_ending = true;
        self.server.shutdown(now);
        let ids: Vec<StreamId> = self.streams.ids().collect();
        for id in ids {
            self.with(now, id, Stream::end_if_idle);
        }
    }

    /// Takes the next thing to do.
    pub fn poll_output(&mut self, now: Timestamp) -> Option<EndpointOutput<D>> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            match self.server.poll_output() {
                Some(ServerOutput::Event(event)) => return Some(EndpointOutput::Event(event)),
                Some(ServerOutput::Respond { wire, response }) => {
                    let id = self.wires.remove(&wire);
                    self.change(now, id, |stream| stream.respond(to_response(response)));
                }
                Some(ServerOutput::Send { wire, frame }) => {
                    let id = self.wires.get(&wire).copied();
                    self.change(now, id, |stream| stream.send(frame));
                }
                Some(ServerOutput::Close { wire, code }) => {
                    let id = self.wires.remove(&wire);
                    self.change(now, id, |stream| stream.finish(now, code));
                }
                Some(_) => unreachable!("an output that this driver does not know"),
                None => {
                    let id = self.current.take()?;
                    self.settle(now, id);
                }
            }
        }
    }

    /// Carries out an output of the server. All that it sends on one stream in a row is written at
    /// once.
    fn change(&mut self, now: Timestamp, id: Option<StreamId>, change: impl FnOnce(&mut Stream)) {
        let Some(id) = id else { return };
        if let Some(before) = self.current.replace(id).filter(|before| *before != id) {
            self.settle(now, before);
        }
        if let Some(stream) = self.streams.get_mut(id) {
            change(stream);
            if stream.has_much() {
                self.settle(now, id);
            }
        }
    }

    /// Tells a stream, if it is still there, what has happened to it.
    fn with(&mut self, now: Timestamp, id: StreamId, happen: impl FnOnce(&mut Stream)) {
        if let Some(stream) = self.streams.get_mut(id) {
            happen(stream);
            self.settle(now, id);
        }
    }

    /// Hands in what a stream has brought, and finds out what is to be done with it.
    fn settle(&mut self, now: Timestamp, id: StreamId) {
        while let Some(stream) = self.streams.get_mut(id)
            && let Some(incoming) = stream.poll_incoming(now)
        {
            self.handle_incoming(now, id, incoming);
        }
        let Some(stream) = self.streams.get_mut(id) else { return };
        while let Some(action) = stream.poll_action(now) {
            self.outputs.push_back(match action {
                Action::Write(bytes) => EndpointOutput::Write { stream: id, bytes },
                Action::ShutWrite => EndpointOutput::ShutWrite { stream: id },
            });
        }
        let congestion = stream.take_congestion();
        if stream.is_gone() {
            self.streams.remove(id);
            self.outputs.push_back(EndpointOutput::Close { stream: id });
        } else {
            self.streams.arm(id);
        }
        match congestion {
            Some((wire, true)) => self.server.pause(wire),
            Some((wire, false)) => self.server.resume(now, wire),
            None => {}
        }
    }

    fn handle_incoming(&mut self, now: Timestamp, id: StreamId, incoming: Incoming) {
        match incoming {
            Incoming::Head(head) => self.handle_head(now, id, head),
            Incoming::Input(input) => {
                if let ServerInput::WireClosed { wire } = &input {
                    self.wires.remove(wire);
                }
                self.server.handle_input(now, input);
            }
            Incoming::Request(request) if request.body().len() > self.limits.body_bytes => {
                if let Some(stream) = self.streams.get_mut(id) {
                    stream.respond(empty_response(StatusCode::PAYLOAD_TOO_LARGE));
                }
            }
            Incoming::Request(request) => {
                self.outputs.push_back(EndpointOutput::Request { stream: id, request });
            }
        }
    }

    fn handle_head(&mut self, now: Timestamp, id: StreamId, head: Head) {
        let Head { request, framing } = head;
        let Some(stream) = self.streams.get_mut(id) else { return };
        let (mut added, mut answered) = (Fields::new(), None);
        if let Some(cors) = &self.cors {
            answered = preflight(cors, &request);
            let origin = request.headers().get(header::ORIGIN);
            added = cors.fields(origin.map(HeaderValue::as_bytes));
        }
        if let Some(response) = answered {
            stream.answer(framing, Fields::new(), response);
            return;
        }
        let path = request.uri().path();
        let is_ours = path.strip_suffix('/').unwrap_or(path) == self.path;
        let asked = websocket_request(&request).filter(|_| is_ours);
        let (parts, ()) = request.into_parts();
        if let Some(asked) = asked {
            self.upgrade(now, id, parts, &asked, (framing, added));
        } else if is_ours {
            let wire = self.name_wire(id);
            let limit = self.server.config().payload_limit();
            if let Some(stream) = self.streams.get_mut(id) {
                stream.begin(now, framing, added, Ok(wire), limit);
            }
            let head = request_head(&parts, false);
            self.server.handle_input(now, ServerInput::Request { wire, head, body: None });
            self.request = Some((wire, parts));
        } else {
            let limit = self.limits.body_bytes;
            stream.begin(now, framing, added, Err(Box::new(parts)), limit);
        }
    }

    fn upgrade(
        &mut self,
        now: Timestamp,
        id: StreamId,
        parts: Parts,
        asked: &WebSocketRequest,
        (framing, added): (Framing, Fields),
    ) {
        let head = request_head(&parts, true);
        match self.server.verify_websocket(now, &head, asked) {
            Ok(verified) => {
                let limit = self.server.config().payload_limit();
                let wire = self.name_wire(id);
                if let Some(stream) = self.streams.get_mut(id) {
                    stream.upgrade(wire, &verified, limit);
                }
                self.server.handle_input(now, ServerInput::WebSocketOpened { wire, head });
                self.request = Some((wire, parts));
            }
            Err(refusal) => {
                if let Some(stream) = self.streams.get_mut(id) {
                    stream.answer(framing, added, to_response(refusal.response(true)));
                }
            }
        }
    }

    fn name_wire(&mut self, stream: StreamId) -> WireId {
        self.last_wire += 1;
        let wire = WireId(self.last_wire);
        self.wires.insert(wire, stream);
        wire
    }
}

impl<D> fmt::Debug for Endpoint<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let streams = self.streams.len();
        f.debug_struct("Endpoint").field("streams", &streams).finish_non_exhaustive()
    }
}
