//! The entries of a stream.

use core::ops::Range;

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
pub(super) fn write(command: RedisCommand, message: &Message, data: Option<&str>) -> RedisCommand {
    let mut command = command
        .arg("uid")
        .arg(message.sender.as_str())
        .arg("nsp")
        .arg(message.namespace.as_str())
        .arg("type")
        .number(message.body.kind());
    if let Some(data) = data {
        command = command.arg("data").arg(data);
    }
    if let Some(stamp) = message.stamp {
        command = command.arg("seq").number(stamp.sequence).arg("nonce").number(stamp.nonce);
    }
    command
}

/// Reads an entry, an id and fields. `None` if it is not one.
pub(super) fn read(entry: &RedisReply, limit: usize) -> Option<StreamEntry> {
    let [id, fields] = entry.array()? else { return None };
    let position = id.text()?.parse().ok()?;
    let mut read = Fields::default();
    let mut field = |name: &RedisReply, value: &RedisReply| {
        if let (RedisReply::Bulk(name), RedisReply::Bulk(value)) = (name, value) {
            read.note(name, value, 0..value.len()).unwrap_or_default();
        }
    };
    let message = match fields {
        RedisReply::Array(list) => {
            for pair in list.chunks_exact(2) {
                if let [name, value] = pair {
                    field(name, value);
                }
            }
            read.message(limit)
        }
        RedisReply::Map(pairs) => {
            for (name, value) in pairs {
                field(name, value);
            }
            read.message(limit)
        }
        _ => Err(MessageError::Malformed),
    };
    Some(StreamEntry { position, message })
}

/// The same with an entry whose parts are known.
pub(super) fn read_parts(
    entry: &Bytes,
    id: Range<usize>,
    fields: impl Iterator<Item = (Range<usize>, Range<usize>)>,
    limit: usize,
) -> Option<StreamEntry> {
    let position = core::str::from_utf8(entry.get(id)?).ok()?.parse().ok()?;
    let mut read = Fields::default();
    for (name, value) in fields {
        read.note(entry.get(name)?, entry, value)?;
    }
    Some(StreamEntry { position, message: read.message(limit) })
}

/// The fields of an entry.
#[derive(Default)]
struct Fields {
    raw: RawMessage,
    sequence: Option<u64>,
    nonce: Option<u64>,
}

impl Fields {
    /// Takes note of a field, whose value is a part of `whole`. `None` if that is out of bounds.
    fn note(&mut self, name: &[u8], whole: &Bytes, value: Range<usize>) -> Option<()> {
        let part = whole.get(value.clone())?;
        let share = || whole.slice(value);
        match name {
            b"uid" => self.raw.sender = text(share()),
            b"nsp" => self.raw.namespace = text(share()),
            b"type" => self.raw.kind = number(part),
            b"data" => self.raw.data = Some(share()),
            b"seq" => self.sequence = number(part),
            b"nonce" => self.nonce = number(part),
            _ => {}
        }
        Some(())
    }

    fn message(mut self, limit: usize) -> Result<Message, MessageError> {
        if self.raw.data.as_ref().is_some_and(|data| data.len() > limit) {
            return Err(MessageError::TooLarge { limit });
        }
        let stamp = self.sequence.zip(self.nonce);
        self.raw.stamp = stamp.map(|(sequence, nonce)| Stamp::new(sequence, nonce));
        self.raw.read()
    }
}

fn text(value: Bytes) -> Option<ByteString> {
    ByteString::try_from(value).ok()
}

fn number(value: &[u8]) -> Option<u64> {
    let digits = core::str::from_utf8(value).ok()?;
    // `parse` would accept a sign.
    if digits.starts_with('+') { None } else { digits.parse().ok() }
}
