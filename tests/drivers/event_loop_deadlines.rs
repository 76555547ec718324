//! One connection of the event loop example, with a real stream and simulated time: the server does
//! not wait for a client that takes too long.

#[path = "../../examples/event_loop/driver/mod.rs"]
mod driver;

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use bytes::BytesMut;
use driver::{
    Outgoing,
    buffers::Chunk,
    conn::{Connection, Incoming},
    http::Request,
};
use mio::{Events, Interest, Poll, Token};
use socketio_proto::{
    ServerConfig, Timestamp, WireId,
    engine::{Frame, Method, RequestRefusal, Response},
    server::ServerInput,
};

const WIRE: WireId = WireId(1);
const MAX_PAYLOAD: usize = 1_000;
const HANDSHAKE: &[u8] = b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n\
    Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A connection and its peer.
struct Pair {
    connection: Connection,
    peer: TcpStream,
    poll: Poll,
    chunk: Chunk,
}

impl Pair {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut stream = mio::net::TcpStream::from_std(stream);
        let poll = Poll::new().unwrap();
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(0), interest).unwrap();
        let connection = Connection::new(seconds(0), stream, BytesMut::new());
        Self { connection, peer, poll, chunk: Chunk::default() }
    }

    /// Completes the WebSocket handshake that the request asks for.
    fn upgrade(&mut self, request: &Request) {
        let asked = request.websocket.as_ref().expect("a handshake");
        let switching = asked.answer(&ServerConfig::new()).expect("a good one");
        self.connection.upgrade(WIRE, &switching, MAX_PAYLOAD);
    }

    /// Advances once, and there is nothing for the core.
    fn advance(&mut self, now: u64) {
        assert!(self.connection.advance(seconds(now), &mut self.chunk).is_none());
    }

    fn send(&mut self, now: u64, len: usize) {
        let frame = Frame::Binary(vec![0; len].into());
        self.connection.carry_out(seconds(now), Outgoing::Send(frame));
    }

    /// Advances until `f` has what it waits for.
    fn until<T>(
        &mut self,
        now: u64,
        mut f: impl FnMut(&mut Connection, Option<Incoming>) -> Option<T>,
    ) -> T {
        let mut events = Events::with_capacity(8);
        loop {
            let incoming = self.connection.advance(seconds(now), &mut self.chunk);
            if let Some(found) = f(&mut self.connection, incoming) {
                return found;
            }
            if !self.connection.is_ready() {
                self.poll.poll(&mut events, Some(Duration::from_secs(20))).unwrap();
                assert!(!events.is_empty(), "nothing happens any more");
            }
            for event in &events {
                self.connection.handle_readiness(event);
            }
        }
    }

    fn request(&mut self, now: u64, bytes: &[u8]) -> Request {
        self.peer.write_all(bytes).unwrap();
        self.until(now, |_, incoming| match incoming? {
            Incoming::Request(request) => Some(request),
            Incoming::Input(input) => panic!("{input:?}"),
        })
    }

    fn loss(&mut self, now: u64) {
        self.until(now, |_, incoming| {
            incoming.map(|incoming| {
                assert!(matches!(
                    incoming,
                    Incoming::Input(ServerInput::WireClosed { wire: WIRE })
                ));
            })
        });
    }

    /// The peer reads until its connection has written more.
    fn read_a_bit(&mut self, now: u64) {
        self.peer.set_nonblocking(true).unwrap();
        let mut events = Events::with_capacity(8);
        let before = self.connection.deadline();
        while self.connection.deadline() == before {
            match self.peer.read(&mut [0; 16 << 10]) {
                Ok(len) => assert_ne!(len, 0, "it is not the end"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            self.poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
            for event in &events {
                self.connection.handle_readiness(event);
            }
            self.advance(now);
        }
    }

    /// Everything that the peer gets until the end of the stream.
    fn received(&mut self) -> String {
        let mut received = String::new();
        self.peer.read_to_string(&mut received).unwrap();
        received
    }
}

fn seconds(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

#[test]
fn a_head_that_trickles_in() {
    let mut pair = Pair::new();
    assert_eq!(pair.connection.deadline(), Some(seconds(10)), "for the first byte");
    pair.peer.write_all(b"GET /").unwrap();
    pair.until(9, |connection, _| (connection.deadline() == Some(seconds(19))).then_some(()));
    pair.peer.write_all(b"socket.io/").unwrap();
    pair.advance(18);
    assert_eq!(pair.connection.deadline(), Some(seconds(19)), "more bytes buy no more time");
    pair.connection.handle_timeout(seconds(19));
    pair.advance(19);
    assert!(pair.received().starts_with("HTTP/1.1 408 Request Timeout\r\n"));

    assert!(!pair.connection.is_gone(), "the peer may hang up first");
    assert_eq!(pair.connection.deadline(), Some(seconds(24)));
    pair.connection.handle_timeout(seconds(24));
    assert!(pair.connection.is_gone());
}

#[test]
fn a_body_that_does_not_come() {
    let mut pair = Pair::new();
    let head = b"POST /socket.io/?sid=x HTTP/1.1\r\nContent-Length: 5\r\n\r\n4bod";
    let request = pair.request(1, head);
    assert_eq!(request.split().1.method, Method::Post);
    pair.connection.begin(seconds(1), WIRE, &request, MAX_PAYLOAD);
    pair.advance(30);
    assert_eq!(pair.connection.deadline(), Some(seconds(31)));
    pair.connection.handle_timeout(seconds(31));
    pair.loss(31);
    assert!(pair.received().starts_with("HTTP/1.1 408 Request Timeout\r\n"));
    let late = RequestRefusal::bad_request().response(false);
    pair.connection.respond(&late);
    assert_eq!(pair.connection.deadline(), Some(seconds(36)), "an answer that is too late");
}

#[test]
fn a_connection_without_requests() {
    let mut pair = Pair::new();
    let request = pair.request(0, b"GET /socket.io/ HTTP/1.1\r\n\r\n");
    pair.connection.begin(seconds(0), WIRE, &request, MAX_PAYLOAD);
    assert_eq!(pair.connection.deadline(), None, "the core has its own");
    pair.connection.respond(&RequestRefusal::bad_request().response(false));
    pair.advance(40);
    assert_eq!(pair.connection.deadline(), Some(seconds(100)));
    pair.connection.handle_timeout(seconds(99));
    assert!(!pair.connection.is_gone());
    pair.connection.handle_timeout(seconds(100));
    assert!(pair.connection.is_gone());
}

/// It was cut 60 seconds after its response was queued, or 5 if it was the last one.
#[test]
fn a_peer_that_reads_slowly() {
    // More than the system takes at once.
    let body = vec![b'x'; 32 << 20];
    for (field, rest) in [("", 60), ("Connection: close\r\n", 5)] {
        let mut pair = Pair::new();
        let head = format!("GET /socket.io/ HTTP/1.1\r\n{field}\r\n");
        let request = pair.request(0, head.as_bytes());
        pair.connection.begin(seconds(0), WIRE, &request, MAX_PAYLOAD);
        let body = body.clone().into();
        pair.connection.respond(&Response { status: 200, headers: &[], body });
        pair.advance(0);
        let mut now = 0;
        while pair.connection.deadline() == Some(seconds(now + 30)) {
            now += 20;
            pair.read_a_bit(now);
        }
        assert!(now > 60, "{now}: it has read for longer");
        assert_eq!(pair.connection.deadline(), Some(seconds(now + rest)), "from the end on");
    }
}

#[test]
fn a_websocket_that_is_not_read() {
    let mut pair = Pair::new();
    let request = pair.request(0, HANDSHAKE);
    pair.upgrade(&request);
    pair.advance(0);
    assert_eq!(pair.connection.deadline(), None);

    let mut sent = 0;
    while pair.connection.take_congestion().is_none() {
        pair.send(1, 10_000);
        sent += 10_000;
        pair.advance(1);
    }
    assert_eq!(pair.connection.deadline(), Some(seconds(31)));
    assert!(!pair.connection.is_ready(), "nothing to do but wait");

    let mut reader = pair.peer.try_clone().unwrap();
    let reading = thread::spawn(move || {
        let mut chunk = vec![0; 10_000];
        let mut received = 0;
        while received < sent {
            received += reader.read(&mut chunk).unwrap();
        }
    });
    pair.until(20, |connection, _| {
        connection.take_congestion().map(|news| assert_eq!(news, (WIRE, false)))
    });
    reading.join().unwrap();
    pair.until(20, |connection, _| connection.deadline().is_none().then_some(()));

    while pair.connection.take_congestion().is_none() {
        pair.send(50, 10_000);
        pair.advance(50);
    }
    let deadline = pair.connection.deadline().unwrap();
    pair.connection.handle_timeout(deadline);
    pair.loss(100);
    assert!(pair.connection.is_gone());
}

#[test]
fn a_peer_that_does_not_hang_up() {
    let mut pair = Pair::new();
    let request = pair.request(0, HANDSHAKE);
    pair.upgrade(&request);
    assert!(pair.connection.has_wire(WIRE));
    pair.connection.carry_out(seconds(2), Outgoing::Close(Some(1001)));
    assert!(!pair.connection.has_wire(WIRE));
    // The core knows that it is over.
    pair.advance(2);
    let mut received = Vec::new();
    pair.peer.read_to_end(&mut received).unwrap();
    assert!(received.ends_with(b"\r\n\r\n\x88\x02\x03\xe9"), "a close frame with code 1001");

    pair.peer.write_all(b"what comes now is thrown away").unwrap();
    pair.advance(6);
    assert!(!pair.connection.is_gone());
    assert_eq!(pair.connection.deadline(), Some(seconds(7)));
    pair.connection.handle_timeout(seconds(7));
    assert!(pair.connection.is_gone());
}

#[test]
fn a_peer_that_goes_on_sending_after_the_end() {
    let mut pair = Pair::new();
    let request = pair.request(0, HANDSHAKE);
    pair.upgrade(&request);
    pair.connection.carry_out(seconds(2), Outgoing::Close(Some(1001)));
    let mut peer = pair.peer.try_clone().unwrap();
    let mut sent = 0;
    pair.until(2, |connection, _| {
        if connection.is_gone() {
            return Some(());
        }
        sent += peer.write(&[0; 10_000]).unwrap();
        assert!(sent < 2 << 20, "it is heard out for ever");
        None
    });
    assert!(sent > 1 << 20, "what was under way is heard out");
}
