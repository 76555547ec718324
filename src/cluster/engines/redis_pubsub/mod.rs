//! Redis PUB/SUB, compatible with the classic `@socket.io/redis-adapter` 8 and
//! `@socket.io/redis-emitter` 5.
//!
//! | what | channel or key | how |
//! | --- | --- | --- |
//! | broadcasts | `socket.io#<namespace>#`, or `socket.io#<namespace>#<room>#` for one room | msgpack |
//! | joins, leaves, disconnects, requests | `socket.io-request#<namespace>#` | JSON, or msgpack |
//! | answers | `socket.io-response#<namespace>#<node>#` | JSON, or msgpack |
//! | our own entries | `socket.io#<namespace>#socketio-proto#` | msgpack, a broadcast without a packet |
//! | what only nodes of this crate say to each other | `socket.io-node#<namespace>#` | msgpack |
//! | the number of the latest entry | the key `socket.io-position` | `EVAL` |
//! | sessions of clients that are away | the key `socket.io-session#<private id>` | as with [Redis Streams](super::redis_streams) |
//!
//! # There is no log
//!
//! Redis keeps nothing of what it publishes, so a node knows what it has read itself. What it promises:
//!
//! * A standalone Redis sends everything to all subscribers in one order. A node delivers what it emits
//!   when it comes back, and not before. So all nodes of this crate have the same log from the moment on
//!   at which the later of them came, and sessions move between them like with other engines.
//! * Each entry of a node of this crate gets a number by Redis. A number that is missing is a gap.
//! * When the connection for subscriptions breaks, nobody can tell what official nodes have
//!   published meanwhile. The node begins anew at a marker: that is a gap, and its sessions
//!   [end](crate::hub::DisconnectReason::ChannelGap).
//! * A client that comes to a node that was not there yet when it was away is refused, as
//!   [`Trimmed`](crate::recovery::RecoveryRefusal::Trimmed).
//!
//! In a Redis Cluster, there is no common order: messages take different ways from one master to the
//! subscribers of another. Drivers refuse it. For the sharded adapter there is another
//! [engine](super::redis_sharded).
//!
//! [`RedisPubSub`] makes the commands. [`PubSubReader`] reads what is received. A node needs one
//! connection for commands and one for subscriptions.
//!
//! ```
//! use socketio_proto::cluster::engines::redis_pubsub::{RedisPubSub, RedisPubSubOptions};
//! use socketio_proto::cluster::message::{Body, Message, NodeId};
//! use socketio_proto::socket::{Args, NamespaceName};
//!
//! let redis = RedisPubSub::new(RedisPubSubOptions::default())?;
//! let node = NodeId::new("f0aebfa2cd17e8df").ok_or("not an id")?;
//! let body = Body::ServerSideEmit { packet: Args::new(&("hello", 1))?, request: None };
//! let message = Message::new(node, NamespaceName::ROOT, body);
//! assert_eq!(
//!     redis.publish(&message, None)?.to_string(),
//!     r#"PUBLISH socket.io-request#/# {"uid":"f0aebfa2cd17e8df","type":6,"data":["hello",1]}"#,
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod commands;
mod names;
mod options;
mod reader;
mod unnamed;

pub use commands::RedisPubSub;
pub use options::RedisPubSubOptions;
pub use reader::{PubSubReader, Received};

pub use super::redis_streams::{RedisCommand, RedisReply};
