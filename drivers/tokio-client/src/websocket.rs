//! One WebSocket: its handshake, its frames, its end.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use socketio_proto::{
    WireId,
    engine::{ClientInput, Frame},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error, Message, Utf8Bytes, client::IntoClientRequest as _, error::CapacityError,
        error::ProtocolError, protocol::WebSocketConfig,
    },
};

use crate::{
    WireError,
    report::{Report, Reports},
    requests::Requests,
    stream::Stream,
};

/// How long the server may take for its part of the closing handshake.
pub(crate) const LINGER: Duration = Duration::from_secs(5);
/// The status code for a close frame without one.
const NO_STATUS: u16 = 1005;

type Socket = WebSocketStream<Stream>;

/// Opens a WebSocket and passes frames until one side closes it. This side closes it when `outgoing`
/// ends. Returns the last report.
pub(crate) async fn run(
    requests: &Requests,
    query: &str,
    wire: WireId,
    mut outgoing: mpsc::Receiver<Frame>,
    reports: &Reports,
) -> Report {
    let ended = Report::new(ClientInput::WireClosed { wire }, None);
    let socket = tokio::select! {
        socket = open(requests, query) => socket,
        // Frames are sent only after it is open. So the channel was closed: it is not needed any more.
        _ = outgoing.recv() => return ended,
    };
    let socket = match socket {
        Ok(socket) => socket,
        Err(error) => return Report::failed(wire, error),
    };
    let opened = Report::new(ClientInput::WebSocketOpened { wire }, None);
    if !reports.send(opened).await {
        return ended;
    }
    let (mut sink, mut stream) = socket.split();
    let limit = requests.body_limit;
    let error = tokio::select! {
        error = receive(&mut stream, wire, reports, limit) => error,
        sent = send(&mut sink, &mut outgoing) => match sent {
            Ok(()) => {
                timeout(LINGER, close(&mut sink, &mut stream)).await.ok();
                return ended;
            }
            Err(error) => {
                // The server may have sent a close frame.
                let received = timeout(LINGER, receive(&mut stream, wire, reports, limit)).await;
                received.unwrap_or_else(|_| wire_error(error, limit))
            }
        },
    };
    Report::failed(wire, error)
}

async fn open(requests: &Requests, query: &str) -> Result<Socket, WireError> {
    let limit = requests.body_limit;
    let config =
        WebSocketConfig::default().max_message_size(Some(limit)).max_frame_size(Some(limit));
    let failed = |error| wire_error(error, limit);
    let mut request = requests.target.websocket(query).into_client_request().map_err(failed)?;
    requests.add_headers(request.headers_mut());
    let stream = requests.connector.open_websocket().await?;
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, response)) => {
            requests.note_response(response.headers());
            Ok(socket)
        }
        Err(error) => {
            if let Error::Http(response) = &error {
                requests.note_response(response.headers());
            }
            Err(failed(error))
        }
    }
}

/// Passes messages to the client until the server closes the WebSocket or fails.
async fn receive(
    stream: &mut SplitStream<Socket>,
    wire: WireId,
    reports: &Reports,
    limit: usize,
) -> WireError {
    while let Some(message) = stream.next().await {
        let frame = match message {
            // Copied: a slice that the application keeps would keep the whole read buffer in memory.
            Ok(Message::Text(text)) => Frame::Text(text.as_str().into()),
            Ok(Message::Binary(bytes)) => Frame::Binary(Bytes::copy_from_slice(&bytes)),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
            Ok(Message::Close(frame)) => {
                return WireError::Closed {
                    code: frame.map_or(NO_STATUS, |frame| frame.code.into()),
                };
            }
            Err(error) => return wire_error(error, limit),
        };
        let report = Report::new(ClientInput::Frame { wire, frame }, None);
        if !reports.send(report).await {
            break;
        }
    }
    wire_error(Error::ConnectionClosed, limit)
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

/// The closing handshake, begun by this side.
async fn close(
    sink: &mut SplitSink<Socket, Message>,
    stream: &mut SplitStream<Socket>,
) -> Result<(), Error> {
    sink.close().await?;
    while stream.next().await.is_some_and(|message| message.is_ok()) {}
    Ok(())
}

fn message(frame: Frame) -> Result<Message, Error> {
    Ok(match frame {
        Frame::Text(text) => Message::Text(Utf8Bytes::try_from(text.into_bytes())?),
        Frame::Binary(bytes) => Message::Binary(bytes),
    })
}

fn wire_error(error: Error, limit: usize) -> WireError {
    match error {
        Error::Http(response) => WireError::Status { status: response.status().as_u16() },
        Error::Capacity(CapacityError::MessageTooLong { .. }) => WireError::TooLarge { limit },
        Error::Io(_)
        | Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete,
        ) => WireError::Lost { source: error.into() },
        _ => WireError::InvalidResponse { source: error.into() },
    }
}
