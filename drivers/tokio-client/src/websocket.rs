//! One WebSocket: its handshake, its frames, its end.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use socketio_proto::{
    WireId,
    client::ClientLimits,
    engine::{ClientInput, Frame},
};
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Error, Message, Utf8Bytes, protocol::WebSocketConfig},
};

use crate::http::Site;

/// How long the server may take for its part of the closing handshake.
pub(crate) const LINGER: Duration = Duration::from_secs(5);
/// The status code for a close frame without one.
const NO_STATUS: u16 = 1005;

type Socket = WebSocketStream<TcpStream>;

/// Opens a WebSocket and passes frames until one side closes it. This side closes it when `outgoing`
/// ends. Returns the last input for the client.
pub(crate) async fn run(
    site: &Site,
    query: &str,
    wire: WireId,
    mut outgoing: mpsc::Receiver<Frame>,
    reports: &mpsc::Sender<ClientInput>,
) -> ClientInput {
    let lost = ClientInput::WireClosed { wire };
    let socket = tokio::select! {
        socket = open(site, query) => socket,
        // Frames are sent only after it is open. So the channel was closed: it is not needed any more.
        _ = outgoing.recv() => return lost,
    };
    let Ok(socket) = socket else {
        return lost;
    };
    if reports.send(ClientInput::WebSocketOpened { wire }).await.is_err() {
        return lost;
    }
    let (mut sink, mut stream) = socket.split();
    let mut code = None;
    let is_ours = tokio::select! {
        closed = receive(&mut stream, wire, reports) => {
            code = closed;
            false
        }
        sent = send(&mut sink, &mut outgoing) => {
            if sent.is_err() {
                // The server may have sent a close frame.
                code = timeout(LINGER, receive(&mut stream, wire, reports)).await.unwrap_or(None);
            }
            sent.is_ok()
        }
    };
    if is_ours {
        let closing = async {
            sink.close().await?;
            while stream.next().await.is_some_and(|message| message.is_ok()) {}
            Ok::<_, Error>(())
        };
        timeout(LINGER, closing).await.ok();
    }
    code.map_or(lost, |code| ClientInput::WebSocketClosed { wire, code })
}

async fn open(site: &Site, query: &str) -> Result<Socket, Error> {
    let limit = Some(ClientLimits::default().max_payload);
    let config = WebSocketConfig::default().max_message_size(limit).max_frame_size(limit);
    let stream = TcpStream::connect(site.address()).await?;
    stream.set_nodelay(true)?;
    let url = site.url("ws", query);
    let (socket, _) = client_async_with_config(url, stream, Some(config)).await?;
    Ok(socket)
}

/// Passes messages to the client until the server closes the WebSocket or fails. Returns the status
/// code of its close frame.
async fn receive(
    stream: &mut SplitStream<Socket>,
    wire: WireId,
    reports: &mpsc::Sender<ClientInput>,
) -> Option<u16> {
    while let Some(message) = stream.next().await {
        let frame = match message {
            // Copied: a slice that the application keeps would keep the whole read buffer in memory.
            Ok(Message::Text(text)) => Frame::Text(text.as_str().into()),
            Ok(Message::Binary(bytes)) => Frame::Binary(Bytes::copy_from_slice(&bytes)),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
            Ok(Message::Close(frame)) => {
                return Some(frame.map_or(NO_STATUS, |frame| frame.code.into()));
            }
            Err(_) => return None,
        };
        if reports.send(ClientInput::Frame { wire, frame }).await.is_err() {
            return None;
        }
    }
    None
}

/// Writes frames until the channel is closed. All waiting frames are written with one flush.
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
