//! An application, and clients by hand on any stream.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use socketio_proto::{
    RecoveryConfig, ServerConfig, Timestamp,
    server::{Server, ServerEvent},
};
use socketio_proto_tokio::{App, Context, Handle, SocketIoService, entropy, start};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{WebSocketStream, client_async};
use tungstenite::Message;

/// Longer than anything takes: for a failure instead of a test that hangs.
const WAIT: Duration = Duration::from_secs(60);
/// The path of a handshake.
pub const POLL: &str = "/socket.io/?EIO=4&transport=polling";
/// Bytes of each event of a burst.
pub const LARGE: usize = 100_000;

/// Acknowledges with the arguments, and sends bursts.
pub struct Echo;

impl App for Echo {
    type Data = u32;

    fn handle_event(&mut self, cx: &mut Context<'_, u32>, event: ServerEvent<u32>) {
        match event {
            ServerEvent::ConnectRequested { request, .. } => {
                cx.at().accept(request);
            }
            ServerEvent::Received { event, ack: Some(token), .. } => {
                cx.at().ack(token, &event.args());
            }
            ServerEvent::Received { event, .. } if event.name() == "panic" => panic!("on purpose"),
            ServerEvent::Received { socket, event, .. } if event.name() == "burst" => {
                for number in 0..event.get(0).unwrap_or(0) {
                    cx.at().socket(socket).emit("large", &(number, "x".repeat(LARGE))).unwrap();
                }
            }
            _ => {}
        }
    }
}

/// A server with recovery and two namespaces.
pub fn server() -> Server<u32> {
    let config = ServerConfig::new().recovery(RecoveryConfig::new());
    let mut server = Server::new(config, entropy).unwrap();
    for namespace in ["/", "/admin"] {
        server.at(Timestamp::ZERO).add_namespace(namespace).unwrap();
    }
    server
}

pub fn echo() -> (SocketIoService, Handle<Echo>) {
    start(server(), Echo)
}

/// Waits, but not forever.
pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(WAIT, future).await.expect("it happens in time")
}

/// A listener, and its port.
pub async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

pub async fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

/// A client on a WebSocket.
pub struct Ws<S>(WebSocketStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Ws<S> {
    pub async fn open(stream: S) -> Self {
        let url = "ws://localhost/socket.io/?EIO=4&transport=websocket";
        let (stream, _) = in_time(client_async(url, stream)).await.unwrap();
        let mut ws = Self(stream);
        assert!(ws.packet().await.starts_with("0{"));
        ws
    }

    /// Opens one and joins the main namespace. Returns what CONNECT has brought, too.
    pub async fn connect(stream: S, auth: &str) -> (Self, serde_json::Value) {
        Self::connect_if_open(stream, auth).await.expect("it is open")
    }

    /// The same, unless the server closes it before.
    pub async fn connect_if_open(stream: S, auth: &str) -> Option<(Self, serde_json::Value)> {
        let mut ws = Self::open(stream).await;
        in_time(ws.0.send(Message::text(format!("40{auth}")))).await.ok()?;
        let answer = ws.packet_if_open().await?;
        let session = answer.strip_prefix("40").expect("CONNECT");
        Some((ws, serde_json::from_str(session).unwrap()))
    }

    pub async fn send(&mut self, packet: &str) {
        in_time(self.0.send(Message::text(packet))).await.unwrap();
    }

    pub async fn send_bytes(&mut self, bytes: &'static [u8]) {
        in_time(self.0.send(Message::binary(bytes))).await.unwrap();
    }

    /// The next packet that is not a ping.
    pub async fn packet(&mut self) -> String {
        self.packet_if_open().await.expect("it is open")
    }

    async fn packet_if_open(&mut self) -> Option<String> {
        loop {
            let message = in_time(self.0.next()).await?.ok()?;
            if message.is_close() {
                return None;
            }
            let packet = message.into_text().unwrap().to_string();
            if packet != "2" {
                return Some(packet);
            }
            self.send("3").await;
        }
    }

    /// The next packet, which is an event; the offset at its end is left out.
    pub async fn event(&mut self) -> serde_json::Value {
        let packet = self.packet().await;
        let mut event: Vec<serde_json::Value> =
            serde_json::from_str(packet.strip_prefix("42").expect("an event")).unwrap();
        event.pop();
        event.into()
    }

    /// Closes it, and waits for the end of the stream.
    pub async fn close(mut self) {
        in_time(self.0.close(None)).await.unwrap();
        self.until_closed().await;
    }

    /// Waits until the server closes it.
    pub async fn until_closed(&mut self) {
        while let Some(Ok(_)) = in_time(self.0.next()).await {}
    }
}

/// Sends one request on a stream of its own, and returns the response.
pub async fn request<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    head: &str,
    body: &str,
) -> String {
    String::from_utf8(response(stream, head, body).await).unwrap()
}

/// The same, for responses that are not text.
pub async fn response<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    head: &str,
    body: &str,
) -> Vec<u8> {
    let length = body.len();
    let text = format!(
        "{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    in_time(stream.read_to_end(&mut response)).await.ok();
    response
}

/// The id in the response to a handshake.
pub fn session_id(opened: &str) -> &str {
    opened.split("\"sid\":\"").nth(1).expect("a session").split('"').next().unwrap()
}

/// Opens a session over polling, and joins the main namespace. Returns the path of its requests.
pub async fn polling_session<S: AsyncRead + AsyncWrite + Unpin>(
    connect: impl AsyncFn() -> S,
) -> String {
    let opened = request(connect().await, &format!("GET {POLL}"), "").await;
    let path = format!("{POLL}&sid={}", session_id(&opened));
    exchange(&connect, &path, "40", "40{\"sid\":").await;
    path
}

/// Sends a packet over polling, and gets the one in return, of which this is the beginning.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    connect: &impl AsyncFn() -> S,
    path: &str,
    packet: &str,
    answer: &str,
) {
    let posted = request(connect().await, &format!("POST {path}"), packet).await;
    assert!(posted.ends_with("\r\n\r\nok"), "{posted}");
    let polled = request(connect().await, &format!("GET {path}"), "").await;
    assert!(polled.contains(&format!("\r\n\r\n{answer}")), "{polled}");
}

/// All ways to talk to a server at `/socket.io/`, each on streams of its own.
pub async fn converse<S: AsyncRead + AsyncWrite + Unpin>(connect: impl AsyncFn() -> S) {
    poll(&connect).await;
    let (mut ws, _) = Ws::connect(connect().await, "").await;
    ws.send("420[\"echo\",\"ü\"]").await;
    assert_eq!(ws.packet().await, "430[\"ü\"]");

    // More than the buffers of any stream take, to a client that does not read at first.
    ws.send("42[\"burst\",30]").await;
    let (mut other, _) = Ws::connect(connect().await, "").await;
    other.send("421[\"echo\",1]").await;
    assert_eq!(other.packet().await, "431[1]");
    for number in 0..30 {
        let event = ws.event().await;
        assert_eq!((&event[0], &event[1]), (&"large".into(), &number.into()));
        assert_eq!(event[2].as_str().unwrap().len(), LARGE);
    }
    ws.send("422[\"echo\",2]").await;
    assert_eq!(ws.packet().await, "432[2]");
    ws.close().await;
    other.close().await;
}

/// Long-polling.
async fn poll<S: AsyncRead + AsyncWrite + Unpin>(connect: &impl AsyncFn() -> S) {
    let path = polling_session(connect).await;
    exchange(connect, &path, "427[\"echo\",[1]]", "437[[1]]").await;
    let unknown = request(connect().await, &format!("GET {POLL}&sid=x"), "").await;
    assert!(unknown.starts_with("HTTP/1.1 400 "), "{unknown}");
}
