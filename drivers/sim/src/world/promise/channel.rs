//! The promise in a cluster: what the entries of a channel say, in their order.
//!
//! A node reports what it does to the sessions that it has, and how far it has read. All else follows
//! from the entries, without the nodes: who an event is for, and which rooms all nodes have changed.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use socketio_proto::{
    ByteString,
    cluster::{
        self,
        message::{Body, BroadcastOptions, Message, Stamp},
    },
    recovery::Offset,
    socket::{Decoder, DecoderLimits, Event, Kind, NamespaceName},
};

use super::{Due, Emission, Kept, Promise, Recorded, Session};

/// How many events that are not in the channel a client may still get.
const LOOSE: usize = 200;

/// Every entry of every channel.
#[derive(Debug)]
pub(super) struct Channels {
    layout: cluster::Channels,
    entries: Vec<Vec<Option<Entry>>>,
    /// The indices of the entries, by their offsets.
    places: Vec<BTreeMap<String, usize>>,
    /// What is there twice takes effect once.
    stamps: BTreeSet<Stamp>,
}

#[derive(Debug)]
struct Entry {
    namespace: NamespaceName,
    options: BroadcastOptions,
    effect: Effect,
}

#[derive(Debug)]
enum Effect {
    Emit(Event, Event),
    Change(Vec<Changed>),
}

/// Because of whom a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::world) enum Ender {
    Application,
    Client,
}

/// What is done to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Joined(String),
    Left(String),
    Kicked,
}

impl Channels {
    fn new(layout: cluster::Channels) -> Self {
        let count = layout.count() as usize;
        Self {
            layout,
            entries: (0..count).map(|_| Vec::new()).collect(),
            places: vec![BTreeMap::new(); count],
            stamps: BTreeSet::new(),
        }
    }

    fn of(&self, namespace: &NamespaceName) -> usize {
        self.layout.of(namespace) as usize
    }
}

impl Promise {
    /// The promise of a cluster. `is_durable` says whether a crash of a node costs no session.
    pub(in crate::world) fn of_cluster(layout: cluster::Channels, is_durable: bool) -> Self {
        Self { channels: Some(Channels::new(layout)), is_durable, ..Self::default() }
    }

    /// Something was appended to a channel.
    pub(in crate::world) fn appended(&mut self, channel: usize, at: Offset, message: &Message) {
        let Some(channels) = &mut self.channels else { return };
        let is_new = message.stamp.is_none_or(|stamp| channels.stamps.insert(stamp));
        let entry = read(at, message).filter(|_| is_new);
        let entries = &mut channels.entries[channel];
        channels.places[channel].insert(at.to_string(), entries.len());
        entries.push(entry);
    }

    /// A session has ended at this node, which has read this much: because of its application, or because of
    /// its client.
    pub(in crate::world) fn ended(&mut self, id: &str, node: usize, read: &[usize], by: Ender) {
        if self.channels.is_some() {
            self.change(id, Changed::Kicked, read);
            if let Some(session) = self.sessions.get_mut(id).filter(|session| !session.is_over) {
                session.is_over = true;
                session.ended_by = (by == Ender::Client).then_some(node);
            }
        }
    }

    /// The store does not have a session any more, because this node has removed it.
    pub(in crate::world) fn removed(&mut self, id: &str, node: usize) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.ended_by.take_if(|ended_by| *ended_by == node);
        }
    }

    /// A node has taken a session out of the store, for its client. If the node crashes, the session may be
    /// lost.
    pub(in crate::world) fn taken(&mut self, id: &str) {
        if let Some(session) = self.sessions.get_mut(id)
            && let Kept::Until(until) = session.kept
        {
            session.kept = Kept::Taken(until);
        }
    }

    /// A process has ended. If the store does not know that it had ended a session because of the client, the
    /// session may go on, unless an entry ends it. What an application ends is in the channel before
    /// anyone hears of it, with all sessions of a connection that it closes.
    pub(in crate::world) fn crashed_at(&mut self, node: usize) {
        let ended = self.sessions.iter().filter(|(_, it)| it.ended_by == Some(node));
        let going_on = ended.map(|(id, session)| (id.clone(), session.not_ended()));
        let going_on: Vec<_> = going_on.filter(|(_, session)| !self.is_kicked(session)).collect();
        self.sessions.extend(going_on);
    }

    /// A process has ended that does not write ahead. A session that the store does not have may have been
    /// there, or on its way there.
    pub(in crate::world) fn crashed_without_records(&mut self) {
        let not_stored = self.sessions.values_mut().filter(|session| !session.is_stored());
        not_stored.for_each(|session| session.may_be_lost = true);
    }

    /// The store keeps a session until then.
    pub(in crate::world) fn stored(&mut self, id: &str, until: u64) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.kept = Kept::Until(until);
        }
    }

    /// A node has given a session up. Another one may still get it.
    pub(in crate::world) fn lost(&mut self, id: &str) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.may_be_lost = true;
        }
    }

    /// What a node has reported.
    pub(super) fn note_of_node(&mut self, record: Recorded, read: &[usize]) {
        match record {
            Recorded::Opened { namespace, socket } => {
                let channel = self.channels.as_ref().map_or(0, |it| it.of(&namespace));
                let mut session = Session::new(namespace, socket.clone());
                session.may_be_lost = self.is_shaken;
                session.next_entry = read.get(channel).copied().unwrap_or_default();
                self.sessions.insert(socket, session);
            }
            Recorded::Joined { socket, room } => self.change(&socket, Changed::Joined(room), read),
            Recorded::Left { socket, room } => self.change(&socket, Changed::Left(room), read),
            // It may have moved.
            Recorded::Ended { .. } => {}
            Recorded::Emitted(emission) => {
                if !emission.is_owed {
                    self.let_loose(&emission);
                }
            }
        }
    }

    /// An event is not in the channel. Whoever is in the namespace may get it, once. That includes a client
    /// whose session has ended elsewhere, while its node is without the engine.
    fn let_loose(&mut self, emission: &Emission) {
        let Emission { namespace, event, sent, asks, .. } = emission;
        let here = self.sessions.values_mut().filter(|it| it.namespace == *namespace);
        for session in here.filter(|session| !session.is_over || session.may_be_old) {
            if session.loose.len() == LOOSE {
                session.loose.remove(0);
            }
            let (event, sent) = (event.clone(), sent.clone());
            session.loose.push(Due { event, sent, is_owed: false, asks: *asks });
        }
    }

    fn change(&mut self, id: &str, what: Changed, read: &[usize]) {
        let (Some(channels), Some(session)) = (&self.channels, self.sessions.get_mut(id)) else {
            return;
        };
        let channel = channels.of(&session.namespace);
        session.changes.push_back((read.get(channel).copied().unwrap_or_default(), what));
    }

    /// Holds a session against the channel, up to the entry that has brought an event.
    pub(super) fn read_until(&mut self, id: &str, event: &Event) {
        let (Some(channels), Some(session)) = (&self.channels, self.sessions.get_mut(id)) else {
            return;
        };
        let Some(last) = event.len().checked_sub(1) else { return };
        let Ok(offset) = event.get::<&str>(last) else { return };
        let channel = channels.of(&session.namespace);
        if let Some(index) = channels.places[channel].get(offset) {
            session.read(&channels.entries[channel], index + 1);
        }
    }

    /// Whether the channel has a kick of a session, which its client need not know of yet.
    pub(super) fn is_kicked(&self, session: &Session) -> bool {
        let Some(channels) = &self.channels else { return false };
        let entries = &channels.entries[channels.of(&session.namespace)];
        let mut session = session.clone();
        session.read(entries, entries.len());
        session.rooms.is_empty()
    }

    /// Holds all sessions against everything in the channel. All nodes must have read everything.
    pub(in crate::world) fn read_all(&mut self) {
        let Some(channels) = &self.channels else { return };
        for session in self.sessions.values_mut() {
            let entries = &channels.entries[channels.of(&session.namespace)];
            session.read(entries, entries.len());
        }
    }
}

impl Session {
    fn read(&mut self, entries: &[Option<Entry>], end: usize) {
        while self.next_entry < end {
            while self.changes.front().is_some_and(|(before, _)| *before <= self.next_entry)
                && let Some((_, what)) = self.changes.pop_front()
            {
                self.undergo(&what);
            }
            let entry = entries.get(self.next_entry).and_then(Option::as_ref);
            self.next_entry += 1;
            let is_here = |entry: &&Entry| entry.namespace == self.namespace;
            let Some(entry) = entry.filter(is_here).filter(|it| self.is_addressed(&it.options))
            else {
                continue;
            };
            match &entry.effect {
                Effect::Emit(event, sent) => {
                    let (event, sent) = (event.clone(), sent.clone());
                    self.due.push_back(Due { event, sent, is_owed: true, asks: false });
                }
                Effect::Change(changes) => changes.iter().for_each(|what| self.undergo(what)),
            }
        }
    }

    /// The session as if its node had not ended it.
    fn not_ended(&self) -> Self {
        let mut session =
            Self { is_over: false, may_be_lost: true, ended_by: None, ..self.clone() };
        let end = session.changes.iter().rposition(|(_, what)| *what == Changed::Kicked);
        end.and_then(|end| session.changes.remove(end));
        session
    }

    /// Whether the store has it, or had until its time was over.
    pub(super) const fn is_stored(&self) -> bool {
        matches!(self.kept, Kept::Until(_))
    }

    /// Whether nobody has to have it any more.
    pub(super) fn may_be_gone(&self, now: u64) -> bool {
        let is_late = matches!(self.kept, Kept::Until(until) | Kept::Taken(until) if until <= now);
        self.is_over || self.may_be_lost || is_late
    }

    /// A session that was kicked is in no room, not even in its own.
    fn undergo(&mut self, what: &Changed) {
        match what {
            Changed::Joined(room) => {
                if !self.rooms.is_empty() {
                    self.rooms.insert(room.clone());
                }
            }
            Changed::Left(room) => {
                self.rooms.remove(room);
            }
            Changed::Kicked => self.rooms.clear(),
        }
    }

    fn is_addressed(&self, options: &BroadcastOptions) -> bool {
        let is_in = |room: &ByteString| self.rooms.contains(&**room);
        let is_target = options.is_for_all() || options.rooms().iter().any(is_in);
        is_target && !self.rooms.is_empty() && !options.excepted().iter().any(is_in)
    }

    /// Takes an event that is not in the channel.
    pub(super) fn take_loose(&mut self, event: &Event) -> Option<Event> {
        let index = self.loose.iter().position(|due| due.sent == *event)?;
        Some(self.loose.remove(index).event)
    }
}

/// What an entry does to sessions.
fn read(at: Offset, message: &Message) -> Option<Entry> {
    let texts = |rooms: &[ByteString]| rooms.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (options, effect) = match &message.body {
        Body::Broadcast(broadcast) => {
            let packet = broadcast.packet().expect("nodes write what can be read");
            if !broadcast.is_recoverable(&packet) {
                return None;
            }
            let sent = with_offset(&packet.event, at);
            (&broadcast.options, Effect::Emit(packet.event, sent))
        }
        Body::SocketsJoin { options, rooms } => {
            let joined = texts(rooms).into_iter().map(Changed::Joined);
            (options, Effect::Change(joined.collect()))
        }
        Body::SocketsLeave { options, rooms } => {
            (options, Effect::Change(texts(rooms).into_iter().map(Changed::Left).collect()))
        }
        Body::DisconnectSockets { options, .. } => (options, Effect::Change(vec![Changed::Kicked])),
        _ => return None,
    };
    Some(Entry { namespace: message.namespace.clone(), options: options.clone(), effect })
}

/// The event as a client gets it.
fn with_offset(event: &Event, at: Offset) -> Event {
    let (attachments, json) = (event.attachments(), event.json());
    let open = json.strip_suffix(']').expect("an array");
    let text = match attachments.len() {
        0 => format!("2{open},\"{at}\"]"),
        count => format!("5{count}-{open},\"{at}\"]"),
    };
    let mut decoder = Decoder::new(DecoderLimits {
        attachments: usize::MAX,
        attachment_bytes: usize::MAX,
        namespace_name_bytes: usize::MAX,
    });
    let mut packet = decoder.push_text(text.into());
    for attachment in attachments {
        packet = decoder.push_binary(attachment.clone());
    }
    match packet.expect("it is an event").expect("it is whole").kind {
        Kind::Event { event, .. } => event,
        other => panic!("no event: {other:?}"),
    }
}
