//! Polling bodies: packets joined by U+001E.

use alloc::vec::Vec;

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    EngineDecodeError, EnginePacket, Frame,
    packet::{base64_len, push_base64},
};

/// The separator of packets in a body. It is not escaped: a text that contains it is split in two.
const SEPARATOR: u8 = 0x1e;

/// Reads the packets of a polling body in order.
///
/// An invalid packet is returned as an error and ends the iteration, because what follows it cannot
/// be trusted. An empty body counts as one invalid packet.
///
/// ```
/// use socketio_proto::engine::{EnginePacket, Payload, PayloadReader};
///
/// let body = "4hello\u{1e}bAQID\u{1e}3".into();
/// let packets: Result<Vec<_>, _> = PayloadReader::new(body).collect();
/// let expected = vec![
///     EnginePacket::Message(Payload::Text("hello".into())),
///     EnginePacket::Message(Payload::Binary(vec![1, 2, 3].into())),
///     EnginePacket::Pong { probe: false },
/// ];
/// assert_eq!(packets?, expected);
/// # Ok::<(), socketio_proto::engine::EngineDecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PayloadReader {
    rest: Option<Bytes>,
}

impl PayloadReader {
    /// Starts at the first packet of a body. The returned texts are slices of the body.
    pub fn new(body: Bytes) -> Self {
        Self { rest: Some(body) }
    }

    /// Takes the next packet without decoding it. The iteration ends after one that is not UTF-8.
    pub(super) fn next_text(&mut self) -> Option<Result<ByteString, EngineDecodeError>> {
        let mut record = self.rest.take()?;
        if let Some(end) = find_separator(&record) {
            let mut rest = record.split_off(end);
            bytes::Buf::advance(&mut rest, 1);
            self.rest = Some(rest);
        }
        let text = ByteString::try_from(record).map_err(|_| EngineDecodeError::InvalidUtf8);
        if text.is_err() {
            self.rest = None;
        }
        Some(text)
    }
}

/// Looks at 16 bytes without branching, which the compiler does at once.
fn find_separator(bytes: &[u8]) -> Option<usize> {
    let is_separator = |byte: &u8| *byte == SEPARATOR;
    let has_none =
        |chunk: &&[u8]| !chunk.iter().fold(false, |found, byte| found | is_separator(byte));
    let passed = bytes.chunks_exact(16).take_while(has_none).count().saturating_mul(16);
    let behind = bytes.get(passed..)?.iter().position(is_separator)?;
    Some(passed.saturating_add(behind))
}

impl Iterator for PayloadReader {
    type Item = Result<EnginePacket, EngineDecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let packet = self.next_text()?.and_then(|text| EnginePacket::decode_text(&text));
        if packet.is_err() {
            self.rest = None;
        }
        Some(packet)
    }
}

impl core::iter::FusedIterator for PayloadReader {}

/// Builds a polling body of limited size.
///
/// ```
/// use socketio_proto::engine::{Frame, PayloadWriter};
///
/// let mut writer = PayloadWriter::new(9);
/// assert!(writer.push(&Frame::Text("4one".into())));
/// assert!(writer.push(&Frame::Text("4two".into())));
/// assert!(!writer.push(&Frame::Text("4".into())), "no room for it and a separator");
/// assert_eq!(writer.finish(), "4one\u{1e}4two");
/// ```
#[derive(Clone, Debug)]
pub struct PayloadWriter {
    body: Vec<u8>,
    limit: usize,
}

impl PayloadWriter {
    /// Starts an empty body of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { body: Vec::new(), limit }
    }

    /// Like [`new`](Self::new), with room for a body of known size.
    pub(super) fn with_capacity(limit: usize, capacity: usize) -> Self {
        Self { body: Vec::with_capacity(capacity), limit }
    }

    /// Appends a packet and returns whether it fits. The first one always fits.
    pub fn push(&mut self, frame: &Frame) -> bool {
        let encoded = match frame {
            Frame::Text(text) => text.len(),
            Frame::Binary(bytes) => base64_len(bytes.len()),
        };
        let Some(len) = len_with(self.body.len(), encoded, self.limit) else {
            return false;
        };
        if !self.body.is_empty() {
            self.body.push(SEPARATOR);
        }
        match frame {
            Frame::Text(text) => self.body.extend_from_slice(text.as_bytes()),
            Frame::Binary(bytes) => push_base64(bytes, &mut self.body),
        }
        debug_assert_eq!(self.body.len(), len, "the size was computed right");
        true
    }

    /// Returns the body, exactly sized.
    pub fn finish(self) -> Bytes {
        Bytes::from(self.body.into_boxed_slice())
    }
}

/// The size of a body of `len` bytes after appending a packet of `encoded` bytes; `None` if that
/// exceeds the limit.
pub(super) fn len_with(len: usize, encoded: usize, limit: usize) -> Option<usize> {
    if len == 0 {
        return Some(encoded);
    }
    let total = len.saturating_add(1).saturating_add(encoded);
    (total <= limit).then_some(total)
}
