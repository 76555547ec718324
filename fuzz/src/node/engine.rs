//! What the engine does.

use std::sync::Arc;

use socketio_proto::{
    cluster::{
        ClusterInput, ClusterOutput, StoreOutcome,
        message::{Body, Message, OwnKind},
    },
    recovery::Offset,
    socket::NamespaceName,
};

use super::world::World;

/// The parts of what nodes say to each other that an engine can use.
#[derive(serde::Deserialize)]
struct Handover {
    session: Result<String, u8>,
}

#[derive(serde::Deserialize)]
struct Claim {
    number: u64,
}

impl World<'_> {
    pub(super) fn act_as_engine(&mut self) {
        match self.source.below(16) {
            // Honest: what the node has appended comes back.
            0..=4 => self.hand_in_next(),
            5..=9 => {
                let (position, message) = (self.draw_position(), self.draw_message());
                self.hand_in(position, message);
            }
            10 => {
                let message = self.draw_message();
                let position = self.next_position();
                self.hand_in(position, message);
            }
            11 => {
                if let Some(message) = self.draw_message() {
                    self.history.hand_in(None, Some(&message));
                    self.server.handle_cluster(self.now, ClusterInput::Message(message));
                }
            }
            12 => {
                let reply = self.draw_reply();
                self.server.handle_cluster(self.now, reply);
            }
            13 => self.disconnect(),
            14 => self.connect(self.head, self.head),
            _ => {
                let (oldest, head) = (self.draw_position(), self.draw_position());
                self.connect(oldest, head);
            }
        }
    }

    fn outcome(&mut self) -> StoreOutcome {
        match self.source.below(3) {
            0 => StoreOutcome::Stored,
            1 => StoreOutcome::Refused,
            _ => StoreOutcome::Superseded,
        }
    }

    /// A reply, to a command or to none.
    fn draw_reply(&mut self) -> ClusterInput {
        let number = u64::from(self.source.byte());
        let namespace = if self.source.flag() { "/" } else { "/d1" };
        let namespace = NamespaceName::new(namespace).unwrap_or(NamespaceName::ROOT);
        match self.source.below(8) {
            0 => ClusterInput::Subscribed { namespace },
            1 => ClusterInput::Unsubscribed { namespace },
            2 => {
                let servers = self.source.flag().then(|| self.source.any());
                ClusterInput::ServersCounted { number, servers }
            }
            3 => ClusterInput::Stored { number, outcome: self.outcome() },
            4 => ClusterInput::Fetched { number, session: None },
            5 => {
                // There is no such channel.
                let (position, message) = (self.draw_position(), self.draw_message());
                ClusterInput::Entry { channel: 7, position, message }
            }
            _ => {
                let drawn = self.source.any::<u64>();
                let sequences = self.appended.iter().filter_map(|it| Some(it.stamp?.sequence));
                let sequences: Vec<u64> = sequences.chain([drawn]).collect();
                let sequence = self.source.pick(&sequences).copied().unwrap_or_default();
                ClusterInput::Rejected { sequence }
            }
        }
    }

    /// Carries out a command, some time.
    pub(super) fn take(&mut self, command: ClusterOutput) {
        assert!(self.is_connected, "nothing for an engine that is away: {command:?}");
        // What is not stored may be lost.
        if let ClusterOutput::Append(message) = command {
            let number = message.stamp.map(|stamp| stamp.sequence);
            let latest = self.appended.last().and_then(|it| it.stamp);
            assert!(number > latest.map(|stamp| stamp.sequence), "in order, and once");
            self.note(&message);
            self.appended.push(Arc::unwrap_or_clone(message));
        }
    }

    pub(super) fn connect(&mut self, oldest: Offset, head: Offset) {
        // What is connected may seem to be connected again. The appends over the earlier connection
        // have not taken effect.
        self.drain();
        self.appended.clear();
        self.is_connected = true;
        self.server.handle_cluster(self.now, ClusterInput::Connected { channel: 0, oldest, head });
    }

    fn disconnect(&mut self) {
        self.drain();
        self.appended.clear();
        self.server.handle_cluster(self.now, ClusterInput::Disconnected);
        self.drain();
        self.is_connected = false;
    }

    fn hand_in(&mut self, position: Offset, message: Option<Message>) {
        let before = self.server.stats().total;
        self.history.hand_in(Some(position), message.as_ref());
        self.head = self.head.max(position);
        self.server.handle_cluster(self.now, ClusterInput::Entry { channel: 0, position, message });
        let total = self.server.stats().total;
        let is_counted = total.entries_read != before.entries_read
            || total.entries_skipped != before.entries_skipped;
        assert!(is_counted, "every entry is counted");
    }

    fn hand_in_next(&mut self) {
        self.drain();
        if !self.appended.is_empty() {
            let message = self.appended.remove(0);
            let position = self.next_position();
            self.hand_in(position, Some(message));
        }
    }

    /// Everything comes back that the node appends.
    pub(super) fn settle(&mut self) {
        self.drain();
        while !self.appended.is_empty() {
            self.hand_in_next();
            self.drain();
        }
    }

    fn next_position(&self) -> Offset {
        match self.head.numbers() {
            Some((first, second)) => match second.checked_add(1) {
                Some(second) => Offset::pair(first, second),
                None => Offset::pair(first.saturating_add(1), 0),
            },
            None => self.head,
        }
    }

    /// The engine is honest from now on: nothing was lost, if that can be.
    pub(super) fn begin_honestly(&mut self) {
        if self.head.numbers().is_none_or(|(first, _)| first == u64::MAX) {
            self.head = Offset::pair(1, 0);
        } else if self.is_forged {
            // It has taken what is still to come for read. A gap makes it begin anew.
            self.head = self.next_position();
        }
        self.connect(self.head, self.head);
    }

    fn draw_position(&mut self) -> Offset {
        match self.source.below(8) {
            0..=3 => self.next_position(),
            4 => self.head,
            5 => Offset::pair(1_000, u64::from(self.source.byte())),
            6 => Offset::pair(1_000 + u64::from(self.source.byte()), 0),
            _ => match self.source.below(8) {
                0 => Offset::pair(self.source.any(), self.source.any()),
                1 => Offset::object_id([self.source.byte(); 12]),
                _ => Offset::pair(0, 0),
            },
        }
    }

    /// What others can know of the node's own entries.
    fn note(&mut self, message: &Message) {
        let Body::Own { kind, data } = &message.body else { return };
        match kind {
            OwnKind::Claim => {
                self.claims.extend(data.parse::<Claim>().map(|claim| claim.number));
            }
            OwnKind::RecordResponse => {
                let handover = data.parse::<Handover>().ok();
                self.departed.extend(handover.and_then(|handover| handover.session.ok()));
            }
            _ => {}
        }
    }
}
