//! What the channel contained, and what clients got of it.

use std::collections::{BTreeMap, BTreeSet};

use socketio_proto::{
    WireId,
    cluster::message::{Body, Message},
    recovery::Offset,
};

/// The name of the events whose positions are checked.
pub(super) const LOGGED: &str = "logged";
/// The name of the event at the end.
pub(super) const LAST: &str = "last";

#[derive(Debug)]
pub(super) struct History {
    /// Whether clients get positions.
    has_positions: bool,
    /// The arguments of the events that were handed in at each position.
    handed_in: BTreeMap<Offset, BTreeSet<String>>,
    /// The events that were handed in without a position.
    passing: BTreeSet<String>,
    /// The position of the latest event on each wire in each namespace.
    latest: BTreeMap<(WireId, String), Offset>,
    /// Who has got the event at the end.
    last: Option<WireId>,
}

impl History {
    pub(super) fn new(has_positions: bool) -> Self {
        Self {
            has_positions,
            handed_in: BTreeMap::new(),
            passing: BTreeSet::new(),
            latest: BTreeMap::new(),
            last: None,
        }
    }

    /// An entry is handed in, or a message without a position.
    pub(super) fn hand_in(&mut self, position: Option<Offset>, message: Option<&Message>) {
        let Some(Body::Broadcast(broadcast)) = message.map(|message| &message.body) else { return };
        let Ok(packet) = broadcast.packet() else { return };
        let args = packet.event.json().to_owned();
        match position {
            _ if packet.event.name() != LOGGED => {}
            Some(position) => {
                self.handed_in.entry(position).or_default().insert(args);
            }
            None => {
                self.passing.insert(args);
            }
        }
    }

    /// A client gets a packet.
    pub(super) fn deliver(&mut self, wire: WireId, packet: &str) {
        let Some(packet) = packet.strip_prefix('4') else { return };
        let (head, args) = packet.split_at(packet.find(['[', '{']).unwrap_or(packet.len()));
        let namespace = head.find('/').map_or("", |start| head.split_at(start).1);
        let key = (wire, namespace.split(',').next().unwrap_or_default().to_owned());
        if head.starts_with('0') {
            // A session begins or goes on: the client has said how far it has come.
            self.latest.remove(&key);
        }
        if head == "2" && args.starts_with(&format!("[\"{LAST}\",")) {
            self.last = Some(wire);
        }
        let is_logged = head.starts_with('2') && args.starts_with(&format!("[\"{LOGGED}\","));
        // What asks for an acknowledgement has no position.
        let has_position = self.has_positions && !self.passing.contains(args);
        if is_logged && has_position && (head == "2" || head.ends_with(',')) {
            self.check(key, args);
        }
    }

    fn check(&mut self, key: (WireId, String), args: &str) {
        let parts = args.strip_suffix("\"]").and_then(|args| args.rsplit_once(",\""));
        let Some((event, Ok(position))) = parts.map(|(event, offset)| (event, offset.parse()))
        else {
            unreachable!("it has its position: {args}");
        };
        let is_there = |events: &BTreeSet<String>| events.contains(&format!("{event}]"));
        assert!(self.handed_in.get(&position).is_some_and(is_there), "made up: {args}");
        let before = self.latest.insert(key, position);
        assert!(before.is_none_or(|before| before < position), "{args} after {before:?}");
    }

    /// Whether this client has got the event at the end.
    pub(super) fn is_last(&self, wire: WireId) -> bool {
        self.last == Some(wire)
    }
}
