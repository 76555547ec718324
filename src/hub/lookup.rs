//! Finds the session that a claim can recover.
//!
//! A claim is looked up once, when it arrives: this finds the session and the position from which
//! the client resumes. Some things can change until the claim is decided, and are checked only
//! then: whether the session still exists, whether a later claim was accepted, and whether the log
//! still has the missed packets.

use alloc::vec::Vec;

use super::{
    Hub, claim::Claim, message::Attached, pacing::Held, request::ConnectRequest, sessions::Sessions,
};
use crate::{
    id::{RecoveryKey, SocketKey},
    recovery::RecoveryRefusal,
    socket::Encoded,
    time::Timestamp,
};

/// A session that can be recovered, and the packets that it missed.
pub(super) struct Replay {
    pub(super) socket: SocketKey,
    /// The position up to which the client has processed everything.
    pub(super) position: u64,
    pub(super) missed: Vec<Encoded>,
}

impl<D: Default> Hub<D> {
    /// The session to hold for a new claim, if it has not expired, and the position from which the
    /// client resumes. Takes O(log n): the missed packets are examined later, when it is the turn
    /// of the claim.
    pub(super) fn find(
        &self,
        now: Timestamp,
        namespace: u32,
        claim: &Claim,
    ) -> Result<Held, RecoveryRefusal> {
        let socket = self.claimed(claim).ok_or(RecoveryRefusal::Unknown)?;
        if socket.namespace != namespace {
            return Err(RecoveryRefusal::OtherNamespace);
        }
        let sessions = &self.namespaces.get(&namespace).ok_or(RecoveryRefusal::Unknown)?.sessions;
        let offset = claim.offset();
        if sessions.has_expired(self.expired_by(now), socket.index) {
            return Err(offset.err().unwrap_or(RecoveryRefusal::Expired));
        }
        let position = offset.and_then(|offset| sessions.resume_from(socket.index, offset));
        Ok(Held { socket, position, until: Timestamp::NEVER })
    }

    /// The replay if a request is accepted now, with the session that it claims. `None` if it
    /// claims no session.
    pub(super) fn replay(
        &self,
        request: ConnectRequest,
    ) -> Option<Result<Replay, RecoveryRefusal>> {
        let claimed = self.connects.get(request)?.claimed?;
        Some(claimed.and_then(|held| {
            let (sessions, position) = self.check(held)?;
            let Held { socket, .. } = held;
            let missed = sessions.missed(socket.index, position)?;
            self.check_order(request, socket, position, missed.is_empty())?;
            Ok(Replay { socket, position, missed })
        }))
    }

    /// The session that would be recovered if a request were accepted now.
    pub(super) fn recoverable(&self, request: ConnectRequest) -> Option<SocketKey> {
        let held = self.connects.get(request)?.claimed?.ok()?;
        let (sessions, position) = self.check(held).ok()?;
        let missed = sessions.missed_len(held.socket.index, position).ok()?;
        self.check_order(request, held.socket, position, missed == 0).ok()?;
        Some(held.socket)
    }

    /// Whether a claimed session can still be recovered.
    fn check(&self, held: Held) -> Result<(&Sessions<D>, u64), RecoveryRefusal> {
        let Held { socket, position, .. } = held;
        let namespace = self.namespaces.get(&socket.namespace).ok_or(RecoveryRefusal::Unknown)?;
        namespace.member(socket).ok_or(RecoveryRefusal::Unknown)?;
        if namespace.has_expired(self.expired_by(self.now), socket) {
            return Err(RecoveryRefusal::Expired);
        }
        let position = position?;
        if self.is_lent(socket) {
            // The application has answered after the claim was given up.
            return Err(self.unanswered());
        }
        namespace.sessions.check(socket.index, position)?;
        Ok((&namespace.sessions, position))
    }

    /// Whether this request may get the session, given the other claims of the session.
    fn check_order(
        &self,
        request: ConnectRequest,
        socket: SocketKey,
        position: u64,
        is_complete: bool,
    ) -> Result<(), RecoveryRefusal> {
        let namespace = self.namespaces.get(&socket.namespace).ok_or(RecoveryRefusal::Unknown)?;
        let member = namespace.member(socket).ok_or(RecoveryRefusal::Unknown)?;
        if member.claimed > request.serial {
            return Err(RecoveryRefusal::Superseded);
        }
        // If the link has not reported that the client has the session, the answer was never sent.
        let replaced = self.connects.get(request).and_then(|waiting| waiting.asked.replaced);
        let is_own = member.connection() == Some(request.connection)
            && replaced == Some(Attached { key: socket, attachment: member.attachment });
        let may_repeat = is_own && !is_complete
            || namespace.sessions.may_repeat(socket.index, position, request.connection);
        if may_repeat { Err(RecoveryRefusal::SameConnection) } else { Ok(()) }
    }

    /// The session with the private id of a claim.
    fn claimed(&self, claim: &Claim) -> Option<SocketKey> {
        let key = claim.key.as_deref().and_then(RecoveryKey::parse)?;
        let socket = *self.keys.get(&key.index_key())?;
        let found = self.namespaces.get(&socket.namespace).and_then(|it| it.member(socket)?.key);
        (found == Some(key)).then_some(socket)
    }

    /// Sessions whose time was up at the returned time count as expired. While the process did not
    /// run, a claim can have waited in an operating system socket and so have arrived in time.
    fn expired_by(&self, now: Timestamp) -> Timestamp {
        let is_timely = self.grace.is_timely(now, self.timers.deadline());
        if is_timely { now } else { Timestamp::ZERO }
    }
}
