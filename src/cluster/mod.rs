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
//!   order, and what was emitted without a position was not delivered to anyone. Namespaces can be
//!   spread over [several channels](Channels).
//! * **Replica.** Each node keeps the latest part of the channel as the logs of its namespaces, also
//!   for rooms that none of its sockets is in. The bounds of
//!   [`RecoveryConfig`](crate::RecoveryConfig) apply. A node reads everything that the engine still
//!   has before it serves its first client.
//!   This includes namespaces that a [predicate](crate::hub::At::add_namespaces_matching) accepts and
//!   that only other nodes have clients in: as many as
//!   [`vacant_namespaces`](ClusterConfig#structfield.vacant_namespaces) allows.
//! * **Ownership.** A session belongs to the node that its client is, or was last, connected to. Only
//!   this node changes it: by itself, or when it reads an entry. When the client comes back at another
//!   node, the session moves there.
//! * **Not in the channel** are volatile events, events that ask for acknowledgements, requests and
//!   their answers, all of which the engine sends at most once, and events for the sockets of one node
//!   ([`local`](crate::hub::Audience::local)). Recovery replays none of them.
//!
//! # The order of the calls
//!
//! What an application does takes effect in the order in which it calls, although what it emits has
//! to be read back first. Everything that it does to sockets of its own node after an emit waits
//! behind that emit: joins, leaves, disconnections, acknowledgements, volatile events, requests. Such a
//! method returns as usual, but what [`rooms`](crate::hub::Hub::rooms) and
//! [`local_sockets`](crate::hub::At::local_sockets) show changes a little later. Acknowledgements need
//! not wait while the engine is away ([trouble](#trouble)). These take effect at
//! once: accepting and rejecting clients, changes of the application's own data, and what clients
//! and networks do. So a cluster of one node over an engine without latency is a single server,
//! packet by packet: a property test says so.
//!
//! With several channels, all this holds for the namespaces of the same channel. A namespace never
//! waits for entries of another channel, so two emits to namespaces of different channels can arrive
//! in any order.
//!
//! The results of methods that concern other nodes are not known when they return:
//! [`Reach`](crate::hub::Reach) is empty, and the numbers of sockets are 0.
//!
//! # How a session moves
//!
//! 1. A client claims a session that its node does not know. The node appends the claim to the
//!    channel, at a position `c`. Meanwhile the client waits, for at most
//!    [`lookup_timeout`](crate::RecoveryConfig::lookup_timeout) (in a cluster 1 second by default). While
//!    the engine is connected and has not shown the claim yet, or has not answered what it was asked about the
//!    session, the client waits for up to ten times as long. Before the claim is refused, the store is asked once
//!    more: the owner may have crashed right behind a store.
//! 2. The owner reads the claim. It checks the offset that the client presents, as for a recovery
//!    at its own node. If the session cannot be recovered, or if the claimant does not have everything
//!    that the client has missed, it answers with the reason, and the session stays. Otherwise the
//!    session ends there, with the reason [`Moved`](crate::hub::DisconnectReason::Moved), exactly as it
//!    is at `c`. If joins, leaves or a disconnection that the application has called for before still
//!    wait for entries of this node, the session leaves after them, as it is then. A link that was
//!    thought to be alive is closed. The owner appends the session to the channel, at a position `h`.
//! 3. The claimant reads it at `h`. It applies what has concerned the session since it left: joins,
//!    leaves and disconnections of all nodes. From then on the session is parked there, and the claim
//!    goes on like any other: it may queue, and the application may be asked.
//!
//! All nodes read `c` and `h` at the same places, so a session has one owner at each position, and
//! nothing is lost if the client goes: its session then waits at the claimant. Of two claims, the
//! later one in the channel gets the session. It can come twice: once from an owner whose record was in the store, and
//! once from the node of the earlier claim, which has taken that record. Then the second one counts.
//!
//! A node that reads a claim and does not have the session tells the claimant, by a message that is not
//! in the channel. If all nodes of this crate that send heartbeats have told it and the store has no
//! record, the client is refused at once, as
//! [`Unknown`](crate::recovery::RecoveryRefusal::Unknown). During its first second, a node does not know
//! the others well enough for that. Nor does it if one of them says goodbye before it has told it: the
//! session may be on its way from there.
//!
//! The session takes with it its ids, rooms, data, what it remembers of its client's events
//! ([`accept_once`](crate::hub::At::accept_once), counted events, stored answers), and the rest of its
//! time. It does not take pending acknowledgements, which fail, nor the count of refused replays.
//!
//! # Requests
//!
//! A node asks all others with [`fetch_sockets`](crate::hub::At::fetch_sockets),
//! [`broadcast_with_ack`](crate::hub::At::broadcast_with_ack),
//! [`server_side_emit_with_ack`](crate::hub::At::server_side_emit_with_ack) and
//! [`count_servers`](crate::hub::At::count_servers). Each request settles with one event, at its timeout
//! at the latest, which names the nodes that have not answered ([`Missing`]).
//!
//! * Whom a node waits for: the nodes that send heartbeats
//!   ([`heartbeat_interval`](ClusterConfig#structfield.heartbeat_interval)), and as many nodes as the
//!   engine counts. Answers are counted by node: one that comes twice counts once.
//! * A node that says goodbye, or whose heartbeat is overdue, is not waited for any longer. It is missing.
//! * A node of this crate answers a request only after it has read what the node that asks had read. So
//!   `sockets_join` and then `fetch_sockets` shows the sockets in the room, wherever they are.
//! * Before a node is connected for the first time, its requests wait for that. Without an engine, they
//!   settle at their timeout with what is here ([`was_away`](Missing#structfield.was_away)).
//! * If the engine cannot count, a node that has just come waits one second for the others to introduce
//!   themselves.
//!
//! # The store
//!
//! The node that has a session may be down when its client comes back. So when a session is parked, its
//! node puts it into the *store* of the engine, for the time that is left of
//! [`max_disconnection`](crate::RecoveryConfig::max_disconnection). The store has the keys and values of
//! the official adapters. Beyond them, a record says in which rooms the session was when, and up to
//! which position of the channel that is true.
//!
//! * *The record is the right to the session.* Whoever continues the session takes the record out of the
//!   store first, in one step, also the node that has stored it. So of several nodes that try, official
//!   ones included, one gets it. A node takes only the version that it knows: one that is behind cannot
//!   remove what another node has stored since. A recovery at the node where the session is parked therefore costs
//!   one round trip.
//! * *A claim* of a session that is not here goes two ways: through the channel to the owner, as above,
//!   and to the store. Whichever answers first brings the session in. The claimant looks at the record
//!   first, brings it up to date with the joins, leaves and disconnections that it has read since, and
//!   checks the offset. Only then does it take the record, so a refusal leaves it where it is.
//! * *Parked sockets.* While the record of a session may be in the store, `join`, `leave` and
//!   `disconnect` of its socket go through the channel, so that they reach the session wherever it is. A
//!   change of its data, or of what it remembers of its client's events, replaces the record as soon as
//!   possible. If another node has taken the record before that, the session goes on there without the
//!   change.
//! * *Lost replies.* If the connection breaks before a command is answered, the node asks for the record
//!   as soon as the engine is back. If it is not there, the node appends a marker to the channel and
//!   reads it. If no claim of the session precedes the marker, no other node has taken the record.
//!   If one does, the nodes that have claimed the session are asked. One that has it hands it over, or keeps it for its
//!   client. If none has it, it goes on here. If one of them has died meanwhile, the session ends, because it may have
//!   gone on there.
//!   A Node.js server writes no claim. So if one has taken the record and the reply was lost at the
//!   same time, the session can go on at both servers.
//! * *Handovers.* A node that waits for an answer of the store about a session answers a claim of it after
//!   that. So it hands over nothing that a Node.js server has taken.
//! * *Engine away.* A session that was parked meanwhile is recovered at its node as usual. One whose
//!   record may be in the store is refused after
//!   [`lookup_timeout`](crate::RecoveryConfig::lookup_timeout), as
//!   [`EngineAway`](crate::recovery::RecoveryRefusal::EngineAway): another node could take it.
//! * *Bounds.* A record is written when the store can be told, so nothing but its session waits for the
//!   engine. While 256 commands are not answered, only claims take records, and what was taken in vain
//!   is stored again. Of the joins, leaves and disconnections of many sockets, a node keeps the latest
//!   65,536, and at most 32 MiB. A record that is older is refused as
//!   [`Trimmed`](crate::recovery::RecoveryRefusal::Trimmed), and so is one from before the node began
//!   to read.
//! * *Shutdown.* [`shutdown`](crate::server::Server::shutdown) parks all sessions, and says goodbye to the
//!   other nodes. [`hand_over`](crate::hub::At::hand_over) tells when the store has the sessions. Accept no
//!   connections from then on: the others do not wait for a node that has said goodbye, so a session that begins
//!   there afterwards can be refused elsewhere as [`Unknown`](crate::recovery::RecoveryRefusal::Unknown).
//! * *Sessions of Node.js servers* are refused as
//!   [`OrderNotProvable`](crate::recovery::RecoveryRefusal::OrderNotProvable), and stay in the store for
//!   the rest of their time, unless the application [chooses otherwise](OfficialSessions). Those servers
//!   recover sessions of this crate as they do their own.
//!
//! The sessions of clients that are connected to a node when it dies are lost: they are not in the store.
//!
//! # Trouble
//!
//! * *Engine away.* The node continues to serve its clients. What it emits waits, up to
//!   [`append_queue`](ClusterConfig#structfield.append_queue). Beyond that, emits are refused with
//!   [`EmitError::ChannelFull`](crate::hub::EmitError::ChannelFull).
//!   Answers to the events of clients come behind what was emitted before them. With
//!   [`Durability::OnPark`], they do not wait for an engine that is away: only an answer behind a join, a
//!   leave or a disconnection of its own socket, which waits, comes after that. So if the process crashes
//!   before the engine is back, what was emitted is lost although it was answered. With
//!   [`Durability::OnChange`], all answers wait, because a crash must not contradict them.
//! * *Outcome not known.* When the engine is back, the node first reads everything. Only then does it
//!   repeat the appends that it has not read. Every entry carries the number that its node has given
//!   it, so an entry that is there twice takes effect once.
//! * *Entries that the engine refuses.* An event that is nested deeper than any engine carries is
//!   refused when it is emitted, with [`EmitError::TooDeep`](crate::hub::EmitError::TooDeep). What the
//!   engine refuses for other reasons, the driver reports with [`Rejected`](ClusterInput::Rejected). It
//!   is lost and counted in [`appends_lost`](crate::server::Totals#structfield.appends_lost). Nothing
//!   waits behind it.
//! * *Gap.* If the engine no longer has everything that the node has not read yet, all sessions of the
//!   node in the namespaces of that channel end with
//!   [`ChannelGap`](crate::hub::DisconnectReason::ChannelGap), because they may have missed
//!   something. Their clients come back with new sessions. What such a client has in namespaces of
//!   other channels loses its link as well, and is recovered. Whether what was sent to the engine before
//!   the gap has taken effect is not known: it is given up, and counted in
//!   [`appends_lost`](crate::server::Totals#structfield.appends_lost). What was
//!   [not sent](ClusterInput::NotSent) yet is appended after the gap.
//! * *Bad entries* are skipped and counted:
//!   [`entries_skipped`](crate::server::Totals#structfield.entries_skipped). Nothing waits behind them.

pub mod engines;
pub mod message;

mod channel;
mod channels;
mod config;
mod durability;
mod input;
mod json;
mod members;
mod missing;
pub(crate) mod msgpack;
mod official;
mod output;
mod requests;

pub(crate) use self::{
    channel::{Channel, ChannelSet, Continuation, Reached, Reading},
    members::{Members, Noted},
    requests::Requests,
};
pub use self::{
    channels::Channels,
    config::ClusterConfig,
    durability::Durability,
    input::{ClusterInput, FetchedSession, StoreOutcome},
    missing::Missing,
    official::OfficialSessions,
    output::ClusterOutput,
};
