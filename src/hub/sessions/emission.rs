//! Emitting events: encoding, positions and ids of acknowledgements.

use alloc::string::ToString as _;

use super::{Effect, Sessions};
use crate::{
    number::next_id,
    recovery::{Addressees, Offset},
    socket::{Encoded, Event, NamespaceName},
    time::Timestamp,
};

impl<D> Sessions<D> {
    /// Encodes an event for its addressees and, if it is to be logged, gives it a position.
    ///
    /// Only this function assigns positions to emissions.
    pub(super) fn publish(
        &mut self,
        now: Timestamp,
        to: &Addressees,
        event: &Event,
        ack: Option<u64>,
        is_logged: bool,
    ) -> Encoded {
        let name = &self.name;
        if !is_logged {
            // The official client treats any trailing string of an event as its offset.
            let is_mistakable =
                self.config.recovery.is_some() && ack.is_none() && event.ends_with_string();
            let marker = is_mistakable.then(|| self.log.head_offset());
            return encode(name, event, ack, marker);
        }
        self.log.append(now, to, ack, |offset| {
            // The official client ignores the offset of an event that asks for an acknowledgement.
            encode(name, event, ack, ack.is_none().then_some(offset))
        })
    }

    /// Reserves the id of an acknowledgement.
    pub(super) fn take_ack_id(&mut self, id: u64) -> Effect<D> {
        self.next_ack = next_id(id);
        Effect::Done
    }

    /// The acknowledgement with this id is not awaited any more.
    pub(super) fn settle_ack(&mut self, id: u64) -> Effect<D> {
        self.log.settle_question(id);
        Effect::Done
    }

    /// Evicts packets that are too old from the log.
    pub(super) fn expire_log(&mut self, now: Timestamp) -> Effect<D> {
        self.log.expire(now);
        Effect::Done
    }
}

fn encode(
    name: &NamespaceName,
    event: &Event,
    ack: Option<u64>,
    offset: Option<Offset>,
) -> Encoded {
    match offset.map(|offset| offset.numbers().ok_or(offset)) {
        Some(Err(offset)) => Encoded::event(name, event, ack, Some(&offset.to_string())),
        Some(Ok(numbers)) => Encoded::event_at(name, event, ack, Some(numbers)),
        None => Encoded::event(name, event, ack, None),
    }
}
