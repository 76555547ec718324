//! Planned restarts: one value carries the state of recovery to the next process.

use alloc::{collections::BTreeMap, vec::Vec};
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

use super::{
    Hub,
    namespace::Namespace,
    reason::{EndCause, ExpiryCause},
    sessions::{Sessions, SessionsContext, SessionsSnapshot},
};
use crate::{
    id::{Generation, SocketKey},
    recovery::{Inconsistent, Resumption, require},
    stats::increment,
    time::Timestamp,
};

/// The state of recovery of a server: for each namespace the log and the sessions, with their ids,
/// rooms, data, and what they remember about their clients' events.
///
/// Created by [`Hub::snapshot`], whose documentation says what it contains. It is plain data for
/// any serde format. The embedder stores it where the next process can read it.
///
/// **It contains private ids and undelivered events: keep it as secret as a password file.** Its
/// `Debug` shows neither.
///
/// Its first field is the version of the format, [`Snapshot::VERSION`]. `Deserialize` refuses a
/// snapshot of another version.
#[derive(Clone, Serialize, Deserialize)]
pub struct Snapshot<D> {
    version: Version,
    taken_at: Timestamp,
    /// Generations continue, so that a key of the earlier process never refers to another socket.
    next_generation: u64,
    /// Namespaces with sessions, by name.
    namespaces: Vec<SessionsSnapshot<D>>,
}

/// The version of the format, which must be the current one.
#[derive(Clone, Copy)]
struct Version;

/// Why a snapshot was not restored. The server is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The server already has sessions, or has already emitted events.
    #[error("a snapshot must be restored before the first client connects")]
    InUse,
    /// The server is one of a cluster. Its sessions depend on what others have emitted since.
    #[error("a snapshot cannot be restored in a cluster")]
    Clustered,
    /// This value contradicts others, or no server writes such a value. The snapshot was damaged or
    /// made up.
    #[error("the snapshot is damaged at `{field}`")]
    Inconsistent {
        /// The path of the value, such as `log.packets.at`.
        field: &'static str,
    },
}

impl<D> Snapshot<D> {
    /// The version of the format that this version of the crate writes and reads.
    pub const VERSION: u32 = 1;

    /// Returns when the snapshot was taken.
    pub fn taken_at(&self) -> Timestamp {
        self.taken_at
    }

    /// Returns the number of sessions in the snapshot.
    pub fn sessions(&self) -> usize {
        let counts = self.namespaces.iter().map(SessionsSnapshot::len);
        counts.fold(0, usize::saturating_add)
    }
}

impl<D: Clone> Hub<D> {
    /// Takes a snapshot of the state of recovery. A process that takes over after this one restores
    /// it; clients then recover as if there had been no restart.
    ///
    /// To end a process, close its connections with [`shutdown`](crate::server::Server::shutdown),
    /// then carry out all output and handle all events, and take the snapshot last. The next
    /// process knows nothing of what happens in this process afterwards.
    ///
    /// * It contains each session with its ids, its data, its current and past rooms, and what it
    ///   remembers about its client's events. Connected sessions count as disconnected at `now`.
    /// * It contains each log, with its packets and with what it knows about evicted packets.
    /// * Connections end with their process. So the [`ConnectionId`](crate::ConnectionId)s,
    ///   [`SocketKey`]s and [`AckToken`](super::AckToken)s that the application holds are not valid
    ///   in the next process.
    /// * Acknowledgements that the application waits for also end with the process: the next
    ///   process would not know what to do with the answers. An event that asks for one is not
    ///   replayed after the restart, even with
    ///   [`replay_ack_events`](crate::RecoveryConfig::replay_ack_events).
    /// * An event that was [accepted once](super::At::accept_once) counts as handled, whether or
    ///   not it was acknowledged. If it was not, it never will be. So acknowledge events before the
    ///   snapshot.
    ///
    /// Takes O(n log n) in the number of sessions, rooms and packets, and shares the packets' bytes
    /// with the server.
    ///
    /// With a hub alone, it contains neither outputs that have not been polled nor requests on
    /// their way from links.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::server::Server;
    ///
    /// fn save(server: &mut Server, now: Timestamp) -> serde_json::Result<String> {
    ///     server.shutdown(now);
    ///     while let Some(_output) = server.poll_output() { /* carry it out, handle its events */ }
    ///     serde_json::to_string(&server.snapshot(now))
    /// }
    /// # save(&mut Server::new(Default::default(), |dest: &mut [u8]| dest.fill(7)).unwrap(), Timestamp::ZERO).unwrap();
    /// ```
    #[must_use]
    pub fn snapshot(&self, now: Timestamp) -> Snapshot<D> {
        let taken_at = self.now.max(now);
        let namespaces = self.names.values().filter_map(|id| {
            let namespace = self.namespaces.get(id)?;
            namespace.sessions.snapshot(taken_at)
        });
        Snapshot {
            version: Version,
            taken_at,
            next_generation: self.next_generation.as_raw(),
            namespaces: namespaces.collect(),
        }
    }
}

impl<D: Default> Hub<D> {
    /// See [`At::restore`](super::At::restore).
    pub(super) fn restore(
        &mut self,
        now: Timestamp,
        snapshot: Snapshot<D>,
    ) -> Result<Vec<SocketKey>, RestoreError> {
        let now = self.advance(now);
        if self.is_clustered() {
            return Err(RestoreError::Clustered);
        }
        let has_none = |namespace: &Namespace<D>| {
            namespace.sessions.is_empty() && namespace.sessions.log().head() == 0
        };
        if !self.namespaces.values().all(has_none) {
            return Err(RestoreError::InUse);
        }
        let restored = self.read(now, snapshot)?;
        for namespace in restored {
            self.install(now, namespace);
        }
        Ok(self.keys.values().copied().collect())
    }

    /// Checks the whole snapshot before anything is changed.
    fn read(
        &mut self,
        now: Timestamp,
        snapshot: Snapshot<D>,
    ) -> Result<Vec<Sessions<D>>, Inconsistent> {
        let Snapshot { version: Version, taken_at, next_generation, namespaces } = snapshot;
        let next_generation = Generation::from_raw(next_generation);
        let next_generation = next_generation.ok_or(Inconsistent("next_generation"))?;
        self.next_generation = self.next_generation.max(next_generation);
        let is_ascending = namespaces.is_sorted_by(|a, b| a.name() < b.name());
        require(is_ascending, "namespaces.name")?;
        let resumption = Resumption { taken_at, now };
        let mut keys = BTreeMap::new();
        let mut restored = Vec::with_capacity(namespaces.len());
        for snapshot in namespaces {
            let (config, jump) = (self.config.clone(), self.random());
            let context = SessionsContext { config, resumption, jump };
            let sessions = Sessions::restore(snapshot, context, &mut self.next_generation)?;
            for (index, _, key) in sessions.keys() {
                let is_new = keys.insert(key.index_key(), index).is_none();
                require(is_new, "sessions.pid")?;
            }
            restored.push(sessions);
        }
        Ok(restored)
    }

    /// Restores a namespace. Ends the sessions that have expired, that exceed a limit, or whose
    /// namespace does not exist any more.
    fn install(&mut self, now: Timestamp, sessions: Sessions<D>) {
        let name = sessions.name().clone();
        let is_served = self.find_namespace(name.as_str()).is_some()
            || (self.is_accepted(&name) && self.namespaces.len() < self.config.limits.namespaces);
        let found = self.find_namespace(name.as_str());
        let id = found.unwrap_or_else(|| self.insert_namespace(name, true));
        let Some(namespace) = self.namespaces.get_mut(&id) else {
            return;
        };
        let mut restored = Vec::new();
        for (index, generation, key) in sessions.keys() {
            increment(&mut self.totals.sessions_restored);
            let socket = SocketKey { namespace: id, index, generation };
            self.keys.insert(key.index_key(), socket);
            restored.push(socket);
        }
        let next_ack = namespace.sessions.next_ack();
        namespace.sessions = sessions.asking_from(next_ack);
        #[cfg(feature = "record")]
        namespace.sessions.set_recorder(self.recorder.clone());
        if !is_served {
            for socket in restored {
                self.end(socket, EndCause::Expired(ExpiryCause::Evicted));
            }
        }
        self.expire(now, id);
        self.settle(id);
    }
}

impl From<Inconsistent> for RestoreError {
    fn from(Inconsistent(field): Inconsistent) -> Self {
        Self::Inconsistent { field }
    }
}

impl<D> fmt::Debug for Snapshot<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("taken_at", &self.taken_at)
            .field("sessions", &self.sessions())
            .finish_non_exhaustive()
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Snapshot::<()>::VERSION.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (found, known) = (u32::deserialize(deserializer)?, Snapshot::<()>::VERSION);
        if found == known {
            Ok(Self)
        } else {
            Err(D::Error::custom(format_args!("a snapshot of version {found}, not {known}")))
        }
    }
}
