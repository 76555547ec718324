//! The entries of a stream.

use core::ops::Range;

use bytes::Bytes;

use super::{RedisCommand, RedisReply};
use crate::{
    cluster::message::{Envelope, Message, MessageError, MessageNames, NodeId, Stamp},
    number::digits,
    recovery::Offset,
    socket::NamespaceName,
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
pub(super) fn read(
    entry: &RedisReply,
    limit: usize,
    names: &mut MessageNames,
) -> Option<StreamEntry> {
    let [id, fields] = entry.array()? else { return None };
    let position = id.text()?.parse().ok()?;
    let mut read = Fields::default();
    let mut field = |name: &RedisReply, value: &RedisReply| {
        if let (RedisReply::Bulk(name), RedisReply::Bulk(value)) = (name, value) {
            read.note(names, name, value, 0..value.len()).unwrap_or_default();
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
    names: &mut MessageNames,
) -> Option<StreamEntry> {
    let position = Offset::read(entry.get(id)?)?;
    let mut read = Fields::default();
    for (name, value) in fields {
        read.note(names, entry.get(name)?, entry, value)?;
    }
    Some(StreamEntry { position, message: read.message(limit) })
}

/// The fields of an entry.
#[derive(Default)]
struct Fields {
    sender: Option<NodeId>,
    namespace: Option<NamespaceName>,
    kind: Option<u64>,
    data: Option<Bytes>,
    sequence: Option<u64>,
    nonce: Option<u64>,
}

impl Fields {
    /// Takes note of a field, whose value is a part of `whole`. `None` if that is out of bounds.
    fn note(
        &mut self,
        names: &mut MessageNames,
        name: &[u8],
        whole: &Bytes,
        value: Range<usize>,
    ) -> Option<()> {
        let part = whole.get(value.clone())?;
        match name {
            b"uid" => self.sender = names.sender(part),
            b"nsp" => self.namespace = names.namespace(part),
            b"type" => self.kind = digits(part),
            b"data" => self.data = Some(whole.slice(value)),
            b"seq" => self.sequence = digits(part),
            b"nonce" => self.nonce = digits(part),
            _ => {}
        }
        Some(())
    }

    fn message(self, limit: usize) -> Result<Message, MessageError> {
        let Self { sender, namespace, kind, data, sequence, nonce } = self;
        if data.as_ref().is_some_and(|data| data.len() > limit) {
            return Err(MessageError::TooLarge { limit });
        }
        let stamp = sequence.zip(nonce).map(|(sequence, nonce)| Stamp::new(sequence, nonce));
        let envelope = Envelope { sender, namespace, stamp };
        envelope.read(kind.ok_or(MessageError::Kind)?, data.as_ref())
    }
}
