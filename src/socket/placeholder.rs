//! Finds the placeholders of attachments in JSON text.
//!
//! It reads text that is already known to be valid, with its own stack. Deserialization would
//! reject strings with lone surrogates, which JavaScript peers may send.

use alloc::vec::Vec;
use core::ops::Range;

use super::{binary, text};

/// The deepest nesting of a packet with attachments. It is what typed access can read.
const MAX_DEPTH: usize = 128;

/// The result of a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Placeholders, those inside others included.
    pub(super) placeholders: usize,
    /// Whether an outermost placeholder refers to no attachment. Those inside it are not checked.
    pub(super) illegal: bool,
}

/// The value is nested more than [`MAX_DEPTH`] deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooDeep;

/// Counts and checks the placeholders in a valid JSON text: the objects whose last `_placeholder`
/// is exactly `true`. Their last `num` has to be an integer below `attachments`.
pub(super) fn walk(json: &str, attachments: usize) -> Result<Tally, TooDeep> {
    visit(json, attachments, |_| ())
}

/// An outermost placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where it stands in the text.
    pub(crate) range: Range<usize>,
    /// The attachment that it refers to, if any.
    pub(crate) num: Option<usize>,
}

/// Finds the outermost placeholders in a valid JSON text, in order.
pub(crate) fn find(json: &str) -> Result<Vec<Found>, TooDeep> {
    let mut all: Vec<Found> = Vec::new();
    visit(json, usize::MAX, |found| {
        // Those inside are complete before it.
        while all.pop_if(|inner| inner.range.start > found.range.start).is_some() {}
        all.push(found);
    })?;
    Ok(all)
}

/// Calls `on_placeholder` with each placeholder as it closes.
fn visit(
    json: &str,
    attachments: usize,
    mut on_placeholder: impl FnMut(Found),
) -> Result<Tally, TooDeep> {
    let mut stack: Vec<Frame> = Vec::new();
    let mut tokens = Tokens(json);
    while let Some(token) = tokens.next() {
        let end = json.len().saturating_sub(tokens.0.len());
        let value = match token {
            Token::Open { object } if stack.len() < MAX_DEPTH => {
                stack.push(Frame::new(object, end.saturating_sub(1)));
                continue;
            }
            Token::Open { .. } => return Err(TooDeep),
            Token::Comma => {
                if let Some(frame) = stack.last_mut() {
                    frame.awaits_key = frame.is_object;
                }
                continue;
            }
            Token::String(token) => match stack.last_mut() {
                Some(frame) if frame.awaits_key => {
                    frame.awaits_key = false;
                    frame.key = Key::of(token);
                    continue;
                }
                _ => Value::default(),
            },
            Token::Scalar(token) => Value::scalar(token),
            Token::Close => stack.pop().map_or_else(Value::default, |frame| {
                if frame.is_placeholder {
                    on_placeholder(Found { range: frame.start..end, num: frame.num });
                }
                frame.close(attachments)
            }),
        };
        match stack.last_mut() {
            Some(frame) => frame.add(&value),
            None => return Ok(value.tally),
        }
    }
    Ok(Tally::default())
}

/// Returns the start of the elements behind the first `count` of an array; `None` if there are
/// none.
pub(super) fn after(array: &str, count: usize) -> Option<usize> {
    let (mut depth, mut left) = (0_usize, count);
    let mut tokens = Tokens(array);
    while let Some(token) = tokens.next() {
        match token {
            Token::Open { .. } => depth = depth.saturating_add(1),
            Token::Close => depth = depth.saturating_sub(1),
            Token::Comma if depth == 1 => left = left.saturating_sub(1),
            Token::Comma | Token::String(_) | Token::Scalar(_) => continue,
        }
        if left == 0 {
            return Some(array.len().saturating_sub(tokens.0.len()));
        }
    }
    None
}

enum Token<'a> {
    Open { object: bool },
    Close,
    Comma,
    String(&'a str),
    Scalar(&'a str),
}

struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let rest = self.0.trim_start_matches(|c| c == ':' || text::is_space(c));
        let mark = |token| Some((token, rest.get(1..)?));
        let (token, rest) = match rest.as_bytes().first()? {
            b'{' => mark(Token::Open { object: true }),
            b'[' => mark(Token::Open { object: false }),
            b'}' | b']' => mark(Token::Close),
            b',' => mark(Token::Comma),
            b'"' => text::split_string(rest).map(|(token, rest)| (Token::String(token), rest)),
            _ => {
                let (token, rest) = text::split_scalar(rest);
                Some((Token::Scalar(token), rest))
            }
        }?;
        self.0 = rest;
        Some(token)
    }
}

/// An array or object that is still open.
struct Frame {
    /// Its start in the text.
    start: usize,
    is_object: bool,
    awaits_key: bool,
    key: Key,
    is_placeholder: bool,
    num: Option<usize>,
    /// Of the values inside.
    tally: Tally,
}

impl Frame {
    fn new(is_object: bool, start: usize) -> Self {
        Self {
            start,
            is_object,
            awaits_key: is_object,
            key: Key::Other,
            is_placeholder: false,
            num: None,
            tally: Tally::default(),
        }
    }

    fn add(&mut self, value: &Value) {
        match self.key {
            Key::Placeholder => self.is_placeholder = value.is_true,
            Key::Num => self.num = value.num,
            Key::Other => {}
        }
        self.tally.placeholders = self.tally.placeholders.saturating_add(value.tally.placeholders);
        self.tally.illegal |= value.tally.illegal;
    }

    fn close(self, attachments: usize) -> Value {
        let tally = if self.is_placeholder {
            let placeholders = self.tally.placeholders.saturating_add(1);
            Tally { placeholders, illegal: self.num.is_none_or(|num| num >= attachments) }
        } else {
            self.tally
        };
        Value { tally, ..Value::default() }
    }
}

enum Key {
    Placeholder,
    Num,
    Other,
}

impl Key {
    fn of(token: &str) -> Self {
        let named = |name: &str| match name {
            binary::FLAG => Self::Placeholder,
            binary::NUM => Self::Num,
            _ => Self::Other,
        };
        text::plain_contents(token).map_or_else(|| named(&text::unescape(token)), named)
    }
}

/// The properties of a complete value that the object around it needs.
#[derive(Default)]
struct Value {
    is_true: bool,
    num: Option<usize>,
    tally: Tally,
}

impl Value {
    fn scalar(token: &str) -> Self {
        let num = token.parse().ok().or_else(|| binary::integer(token.parse().ok()?));
        Self { is_true: token == "true", num, tally: Tally::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(placeholders: usize, illegal: bool) -> Tally {
        Tally { placeholders, illegal }
    }

    #[test]
    fn placeholders_are_found_where_javascript_finds_them() {
        let vectors = [
            (r#"["a",1,null,"_placeholder"]"#, tally(0, false)),
            (r#"[{"_placeholder":true,"num":0}]"#, tally(1, false)),
            (
                r#"[{"a":[{"num":1,"_placeholder":true}]},{"_placeholder":true,"num":0}]"#,
                tally(2, false),
            ),
            (r#"[{"_placeholder":true,"num":2}]"#, tally(1, true)),
            (r#"[{"_placeholder":true,"num":-1}]"#, tally(1, true)),
            (r#"[{"_placeholder":true,"num":0.5}]"#, tally(1, true)),
            (r#"[{"_placeholder":true,"num":1e0}]"#, tally(1, false)),
            (r#"[{"_placeholder":true,"num":1e999}]"#, tally(1, true)),
            (r#"[{"_placeholder":true,"num":"0"}]"#, tally(1, true)),
            (r#"[{"_placeholder":true,"num":[0]}]"#, tally(1, true)),
            (r#"[{"_placeholder":true}]"#, tally(1, true)),
            (r#"[{"_placeholder":false,"num":9}]"#, tally(0, false)),
            (r#"[{"_placeholder":"true","num":9}]"#, tally(0, false)),
            (r#"[{"_placeholder":[true],"num":9}]"#, tally(0, false)),
            (r#"["_placeholder",true,"num",9]"#, tally(0, false)),
            // Spelled with escapes.
            (r#"[{"_\u0070laceholder":true,"n\u0075m":9}]"#, tally(1, true)),
            // The last of equal keys wins.
            (r#"[{"_placeholder":true,"num":9,"num":1}]"#, tally(1, false)),
            (r#"[{"_placeholder":true,"_placeholder":1,"num":9}]"#, tally(0, false)),
            // Those inside a placeholder count, but are not checked, wherever its marks stand.
            (
                r#"[{"x":{"_placeholder":true,"num":9},"_placeholder":true,"num":0}]"#,
                tally(2, false),
            ),
            (r#"[{"num":{"_placeholder":true,"num":9}}]"#, tally(1, true)),
            // White space, lone surrogates and numbers out of range are no obstacles.
            (
                " [ \"\\ud800\" , 1e999 , { \"_placeholder\" : true , \"num\" : 1 } ] ",
                tally(1, false),
            ),
        ];
        for (json, found) in vectors {
            assert_eq!(walk(json, 2), Ok(found), "{json}");
        }
    }

    #[test]
    fn outermost_placeholders_are_found() {
        let found = |json: &str| -> Vec<(alloc::string::String, Option<usize>)> {
            let all = find(json).unwrap().into_iter();
            all.map(|found| (json[found.range].into(), found.num)).collect()
        };
        let inner = r#"{"_placeholder":true,"num":1}"#;
        let outer = alloc::format!(r#"{{ "x":[{inner},{inner}],"num":0,"_placeholder":true}}"#);
        let json = alloc::format!(r#"["é{{",{{"a":{inner}}},{outer} , {{"_placeholder":true}}]"#);
        assert_eq!(
            found(&json),
            [(inner.into(), Some(1)), (outer, Some(0)), (r#"{"_placeholder":true}"#.into(), None)]
        );
    }

    #[test]
    fn elements_are_skipped() {
        let array = r#"[ [1,{"a":[2,3]}] , "]," ,4]"#;
        let rest = |count| after(array, count).map(|start| &array[start..]);
        assert_eq!(rest(0), Some(&array[1..]));
        assert_eq!(rest(1), Some(r#" "]," ,4]"#));
        assert_eq!(rest(2), Some("4]"));
        assert_eq!((rest(3), rest(usize::MAX)), (None, None));
        assert_eq!((after("[]", 1), after("[1", 1), after("", 0)), (None, None, None));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(walk(&nested(MAX_DEPTH), 1), Ok(tally(0, false)));
        assert_eq!(walk(&nested(MAX_DEPTH + 1), 1), Err(TooDeep));
    }

    #[test]
    fn invalid_text_does_no_harm() {
        for json in ["", "]", "}{", "[\"", "{:,", "\"\\", "[[", ",", "é"] {
            assert_eq!(walk(json, 1), Ok(tally(0, false)), "{json}");
        }
    }
}
