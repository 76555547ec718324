//! A client that can send anything, byte by byte.

use std::{io::ErrorKind, time::Duration};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

/// Longer than anything takes, also on a machine that stands still for some seconds: for a failure instead of
/// a test that hangs. Shorter than the time between pings, so that nothing waits for them unnoticed.
const WAIT: Duration = Duration::from_secs(20);
/// A mask that changes every byte.
const MASK: [u8; 4] = [0x5a, 0xc3, 0x99, 0xf0];
/// The key of the example in RFC 6455.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
/// The path of a session that there is not.
pub const UNKNOWN: &str = "/socket.io/?EIO=4&transport=polling&sid=x";
pub const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;

/// Waits, but not forever.
pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(WAIT, future).await.expect("it happens in time")
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The path of the requests of the long-polling session that it opens.
    pub fn session(&self) -> String {
        let sid = self.body.split('"').nth(3).expect("a session id");
        format!("{POLLING}&sid={sid}")
    }
}

/// One connection.
pub struct Raw<S = TcpStream> {
    stream: S,
    /// Read already, but not used yet.
    read: Vec<u8>,
}

impl Raw {
    pub async fn connect(port: u16) -> Self {
        let stream = in_time(TcpStream::connect(("127.0.0.1", port))).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::new(stream)
    }

    pub async fn connect_narrow(port: u16) -> Self {
        Self::new(narrow(port).await)
    }

    /// Sends what fits at once. Returns how many bytes did.
    pub fn send_at_once(&self, bytes: impl AsRef<[u8]>) -> usize {
        match self.stream.try_write(bytes.as_ref()) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        }
    }

    /// Ends it with RST instead of FIN.
    pub fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        assert!(self.try_send(bytes).await, "the connection is open");
    }

    /// Returns false if the connection is broken.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sent = async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        };
        in_time(sent).await.is_ok()
    }

    /// Sends each byte on its own.
    pub async fn send_slowly(&mut self, bytes: impl AsRef<[u8]>) {
        for byte in bytes.as_ref() {
            self.send([*byte]).await;
            tokio::task::yield_now().await;
        }
    }

    /// Says that nothing more will be sent.
    pub async fn finish_sending(&mut self) {
        in_time(self.stream.shutdown()).await.unwrap();
    }

    /// Reads more. Returns false at the end.
    async fn fill(&mut self) -> bool {
        match in_time(self.stream.read_buf(&mut self.read)).await {
            Ok(count) => count > 0,
            Err(error) => {
                let ends = [
                    ErrorKind::ConnectionReset,
                    // TLS without its end.
                    ErrorKind::UnexpectedEof,
                    ErrorKind::BrokenPipe,
                ];
                assert!(ends.contains(&error.kind()), "{error}");
                false
            }
        }
    }

    async fn take(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            assert!(self.fill().await, "only {:?}", String::from_utf8_lossy(&self.read));
        }
        self.read.drain(..count).collect()
    }

    /// The next response.
    pub async fn answer(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            assert!(self.fill().await, "only {:?}", String::from_utf8_lossy(&self.read));
        };
        let head = self.take(end + 4).await;
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.split("\r\ncontent-length: ").nth(1).map_or(0, |rest| {
            let (length, _) = rest.split_once("\r\n").unwrap();
            length.parse().unwrap()
        });
        let body = String::from_utf8(self.take(length).await).unwrap();
        Answer { status, head, body }
    }

    /// Sends a request and returns the response to it.
    pub async fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request).await;
        self.answer().await
    }

    /// Sends a request and returns the response to it, unless the server ends the connection first.
    pub async fn ask_if_open(&mut self, request: impl AsRef<[u8]>) -> Option<Answer> {
        if self.try_send(request).await { self.answer_if_any().await } else { None }
    }

    /// All that comes until the server ends the connection.
    pub async fn rest(&mut self) -> String {
        while self.fill().await {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// The next response, unless the server ends the connection.
    pub async fn answer_if_any(&mut self) -> Option<Answer> {
        if self.read.is_empty() && !self.fill().await {
            return None;
        }
        Some(self.answer().await)
    }

    /// Whether the server ends the connection without another word.
    pub async fn is_dropped(&mut self) -> bool {
        self.rest().await.is_empty()
    }

    /// The next WebSocket frame: its first byte, and the payload.
    pub async fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.take(2).await;
        let length = match head[1] {
            126 => self.take(2).await.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            127 => self.take(8).await.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            short => usize::from(short),
        };
        (head[0], self.take(length).await)
    }

    /// The next text message, which is not a ping of the server.
    pub async fn packet(&mut self) -> String {
        let (TEXT, payload) = self.frame().await else { panic!("no text") };
        String::from_utf8(payload).unwrap()
    }

    /// The event and the acknowledgement that come for `421["echo",7]`.
    pub async fn assert_echoed(&mut self) {
        assert!(self.packet().await.starts_with("42[\"echoed\",7,"));
        assert_eq!(self.packet().await, "431[7]");
    }

    /// Sends a text message.
    pub async fn send_packet(&mut self, packet: &str) {
        self.send(frame(TEXT, packet.as_bytes())).await;
    }

    /// The code of the close frame, which comes next, and after which the server says no more. 1005
    /// stands for none.
    pub async fn close_code(&mut self) -> u16 {
        let (first, payload) = self.frame().await;
        assert_eq!(first, CLOSE, "{payload:?}");
        assert!(self.is_dropped().await);
        payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))
    }

    /// Completes the handshake of a WebSocket, and takes the open packet.
    pub async fn open_websocket(&mut self) {
        let answer = self.ask(handshake(WEBSOCKET, "")).await;
        assert_eq!(answer.status, 101, "{answer:?}");
        assert!(self.packet().await.starts_with("0{"));
    }

    /// Opens a WebSocket and joins the main namespace.
    pub async fn join(&mut self) {
        self.open_websocket().await;
        self.send_packet("40").await;
        assert!(self.packet().await.starts_with("40{"));
    }

    /// Opens a long-polling session, and returns the path of its requests.
    pub async fn open_polling(&mut self) -> String {
        self.ask(get(POLLING)).await.session()
    }

    /// Whether the long-polling session is still there; it is closed then.
    pub async fn close_polling(&mut self, path: &str) -> bool {
        self.ask(post(path, "1")).await.status == 200
    }
}

/// A connection whose receive buffer is as small as the system allows.
pub async fn narrow(port: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(1).unwrap();
    in_time(socket.connect(([127, 0, 0, 1], port).into())).await.unwrap()
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

pub fn post(path: &str, body: &str) -> String {
    post_with(path, &format!("Content-Length: {}\r\n", body.len()), body)
}

/// A POST with other fields than those that belong to its body.
pub fn post_with(path: &str, fields: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}")
}

/// The handshake of a WebSocket, with more fields.
pub fn handshake(path: &str, fields: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{fields}\r\n"
    )
}

/// A frame as clients send it.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length @ ..126) => frame.push(0x80 | length.to_be_bytes()[1]),
        Ok(length) => {
            frame.push(0xfe);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(0xff);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
