//! Namespaces, rooms, acknowledgements and sessions: everything that connections share.
//!
//! A [`Hub`] owns no connection. [`Link`](crate::link::Link)s send it [`Request`]s, and it sends
//! them [`Reply`]s and [`Delivery`]s, all of them opaque and `Send`, so links may run on many
//! threads and the hub on one. [`Server`](crate::server::Server) is the single-threaded composition
//! of the same parts.
//!
//! ```text
//!            CONNECT                 accept
//!   ┌──────┐ ───────► ┌───────────┐ ───────► ┌───────────┐ link lost ┌────────┐
//!   │ none │          │ requested │          │ connected │ ────────► │ parked │
//!   └──────┘ ◄─────── └───────────┘          └───────────┘ ◄──────── └────────┘
//!            reject, link lost                │   recovered │          │
//!                                             ▼             ▼          ▼
//!                                      DISCONNECT, kick,       expired, kicked:
//!                                      protocol violation      over for good
//! ```
//!
//! A claim of a session that is still connected takes it over: it goes on, connected over the new
//! link, and the former one is closed. Sessions of a [snapshot](Hub::snapshot) are parked when they
//! are restored.
//!
//! Order: what the hub puts out for one link is to be handed to it in that order. Word from or to a
//! link that is gone is a counted no-op.

mod acks;
mod admin;
mod admission;
mod answers;
mod at;
mod audience;
mod claim;
mod connect;
mod ends;
mod error;
mod event;
mod ids;
mod lookup;
mod message;
mod namespace;
mod namespaces;
mod once;
mod outgoing;
mod output;
mod pacing;
mod poison;
mod reach;
mod reason;
#[cfg(test)]
mod rebuild;
mod rejection;
mod replace;
mod request;
mod room_names;
mod rooms;
mod sessions;
mod snapshot;
mod turns;
mod unheard;

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use core::{fmt, time::Duration};

pub(crate) use self::at::Carrier;
pub(crate) use self::message::{Attached, ConnectSerial, Reliability, ReplyKind, RequestKind};
pub use self::{
    acks::AckFailure,
    at::{At, Broadcast, ToSocket},
    audience::Audience,
    error::{AckError, EmitError, NamespaceError, OnceError, RoomError},
    event::Event,
    message::{AckToken, Delivery, Once, Reply, Request},
    output::Output,
    reach::Reach,
    reason::{DisconnectReason, ExpiryCause},
    rejection::Rejection,
    request::ConnectRequest,
    room_names::RoomNames,
    snapshot::{RestoreError, Snapshot},
};
use self::{
    connect::{Asked, Connects},
    ids::NamespaceIds,
    namespace::{Namespace, Outbox},
};
use crate::{
    config::{ConfigError, ServerConfig},
    entropy::Entropy,
    grace::Grace,
    id::{ConnectionId, Generation, SocketKey},
    secret_index::{SecretIndex, Seed},
    shrink,
    socket::NamespaceName,
    stats::{Stats, Totals, increment},
    time::Timestamp,
    timers::Timers,
};

/// The namespaces of a server with their rooms, sessions and logs. `D` is the application's own
/// data of a socket: given back when the client recovers, or when its session is over.
///
/// Used directly when links run elsewhere; otherwise [`Server`](crate::server::Server) is the
/// simpler door to the same verbs.
pub struct Hub<D> {
    config: Arc<ServerConfig>,
    entropy: Box<dyn Entropy>,
    seed: Seed,
    namespaces: BTreeMap<u32, Namespace<D>>,
    names: BTreeMap<NamespaceName, u32>,
    namespace_ids: NamespaceIds,
    predicates: alloc::vec::Vec<Predicate>,
    /// Sessions by private id.
    keys: SecretIndex<SocketKey>,
    next_generation: Generation,
    connects: Connects,
    timers: Timers<u32>,
    grace: Grace,
    out: Outbox<D>,
    now: Timestamp,
    totals: Totals,
    /// Where changes are recorded.
    #[cfg(test)]
    journal: sessions::Journal<D>,
}

type Predicate = Box<dyn Fn(&str) -> bool + Send>;

impl<D: Default> Hub<D> {
    /// Makes a hub without namespaces.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the configuration cannot be used.
    pub fn new(
        config: Arc<ServerConfig>,
        mut entropy: impl Entropy + 'static,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let seed = Seed::from_entropy(&mut entropy);
        Ok(Self {
            connects: Connects::new(&config),
            config,
            keys: SecretIndex::new(seed),
            seed,
            entropy: Box::new(entropy),
            namespaces: BTreeMap::new(),
            names: BTreeMap::new(),
            namespace_ids: NamespaceIds::default(),
            predicates: alloc::vec::Vec::new(),
            next_generation: Generation::FIRST,
            timers: Timers::new(),
            grace: Grace::default(),
            out: VecDeque::new(),
            now: Timestamp::ZERO,
            totals: Totals::default(),
            #[cfg(test)]
            journal: sessions::Journal::default(),
        })
    }

    /// Takes a request of the link `from`.
    pub fn handle_request(&mut self, now: Timestamp, from: ConnectionId, request: Request) {
        let now = self.advance(now);
        match request.0 {
            RequestKind::Connect { namespace, serial, auth, former, replaced } => {
                let asked = Asked { from, serial, former, replaced };
                self.handle_connect(now, asked, namespace, auth);
            }
            RequestKind::Admitted { socket } => self.connects.unheard.note_heard(from, socket),
            RequestKind::Repeat { socket, serial } => self.repeat(from, socket, serial),
            RequestKind::Cancel { namespace, serial, reason } => {
                self.cancel(now, from, &namespace, serial, reason);
            }
            RequestKind::Misplaced => increment(&mut self.totals.packets_misplaced),
            RequestKind::Violation => increment(&mut self.totals.violations),
            RequestKind::Detach { socket, reason } => self.handle_detach(now, socket, reason),
            RequestKind::Leave { socket, reason } => {
                self.note_left(now, socket);
                self.handle_detach(now, socket, reason);
            }
            RequestKind::Ack { socket, id, args } => {
                let awaited = self.with_namespace(socket.key.namespace, |namespace, out| {
                    namespace.handle_ack(now, out, socket, id, args)
                });
                match awaited.flatten() {
                    Some(dropped) => {
                        let total = &mut self.totals.answers_dropped;
                        *total = total.wrapping_add(dropped);
                    }
                    None => increment(&mut self.totals.acks_unmatched),
                }
            }
            RequestKind::Event { socket, event, ack } => {
                let received = self.with_namespace(socket.key.namespace, |namespace, out| {
                    namespace.receive(now, out, socket, event, ack)
                });
                if received != Some(true) {
                    // The session has moved on, and its client sends the event there.
                    increment(&mut self.totals.stale);
                }
            }
            RequestKind::Overcrowded => {
                increment(&mut self.totals.connects_refused.too_many_on_connection);
            }
            RequestKind::InvalidConnect => {
                increment(&mut self.totals.connects_refused.invalid_packet);
            }
            RequestKind::Confirm { socket, ids } => {
                self.with_namespace(socket.key.namespace, |namespace, out| {
                    namespace.confirm(now, out, socket, ids);
                });
            }
        }
        self.end_released(now);
    }

    /// Does what is due: expires sessions and packets, gives up acknowledgements, lets queued
    /// recoveries in. Early and repeated calls are harmless. After a late one, what waits for clients
    /// waits for one [grace period](crate::engine#time) more: their words may be on the way from
    /// links.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.handle_late_timeout(now, Duration::ZERO);
    }

    /// The same for an owner whose timers are late by `lateness`.
    pub(crate) fn handle_late_timeout(&mut self, now: Timestamp, lateness: Duration) {
        let now = self.advance(now);
        self.serve_claims(now);
        self.end_released(now);
        let (deadline, longest) = (self.judging_at(), self.config.ping_timeout);
        let may_judge = self.grace.may_judge_after(lateness, now, deadline, longest);
        if may_judge {
            self.release_overdue(now);
        }
        while may_judge && let Some(id) = self.timers.pop_due(now) {
            if let Some(namespace) = self.namespaces.get_mut(&id) {
                namespace.armed = Timestamp::NEVER;
                namespace.handle_timeout(now, &mut self.out);
            }
            self.expire(now, id);
            self.settle(id);
        }
    }

    /// Takes the next thing to do. Draining is never a precondition of anything.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output<D>> {
        let output = self.out.pop_front();
        if output.is_none() {
            shrink::empty_if_large(&mut self.out);
        }
        output
    }

    /// When [`Hub::handle_timeout`] is to be called; a moment in the past while there is output.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        if !self.out.is_empty() {
            return Some(self.now);
        }
        self.timer().finite()
    }

    /// The moment that the hub itself waits for, whatever is to be drained.
    pub(crate) fn timer(&self) -> Timestamp {
        self.grace.postpone(self.judging_at()).min(self.connects.deadline())
    }

    /// When somebody has had enough time who is waited for.
    fn judging_at(&self) -> Timestamp {
        self.timers.deadline().min(self.connects.overdue_at())
    }

    /// Fills in what the hub holds and has decided.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            namespaces: self.namespaces.len(),
            connects_waiting: self.connects.waiting_count(),
            recoveries_queued: self.connects.queued_count(),
            total: self.totals,
            ..Stats::default()
        };
        for namespace in self.namespaces.values() {
            let sessions = &namespace.sessions;
            stats.sockets += sessions.live_count();
            stats.parked_sessions += sessions.parked_count();
            stats.rooms += sessions.room_count();
            stats.log_packets += sessions.log().len();
            stats.log_bytes += sessions.log().bytes();
            stats.pending_acks += namespace.pending_acks();
            let evicted = sessions.log().made_room();
            stats.total.packets_evicted = stats.total.packets_evicted.wrapping_add(evicted);
        }
        stats
    }

    /// The key of the hashes under which secret ids are indexed.
    pub(crate) fn seed(&self) -> Seed {
        self.seed
    }

    pub(crate) fn entropy(&mut self) -> &mut dyn Entropy {
        &mut *self.entropy
    }

    /// Runs `f` on a namespace and sees to its timer afterwards.
    fn with_namespace<T>(
        &mut self,
        id: u32,
        f: impl FnOnce(&mut Namespace<D>, &mut Outbox<D>) -> T,
    ) -> Option<T> {
        let namespace = self.namespaces.get_mut(&id)?;
        let result = f(namespace, &mut self.out);
        let deadline = namespace.deadline();
        self.timers.arm(id, &mut namespace.armed, deadline);
        Some(result)
    }

    fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.now = self.now.max(now);
        self.now
    }
}

impl<D> fmt::Debug for Hub<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("totals", &self.totals).finish_non_exhaustive()
    }
}
