//! Emitting events: encoding, positions and ids of acknowledgements.

use alloc::{string::ToString as _, vec::Vec};

use super::{Effect, Links, Member, Published, Recipients, Sessions};
use crate::{
    hub::message::Reliability,
    number::next_id,
    recovery::{Addressees, Offset, RecoveryBuffer},
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
        at: Option<Offset>,
    ) -> Effect<D> {
        let is_logged = reliability.is_logged();
        if at.is_some_and(|position| !self.log.can_append_at(position)) {
            return Effect::None;
        }
        let (addressees, links, asked) = match to {
            Recipients::Session { id, index } => {
                let Some(index) = self.locate(id, *index) else {
                    return Effect::None;
                };
                let link = self.members.get(index as usize).and_then(Member::connection);
                let links = link.map_or_else(Links::new, |link| Links::from_buf([link]));
                (Self::addressed_to(index), links, Vec::new())
            }
            Recipients::Audience { .. } | Recipients::Received(_) => {
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
        let Some(packet) = self.encode(now, &addressees, event, ack, is_logged, at) else {
            return Effect::None;
        };
        #[cfg(feature = "record")]
        self.record_emitted(&addressees, event, &packet, ack.is_some(), is_logged);
        Effect::Published(Published { packet, reliability, links, asked })
    }

    /// Encodes an event for its addressees and, if it is to be logged, gives it a position.
    ///
    /// Only this function assigns positions to emissions, unless they come from a channel. `None` if
    /// the position is not after all others.
    fn encode(
        &mut self,
        now: Timestamp,
        to: &Addressees,
        event: &Event,
        ack: Option<u64>,
        is_logged: bool,
        at: Option<Offset>,
    ) -> Option<Encoded> {
        let name = &self.name;
        if !is_logged {
            // The official client treats any trailing string of an event as its offset.
            let is_mistakable =
                self.config.recovery.is_some() && ack.is_none() && event.ends_with_string();
            let marker = is_mistakable.then(|| self.log.head_offset());
            return Some(encode(name, event, ack, marker));
        }
        let encode = |offset| {
            // The official client ignores the offset of an event that asks for an acknowledgement.
            encode(name, event, ack, ack.is_none().then_some(offset))
        };
        let encoded = match at {
            None => self.log.append(now, to, ack, encode),
            Some(position) => self.log.append_at(now, position, to, ack, encode).ok()?,
        };
        self.forget_positions();
        Some(encoded)
    }

    /// The channel was read up to this position.
    pub(super) fn advance(&mut self, position: Offset) -> Effect<D> {
        Effect::done(self.log.advance(position).is_ok())
    }

    /// Begins the log anew. Has no effect while there are sessions.
    pub(super) fn follow(&mut self, origin: Offset) -> Effect<D> {
        if !self.members.is_empty() {
            return Effect::None;
        }
        self.log = RecoveryBuffer::following(&self.config, origin);
        Effect::Done
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
