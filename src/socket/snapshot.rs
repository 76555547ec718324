//! Packets and arguments in a snapshot.

use alloc::{borrow::Cow, boxed::Box, vec::Vec};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Args, Decoder, DecoderLimits, Encoded, Kind, NamespaceName, Packet, list};

/// An encoded event.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct EncodedSnapshot {
    text: ByteString,
    attachments: Vec<Attachment>,
}

/// Arguments without a name.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ArgsSnapshot {
    json: Box<str>,
    attachments: Vec<Attachment>,
}

/// Bytes. They are base64 in human-readable formats.
#[derive(Clone)]
struct Attachment(Bytes);

impl EncodedSnapshot {
    /// Shares the packet.
    pub(crate) fn of(packet: &Encoded) -> Self {
        Self { text: packet.head().clone(), attachments: attachments(packet.attachments()) }
    }

    /// Returns the packet and the id of the acknowledgement that it asks for. Returns `None` unless
    /// it is an event of this namespace that asks for an acknowledgement or carries this offset.
    pub(crate) fn restore(
        self,
        namespace: &NamespaceName,
        offset: &str,
    ) -> Option<(Encoded, Option<u64>)> {
        let Self { text, attachments } = self;
        let attachments: Vec<Bytes> = attachments.into_iter().map(|bytes| bytes.0).collect();
        let packet = decode(&text, &attachments)?;
        let Kind::Event { ack, .. } = packet.kind else {
            return None;
        };
        if packet.namespace != *namespace {
            return None;
        }
        if ack.is_none() {
            // In valid JSON, this can only be the last element.
            let rest = text.strip_suffix("\"]")?.strip_suffix(offset)?;
            rest.strip_suffix(",\"")?;
        }
        Some((Encoded::from_parts(text, list::share(attachments)), ack))
    }
}

impl ArgsSnapshot {
    pub(crate) fn of(args: &Args) -> Self {
        Self { json: args.json().into(), attachments: attachments(args.attachments()) }
    }

    /// Arguments that were written before. [`restore`](Self::restore) checks them.
    pub(crate) fn new(json: &str, attachments: Vec<Bytes>) -> Self {
        let attachments = attachments.into_iter().map(Attachment).collect();
        Self { json: json.into(), attachments }
    }

    /// The arguments, if they are an array and its attachments.
    pub(crate) fn restore(self) -> Option<Args> {
        Args::from_parts(self.json, self.attachments.into_iter().map(|bytes| bytes.0).collect())
    }
}

/// Decodes a text and its attachments.
fn decode(text: &ByteString, attachments: &[Bytes]) -> Option<Packet> {
    let mut decoder = Decoder::new(DecoderLimits {
        attachments: attachments.len(),
        attachment_bytes: usize::MAX,
        namespace_name_bytes: usize::MAX,
    });
    let mut packet = decoder.push_text(text.slice_ref(text.strip_prefix('4')?)).ok()?;
    for bytes in attachments {
        if packet.is_some() {
            return None;
        }
        packet = decoder.push_binary(bytes.clone()).ok()?;
    }
    packet
}

fn attachments(list: &[Bytes]) -> Vec<Attachment> {
    list.iter().cloned().map(Attachment).collect()
}

impl Serialize for Attachment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&STANDARD.encode(&self.0))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Attachment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return Bytes::deserialize(deserializer).map(Self);
        }
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| D::Error::custom("not base64"))?;
        Ok(Self(bytes.into_boxed_slice().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::Event;

    /// The number of attachments and the acknowledgement.
    fn restored(text: &str, attachments: usize) -> Option<(usize, Option<u64>)> {
        let attachment = Attachment(Bytes::from_static(b"x"));
        let text = ByteString::from(text);
        let snapshot = EncodedSnapshot { text, attachments: alloc::vec![attachment; attachments] };
        let restored = snapshot.restore(&NamespaceName::ROOT, "7-5");
        restored.map(|(packet, ack)| (packet.attachments().len(), ack))
    }

    #[test]
    fn a_packet_is_an_event_with_its_offset() {
        assert_eq!(restored(r#"42["m",1,"7-5"]"#, 0), Some((0, None)));
        assert_eq!(restored(r#"4212["m",1]"#, 0), Some((0, Some(12))));
        let binary = r#"451-["m",{"_placeholder":true,"num":0},"7-5"]"#;
        assert_eq!(restored(binary, 1), Some((1, None)));
        for (text, attachments) in [
            ("", 0),
            ("4", 0),
            (r#"2["m","7-5"]"#, 0),
            (r#"40{"sid":"x"}"#, 0),
            (r#"42["m","7-6"]"#, 0),
            (r#"42["7-5"]"#, 0),
            (r#"42["m","\",\"7-5"]"#, 0),
            (r#"42["m",["x","7-5"]]"#, 0),
            (r#"42/other,["m","7-5"]"#, 0),
            (r#"42["m","7-5"]"#, 1),
            (binary, 0),
            (binary, 2),
            (r#"42["connect","7-5"]"#, 0),
        ] {
            assert_eq!(restored(text, attachments), None, "{text}");
        }
    }

    #[test]
    fn bytes_survive_text() {
        let event = Event::new("m", &(Bytes::from_static(b"\0\xff"),)).unwrap();
        let packet = Encoded::event(&NamespaceName::ROOT, &event, None, Some("7-5"));
        let text = serde_json::to_string(&EncodedSnapshot::of(&packet)).unwrap();
        assert!(text.ends_with(r#""attachments":["AP8="]}"#), "{text}");
        let snapshot: EncodedSnapshot = serde_json::from_str(&text).unwrap();
        let (restored, ack) = snapshot.restore(&NamespaceName::ROOT, "7-5").unwrap();
        assert_eq!((restored, ack), (packet, None));
    }

    #[test]
    fn arguments_are_an_array_with_its_attachments() {
        let args = Args::new(&("ok", Bytes::from_static(b"x"))).unwrap();
        assert_eq!(ArgsSnapshot::of(&args).restore(), Some(args));
        let attachment = Attachment(Bytes::from_static(b"x"));
        for (json, count) in [("", 0), ("{}", 0), ("[1", 0), ("[1] [2]", 0), ("[1]", 1)] {
            let attachments = alloc::vec![attachment.clone(); count];
            let snapshot = ArgsSnapshot { json: json.into(), attachments };
            assert_eq!(snapshot.restore(), None, "{json}");
        }
    }
}
