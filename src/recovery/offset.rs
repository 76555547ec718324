//! Positions in the log of a namespace.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A position in the log of one namespace; totally ordered within one log.
///
/// On the wire it is `<epoch>-<sequence>` in decimal, like the id of a Redis stream, and is
/// appended as the last element of an event. The epoch is drawn at random when a log is created. So
/// the log recognises a position of another log (of an earlier process, or of another namespace) as
/// foreign. A log that is restored from a [`Snapshot`](crate::hub::Snapshot) continues with a later
/// epoch and remembers its earlier epochs. A position that was assigned after the snapshot was
/// taken is foreign, too.
///
/// ```
/// use socketio_proto::recovery::Offset;
///
/// let offset: Offset = "7-42".parse().unwrap();
/// assert_eq!((offset.epoch(), offset.sequence()), (7, 42));
/// assert_eq!(offset.to_string(), "7-42");
/// assert!("7-042".parse::<Offset>().is_err(), "one spelling per position");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Offset {
    epoch: u64,
    sequence: u64,
}

impl Offset {
    /// Makes the position `sequence` of the log `epoch`.
    pub const fn new(epoch: u64, sequence: u64) -> Self {
        Self { epoch, sequence }
    }

    /// Returns the epoch, which identifies the log that the position belongs to.
    pub const fn epoch(self) -> u64 {
        self.epoch
    }

    /// Returns the number of positions assigned in the log up to and including this one.
    pub const fn sequence(self) -> u64 {
        self.sequence
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.sequence)
    }
}

impl FromStr for Offset {
    type Err = InvalidOffset;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (epoch, sequence) = text.split_once('-').ok_or(InvalidOffset)?;
        Ok(Self {
            epoch: canonical(epoch)?.parse().map_err(|_| InvalidOffset)?,
            sequence: canonical(sequence)?.parse().map_err(|_| InvalidOffset)?,
        })
    }
}

/// The text is not an offset of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an offset of the form <epoch>-<sequence>")]
pub struct InvalidOffset;

/// Only digits, and no leading zero: every position has one spelling.
fn canonical(digits: &str) -> Result<&str, InvalidOffset> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    if plain && !leading_zero { Ok(digits) } else { Err(InvalidOffset) }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn every_offset_survives_its_text() {
        for offset in [Offset::new(0, 0), Offset::new(1, 9), Offset::new(u64::MAX, u64::MAX)] {
            assert_eq!(offset.to_string().parse(), Ok(offset));
        }
    }

    #[test]
    fn foreign_texts_are_refused() {
        for text in ["", "-", "1-", "-1", "+1-2", "1-+2", "1-2-3", "01-2", "1-02", "a-1", "1 -2"] {
            assert_eq!(text.parse::<Offset>(), Err(InvalidOffset), "{text:?}");
        }
        assert!("18446744073709551616-1".parse::<Offset>().is_err(), "an epoch has 64 bits");
        assert!("1-18446744073709551616".parse::<Offset>().is_err(), "a sequence has 64 bits");
    }
}
