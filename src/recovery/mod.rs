//! Connection state recovery: what a session missed, and when it cannot be recovered.
//!
//! # Promise
//!
//! After a recovery, the client has received exactly the recoverable events that were addressed to
//! its session, each once, in the order in which they were emitted. If the server cannot prove
//! this, the client gets a new session and the application gets the [`RecoveryRefusal`]. There is no third
//! outcome, unless the application asks for one: in a cluster with Node.js servers it can choose to have
//! their sessions recovered as [well as possible](RecoveryOutcome::BestEffort).
//!
//! # How
//!
//! Each namespace has one log. An event that the server emits (unless it is volatile or asks for an
//! acknowledgement) takes the next position, an [`Offset`], and carries it on the wire as its last
//! argument. When the official client reconnects, it sends the last offset that it has processed.
//!
//! ```text
//!            floor          join "a"      leave "a"        link lost       back
//! log  ──┬─────┼──┬───┬────────┼──┬───┬───────┼───┬───┬────────┼───┬───┬─────┼───►
//!        1        2   3           4   5           6   7            8   9
//!               all  "b"         "a"  all        "a"  all         all "b"
//! session         ■               ■   ■               ■            ■
//!                                     ▲ last one processed         └─ replayed: 7 and 8
//! ```
//!
//! * The *floor* of a session is the position at which it began. A client that presents no offset,
//!   or an offset from before the floor, has processed nothing since the floor.
//! * Each join and leave is recorded with its position. So the addressees of a packet are fixed
//!   when it is emitted: a packet belongs to the session if, at the packet's position, the session
//!   was in a target room and in no excepted room.
//! * The log is bounded by age, count and bytes. A session is refused for a gap only if a packet
//!   *addressed to it* was evicted after its offset. A long silence loses nothing, and neither does
//!   the eviction of packets that were withheld from the session ([`Gap`](RecoveryRefusal::Gap) describes
//!   the one exception).
//! * A session that lost its link is *parked*. It can still join and leave rooms, be disconnected,
//!   and be emitted to. When it expires, the application gets an event.
//! * A claim is accepted in one step: the socket on the old link is closed if it is still open, the
//!   session moves, and CONNECT, the missed packets and then the live packets are written.
//! * An event that the client cannot accept is refused when it is emitted, as far as the server can
//!   know this. If a client closes its connection after each replay of the same event, its session
//!   is given up after several attempts ([`RecoveryRefusal::PoisonEvent`]). Otherwise no later event would
//!   reach it. Only an orderly close by the client counts as an attempt; a lost network never does.
//! * A planned restart loses nothing: a [`Snapshot`](crate::hub::Snapshot) contains all of this,
//!   and the next process is restored from it.
//!
//! # Holes of the reference
//!
//! The page [`protocol`](crate::protocol#310-holes-of-the-reference) lists them all. This table
//! names the test for each hole.
//!
#![doc = include_str!("holes.md")]

mod addressees;
mod buffer;
mod entry;
mod evictions;
mod memberships;
mod offset;
mod refusal;
mod room;
mod room_log;
mod rooms;
mod snapshot;
mod texts;

#[cfg(test)]
pub(crate) use self::rooms::Expected;
pub(crate) use self::{
    addressees::Addressees,
    buffer::{LogContext, LogSnapshot, RecoveryBuffer, Resolution},
    memberships::{Membership, Memberships, MembershipsContext, MembershipsSnapshot, Missing},
    room::RoomId,
    rooms::{Occupant, Rooms},
    snapshot::{Inconsistent, Places, Resumption, RoomPlace, require},
};
pub use self::{
    offset::{InvalidOffset, Offset},
    refusal::{RecoveryOutcome, RecoveryRefusal},
};
