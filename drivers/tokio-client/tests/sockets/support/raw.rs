//! A server that says what a test tells it to.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

pub const HANDSHAKE: &str =
    r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

pub const CONNECTED: &str = r#"40{"sid":"x"}"#;

pub struct Raw {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Raw {
    /// Handles each connection with `serve`.
    pub async fn start<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream));
            }
        });
        Self { address, task }
    }

    /// Answers each request with the same bytes, and closes.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |mut stream| {
            let answer = answer.clone();
            async move {
                read_head(&mut stream).await;
                stream.write_all(&answer).await.ok();
            }
        })
        .await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads the head of a request, in lower case.
pub async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// A response to a request.
pub fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

/// The answer to the handshake of a WebSocket, but for its key.
pub const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ACCEPT\r\n\r\n";

/// The answer to the key in the head of a request.
pub fn accept(head: &str) -> String {
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key").then_some(value)
    });
    key.map(|key| derive_accept_key(key.as_bytes())).unwrap_or_default()
}

/// Opens a WebSocket.
pub async fn switch(stream: &mut TcpStream) {
    let head = read_head(stream).await;
    let answer = SWITCHING.replace("ACCEPT", &accept(&head));
    stream.write_all(answer.as_bytes()).await.ok();
}

/// Sends a text, which is short, over a WebSocket.
pub async fn say(stream: &mut TcpStream, text: &str) {
    stream.write_all(&[0x81, u8::try_from(text.len()).unwrap()]).await.ok();
    stream.write_all(text.as_bytes()).await.ok();
}

/// Opens a session over a WebSocket, and lets the client into the main namespace.
pub async fn open_session(stream: &mut TcpStream) {
    switch(stream).await;
    say(stream, HANDSHAKE).await;
    say(stream, CONNECTED).await;
}

/// The bytes that fit into the buffers of the operating system, far more than needed.
pub const BUFFERS: usize = 32 << 20;

/// What a server writes again and again, slowly or as fast as it can.
pub async fn repeat(
    stream: &mut TcpStream,
    bytes: &[u8],
    pause: Option<Duration>,
    written: &AtomicUsize,
) {
    while stream.write_all(bytes).await.is_ok() {
        written.fetch_add(bytes.len(), Ordering::Relaxed);
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
}
