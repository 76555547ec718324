//! Connection state recovery: what a session is, what it missed, when it is refused.
//!
//! # Promise
//!
//! After a recovery the client has received exactly the recoverable events that were addressed to
//! its session, each once, in the order in which they were emitted. When that cannot be proven the
//! client gets a new session and the application gets the [`Refusal`]. There is no third outcome.
//!
//! # How
//!
//! Each namespace has one log. An event that the server emits (unless it is volatile or asks for an
//! acknowledgement) takes the next position, an [`Offset`], and carries it on the wire as its last
//! argument. The official client echoes the last one that it has processed.
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
//! * The *floor* of a session is the position when it was born. A client that presents no offset,
//!   or one from before the floor, has processed nothing since the floor.
//! * Joining and leaving are stamped with positions, so who was addressed is decided at emission:
//!   a packet belongs to the session if at its position the session was in a target room and in no
//!   excepted one.
//! * The log is bounded by age, count and bytes. A session is refused for a gap only if a packet
//!   *addressed to it* was evicted after its offset; silence, however long, loses nothing, nor does
//!   what was withheld from it ([`Gap`](Refusal::Gap) tells of the one exception).
//! * A session that lost its link is *parked*: rooms, kicks and emits go on working on it, and its
//!   end by expiry is an event.
//! * A claim is one step: the old link's socket is closed if there is still one, the session moves,
//!   CONNECT is written, then what was missed, then what is live.
//! * An event that its client cannot take is refused when it is emitted, as far as that can be known.
//!   A client that closes its connection at each replay of one, without getting on, is given up
//!   after some attempts ([`Refusal::PoisonEvent`]): otherwise nothing behind the event would reach
//!   it. It counts only if the client has closed in an orderly way; a lost network never does.
//! * A planned restart loses nothing: all of this is in a [`Snapshot`](crate::hub::Snapshot), which
//!   the next process is restored from.
//!
//! # Holes of the reference
//!
//! The page [`protocol`](crate::protocol#310-holes-of-the-reference) lists them all. This table
//! names the test for each one.
//!
#![doc = include_str!("holes.md")]

mod addressees;
mod buffer;
mod entry;
mod memberships;
mod offset;
mod refusal;
mod room;
mod snapshot;

pub(crate) use self::{
    addressees::Addressees,
    buffer::{LogContext, LogSnapshot, RecoveryBuffer},
    memberships::{Memberships, MembershipsContext, MembershipsSnapshot, Missing},
    room::RoomId,
    snapshot::{Inconsistent, Places, Resumption, RoomPlace, require},
};
pub use self::{
    offset::{InvalidOffset, Offset},
    refusal::{RecoveryOutcome, Refusal},
};
