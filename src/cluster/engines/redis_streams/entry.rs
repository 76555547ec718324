//! The entries of a stream.

use bytes::Bytes;
use bytestring::ByteString;

use super::{RedisCommand, RedisReply};
use crate::{
    cluster::message::{Message, MessageError, RawMessage, Stamp},
    recovery::Offset,
};

/// An entry of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamEntry {
    /// Its id, which is its position and the offset of its event.
    pub position: Offset,
    /// What it says, or why nobody can read it. Its position counts all the same.
    pub message: Result<Message, MessageError>,
}

/// Appends the fields of an entry. Those of official nodes come first, in their order.
pub(super) fn write(command: RedisCommand, raw: &RawMessage) -> RedisCommand {
    let mut command = command
        .arg("uid")
        .text(raw.sender.as_deref().unwrap_or_default())
        .arg("nsp")
        .text(raw.namespace.as_deref().unwrap_or_default())
        .arg("type")
        .number(raw.kind.unwrap_or_default());
    if let Some(data) = &raw.data {
        command = command.arg("data").arg(data.clone());
    }
    if let Some(stamp) = raw.stamp {
        command = command.arg("seq").number(stamp.sequence).arg("nonce").number(stamp.nonce);
    }
    command
}

/// Reads an entry, an id and fields. `None` if it is not one.
pub(super) fn read(entry: &RedisReply, limit: usize) -> Option<StreamEntry> {
    let [id, fields] = entry.array()? else { return None };
    let position = id.text()?.parse().ok()?;
    Some(StreamEntry { position, message: message(fields, limit) })
}

fn message(fields: &RedisReply, limit: usize) -> Result<Message, MessageError> {
    let mut raw = RawMessage::default();
    let (mut sequence, mut nonce) = (None, None);
    let mut field = |name: &RedisReply, value: &RedisReply| {
        let (RedisReply::Bulk(name), RedisReply::Bulk(value)) = (name, value) else { return };
        match &name[..] {
            b"uid" => raw.sender = text(value),
            b"nsp" => raw.namespace = text(value),
            b"type" => raw.kind = number(value),
            b"data" => raw.data = Some(value.clone()),
            b"seq" => sequence = number(value),
            b"nonce" => nonce = number(value),
            _ => {}
        }
    };
    match fields {
        RedisReply::Array(list) => {
            for pair in list.chunks_exact(2) {
                if let [name, value] = pair {
                    field(name, value);
                }
            }
        }
        RedisReply::Map(pairs) => pairs.iter().for_each(|(name, value)| field(name, value)),
        _ => return Err(MessageError::Malformed),
    }
    if raw.data.as_ref().is_some_and(|data| data.len() > limit) {
        return Err(MessageError::TooLarge { limit });
    }
    raw.stamp = sequence.zip(nonce).map(|(sequence, nonce)| Stamp::new(sequence, nonce));
    raw.read()
}

fn text(value: &Bytes) -> Option<ByteString> {
    ByteString::try_from(value.clone()).ok()
}

fn number(value: &Bytes) -> Option<u64> {
    let digits = core::str::from_utf8(value).ok()?;
    // `parse` would accept a sign.
    if digits.starts_with('+') { None } else { digits.parse().ok() }
}
