//! Values of any shape.

use alloc::{string::String, vec::Vec};
use core::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::MessageError;
use crate::socket::{Args, ArgsError, EncodeError};

/// A value of any shape, with the bytes inside it. It stays JSON text until it is read as a type.
/// Cheap to clone.
///
/// ```
/// use socketio_proto::cluster::message::Value;
///
/// let value = Value::new(&("ok", 1))?;
/// assert_eq!(value.json(), r#"["ok",1]"#);
/// assert_eq!(value.parse::<(String, u8)>()?, ("ok".to_owned(), 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// The only element of a list.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Args);

impl Value {
    /// Serializes a value. Bytes anywhere inside, such as a [`Bytes`], become attachments.
    ///
    /// # Errors
    ///
    /// * [`EncodeError::Placeholder`] and [`EncodeError::TooDeep`], both only if there are
    ///   attachments.
    /// * [`EncodeError::Serialize`] if a `Serialize` implementation fails.
    pub fn new<T: Serialize + ?Sized>(value: &T) -> Result<Self, EncodeError> {
        Args::new(&(value,)).map(Self)
    }

    /// Returns `null`.
    pub const fn null() -> Self {
        Self(Args::NULL)
    }

    /// Makes a value from a text that may be any, and attachments.
    pub(super) fn read(text: &str, attachments: Vec<Bytes>) -> Result<Self, MessageError> {
        let mut list = String::with_capacity(text.len().saturating_add(2));
        list.push('[');
        list.push_str(text);
        list.push(']');
        let args = Args::read(list, attachments)
            .map_err(|error| MessageError::of(error, MessageError::Malformed))?;
        // Of `1,2` or nothing at all, the brackets would have made a list.
        if args.len() == 1 { Ok(Self(args)) } else { Err(MessageError::Malformed) }
    }

    /// Returns the first of several arguments, or `null` if there are none. It is what an official
    /// node makes of an acknowledgement.
    ///
    /// ```
    /// use socketio_proto::cluster::message::Value;
    /// use socketio_proto::socket::Args;
    ///
    /// assert_eq!(Value::first_of(&Args::new(&("ok", 1))?).json(), r#""ok""#);
    /// assert_eq!(Value::first_of(&Args::empty()), Value::null());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn first_of(args: &Args) -> Self {
        args.first().map_or(Self::null(), Self)
    }

    /// Reads the value as `T`, which may borrow from the text.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Mismatch`] if it is not of that type.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ArgsError> {
        self.0.get(0)
    }

    /// Returns the text.
    pub fn json(&self) -> &str {
        let list = self.0.json();
        list.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or_default()
    }

    /// Returns the value as the only one of a list of arguments.
    pub const fn as_args(&self) -> &Args {
        &self.0
    }

    /// Returns the attachments. [`Binary`](crate::socket::Binary) handles inside the value refer to
    /// them.
    pub fn attachments(&self) -> &[Bytes] {
        self.0.attachments()
    }
}

impl AsRef<[Bytes]> for Value {
    fn as_ref(&self) -> &[Bytes] {
        self.attachments()
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::Binary;

    #[test]
    fn the_first_argument_keeps_its_bytes_alone() {
        let (first, second) = (Bytes::from_static(b"1"), Bytes::from_static(b"2"));
        let args = Args::new(&([&second, &first], &second)).unwrap();
        let value = Value::first_of(&args);
        assert_eq!(value.attachments(), [second.clone(), first]);
        let [handle, _] = value.parse::<[Binary; 2]>().unwrap();
        assert_eq!(handle.resolve(&value), Some(&second));
        assert_eq!(
            value,
            Value::new(&[Bytes::from_static(b"2"), Bytes::from_static(b"1")]).unwrap()
        );
        assert_eq!(Value::first_of(value.as_args()), value);
        assert_eq!(Value::null(), Value::new(&()).unwrap());
        assert_eq!(Value::null().json(), "null");
    }
}
