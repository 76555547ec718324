//! A WebSocket in memory: bytes in the [`Buffers`] on one side, whole messages on the other.

use std::io;

use socketio_proto::{ByteString, engine::Frame};
use tungstenite::{
    Bytes, Error, Message, Utf8Bytes,
    protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext, frame::coding::CloseCode},
};

use crate::buffers::Buffers;

/// Memory that an idle WebSocket keeps for reading.
const READ_BUFFER: usize = 4 * 1024;

/// A WebSocket after its handshake.
pub struct WebSocket(WebSocketContext);

/// What was read.
pub enum Received {
    /// A data message.
    Message(Frame),
    /// Not even one message more.
    Nothing,
    /// The peer has closed it or broken the protocol. The close frame to answer with is among the
    /// bytes to be sent.
    Closed,
}

impl WebSocket {
    /// A WebSocket for messages of `max_payload` bytes.
    pub fn new(max_payload: usize) -> Self {
        // One byte over it is left to the core to judge.
        let most = Some(max_payload.saturating_add(1));
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(most)
            .max_frame_size(most);
        Self(WebSocketContext::new(Role::Server, Some(config)))
    }

    /// Reads the next data message; answers pings on the way.
    pub fn receive(&mut self, buffers: &mut Buffers) -> Received {
        loop {
            let code = match self.0.read(buffers) {
                Ok(Message::Binary(bytes)) => return Received::Message(Frame::Binary(bytes)),
                Ok(Message::Text(text)) => match ByteString::try_from(Bytes::from(text)) {
                    Ok(text) => return Received::Message(Frame::Text(text)),
                    Err(_) => CloseCode::Invalid,
                },
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
                Ok(Message::Close(_)) => CloseCode::Normal,
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Received::Nothing;
                }
                Err(Error::Capacity(_)) => CloseCode::Size,
                Err(Error::Utf8(_)) => CloseCode::Invalid,
                Err(_) => CloseCode::Protocol,
            };
            self.close(buffers, Some(code));
            return Received::Closed;
        }
    }

    /// Sends a message. Returns false if that is not possible any more.
    pub fn send(&mut self, buffers: &mut Buffers, frame: Frame) -> bool {
        let message = match frame {
            Frame::Binary(bytes) => Message::Binary(bytes),
            Frame::Text(text) => match Utf8Bytes::try_from(text.into_bytes()) {
                Ok(text) => Message::Text(text),
                Err(_) => return false,
            },
        };
        self.0.write(buffers, message).is_ok()
    }

    /// Sends a close frame; if the peer has sent one already, the answer to that.
    pub fn close(&mut self, buffers: &mut Buffers, code: Option<CloseCode>) {
        let frame = code.map(|code| CloseFrame { code, reason: Utf8Bytes::default() });
        match self.0.close(buffers, frame) {
            // It ends here either way: the connection is closed by the caller.
            Ok(()) | Err(_) => {}
        }
    }
}
