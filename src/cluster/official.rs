//! Sessions of Node.js servers.

/// What happens if a client claims a session that a Node.js server has put into the store.
///
/// Such a server delivers the events that it emits itself ahead of the channel, so the offset of a
/// client does not say what the client has received. It also stores the rooms as they were when the
/// link was lost, and not since when.
///
/// ```
/// use socketio_proto::cluster::{ClusterConfig, OfficialSessions};
///
/// # let mut entropy = |dest: &mut [u8]| dest.fill(7);
/// let config = ClusterConfig::from_entropy(&mut entropy);
/// assert_eq!(config.official_sessions, OfficialSessions::Refuse);
/// // While the servers are replaced one by one, some clients move from the old ones to the new ones.
/// let config = config.official_sessions(OfficialSessions::BestEffort);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OfficialSessions {
    /// The client gets a new session, with the reason
    /// [`OrderNotProvable`](crate::recovery::RecoveryRefusal::OrderNotProvable). The stored session
    /// stays in the store for the rest of its time. The default.
    #[default]
    Refuse,
    /// The session is recovered as a Node.js server would do it: the client gets the events after its
    /// offset that were addressed to the rooms which are stored. Events may be missing, come twice or
    /// in another order, or come although the client was not in the room at that time. The outcome is
    /// [`BestEffort`](crate::recovery::RecoveryOutcome::BestEffort). Later recoveries of the same
    /// session are exact.
    ///
    /// More is refused than by a Node.js server: an offset that is not that of an event of this
    /// namespace, and a session that this node does not have everything for since the offset. Joins,
    /// leaves and disconnections of many sockets after the offset take effect.
    BestEffort,
}
