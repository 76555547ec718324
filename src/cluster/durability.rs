//! When a node puts its sessions into the store.

/// When the sessions of a node are put into the store of the cluster, and so what is lost if the
/// process crashes.
///
/// All nodes of a cluster can use either, and sessions move between them.
///
/// ```
/// use socketio_proto::cluster::{ClusterConfig, Durability};
///
/// # let mut entropy = |dest: &mut [u8]| dest.fill(7);
/// let config = ClusterConfig::from_entropy(&mut entropy);
/// assert_eq!(config.durability, Durability::OnPark);
/// // The clients of a process that crashes come back with their sessions.
/// let config = config.durability(Durability::OnChange);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// A session is stored when its client has lost the connection, and all of them at a graceful
    /// [shutdown](crate::hub::At::hand_over). If the process crashes, the sessions of the clients that
    /// were connected, or were coming to it, are lost. A parked session that the store has is not lost, but
    /// its latest change (its data, what it remembers of its client's events) may be. The default, and
    /// what Node.js servers do.
    #[default]
    OnPark,
    /// A session is in the store from before its client learns of it. If the process crashes, the
    /// session goes on at another node, or at the next process.
    ///
    /// What changes a session is stored before the client is sent anything that follows from it: the
    /// answer to a CONNECT, and whatever is sent after [`set_data`](crate::hub::At::set_data),
    /// [`accept_once`](crate::hub::At::accept_once), or the answer to an event that was accepted so.
    /// Joins, leaves and disconnections go through the channel instead, and take effect when the node
    /// reads them. So they cost an entry each. A disconnection that closes the connection costs an entry for
    /// each session of the connection, and the connection is closed when the node has read all of them. So
    /// a crash before that may leave sessions of whose end the client was not told. If there is no room for
    /// these entries in the [queue](crate::cluster::ClusterConfig::append_queue), the connection is
    /// closed at once, and the sessions without an entry end at this node alone: if the process crashes
    /// before it has removed them from the store, they can still be recovered.
    ///
    /// An event that the application was handling when the process crashed, and that was not
    /// answered, may come once more.
    ///
    /// A node that was paused, or had no engine, may not know yet that another one has taken a session.
    /// It may then report [`Connected`](crate::hub::ServerEvent::Connected) for it once more, and events
    /// that the client had sent before. The client is told nothing of that: with the next answer of the
    /// store, the session ends here as moved. The same happens if a client offers a session that is
    /// connected here to a Node.js server: that takes it out of the store and tells no one, so the session
    /// can be at both until it is written here again.
    ///
    /// This costs one write for a CONNECT and for each such change; changes that come while a write is
    /// under way share the next one. A session that does not change is written once in each
    /// [`max_disconnection`](crate::RecoveryConfig::max_disconnection).
    OnChange,
}
