//! Offsets: positions in the log of a namespace, as clients present them.

use alloc::borrow::Cow;
use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::number::digits;

/// A position in the log of one namespace.
///
/// On the wire it is a text that the server appends to an event as its last argument. The client
/// presents the last one that it has processed when it reconnects. The text has one of two forms:
///
/// | form | example | assigned by |
/// | --- | --- | --- |
/// | two decimal numbers | `7-42`, `1716999999999-3` | this server, Redis Streams, and databases that number their rows |
/// | 24 lowercase hexadecimal digits | `6774d5c0a1b2c3d4e5f60718` | `MongoDB` |
///
/// An offset is opaque: only the log that assigned it knows what its parts mean. Every position has
/// one text. Offsets are ordered by their parts. Those of one log have the order of its events, but
/// need not be consecutive. Between those of different logs, the order means nothing.
///
/// A server that numbers its events itself writes `<epoch>-<sequence>`. The epoch is drawn at
/// random when the log is created. So the log recognises an offset of another log (of an earlier
/// process, or of another namespace) as foreign. A log that is restored from a
/// [`Snapshot`](crate::hub::Snapshot) continues with a later epoch. So it also recognises an offset
/// that the earlier process assigned after it had taken the snapshot.
///
/// ```
/// use socketio_proto::recovery::Offset;
///
/// let offset: Offset = "7-42".parse().unwrap();
/// assert_eq!(offset, Offset::pair(7, 42));
/// assert_eq!(offset.to_string(), "7-42");
/// assert!(offset < Offset::pair(7, 43) && offset < Offset::pair(8, 0));
/// assert!("7-042".parse::<Offset>().is_err(), "every position has one text");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset {
    form: Form,
    key: Key,
}

/// The form of the text. All offsets of one log have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Form {
    /// Two decimal numbers.
    Pair,
    /// 24 hexadecimal digits.
    ObjectId,
}

/// An offset without its form: two numbers, the more significant first. A log stores this for each
/// packet. Of an object id, the second number contains the last four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(pub(super) u64, pub(super) u64);

impl Form {
    /// The greatest second number of a key.
    const fn last(self) -> u64 {
        match self {
            Self::Pair => u64::MAX,
            Self::ObjectId => u32::MAX as u64,
        }
    }
}

impl Key {
    /// The least key that is greater. The greatest one stays as it is.
    pub(super) fn next(self, form: Form) -> Self {
        let Self(first, second) = self;
        if second < form.last() {
            Self(first, second.saturating_add(1))
        } else {
            first.checked_add(1).map_or(self, |first| Self(first, 0))
        }
    }

    /// The greatest key that is less. The least one stays as it is.
    pub(super) fn previous(self, form: Form) -> Self {
        let Self(first, second) = self;
        match (first.checked_sub(1), second.checked_sub(1)) {
            (_, Some(second)) => Self(first, second),
            (Some(first), None) => Self(first, form.last()),
            (None, None) => self,
        }
    }
}

impl Offset {
    /// Makes the offset `<first>-<second>`. The first number is the more significant one.
    ///
    /// ```
    /// use socketio_proto::recovery::Offset;
    ///
    /// assert_eq!(Offset::pair(1_716_999_999_999, 3).to_string(), "1716999999999-3");
    /// ```
    pub const fn pair(first: u64, second: u64) -> Self {
        Self { form: Form::Pair, key: Key(first, second) }
    }

    /// Makes the offset of 24 hexadecimal digits that these bytes stand for. The first byte is the
    /// most significant one.
    ///
    /// ```
    /// use socketio_proto::recovery::Offset;
    ///
    /// let offset = Offset::object_id([0x67, 0x74, 0xd5, 0xc0, 0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 7, 24]);
    /// assert_eq!(offset.to_string(), "6774d5c0a1b2c3d4e5f60718");
    /// ```
    pub fn object_id(bytes: [u8; 12]) -> Self {
        let (first, second) = bytes.split_at(8);
        let number = |part: &[u8]| part.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Self { form: Form::ObjectId, key: Key(number(first), number(second)) }
    }

    /// Returns the two numbers of an offset that has the form `<first>-<second>`. `None` if it has
    /// another form.
    ///
    /// ```
    /// use socketio_proto::recovery::Offset;
    ///
    /// assert_eq!(Offset::pair(5, 3).numbers(), Some((5, 3)));
    /// assert_eq!(Offset::object_id([7; 12]).numbers(), None);
    /// ```
    pub fn numbers(self) -> Option<(u64, u64)> {
        let Key(first, second) = self.key;
        (self.form == Form::Pair).then_some((first, second))
    }

    /// Reads the text of an offset.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        match text.iter().position(|byte| *byte == b'-') {
            Some(dash) => pair(text, dash),
            None => object_id(text),
        }
    }

    /// The offset with this form and key.
    pub(super) const fn from_key(form: Form, key: Key) -> Self {
        Self { form, key }
    }

    /// Whether both offsets have the same form, so that they can be compared.
    pub(crate) fn has_form_of(self, other: Self) -> bool {
        self.form == other.form
    }

    pub(super) const fn form(self) -> Form {
        self.form
    }

    pub(super) const fn key(self) -> Key {
        self.key
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key(first, second) = self.key;
        match self.form {
            Form::Pair => write!(f, "{first}-{second}"),
            Form::ObjectId => write!(f, "{first:016x}{second:08x}"),
        }
    }
}

impl fmt::Debug for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Offset({self})")
    }
}

impl FromStr for Offset {
    type Err = InvalidOffset;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text.as_bytes()).ok_or(InvalidOffset)
    }
}

impl Serialize for Offset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// The text is not an [`Offset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not two decimal numbers with a dash between them, and not 24 hexadecimal digits")]
pub struct InvalidOffset;

fn pair(text: &[u8], dash: usize) -> Option<Offset> {
    let (first, rest) = text.split_at_checked(dash)?;
    let (_, second) = rest.split_first()?;
    Some(Offset::pair(decimal(first)?, decimal(second)?))
}

/// Only digits, and no leading zero: every position has one text.
fn decimal(text: &[u8]) -> Option<u64> {
    let has_leading_zero = text.len() > 1 && text.first() == Some(&b'0');
    if has_leading_zero { None } else { digits(text) }
}

fn object_id(text: &[u8]) -> Option<Offset> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 24 || !text.iter().all(is_digit) {
        return None;
    }
    let text = core::str::from_utf8(text).ok()?;
    let (first, second) = text.split_at_checked(16)?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    Some(Offset { form: Form::ObjectId, key: Key(number(first)?, number(second)?) })
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString as _};

    use super::*;

    #[test]
    fn every_offset_survives_its_text() {
        let pairs = [(0, 0), (1, 9), (u64::MAX, u64::MAX)];
        let pairs = pairs.map(|(first, second)| Offset::pair(first, second));
        let ids = [[0; 12], [0xff; 12], *b"\0\x01\x02abc\xf0\0\0\0\0\x09"].map(Offset::object_id);
        for offset in pairs.into_iter().chain(ids) {
            let text = offset.to_string();
            assert_eq!(text.parse(), Ok(offset));
            let json = serde_json::to_string(&offset).unwrap();
            assert_eq!(json, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Offset>(&json).unwrap(), offset);
            assert_eq!(format!("{offset:?}"), format!("Offset({text})"));
        }
        assert!(serde_json::from_str::<Offset>("\"7\"").is_err());
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "-", "1-", "-1", "+1-2", "1-+2", "1-2-3", "01-2", "1-02", "a-1", "1 -2"] {
            assert_eq!(text.parse::<Offset>(), Err(InvalidOffset), "{text:?}");
        }
        assert!("18446744073709551616-1".parse::<Offset>().is_err(), "a number has 64 bits");
        assert!("1-18446744073709551616".parse::<Offset>().is_err(), "a number has 64 bits");
        for text in [
            "6774d5c0a1b2c3d4e5f6071",
            "6774d5c0a1b2c3d4e5f607180",
            "6774D5C0A1B2C3D4E5F60718",
            "6774d5c0a1b2c3d4e5f6071g",
            "6774d5c0a1b2c3d+e5f60718",
            "6774d5c0a1b2c3dé5f60718",
        ] {
            assert_eq!(text.parse::<Offset>(), Err(InvalidOffset), "{text:?}");
        }
    }

    #[test]
    fn nothing_is_between_an_offset_and_the_next() {
        let next = |text: &str| {
            let offset: Offset = text.parse().unwrap();
            Offset::from_key(offset.form(), offset.key().next(offset.form())).to_string()
        };
        assert_eq!(next("7-42"), "7-43");
        assert_eq!(next("7-18446744073709551615"), "8-0");
        assert_eq!(next("6774d5c0a1b2c3d4e5f607ff"), "6774d5c0a1b2c3d4e5f60800");
        assert_eq!(next("6774d5c0a1b2c3d4ffffffff"), "6774d5c0a1b2c3d500000000");
        assert_eq!(next("ffffffffffffffffffffffff"), "ffffffffffffffffffffffff");
        let previous = |text: &str| {
            let offset: Offset = text.parse().unwrap();
            Offset::from_key(offset.form(), offset.key().previous(offset.form())).to_string()
        };
        for (offset, before) in [
            ("7-43", "7-42"),
            ("8-0", "7-18446744073709551615"),
            ("0-0", "0-0"),
            ("6774d5c0a1b2c3d4e5f60800", "6774d5c0a1b2c3d4e5f607ff"),
            ("6774d5c0a1b2c3d500000000", "6774d5c0a1b2c3d4ffffffff"),
            ("000000000000000000000000", "000000000000000000000000"),
        ] {
            assert_eq!(previous(offset), before);
        }
    }

    #[test]
    fn offsets_have_the_order_of_their_parts() {
        assert!(Offset::pair(7, u64::MAX) < Offset::pair(8, 0));
        assert!(Offset::pair(9, 0) < Offset::pair(10, 0), "by number, not by text");
        let ids = ["00000000000000ffffffffff", "000000000000010000000000"];
        let ids = ids.map(|text| text.parse::<Offset>().unwrap());
        assert!(ids.is_sorted());
        let mut bytes = [0; 12];
        bytes[7] = 1;
        assert!(Offset::object_id(bytes) > Offset::object_id(*b"\0\0\0\0\0\0\0\0\xff\xff\xff\xff"));
    }
}
