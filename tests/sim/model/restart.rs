//! The effect of restarts on the model: of the server, and of clients that continue from their
//! saved state.

use std::collections::BTreeMap;

use socketio_proto::{SocketKey, Timestamp};

use super::{Model, Place};
use crate::{log::Space, world::View};

impl Model {
    /// The server was restarted with everything that it knew. Nobody waits for an acknowledgement
    /// any more.
    pub fn restart(&mut self, now: Timestamp, jumps: &[(usize, u32)]) {
        for (space, jump) in jumps {
            self.spaces[*space].restart(*jump);
        }
        let expires = now.saturating_add(self.rules.recovery.max_disconnection);
        for session in self.sessions.values_mut() {
            session.fleeting.clear();
            if matches!(session.place, Place::Live(_)) {
                session.place = Place::Parked { expires };
            }
        }
        self.give_up_acks();
    }

    /// The server was restarted without a snapshot. Its logs start again.
    pub fn crash(&mut self, epochs: &[u64]) {
        for (space, epoch) in self.spaces.iter_mut().zip(epochs) {
            *space = Space::new(space.name.clone(), *epoch);
        }
        self.sessions.clear();
        self.keys.clear();
        self.give_up_acks();
    }

    fn give_up_acks(&mut self) {
        self.emissions.iter_mut().for_each(|emission| emission.is_awaited = false);
    }

    /// The log of a namespace starts again, without any sessions.
    pub fn renew(&mut self, space: usize, epoch: u64) {
        assert!(self.is_deserted(space), "somebody is in it");
        let Space { name, acks, .. } = &self.spaces[space];
        let acks = *acks;
        self.spaces[space] = Space::new(name.clone(), epoch);
        // Their ids are not used again.
        self.spaces[space].acks = acks;
    }

    /// Handles of sessions are others after a restart.
    pub fn rename(&mut self, renamed: &BTreeMap<SocketKey, SocketKey>) {
        let name = |key: &SocketKey| renamed.get(key).copied().unwrap_or(*key);
        self.sessions = std::mem::take(&mut self.sessions)
            .into_iter()
            .map(|(key, mut session)| {
                session.owns = session.owns.iter().map(name).collect();
                (name(&key), session)
            })
            .collect();
        self.keys.values_mut().for_each(|key| *key = name(key));
    }

    /// The session of a public id.
    pub fn find(&self, sid: &str) -> Option<SocketKey> {
        let found = self.sessions.iter().find(|(_, session)| session.sid == sid);
        found.map(|(key, _)| *key)
    }

    /// What a client knows of its session at this moment.
    pub fn view(&self, key: SocketKey) -> View {
        let session = &self.sessions[&key];
        View { key, due: session.due.clone(), logged: session.log.len() }
    }

    /// A client continues from an earlier state. It does not know the events that it received
    /// since.
    pub fn restore_view(&mut self, view: &View) {
        let session = self.sessions.get_mut(&view.key).unwrap();
        session.due.clone_from(&view.due);
        session.due.extend(session.log.iter().skip(view.logged));
        session.fleeting.clear();
    }
}
