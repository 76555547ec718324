//! An endpoint, its application, and what its streams have got.

use std::{collections::BTreeMap, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use socketio_proto::{
    RecoveryConfig, ServerConfig, SocketKey, Timestamp,
    server::{Server, ServerEvent},
};
use socketio_proto_http1::{Endpoint, EndpointOutput, StreamId};

/// What a stream has got.
#[derive(Default)]
pub(crate) struct Got {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_shut: bool,
    pub(crate) is_closed: bool,
    /// What is being written.
    pub(crate) in_flight: BytesMut,
}

pub(crate) struct World {
    pub(crate) endpoint: Endpoint,
    pub(crate) now: Timestamp,
    /// Requests of the application that wait for [`World::respond`].
    pub(crate) requests: Vec<(StreamId, Request<Bytes>)>,
    pub(crate) socket: Option<SocketKey>,
    /// The `Cookie` of each handshake.
    pub(crate) cookies: Vec<Option<String>>,
    pub(crate) received: usize,
    pub(crate) closed_connections: usize,
    /// Whether streams take bytes.
    pub(crate) takes_bytes: bool,
    got: BTreeMap<StreamId, Got>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(Endpoint::new)
    }

    pub(crate) fn of(make: impl FnOnce(Server) -> Endpoint) -> Self {
        let mut count = 0;
        let entropy = move |dest: &mut [u8]| {
            count += 1;
            dest.fill(count);
        };
        let config = ServerConfig::new().recovery(RecoveryConfig::new());
        let mut server = Server::new(config, entropy).unwrap();
        server.at(Timestamp::ZERO).add_namespace("/").unwrap();
        Self {
            endpoint: make(server),
            now: Timestamp::ZERO,
            requests: Vec::new(),
            socket: None,
            cookies: Vec::new(),
            received: 0,
            closed_connections: 0,
            takes_bytes: true,
            got: BTreeMap::new(),
        }
    }

    pub(crate) fn open(&mut self) -> StreamId {
        let stream = self.endpoint.open(self.now).unwrap();
        self.drain();
        stream
    }

    pub(crate) fn send(&mut self, stream: StreamId, bytes: impl AsRef<[u8]>) {
        self.endpoint.receive(self.now, stream, bytes.as_ref());
        self.drain();
    }

    /// Sends a request, and returns the response.
    pub(crate) fn ask(&mut self, stream: StreamId, request: &str) -> String {
        self.send(stream, request);
        self.take(stream)
    }

    /// Takes what was written to a stream.
    pub(crate) fn take(&mut self, stream: StreamId) -> String {
        let bytes = std::mem::take(&mut self.got(stream).bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn got(&mut self, stream: StreamId) -> &mut Got {
        self.got.entry(stream).or_default()
    }

    pub(crate) fn end(&mut self, stream: StreamId) {
        self.endpoint.end(self.now, stream);
        self.drain();
    }

    pub(crate) fn fail(&mut self, stream: StreamId) {
        self.endpoint.fail(self.now, stream);
        self.drain();
    }

    pub(crate) fn respond(&mut self, body: &'static str) {
        let (stream, _) = self.requests.remove(0);
        self.endpoint.respond(self.now, stream, Response::new(body.into()));
        self.drain();
    }

    pub(crate) fn shut_down(&mut self) {
        self.endpoint.shutdown(self.now);
        self.drain();
    }

    /// The stream takes some of what is being written.
    pub(crate) fn progress(&mut self, stream: StreamId, len: usize) {
        let got = self.got(stream);
        let taken = got.in_flight.split_to(len.min(got.in_flight.len()));
        got.bytes.extend_from_slice(&taken);
        self.endpoint.written(self.now, stream, taken.len());
        self.drain();
    }

    /// Time passes, and the timer fires when it is due.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.saturating_add(time);
        while let Some(deadline) = self.endpoint.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(deadline);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output(self.now) {
            match output {
                EndpointOutput::Event(event) => self.handle_event(&event),
                EndpointOutput::Request { stream, request } => {
                    self.requests.push((stream, request));
                }
                EndpointOutput::Write { stream, bytes } => {
                    assert!(!bytes.is_empty());
                    let takes_bytes = self.takes_bytes;
                    let got = self.got(stream);
                    assert!(!got.is_shut && !got.is_closed, "nothing is written behind the end");
                    assert!(got.in_flight.is_empty(), "one after another");
                    if takes_bytes {
                        got.bytes.extend_from_slice(&bytes);
                        self.endpoint.written(self.now, stream, bytes.len());
                    } else {
                        got.in_flight = bytes;
                    }
                }
                EndpointOutput::ShutWrite { stream } => {
                    assert!(!std::mem::replace(&mut self.got(stream).is_shut, true), "once");
                }
                EndpointOutput::Close { stream } => {
                    assert!(!std::mem::replace(&mut self.got(stream).is_closed, true), "once");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn handle_event(&mut self, event: &ServerEvent<()>) {
        match event {
            ServerEvent::ConnectionOpened { wire, .. } => {
                let request = self.endpoint.request(*wire).expect("the request of the handshake");
                let cookie = request.headers.get("cookie").and_then(|value| value.to_str().ok());
                self.cookies.push(cookie.map(str::to_owned));
            }
            ServerEvent::ConnectRequested { request, .. } => {
                self.socket = self.endpoint.server_mut().at(self.now).accept(*request);
            }
            ServerEvent::Received { .. } => self.received += 1,
            ServerEvent::ConnectionClosed { .. } => self.closed_connections += 1,
            _ => {}
        }
    }
}
