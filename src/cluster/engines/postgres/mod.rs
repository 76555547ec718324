//! PostgreSQL, shared with `@socket.io/postgres-adapter` and `@socket.io/postgres-emitter`.
//!
//! | what | where |
//! | --- | --- |
//! | everything that goes into the channel | `socket_io_entries`, a row each, as JSON or msgpack |
//! | where the channel begins and ends | `socket_io_channel`, one row |
//! | sessions | `socket_io_sessions`, by private id, with the time at which they expire |
//! | copies of broadcasts, joins, leaves and disconnections for official nodes | `NOTIFY` on `socket.io#<namespace>` |
//! | volatile events, requests and answers | there as well |
//! | what is larger than 7,999 bytes, or binary, of these | `socket_io_attachments` |
//!
//! A position is the epoch of the channel and the number of the entry: `<epoch>-<entry>`. The row of the
//! channel is locked by each transaction that appends, so entries are committed in the order of their
//! numbers, without gaps, and PostgreSQL notifies in the same order.
//!
//! # Events of Node.js servers
//!
//! Official nodes only send notifications, which nobody can read again. A node of this crate that hears one
//! [imports](Postgres::import) it into the channel. All nodes hear the same notifications in the same
//! order, so all give it the same [place](PostgresPlace): behind which anchor it came, and as which
//! one. What was imported at this place before is not imported again. So it is in the channel once, at one
//! position for all nodes, and recovery replays it. What official nodes send while no node of this crate
//! listens is lost for clients of this crate, as it is for those of official nodes that do not listen.
//!
//! [`Postgres`] makes [statements](PostgresStatement), and reads the rows and notifications that come
//! back. Each statement is a transaction of its own.
//!
//! ```
//! use socketio_proto::cluster::engines::postgres::{Postgres, PostgresNotification, PostgresOptions};
//! use socketio_proto::cluster::message::{Body, Message, NodeId};
//! use socketio_proto::socket::NamespaceName;
//!
//! let postgres = Postgres::new(PostgresOptions::default())?;
//! let ours = NodeId::new("f0aebfa2cd17e8df").ok_or("not an id")?;
//!
//! // What an official emitter sends with NOTIFY. It has no namespace of its own.
//! let payload = r#"{"type":3,"data":{"packet":{"type":2,"data":["news","hello"],"nsp":"/"},
//!     "opts":{"rooms":["lobby"],"flags":{},"except":[]}},"uid":"emitter"}"#;
//! let read = postgres.notification(&ours, "socket.io#/", &payload.into())?;
//! let PostgresNotification::Foreign(message) = read else { panic!("{read:?}") };
//! assert_eq!(message.namespace, NamespaceName::ROOT);
//! assert!(matches!(message.body, Body::Broadcast(_)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod commands;
mod entry;
mod notification;
mod options;
mod rows;
mod schema;
mod sql;
#[cfg(test)]
mod tests;
mod value;

pub use commands::{Postgres, PostgresStore};
pub use entry::{PostgresAppend, PostgresImport, PostgresNotify, PostgresPlace};
pub use notification::PostgresNotification;
pub use options::PostgresOptions;
pub use rows::{PostgresEntry, PostgresHead, PostgresRowError, PostgresSession};
pub use schema::{PostgresSchema, PostgresSchemaError, SCHEMA_VERSION};
pub use value::{PostgresStatement, PostgresValue};
