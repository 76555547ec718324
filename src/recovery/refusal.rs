//! Why a client did not get its session back.

use thiserror::Error;

/// Why a session was not recovered although the client presented a private id.
///
/// The client is connected with a new session instead. The application gets the reason, and
/// [`Stats`](crate::server::Stats) counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
#[non_exhaustive]
pub enum RecoveryRefusal {
    /// No session has this private id. The session ended for good (maybe with its dynamic
    /// namespace, which was then created again), or it was evicted, or the server was restarted
    /// without a [`Snapshot`](crate::hub::Snapshot), or the id was made up.
    #[error("no session with this private id is known")]
    Unknown,
    /// No session with this private id is known here, and nobody has said in time whether it is
    /// known elsewhere: within [`lookup_timeout`](crate::RecoveryConfig::lookup_timeout), and before
    /// the application accepted the client.
    #[error(
        "no session with this private id is known here, and the lookup elsewhere was not answered"
    )]
    Unanswered,
    /// The session may be at another node of the cluster, or in the store, but the engine is away.
    #[error("the engine that connects the nodes is away")]
    EngineAway,
    /// No node has handed the session over in time, and it is not in the store. Its node has died or
    /// does not answer, or nobody has the session. Or the engine has not answered
    /// within ten times [`lookup_timeout`](crate::RecoveryConfig::lookup_timeout).
    #[error("no node of the cluster has answered, and the session is not in the store")]
    OwnerUnreachable,
    /// The session is in the store of the cluster, but this node does not have everything that has
    /// happened since then: it has begun to read later, or has evicted a part.
    #[error("this node does not have everything since the session was stored")]
    Trimmed,
    /// A server of Node.js has stored the session. It does not deliver events in the order of the
    /// channel, so what the client has received cannot be known. The application can
    /// [choose otherwise](crate::cluster::OfficialSessions), but not for a client without an offset.
    #[error("what the client has received from another kind of server cannot be known")]
    OrderNotProvable,
    /// The session belongs to another namespace.
    #[error("the session belongs to another namespace")]
    OtherNamespace,
    /// The client was away for longer than
    /// [`max_disconnection`](crate::RecoveryConfig::max_disconnection).
    #[error("the client was away for too long")]
    Expired,
    /// A packet that was addressed to the session after the offset was evicted from the log. Or the
    /// server cannot prove that this did not happen: the latest evicted packets of a room were
    /// withheld from the session by 32 different sets of excepted rooms, and no single room is in
    /// all of these sets.
    ///
    /// In a cluster also: the client presents an offset that it may have kept from an earlier session.
    /// Another node had sent it the packet there, and the node of this session had not read that yet
    /// when the session began. So nobody knows whether the client has processed it in this session.
    #[error("a packet that the client missed was evicted from the log")]
    Gap,
    /// The offset is not from this log, or it lies in the future. An offset lies in the future,
    /// too, if an earlier process assigned it after it had taken the snapshot that this process was
    /// restored from.
    #[error("the offset is not one of this session")]
    InvalidOffset,
    /// The session missed more than [`replay_bytes`](crate::RecoveryConfig::replay_bytes). Or it
    /// missed a packet from before its latest [`memberships`](crate::RecoveryConfig::memberships)
    /// room changes. Or the session has been attached to 2^32 links. Or, in a cluster, the connection has
    /// claimed more sessions of other nodes than it may have
    /// [namespaces](crate::Limits::namespaces_per_connection).
    #[error("the client missed more than a limit allows")]
    Limit,
    /// The client has closed its connection
    /// [`replay_attempts`](crate::RecoveryConfig::replay_attempts) times in a row, each time right
    /// after it was sent the same packets. So it refuses one of them;
    /// [`ServerEvent::ReplayRefused`](crate::hub::ServerEvent::ReplayRefused) reports which.
    #[error("the client has refused the same replay again and again")]
    PoisonEvent,
    /// A later claim of the same session was accepted before this one.
    #[error("a later claim of the session was accepted first")]
    Superseded,
    /// The client already has the session, on the same connection and in the same namespace. Or it
    /// had the session there until a CONNECT with invalid authentication data parked it. It was sent
    /// packets there, and the server cannot know whether it will process them.
    #[error("the client has the session on the same connection")]
    SameConnection,
}

/// Whether a connected socket is a new session or a recovered one.
///
/// ```
/// use socketio_proto::recovery::{RecoveryOutcome, RecoveryRefusal};
///
/// fn describe(outcome: RecoveryOutcome) -> String {
///     match outcome {
///         RecoveryOutcome::Recovered { replayed } => format!("back, and missed {replayed} events"),
///         RecoveryOutcome::Refused(refusal) => format!("new, because {refusal}"),
///         _ => "new".to_owned(),
///     }
/// }
/// assert_eq!(
///     describe(RecoveryOutcome::Refused(RecoveryRefusal::Expired)),
///     "new, because the client was away for too long",
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "closed: new, recovered with or without the promise, or refused with a reason that can grow"
)]
pub enum RecoveryOutcome {
    /// A new session. The client did not ask for an earlier one.
    New,
    /// The session that the client had before, with the same id, rooms and data. The events that it
    /// missed follow.
    Recovered {
        /// Packets replayed.
        replayed: usize,
    },
    /// The session that the client had at a Node.js server, with the same id, rooms and data. Of the
    /// events that it missed, some may not follow, or follow twice, or in another order. Only with
    /// [`OfficialSessions::BestEffort`](crate::cluster::OfficialSessions::BestEffort).
    BestEffort {
        /// Packets replayed.
        replayed: usize,
    },
    /// A new session, because the session that the client asked for could not be recovered.
    Refused(RecoveryRefusal),
}

impl RecoveryOutcome {
    /// Returns whether the session is the one that the client had before.
    pub const fn is_recovered(self) -> bool {
        matches!(self, Self::Recovered { .. } | Self::BestEffort { .. })
    }
}
