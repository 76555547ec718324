//! How the log stores a packet.

use core::num::NonZeroU64;

use bytes::BytesMut;
use bytestring::ByteString;

use super::{addressees::Addressees, room::RoomId};
use crate::socket::{Attachments, Encoded};

/// The part that every packet has: its text and, if they are few, its rooms. Everything else is
/// stored separately, in an [`Extra`]. This saves memory in a long log: 40 bytes per packet instead
/// of 96.
#[derive(Debug)]
pub(super) struct Entry {
    text: ByteString,
    /// The one target room, or [`RoomId::NOWHERE`] if there is an extra.
    target: RoomId,
    /// The one excepted room, or [`RoomId::NOWHERE`].
    except: RoomId,
}

/// The part that only a few packets have.
#[derive(Debug, Default)]
pub(super) struct Extra {
    to: Addressees,
    attachments: Attachments,
    /// The id of the acknowledgement that the packet asks for, plus one.
    ack: Option<NonZeroU64>,
}

impl Extra {
    /// Whether the packet asks for an acknowledgement.
    pub(super) fn asks(&self) -> bool {
        self.ack.is_some()
    }
}

impl Entry {
    /// Splits a packet into the part that is stored inline and the part that is stored separately.
    pub(super) fn new(
        text: ByteString,
        attachments: Attachments,
        to: &Addressees,
        ack: Option<u64>,
    ) -> (Self, Option<Extra>) {
        let rooms = match (&*to.targets, &*to.except) {
            ([], []) => Some((RoomId::NOBODY, RoomId::NOWHERE)),
            ([], [except]) => Some((RoomId::NOBODY, *except)),
            ([target], []) => Some((*target, RoomId::NOWHERE)),
            ([target], [except]) => Some((*target, *except)),
            _ => None,
        };
        match rooms {
            Some((target, except)) if attachments.is_none() && ack.is_none() => {
                (Self { text, target, except }, None)
            }
            _ => {
                let ack = ack.and_then(|id| NonZeroU64::new(id.saturating_add(1)));
                let extra = Extra { to: to.clone(), attachments, ack };
                (Self { text, target: RoomId::NOWHERE, except: RoomId::NOWHERE }, Some(extra))
            }
        }
    }

    pub(super) fn has_extra(&self) -> bool {
        self.target == RoomId::NOWHERE
    }

    /// The rooms that the packet was for.
    pub(super) fn targets<'a>(&'a self, extra: Option<&'a Extra>) -> &'a [RoomId] {
        match extra {
            Some(extra) => &extra.to.targets,
            None if self.target == RoomId::NOBODY => &[],
            None => core::slice::from_ref(&self.target),
        }
    }

    /// The rooms that the packet was withheld from, sorted.
    pub(super) fn except<'a>(&'a self, extra: Option<&'a Extra>) -> &'a [RoomId] {
        match extra {
            Some(extra) => &extra.to.except,
            None if self.except == RoomId::NOWHERE => &[],
            None => core::slice::from_ref(&self.except),
        }
    }

    /// The packet and the id of the acknowledgement that it asks for.
    pub(super) fn packet(&self, extra: Option<&Extra>) -> (Encoded, Option<u64>) {
        let attachments = extra.and_then(|extra| extra.attachments.clone());
        let ack = extra.and_then(|extra| extra.ack).map(|id| id.get() - 1);
        (Encoded::from_parts(self.text.clone(), attachments), ack)
    }

    /// Bytes on the wire.
    pub(super) fn wire_len(&self, extra: Option<&Extra>) -> usize {
        let attachments = extra.and_then(|extra| extra.attachments.as_deref()).unwrap_or_default();
        attachments.iter().fold(self.text.len(), |sum, bytes| sum.saturating_add(bytes.len()))
    }
}

/// Writes the texts of packets one after the other into shared blocks of memory.
///
/// A separate allocation for each text would cost two allocations and 24 bytes for reference
/// counts, a third of a small packet. A block is freed when the last of its packets has left the
/// log and all queues. So a client that does not read can keep a whole block alive for one packet.
/// This is bounded: blocks are small, and it keeps only blocks that were written while it did not
/// read.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    present: BytesMut,
}

impl Blocks {
    const SIZE_MIN: usize = 512;
    const SIZE_MAX: usize = 4_096;

    /// Copies a text into the current block, if it is short enough to share one. `held` is the
    /// number of bytes that the log already holds: a log that holds little must not reserve much.
    pub(super) fn place(&mut self, text: ByteString, held: usize) -> ByteString {
        let size = held.clamp(Self::SIZE_MIN, Self::SIZE_MAX);
        if text.len() > size / 8 {
            return text;
        }
        if self.present.capacity() < text.len() {
            self.present = BytesMut::with_capacity(size);
        }
        self.present.extend_from_slice(text.as_bytes());
        ByteString::try_from(self.present.split().freeze()).unwrap_or(text)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
