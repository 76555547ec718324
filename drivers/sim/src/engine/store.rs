//! The sessions that the engine keeps.

use std::collections::BTreeMap;

use socketio_proto::{
    Timestamp,
    cluster::{ClusterInput, ClusterOutput, FetchedSession, StoreOutcome, message::StoredSession},
};

/// The sessions that the engine keeps, by private id.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// The sessions, and when they expire.
    pub sessions: BTreeMap<String, (StoredSession, Timestamp)>,
    /// It does not take any more sessions.
    pub is_full: bool,
    /// How many commands it has carried out.
    pub carried_out: usize,
}

impl Store {
    /// Carries out a command. Returns the answer.
    ///
    /// # Panics
    ///
    /// If the command is not one for a store.
    pub fn carry_out(&mut self, now: Timestamp, command: ClusterOutput) -> ClusterInput {
        self.sessions.retain(|_, (_, expires)| *expires > now);
        self.carried_out += 1;
        match command {
            ClusterOutput::Store { session, expires_in, replaces, number } => {
                let key = session.pid.expose().to_string();
                let there = self.sessions.get(&key).and_then(|(it, _)| it.version);
                let outcome = if self.is_full {
                    StoreOutcome::Refused
                } else if replaces.is_some() && replaces != there {
                    StoreOutcome::Superseded
                } else {
                    self.sessions.insert(key, (session, now.saturating_add(expires_in)));
                    StoreOutcome::Stored
                };
                ClusterInput::Stored { number, outcome }
            }
            ClusterOutput::Fetch { key, number } => {
                let found = self.sessions.get(key.expose()).cloned();
                ClusterInput::Fetched { number, session: fetched(now, found) }
            }
            ClusterOutput::Take { key, version, number } => {
                let found = self.sessions.get(key.expose()).cloned();
                if found.as_ref().is_some_and(|(it, _)| it.version == version) {
                    self.sessions.remove(key.expose());
                }
                ClusterInput::Fetched { number, session: fetched(now, found) }
            }
            other => panic!("not for a store: {other:?}"),
        }
    }
}

fn fetched(now: Timestamp, found: Option<(StoredSession, Timestamp)>) -> Option<FetchedSession> {
    found.map(|(session, expires)| FetchedSession::new(session, expires.saturating_since(now)))
}
