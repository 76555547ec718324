//! The promise, from the outside: what the clients of a session must get.

use std::collections::BTreeSet;

use socketio_proto::{
    ByteString,
    cluster::message::{Body, BroadcastOptions, Message},
};
use socketio_proto_sim::engine::Positions;

/// A session as its client knows it, with what was done to it on its node.
pub struct Session {
    pub namespace: &'static str,
    pub sid: String,
    pub pid: String,
    /// The entry before which it began.
    pub birth: usize,
    pub changes: Vec<Change>,
    /// Names of the events that the client has processed.
    pub processed: Vec<String>,
    pub offset: Option<String>,
    /// The offset of an earlier session, which the client presents until it gets another one.
    pub kept: Option<String>,
    /// The nodes that may have it.
    pub places: BTreeSet<usize>,
    /// Why it may be lost.
    pub doubt: Option<&'static str>,
}

/// What the application has done to a session on its node.
pub struct Change {
    pub when: When,
    pub what: What,
}

pub enum When {
    /// Before the entry with this index.
    Before(usize),
    /// Behind the event of this name.
    Behind(String),
}

#[derive(Clone, Copy)]
pub enum What {
    Join(&'static str),
    Leave(&'static str),
    Kick,
}

impl Session {
    /// The events that were addressed to it, in order, and whether it was kicked after them.
    fn expected(&self, entries: &[Option<Message>]) -> (Vec<String>, bool) {
        let mut rooms = BTreeSet::from([self.sid.as_str()]);
        let mut changes: Vec<(usize, What)> = self.placed(entries);
        changes.sort_by_key(|(index, _)| *index);
        let mut changes = changes.into_iter().peekable();
        let mut expected = Vec::new();
        let mut read = BTreeSet::new();
        for (index, entry) in entries.iter().enumerate() {
            while let Some((_, what)) = changes.next_if(|change| change.0 <= index) {
                match what {
                    What::Join(room) => rooms.extend([room]),
                    What::Leave(left) => rooms.retain(|room| *room != left),
                    What::Kick => return (expected, true),
                }
            }
            let Some(message) = entry else { continue };
            let is_here = message.namespace.as_str() == self.namespace;
            // What is there twice takes effect once.
            let is_new = message.stamp.is_none_or(|stamp| read.insert(stamp));
            if !is_here || !is_new || index < self.birth {
                continue;
            }
            match &message.body {
                Body::Broadcast(broadcast) if is_addressed(&rooms, &broadcast.options) => {
                    expected.push(broadcast.packet().unwrap().event.name().to_owned());
                }
                Body::SocketsJoin { options, rooms: joined } if is_addressed(&rooms, options) => {
                    rooms.extend(joined.iter().map(|room| &**room));
                }
                Body::SocketsLeave { options, rooms: left } if is_addressed(&rooms, options) => {
                    rooms.retain(|room| !left.iter().any(|left| **left == **room));
                }
                Body::DisconnectSockets { options, .. } if is_addressed(&rooms, options) => {
                    return (expected, true);
                }
                _ => {}
            }
        }
        // What was done behind the last entry.
        (expected, changes.any(|(_, what)| matches!(what, What::Kick)))
    }

    /// Whether it was kicked.
    pub fn is_over(&self, entries: &[Option<Message>]) -> bool {
        self.expected(entries).1
    }

    /// Whether nobody can know if the client has processed what is at its offset: it has kept the offset
    /// from an earlier session, and the event there was addressed to this one as well.
    pub fn is_ambiguous(&self, entries: &[Option<Message>]) -> bool {
        let presented = self.offset.as_ref().or(self.kept.as_ref());
        let Some(kept) = self.kept.as_ref().filter(|kept| presented == Some(kept)) else {
            return false;
        };
        let entry = entries[entry_at(kept, entries)].as_ref();
        self.expected(entries).0.iter().any(|name| is_event(entry, name))
    }

    /// The changes with the entries before which they took effect.
    fn placed(&self, entries: &[Option<Message>]) -> Vec<(usize, What)> {
        let changes = self.changes.iter().filter_map(|change| match &change.when {
            When::Before(index) => Some((*index, change.what)),
            // The session does not leave before that.
            When::Behind(name) => {
                let index = entries.iter().position(|entry| is_event(entry.as_ref(), name))?;
                Some((index + 1, change.what))
            }
        });
        changes.collect()
    }

    /// Compares what the client has processed with what was addressed to the session: all of it, or
    /// the first part.
    pub fn check(&self, entries: &[Option<Message>], is_complete: bool) {
        let (expected, _) = self.expected(entries);
        let got = &self.processed;
        let end = if is_complete { expected.len() } else { got.len().min(expected.len()) };
        assert_eq!(*got, expected[..end], "of {}", self.sid);
    }
}

/// The index of the entry with this offset.
pub fn entry_at(offset: &str, entries: &[Option<Message>]) -> usize {
    let mut all = 0..entries.len();
    all.find(|index| Positions::Pairs.of(*index).to_string() == offset).expect("it is a position")
}

fn is_event(message: Option<&Message>, name: &str) -> bool {
    let Some(Message { body: Body::Broadcast(broadcast), .. }) = message else { return false };
    broadcast.packet().unwrap().event.name() == name
}

fn is_addressed(rooms: &BTreeSet<&str>, options: &BroadcastOptions) -> bool {
    let is_in = |room: &ByteString| rooms.contains(&**room);
    let is_target = options.is_for_all() || options.rooms().iter().any(is_in);
    is_target && !options.excepted().iter().any(is_in)
}
