#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(
    unreachable_pub,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

pub mod http;

use std::io::{self, Read, Write};

use bytes::{Buf as _, BufMut as _, BytesMut};
use socketio_proto::{
    ByteString, WireId,
    engine::{Frame, close_text},
    server::ServerInput,
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
    /// Received bytes. The driver appends to them.
    pub input: BytesMut,
    /// Bytes to send. The driver removes what it has written.
    pub output: BytesMut,
}

/// The server's side of a WebSocket after its handshake.
pub struct WebSocket(WebSocketContext);

/// What [`WebSocket::receive`] has read.
pub enum Received {
    /// A whole text or binary message.
    Message(Frame),
    /// A ping, whose answer tungstenite writes, or a pong.
    Control,
    /// A close frame. Its answer is in [`Buffers::output`]. [`Received::Closed`] follows.
    CloseFrame,
    /// No complete message has arrived.
    Nothing,
    /// The peer has closed the WebSocket or broken the protocol. The close frame of this side is in
    /// [`Buffers::output`].
    Closed,
}

impl Received {
    /// Returns the input for the core; `None` for [`Nothing`](Self::Nothing) and
    /// [`Closed`](Self::Closed). After `Closed`, the driver reports
    /// [`WireClosed`](ServerInput::WireClosed) when it has ended the wire.
    ///
    /// ```
    /// use socketio_proto::{WireId, server::ServerInput};
    /// use socketio_proto_websocket::Received;
    ///
    /// let input = Received::Control.into_input(WireId(7));
    /// assert!(matches!(input, Some(ServerInput::ControlFrame { wire: WireId(7) })));
    /// assert!(Received::Nothing.into_input(WireId(7)).is_none());
    /// ```
    pub fn into_input(self, wire: WireId) -> Option<ServerInput<'static>> {
        match self {
            Self::Message(frame) => Some(ServerInput::Frame { wire, frame }),
            Self::Control => Some(ServerInput::ControlFrame { wire }),
            Self::CloseFrame => Some(ServerInput::CloseFrame { wire }),
            Self::Nothing | Self::Closed => None,
        }
    }
}

impl WebSocket {
    /// Creates a WebSocket for incoming messages of at most `max_payload` + 1 bytes: the core refuses
    /// a message that is one byte too long. A longer one closes the WebSocket with the code 1009
    /// ([`Received::Closed`]).
    pub fn new(max_payload: usize) -> Self {
        // The core judges a message that is one byte too long.
        let most = Some(max_payload.saturating_add(1));
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(most)
            .max_frame_size(most);
        Self(WebSocketContext::new(Role::Server, Some(config)))
    }

    /// Reads the next message. The answer to a ping is in [`Buffers::output`] after the next call.
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

    /// Writes a close frame or, if the peer has sent one already, the answer to it.
    pub fn close(&mut self, buffers: &mut Buffers, frame: Option<CloseFrame>) {
        match self.0.close(buffers, frame) {
            // It ends here either way: the connection is closed by the caller.
            Ok(()) | Err(_) => {}
        }
    }
}

/// Writes a message: a header and the message itself, because a server does not mask.
pub fn write_message(output: &mut BytesMut, frame: Frame) {
    let (opcode, payload) = match frame {
        Frame::Binary(bytes) => (Data::Binary, bytes),
        Frame::Text(text) => (Data::Text, text.into_bytes()),
    };
    write_frame(output, frame::Frame::message(payload, OpCode::Data(opcode), true));
}

/// Writes a close frame. Use it when nothing more is read from the WebSocket.
pub fn write_close(output: &mut BytesMut, code: Option<u16>) {
    write_frame(output, frame::Frame::close(code.map(close_frame)));
}

/// The close frame for a status code of the core, with its [text](close_text).
pub fn close_frame(code: u16) -> CloseFrame {
    CloseFrame { code: code.into(), reason: Utf8Bytes::from_static(close_text(code)) }
}

fn write_frame(output: &mut BytesMut, frame: frame::Frame) {
    match frame.format(&mut output.writer()) {
        // It goes to memory, which takes it.
        Ok(()) | Err(_) => {}
    }
}

/// For tungstenite: the received bytes, and [`WouldBlock`](io::ErrorKind::WouldBlock) when none is
/// left.
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

/// For tungstenite. It never blocks.
impl Write for Buffers {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
