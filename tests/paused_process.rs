//! Both drivers, while their process is stopped and the pongs of its clients wait in its sockets.
#![cfg(unix)]

#[path = "interop/example.rs"]
mod example;
#[path = "interop/output.rs"]
mod output;

use std::{
    net::{SocketAddr, TcpStream},
    process::Command,
    thread,
    time::Duration,
};

use example::Example;
use tungstenite::{Message, WebSocket};

/// Longer than anything takes. Only a test that fails waits for it.
const WAIT: Duration = Duration::from_secs(60);
const SETTINGS: [(&str, &str); 3] =
    [("PORT", "0"), ("PING_INTERVAL", "300"), ("PING_TIMEOUT", "2000")];

#[test]
fn tokio_driver() {
    stop_and_go_on(Example::start("contract", &["--profile", "acceptance"], &SETTINGS));
}

#[test]
fn event_loop() {
    stop_and_go_on(Example::start("event_loop", &["--port", "0"], &SETTINGS));
}

/// Each of twenty clients has been pinged when the process is stopped, for longer than it waits for
/// pongs, and answers meanwhile. All stay but the one that does not answer.
fn stop_and_go_on(mut server: Example) {
    let mut clients: Vec<Client> = (0..20).map(|_| Client::connect(&server)).collect();
    for client in &mut clients {
        client.await_ping();
    }
    let mut silent = Client::connect(&server);
    silent.await_ping();

    signal(&server, "-STOP");
    for client in &mut clients {
        client.send("3");
    }
    thread::sleep(Duration::from_millis(3_000));
    signal(&server, "-CONT");

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

fn signal(server: &Example, signal: &str) {
    let pid = server.process.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

struct Client(WebSocket<TcpStream>);

impl Client {
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
