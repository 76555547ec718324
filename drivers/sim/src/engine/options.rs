//! What an engine is able to do.

use socketio_proto::recovery::Offset;

use crate::net::Latency;

/// What the engine of a cluster is able to do, and how fast it is.
///
/// The constructors describe the engines that drivers exist for. Start from the one that you use.
///
/// | engine | read again | records | counts nodes | positions |
/// | --- | --- | --- | --- | --- |
/// | [Redis Streams](Self::redis_streams) | yes | yes | yes | two numbers |
/// | [SQLite](Self::sqlite) | yes | yes | no | two numbers |
/// | [Postgres](Self::postgres) | yes | yes | no | two numbers |
/// | [MongoDB](Self::mongodb) | yes | yes | no | object ids |
/// | [Redis PUB/SUB](Self::redis_pubsub) | no | yes | yes | two numbers |
/// | [no store](Self::without_records) | as before | no | as before | as before |
///
/// ```
/// use socketio_proto_sim::engine::EngineOptions;
///
/// let slow = EngineOptions::postgres().lag(500_000);
/// assert!(slow.reads_again && slow.lag == 500_000);
/// ```
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what an engine can do depends on nothing else")]
#[non_exhaustive]
pub struct EngineOptions {
    /// Whether a node that was away can read what it has missed. If not, the sessions of a node that
    /// was away end.
    pub reads_again: bool,
    /// Whether it keeps the sessions of clients that are away. If not, it refuses each, and a session
    /// moves only while its node is up.
    pub keeps_records: bool,
    /// Whether it can count the nodes.
    pub counts_nodes: bool,
    /// Whether it carries out commands for different sessions in any order, as long as nothing else is
    /// between them.
    pub stores_at_once: bool,
    /// What the positions of its channels look like.
    pub positions: Positions,
    /// How many channels it has. Namespaces are spread over them by the length of their names.
    pub channels: u32,
    /// How many of 1,000 messages that are not stored are lost. Default 20.
    pub lost_messages: u64,
    /// How long a command or a message takes. Default 0.2 to 3 milliseconds.
    pub latency: Latency,
    /// How much longer a node needs at most to read an entry, in microseconds. Default 20,000.
    pub lag: u64,
}

/// What the positions of a channel look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Positions {
    /// Two numbers.
    Pairs,
    /// 24 hexadecimal digits.
    ObjectIds,
}

impl EngineOptions {
    /// Redis Streams: a log that can be read again, records, and a count of the nodes.
    pub const fn redis_streams() -> Self {
        Self {
            reads_again: true,
            keeps_records: true,
            counts_nodes: true,
            stores_at_once: false,
            positions: Positions::Pairs,
            channels: 1,
            lost_messages: 20,
            latency: Latency { least: 200, most: 3_000 },
            lag: 20_000,
        }
    }

    /// `SQLite`: a log that can be read again, and records.
    pub const fn sqlite() -> Self {
        Self { counts_nodes: false, ..Self::redis_streams() }
    }

    /// `Postgres`: a log that can be read again, and records.
    pub const fn postgres() -> Self {
        Self { counts_nodes: false, ..Self::redis_streams() }
    }

    /// `MongoDB`: a log that can be read again, whose positions are object ids, and records, several of
    /// which are stored and taken at once.
    pub const fn mongodb() -> Self {
        Self {
            counts_nodes: false,
            stores_at_once: true,
            positions: Positions::ObjectIds,
            ..Self::redis_streams()
        }
    }

    /// Classic Redis PUB/SUB: an order, but nothing that can be read again, and records.
    pub const fn redis_pubsub() -> Self {
        Self { reads_again: false, ..Self::redis_streams() }
    }

    /// Takes the store away.
    #[must_use]
    pub const fn without_records(self) -> Self {
        Self { keeps_records: false, ..self }
    }

    /// Sets how many channels it has.
    #[must_use]
    pub const fn channels(self, channels: u32) -> Self {
        Self { channels, ..self }
    }

    /// Sets how much longer a node needs at most to read an entry, in microseconds.
    #[must_use]
    pub const fn lag(self, lag: u64) -> Self {
        Self { lag, ..self }
    }

    /// Sets how long a command or a message takes.
    #[must_use]
    pub const fn latency(self, latency: Latency) -> Self {
        Self { latency, ..self }
    }
}

impl Positions {
    /// The position of the entry with this index.
    pub fn of(self, index: usize) -> Offset {
        // Like the ids of Redis: several entries have the same time.
        let (time, counter) = (7_000 + index as u64 / 3, index as u64 % 3);
        match self {
            Self::Pairs => Offset::pair(time, counter),
            Self::ObjectIds => {
                let mut id = [0; 12];
                id[..8].copy_from_slice(&time.to_be_bytes());
                id[8..].copy_from_slice(&[0, 0, 0, u8::try_from(counter).unwrap_or_default()]);
                Offset::object_id(id)
            }
        }
    }

    /// The position before the entry with this index.
    pub fn before(self, index: usize) -> Offset {
        match (index.checked_sub(1), self) {
            (Some(index), _) => self.of(index),
            (None, Self::Pairs) => Offset::pair(0, 0),
            (None, Self::ObjectIds) => Offset::object_id([0; 12]),
        }
    }
}
