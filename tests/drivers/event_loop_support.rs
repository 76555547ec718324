//! The built example as a child process, and clients that speak to it over TCP.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tungstenite::{Message, WebSocket};

/// Longer than anything takes. Only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// The example while it runs.
pub struct Example {
    child: Child,
    port: u16,
}

impl Example {
    /// Starts the event loop on a port that the system chooses. `None` if it is not built.
    pub fn start() -> Option<Self> {
        Self::run("event_loop", &[])
    }

    /// Starts an example with arguments besides the port.
    pub fn run(name: &str, args: &[&str]) -> Option<Self> {
        let test = env::current_exe().unwrap();
        let profile = test.parent().and_then(std::path::Path::parent).unwrap();
        let binary = profile.join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX));
        if !binary.exists() {
            assert!(env::var_os("CI").is_none(), "{} is not built", binary.display());
            eprintln!("skipped: {} is not built (cargo build --examples)", binary.display());
            return None;
        }
        let mut child = Command::new(binary)
            .args(args)
            .args(["--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("listening ").expect("its first line").parse().unwrap();
        Some(Self { child, port })
    }

    pub fn connect(&self) -> Http {
        Http(BufReader::new(self.stream()))
    }

    pub fn stream(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Opens a WebSocket; `query` goes behind the one that every client sends.
    pub fn websocket(&self, query: &str) -> Ws {
        let port = self.port;
        let url = format!("ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket{query}");
        let (websocket, _) = tungstenite::client(url, self.stream()).unwrap();
        Ws(websocket)
    }

    /// Opens a session over WebSocket and joins the main namespace.
    pub fn client(&self, auth: &str) -> (Ws, Value) {
        let mut ws = self.websocket("");
        assert!(ws.receive().starts_with("0{"));
        ws.send(&format!("40{auth}"));
        let answer = ws.receive();
        let answer = answer.strip_prefix("40").expect("a CONNECT");
        (ws, serde_json::from_str(answer).unwrap())
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A TCP connection for plain requests.
pub struct Http(BufReader<TcpStream>);

/// The answer to one.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Http {
    pub fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    pub fn read_head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).unwrap(), 0, "end of stream after {head:?}");
        }
        head
    }

    pub fn read(&mut self) -> Answer {
        let head = self.read_head();
        let (_, length) = head.split_once("content-length: ").expect("a length");
        let length = length.split_once('\r').unwrap().0.parse().unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: String::from_utf8(body).unwrap() }
    }

    pub fn is_closed(&mut self) -> bool {
        self.0.read(&mut [0]).unwrap() == 0
    }

    pub fn get(&mut self, query: &str) -> Answer {
        self.write(get(query).as_bytes());
        self.read()
    }

    pub fn post(&mut self, query: &str, body: &str) -> Answer {
        self.write(post(query, body).as_bytes());
        self.read()
    }

    /// Opens a session and returns its query.
    pub fn handshake(&mut self) -> String {
        let answer = self.get("");
        assert_eq!(answer.status, 200, "{answer:?}");
        let open: Value = serde_json::from_str(answer.body.strip_prefix('0').unwrap()).unwrap();
        format!("&sid={}", open["sid"].as_str().unwrap())
    }
}

pub fn get(query: &str) -> String {
    format!("GET /socket.io/?EIO=4&transport=polling{query} HTTP/1.1\r\nHost: test\r\n\r\n")
}

pub fn post(query: &str, body: &str) -> String {
    format!(
        "POST /socket.io/?EIO=4&transport=polling{query} HTTP/1.1\r\nHost: test\r\n\
         Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The client's side of a WebSocket.
pub struct Ws(WebSocket<TcpStream>);

impl Ws {
    pub fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    pub fn send_binary(&mut self, bytes: &'static [u8]) {
        self.0.send(Message::binary(bytes)).unwrap();
    }

    /// Sends what a client must not.
    pub fn send_unmasked(&mut self) {
        self.write(b"\x81\x012");
    }

    pub fn ping(&mut self, payload: &'static [u8]) {
        self.0.send(Message::Ping(payload.into())).unwrap();
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// Returns the next frame, control frames included.
    pub fn next_frame(&mut self) -> Message {
        self.0.read().unwrap()
    }

    /// Returns the next message, or the code of the close frame.
    pub fn next(&mut self) -> Result<Message, Option<u16>> {
        loop {
            match self.0.read() {
                Ok(Message::Close(frame)) => return Err(frame.map(|frame| frame.code.into())),
                Ok(message) if message.is_ping() || message.is_pong() => {}
                Ok(message) => return Ok(message),
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub fn receive(&mut self) -> String {
        self.next().expect("a message").into_text().unwrap().to_string()
    }

    /// Returns the next event, its name first.
    pub fn event(&mut self) -> Vec<Value> {
        event(&self.receive())
    }

    /// The link fails, and neither side is notified.
    pub fn cut(self) {
        drop(self.0.into_inner());
    }
}

/// Reads an event of the main namespace, its name first.
pub fn event(packet: &str) -> Vec<Value> {
    let array = packet.strip_prefix("42").unwrap_or_else(|| panic!("not an event: {packet}"));
    serde_json::from_str(array).unwrap()
}
