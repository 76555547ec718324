//! What the nodes of a cluster say to each other.
//!
//! These are the messages of the official [`ClusterAdapter`][adapter], with its numbers and fields,
//! and a few of our own with numbers from 64, which official nodes ignore.
//!
//! [adapter]: https://socket.io/docs/v4/adapter/
//!
//! | number | body | what it says |
//! | --- | --- | --- |
//! | 1 | [`InitialHeartbeat`](Body::InitialHeartbeat) | a node is new; the others answer with 2 |
//! | 2 | [`Heartbeat`](Body::Heartbeat) | a node is still there |
//! | 3 | [`Broadcast`](Body::Broadcast) | send this packet to the clients of these rooms |
//! | 4 | [`SocketsJoin`](Body::SocketsJoin) | the sockets of these rooms join other rooms |
//! | 5 | [`SocketsLeave`](Body::SocketsLeave) | they leave rooms |
//! | 6 | [`DisconnectSockets`](Body::DisconnectSockets) | they are disconnected |
//! | 7 | [`FetchSockets`](Body::FetchSockets) | describe the sockets of these rooms |
//! | 8 | [`FetchSocketsResponse`](Body::FetchSocketsResponse) | the answer to 7 |
//! | 9 | [`ServerSideEmit`](Body::ServerSideEmit) | an event for the servers themselves |
//! | 10 | [`ServerSideEmitResponse`](Body::ServerSideEmitResponse) | the answer to 9, if one is asked for |
//! | 11 | [`BroadcastClientCount`](Body::BroadcastClientCount) | how many clients a node sent a broadcast to |
//! | 12 | [`BroadcastAck`](Body::BroadcastAck) | the answer of one client to a broadcast |
//! | 13 | [`AdapterClose`](Body::AdapterClose) | a node goes away |
//! | 64 to 70 | [`Own`](Body::Own) | between nodes of this crate |

mod body;
mod broadcast;
mod classic;
mod decode;
mod details;
mod encode;
mod error;
mod flat;
mod id;
mod names;
mod options;
mod own;
mod raw;
mod session;
mod sink;
mod usual;
mod value;

pub use body::{Body, Message, Stamp};
pub use broadcast::{BroadcastPacket, ClusterBroadcast};
pub(super) use classic::{ClassicEntry, ClassicPayload, DIGITS, Place, classic_marker};
pub(super) use decode::{Addressed, Envelope};
pub use details::SocketDetails;
pub(crate) use encode::{depth_limit, is_shallow};
pub use error::MessageError;
pub(super) use flat::RawMessage;
pub use id::{NodeId, RequestId};
pub use names::MessageNames;
pub use options::{BroadcastFlags, BroadcastOptions};
pub use own::OwnKind;
pub use session::StoredSession;
pub use value::Value;
