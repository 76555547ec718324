//! Why a client did not get its session back.

use thiserror::Error;

/// Why a session was not recovered although the client presented a private id.
///
/// The client is connected with a new session; the reason is for the application and for the
/// counters of [`Stats`](crate::server::Stats).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No session has this private id: it ended for good (maybe with its dynamic namespace, which
    /// was then made again), it was evicted, the server was
    /// restarted without a [`Snapshot`](crate::hub::Snapshot), or the id was made up.
    #[error("no session with this private id is known")]
    Unknown,
    /// The session belongs to another namespace.
    #[error("the session belongs to another namespace")]
    OtherNamespace,
    /// The client was away for longer than
    /// [`max_disconnection`](crate::RecoveryConfig::max_disconnection).
    #[error("the client was away for too long")]
    Expired,
    /// A packet that was addressed to the session after the offset is not in the log any more. Or
    /// it cannot be told that none is: the latest packets of a room that have gone were withheld from
    /// the session with 32 different sets of excepted rooms, and no single room explains them all.
    #[error("a packet that the client missed was evicted from the log")]
    Gap,
    /// The offset is no offset of this log, or lies in the future: so does one that a former process
    /// gave out to this session after the snapshot that this one was restored from.
    #[error("the offset is not one of this session")]
    InvalidOffset,
    /// The session missed more than [`replay_bytes`](crate::RecoveryConfig::replay_bytes), or
    /// something that was addressed to it before its latest
    /// [`memberships`](crate::RecoveryConfig::memberships) room changes; or the session was given to
    /// 2^32 links.
    #[error("what the client missed is over a limit")]
    Limit,
    /// The client has closed its connection
    /// [`replay_attempts`](crate::RecoveryConfig::replay_attempts) times in a row right after it was
    /// sent the same packets: it refuses one of them, which
    /// [`Event::ReplayRefused`](crate::hub::Event::ReplayRefused) tells.
    #[error("the client has refused the same replay again and again")]
    PoisonEvent,
    /// A claim of the session that arrived later was accepted before this one.
    #[error("a later claim of the session was accepted first")]
    Superseded,
    /// The client has the session already, on the same connection and in the same namespace, and
    /// was sent packets of which nobody knows whether it will process them.
    #[error("the client has the session on the same connection")]
    SameConnection,
}

/// Whether a connected socket is a new session or a recovered one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryOutcome {
    /// A new session: the client did not ask for another one.
    New,
    /// The session that the client had before: same id, rooms and data, and the events that it
    /// missed follow.
    Recovered {
        /// Packets replayed.
        replayed: usize,
    },
    /// A new session, because the one that the client asked for could not be recovered.
    Refused(Refusal),
}

impl RecoveryOutcome {
    /// Returns whether the session is the one that the client had before.
    pub const fn is_recovered(self) -> bool {
        matches!(self, Self::Recovered { .. })
    }
}
