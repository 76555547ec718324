//! Planned restarts: what recovery needs, as one value from process to process.

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

/// Everything that recovery needs of a server: for each namespace the log and the sessions, with
/// their ids, rooms, data, and what they remember of their clients' events.
///
/// Made by [`Hub::snapshot`], which says what is in it and what
/// is not. It is plain data for any format of serde: the embedder writes it where the next process
/// finds it.
///
/// **It contains private ids and undelivered events: keep it as secret as a password file.** Its
/// `Debug` shows neither.
///
/// Its first field is the version of its form, [`Snapshot::VERSION`]; a snapshot of another version
/// is refused by `Deserialize`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Snapshot<D> {
    version: Version,
    taken_at: Timestamp,
    /// Handles go on, so that one of the earlier process names no other socket.
    next_generation: u64,
    /// Those with sessions, by name.
    namespaces: Vec<SessionsSnapshot<D>>,
}

/// The version of the form, which must be the present one.
#[derive(Clone, Copy)]
struct Version;

/// Why a snapshot was not restored. The server is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The server has sessions, or has emitted events already.
    #[error("a snapshot is restored before the first client connects")]
    InUse,
    /// This value contradicts others, or is one that no server writes: the snapshot was damaged or
    /// made up.
    #[error("the snapshot is damaged at `{field}`")]
    Inconsistent {
        /// The path of the value, such as `log.packets.at`.
        field: &'static str,
    },
}

impl<D> Snapshot<D> {
    /// The version of the form that this version of the crate writes and reads.
    pub const VERSION: u32 = 1;

    /// Returns when it was taken.
    pub fn taken_at(&self) -> Timestamp {
        self.taken_at
    }

    /// Returns the number of sessions in it.
    pub fn sessions(&self) -> usize {
        let counts = self.namespaces.iter().map(SessionsSnapshot::len);
        counts.fold(0, usize::saturating_add)
    }
}

impl<D: Clone> Hub<D> {
    /// Takes a snapshot of everything that recovery needs, for a process that takes over after
    /// this one has ended: clients then recover as if there had been no restart.
    ///
    /// To end a process, close its connections with [`shutdown`](crate::server::Server::shutdown), take all output
    /// and handle its events, and take the snapshot last. Whatever happens in this process
    /// afterwards is not known to the next one.
    ///
    /// * Each session is in it with its ids, data, rooms now and before, and with what it remembers
    ///   of its client's events. Connected ones count as disconnected at this moment.
    /// * Each log is in it, with the packets that it holds and with what it knows of those that it
    ///   does not hold any more.
    /// * Connections end with their process, and so do the [`ConnectionId`](crate::ConnectionId)s,
    ///   [`SocketKey`]s and [`AckToken`](super::AckToken)s that the application may hold.
    /// * Acknowledgements that the application waits for end with the process as well: nobody would
    ///   know what to do with the answers. An event that asks for one is not replayed after the
    ///   restart, even with [`replay_ack_events`](crate::RecoveryConfig::replay_ack_events).
    /// * An event that was [accepted once](super::At::accept_once) counts as handled, whether or not it
    ///   was acknowledged; if it was not, it will not be. So acknowledge first.
    ///
    /// Takes O(n log n) in the sessions, rooms and packets that are held, and shares the packets' bytes
    /// with the server.
    ///
    /// With a hub alone, what is still to be polled is not in it, nor are requests on their way from
    /// links.
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

    /// Checks everything before anything is changed.
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

    /// Makes a namespace what it was, and ends the sessions that have expired, that are too many,
    /// or whose namespace there is not any more.
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
            let problem = format_args!("a snapshot of version {found}, not {known}");
            Err(D::Error::custom(problem))
        }
    }
}
