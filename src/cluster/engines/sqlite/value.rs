//! Statements and values.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use bytestring::ByteString;

/// A value of SQLite: a parameter of a statement, or a column of a row.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SqliteValue {
    /// Nothing.
    Null,
    /// A number.
    Integer(i64),
    /// Text.
    Text(ByteString),
    /// Bytes.
    Blob(Bytes),
}

impl SqliteValue {
    /// A number as SQLite keeps it. Nothing here comes near to its limit.
    pub(super) fn number(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// The 64 bits of a checksum, which SQLite keeps as a signed number.
    pub(super) const fn bits(bits: u64) -> Self {
        Self::Integer(bits.cast_signed())
    }

    pub(super) fn as_number(&self) -> Option<u64> {
        match self {
            Self::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    pub(super) const fn as_bits(&self) -> Option<u64> {
        match self {
            Self::Integer(number) => Some(number.cast_unsigned()),
            _ => None,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) const fn as_blob(&self) -> Option<&Bytes> {
        match self {
            Self::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// Shows no text and no bytes, because they can be private ids and events.
impl fmt::Debug for SqliteValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Integer(number) => write!(f, "Integer({number})"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Blob(bytes) => write!(f, "Blob({} bytes)", bytes.len()),
        }
    }
}

/// A statement for SQLite with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteStatement {
    sql: &'static str,
    parameters: Vec<SqliteValue>,
}

impl SqliteStatement {
    pub(super) fn new<const N: usize>(sql: &'static str, parameters: [SqliteValue; N]) -> Self {
        Self { sql, parameters: parameters.into() }
    }

    /// Returns the text, with `?1`, `?2` … for the parameters.
    pub const fn sql(&self) -> &'static str {
        self.sql
    }

    /// Returns the parameters.
    pub fn parameters(&self) -> &[SqliteValue] {
        &self.parameters
    }
}
