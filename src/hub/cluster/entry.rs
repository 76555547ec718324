//! What entries of the channel and messages of other nodes do here.

use alloc::borrow::Cow;

use bytestring::ByteString;

use crate::{
    cluster::message::{Body, BroadcastOptions, ClusterBroadcast, Message, OwnKind},
    hub::{
        Hub,
        message::Reliability,
        sessions::{Change, Recipients},
    },
    recovery::Offset,
    stats::increment,
    time::Timestamp,
};

impl<D: Default> Hub<D> {
    /// Applies an entry of the channel. Every node applies it at the same place.
    pub(super) fn apply_entry(&mut self, now: Timestamp, position: Offset, message: &Message) {
        let Some(id) = self.find_replica(&message.namespace, &message.body) else {
            return self.answer_elsewhere(message);
        };
        if self.in_use(Some(id)).is_some() {
            self.note_entry(now, id, message);
        }
        self.apply_in(now, id, position, message);
        self.note_applied(id, position, &message.body);
    }

    fn apply_in(&mut self, now: Timestamp, id: u32, position: Offset, message: &Message) {
        if let Body::Broadcast(broadcast) = &message.body {
            self.apply_broadcast(now, id, position, broadcast);
            return;
        }
        self.with_namespace(id, |namespace, _| {
            namespace.sessions.apply(now, Change::Advance { position });
        });
        if let Some(node) = &mut self.node {
            node.changes.note(id, position, &message.body);
        }
        match &message.body {
            Body::Own { kind: OwnKind::Claim, data } => {
                self.apply_claim(now, (id, position), message, data);
            }
            Body::Own { kind: OwnKind::RecordResponse, data } => {
                self.apply_handover(now, id, message, data);
            }
            Body::Own { kind: OwnKind::Marker, data }
                if self.node.as_ref().is_some_and(|node| node.channels.is_own(message)) =>
            {
                self.handle_marker(id, data);
            }
            // Records from before it are refused, as if this node had not been there.
            Body::Own { kind: OwnKind::Unheard, .. } => self.keep_changes(id, Some(position)),
            Body::SocketsJoin { options, rooms } => {
                self.change_rooms(now, id, options, rooms, |to, room| Change::JoinAll { to, room });
            }
            Body::SocketsLeave { options, rooms } => {
                self.change_rooms(now, id, options, rooms, |to, room| Change::LeaveAll {
                    to,
                    room,
                });
            }
            Body::DisconnectSockets { options, close } => {
                if let Some(to) = recipients(options) {
                    self.disconnect_all(now, id, to, *close);
                }
            }
            _ => {}
        }
    }

    /// Delivers an event that is not in the channel.
    pub(super) fn deliver_volatile(&mut self, id: u32, broadcast: &ClusterBroadcast) {
        self.deliver(self.now, id, broadcast, Reliability::Volatile, None);
    }

    fn apply_broadcast(
        &mut self,
        now: Timestamp,
        id: u32,
        position: Offset,
        broadcast: &ClusterBroadcast,
    ) {
        // Official nodes also put volatile events into the channel. Nobody replays them here.
        let reliability = match broadcast.options.flags.volatile {
            Some(_) => Reliability::Volatile,
            None if self.config.recovery.is_some() => Reliability::Owed,
            None => Reliability::Reliable,
        };
        let at = reliability.is_logged().then_some(position);
        self.deliver(now, id, broadcast, reliability, at);
    }

    fn deliver(
        &mut self,
        now: Timestamp,
        id: u32,
        broadcast: &ClusterBroadcast,
        reliability: Reliability,
        at: Option<Offset>,
    ) {
        let packet = broadcast.packet().ok();
        // An event that asks for an acknowledgement is for a socket of the sender.
        let event = packet.filter(|packet| packet.ack.is_none()).map(|packet| packet.event);
        let event = event.filter(|event| self.config.check_event(event, at.is_some()).is_ok());
        let (Some(event), Some(to)) = (event, recipients(&broadcast.options)) else {
            increment(&mut self.totals.entries_skipped);
            return;
        };
        self.with_namespace(id, |namespace, out| {
            let event = Cow::Owned(event);
            let change = Change::Publish { to, event, ack: None, reliability, at };
            let published = namespace.sessions.apply(now, change).published();
            namespace.deliver(out, published);
        });
    }

    fn change_rooms(
        &mut self,
        now: Timestamp,
        id: u32,
        options: &BroadcastOptions,
        rooms: &[ByteString],
        change: impl for<'a> Fn(Recipients<'a>, Cow<'a, str>) -> Change<'a, D>,
    ) {
        for room in rooms {
            let Some(to) = recipients(options) else { return };
            let change = change(to, Cow::Borrowed(room));
            let counted = self
                .with_namespace(id, |namespace, _| namespace.sessions.apply(now, change).counted());
            let refused = counted.map_or(0, |(_, refused)| refused);
            let total = &mut self.totals.joins_refused;
            *total = total.wrapping_add(refused as u64);
        }
    }
}

/// Whom an entry concerns. `None` if nobody.
pub(super) fn recipients(options: &BroadcastOptions) -> Option<Recipients<'_>> {
    (!options.is_for_nobody()).then_some(Recipients::Received(options))
}
