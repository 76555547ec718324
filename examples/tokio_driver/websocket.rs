//! One WebSocket: its handshake, its frames, its end.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderMap, HeaderName, HeaderValue},
    http::request::Parts,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use socketio_proto::{WireId, engine::Frame};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, WebSocketConfig},
    },
};

use super::{
    actor::{Command, Endpoint, FRAMES, Peer, next_wire},
    exchange::{Dropped, to_http},
    site::{Body, Route, plain},
};

/// How long a peer may take for its part of the end.
const LINGER: Duration = Duration::from_secs(5);
/// Memory of an idle WebSocket.
const READ_BUFFER: usize = 4 << 10;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Whether a request asks for a WebSocket.
pub(super) fn is_handshake(headers: &HeaderMap) -> bool {
    has_token(headers, &header::UPGRADE, "websocket")
        && has_token(headers, &header::CONNECTION, "upgrade")
}

/// Answers a WebSocket handshake, after the machine has decided about it.
pub(super) async fn answer(
    route: &Route,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Dropped> {
    let on_upgrade = hyper::upgrade::on(&mut request);
    let parts = Arc::new(request.into_parts().0);
    let (answer, verified) = oneshot::channel();
    let verify = Command::Verify { parts: parts.clone(), answer };
    route.endpoint.send(verify).await?;
    if let Err(refusal) = verified.await.map_err(|_| Dropped)? {
        return Ok(to_http(refusal.response(true)));
    }
    let Some(accept) = accept(&parts) else {
        let mut response = plain(StatusCode::BAD_REQUEST, "Bad request");
        let version = HeaderValue::from_static("13");
        let headers = response.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_VERSION, version);
        return Ok(response);
    };
    let endpoint = route.endpoint.clone();
    tokio::spawn(run(on_upgrade, parts, endpoint, route.max_payload));

    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

fn accept(parts: &Parts) -> Option<HeaderValue> {
    let version = parts.headers.get(header::SEC_WEBSOCKET_VERSION)?;
    let key = parts.headers.get(header::SEC_WEBSOCKET_KEY)?;
    let is_usable = parts.method == Method::GET && version == "13" && key.len() == 24;
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok()?;
    is_usable.then_some(accept)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(token))
}

async fn run(on_upgrade: OnUpgrade, parts: Arc<Parts>, endpoint: Endpoint, max_payload: usize) {
    let Ok(upgraded) = on_upgrade.await else {
        return;
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(max_payload))
        .max_frame_size(Some(max_payload));
    let io = TokioIo::new(upgraded);
    let socket = Socket::from_raw_socket(io, Role::Server, Some(config)).await;
    let (mut sink, mut stream) = socket.split();

    let wire = next_wire();
    let (frames, mut outgoing) = mpsc::channel(FRAMES);
    let (close, mut closed) = oneshot::channel();
    let peer = Peer { frames, close };
    if endpoint.send(Command::WebSocket { wire, parts, peer }).await.is_err() {
        return;
    }
    let end = {
        let mut receiving = pin!(receive(&mut stream, wire, &endpoint, max_payload));
        let mut sending = pin!(send(&mut sink, &mut outgoing));
        let mut is_sent = false;
        loop {
            tokio::select! {
                () = &mut receiving => break End::Theirs,
                sent = &mut sending, if !is_sent => match sent {
                    Ok(()) => is_sent = true,
                    Err(_) => break End::Theirs,
                },
                code = &mut closed => {
                    // What was sent before still has to go out.
                    if !is_sent {
                        timeout(LINGER, sending.as_mut()).await.ok();
                    }
                    break code.map_or(End::Theirs, End::Ours);
                }
            }
        }
    };
    if matches!(end, End::Theirs) {
        endpoint.send(Command::Lost { wire }).await.ok();
    }
    drop(outgoing);
    if let Ok(socket) = stream.reunite(sink) {
        timeout(LINGER, finish(socket, end)).await.ok();
    }
}

/// Hands messages to the machine until the peer closes or fails. A machine that is busy slows the
/// peer down.
async fn receive(
    stream: &mut SplitStream<Socket>,
    wire: WireId,
    endpoint: &Endpoint,
    max_payload: usize,
) {
    while let Some(message) = stream.next().await {
        let frame = match message {
            // Copied, because a slice that the application keeps would pin the read buffer.
            Ok(Message::Text(text)) => Frame::Text(text.as_str().into()),
            Ok(Message::Binary(bytes)) => Frame::Binary(Bytes::copy_from_slice(&bytes)),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
            Err(Error::Capacity(_)) => {
                // Its length is all that the machine needs to refuse it, in its own way.
                let frame = Frame::Binary(vec![0; max_payload.saturating_add(1)].into());
                endpoint.send(Command::Frame { wire, frame }).await.ok();
                return std::future::pending().await;
            }
            Ok(Message::Close(_)) | Err(_) => return,
        };
        if endpoint.send(Command::Frame { wire, frame }).await.is_err() {
            return;
        }
    }
}

/// Writes frames until there are no more to come. All that wait are written with one flush.
async fn send(
    sink: &mut SplitSink<Socket, Message>,
    outgoing: &mut mpsc::Receiver<Frame>,
) -> Result<(), Error> {
    while let Some(frame) = outgoing.recv().await {
        sink.feed(message(frame)?).await?;
        while let Ok(frame) = outgoing.try_recv() {
            sink.feed(message(frame)?).await?;
        }
        sink.flush().await?;
    }
    Ok(())
}

fn message(frame: Frame) -> Result<Message, Error> {
    Ok(match frame {
        Frame::Text(text) => Message::Text(Utf8Bytes::try_from(text.into_bytes())?),
        Frame::Binary(bytes) => Message::Binary(bytes),
    })
}

/// Who ends a WebSocket.
enum End {
    /// The machine, with this status code.
    Ours(Option<u16>),
    /// The peer closed or failed.
    Theirs,
}

/// Sends our part of the closing handshake and takes the peer's.
async fn finish(mut socket: Socket, end: End) {
    if let End::Ours(code) = end {
        let frame = code.map(|code| CloseFrame { code: code.into(), reason: Utf8Bytes::default() });
        if socket.close(frame).await.is_err() {
            return;
        }
    }
    while let Some(Ok(_)) = socket.next().await {}
    // To drop it with unread bytes would reset the connection, and the peer might not see how it
    // was closed.
    let io = socket.get_mut();
    if io.shutdown().await.is_ok() {
        let mut scratch = [0; 1024];
        while matches!(io.read(&mut scratch).await, Ok(1..)) {}
    }
}
