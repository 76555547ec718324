//! Values as msgpack, which everything else reads and writes, and back.

use alloc::{string::String, vec::Vec};
use core::fmt::Write as _;

use bytes::Bytes;

use super::{MongodbDocument, MongodbValue};
use crate::cluster::{
    message::MessageError,
    msgpack::{
        Token, push_array, push_bin, push_bool, push_float, push_int, push_map, push_nil, push_str,
        push_time, read,
    },
};

/// The deepest nesting of a value. MongoDB takes documents of 100 levels, and a change stream puts
/// some around the value.
pub(super) const MAX_DEPTH: usize = 90;

const TOO_DEEP: MessageError = MessageError::TooDeep { limit: MAX_DEPTH };

pub(super) fn to_msgpack(value: &MongodbValue) -> Result<Bytes, MessageError> {
    let mut out = Vec::new();
    push(&mut out, value, 0)?;
    Ok(out.into())
}

fn push(out: &mut Vec<u8>, value: &MongodbValue, depth: usize) -> Result<(), MessageError> {
    if depth > MAX_DEPTH {
        return Err(TOO_DEEP);
    }
    match value {
        MongodbValue::Null => push_nil(out),
        MongodbValue::Bool(value) => push_bool(out, *value),
        MongodbValue::Int32(number) => push_int(out, (*number).into()),
        MongodbValue::Int64(number) => push_int(out, *number),
        MongodbValue::Double(number) => push_float(out, *number),
        MongodbValue::Text(text) => push_str(out, text.as_bytes()),
        MongodbValue::Binary(bytes) => push_bin(out, bytes),
        MongodbValue::DateTime(ms) => push_time(out, *ms),
        MongodbValue::ObjectId(id) => push_str(out, hexadecimal(id).as_bytes()),
        MongodbValue::Array(values) => {
            push_array(out, values.len());
            values.iter().try_for_each(|value| push(out, value, depth.saturating_add(1)))?;
        }
        MongodbValue::Document(document) => {
            push_map(out, document.fields().len());
            for (name, value) in document.fields() {
                push_str(out, name.as_bytes());
                push(out, value, depth.saturating_add(1))?;
            }
        }
    }
    Ok(())
}

/// Returns the value, and whether it has all numbers as they were: BSON has none of 64 bits without a sign.
pub(super) fn from_msgpack(bytes: &Bytes) -> Result<(MongodbValue, bool), MessageError> {
    let (mut input, mut is_exact) = (&bytes[..], true);
    let value = pull(&mut input, &mut is_exact, 0)?;
    if input.is_empty() { Ok((value, is_exact)) } else { Err(MessageError::Malformed) }
}

fn pull(
    input: &mut &[u8],
    is_exact: &mut bool,
    depth: usize,
) -> Result<MongodbValue, MessageError> {
    if depth > MAX_DEPTH {
        return Err(TOO_DEEP);
    }
    let inside = depth.saturating_add(1);
    Ok(match read(input).ok_or(MessageError::Malformed)? {
        Token::Nil => MongodbValue::Null,
        Token::Bool(value) => MongodbValue::Bool(value),
        Token::Uint(number) => match (i32::try_from(number), i64::try_from(number)) {
            (Ok(number), _) => MongodbValue::Int32(number),
            (_, Ok(number)) => MongodbValue::Int64(number),
            #[expect(clippy::cast_precision_loss, reason = "JavaScript has no other numbers")]
            _ => {
                *is_exact = false;
                MongodbValue::Double(number as f64)
            }
        },
        Token::Int(number) => {
            i32::try_from(number).map_or(MongodbValue::Int64(number), MongodbValue::Int32)
        }
        Token::Float(number) => MongodbValue::Double(number),
        Token::Str(text) => MongodbValue::Text(String::from_utf8_lossy(text).into_owned().into()),
        Token::Bin(bytes) => MongodbValue::Binary(Bytes::copy_from_slice(bytes)),
        Token::Array(len) => {
            let mut values = Vec::new();
            for _ in 0..len {
                values.push(pull(input, is_exact, inside)?);
            }
            MongodbValue::Array(values)
        }
        Token::Map(len) => {
            let mut document = MongodbDocument::new();
            for _ in 0..len {
                let Some(Token::Str(name)) = read(input) else {
                    return Err(MessageError::Malformed);
                };
                // BSON has no names with zeros.
                if name.contains(&0) {
                    return Err(MessageError::Malformed);
                }
                let name = String::from_utf8_lossy(name).into_owned();
                document = document.with(name, pull(input, is_exact, inside)?);
            }
            MongodbValue::Document(document)
        }
        Token::Ext(..) => return Err(MessageError::Malformed),
    })
}

fn hexadecimal(id: &[u8; 12]) -> String {
    let mut text = String::with_capacity(24);
    for byte in id {
        // Writing to a text does not fail.
        write!(text, "{byte:02x}").ok();
    }
    text
}
