//! Hostile peers of the tokio driver, over real sockets: attacks that only an embedder can see.
//!
//! Each test is one attack; its doc line is a row of the table in `SECURITY.md`, see `tests/hostile`.

use std::{
    convert::Infallible,
    future::{Ready, pending, ready},
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    task::{Context, Poll},
    thread,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming};
use socketio_proto_tokio::{Listeners, PeerLimits, serve};
use tower_service::Service;
use tungstenite::{Message, WebSocket};

use crate::example::Example;

/// Longer than anything takes. Only a test that fails waits for it.
const WAIT: Duration = Duration::from_secs(60);

fn start(variables: &[(&str, &str)]) -> Example {
    let mut all = vec![("PORT", "0"), ("IO_TIMEOUT_MS", "300")];
    all.extend(variables);
    Example::start("contract", &["--profile", "acceptance"], &all)
}

fn connect(server: &Example) -> TcpStream {
    let stream = TcpStream::connect(format!("127.0.0.1:{}", server.address)).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// All that comes until the server closes the connection.
fn read_to_end(mut stream: &TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn request(mut stream: &TcpStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).unwrap();
    read_to_end(stream)
}

/// A client on a WebSocket that must not notice anything.
struct Bystander(WebSocket<TcpStream>);

impl Bystander {
    fn new(server: &Example) -> Self {
        let query = "socket.io/?EIO=4&transport=websocket";
        let url = format!("ws://127.0.0.1:{}/{query}", server.address);
        let (socket, _) = tungstenite::client(url, connect(server)).unwrap();
        let mut bystander = Self(socket);
        bystander.0.send(Message::text("40/quiet,")).unwrap();
        while !bystander.read().starts_with("40/quiet,") {}
        bystander
    }

    fn check(&mut self) {
        self.0.send(Message::text("42/quiet,7[\"message-with-ack\",1]")).unwrap();
        assert_eq!(self.read(), "43/quiet,7[1]");
    }

    fn read(&mut self) -> String {
        self.0.read().unwrap().into_text().unwrap().to_string()
    }
}

/// Opens a WebSocket by hand and takes the open packet.
fn open_websocket(server: &Example) -> TcpStream {
    let mut stream = connect(server);
    stream
        .write_all(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n\
              Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"}") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    stream
}

/// The answer to what is sent on a WebSocket.
fn answer(mut stream: &TcpStream, bytes: &[u8]) -> [u8; 4] {
    stream.write_all(bytes).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    answer
}

fn close_frame(code: u16) -> [u8; 4] {
    let [high, low] = code.to_be_bytes();
    [0x88, 2, high, low]
}

/// A request's head that comes byte by byte (slow loris) | driver: `PeerLimits::head` | dropped | -
#[test]
fn a_head_that_comes_byte_by_byte() {
    let mut server = start(&[]);
    let mut bystander = Bystander::new(&server);
    let mut slow = connect(&server);
    slow.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut sent = 0_u32;
    loop {
        let is_open = slow.write_all(b"G").is_ok();
        match slow.read(&mut [0; 100]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && is_open => sent += 1,
            // Dropped, with or without an answer.
            _ => break,
        }
        bystander.check();
    }
    assert!(sent > 0);
    bystander.check();
    server.assert_unharmed();
}

/// A body that comes byte by byte, or not at all | driver: `SocketIoService::body_timeout` | dropped; the sockets are parked | `connections_closed.transport_error`
#[test]
fn a_body_that_comes_byte_by_byte() {
    let mut server = start(&[]);
    let mut bystander = Bystander::new(&server);
    let get =
        "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let open = request(&connect(&server), get);
    let sid = open.split("\"sid\":\"").nth(1).unwrap()[..20].to_owned();
    let mut slow = connect(&server);
    let path = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n4");
    slow.write_all(head.as_bytes()).unwrap();
    assert_eq!(read_to_end(&slow), "", "dropped without an answer");
    let get = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(request(&connect(&server), &get).contains("Session ID unknown"));
    bystander.check();
    server.assert_unharmed();
}

/// Cookies and queries that are far too large | driver: the size of a head, 64 KiB | 431, or dropped | -
#[test]
fn cookies_beyond_all_measure() {
    let mut server = start(&[]);
    let mut bystander = Bystander::new(&server);
    let cookie = "x".repeat(100_000);
    for head in [
        format!("GET /socket.io/ HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n"),
        format!("GET /socket.io/?{cookie} HTTP/1.1\r\nHost: x\r\n\r\n"),
    ] {
        let answer = request(&connect(&server), &head);
        assert!(answer.is_empty() || answer.contains(" 431 ") || answer.contains(" 414 "));
        bystander.check();
    }
    server.assert_unharmed();
}

/// Frames that break the WebSocket protocol | RFC 6455 | closed (1002, 1007), parked | `connections_closed.transport_close`
#[test]
fn frames_that_break_the_websocket_protocol() {
    let mut server = start(&[]);
    let mut bystander = Bystander::new(&server);
    let unmasked: &[u8] = &[0x81, 1, b'3'];
    let reserved: &[u8] = &[0xf1, 0x81, 0, 0, 0, 0, b'3'];
    let unknown: &[u8] = &[0x83, 0x80, 0, 0, 0, 0];
    let orphan: &[u8] = &[0x80, 0x81, 0, 0, 0, 0, b'3'];
    for frame in [unmasked, reserved, unknown, orphan] {
        assert_eq!(answer(&open_websocket(&server), frame), close_frame(1002), "{frame:?}");
        bystander.check();
    }
    let no_utf8: &[u8] = &[0x81, 0x81, 0, 0, 0, 0, 0xff];
    assert_eq!(answer(&open_websocket(&server), no_utf8), close_frame(1007));
    bystander.check();
    server.assert_unharmed();
}

/// A frame that announces more than a message may have | `max_payload` | closed (1009) before it is read | `connections_closed.transport_close`
#[test]
fn a_frame_that_announces_too_much() {
    let mut server = start(&[]);
    let mut bystander = Bystander::new(&server);
    let huge = [&[0x82, 0xff][..], &(1_u64 << 40).to_be_bytes(), &[0; 4]].concat();
    assert_eq!(answer(&open_websocket(&server), &huge), close_frame(1009));
    bystander.check();
    server.assert_unharmed();
}

/// A flood that goes on after its WebSocket was closed | driver: 1 MiB, 5 s | reset | -
#[test]
fn a_flood_that_goes_on_after_its_end() {
    let mut server = start(&[]);
    let mut bystander = Bystander::new(&server);
    let mut stream = open_websocket(&server);
    assert_eq!(answer(&stream, &[0x83, 0x80, 0, 0, 0, 0]), close_frame(1002));
    let flood = vec![0; 1 << 20];
    // The operating systems' buffers take some of it.
    let taken = (0..64).take_while(|_| stream.write_all(&flood).is_ok()).count();
    assert!(taken < 64, "{taken} MiB were heard out");
    bystander.check();
    server.assert_unharmed();
}

/// More TCP connections than there are places | driver: `PeerLimits::connections` | they wait to be accepted | -
#[test]
fn more_tcp_connections_than_there_are_places() {
    let mut server = start(&[("MAX_CONNECTIONS", "3")]);
    let mut bystander = Bystander::new(&server);
    // Two say nothing, and hold their places until they have taken too long.
    let idle = [connect(&server), connect(&server)];
    let get =
        "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let late = connect(&server);
    bystander.check();
    assert!(request(&late, get).contains("0{\"sid\""));
    for stream in idle {
        read_to_end(&stream);
    }
    bystander.check();
    server.assert_unharmed();
}

/// An HTTP response that is not read | driver: `PeerLimits::write` | dropped | -
#[test]
fn a_response_that_is_not_read() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut limits = PeerLimits::default();
    (limits.connections, limits.write) = (1, Duration::from_millis(100));
    let listeners = runtime.block_on(async { Listeners::bind(0) }).unwrap();
    let port = listeners.port();
    runtime.spawn(serve(listeners, LargePage, limits, pending()));
    let connect = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream
    };
    let mut slow = connect();
    // It does not read, and hears of the end when it writes.
    while slow.write_all(b"x").is_ok() {
        thread::sleep(Duration::from_millis(10));
    }
    // Its place is free again.
    let mut head = [0; 12];
    connect().read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
}

/// A page that does not fit into the buffers of the system.
#[derive(Clone)]
struct LargePage;

impl Service<Request<Incoming>> for LargePage {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Incoming>) -> Self::Future {
        ready(Ok(Response::new(Full::from(vec![b'x'; 64 << 20]))))
    }
}
