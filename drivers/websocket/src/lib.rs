//! A WebSocket in memory: bytes in [`Buffers`] on one side, whole messages on the other. Drivers on
//! any runtime can use it, and so can an event loop without one.
//!
//! What comes in is read by tungstenite, which unmasks it, puts it together and answers pings. What
//! goes out is written here.

#![forbid(unsafe_code)]
#![deny(
    unreachable_pub,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::io::{self, Read, Write};

use bytes::{Buf as _, BufMut as _, BytesMut};
use socketio_proto::{
    ByteString,
    engine::{Frame, close_text},
};
use tungstenite::{
    Bytes, Error, Message, Utf8Bytes,
    protocol::{
        CloseFrame, Role, WebSocketConfig, WebSocketContext,
        frame::{
            self,
            coding::{CloseCode, Data, OpCode},
        },
    },
};

/// Memory that an idle WebSocket keeps for reading; larger messages get what they need.
const READ_BUFFER: usize = 256;

/// Received bytes that are not decoded yet, and bytes to send.
#[derive(Debug, Default)]
pub struct Buffers {
    /// Received.
    pub input: BytesMut,
    /// To be sent.
    pub output: BytesMut,
}

/// A WebSocket after its handshake.
pub struct WebSocket(WebSocketContext);

/// What was read.
pub enum Received {
    /// A data message.
    Message(Frame),
    /// A ping, which is answered, or a pong.
    Control,
    /// A close frame, which is answered. [`Received::Closed`] follows.
    CloseFrame,
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

    /// Reads the next message. The answer to a ping is there at the next call.
    pub fn receive(&mut self, buffers: &mut Buffers) -> Received {
        loop {
            let code = match self.0.read(buffers) {
                Ok(Message::Binary(bytes)) => return Received::Message(Frame::Binary(bytes)),
                Ok(Message::Text(text)) => match ByteString::try_from(Bytes::from(text)) {
                    Ok(text) => return Received::Message(Frame::Text(text)),
                    Err(_) => CloseCode::Invalid,
                },
                Ok(Message::Ping(_) | Message::Pong(_)) => return Received::Control,
                Ok(Message::Frame(_)) => continue,
                Ok(Message::Close(_)) => {
                    self.close(buffers, None);
                    return Received::CloseFrame;
                }
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Received::Nothing;
                }
                Err(Error::Capacity(_)) => CloseCode::Size,
                Err(Error::Utf8(_)) => CloseCode::Invalid,
                Err(_) => CloseCode::Protocol,
            };
            self.close(buffers, Some(CloseFrame { code, reason: Utf8Bytes::default() }));
            return Received::Closed;
        }
    }

    /// Sends a close frame; if the peer has sent one already, the answer to that.
    pub fn close(&mut self, buffers: &mut Buffers, frame: Option<CloseFrame>) {
        match self.0.close(buffers, frame) {
            // It ends here either way: the connection is closed by the caller.
            Ok(()) | Err(_) => {}
        }
    }
}

/// Writes a message. A server does not mask, so that is a header and the message itself.
pub fn write_message(output: &mut BytesMut, frame: Frame) {
    let (opcode, payload) = match frame {
        Frame::Binary(bytes) => (Data::Binary, bytes),
        Frame::Text(text) => (Data::Text, text.into_bytes()),
    };
    write_frame(output, frame::Frame::message(payload, OpCode::Data(opcode), true));
}

/// Writes a close frame, for a WebSocket that is not to be read from any more.
pub fn write_close(output: &mut BytesMut, code: Option<u16>) {
    write_frame(output, frame::Frame::close(code.map(close_frame)));
}

/// What the core closes a WebSocket with.
pub fn close_frame(code: u16) -> CloseFrame {
    CloseFrame { code: code.into(), reason: Utf8Bytes::from_static(close_text(code)) }
}

fn write_frame(output: &mut BytesMut, frame: frame::Frame) {
    match frame.format(&mut output.writer()) {
        // It goes to memory, which takes it.
        Ok(()) | Err(_) => {}
    }
}

/// For tungstenite: all that was received, and then "not now".
impl Read for Buffers {
    fn read(&mut self, dest: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = self.input.len().min(dest.len());
        self.input.copy_to_slice(dest.get_mut(..len).unwrap_or_default());
        Ok(len)
    }
}

/// For tungstenite: never blocks. The connection stops asking for more when there is much.
impl Write for Buffers {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
