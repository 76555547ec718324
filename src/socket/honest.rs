//! Unreadable packets that an unmodified client may have sent.
//!
//! The official client checks little of what its application passes to it. Its encoder
//! (socket.io-parser) writes:
//!
//! * any number of attachments of any size;
//! * a namespace name of any length, behind a slash;
//! * any value as authentication data;
//! * any value except a reserved name as the name of an event;
//! * next to attachments, anything that looks like a placeholder;
//! * before its release 4.2.7, a count of zero if `toJSON` hides the bytes;
//! * in Node.js, a `Blob` as an attachment, for which it then sends text.
//!
//! These are mistakes of the application, and must not cost its session.
//!
//! The encoder always writes the type, the count and the id as digits, and JSON behind them. The
//! payload of an event or an acknowledgement is always an array, and ids are small. Anything else
//! is not from an official client.

use super::{
    DecodeError, NamespaceName, check,
    decoder::{namespace, split_digits},
    event, text,
};

/// The text that JavaScript writes for an object without a text form.
const STRANGER: &str = "[object ";

/// Whether an unmodified client may have caused the error. `packet` is the message, if it was a
/// text.
pub(crate) fn may_be_honest(error: DecodeError, packet: Option<&str>) -> bool {
    match error {
        DecodeError::TooManyAttachments { .. }
        | DecodeError::AttachmentsTooLarge { .. }
        | DecodeError::NamespaceTooLong { .. } => true,
        DecodeError::UnexpectedText => packet.is_some_and(|text| text.starts_with(STRANGER)),
        DecodeError::UnknownType | DecodeError::IllegalAckId | DecodeError::UnexpectedBinary => {
            false
        }
        DecodeError::IllegalAttachments | DecodeError::InvalidPayload => {
            packet.and_then(Parts::of).is_some_and(|parts| parts.is_of_a_client())
        }
    }
}

/// A CONNECT that cannot be read.
pub(crate) struct InvalidConnect {
    pub(crate) namespace: NamespaceName,
    /// Whether this is the namespace that the client meant. If its name had no slash or contained a
    /// comma, a part of the name stands in the place of the authentication data.
    pub(crate) is_certain: bool,
}

impl InvalidConnect {
    /// Examines a text that is not a valid packet. Returns `None` if no client can have sent it as
    /// a CONNECT.
    pub(crate) fn read(packet: &str) -> Option<Self> {
        let parts = Parts::of(packet).filter(|parts| parts.kind == b'0')?;
        let is_json = parts.payload.is_empty() || check::value(parts.payload, |_| true).is_ok();
        // A text that starts like this is valid JSON if a client has written it.
        if !is_json && parts.payload.starts_with(['{', '[', '"']) {
            return None;
        }
        let namespace = parts.namespace.map_or(NamespaceName::ROOT, NamespaceName::from_wire);
        Some(Self { namespace, is_certain: is_json })
    }
}

/// The parts of the text of a packet, as far as they can be read.
struct Parts<'a> {
    kind: u8,
    namespace: Option<&'a str>,
    payload: &'a str,
}

impl<'a> Parts<'a> {
    fn of(packet: &'a str) -> Option<Self> {
        let (kind, rest) = packet.split_at_checked(1)?;
        let kind = *kind.as_bytes().first()?;
        let rest = match kind {
            b'5' | b'6' => match split_digits(rest) {
                ("", _) => return None,
                (_, rest) => rest.strip_prefix('-')?,
            },
            _ => rest,
        };
        let (namespace, rest) = namespace(rest, usize::MAX).ok()?;
        let (_, payload) = split_digits(rest);
        Some(Self { kind, namespace, payload })
    }

    /// Whether the encoder of the official client can have made it.
    fn is_of_a_client(&self) -> bool {
        let is_event = matches!(self.kind, b'2' | b'5');
        if !is_event && !matches!(self.kind, b'3' | b'6') {
            return false;
        }
        let array = check::value(self.payload, |first| first == b'[');
        array.is_ok_and(|array| !is_event || !has_reserved_name(array))
    }
}

/// The client does not let its application use these names.
fn has_reserved_name(array: &str) -> bool {
    let token = text::split_first(array).map(|(token, _)| token);
    let name = token.filter(|token| token.starts_with('"')).map(text::unescape);
    name.is_some_and(|name| event::is_reserved(&name))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;
    use crate::{
        Limits,
        socket::{Decoder, DecoderLimits},
    };

    fn is_honest(packet: &str) -> bool {
        let mut decoder = Decoder::new(DecoderLimits::from(&Limits::default()));
        let error = decoder.push_text(packet.into()).expect_err(packet);
        may_be_honest(error, Some(packet))
    }

    #[test]
    fn the_official_client_can_be_made_to_send_it() {
        let deep = alloc::format!(r#"51-["a",{}{}]"#, "[".repeat(128), "]".repeat(128));
        for packet in [
            r#"511-["a"]"#,
            r#"6999-/a,1["a"]"#,
            r#"50-["a",{}]"#,
            r#"51-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":7}]"#,
            "20[]",
            "2[null]",
            "2/a,7[true,1]",
            "2[{}]",
            r#"2[["a"]]"#,
            &deep,
        ] {
            assert!(is_honest(packet), "{packet}");
        }
    }

    #[test]
    fn no_client_sends_it() {
        for packet in [
            "",
            "7",
            "4x",
            "1{}",
            "2{}",
            "2[",
            "2\"a\"",
            "2abc[\"a\"]",
            "2-1[\"a\"]",
            "29007199254740992[\"a\"]",
            "3{}",
            "5",
            "5[\"a\"]",
            "5-[\"a\"]",
            "5x-[\"a\"]",
            "51.5-[\"a\"]",
            "2[\"connect\"]",
            "2/a,[\"c\\u006fnnect\"]",
        ] {
            assert!(!is_honest(packet), "{packet}");
        }
        assert!(!may_be_honest(DecodeError::UnexpectedBinary, None));
        for text in ["", "2[\"a\"]", "[\"a\"]"] {
            assert!(!may_be_honest(DecodeError::UnexpectedText, Some(text)), "{text}");
        }
    }

    #[test]
    fn the_namespace_of_a_connect_is_certain_if_json_follows() {
        for (packet, name, is_certain) in [
            ("0\"token\"", "/", true),
            ("0/a,[1]", "/a", true),
            ("0/a,null", "/a", true),
            // What JSON has no text for.
            ("0undefined", "/", false),
            ("01e+21", "/", false),
            // `manager.socket("lobby")` and `io("/a,b")`.
            ("0lobby,", "/", false),
            ("0lobby,{\"a\":1}", "/", false),
            ("0/a,b,", "/a", false),
        ] {
            let connect = InvalidConnect::read(packet).expect(packet);
            let found = (connect.namespace.to_string(), connect.is_certain);
            assert_eq!(found, (name.into(), is_certain), "{packet}");
        }
        for packet in ["2[null]", "0{", "0/a,[1", "0\"a", "0{}x", ""] {
            assert!(InvalidConnect::read(packet).is_none(), "{packet}");
        }
    }
}
