//! The process of a driver is stopped while data waits in its sockets. For both server drivers the
//! data is the pongs of their clients, and for the client driver the pings of its server.
#![cfg(unix)]

#[path = "interop/example.rs"]
mod example;
#[path = "interop/output.rs"]
mod output;
#[path = "interop/terminal.rs"]
#[expect(dead_code, reason = "nothing is typed here")]
mod terminal;

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    thread,
    time::Duration,
};

use example::Example;
use terminal::Terminal;
use tungstenite::{Message, WebSocket};

/// Longer than anything takes. Only a test that fails waits for it.
const WAIT: Duration = Duration::from_secs(60);
/// How long a process is stopped: longer than it waits for the other side. That is long in turn, so that a
/// machine that stands still for a moment ends no connection.
const STOPPED: Duration = Duration::from_secs(8);
const SETTINGS: [(&str, &str); 3] =
    [("PORT", "0"), ("PING_INTERVAL", "300"), ("PING_TIMEOUT", "6000")];

#[test]
fn tokio_driver() {
    stop_and_go_on(Example::start("contract", &["--profile", "acceptance"], &SETTINGS));
}

#[test]
fn event_loop() {
    stop_and_go_on(Example::start("event_loop", &["--port", "0"], &SETTINGS));
}

/// The client waits 6.3 s for a ping, and is stopped for 8 s. Meanwhile the server pings it and sends an
/// event. The client must not report a lost connection, and it continues on the same one.
#[test]
fn client_driver() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut terminal = Terminal::open(&url, "ann", "websocket");
    let mut server = Peer(tungstenite::accept(listener.accept().unwrap().0).unwrap());
    server.0.get_ref().set_read_timeout(Some(WAIT)).unwrap();
    server.send(r#"0{"sid":"e","upgrades":[],"pingInterval":300,"pingTimeout":6000}"#);
    while !server.read().starts_with("40") {}
    server.send(r#"40{"sid":"s"}"#);
    terminal.wait_for("connected: recovered false");
    server.send("2");
    while server.read() != "3" {}

    signal(terminal.process.id(), "-STOP");
    for _ in 0..10 {
        server.send("2");
        thread::sleep(STOPPED / 10);
    }
    server.send(r#"42["chat message","while stopped"]"#);
    signal(terminal.process.id(), "-CONT");

    while server.read() != "3" {}
    server.send(r#"42["chat message","afterwards"]"#);
    terminal.wait_for("> while stopped");
    terminal.wait_for("> afterwards");
    let rest = thread::spawn(move || while server.0.read().is_ok() {});
    let lines = terminal.finish();
    rest.join().unwrap();
    assert!(!lines.iter().any(|line| line.contains("disconnected")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("reconnecting")), "{lines:?}");
}

/// Each of twenty clients has been pinged when the process is stopped, for longer than it waits for
/// pongs, and answers meanwhile. All stay but the one that does not answer.
fn stop_and_go_on(mut server: Example) {
    let mut clients: Vec<Peer> = (0..20).map(|_| Peer::connect(&server)).collect();
    for client in &mut clients {
        client.await_ping();
    }
    let mut silent = Peer::connect(&server);
    silent.await_ping();

    signal(server.process.id(), "-STOP");
    for client in &mut clients {
        client.send("3");
    }
    thread::sleep(STOPPED);
    signal(server.process.id(), "-CONT");

    for _ in 0..3 {
        for client in &mut clients {
            client.await_ping();
            client.send("3");
        }
    }
    match silent.0.read() {
        Ok(message) => assert!(message.is_close(), "{message:?} for who does not answer"),
        Err(error) => assert!(!matches!(&error, tungstenite::Error::Io(_)), "{error}"),
    }
    for client in &mut clients {
        client.await_ping();
        client.send("3");
    }
    server.assert_unharmed();
}

fn signal(process: u32, signal: &str) {
    let pid = process.to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

/// The other end of a WebSocket.
struct Peer(WebSocket<TcpStream>);

impl Peer {
    fn connect(server: &Example) -> Self {
        let port = server.address.rsplit(':').next().unwrap().parse().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let (socket, _) = tungstenite::client(url, stream).unwrap();
        let mut client = Self(socket);
        client.send("40");
        while !client.read().starts_with("40") {}
        client
    }

    fn await_ping(&mut self) {
        while self.read() != "2" {}
    }

    fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    fn read(&mut self) -> String {
        match self.0.read() {
            Ok(Message::Text(text)) => text.to_string(),
            other => panic!("the connection is over: {other:?}"),
        }
    }
}
