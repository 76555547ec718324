//! Sharded Redis PUB/SUB, compatible with `createShardedAdapter` of `@socket.io/redis-adapter` 8. It
//! needs Redis 7.0.
//!
//! | what | channel or key | how |
//! | --- | --- | --- |
//! | what official nodes publish for all | `socket.io#<namespace>#` | JSON, or msgpack |
//! | broadcasts to one room, if the [mode](SubscriptionMode) is not static | `socket.io#<namespace>#<room>#` | the same |
//! | what is for one node | `socket.io#<namespace>#<node>#` | the same |
//! | the log | `socket.io#socketio-proto#` | a number and one of these messages |
//! | what nodes of this crate say to each other | `socket.io#socketio-proto#<namespace>#` | as above |
//! | the number of the latest entry | the key `socket.io-sharded-position` | `EVAL` |
//! | what was heard last of official nodes | the keys `socket.io-sharded-heard#<marker>#<channel>` | `EVAL` |
//! | sessions of clients that are away | the key `socket.io-sharded-session#<private id>` | as with [Redis Streams](super::redis_streams) |
//!
//! # The log
//!
//! Sharded channels cannot be subscribed to by a pattern, so no node hears all of them. The log is one
//! channel that every node of this crate hears.
//!
//! ```text
//!    a node of this crate        ┌─► socket.io#/chat#              official nodes
//!         emits ─── EVAL ────────┤
//!                                └─► socket.io#socketio-proto#     the log: number 12, and the event
//!
//!    an official node            ┌─► socket.io#/chat#              all nodes, the first of ours says
//!         emits ─── SPUBLISH ────┘        │                        EVAL: if it is not there yet,
//!                                         └─► socket.io#socketio-proto#     it gets number 13
//! ```
//!
//! * Each entry of the log gets a number by Redis. A number that is missing is a gap.
//! * What an official node publishes has no number. Each node of this crate that hears it asks Redis to
//!   write it into the log, where the first one succeeds. So that all speak of the same thing, they count what they
//!   hear in a channel, from the latest marker on. A node publishes such a marker when it has subscribed;
//!   official nodes ignore it.
//! * A node delivers what it reads in the log, its own entries included. So all nodes of this crate have
//!   the same log from the moment on at which the later of them came, and sessions move between them
//!   like with other engines.
//! * Nothing is kept, as with the [classic adapter](super::redis_pubsub): when the connection for
//!   subscriptions breaks, the sessions of the node
//!   [end](crate::hub::DisconnectReason::ChannelGap), and a client that comes to a node that was not there
//!   yet when it was away is refused, as
//!   [`Trimmed`](crate::recovery::RecoveryRefusal::Trimmed).
//!
//! # What is refused
//!
//! In other modes than [`Static`](SubscriptionMode::Static), a node would have to subscribe to the
//! channel of a room before it knows the room: what an official node publishes there until then is
//! not heard, and nobody could tell. Drivers refuse these modes, although commands for them are made.
//! They also refuse a Redis Cluster: a script cannot publish in channels of two slots.
//!
//! What official nodes publish in a namespace is heard as long as a node of this crate has subscribed to
//! it. For a namespace that a [predicate](crate::hub::At::add_namespaces_matching) accepts, that can
//! end. The next node that comes finds out that nobody was there, and writes it into the log
//! ([`Unheard`](crate::cluster::message::OwnKind::Unheard)): sessions that were stored before are refused,
//! as [`Trimmed`](crate::recovery::RecoveryRefusal::Trimmed).
//!
//! [`RedisSharded`] makes the commands. [`ShardedReader`] reads what is received. A node needs one
//! connection for commands and one for subscriptions.
//!
//! ```
//! use socketio_proto::cluster::engines::redis_sharded::{RedisSharded, RedisShardedOptions};
//! use socketio_proto::cluster::message::{Body, Message, NodeId};
//! use socketio_proto::socket::{Args, NamespaceName};
//!
//! let redis = RedisSharded::new(RedisShardedOptions::default())?;
//! let node = NodeId::new("f0aebfa2cd17e8df").ok_or("not an id")?;
//! let body = Body::ServerSideEmit { packet: Args::new(&("hello", 1))?, request: None };
//! let message = Message::new(node, NamespaceName::ROOT, body);
//! assert_eq!(
//!     redis.publish(&message, None)?.to_string(),
//!     r##"SPUBLISH socket.io#/# {"type":9,"data":{"packet":["hello",1]},"uid":"f0aebfa2cd17e8df","nsp":"/"}"##,
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod commands;
mod line;
mod options;
mod reader;
mod scripts;

pub use commands::RedisSharded;
pub use options::{RedisShardedOptions, SubscriptionMode};
pub use reader::ShardedReader;

pub use super::{
    redis_pubsub::Received,
    redis_streams::{RedisCommand, RedisReply},
};
