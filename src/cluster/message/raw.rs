//! Values as they arrived: JSON or msgpack, not yet read.

use alloc::{borrow::Cow, string::String, vec::Vec};

use bytes::Bytes;
use bytestring::ByteString;

use super::{MessageError, Value};
use crate::{
    cluster::{
        json,
        msgpack::{self, MsgpackError, Token},
    },
    number::{INTEGER_MAX, digits},
    socket::{Args, Event, unescape},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Msgpack,
}

/// A value that has not been read. It may be malformed.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    /// What it is a part of.
    whole: &'a Bytes,
    part: &'a [u8],
    format: Format,
}

impl<'a> Raw<'a> {
    pub(super) fn new(whole: &'a Bytes, format: Format) -> Self {
        Self { whole, part: whole, format }
    }

    pub(super) const fn within(self, part: &'a [u8]) -> Self {
        Self { part, ..self }
    }

    /// A part of it that is a value of its own.
    pub(super) fn slice(self, start: usize, end: usize) -> Option<Self> {
        Some(self.within(self.part.get(start..end)?))
    }

    pub(super) const fn format(self) -> Format {
        self.format
    }

    pub(super) const fn bytes(self) -> &'a [u8] {
        self.part
    }

    /// The bytes, which share the memory of the whole.
    pub(super) fn share(self) -> Bytes {
        if self.part.is_empty() { Bytes::new() } else { self.whole.slice_ref(self.part) }
    }

    /// A part of it that is text.
    pub(super) fn share_text(self, part: &[u8]) -> Option<ByteString> {
        if part.is_empty() {
            return Some(ByteString::new());
        }
        ByteString::try_from(self.whole.slice_ref(part)).ok()
    }

    /// Calls `on_field` with each field, until it returns `None`. `None` unless it is a map with
    /// names.
    pub(super) fn fields(self, mut on_field: impl FnMut(&str, Self) -> Option<()>) -> Option<()> {
        match self.format {
            Format::Json => {
                json::fields(self.part, |key, value| on_field(&json_text(key)?, self.within(value)))
            }
            Format::Msgpack => {
                let mut input = self.part;
                self.msgpack_fields(&mut input, on_field)?;
                input.is_empty().then_some(())
            }
        }
    }

    fn msgpack_fields(
        self,
        input: &mut &'a [u8],
        mut on_field: impl FnMut(&str, Self) -> Option<()>,
    ) -> Option<()> {
        let Token::Map(len) = msgpack::read(input)? else { return None };
        for _ in 0..len {
            match msgpack::read(input)? {
                Token::Str(key) => {
                    let value = self.msgpack(input)?;
                    match core::str::from_utf8(key) {
                        Ok(key) => on_field(key, value)?,
                        Err(_) => on_field(&String::from_utf8_lossy(key), value)?,
                    }
                }
                // JavaScript takes numbers for names, too. None of ours looks like one.
                Token::Uint(_) | Token::Int(_) | Token::Float(_) => msgpack::skip(input)?,
                _ => return None,
            }
        }
        Some(())
    }

    /// Reads the next value of msgpack, and calls `on_field` with each field of it. It takes one pass, where
    /// [`fields`](Self::fields) takes another one. Returns the value, and whether it is a map with names:
    /// otherwise, forget the fields. `None` if it is malformed.
    pub(super) fn take_fields(
        self,
        input: &mut &'a [u8],
        mut on_field: impl FnMut(&str, Self),
    ) -> Option<(Self, bool)> {
        let start = *input;
        let read = self.msgpack_fields(input, |name, value| {
            on_field(name, value);
            Some(())
        });
        if read.is_none() {
            *input = start;
            return Some((self.msgpack(input)?, false));
        }
        let len = start.len().checked_sub(input.len())?;
        Some((self.within(start.get(..len)?), true))
    }

    /// Calls `on_element` with each element, until it returns `None`. `None` unless it is an array.
    pub(super) fn elements(self, mut on_element: impl FnMut(Self) -> Option<()>) -> Option<()> {
        match self.format {
            Format::Json => json::elements(self.part, |value| on_element(self.within(value))),
            Format::Msgpack => {
                let mut input = self.part;
                let Token::Array(len) = msgpack::read(&mut input)? else { return None };
                for _ in 0..len {
                    on_element(self.msgpack(&mut input)?)?;
                }
                input.is_empty().then_some(())
            }
        }
    }

    /// Reads the next value of msgpack.
    pub(super) fn msgpack(self, input: &mut &'a [u8]) -> Option<Self> {
        let start = *input;
        msgpack::skip(input)?;
        let len = start.len().checked_sub(input.len())?;
        Some(self.within(start.get(..len)?))
    }

    /// The token of a msgpack value that is nothing but that token.
    fn token(self) -> Option<Token<'a>> {
        let mut input = self.part;
        let token = msgpack::read(&mut input)?;
        input.is_empty().then_some(token)
    }

    /// A text.
    pub(super) fn text(self) -> Option<ByteString> {
        match self.format {
            Format::Json => match json_text(self.part)? {
                Cow::Borrowed(plain) => self.share_text(plain.as_bytes()),
                Cow::Owned(text) => Some(text.into()),
            },
            Format::Msgpack => match self.token()? {
                Token::Str(text) => self
                    .share_text(text)
                    .or_else(|| Some(String::from_utf8_lossy(text).into_owned().into())),
                _ => None,
            },
        }
    }

    /// A text of decimal digits, as the number that it says.
    pub(super) fn digits(self) -> Option<u64> {
        match self.format {
            Format::Json => digits(self.text()?.as_bytes()),
            Format::Msgpack => match self.token()? {
                Token::Str(text) => digits(text),
                _ => None,
            },
        }
    }

    /// A room, which JavaScript may name by anything. A number is its text; other values have none.
    pub(super) fn room(self) -> Option<ByteString> {
        self.text().or_else(|| {
            let mut text = String::new();
            let number = self.float().filter(|number| number.is_finite())?;
            msgpack::push_number(&mut text, number);
            Some(text.into())
        })
    }

    /// Rooms, and whether there were others that no text can name. `None` unless it is an array.
    pub(super) fn rooms(self) -> Option<(Vec<ByteString>, bool)> {
        let (mut rooms, mut has_nameless) = (Vec::new(), false);
        self.elements(|room| {
            match room.room() {
                Some(room) => rooms.push(room),
                None => has_nameless = true,
            }
            Some(())
        })?;
        Some((rooms, has_nameless))
    }

    fn float(self) -> Option<f64> {
        match self.format {
            Format::Json => match self.part.first()? {
                b'-' | b'0'..=b'9' => core::str::from_utf8(self.part).ok()?.parse().ok(),
                _ => None,
            },
            #[expect(clippy::cast_precision_loss, reason = "JavaScript has no other numbers")]
            Format::Msgpack => match self.token()? {
                Token::Uint(number) => Some(number as f64),
                Token::Int(number) => Some(number as f64),
                Token::Float(number) => Some(number),
                _ => None,
            },
        }
    }

    /// A whole number that is not negative and that JavaScript counts exactly.
    pub(super) fn whole_number(self) -> Option<u64> {
        let number = self.float()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            clippy::float_cmp,
            reason = "what the cast has changed is told apart"
        )]
        let whole = Some(number as u64).filter(|cut| *cut as f64 == number);
        whole.filter(|whole| *whole <= INTEGER_MAX)
    }

    /// Any number of 64 bits. Only nodes of this crate write such numbers.
    pub(super) fn wide_number(self) -> Option<u64> {
        match self.format {
            Format::Json => digits(self.part),
            Format::Msgpack => match self.token()? {
                Token::Uint(number) => Some(number),
                _ => None,
            },
        }
    }

    pub(super) fn bool(self) -> Option<bool> {
        match self.format {
            Format::Json => match self.part {
                b"true" => Some(true),
                b"false" => Some(false),
                _ => None,
            },
            Format::Msgpack => match self.token()? {
                Token::Bool(value) => Some(value),
                _ => None,
            },
        }
    }

    /// Whether it is `null`, which is how msgpack writes `undefined`.
    pub(super) fn is_null(self) -> bool {
        match self.format {
            Format::Json => self.part == b"null",
            Format::Msgpack => self.part == [0xc0],
        }
    }

    /// The value, which is checked.
    pub(super) fn value(self) -> Result<Value, MessageError> {
        let (text, attachments) = self.json()?;
        Value::read(&text, attachments)
    }

    /// An array, which is checked.
    pub(super) fn args(self) -> Result<Args, MessageError> {
        let (text, attachments) = self.json()?;
        Args::read((*text).into(), attachments)
            .map_err(|error| MessageError::of(error, MessageError::Malformed))
    }

    /// An event, which is checked.
    pub(super) fn event(self) -> Result<Event, MessageError> {
        let (text, attachments) = self.json()?;
        let event = match self.format {
            Format::Json => Event::read(text, attachments),
            Format::Msgpack => Event::of_json(text, attachments),
        };
        event.map_err(|error| MessageError::of(error, MessageError::NotAnEvent))
    }

    fn json(self) -> Result<(ByteString, Vec<Bytes>), MessageError> {
        match self.format {
            Format::Json => {
                let text = ByteString::try_from(self.share());
                Ok((text.map_err(|_| MessageError::Malformed)?, Vec::new()))
            }
            Format::Msgpack => {
                let read = msgpack::to_json(self.part, self.whole);
                let (text, attachments) = read.map_err(|error| match error {
                    MsgpackError::Malformed => MessageError::Malformed,
                    MsgpackError::TooDeep => MessageError::TooDeep { limit: msgpack::MAX_DEPTH },
                })?;
                Ok((text.into(), attachments))
            }
        }
    }
}

/// The contents of a JSON string.
fn json_text(token: &[u8]) -> Option<Cow<'_, str>> {
    let contents = token.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if !contents.contains(&b'\\') {
        return core::str::from_utf8(contents).ok().map(Cow::Borrowed);
    }
    let token = core::str::from_utf8(token).ok()?;
    Some(Cow::Owned(unescape(token)))
}
