//! Offsets: which trailing strings of events are positions in the log of a server, and their order.

use crate::{recovery::Offset, socket};

/// A position in the log of a server. The client only repeats it to the server. It reads it to tell
/// an offset from a string of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// Two numbers, which this crate and the Redis Streams adapter write, or 24 hexadecimal digits,
    /// which the adapter for `MongoDB` writes. The offsets of `MongoDB` are not in the order of the
    /// log.
    Offset(Offset),
    /// Milliseconds in base 64, and `.<count>` within one: the in-memory adapter.
    Time(u64, u64),
}

impl Position {
    /// Reads the trailing string of an event. A string of another form belongs to the application.
    pub(super) fn of(event: &socket::Event) -> Option<(&str, Self)> {
        if !event.ends_with_string() {
            return None;
        }
        let text: &str = event.get(event.len().checked_sub(1)?).ok()?;
        Some((text, Self::parse(text)?))
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(offset) = text.parse() {
            return Some(Self::Offset(offset));
        }
        let (time, count) = match text.split_once('.') {
            Some((time, count)) => (base64(time)?, base64(count)?),
            None => (base64(text)?, 0),
        };
        // Hardly any word of seven letters is also a date of these years.
        (2_015..2_045).contains(&year(time)).then_some(Self::Time(time, count))
    }

    /// Whether this can come after `earlier`: it has the same form, and it is not before it. A volatile
    /// event repeats the position of the event before it (H04).
    pub(super) fn follows(self, earlier: Self) -> bool {
        match (earlier, self) {
            (Self::Offset(earlier), Self::Offset(offset)) => {
                match (earlier.numbers(), offset.numbers()) {
                    (Some(earlier), Some(numbers)) => earlier <= numbers,
                    (None, None) => true,
                    _ => false,
                }
            }
            (Self::Time(a, b), Self::Time(c, d)) => (a, b) <= (c, d),
            (Self::Offset(_) | Self::Time(..), _) => false,
        }
    }
}

/// Reads the number format of the in-memory adapter.
fn base64(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0_u64, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        number.checked_mul(64)?.checked_add(u64::from(digit))
    })
}

/// The approximate year of a time in milliseconds since 1970.
fn year(millis: u64) -> u64 {
    (millis / 31_556_952_000).saturating_add(1_970)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offsets_of_all_adapters_are_read() {
        for text in ["7-42", "1735689600000-0", "6774d5c0a1b2c3d4e5f60718"] {
            assert_eq!(Position::parse(text), Some(Position::Offset(text.parse().unwrap())));
        }
        // `yeast()` of 2024-06-01, and the second one within the same millisecond.
        let first = Position::parse("OyxQ0n0").unwrap();
        let second = Position::parse("OyxQ0n0.0").unwrap();
        assert!(matches!(first, Position::Time(..)));
        assert!(second.follows(first) && Position::parse("OyxQ0n1").unwrap().follows(second));
    }

    #[test]
    fn words_are_not_offsets() {
        for text in ["", "hello", "goodbye", "hello world", "1-", "a-1", "01-2", "1-2-3", "1.2"] {
            assert_eq!(Position::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn offsets_of_another_form_or_before_the_last_one_do_not_follow() {
        let position = |text| Position::parse(text).unwrap();
        let (pair, id) = (position("7-42"), position("6774d5c0a1b2c3d4e5f60718"));
        assert!(pair.follows(pair) && position("7-43").follows(pair));
        assert!(!position("7-41").follows(pair) && !position("6-50").follows(pair));
        assert!(id.follows(id) && position("000000000000000000000000").follows(id), "H33");
        assert!(!id.follows(pair) && !pair.follows(id));
        assert!(!position("OyxQ0n0").follows(pair) && !pair.follows(position("OyxQ0n0")));
    }
}
