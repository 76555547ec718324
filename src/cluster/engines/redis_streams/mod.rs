//! Redis Streams, compatible with `@socket.io/redis-streams-adapter` 0.3.
//!
//! | what | where | how |
//! | --- | --- | --- |
//! | broadcasts, joins, leaves, disconnects, and our own entries | a stream | `XADD`, `XREAD`, `XRANGE` |
//! | requests and broadcasts that are not stored | the channel `socket.io#<namespace>#` | `PUBLISH` of msgpack |
//! | answers | the channel `socket.io#<namespace>#<node>#` | `PUBLISH` of msgpack |
//! | sessions of clients that are away | the key `sio:session:<private id>` | `SET … PX`, `GET`, `PTTL` and `DEL` in `MULTI` |
//!
//! [`RedisStreams`] makes the commands, each a list of arguments, and reads the replies, each a
//! [`RedisReply`]. A node needs one connection for commands, one for each stream that it reads, and
//! one for subscriptions.
//!
//! ```
//! use socketio_proto::cluster::engines::redis_streams::{RedisStreams, RedisStreamsOptions};
//! use socketio_proto::cluster::message::{Body, BroadcastOptions, ClusterBroadcast, Message, NodeId};
//! use socketio_proto::socket::{Event, NamespaceName};
//!
//! let redis = RedisStreams::new(RedisStreamsOptions::default())?;
//! let event = Event::new("news", &("hello",))?;
//! let broadcast = ClusterBroadcast::new(BroadcastOptions::all().to("lobby"), event);
//! let node = NodeId::new("f0aebfa2cd17e8df").ok_or("not an id")?;
//! let message = Message::new(node, NamespaceName::ROOT, Body::Broadcast(broadcast));
//!
//! let command = redis.append(&message)?;
//! assert_eq!(command.to_string(), concat!(
//!     "XADD socket.io MAXLEN ~ 10000 * uid f0aebfa2cd17e8df nsp / type 3 data ",
//!     r#"{"packet":{"type":2,"data":["news","hello"]},"#,
//!     r#""opts":{"rooms":["lobby"],"except":[],"flags":{}}}"#,
//! ));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod command;
mod commands;
mod entry;
mod options;
mod replies;
mod reply;

pub use command::RedisCommand;
pub use commands::RedisStreams;
pub use entry::StreamEntry;
pub use options::RedisStreamsOptions;
pub use replies::{RedisReplyError, RedisSession, StreamInfo};
pub use reply::RedisReply;
