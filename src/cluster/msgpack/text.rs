//! JSON text with attachments as msgpack, and strings between both.

use alloc::{string::String, vec::Vec};

use bytes::Bytes;
use smallvec::SmallVec;

use super::{
    push_array, push_bin, push_bool, push_float, push_int, push_map, push_nil, push_str, push_uint,
};
use crate::{
    cluster::json::{JsonToken, JsonTokens},
    number::INTEGER_MAX,
    socket::{find_placeholders, push_string, unescape},
};

/// So many arrays and objects take no memory to be counted.
const INLINE: usize = 8;

/// Appends a text as a JSON string. What is not UTF-8 becomes replacement characters.
pub(super) fn push_text(out: &mut String, text: &[u8]) {
    if let Ok(text) = core::str::from_utf8(text) {
        push_string(out, text);
        return;
    }
    push_string(out, &String::from_utf8_lossy(text));
}

/// Appends a valid JSON text with its attachments as `@msgpack/msgpack` writes the value.
///
/// Whole numbers that 64 bits can hold become integers, and all others floating point. Nothing
/// happens to a placeholder that refers to no attachment.
pub(in crate::cluster) fn from_json(out: &mut Vec<u8>, json: &str, attachments: &[Bytes]) {
    let mut placeholders = Vec::new();
    if !attachments.is_empty() {
        // Those that are nested too deep were refused before they got attachments.
        placeholders = find_placeholders(json).unwrap_or_default();
    }
    let mut placeholders = placeholders.into_iter().peekable();
    let mut lens = lens(json).into_iter();
    let mut tokens = JsonTokens::new(json.as_bytes());
    while let Some(token) = tokens.next() {
        let len = match token {
            JsonToken::OpenArray | JsonToken::OpenObject => lens.next().unwrap_or_default(),
            _ => 0,
        };
        match token {
            JsonToken::OpenObject => {
                let start = tokens.at().saturating_sub(1);
                let here = placeholders.next_if(|found| found.range.start == start);
                let bytes = here.as_ref().and_then(|found| attachments.get(found.num?));
                match (here, bytes) {
                    (Some(found), Some(bytes)) => {
                        push_bin(out, bytes);
                        let inside = json.get(found.range.clone()).unwrap_or_default();
                        // The objects and arrays in it are not written.
                        skip_lens(&mut lens, inside);
                        tokens.jump(found.range.end);
                    }
                    _ => push_map(out, len),
                }
            }
            JsonToken::OpenArray => push_array(out, len),
            JsonToken::String(token) => push_unescaped(out, token),
            JsonToken::Scalar(token) => push_scalar(out, token),
            JsonToken::Close | JsonToken::Comma | JsonToken::Colon => {}
        }
    }
}

/// The number of elements of each array and of fields of each object, in the order in which they
/// begin.
fn lens(json: &str) -> SmallVec<[usize; INLINE]> {
    let mut lens = SmallVec::<[usize; INLINE]>::new();
    // The places of those that are open, and whether they are arrays.
    let mut open = SmallVec::<[(usize, bool); INLINE]>::new();
    for token in JsonTokens::new(json.as_bytes()) {
        let counts = match token {
            JsonToken::Close => {
                open.pop();
                false
            }
            JsonToken::Comma => false,
            JsonToken::Colon => true,
            _ => open.last().is_some_and(|(_, is_array)| *is_array),
        };
        if counts && let Some(len) = open.last().and_then(|(place, _)| lens.get_mut(*place)) {
            *len = len.saturating_add(1);
        }
        if matches!(token, JsonToken::OpenArray | JsonToken::OpenObject) {
            open.push((lens.len(), token == JsonToken::OpenArray));
            lens.push(0);
        }
    }
    lens
}

fn skip_lens(lens: &mut impl Iterator<Item = usize>, placeholder: &str) {
    let opens =
        |token: &JsonToken<'_>| matches!(token, JsonToken::OpenArray | JsonToken::OpenObject);
    let inside = JsonTokens::new(placeholder.as_bytes()).filter(opens).count().saturating_sub(1);
    lens.take(inside).for_each(drop);
}

fn push_unescaped(out: &mut Vec<u8>, token: &[u8]) {
    let contents = token.strip_prefix(b"\"").and_then(|token| token.strip_suffix(b"\""));
    match contents {
        Some(contents) if !contents.contains(&b'\\') => push_str(out, contents),
        _ => {
            let token = core::str::from_utf8(token).unwrap_or_default();
            push_str(out, unescape(token).as_bytes());
        }
    }
}

fn push_scalar(out: &mut Vec<u8>, token: &[u8]) {
    let text = core::str::from_utf8(token).unwrap_or_default();
    match text {
        "true" => push_bool(out, true),
        "false" => push_bool(out, false),
        "null" => push_nil(out),
        _ => push_json_number(out, text),
    }
}

fn push_json_number(out: &mut Vec<u8>, text: &str) {
    if let Ok(number) = text.parse::<u64>() {
        push_uint(out, number);
    } else if let Ok(number) = text.parse::<i64>() {
        push_int(out, number);
    } else {
        let number: f64 = text.parse().unwrap_or_default();
        match whole(number) {
            Some(number) => push_int(out, number),
            None => push_float(out, number),
        }
    }
}

/// A floating point number that JavaScript counts exactly, as an integer.
fn whole(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "what the cast has changed is told apart")]
    let cut = number as i64;
    #[expect(clippy::cast_precision_loss, reason = "below 2^53 it is exact")]
    #[expect(clippy::float_cmp, reason = "whole or not is an exact question")]
    let is_whole = cut.unsigned_abs() <= INTEGER_MAX && cut as f64 == number;
    is_whole.then_some(cut)
}
