//! Claims of sessions that this hub does not know, and that the embedder looks up elsewhere: in the
//! store or at the other nodes of a cluster.
//!
//! ```text
//!                    known here
//!   CONNECT ──────────────────────────────────────────────► as any claim
//!      │ not known here                                        ▲
//!      ▼              answered, or lookup_timeout              │
//!   looked up elsewhere ────────────► looked up here once more ┘
//!      │
//!      ▼ client gone, new CONNECT, application has answered
//!     over
//! ```
//!
//! Nothing is held while a session is looked up elsewhere. So it does not matter when the client
//! goes: the session stays where it is. A session that is known here may leave while the claim waits,
//! to another node of a cluster. Then it is looked up there, until `lookup_timeout` is over.

#[cfg(test)]
mod tests;

use alloc::boxed::Box;

use super::{
    Hub,
    claim::Claim,
    event::ServerEvent,
    output::HubOutput,
    pacing::Held,
    request::ConnectRequest,
    sessions::{Change, Effect, SessionRecord},
    wait::Wait,
};
use crate::{
    id::{RecoveryKey, SocketKey},
    recovery::{Inconsistent, Offset, RecoveryRefusal, require},
    stats::increment,
    time::Timestamp,
};

/// How the session of a claim is looked up elsewhere.
pub(super) struct Lookup {
    claim: Claim,
    /// The private id of the claim.
    pub(super) key: RecoveryKey,
    /// Whether it is looked up at present. If not, its session is here, or was: should it leave before
    /// the claim is decided, it is looked up where it has gone.
    pub(super) is_under_way: bool,
    /// How often other nodes were asked.
    pub(super) tries: u32,
    /// When it ends without an answer.
    pub(super) wait: Wait,
    /// Why it is refused then, if that is known.
    pub(super) refusal: Option<RecoveryRefusal>,
}

impl Lookup {
    /// Whether other nodes may be asked once more.
    pub(super) fn may_try(&self, now: Timestamp) -> bool {
        self.tries < TRIES_MAX && now < self.wait.until
    }
}

/// How often a claim asks other nodes for its session. Once is enough, unless other claims of the
/// same session are under way.
const TRIES_MAX: u32 = 3;

/// The maximum length of an offset with which a session is looked up. Every offset that a server
/// assigns is shorter.
const OFFSET_LEN_MAX: usize = 64;

impl<D: Default> Hub<D> {
    /// The session that a CONNECT claims, or how to look it up elsewhere. Until that has ended, the
    /// claim counts as refused. With `has_read_less`, this node has read less than its client.
    pub(super) fn find_or_look_up(
        &self,
        now: Timestamp,
        namespace: u32,
        claim: Option<Claim>,
        has_read_less: bool,
    ) -> (Option<Result<Held, RecoveryRefusal>>, Option<Lookup>) {
        let Some(claim) = claim else {
            return (None, None);
        };
        let found = self.find(now, namespace, &claim);
        let is_elsewhere = match found {
            Err(refusal) => refusal == RecoveryRefusal::Unknown,
            // If its session is not here with that offset, it has left, and the node has not read that.
            Ok(held) => has_read_less && held.position == Err(RecoveryRefusal::InvalidOffset),
        };
        let lookup = self.lookup(now, claim, is_elsewhere);
        if is_elsewhere && lookup.is_some() {
            (Some(Err(RecoveryRefusal::Unanswered)), lookup)
        } else {
            (Some(found), lookup)
        }
    }

    /// The offset that a client presents, if this is a node of a cluster that has not read it yet.
    pub(super) fn not_read_yet(&self, namespace: u32, claim: &Claim) -> Option<Offset> {
        if !self.is_clustered() {
            return None;
        }
        let latest = self.namespaces.get(&namespace)?.sessions.log().head_offset();
        let offset: Offset = claim.offset().ok()??.parse().ok()?;
        (offset.has_form_of(latest) && offset > latest).then_some(offset)
    }

    /// The lookup of a claim. `None` if this is off, or if no server has assigned such an id or such
    /// an offset.
    fn lookup(&self, now: Timestamp, claim: Claim, is_under_way: bool) -> Option<Lookup> {
        let timeout = self.config.recovery.as_ref()?.lookup_timeout?;
        let key = claim.key.as_deref().and_then(RecoveryKey::parse)?;
        let offset = claim.offset().ok()?;
        if offset.is_some_and(|offset| offset.len() > OFFSET_LEN_MAX) {
            return None;
        }
        let wait = Wait::new(now, timeout);
        Some(Lookup { claim, key, is_under_way, tries: 0, wait, refusal: None })
    }

    /// Asks the embedder to look up the session of a waiting request.
    pub(super) fn begin_lookup(&mut self, request: ConnectRequest) {
        let namespace = self.namespaces.get(&request.namespace);
        let lookup = self.connects.begin_lookup(request);
        let (Some(namespace), Some(Lookup { claim, key, wait, .. })) = (namespace, lookup) else {
            return;
        };
        let (key, until) = (*key, wait.until);
        let offset = claim.offset().ok().flatten().map(Into::into);
        increment(&mut self.totals.lookups);
        if self.is_clustered() {
            return self.claim_elsewhere(request, key, offset, until);
        }
        self.out.push_back(HubOutput::Event(ServerEvent::LookupRequested {
            request,
            connection: request.connection,
            namespace: namespace.sessions.name().clone(),
            key,
            offset,
        }));
    }

    /// See [`At::end_lookup`](super::At::end_lookup).
    pub(super) fn end_lookup(
        &mut self,
        now: Timestamp,
        request: ConnectRequest,
        otherwise: RecoveryRefusal,
    ) -> bool {
        let now = self.advance(now);
        let is_waiting = self.go_on(now, request, otherwise);
        self.end_released(now);
        is_waiting
    }

    /// Brings in a session that was found elsewhere. It then is parked here, and a claim that waits
    /// for it continues with [`Hub::end_lookup`].
    ///
    /// The log of the namespace must contain the positions of the record.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "a cluster moves sessions with `departure` and `arrive`")
    )]
    pub(super) fn import(
        &mut self,
        now: Timestamp,
        namespace: u32,
        record: SessionRecord<D>,
    ) -> Result<SocketKey, Inconsistent> {
        let now = self.advance(now);
        let key = record.key().index_key();
        require(self.keys.get(&key).is_none(), "session.pid")?;
        let generation = self.next_generation.take();
        let imported = self.with_namespace(namespace, |namespace, _| {
            let import = Change::Import { record: Box::new(record), generation };
            namespace.sessions.apply(now, import)
        });
        let index = match imported {
            Some(Effect::Opened(index)) => index,
            Some(Effect::Invalid(inconsistent)) => return Err(inconsistent),
            _ => return Err(Inconsistent("namespace")),
        };
        let socket = SocketKey { namespace, index, generation };
        self.keys.insert(key, socket);
        self.expire(now, namespace);
        self.settle(namespace);
        Ok(socket)
    }

    /// Ends the lookups that were not answered in time.
    pub(super) fn end_overdue_lookups(&mut self, now: Timestamp) {
        while let Some(request) = self.connects.pop_overdue_lookup(now) {
            let longer = self.waits_for_engine(now, request);
            if longer.is_some_and(|until| self.connects.prolong_lookup(request, until)) {
                continue;
            }
            let refusal = self.refusal_without_answer(request);
            self.go_on(now, request, refusal);
        }
        self.end_released(now);
    }

    /// Why a claim is refused whose lookup nobody has answered.
    pub(super) fn refusal_without_answer(&self, request: ConnectRequest) -> RecoveryRefusal {
        let lookup = self.connects.get(request).and_then(|waiting| waiting.lookup.as_ref());
        let refusal = lookup.and_then(|lookup| lookup.refusal);
        refusal.unwrap_or_else(|| self.unanswered())
    }

    /// Continues with a claim that was looked up elsewhere. The session may be here by now.
    fn go_on(
        &mut self,
        now: Timestamp,
        request: ConnectRequest,
        otherwise: RecoveryRefusal,
    ) -> bool {
        if !self.connects.end_lookup(request) {
            return false;
        }
        let lookup = self.connects.get(request).and_then(|waiting| waiting.lookup.as_ref());
        let Some(Lookup { claim, .. }) = lookup else { return false };
        let found = match self.find(now, request.namespace, claim) {
            Err(RecoveryRefusal::Unknown) => Err(otherwise),
            found => found,
        };
        let is_repeated = self.connects.set_claimed(request, found);
        let held = self.connects.held(request);
        let is_queued = held.is_some_and(|held| self.queue(request, held, is_repeated));
        if is_queued {
            self.serve_newest(now, request);
        } else {
            self.proceed(request);
        }
        true
    }
}
