//! The handle for an attachment inside incoming arguments.

use alloc::{borrow::Cow, string::String};
use core::fmt;

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};

use super::text;

/// The key that marks a placeholder.
pub(super) const FLAG: &str = "_placeholder";
/// The key of the attachment's index.
pub(super) const NUM: &str = "num";

/// Appends the placeholder of an attachment.
pub(crate) fn push_placeholder(out: &mut String, num: usize) {
    out.push_str(r#"{"_placeholder":true,"num":"#);
    text::push_number(out, num as u64);
    out.push('}');
}

/// A binary value anywhere inside incoming arguments: a handle for one of the attachments.
///
/// On the wire it is the placeholder `{"_placeholder":true,"num":0}`. A handle cannot be sent,
/// because it means nothing without its bytes. To send bytes, put a [`Bytes`], or anything else
/// that serializes as bytes, into the arguments.
///
/// ```
/// use bytes::Bytes;
/// use serde::{Deserialize, Serialize};
/// use socketio_proto::socket::{Binary, Event};
///
/// #[derive(Serialize)]
/// struct Outgoing<'a> { name: &'a str, data: Bytes }
/// #[derive(Deserialize)]
/// struct Incoming<'a> { name: &'a str, data: Binary }
///
/// let file = Outgoing { name: "a.txt", data: Bytes::from_static(b"hello") };
/// let event = Event::new("upload", &(file,))?;
///
/// let file: Incoming<'_> = event.get(0)?;
/// assert_eq!(file.name, "a.txt");
/// assert_eq!(file.data.resolve(&event), Some(&Bytes::from_static(b"hello")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Binary {
    num: usize,
}

impl Binary {
    /// Returns the attachment, given the [`Event`](super::Event) or [`Args`](super::Args) that the
    /// handle came from. Returns `None` if there is no such attachment: in a packet without
    /// attachments, placeholders are not checked.
    pub fn resolve<A: AsRef<[Bytes]> + ?Sized>(self, packet: &A) -> Option<&Bytes> {
        packet.as_ref().get(self.num)
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PlaceholderVisitor)
    }
}

struct PlaceholderVisitor;

impl<'de> Visitor<'de> for PlaceholderVisitor {
    type Value = Binary;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a binary value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Binary, A::Error> {
        let mut is_placeholder = false;
        let mut num = None;
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                FLAG => is_placeholder = map.next_value()?,
                NUM => num = Some(map.next_value::<Integer>()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match num {
            Some(Integer(num)) if is_placeholder => Ok(Binary { num }),
            _ => Err(A::Error::custom("not a placeholder of a binary value")),
        }
    }
}

/// A key; borrowed where it can be.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// An integer, which may be written like `1.0`.
struct Integer(usize);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(IntegerVisitor)
    }
}

struct IntegerVisitor;

impl Visitor<'_> for IntegerVisitor {
    type Value = Integer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the index of an attachment")
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Integer, E> {
        usize::try_from(value).map(Integer).map_err(E::custom)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Integer, E> {
        usize::try_from(value).map(Integer).map_err(E::custom)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Integer, E> {
        integer(value).map(Integer).ok_or_else(|| E::custom("not an index"))
    }
}

/// Returns the index that a number stands for in JavaScript, where `1.0` is an integer.
pub(super) fn integer(value: f64) -> Option<usize> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what the cast has changed is refused"
    )]
    let index = value as u32;
    #[expect(clippy::float_cmp, reason = "an integer or not is an exact question")]
    let is_exact = f64::from(index) == value;
    if is_exact { usize::try_from(index).ok() } else { None }
}
