//! The lines of the log.
//!
//! ```text
//!   00000000000000000011 E <message>                            an entry
//!   00000000000000000012 F <epoch> <count> <length><channel><payload>   of an official node
//!   00000000000000000013 S <namespace>                          nobody has heard it before
//!   01795788761092000000 M <number before> <marker>             a marker
//! ```
//!
//! There are no spaces, and numbers have 20 digits.

use alloc::{format, string::String, vec::Vec};

use bytes::Bytes;

use crate::{number::digits, socket::NamespaceName};

/// The digits of a number.
const DIGITS: usize = 20;

/// Says which of all things that official nodes have published one is. All nodes that hear the channel
/// say the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) channel: String,
    pub(super) epoch: u64,
    pub(super) count: u64,
}

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Entry(Bytes),
    /// What an official node has published, and which of all that is.
    Foreign(Heard, Bytes),
    Unheard(NamespaceName),
    Marker {
        before: u64,
        marker: u64,
    },
}

/// Reads a line: its number, and what it says, if anybody can read that.
pub(super) fn read(line: &Bytes) -> Option<(u64, Option<Line>)> {
    let (number, rest) = number(line)?;
    let (kind, rest) = rest.split_first()?;
    Some((number, contents(line, *kind, rest)))
}

fn contents(line: &Bytes, kind: u8, rest: &[u8]) -> Option<Line> {
    match kind {
        b'E' => Some(Line::Entry(line.slice_ref(rest))),
        b'F' => {
            let (epoch, rest) = number(rest)?;
            let (count, rest) = number(rest)?;
            let (len, rest) = number(rest)?;
            let (channel, payload) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            let channel = core::str::from_utf8(channel).ok()?.into();
            Some(Line::Foreign(Heard { channel, epoch, count }, line.slice_ref(payload)))
        }
        b'S' => {
            let name = core::str::from_utf8(rest).ok()?;
            Some(Line::Unheard(NamespaceName::read(name)?))
        }
        b'M' => {
            let (before, rest) = number(rest)?;
            let (marker, rest) = number(rest)?;
            rest.is_empty().then_some(Line::Marker { before, marker })
        }
        _ => None,
    }
}

/// What follows the number of a line that says what an official node has published.
pub(super) fn foreign(heard: &Heard, payload: &[u8]) -> Vec<u8> {
    let Heard { channel, epoch, count } = heard;
    let mut line = format!("F{epoch:020}{count:020}{:020}{channel}", channel.len()).into_bytes();
    line.extend_from_slice(payload);
    line
}

fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = text.split_at_checked(DIGITS)?;
    Some((digits(number)?, rest))
}
