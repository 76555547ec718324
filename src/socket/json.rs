//! A JSON value that stays text.

use core::fmt;

use bytestring::ByteString;
use serde::{Deserialize, Serialize, Serializer, de::IgnoredAny, ser::Error as _};
use serde_json::value::RawValue;

use super::{ArgsError, EncodeError, text};

/// Valid JSON text, which is read as a type only on demand. Cheap to clone.
///
/// Valid is what `JSON.parse` of JavaScript accepts. That is slightly more than Rust types can
/// hold: a string with a lone surrogate (`"\ud800"`) is valid, but cannot be read as a `String`.
///
/// ```
/// use socketio_proto::socket::Json;
///
/// let json = Json::new(&("a", 1))?;
/// assert_eq!(json.as_str(), r#"["a",1]"#);
/// assert_eq!(json.parse::<(String, u8)>()?, ("a".to_owned(), 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Json(ByteString);

impl Json {
    /// Serializes a value. Bytes inside become arrays of numbers.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Serialize`] if the value's `Serialize` implementation fails.
    pub fn new<T: Serialize + ?Sized>(value: &T) -> Result<Self, EncodeError> {
        let text = serde_json::to_string(value).map_err(EncodeError::serialize)?;
        Ok(Self(text.into_boxed_str().into()))
    }

    /// Checks a text, and copies it without surrounding white space.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Mismatch`] if the text is not exactly one JSON value.
    ///
    /// ```
    /// use socketio_proto::socket::Json;
    ///
    /// assert_eq!(Json::from_text(" [1, 2]\n")?.as_str(), "[1, 2]");
    /// assert!(Json::from_text("[1, 2").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_text(text: &str) -> Result<Self, ArgsError> {
        serde_json::from_str::<IgnoredAny>(text).map_err(ArgsError::mismatch)?;
        Ok(Self::from_valid(text))
    }

    /// Returns the empty object, `{}`.
    pub const fn empty_object() -> Self {
        Self(ByteString::from_static("{}"))
    }

    /// Copies a text that was checked before.
    pub(super) fn from_valid(json: &str) -> Self {
        Self(text::trim(json).into())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the value as `T`, which may borrow from the text.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Mismatch`] if the value is not of that type or nested more than 127 deep.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ArgsError> {
        serde_json::from_str(self.as_str()).map_err(ArgsError::mismatch)
    }
}

/// Writes the text as it is, also inside other values.
impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: &RawValue = serde_json::from_str(&self.0).map_err(S::Error::custom)?;
        value.serialize(serializer)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::Event;

    #[test]
    fn a_value_is_passed_on_as_it_is() {
        let json = Json::from_text(r#"{"b":1.50,"a":[null,"\ud800"]}"#).unwrap();
        let event = Event::new("auth", &(&json, 7)).unwrap();
        assert_eq!(event.json(), r#"["auth",{"b":1.50,"a":[null,"\ud800"]},7]"#);
        assert_eq!(serde_json::to_string(&json).unwrap(), json.as_str());
    }
}
