//! One WebSocket: handshake, reading and end. The actor writes.

use std::{
    cell::RefCell,
    future::poll_fn,
    io, mem,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use bytes::BytesMut;
use http::{Request, Response, request::Parts};
use hyper::upgrade::OnUpgrade;
use socketio_proto::{WireId, engine::WebSocketRequest};
use socketio_proto_websocket::{Buffers, Received, WebSocket, http::switching_protocols};
use tokio::{io::ReadBuf, sync::oneshot, task::yield_now, time::timeout};

use crate::{
    body::{Aborted, Body},
    endpoint::{Command, Connection, next_wire},
    http::to_http,
    peer::Peer,
    stream::{Opened, Opener, Reader},
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

/// Answers a WebSocket handshake, after the machine has decided about it.
pub(crate) async fn answer<B>(
    connection: Connection,
    mut request: Request<B>,
    asked: WebSocketRequest,
    max_payload: usize,
) -> Result<Response<Body>, Aborted> {
    let on_upgrade = hyper::upgrade::on(&mut request);
    let opener = request.extensions_mut().remove::<Opener>();
    let parts = Arc::new(request.into_parts().0);
    let (answer, verified) = oneshot::channel();
    let verify = Command::Verify { parts: parts.clone(), request: asked, answer };
    connection.send(verify).await?;
    let switching = match verified.await.map_err(|_| Aborted)? {
        Ok(switching) => switching,
        Err(refusal) => return Ok(to_http(refusal.response(true))),
    };
    tokio::spawn(async move {
        if let Some(opened) = upgraded(on_upgrade, opener).await {
            // Apart, so that the task of an idle WebSocket is no larger than what it needs.
            tokio::spawn(run(opened, parts, connection, max_payload));
        }
    });

    Ok(switching_protocols(&switching).map(Body::new))
}

/// The stream after the handshake.
async fn upgraded(on_upgrade: OnUpgrade, opener: Option<Opener>) -> Option<Opened> {
    let upgraded = on_upgrade.await.ok()?;
    match opener {
        Some(opener) => opener(upgraded),
        None => Some(Opened::new(upgraded)),
    }
}

async fn run(opened: Opened, parts: Arc<Parts>, connection: Connection, max_payload: usize) {
    let Opened { mut reader, writer, input, place: _counted } = opened;
    let wire = next_wire();
    let (peer, mut ended) = Peer::new(writer);
    // No timeout here: if the peer does not read, the machine holds frames back.
    if connection.send(Command::WebSocket { wire, parts, peer }).await.is_err() {
        return;
    }
    let ours = tokio::select! {
        last = receive(&mut reader, input, wire, &connection, max_payload) => {
            // The peer closed or failed, which may want an answer.
            connection.send(Command::Lost { wire, last }).await.ok();
            None
        }
        writer = &mut ended => Some(writer),
    };
    let end = async {
        let writer = match ours {
            Some(writer) => writer,
            None => ended.await,
        };
        // An error means that there is nothing more to be said.
        if let Ok(writer) = writer {
            writer.finish().await.ok();
        }
        drain(&mut reader).await;
    };
    timeout(LINGER, end).await.ok();
}

/// Gives messages to the machine until the peer closes or fails. A busy machine slows the peer
/// down. Returns the bytes to answer with.
async fn receive(
    reader: &mut Reader,
    input: BytesMut,
    wire: WireId,
    connection: &Connection,
    max_payload: usize,
) -> BytesMut {
    let mut websocket = WebSocket::new(max_payload);
    let mut buffers = Buffers { input, output: BytesMut::new() };
    loop {
        let command = match websocket.receive(&mut buffers) {
            Received::Message(frame) => Command::Frame { wire, frame },
            Received::Control => Command::ControlFrame { wire },
            Received::CloseFrame => Command::CloseFrame { wire },
            Received::Closed => return buffers.output,
            Received::Nothing if !buffers.output.is_empty() => {
                Command::Reply { wire, bytes: mem::take(&mut buffers.output) }
            }
            Received::Nothing => {
                // An idle WebSocket keeps no memory for reading.
                buffers.input = BytesMut::new();
                buffers.input = read(reader).await.unwrap_or_default();
                if buffers.input.is_empty() {
                    return buffers.output;
                }
                continue;
            }
        };
        if connection.send(command).await.is_err() {
            return buffers.output;
        }
    }
}

/// Reads the available bytes; none at the end of the stream. A peer that sends much waits for the
/// others after each chunk.
async fn read(reader: &mut Reader) -> io::Result<BytesMut> {
    let read = poll_fn(|cx| {
        CHUNK_OF_THREAD.with_borrow_mut(|chunk| {
            let mut chunk = ReadBuf::new(chunk);
            ready!(reader.poll_read(cx, &mut chunk))?;
            Poll::Ready(io::Result::Ok(BytesMut::from(chunk.filled())))
        })
    })
    .await?;
    if read.len() == CHUNK {
        yield_now().await;
    }
    Ok(read)
}

/// Reads to the end, within limits. Dropping a stream with unread bytes would reset the connection,
/// and the peer might not see how it was closed.
async fn drain(reader: &mut Reader) {
    let mut heard = 0;
    while heard <= LINGER_BYTES {
        match read(reader).await {
            Ok(bytes) if !bytes.is_empty() => heard += bytes.len(),
            Ok(_) | Err(_) => return,
        }
    }
}
