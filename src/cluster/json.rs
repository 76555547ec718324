//! Finds its way in JSON text without building values.
//!
//! Nothing here recurses or allocates. It accepts all valid JSON. It also accepts some text that is
//! not: whoever needs a value checks it then.

/// A part of a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonToken<'a> {
    OpenArray,
    OpenObject,
    Close,
    Comma,
    Colon,
    /// With its quotes.
    String(&'a [u8]),
    Scalar(&'a [u8]),
}

/// The parts of a JSON text, one after another. They end at the first that cannot be one.
#[derive(Clone, Debug)]
pub(super) struct JsonTokens<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> JsonTokens<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Continues at another place.
    pub(super) const fn jump(&mut self, at: usize) {
        self.at = at;
    }

    /// The place behind the last part.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.get(self.at..)?;
        let spaces = rest.iter().position(|byte| !is_space(*byte))?;
        self.at = self.at.saturating_add(spaces);
        self.text.get(self.at).copied()
    }

    fn advance(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at = self.at.saturating_add(1))
    }

    /// Reads one value with everything in it.
    fn value(&mut self) -> Option<&'a [u8]> {
        let first = self.peek()?;
        let start = self.at;
        self.at = match first {
            b'"' => string_end(self.text, start)?,
            b'[' | b'{' => container_end(self.text, start)?,
            b']' | b'}' | b',' | b':' => return None,
            _ => scalar_end(self.text, start),
        };
        self.text.get(start..self.at)
    }

    fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }
}

impl<'a> Iterator for JsonTokens<'a> {
    type Item = JsonToken<'a>;

    fn next(&mut self) -> Option<JsonToken<'a>> {
        let mark = match self.peek()? {
            b'[' => JsonToken::OpenArray,
            b'{' => JsonToken::OpenObject,
            b']' | b'}' => JsonToken::Close,
            b',' => JsonToken::Comma,
            b':' => JsonToken::Colon,
            b'"' => return self.value().map(JsonToken::String),
            _ => return self.value().map(JsonToken::Scalar),
        };
        self.at = self.at.saturating_add(1);
        Some(mark)
    }
}

/// Calls `on_field` with the key, which has its quotes, and the value of each field of an object,
/// until it returns `None`. `None` unless the text is an object and nothing else.
pub(super) fn fields<'a>(
    text: &'a [u8],
    mut on_field: impl FnMut(&'a [u8], &'a [u8]) -> Option<()>,
) -> Option<()> {
    list(text, b'{', b'}', |tokens| {
        let key = if tokens.peek()? == b'"' { tokens.value()? } else { return None };
        tokens.advance(b':')?;
        on_field(key, tokens.value()?)
    })
}

/// Calls `on_element` with each element of an array, until it returns `None`. `None` unless the text
/// is an array and nothing else.
pub(super) fn elements<'a>(
    text: &'a [u8],
    mut on_element: impl FnMut(&'a [u8]) -> Option<()>,
) -> Option<()> {
    list(text, b'[', b']', |tokens| on_element(tokens.value()?))
}

fn list<'a>(
    text: &'a [u8],
    open: u8,
    close: u8,
    mut on_item: impl FnMut(&mut JsonTokens<'a>) -> Option<()>,
) -> Option<()> {
    let mut tokens = JsonTokens::new(text);
    tokens.advance(open)?;
    if tokens.advance(close).is_none() {
        loop {
            on_item(&mut tokens)?;
            if tokens.advance(b',').is_none() {
                tokens.advance(close)?;
                break;
            }
        }
    }
    tokens.is_at_end().then_some(())
}

/// Returns whether a text has at most so many brackets open at a time.
pub(super) fn is_shallow(text: &[u8], limit: usize) -> bool {
    // Almost every text has fewer of them altogether, and counting them is cheap.
    text.len() <= limit || opened(text) <= limit || is_nowhere_deeper(text, limit)
}

/// How many brackets a text opens, those in its strings included.
fn opened(text: &[u8]) -> usize {
    // Each part has at most as many as a byte can count. So the compiler handles many bytes at a time.
    let parts = text.chunks(usize::from(u8::MAX)).map(|part| {
        part.iter().fold(0_u8, |sum, byte| sum.wrapping_add(u8::from(matches!(byte, b'[' | b'{'))))
    });
    parts.map(usize::from).fold(0, usize::saturating_add)
}

fn is_nowhere_deeper(text: &[u8], limit: usize) -> bool {
    let (mut at, mut depth) = (0_usize, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => match string_end(text, at) {
                Some(end) => {
                    at = end;
                    continue;
                }
                None => return true,
            },
            b'[' | b'{' => {
                depth = depth.saturating_add(1);
                if depth > limit {
                    return false;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at = at.saturating_add(1);
    }
    true
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The place behind the string that starts with the quote at `start`.
fn string_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start.checked_add(1)?;
    loop {
        at = at.checked_add(plain_len(text.get(at..)?))?;
        if *text.get(at)? == b'"' {
            return at.checked_add(1);
        }
        // A backslash, and what it escapes.
        at = at.checked_add(2)?;
    }
}

/// How many bytes there are before the first quote or backslash. It looks at every byte of a part without
/// branching, so that the compiler can handle many at a time.
pub(in crate::cluster) fn plain_len(text: &[u8]) -> usize {
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\');
    let mut rest = text;
    while let Some((part, behind)) = rest.split_first_chunk::<16>() {
        if part.iter().fold(false, |found, byte| found | is_special(byte)) {
            break;
        }
        rest = behind;
    }
    let in_part = rest.iter().position(is_special).unwrap_or(rest.len());
    text.len().saturating_sub(rest.len()).saturating_add(in_part)
}

/// The place behind the array or object that starts at `start`.
fn container_end(text: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0_usize);
    loop {
        match text.get(at)? {
            b'"' => {
                at = string_end(text, at)?;
                continue;
            }
            b'[' | b'{' => depth = depth.checked_add(1)?,
            b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return at.checked_add(1);
                }
            }
            _ => {}
        }
        at = at.checked_add(1)?;
    }
}

/// The place behind the number or word that starts at `start`.
fn scalar_end(text: &[u8], start: usize) -> usize {
    let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b':' | b'"') || is_space(*byte);
    let rest = text.get(start..).unwrap_or_default();
    start.saturating_add(rest.iter().position(ends).unwrap_or(rest.len()))
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec, vec::Vec};

    use super::*;

    fn read(text: &str) -> Option<Vec<(String, String)>> {
        let mut found = vec![];
        let string = |part: &[u8]| String::from_utf8(part.to_vec()).unwrap();
        fields(text.as_bytes(), |key, value| {
            found.push((string(key), string(value)));
            Some(())
        })?;
        Some(found)
    }

    #[test]
    fn fields_are_found_without_being_read() {
        let pair = |key: &str, value: &str| (key.into(), value.into());
        assert_eq!(read("{}"), Some(vec![]));
        assert_eq!(
            read(r#"{"a":1,"b":{"c":[1,"]}\"\\"]},"d\"":"x","e":null}"#),
            Some(vec![
                pair(r#""a""#, "1"),
                pair(r#""b""#, r#"{"c":[1,"]}\"\\"]}"#),
                pair(r#""d\"""#, r#""x""#),
                pair(r#""e""#, "null"),
            ])
        );
        assert_eq!(
            read(" { \"a\" : 1 , \"b\" : [ ] } \n"),
            Some(vec![pair("\"a\"", "1"), pair("\"b\"", "[ ]")])
        );
    }

    #[test]
    fn a_string_ends_at_its_quote_wherever_that_is() {
        for len in 0..200 {
            let plain = "é".repeat(len / 2);
            for inside in ["", "\\\\", "\\\"", "\\u0022"] {
                let string = alloc::format!("\"{plain}{inside}{plain}\"");
                let text = alloc::format!("{string},\"");
                assert_eq!(string_end(text.as_bytes(), 0), Some(string.len()), "{text}");
                let open = &text[..string.len() - 1];
                assert_eq!(string_end(open.as_bytes(), 0), None, "{open}");
            }
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "{",
            "}",
            "[]",
            "1",
            "{}{}",
            "{} x",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{\"a\":1 \"b\":2}",
            "{a:1}",
            "{1:2}",
            "{\"a\":[}",
            "{\"a\":\"}",
            "{\"a\":\"\\",
            "{\"a\":1]",
            "{\"a\"::1}",
            "{\"a\":,}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(elements(b"[1,[2,3],\"4\"]", |_| Some(())), Some(()));
        for text in ["", "[", "{}", "[1,]", "[,1]", "[1 2]", "[]]", "[1]x", "[1:2]"] {
            assert_eq!(elements(text.as_bytes(), |_| Some(())), None, "{text}");
        }
    }

    #[test]
    fn depth_costs_nothing() {
        let deep = [vec![b'['; 1 << 20], vec![b']'; 1 << 20]].concat();
        let text = [b"{\"a\":", &deep[..], b"}"].concat();
        assert_eq!(fields(&text, |_, value| (value == deep).then_some(())), Some(()));
        assert_eq!(fields(&text[..text.len() - 2], |_, _| Some(())), None);
        assert!(is_shallow(&text, (1 << 20) + 1) && !is_shallow(&text, 1 << 20));
        assert!(is_shallow(br#"["[[[[\"[[[",[1]]"#, 2));
        for len in [0, 1, 254, 255, 256, 510, 511, 1_000] {
            let text = b"[{".repeat(len);
            assert_eq!(opened(&text), 2 * len);
            assert_eq!(opened(&b"a".repeat(len)), 0);
            assert!(is_shallow(&text, 2 * len) && (len == 0 || !is_shallow(&text, 2 * len - 1)));
        }
    }
}
