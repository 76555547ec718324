//! Small operations on JSON text. All of them expect valid JSON and do not panic on anything else.

use alloc::string::String;
use core::fmt;

use serde::{Deserializer as _, de::Visitor};

/// White space of JSON. Rust's definition includes more characters.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// Cuts off the white space around a JSON text.
pub(super) fn trim(json: &str) -> &str {
    json.trim_matches(is_space)
}

/// Splits an array behind its first element, which must be a string or a number. Returns the token
/// of the element and the rest, which starts with `,` or `]`.
pub(super) fn split_first(array: &str) -> Option<(&str, &str)> {
    let inner = array.strip_prefix('[')?.trim_start_matches(is_space);
    let (token, rest) = match inner.as_bytes().first()? {
        b'"' => split_string(inner)?,
        b'-' | b'0'..=b'9' => split_scalar(inner),
        _ => return None,
    };
    Some((token, rest.trim_start_matches(is_space)))
}

/// Splits a text that starts with a quote behind the string.
pub(super) fn split_string(text: &str) -> Option<(&str, &str)> {
    let contents = text.as_bytes().get(1..)?;
    let special = contents.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    if contents.get(special) == Some(&b'"') {
        return text.split_at_checked(special.saturating_add(2));
    }
    let mut escaped = false;
    let closing = text.bytes().skip(1).position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })?;
    // Both quotes count.
    text.split_at_checked(closing.saturating_add(2))
}

/// Splits a text that starts with a number or a word behind it.
pub(super) fn split_scalar(text: &str) -> (&str, &str) {
    let ends = |c: char| matches!(c, ',' | ']' | '}') || is_space(c);
    text.split_at_checked(text.find(ends).unwrap_or(text.len())).unwrap_or_default()
}

/// Returns the contents of a string token if it contains no escapes.
pub(super) fn plain_contents(token: &str) -> Option<&str> {
    let contents = token.strip_prefix('"')?.strip_suffix('"')?;
    (!contents.contains('\\')).then_some(contents)
}

/// Returns the contents of a string token. A lone surrogate, which a Rust string cannot hold,
/// becomes replacement characters.
pub(crate) fn unescape(token: &str) -> String {
    struct Contents;

    impl Visitor<'_> for Contents {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E>(self, contents: &[u8]) -> Result<String, E> {
            Ok(String::from_utf8_lossy(contents).into_owned())
        }
    }

    serde_json::Deserializer::from_str(token).deserialize_bytes(Contents).unwrap_or_default()
}

/// The number of bytes that [`push_string`] writes.
pub(super) fn string_len(contents: &str) -> usize {
    if !needs_escapes(contents) {
        return contents.len().saturating_add(2);
    }
    let escaped = contents.chars().map(|c| escape(c).map_or_else(|| c.len_utf8(), Escape::len));
    escaped.fold(2, usize::saturating_add)
}

/// Appends a JSON string as `JSON.stringify` writes it.
pub(crate) fn push_string(out: &mut String, contents: &str) {
    out.push('"');
    let mut rest = contents;
    if !needs_escapes(contents) {
        out.push_str(contents);
        rest = "";
    }
    while let Some((plain, c, behind)) = split_at_escape(rest) {
        out.push_str(plain);
        if let Some(escape) = escape(c) {
            escape.push(out);
        }
        rest = behind;
    }
    out.push_str(rest);
    out.push('"');
}

/// Looks at every byte without branching, so that the compiler can handle many at a time. Names and
/// offsets rarely need escapes: this saves a seventh of the instructions for encoding an event.
fn needs_escapes(contents: &str) -> bool {
    let special = |byte| byte < b' ' || byte == b'"' || byte == b'\\';
    contents.bytes().fold(false, |found, byte| found | special(byte))
}

fn split_at_escape(text: &str) -> Option<(&str, char, &str)> {
    let (at, c) = text.char_indices().find(|(_, c)| escape(*c).is_some())?;
    let (plain, rest) = text.split_at_checked(at)?;
    Some((plain, c, rest.get(c.len_utf8()..)?))
}

#[derive(Clone, Copy)]
enum Escape {
    Short(&'static str),
    Control(char),
}

impl Escape {
    fn len(self) -> usize {
        match self {
            Self::Short(text) => text.len(),
            Self::Control(_) => 6,
        }
    }

    fn push(self, out: &mut String) {
        match self {
            Self::Short(text) => out.push_str(text),
            Self::Control(c) => {
                let code = u32::from(c);
                out.push_str("\\u00");
                let digits = [code >> 4, code & 0xf].into_iter();
                out.extend(digits.filter_map(|digit| char::from_digit(digit, 16)));
            }
        }
    }
}

fn escape(c: char) -> Option<Escape> {
    Some(match c {
        '"' => Escape::Short("\\\""),
        '\\' => Escape::Short("\\\\"),
        '\n' => Escape::Short("\\n"),
        '\r' => Escape::Short("\\r"),
        '\t' => Escape::Short("\\t"),
        '\u{8}' => Escape::Short("\\b"),
        '\u{c}' => Escape::Short("\\f"),
        '\0'..='\u{1f}' => Escape::Control(c),
        _ => return None,
    })
}

/// The number of digits that [`push_number`] writes.
pub(super) fn number_len(number: u64) -> usize {
    let mut len = 1;
    let mut rest = number / 10;
    while rest > 0 {
        len += 1;
        rest /= 10;
    }
    len
}

/// Appends a number in decimal digits.
pub(crate) fn push_number(out: &mut String, number: u64) {
    out.push_str(itoa::Buffer::new().format(number));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_written_as_serde_json_writes_them() {
        let everything: String = ('\0'..'\u{180}').chain(['\u{2028}', '😀', '\u{ffff}']).collect();
        for contents in ["", "a", "a\"b", "\\", "\u{1}x\u{1f}", &everything] {
            let mut out = String::new();
            push_string(&mut out, contents);
            assert_eq!(out, serde_json::to_string(contents).unwrap());
            assert_eq!(out.len(), string_len(contents));
            assert_eq!(unescape(&out), contents);
        }
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, (1 << 53) - 1, u64::MAX / 10, u64::MAX] {
            let mut out = String::new();
            push_number(&mut out, number);
            assert_eq!(out.parse(), Ok(number));
            assert_eq!(out.len(), number_len(number));
        }
    }

    #[test]
    fn the_first_element_is_split_off() {
        let vectors = [
            (r#"["a"]"#, Some((r#""a""#, "]"))),
            (r#"[ "a\"]" , 1]"#, Some((r#""a\"]""#, ", 1]"))),
            (r#"["a\\",1]"#, Some((r#""a\\""#, ",1]"))),
            ("[-1.5e3]", Some(("-1.5e3", "]"))),
            ("[1 ,2]", Some(("1", ",2]"))),
            ("[]", None),
            ("[null]", None),
            ("[[1]]", None),
            ("{}", None),
            (r#"["a"#, None),
        ];
        for (array, split) in vectors {
            assert_eq!(split_first(array), split, "{array}");
        }
    }

    #[test]
    fn a_lone_surrogate_is_replaced() {
        assert_eq!(unescape(r#""a\ud800""#).trim_end_matches('\u{fffd}'), "a");
    }
}
