//! Checks that a payload is one JSON value, in one pass and without recursion.

use core::{fmt, ops::Range};

use serde::{
    Deserializer as _,
    de::{Error as _, IgnoredAny, SeqAccess, Visitor},
};

use super::{DecodeError, text};

/// Checks a payload, and that its first byte is acceptable. Returns the payload without surrounding
/// white space.
pub(super) fn value(payload: &str, accepts: impl Fn(u8) -> bool) -> Result<&str, DecodeError> {
    let json = text::trim(payload);
    let is_accepted = json.as_bytes().first().is_some_and(|first| accepts(*first));
    if is_accepted && serde_json::from_str::<IgnoredAny>(json).is_ok() {
        Ok(json)
    } else {
        Err(DecodeError::InvalidPayload)
    }
}

/// Checks a payload that is an array whose first element is a string without escapes, as in nearly
/// all events. Returns the payload without surrounding white space, and the position of the string
/// in it. After `None` the payload may still be valid in another form.
///
/// Finding the name in this pass, which is needed anyway, saves a seventh of the instructions for
/// decoding a small event.
pub(super) fn named_array(payload: &str) -> Option<(&str, Range<usize>)> {
    let json = text::trim(payload);
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let name = deserializer.deserialize_seq(Named).ok()?;
    deserializer.end().ok()?;
    let start = name.as_ptr().addr().checked_sub(json.as_ptr().addr())?;
    Some((json, start..start.checked_add(name.len())?))
}

struct Named;

impl<'de> Visitor<'de> for Named {
    type Value = &'de str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array that begins with a string")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<&'de str, A::Error> {
        let name = elements.next_element()?.ok_or_else(|| A::Error::custom("no name"))?;
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_found_where_it_stands() {
        let vectors = [
            (r#"["a"]"#, Some("a")),
            (" \n[ \t\"a b\" , {\"b\":[1,\"\\ud800\"]} ]\r", Some("a b")),
            (r#"["",[[]]]"#, Some("")),
            (r#"["é","é"]"#, Some("é")),
            (r#"["\u0061"]"#, None),
            ("[]", None),
            ("[1]", None),
            (r#"[["a"]]"#, None),
            (r#"{"a":1}"#, None),
            (r#"["a""#, None),
            (r#"["a",]"#, None),
            (r#"["a"]]"#, None),
            (r#"["a"],"#, None),
            ("[\"a\n\"]", None),
            ("", None),
        ];
        for (payload, name) in vectors {
            let found = named_array(payload);
            assert_eq!(found.as_ref().map(|(json, range)| &json[range.clone()]), name, "{payload}");
            if let Some((json, _)) = found {
                assert_eq!(value(payload, |first| first == b'['), Ok(json));
            }
        }
    }
}
