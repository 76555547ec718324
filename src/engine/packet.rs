//! Packets and their two encodings: one per WebSocket frame, or one per record of a polling body.

use alloc::{string::String, vec::Vec};
use core::fmt;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use bytestring::ByteString;

use super::{EngineDecodeError, Open};
use crate::redacted;

/// The content of a message packet, for the layer above.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "closed: the two kinds of messages")]
pub enum Payload {
    /// Text.
    Text(ByteString),
    /// Raw bytes.
    Binary(Bytes),
}

/// An encoded packet, as one WebSocket message. Cloning it does not copy its bytes, so a broadcast
/// is encoded only once.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "closed: the two kinds of WebSocket messages")]
pub enum Frame {
    /// A text frame: the type of the packet as a digit, then its payload.
    Text(ByteString),
    /// A binary frame: only the payload of a message.
    Binary(Bytes),
}

impl fmt::Debug for Payload {
    /// Does not show a CONNECT of Socket.IO, which carries an id that is worth a session.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.debug_tuple("Text").field(&redacted::Text(text)).finish(),
            Self::Binary(bytes) => f.debug_tuple("Binary").field(bytes).finish(),
        }
    }
}

impl fmt::Debug for Frame {
    /// Does not show packets that carry a secret id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.debug_tuple("Text").field(&redacted::Text(text)).finish(),
            Self::Binary(bytes) => f.debug_tuple("Binary").field(bytes).finish(),
        }
    }
}

impl Frame {
    /// Returns the number of payload bytes, without the header of the WebSocket frame.
    ///
    /// ```
    /// use socketio_proto::engine::Frame;
    ///
    /// assert_eq!(Frame::Text("4é".into()).len(), 3);
    /// ```
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Returns whether there are no payload bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An Engine.IO packet, revision 4.
///
/// The set of packet types is closed: a revision that adds one is another protocol.
///
/// ```
/// use socketio_proto::engine::{EnginePacket, Frame, Payload};
///
/// let packet = EnginePacket::decode(Frame::Text("4hello".into()))?;
/// assert_eq!(packet, EnginePacket::Message(Payload::Text("hello".into())));
/// assert_eq!(packet.encode(), Frame::Text("4hello".into()));
/// # Ok::<(), socketio_proto::engine::EngineDecodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "closed: the packet types of the revision")]
pub enum EnginePacket {
    /// `0`: the handshake, server to client.
    Open(Open),
    /// `1`: the sender closes the session.
    Close,
    /// `2`: the heartbeat, server to client. From a client only `2probe`, during an upgrade.
    Ping {
        /// Whether the payload is `probe`.
        probe: bool,
    },
    /// `3`: the answer to a ping.
    Pong {
        /// Whether the payload is `probe`.
        probe: bool,
    },
    /// `4`, or binary: data of the layer above.
    Message(Payload),
    /// `5`: the client moves to the transport that carries this packet.
    Upgrade,
    /// `6`: nothing; completes a GET.
    Noop,
}

impl EnginePacket {
    /// Decodes one WebSocket frame. A text message is a slice of the frame, not a copy.
    ///
    /// A text frame that starts with `b` is a binary message in base64. A payload of a packet type
    /// that has none is ignored.
    ///
    /// # Errors
    ///
    /// [`EngineDecodeError`] if the frame is not a packet.
    pub fn decode(frame: Frame) -> Result<Self, EngineDecodeError> {
        match frame {
            Frame::Text(text) => Self::decode_text(&text),
            Frame::Binary(bytes) => Ok(Self::Message(Payload::Binary(bytes))),
        }
    }

    /// Encodes the packet as one WebSocket frame.
    pub fn encode(&self) -> Frame {
        let fixed = match self {
            Self::Open(open) => return Frame::Text(open.encode()),
            Self::Message(Payload::Binary(bytes)) => return Frame::Binary(bytes.clone()),
            Self::Message(Payload::Text(text)) => {
                let mut encoded = String::with_capacity(1 + text.len());
                encoded.push('4');
                encoded.push_str(text);
                return Frame::Text(encoded.into());
            }
            Self::Close => "1",
            Self::Ping { probe: false } => "2",
            Self::Ping { probe: true } => "2probe",
            Self::Pong { probe: false } => "3",
            Self::Pong { probe: true } => "3probe",
            Self::Upgrade => "5",
            Self::Noop => "6",
        };
        Frame::Text(ByteString::from_static(fixed))
    }

    /// Decodes one text frame or one record of a polling body.
    pub(super) fn decode_text(text: &ByteString) -> Result<Self, EngineDecodeError> {
        let mut rest = text.chars();
        let Some(kind) = rest.next() else {
            return Err(EngineDecodeError::Empty);
        };
        let rest = rest.as_str();
        Ok(match kind {
            '0' => Self::Open(Open::decode(rest)?),
            '1' => Self::Close,
            '2' => Self::Ping { probe: rest == "probe" },
            '3' => Self::Pong { probe: rest == "probe" },
            '4' => Self::Message(Payload::Text(text.slice_ref(rest))),
            '5' => Self::Upgrade,
            '6' => Self::Noop,
            'b' => Self::Message(Payload::Binary(decode_base64(rest)?)),
            unknown => return Err(EngineDecodeError::UnknownType(unknown)),
        })
    }
}

/// Length of `b` and the base64 of that many bytes.
pub(super) fn base64_len(bytes: usize) -> usize {
    bytes.div_ceil(3).saturating_mul(4).saturating_add(1)
}

/// Appends `b` and the base64 of the bytes.
pub(super) fn push_base64(bytes: &[u8], body: &mut Vec<u8>) {
    let start = body.len().saturating_add(1);
    body.push(b'b');
    body.resize(body.len().saturating_add(base64_len(bytes.len()) - 1), 0);
    let written = body.get_mut(start..).map(|space| BASE64.encode_slice(bytes, space));
    debug_assert!(matches!(written, Some(Ok(_))), "the space was made to measure");
}

fn decode_base64(text: &str) -> Result<Bytes, EngineDecodeError> {
    let bytes = BASE64.decode(text).map_err(|_| EngineDecodeError::InvalidBase64)?;
    // The decoder over-estimates; what is kept must be exactly sized.
    Ok(Bytes::from(bytes.into_boxed_slice()))
}

/// Padding is written, and optional on input: some clients leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
