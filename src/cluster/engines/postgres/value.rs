//! Statements and values.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use bytestring::ByteString;

/// A value of PostgreSQL: a parameter of a statement, or a column of a row.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostgresValue {
    /// Nothing, of any type.
    Null,
    /// `bigint`.
    Int8(i64),
    /// `text`.
    Text(ByteString),
    /// `bytea`.
    Bytea(Bytes),
    /// `bigint[]`.
    Int8Array(Vec<i64>),
    /// `text[]`.
    TextArray(Vec<Option<ByteString>>),
    /// `bytea[]`.
    ByteaArray(Vec<Option<Bytes>>),
}

impl PostgresValue {
    /// A number as PostgreSQL keeps it. Nothing here comes near to its limit.
    pub(super) fn number(number: u64) -> Self {
        Self::Int8(int8(number))
    }

    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn as_number(&self) -> Option<u64> {
        match self {
            Self::Int8(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    pub(super) const fn as_text(&self) -> Option<&ByteString> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) const fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Bytea(bytes) => Some(bytes),
            _ => None,
        }
    }
}

pub(super) fn int8(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Shows no text and no bytes, because they can be private ids and events.
impl fmt::Debug for PostgresValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Int8(number) => write!(f, "Int8({number})"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Bytea(bytes) => write!(f, "Bytea({} bytes)", bytes.len()),
            Self::Int8Array(list) => write!(f, "Int8Array({})", list.len()),
            Self::TextArray(list) => write!(f, "TextArray({})", list.len()),
            Self::ByteaArray(list) => write!(f, "ByteaArray({})", list.len()),
        }
    }
}

/// A statement for PostgreSQL with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresStatement {
    sql: ByteString,
    parameters: Vec<PostgresValue>,
}

impl PostgresStatement {
    pub(super) fn new<const N: usize>(sql: &ByteString, parameters: [PostgresValue; N]) -> Self {
        Self { sql: sql.clone(), parameters: parameters.into() }
    }

    /// Returns the text, with `$1`, `$2` … for the parameters. Statements that differ only in their
    /// parameters have the same text, so that it can be prepared once.
    pub const fn sql(&self) -> &ByteString {
        &self.sql
    }

    /// Returns the parameters.
    pub fn parameters(&self) -> &[PostgresValue] {
        &self.parameters
    }
}
