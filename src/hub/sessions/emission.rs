//! Emitting events: encoding, positions and ids of acknowledgements.

use alloc::{string::ToString as _, vec::Vec};

use super::{Effect, Links, Member, Published, Recipients, Sessions};
use crate::{
    hub::message::Reliability,
    number::next_id,
    recovery::{Addressees, Offset},
    socket::{Encoded, Event, NamespaceName},
    time::Timestamp,
};

impl<D> Sessions<D> {
    /// Decides who receives an event, and encodes it for them. Has no effect if nobody receives it,
    /// now or after a recovery.
    #[expect(clippy::inline_always, reason = "a part of `Sessions::apply`, and for its reason")]
    #[inline(always)]
    pub(super) fn publish(
        &mut self,
        now: Timestamp,
        to: &Recipients<'_>,
        event: &Event,
        ack: Option<u64>,
        reliability: Reliability,
    ) -> Effect<D> {
        let is_logged = reliability.is_logged();
        let (addressees, links, asked) = match to {
            Recipients::Session { id, index } => {
                let Some(index) = self.locate(id, *index) else {
                    return Effect::None;
                };
                let link = self.members.get(index as usize).and_then(Member::connection);
                let links = link.map_or_else(Links::new, |link| Links::from_buf([link]));
                (Self::addressed_to(index), links, Vec::new())
            }
            Recipients::Audience { .. } => {
                let is_for_others = is_logged && self.config.logs_vacant_rooms;
                let found = if is_for_others { self.resolve_for_all(to) } else { self.resolve(to) };
                let Some(addressees) = found else {
                    return Effect::None;
                };
                let (mut links, mut asked) =
                    (Links::with_capacity(self.reach(&addressees)), Vec::new());
                self.visit(&addressees, |occupant| {
                    links.push(occupant.connection);
                    if ack.is_some() {
                        asked.push(occupant.socket);
                    }
                });
                (addressees, links, asked)
            }
        };
        if links.is_empty() && !is_logged {
            return Effect::None;
        }
        let packet = self.encode(now, &addressees, event, ack, is_logged);
        #[cfg(feature = "record")]
        self.record_emitted(&addressees, event, &packet, ack.is_some(), is_logged);
        Effect::Published(Published { packet, reliability, links, asked })
    }

    /// Encodes an event for its addressees and, if it is to be logged, gives it a position.
    ///
    /// Only this function assigns positions to emissions.
    fn encode(
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
        let encoded = self.log.append(now, to, ack, |offset| {
            // The official client ignores the offset of an event that asks for an acknowledgement.
            encode(name, event, ack, ack.is_none().then_some(offset))
        });
        self.forget_positions();
        encoded
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
        self.forget_positions();
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
