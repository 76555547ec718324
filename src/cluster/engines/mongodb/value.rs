//! Documents and values.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use bytestring::ByteString;

/// A value of MongoDB. A driver converts it from and to BSON.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum MongodbValue {
    /// Nothing. What is read and has no variant here becomes this, too.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number of 32 bits.
    Int32(i32),
    /// A number of 64 bits.
    Int64(i64),
    /// A floating-point number.
    Double(f64),
    /// Text.
    Text(ByteString),
    /// Bytes, with the subtype 0.
    Binary(Bytes),
    /// Milliseconds since 1970.
    DateTime(i64),
    /// The id of a document.
    ObjectId([u8; 12]),
    /// A list.
    Array(Vec<Self>),
    /// A document in a document.
    Document(MongodbDocument),
}

/// A document: names and values, in order.
#[derive(Clone, Default, PartialEq)]
pub struct MongodbDocument(Vec<(ByteString, MongodbValue)>);

impl MongodbDocument {
    /// Makes a document without fields.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: impl Into<ByteString>, value: MongodbValue) -> Self {
        self.0.push((name.into(), value));
        self
    }

    /// Returns the first field with this name.
    pub fn get(&self, name: &str) -> Option<&MongodbValue> {
        self.0.iter().find(|(field, _)| &**field == name).map(|(_, value)| value)
    }

    /// Returns the fields, in order.
    pub fn fields(&self) -> &[(ByteString, MongodbValue)] {
        &self.0
    }

    /// Returns the fields, in order.
    pub fn into_fields(self) -> Vec<(ByteString, MongodbValue)> {
        self.0
    }
}

impl FromIterator<(ByteString, MongodbValue)> for MongodbDocument {
    fn from_iter<I: IntoIterator<Item = (ByteString, MongodbValue)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl MongodbValue {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// A time. No clock here comes near to the limit.
    pub(super) fn date(unix_ms: u64) -> Self {
        Self::DateTime(i64::try_from(unix_ms).unwrap_or(i64::MAX))
    }

    pub(super) fn as_text(&self) -> Option<&ByteString> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number that is not negative.
    pub(super) fn as_number(&self) -> Option<u64> {
        match self {
            Self::Int32(number) => u64::try_from(*number).ok(),
            Self::Int64(number) => u64::try_from(*number).ok(),
            Self::Double(number) if *number >= 0.0 && *number < 4_294_967_296.0 => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "it is in range, and a fraction is told apart"
                )]
                let whole = *number as u32;
                (f64::from(whole).to_bits() == number.to_bits()).then_some(whole.into())
            }
            _ => None,
        }
    }

    /// 64 bits, which MongoDB keeps as a signed number.
    pub(super) const fn as_bits(&self) -> Option<u64> {
        match self {
            Self::Int64(number) => Some(number.cast_unsigned()),
            _ => None,
        }
    }
}

/// Shows no text and no bytes, because they can be private ids and events.
impl fmt::Debug for MongodbValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bool(value) => write!(f, "Bool({value})"),
            Self::Int32(number) => write!(f, "Int32({number})"),
            Self::Int64(number) => write!(f, "Int64({number})"),
            Self::Double(number) => write!(f, "Double({number})"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
            Self::DateTime(ms) => write!(f, "DateTime({ms})"),
            Self::ObjectId(_) => f.write_str("ObjectId"),
            Self::Array(values) => f.debug_list().entries(values).finish(),
            Self::Document(document) => document.fmt(f),
        }
    }
}

/// Shows no text and no bytes, because they can be private ids and events.
impl fmt::Debug for MongodbDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, value)| (&**name, value))).finish()
    }
}
