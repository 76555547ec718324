//! Arguments that are passed on in part.

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::Value;
use socketio_proto::socket::Event;

/// The arguments of an event without the first ones, bytes in the place of their placeholders.
pub struct Rest<'a> {
    values: Vec<Value>,
    attachments: &'a [Bytes],
}

impl<'a> Rest<'a> {
    /// Leaves `skip` arguments out.
    pub fn of(event: &'a Event, skip: usize) -> Self {
        let mut values: Vec<Value> = event.parse().unwrap_or_default();
        values.drain(..skip.min(values.len()));
        Self { values, attachments: event.attachments() }
    }
}

impl Serialize for Rest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let attachments = self.attachments;
        let values = self.values.iter();
        serializer.collect_seq(values.map(|value| Resolved { value, attachments }))
    }
}

struct Resolved<'a> {
    value: &'a Value,
    attachments: &'a [Bytes],
}

impl Serialize for Resolved<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let attachments = self.attachments;
        let resolved = |value| Resolved { value, attachments };
        match self.value {
            Value::Object(fields) => match self.attachment() {
                Some(bytes) => serializer.serialize_bytes(bytes),
                None => serializer.collect_map(fields.iter().map(|(k, v)| (k, resolved(v)))),
            },
            Value::Array(items) => serializer.collect_seq(items.iter().map(resolved)),
            plain => plain.serialize(serializer),
        }
    }
}

impl Resolved<'_> {
    /// What a placeholder stands for. In a packet without attachments there are none.
    fn attachment(&self) -> Option<&Bytes> {
        let is_placeholder = self.value.get("_placeholder")?.as_bool()?;
        let index = usize::try_from(self.value.get("num")?.as_u64()?).ok()?;
        self.attachments.get(index).filter(|_| is_placeholder)
    }
}
