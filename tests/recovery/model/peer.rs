//! A client: the events that it has processed, and the offset that it may present.

use std::collections::{BTreeSet, VecDeque};

use socketio_proto::{SocketKey, Timestamp};

use super::promise::Life;
use crate::support::{Client, Session};

/// What the model knows of a client and its present session.
pub struct Peer {
    pub client: Client,
    pub session: Session,
    pub key: SocketKey,
    pub rooms: BTreeSet<String>,
    pub life: Life,
    pub is_deaf: bool,
    pub is_live: bool,
    pub is_over: bool,
    pub parked_at: Timestamp,
    /// Positions of what must be received next.
    pub due: VecDeque<u64>,
    /// Positions of what was processed, without events that ask for an acknowledgement: those may
    /// come again.
    pub processed: Vec<u64>,
    /// What the client knew after each event of the session, and before the first one.
    states: Vec<State>,
    /// Events that ask for an acknowledgement and have not got it: its id, and their position.
    pub questions: VecDeque<(u64, u64)>,
}

/// What a client knows.
#[derive(Clone)]
struct State {
    /// The official client keeps it when it gets a new session.
    offset: Option<ProcessedOffset>,
    processed: usize,
}

/// An offset, the log that it is of, and the position that it stands for.
#[derive(Clone, Debug)]
pub struct ProcessedOffset {
    pub text: String,
    pub log: usize,
    pub position: u64,
}

/// An event as a client reads it.
struct Packet {
    ack: Option<u64>,
    name: String,
    number: u64,
    offset: Option<String>,
}

impl Peer {
    /// A client with a new session, which was born at the position `floor`.
    pub fn new(client: Client, session: Session, key: SocketKey, floor: u64) -> Self {
        Self {
            client,
            session,
            key,
            rooms: BTreeSet::new(),
            life: Life { floor, ..Life::default() },
            is_deaf: false,
            is_live: true,
            is_over: false,
            parked_at: Timestamp::ZERO,
            due: VecDeque::new(),
            processed: Vec::new(),
            states: vec![State { offset: None, processed: 0 }],
            questions: VecDeque::new(),
        }
    }

    /// The same client with a new session instead of the present one.
    pub fn renewed(&self, client: Client, session: Session, key: SocketKey, floor: u64) -> Self {
        let mut renewed = Self::new(client, session, key, floor);
        renewed.states[0].offset = self.offset().cloned();
        renewed
    }

    pub fn is_in(&self, room: &str) -> bool {
        self.rooms.contains(room) || self.session.sid == room
    }

    pub fn offset(&self) -> Option<&ProcessedOffset> {
        self.states.last().unwrap().offset.as_ref()
    }

    /// The client is restored from its state of some events ago.
    pub fn rewind(&mut self, events: usize) {
        let left = self.states.len().saturating_sub(events).max(1);
        self.states.truncate(left);
        self.processed.truncate(self.states[left - 1].processed);
    }

    /// Something was emitted to the session at a position.
    pub fn address(&mut self, position: u64) {
        self.life.addressed.push(position);
        if self.is_live && !self.is_deaf {
            self.due.push_back(position);
        }
    }

    /// Takes an event as the official client does: any trailing string is the offset, unless an
    /// acknowledgement is asked for.
    pub fn receive(&mut self, frame: &str, log: usize) {
        let packet = Packet::parse(frame);
        let offset = packet.offset.map(|text| {
            let position = text.split('-').nth(1).unwrap().parse().unwrap();
            ProcessedOffset { text, log, position }
        });
        if packet.name == "v" {
            let state = self.states.last_mut().unwrap();
            state.offset = Some(offset.expect("a trailing string without an offset"));
            return;
        }
        let next = self.due.pop_front();
        assert_eq!(next, Some(packet.number), "{frame} for {}", self.session.sid);
        if let Some(id) = packet.ack {
            if !self.questions.iter().any(|(other, _)| *other == id) {
                self.questions.push_back((id, packet.number));
            }
            return;
        }
        let offset = offset.unwrap_or_else(|| panic!("no offset: {frame}"));
        assert_eq!(offset.position, packet.number);
        self.processed.push(packet.number);
        self.states.push(State { offset: Some(offset), processed: self.processed.len() });
    }
}

impl Packet {
    fn parse(frame: &str) -> Self {
        let text = frame.strip_prefix("42").unwrap_or_else(|| panic!("no event: {frame}"));
        let (id, json) = text.split_at(text.find('[').unwrap());
        let mut values: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
        let ack = id.parse().ok();
        let is_offset = ack.is_none() && values.len() == 4;
        let offset = is_offset.then(|| values.pop().unwrap().as_str().unwrap().to_owned());
        let name = values[0].as_str().unwrap().to_owned();
        Self { ack, name, number: values[1].as_u64().unwrap(), offset }
    }
}
