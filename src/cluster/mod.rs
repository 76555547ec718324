//! Several servers that act as one.
//!
//! A [server](crate::server::Server::clustered) that is one *node* of a cluster has the methods of any
//! other server. What it emits reaches the clients of all nodes, and `sockets_join`, `sockets_leave`
//! and `disconnect_sockets` reach the sockets of all nodes. The nodes do not speak to each other
//! directly. An *engine*, such as Redis, connects them. This crate does not speak to it either: the
//! server outputs [commands](ClusterOutput) and takes what comes back ([`ClusterInput`]), and a driver
//! carries both.
//!
//! # Model
//!
//! ```text
//!      node A            engine             node B
//!   emit ─ Append ─►  ┌───────────┐
//!                     │ 1 2 3 4 5 │ ◄─ Append ─ emit
//!   ◄─── Entry ────── └───────────┘ ── Entry ───►
//!   clients of A       the channel     clients of B
//! ```
//!
//! * **Channel.** One sequence of entries that every node reads in the same order, its own entries
//!   included. Its positions are the [offsets](crate::recovery::Offset) that clients know. A node
//!   delivers an event when it *reads* it, never when it emits it. So all nodes deliver in the same
//!   order, and what was emitted without a position was not delivered to anyone.
//! * **Replica.** Each node keeps the latest part of the channel as the logs of its namespaces, also
//!   for rooms that none of its sockets is in. The bounds of
//!   [`RecoveryConfig`](crate::RecoveryConfig) apply. A node reads everything that the engine still
//!   has before it serves its first client.
//! * **Ownership.** A session belongs to the node that its client is, or was last, connected to. Only
//!   this node changes it: by itself, or when it reads an entry.
//! * **Not in the channel** are volatile events, which the engine sends at most once, events that ask
//!   for an acknowledgement, and events for the sockets of one node ([`local`](crate::hub::Audience::local)).
//!   Recovery replays none of them.
//!
//! # The order of the calls
//!
//! What an application does takes effect in the order in which it calls, although what it emits has
//! to be read back first. Everything that it does to sockets of its own node after an emit waits
//! behind that emit: joins, leaves, disconnections, acknowledgements, volatile events. Such a method
//! returns as usual, but what [`rooms`](crate::hub::Hub::rooms) and
//! [`fetch_sockets`](crate::hub::At::fetch_sockets) show changes a little later. These take effect at
//! once: accepting and rejecting clients, changes of the application's own data, and what clients
//! and networks do. So a cluster of one node over an engine without latency is a single server,
//! packet by packet: a property test says so.
//!
//! The results of methods that concern other nodes are not known when they return:
//! [`Reach`](crate::hub::Reach) is empty, and the numbers of sockets are 0.
//!
//! # Trouble
//!
//! * *Engine away.* The node continues to serve its clients. What it emits waits, up to
//!   [`append_queue`](ClusterConfig#structfield.append_queue). Beyond that, emits are refused with
//!   [`EmitError::ChannelFull`](crate::hub::EmitError::ChannelFull).
//! * *Outcome not known.* When the engine is back, the node first reads everything. Only then does it
//!   repeat the appends that it has not read. Every entry carries the number that its node has given
//!   it, so an entry that is there twice takes effect once.
//! * *Gap.* If the engine no longer has everything that the node has not read yet, all sessions of the
//!   node end with [`ChannelGap`](crate::hub::DisconnectReason::ChannelGap), because they may have
//!   missed something. Their clients come back with new sessions.
//! * *Bad entries* are skipped and counted:
//!   [`entries_skipped`](crate::server::Totals#structfield.entries_skipped). Nothing waits behind them.
//!
//! # Not yet
//!
//! A session is recovered only at the node that it belongs to. `fetch_sockets`, and broadcasts that ask
//! for acknowledgements, concern the sockets of this node only.

pub mod engines;
pub mod message;

mod channel;
mod config;
mod input;
mod json;
mod msgpack;
mod output;

pub(crate) use self::channel::{Channel, Continuation, Reached, Reading};
pub use self::{config::ClusterConfig, input::ClusterInput, output::ClusterOutput};
