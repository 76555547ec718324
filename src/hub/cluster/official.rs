//! Sessions that Node.js servers have put into the store.
//!
//! Nothing in such a record says what the client has received. The client's offset is that of the last
//! event that it has received, but an event before that may not have arrived: the server delivers its
//! own events ahead of the channel.

use crate::{
    cluster::{
        OfficialSessions,
        message::{StoredSession, Value},
    },
    hub::{Hub, request::ConnectRequest, sessions::Parked},
    recovery::{Offset, RecoveryRefusal},
};

impl<D: Default> Hub<D> {
    /// Reads a session that an official node has stored, as a claim needs it. `Unknown` if the data in
    /// it are not those of this application.
    pub(super) fn read_official(
        &self,
        request: ConnectRequest,
        offset: Option<&str>,
        session: &StoredSession,
    ) -> Result<Parked<D>, RecoveryRefusal> {
        let node = self.node.as_ref().ok_or(RecoveryRefusal::Unknown)?;
        if node.official_sessions == OfficialSessions::Refuse {
            return Err(RecoveryRefusal::OrderNotProvable);
        }
        if !self.connects.is_looked_up(request) {
            // The client has gone.
            return Err(RecoveryRefusal::Unanswered);
        }
        let offset = offset.ok_or(RecoveryRefusal::OrderNotProvable)?;
        let offset: Offset = offset.parse().map_err(|_| RecoveryRefusal::InvalidOffset)?;
        let namespace = self.namespaces.get(&request.namespace).ok_or(RecoveryRefusal::Unknown)?;
        let log = namespace.sessions.log();
        // The record does not say in which namespace the session was. Its client knows only offsets of
        // events of that namespace.
        let at = log.covered(offset);
        if at.is_some_and(|at| log.kept_position(at) != Some(offset)) {
            return Err(RecoveryRefusal::InvalidOffset);
        }
        let name = namespace.sessions.name().clone();
        let data = (node.codec.read_data)(&session.data);
        let data = data.or_else(|| is_empty(&session.data).then(D::default));
        let data = data.ok_or(RecoveryRefusal::Unknown)?;
        Ok(Parked::official((session.sid, session.pid, data), name, offset, &session.rooms))
    }
}

/// Whether an application of Node.js has kept nothing with a socket.
fn is_empty(data: &Value) -> bool {
    matches!(data.json(), "{}" | "null")
}
