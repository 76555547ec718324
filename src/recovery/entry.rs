//! How the log stores a packet.

use core::num::NonZeroU64;

use super::{
    addressees::Addressees,
    room::RoomId,
    texts::{Place, Texts},
};
use crate::socket::{Attachments, Encoded};

/// The part that every packet has: where its text is and, if they are few, its rooms. Everything else is
/// stored separately, in an [`Extra`]. This saves memory in a long log: 16 bytes per packet instead
/// of 96.
#[derive(Debug)]
pub(super) struct Entry {
    text: Place,
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
        text: Place,
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

    pub(super) const fn text(&self) -> Place {
        self.text
    }

    pub(super) fn packet(&self, extra: Option<&Extra>, texts: &Texts) -> Encoded {
        let attachments = extra.and_then(|extra| extra.attachments.clone());
        Encoded::from_parts(texts.get(self.text), attachments)
    }

    /// Bytes on the wire.
    pub(super) fn wire_len(&self, extra: Option<&Extra>, texts: &Texts) -> usize {
        let attachments = extra.and_then(|extra| extra.attachments.as_deref()).unwrap_or_default();
        attachments.iter().fold(texts.len(self.text), |sum, bytes| sum.saturating_add(bytes.len()))
    }
}
