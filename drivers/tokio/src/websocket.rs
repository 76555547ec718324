//! One WebSocket: handshake, reading and end. The actor writes.

use std::{
    cell::RefCell,
    future::poll_fn,
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, BytesMut};
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode, Version,
    body::Incoming,
    header::{self, HeaderValue},
    http::request::Parts,
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use socketio_proto::{
    WireId,
    engine::{WebSocketRequest, WebSocketResponse},
};
use socketio_proto_websocket::{Buffers, Received, WebSocket};
use tokio::{
    io::{AsyncRead as _, ReadBuf},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::oneshot,
    task::yield_now,
    time::timeout,
};
use tungstenite::handshake::derive_accept_key;

use crate::{
    endpoint::{Command, Dropped, Endpoint, next_wire},
    http::{Body, method, to_http},
    peer::{Farewell, Peer},
    peer_limits::LimitedStream,
};

/// How long a peer may take to complete the close.
const LINGER: Duration = Duration::from_secs(5);
/// Bytes that a peer may still send after the close. Messages on their way are read; a flood is
/// not.
const LINGER_BYTES: usize = 1 << 20;
/// Bytes read at a time.
const CHUNK: usize = 32 << 10;

thread_local! {
    /// The read buffer, one for all WebSockets of a thread.
    static CHUNK_OF_THREAD: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into());
}

/// The header fields of a request that asks for a WebSocket; `None` for any other request.
pub(crate) fn asked_for(request: &Request<Incoming>) -> Option<WebSocketRequest> {
    let is_http11 = request.version() >= Version::HTTP_11;
    let fields = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    WebSocketRequest::read(method(request.method()), is_http11, fields)
}

/// Answers a WebSocket handshake, after the machine has decided about it.
pub(crate) async fn answer(
    endpoint: Endpoint,
    mut request: Request<Incoming>,
    asked: WebSocketRequest,
    max_payload: usize,
) -> Result<Response<Body>, Dropped> {
    let on_upgrade = hyper::upgrade::on(&mut request);
    let parts = Arc::new(request.into_parts().0);
    let (answer, verified) = oneshot::channel();
    let verify = Command::Verify { parts: parts.clone(), request: asked, answer };
    endpoint.send(verify).await?;
    let switching = match verified.await.map_err(|_| Dropped)? {
        Ok(switching) => switching,
        Err(refusal) => return Ok(to_http(refusal.response(true))),
    };
    tokio::spawn(async move {
        if let Some((stream, input)) = upgraded(on_upgrade).await {
            // Apart, so that the task of an idle WebSocket is no larger than what it needs.
            tokio::spawn(run(stream, input, parts, endpoint, max_payload));
        }
    });

    Ok(switching_protocols(&switching))
}

/// The answer that completes a handshake.
fn switching_protocols(switching: &WebSocketResponse) -> Response<Body> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    let accept = HeaderValue::try_from(derive_accept_key(switching.key.as_bytes()));
    headers.extend(accept.ok().map(|accept| (header::SEC_WEBSOCKET_ACCEPT, accept)));
    let protocol = switching.protocol.as_deref().and_then(|name| name.try_into().ok());
    headers.extend(protocol.map(|name| (header::SEC_WEBSOCKET_PROTOCOL, name)));
    response
}

/// The stream after the handshake, with what was read from it already.
async fn upgraded(on_upgrade: OnUpgrade) -> Option<(LimitedStream, BytesMut)> {
    let upgraded = on_upgrade.await.ok()?;
    let parts = upgraded.downcast::<TokioIo<LimitedStream>>().ok()?;
    Some((parts.io.into_inner(), BytesMut::from(parts.read_buf)))
}

async fn run(
    stream: LimitedStream,
    input: BytesMut,
    parts: Arc<Parts>,
    endpoint: Endpoint,
    max_payload: usize,
) {
    // No timeout here: if the peer does not read, the machine holds frames back.
    let LimitedStream { stream, permit: _counted, .. } = stream;
    let (mut reader, writer) = stream.into_split();
    let wire = next_wire();
    let (peer, closed) = Peer::new(writer);
    if endpoint.send(Command::WebSocket { wire, parts, peer }).await.is_err() {
        return;
    }
    let end = tokio::select! {
        last = receive(&mut reader, input, wire, &endpoint, max_payload) => End::Theirs { last },
        farewell = closed => match farewell {
            Ok(farewell) => End::Ours(farewell),
            Err(_) => End::Theirs { last: BytesMut::new() },
        },
    };
    match end {
        End::Ours(farewell) => timeout(LINGER, finish(&mut reader, farewell)).await.ok(),
        End::Theirs { last } => {
            endpoint.send(Command::Lost { wire, last }).await.ok();
            timeout(LINGER, drain(&mut reader)).await.ok()
        }
    };
}

/// The side that ends a WebSocket.
enum End {
    /// The machine.
    Ours(Farewell),
    /// The peer closed or failed, which may want an answer.
    Theirs { last: BytesMut },
}

/// Gives messages to the machine until the peer closes or fails. A busy machine slows the peer
/// down. Returns the bytes to answer with.
async fn receive(
    reader: &mut OwnedReadHalf,
    input: BytesMut,
    wire: WireId,
    endpoint: &Endpoint,
    max_payload: usize,
) -> BytesMut {
    let mut websocket = WebSocket::new(max_payload);
    let mut buffers = Buffers { input, output: BytesMut::new() };
    loop {
        let received = websocket.receive(&mut buffers);
        let is_sent = match received {
            Received::Message(frame) => endpoint.send(Command::Frame { wire, frame }).await.is_ok(),
            Received::Control => endpoint.send(Command::ControlFrame { wire }).await.is_ok(),
            Received::CloseFrame => endpoint.send(Command::CloseFrame { wire }).await.is_ok(),
            Received::Closed => false,
            Received::Nothing if !buffers.output.is_empty() => {
                let bytes = mem::take(&mut buffers.output);
                endpoint.send(Command::Reply { wire, bytes }).await.is_ok()
            }
            Received::Nothing => {
                // An idle WebSocket keeps no memory for reading.
                buffers.input = BytesMut::new();
                buffers.input = read(reader).await.unwrap_or_default();
                !buffers.input.is_empty()
            }
        };
        if !is_sent {
            return buffers.output;
        }
    }
}

/// Reads the available bytes; none at the end of the stream. A peer that sends much waits for the
/// others after each chunk.
async fn read(reader: &mut OwnedReadHalf) -> io::Result<BytesMut> {
    let read = poll_fn(|cx| {
        CHUNK_OF_THREAD.with_borrow_mut(|chunk| {
            let mut chunk = ReadBuf::new(chunk);
            // Unlike `try_read`, it knows that a short read has taken everything.
            ready!(Pin::new(&mut *reader).poll_read(cx, &mut chunk))?;
            Poll::Ready(io::Result::Ok(BytesMut::from(chunk.filled())))
        })
    })
    .await?;
    if read.len() == CHUNK {
        yield_now().await;
    }
    Ok(read)
}

/// Sends the last bytes, and then reads until the peer has finished.
async fn finish(reader: &mut OwnedReadHalf, farewell: Farewell) {
    let Farewell { writer, mut rest } = farewell;
    while !rest.is_empty() {
        match writer.try_write(&rest) {
            Ok(len) => rest.advance(len),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if writer.writable().await.is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
    // That is the end of what we send.
    drop::<Arc<OwnedWriteHalf>>(writer);
    drain(reader).await;
}

/// Reads to the end, within limits. Dropping a stream with unread bytes would reset the connection,
/// and the peer might not see how it was closed.
async fn drain(reader: &mut OwnedReadHalf) {
    let mut heard = 0;
    while heard <= LINGER_BYTES {
        match read(reader).await {
            Ok(bytes) if !bytes.is_empty() => heard += bytes.len(),
            Ok(_) | Err(_) => return,
        }
    }
}
