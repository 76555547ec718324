//! Arguments of any shape, there and back.

use bytes::Bytes;
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap as _, SerializeSeq as _},
};
use serde_json::Value;
use socketio_proto::socket::{
    Binary, Decoder, DecoderLimits, EncodeError, Encoded, Event, Kind, NamespaceName,
};

use super::source::Source;

/// Whatever an application emits arrives as it was, bytes anywhere inside included; what would not
/// is refused.
pub(super) fn args(mut source: Source<'_>) {
    let name = source.text();
    let mut args = Vec::new();
    while !source.is_empty() && args.len() < 8 {
        args.push(Tree::draw(&mut source, 0));
    }
    let ack = source.flag().then(|| u64::from(source.byte()));
    let event = match Event::new(&name, &args) {
        Ok(event) => event,
        Err(EncodeError::ReservedName) => return,
        Err(EncodeError::Placeholder) => {
            assert!(args.iter().any(Tree::has_bytes), "harmless without attachments");
            assert!(args.iter().any(Tree::has_placeholder));
            return;
        }
        Err(error) => unreachable!("{error}"),
    };
    // Else a receiver would put an attachment in its place.
    let is_mistakable = args.iter().any(Tree::has_bytes) && args.iter().any(Tree::has_placeholder);
    assert!(!is_mistakable, "refused: {}", event.json());
    assert_eq!(event.name(), &*name);
    let encoded = Encoded::event(&NamespaceName::ROOT, &event, ack, None);
    let Some(arrived) = arrived(&encoded, ack) else {
        unreachable!("it decodes: {:?}", encoded.head());
    };
    assert_eq!(arrived.name(), &*name);
    assert_eq!(arrived.len(), args.len());
    for (index, arg) in args.iter().enumerate() {
        let value = arrived.get::<Value>(index);
        let is_same = value.as_ref().is_ok_and(|value| arg.is(value, &arrived));
        assert!(is_same, "{arg:?} has become {value:?}");
    }
}

fn arrived(encoded: &Encoded, sent: Option<u64>) -> Option<Event> {
    let mut decoder = Decoder::new(DecoderLimits {
        attachments: usize::MAX,
        attachment_bytes: usize::MAX,
        namespace_name_bytes: usize::MAX,
    });
    let text = encoded.head().strip_prefix('4')?;
    let mut packet = decoder.push_text(text.into()).ok()?;
    for attachment in encoded.attachments() {
        packet = decoder.push_binary(attachment.clone()).ok()?;
    }
    let Kind::Event { event, ack } = packet?.kind else {
        return None;
    };
    (ack == sent).then_some(event)
}

#[derive(Clone, Debug)]
enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    Bytes(Bytes),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Tree {
    fn draw(source: &mut Source<'_>, depth: u8) -> Self {
        let kind = source.below(if depth < 8 { 9 } else { 5 });
        match kind {
            0 => Self::Null,
            1 => Self::Bool(source.flag()),
            2 => Self::Int(source.any::<i64>() >> source.below(56)),
            3 => Self::Text(source.text()),
            4 => Self::Bytes(Bytes::copy_from_slice(source.bytes())),
            5 | 6 => {
                let len = source.below(5);
                Self::List((0..len).map(|_| Self::draw(source, depth + 1)).collect())
            }
            _ => {
                let len = source.below(5);
                let fields = (0..len).map(|_| (key(source), Self::draw(source, depth + 1)));
                Self::Map(fields.collect())
            }
        }
    }

    fn has_bytes(&self) -> bool {
        match self {
            Self::Bytes(_) => true,
            Self::List(items) => items.iter().any(Self::has_bytes),
            Self::Map(fields) => fields.iter().any(|(_, value)| value.has_bytes()),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Text(_) => false,
        }
    }

    fn has_placeholder(&self) -> bool {
        match self {
            Self::List(items) => items.iter().any(Self::has_placeholder),
            Self::Map(fields) => {
                let flag = fields.iter().rev().find(|(key, _)| key == "_placeholder");
                matches!(flag, Some((_, Self::Bool(true))))
                    || fields.iter().any(|(_, value)| value.has_placeholder())
            }
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Text(_) | Self::Bytes(_) => false,
        }
    }

    /// Whether this is what arrived.
    fn is(&self, value: &Value, event: &Event) -> bool {
        match (self, value) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(sent), Value::Bool(value)) => sent == value,
            (Self::Int(sent), Value::Number(value)) => value.as_i64() == Some(*sent),
            (Self::Text(sent), Value::String(value)) => sent == value,
            (Self::Bytes(sent), Value::Object(_)) => {
                let binary = serde_json::from_value::<Binary>(value.clone()).ok();
                binary.and_then(|binary| binary.resolve(event)) == Some(sent)
            }
            (Self::List(sent), Value::Array(values)) => {
                sent.len() == values.len()
                    && sent.iter().zip(values).all(|(sent, value)| sent.is(value, event))
            }
            (Self::Map(sent), Value::Object(values)) => values.iter().all(|(key, value)| {
                // Of equal keys the last one counts.
                let sent = sent.iter().rev().find(|(name, _)| name == key);
                sent.is_some_and(|(_, sent)| sent.is(value, event))
            }),
            _ => false,
        }
    }
}

fn key(source: &mut Source<'_>) -> String {
    match source.below(4) {
        0 => "_placeholder".into(),
        1 => "num".into(),
        _ => source.text(),
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Map(fields) => {
                let mut map = serializer.serialize_map(None)?;
                for (key, value) in fields {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}
