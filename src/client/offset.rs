//! Offsets: which trailing strings of events are positions in the log of a server, and their order.

use crate::socket;

/// A position in the log of a server. The client only repeats it to the server. It reads it to tell
/// an offset from a string of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// `<number>-<number>`: this crate, and the Redis Streams adapter.
    Pair(u64, u64),
    /// 24 hexadecimal digits: the adapter for `MongoDB`. They are not in the order of the log.
    ObjectId,
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
        if let Some((first, second)) = text.split_once('-')
            && let (Some(first), Some(second)) = (decimal(first), decimal(second))
        {
            return Some(Self::Pair(first, second));
        }
        if text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Some(Self::ObjectId);
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
            (Self::Pair(a, b), Self::Pair(c, d)) | (Self::Time(a, b), Self::Time(c, d)) => {
                (a, b) <= (c, d)
            }
            (Self::ObjectId, Self::ObjectId) => true,
            (Self::Pair(..) | Self::ObjectId | Self::Time(..), _) => false,
        }
    }
}

fn decimal(digits: &str) -> Option<u64> {
    let is_canonical = digits.len() == 1 || !digits.starts_with('0');
    if !is_canonical || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
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
        assert_eq!(Position::parse("7-42"), Some(Position::Pair(7, 42)));
        assert_eq!(Position::parse("1735689600000-0"), Some(Position::Pair(1_735_689_600_000, 0)));
        assert_eq!(Position::parse("6774d5c0a1b2c3d4e5f60718"), Some(Position::ObjectId));
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
        let pair = Position::Pair(7, 42);
        assert!(pair.follows(pair) && Position::Pair(7, 43).follows(pair));
        assert!(!Position::Pair(7, 41).follows(pair) && !Position::ObjectId.follows(pair));
    }
}
