//! msgpack as JSON text with attachments.

use alloc::{string::String, vec::Vec};

use bytes::Bytes;
use smallvec::SmallVec;

use super::{
    date::{self, TIMESTAMP},
    number::push_number,
    read::{Token, read},
    text::push_text,
};
use crate::socket::{push_decimal, push_placeholder};

/// The deepest nesting that is read. `@msgpack/msgpack` writes at most 100.
pub(in crate::cluster) const MAX_DEPTH: usize = 128;

/// Up to this depth, it takes no memory to find the way.
const INLINE: usize = 8;

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cluster) enum MsgpackError {
    Malformed,
    /// It is nested more than [`MAX_DEPTH`] deep.
    TooDeep,
}

/// Reads one value, which is a part of `whole`, as what JavaScript would send of it: JSON text, and
/// the bytes inside it as attachments.
///
/// Times become text, and extensions `{"type":5,"data":<bytes>}`. Text and attachments take at most
/// 40 times the space of the value.
pub(in crate::cluster) fn to_json(
    value: &[u8],
    whole: &Bytes,
) -> Result<(String, Vec<Bytes>), MsgpackError> {
    // JSON has quotes, commas and escapes where msgpack has the lengths.
    let room = value.len().saturating_add(value.len() / 8).saturating_add(16);
    let mut writer = Writer { whole, out: String::with_capacity(room), attachments: Vec::new() };
    let mut stack: SmallVec<[Frame; INLINE]> = SmallVec::new();
    let mut input = value;
    loop {
        let token = read(&mut input).ok_or(MsgpackError::Malformed)?;
        let opened = match token {
            Token::Array(len) => Some(Frame { is_map: false, left: len.into() }),
            Token::Map(len) => Some(Frame { is_map: true, left: u64::from(len) * 2 }),
            _ => None,
        };
        let is_key = stack.last().is_some_and(Frame::is_at_key);
        match opened {
            Some(_) if is_key => return Err(MsgpackError::Malformed),
            Some(_) if stack.len() >= MAX_DEPTH => {
                return Err(MsgpackError::TooDeep);
            }
            Some(frame) => {
                writer.out.push(if frame.is_map { '{' } else { '[' });
                stack.push(frame);
            }
            None if is_key => writer.key(token)?,
            None => writer.scalar(token)?,
        }
        if opened.is_none() {
            writer.separate(stack.last_mut());
        }
        while let Some(closed) = stack.last().copied().filter(|frame| frame.left == 0) {
            stack.pop();
            writer.out.push(if closed.is_map { '}' } else { ']' });
            writer.separate(stack.last_mut());
        }
        if stack.is_empty() {
            break;
        }
    }
    if !input.is_empty() {
        return Err(MsgpackError::Malformed);
    }
    Ok((writer.out, writer.attachments))
}

/// An array or map that is still open.
#[derive(Clone, Copy)]
struct Frame {
    is_map: bool,
    /// Keys and values that are missing.
    left: u64,
}

impl Frame {
    const fn is_at_key(&self) -> bool {
        self.is_map && self.left.is_multiple_of(2)
    }
}

struct Writer<'a> {
    whole: &'a Bytes,
    out: String,
    attachments: Vec<Bytes>,
}

impl Writer<'_> {
    /// What stands behind a key or a value.
    fn separate(&mut self, frame: Option<&mut Frame>) {
        let Some(frame) = frame else { return };
        let was_key = frame.is_at_key();
        frame.left = frame.left.saturating_sub(1);
        if was_key {
            self.out.push(':');
        } else if frame.left > 0 {
            self.out.push(',');
        }
    }

    /// JavaScript turns numbers into text, and refuses other types.
    fn key(&mut self, token: Token<'_>) -> Result<(), MsgpackError> {
        match token {
            Token::Str(text) => push_text(&mut self.out, text),
            Token::Uint(_) | Token::Int(_) | Token::Float(_) => {
                self.out.push('"');
                self.scalar(token)?;
                self.out.push('"');
            }
            _ => return Err(MsgpackError::Malformed),
        }
        Ok(())
    }

    fn scalar(&mut self, token: Token<'_>) -> Result<(), MsgpackError> {
        match token {
            Token::Nil => self.out.push_str("null"),
            Token::Bool(value) => self.out.push_str(if value { "true" } else { "false" }),
            Token::Uint(number) => push_decimal(&mut self.out, number),
            Token::Int(number) => {
                self.out.push('-');
                push_decimal(&mut self.out, number.unsigned_abs());
            }
            Token::Float(number) => push_number(&mut self.out, number),
            Token::Str(text) => push_text(&mut self.out, text),
            Token::Bin(bytes) => self.attach(bytes),
            Token::Ext(TIMESTAMP, bytes) => {
                if !date::push_timestamp(&mut self.out, bytes) {
                    return Err(MsgpackError::Malformed);
                }
            }
            Token::Ext(kind, bytes) => {
                self.out.push_str("{\"type\":");
                push_number(&mut self.out, kind.into());
                self.out.push_str(",\"data\":");
                self.attach(bytes);
                self.out.push('}');
            }
            Token::Array(_) | Token::Map(_) => return Err(MsgpackError::Malformed),
        }
        Ok(())
    }

    fn attach(&mut self, bytes: &[u8]) {
        push_placeholder(&mut self.out, self.attachments.len());
        // `slice_ref` would keep the message for the sake of nothing.
        let bytes = if bytes.is_empty() { Bytes::new() } else { self.whole.slice_ref(bytes) };
        self.attachments.push(bytes);
    }
}
