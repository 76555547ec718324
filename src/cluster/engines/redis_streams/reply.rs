//! Replies.

use alloc::vec::Vec;

use bytes::Bytes;
use bytestring::ByteString;

/// A reply of Redis, of either version of its protocol (RESP2 or RESP3).
///
/// A driver makes it from what its client of Redis returns, and bounds its size. Types that no
/// command here is answered with need not be translated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisReply {
    /// Nothing.
    Nil,
    /// A number.
    Int(i64),
    /// Bytes or text.
    Bulk(Bytes),
    /// A short text, such as `OK`.
    Status(ByteString),
    /// The text of an error.
    Error(ByteString),
    /// A list, or a set.
    Array(Vec<Self>),
    /// Keys and values.
    Map(Vec<(Self, Self)>),
}

impl RedisReply {
    pub(super) fn bytes(&self) -> Option<Bytes> {
        match self {
            Self::Bulk(bytes) => Some(bytes.clone()),
            Self::Status(text) => Some(text.as_bytes().clone()),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Bulk(bytes) => core::str::from_utf8(bytes).ok(),
            Self::Status(text) => Some(text),
            _ => None,
        }
    }

    pub(super) const fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(list) => Some(list),
            _ => None,
        }
    }

    /// The pairs of a map, which is a list of keys and values in turn in RESP2.
    pub(super) fn pairs(&self) -> Option<Vec<(&Self, &Self)>> {
        match self {
            Self::Map(pairs) => Some(pairs.iter().map(|(key, value)| (key, value)).collect()),
            Self::Array(list) => list
                .chunks(2)
                .map(|pair| match pair {
                    [key, value] => Some((key, value)),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }
}
