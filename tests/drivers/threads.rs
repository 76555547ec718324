//! `examples/threads` over real sockets: peers that do not read, requests that wait, and the end.

#[path = "../../examples/threads/driver.rs"]
mod driver;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use socketio_proto::{
    ConnectionId, ServerConfig, Timestamp,
    server::{Server, ServerEvent},
};
use socketio_proto_http1::Endpoint;
use tungstenite::{Message, WebSocket};

use driver::{App, Driver};

/// Longer than anything takes. Only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Accepts everybody, and answers `/wait` when the test says so.
struct Site {
    waiting: Sender<Sender<&'static str>>,
    closed: Sender<()>,
}

impl App for Site {
    type Data = ();

    fn handle_handshake(&mut self, _: ConnectionId, _: &Parts) {}

    fn handle_event(&mut self, server: &mut Server, now: Timestamp, event: ServerEvent<()>) {
        match event {
            ServerEvent::ConnectRequested { request, .. } => {
                server.at(now).accept(request);
            }
            ServerEvent::ConnectionClosed { .. } => self.closed.send(()).unwrap_or_default(),
            _ => {}
        }
    }

    fn answer(driver: &Driver<Self>, request: Request<Bytes>) -> Response<Bytes> {
        assert_ne!(request.uri().path(), "/panic", "as the test wants");
        let (go, gone) = mpsc::channel();
        driver.with(|site, _, _| site.waiting.send(go)).unwrap();
        Response::new(gone.recv().unwrap().into())
    }
}

struct Running {
    driver: Driver<Site>,
    address: SocketAddr,
    /// Requests that wait.
    waiting: Receiver<Sender<&'static str>>,
    /// Connections that have closed.
    closed: Receiver<()>,
}

impl Running {
    fn start(most: usize) -> Self {
        let entropy = |dest: &mut [u8]| getrandom::fill(dest).unwrap();
        let mut server = Server::new(ServerConfig::new(), entropy).unwrap();
        server.at(Timestamp::ZERO).add_namespace("/").unwrap();
        let (waiting, requests) = mpsc::channel();
        let (closed, connections) = mpsc::channel();
        let driver = Driver::new(Endpoint::new(server), Site { waiting, closed });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        driver.serve(listener, most);
        Self { driver, address, waiting: requests, closed: connections }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A client that has joined the main namespace.
    fn join(&self) -> WebSocket<TcpStream> {
        let url = "ws://localhost/socket.io/?EIO=4&transport=websocket";
        let (mut socket, _) = tungstenite::client(url, self.connect()).unwrap();
        socket.send(Message::text("40")).unwrap();
        while !socket.read().unwrap().to_text().unwrap().starts_with("40") {}
        socket
    }
}

fn ask(mut stream: &TcpStream, path: &str) {
    write!(stream, "GET {path} HTTP/1.1\r\nconnection: close\r\n\r\n").unwrap();
}

fn response(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn who_does_not_read_is_closed_and_others_get_everything() {
    let running = Running::start(10);
    let deaf = running.join();
    let mut other = running.join();
    let text = "x".repeat(100_000);
    let mut emitted = 0;
    while running.closed.try_recv().is_err() {
        running
            .driver
            .with(|_, server, now| server.at(now).all().emit("n", &(emitted, &text)))
            .unwrap();
        // It has taken this one before the next is emitted.
        let message = other.read().unwrap();
        assert!(message.to_text().unwrap().starts_with(&format!("42[\"n\",{emitted},")));
        emitted += 1;
        assert!(emitted < 1_000, "100 MB are not kept for a client that does not read");
    }
    assert!(emitted > 40, "{emitted}: the limit is 4 MiB");
    drop((deaf, other));
    running.driver.shut_down();
}

#[test]
fn a_request_that_waits_stops_nobody() {
    let running = Running::start(10);
    let slow = running.connect();
    ask(&slow, "/wait");
    let go = running.waiting.recv_timeout(PATIENCE).unwrap();
    let mut socket = running.join();
    running.driver.with(|_, server, now| server.at(now).all().emit("n", &())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("42[\"n\"]"));
    go.send("at last").unwrap();
    assert!(response(slow).ends_with("\r\n\r\nat last"));
}

#[test]
fn the_end_waits_for_responses() {
    let running = Running::start(10);
    let [idle, busy] = [running.connect(), running.connect()];
    ask(&busy, "/wait");
    let go = running.waiting.recv_timeout(PATIENCE).unwrap();
    let mut socket = running.join();
    let driver = running.driver.clone();
    let end = thread::spawn(move || driver.shut_down());
    // Everybody else hears of the end before the response.
    assert_eq!(response(idle), "");
    assert_eq!(socket.read().unwrap(), Message::Close(None));
    go.send("done").unwrap();
    let got = response(busy);
    assert!(got.contains("connection: close\r\n") && got.ends_with("done"), "{got}");
    drop(socket);
    end.join().unwrap();
}

#[test]
fn who_comes_when_there_is_no_place_waits() {
    let running = Running::start(1);
    let first = running.connect();
    ask(&first, "/wait");
    let go = running.waiting.recv_timeout(PATIENCE).unwrap();
    let second = running.connect();
    ask(&second, "/wait");
    assert!(running.waiting.try_recv().is_err(), "it is not served yet");
    go.send("first").unwrap();
    assert!(response(first).ends_with("first"));
    running.waiting.recv_timeout(PATIENCE).unwrap().send("second").unwrap();
    assert!(response(second).ends_with("second"));
}

#[test]
fn a_panic_of_a_request_costs_its_stream_only() {
    let running = Running::start(10);
    let mut socket = running.join();
    let broken = running.connect();
    ask(&broken, "/panic");
    assert_eq!(response(broken), "");
    running.driver.with(|_, server, now| server.at(now).all().emit("n", &())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("42[\"n\"]"));
}
