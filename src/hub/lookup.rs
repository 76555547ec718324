//! Which session a claim is good for.
//!
//! A claim is looked up once, when it arrives: which session it names, and where the client resumes
//! from. What can change until the claim is decided is looked at then: whether the session is still
//! there and has not been given to a later claim, and whether the log still has what it missed.

use alloc::vec::Vec;

use super::{
    Hub, claim::Claim, message::Attached, pacing::Held, request::ConnectRequest, sessions::Sessions,
};
use crate::{
    id::{RecoveryKey, SocketKey},
    recovery::Refusal,
    socket::Encoded,
    time::Timestamp,
};

/// A session that can be recovered, and what it missed.
pub(super) struct Replay {
    pub(super) socket: SocketKey,
    /// What the client has processed.
    pub(super) position: u64,
    pub(super) missed: Vec<Encoded>,
}

impl<D: Default> Hub<D> {
    /// What is held for a claim that arrives: the session that it names, if that has not expired,
    /// and the position that it resumes from. Takes O(log n): what the session missed is looked at
    /// when the claim has its turn.
    pub(super) fn find(
        &self,
        now: Timestamp,
        namespace: u32,
        claim: &Claim,
    ) -> Result<Held, Refusal> {
        let socket = self.claimed(claim).ok_or(Refusal::Unknown)?;
        if socket.namespace != namespace {
            return Err(Refusal::OtherNamespace);
        }
        let sessions = &self.namespaces.get(&namespace).ok_or(Refusal::Unknown)?.sessions;
        let offset = claim.offset();
        if sessions.has_expired(self.expired_by(now), socket.index) {
            return Err(offset.err().unwrap_or(Refusal::Expired));
        }
        let position = offset.and_then(|offset| sessions.resume_from(socket.index, offset));
        Ok(Held { socket, position, until: Timestamp::NEVER })
    }

    /// What is to be replayed if a request is granted now, with the session that it claims; `None`
    /// if it claims none.
    pub(super) fn replay(&self, request: ConnectRequest) -> Option<Result<Replay, Refusal>> {
        let claimed = self.connects.get(request)?.claimed?;
        Some(claimed.and_then(|held| {
            let (sessions, position) = self.check(held)?;
            let Held { socket, .. } = held;
            let missed = sessions.missed(socket.index, position)?;
            self.check_order(request, socket, missed.is_empty())?;
            Ok(Replay { socket, position, missed })
        }))
    }

    /// The session that would be recovered if a request were granted now.
    pub(super) fn recoverable(&self, request: ConnectRequest) -> Option<SocketKey> {
        let held = self.connects.get(request)?.claimed?.ok()?;
        let (sessions, position) = self.check(held).ok()?;
        let missed = sessions.missed_len(held.socket.index, position).ok()?;
        self.check_order(request, held.socket, missed == 0).ok()?;
        Some(held.socket)
    }

    /// Whether a session that was claimed can be recovered still.
    fn check(&self, held: Held) -> Result<(&Sessions<D>, u64), Refusal> {
        let Held { socket, position, .. } = held;
        let namespace = self.namespaces.get(&socket.namespace).ok_or(Refusal::Unknown)?;
        namespace.member(socket).ok_or(Refusal::Unknown)?;
        if namespace.has_expired(self.expired_by(self.now), socket) {
            return Err(Refusal::Expired);
        }
        let position = position?;
        namespace.sessions.check(socket.index, position)?;
        Ok((&namespace.sessions, position))
    }

    /// Whether a session that could be recovered is to be given to this request.
    fn check_order(
        &self,
        request: ConnectRequest,
        socket: SocketKey,
        is_complete: bool,
    ) -> Result<(), Refusal> {
        let namespace = self.namespaces.get(&socket.namespace).ok_or(Refusal::Unknown)?;
        let member = namespace.member(socket).ok_or(Refusal::Unknown)?;
        if member.claimed > request.serial {
            return Err(Refusal::Superseded);
        }
        // Without the word of the link that the client has it, the answer was never sent.
        let replaced = self.connects.get(request).and_then(|waiting| waiting.asked.replaced);
        let is_own = member.connection() == Some(request.connection)
            && replaced == Some(Attached { key: socket, attachment: member.attachment });
        if is_own && !is_complete { Err(Refusal::SameConnection) } else { Ok(()) }
    }

    /// The session whose private id a claim presents.
    fn claimed(&self, claim: &Claim) -> Option<SocketKey> {
        let key = claim.key.as_deref().and_then(RecoveryKey::parse)?;
        let socket = *self.keys.get(&key.index_key())?;
        let found = self.namespaces.get(&socket.namespace).and_then(|it| it.member(socket)?.key);
        (found == Some(key)).then_some(socket)
    }

    /// Sessions whose time was up by then have expired. A claim that waited in a socket while
    /// nobody ran may have arrived in time.
    fn expired_by(&self, now: Timestamp) -> Timestamp {
        let is_timely = self.grace.is_timely(now, self.timers.deadline());
        if is_timely { now } else { Timestamp::ZERO }
    }
}
