//! SQLite: a file that the processes of one machine share, and that outlives them.
//!
//! | what | where |
//! | --- | --- |
//! | everything that goes into the channel | `entries`, a row each, as msgpack |
//! | where the channel begins and ends | `channel`, one row |
//! | sessions | `sessions`, by private id, with the time at which they expire |
//! | requests, answers and volatile events for other processes | `published`, for a few seconds |
//! | the processes that use the file | `processes`, with the socket that wakes each |
//!
//! A position is the epoch of the file and the row of the entry: `<epoch>-<row>`. The epoch is drawn
//! at random when the file is made, so offsets of another file are refused. Rows ascend without gaps.
//! Every row has a checksum, so that a damaged file is not misread.
//!
//! [`Sqlite`] makes [statements](SqliteStatement) and reads the rows that they return. A driver runs
//! everything that has come in since its last transaction in one:
//!
//! ```text
//! BEGIN IMMEDIATE
//!   SqliteHead::read
//!   Sqlite::append, publish, store, fetch, take …     in the order of the outputs
//!   Sqlite::first_kept, trim                                   from time to time
//!   SqliteHead::write
//! COMMIT
//! ```
//!
//! If the transaction fails, nothing of it has happened. The driver reports that the engine is away,
//! and the node repeats what it still wants when it is back.
//!
//! ```
//! use socketio_proto::cluster::engines::sqlite::{Sqlite, SqliteHead, SqliteOptions};
//! use socketio_proto::cluster::message::{Body, BroadcastOptions, ClusterBroadcast, Message, NodeId};
//! use socketio_proto::recovery::Offset;
//! use socketio_proto::socket::{Event, NamespaceName};
//!
//! let sqlite = Sqlite::new(SqliteOptions::default())?;
//! let mut head = SqliteHead::new([0, 0, 0, 7, 0, 0, 0, 0]); // Random bytes, in production.
//!
//! let event = Event::new("news", &("hello",))?;
//! let broadcast = ClusterBroadcast::new(BroadcastOptions::all().to("lobby"), event);
//! let node = NodeId::new("f0aebfa2cd17e8df").ok_or("not an id")?;
//! let message = Message::new(node, NamespaceName::ROOT, Body::Broadcast(broadcast));
//!
//! let insert = sqlite.append(&mut head, 1_700_000_000_000, &message)?;
//! assert!(insert.sql().starts_with("INSERT INTO entries"));
//! assert_eq!(head.latest(), Offset::pair(7, 1));
//!
//! // The row comes back as it went in.
//! let entry = sqlite.entry(&head, 0, insert.parameters())?;
//! assert_eq!(entry.position, head.latest());
//! assert_eq!(entry.message?.to_msgpack()?, message.to_msgpack()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checksum;
mod commands;
mod error;
mod head;
mod options;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod value;

pub use commands::Sqlite;
pub use error::SqliteRowError;
pub use head::SqliteHead;
pub use options::SqliteOptions;
pub use rows::{SqliteEntry, SqliteProcess, SqlitePublished, SqliteSession};
pub use schema::{APPLICATION_ID, SCHEMA_VERSION, SchemaError, count_tables, migrate};
pub use value::{SqliteStatement, SqliteValue};
