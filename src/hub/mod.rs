//! Namespaces, rooms, acknowledgements and sessions: the state that all connections share.
//!
//! A [`Hub`] owns no connections. [`Link`](crate::link::Link)s send it [`Request`]s, and it sends
//! them [`Reply`]s and [`Delivery`]s. All of these are opaque and `Send`, so the links can run on
//! many threads and the hub on one. A [`Pool`](crate::pool::Pool) drives the links of one thread.
//! [`Server`](crate::server::Server) combines the same parts on one thread.
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
//! A claim of a session that is still connected takes it over: the session moves to the new link,
//! and the old link is closed. Sessions that are restored from a [snapshot](Hub::snapshot) are
//! parked.
//!
//! Order: hand the outputs for one link to that link in the order in which the hub outputs them. A
//! message from or to a link that is gone has no effect except that it is counted.

mod acks;
mod admin;
mod admission;
mod answers;
mod at;
mod audience;
mod claim;
mod cluster;
mod connect;
mod elsewhere;
mod ends;
mod error;
mod event;
mod fetched;
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
mod questions;
mod reach;
mod reason;
#[cfg(test)]
mod rebuild;
#[cfg(feature = "record")]
mod record;
mod rejection;
mod relay;
mod replace;
mod request;
mod responder;
mod room_names;
mod server_ack;
mod sessions;
mod snapshot;
mod timeouts;
mod turns;
mod unconfirmed;
mod wait;
mod waiting;

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use core::fmt;

pub(crate) use self::at::Carrier;
pub(crate) use self::message::{Attached, ConnectSerial, Reliability, ReplyKind, RequestKind};
#[cfg(feature = "record")]
pub use self::record::{Address, Record, Recorder};
pub use self::{
    acks::AckFailure,
    at::{At, Broadcast, ToSocket},
    audience::Audience,
    error::{AckError, EmitError, NamespaceError, OnceError, RoomError},
    event::ServerEvent,
    fetched::FetchedSocket,
    message::{AckToken, Delivery, Once, Reply, Request},
    output::HubOutput,
    reach::Reach,
    reason::{DisconnectReason, ExpiryCause},
    rejection::Rejection,
    request::ConnectRequest,
    responder::Responder,
    room_names::RoomNames,
    server_ack::ServerAckToken,
    snapshot::{RestoreError, Snapshot},
};
use self::{
    cluster::Node,
    ids::NamespaceIds,
    namespace::{Namespace, Outbox},
    waiting::{Asked, Connects},
};
use crate::{
    config::{ConfigError, ServerConfig},
    entropy::Entropy,
    grace::Grace,
    id::{ConnectionId, Generation, SocketKey},
    secret_index::{SecretIndex, Seed},
    shrink,
    socket::NamespaceName,
    stats::{Totals, increment},
    time::Timestamp,
    timers::Timers,
};

/// The namespaces of a server with their rooms, sessions and logs. `D` is the application's own
/// data of a socket. The application gets it back when the client recovers or when the session
/// ends.
///
/// Use it directly when the links run on other threads, as [`pool`](crate::pool) describes.
/// Otherwise [`Server`](crate::server::Server) is simpler, and has the same methods.
///
/// ```
/// use std::sync::Arc;
/// use socketio_proto::Timestamp;
/// use socketio_proto::hub::{Hub, HubOutput, ServerEvent};
///
/// let mut hub = Hub::<()>::new(Arc::default(), |dest: &mut [u8]| dest.fill(7))?;
/// let now = Timestamp::ZERO;
/// hub.at(now).add_namespace("/")?;
/// // After each request of a link, and after each timeout:
/// while let Some(output) = hub.poll_output() {
///     match output {
///         HubOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
///             hub.at(now).accept(request);
///         }
///         _ => {} // hand replies and deliveries to the links
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// In a grace period, what it does not postpone: the acknowledgements that were asked for since it began.
    prompt: Timers<u32>,
    grace: Grace,
    out: Outbox<D>,
    now: Timestamp,
    totals: Totals,
    /// The number of the next request to other nodes. Of several nodes, each begins somewhere else.
    next_request: u64,
    /// If the hub is one of several.
    node: Option<Box<Node<D>>>,
    #[cfg(feature = "record")]
    recorder: Option<Recorder>,
    /// Records changes, for tests.
    #[cfg(test)]
    journal: sessions::Journal<D>,
}

type Predicate = Box<dyn Fn(&str) -> bool + Send>;

impl<D: Default> Hub<D> {
    /// Creates a hub without namespaces.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use socketio_proto::ServerConfig;
    /// use socketio_proto::hub::Hub;
    ///
    /// # fn fill_from_the_operating_system(dest: &mut [u8]) { dest.fill(7) }
    /// // The same configuration as that of the pools.
    /// let config = Arc::new(ServerConfig::new());
    /// let hub = Hub::<()>::new(config.clone(), fill_from_the_operating_system)?;
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
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
            prompt: Timers::new(),
            grace: Grace::default(),
            out: VecDeque::new(),
            now: Timestamp::ZERO,
            totals: Totals::default(),
            next_request: 0,
            node: None,
            #[cfg(feature = "record")]
            recorder: None,
            #[cfg(test)]
            journal: sessions::Journal::default(),
        })
    }

    /// Handles a request of the link `from`.
    ///
    /// ```
    /// use std::sync::mpsc::Receiver;
    ///
    /// use socketio_proto::hub::{Hub, Request};
    /// use socketio_proto::{ConnectionId, Timestamp};
    ///
    /// /// The threads of the links send their requests here.
    /// fn serve(hub: &mut Hub<()>, now: Timestamp, requests: &Receiver<(ConnectionId, Request)>) {
    ///     for (from, request) in requests.try_iter() {
    ///         hub.handle_request(now, from, request);
    ///     }
    /// }
    /// ```
    pub fn handle_request(&mut self, now: Timestamp, from: ConnectionId, request: Request) {
        let now = self.advance(now);
        if self.is_clustered() {
            let Some(request) = self.keep_early(from, request) else { return };
            return self.take_request(now, from, request);
        }
        self.take_request(now, from, request);
    }

    fn take_request(&mut self, now: Timestamp, from: ConnectionId, request: Request) {
        match request.0 {
            RequestKind::Connect { namespace, serial, auth, earlier, replaced } => {
                let asked = Asked { from, serial, earlier, replaced };
                self.handle_connect(now, asked, namespace, auth);
            }
            RequestKind::Admitted { socket } => {
                self.connects.unconfirmed.note_confirmed(from, socket);
            }
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
                    // The session has moved to another link, where its client sends the event
                    // again.
                    increment(&mut self.totals.stale);
                } else if self.is_clustered() {
                    self.note_changed(socket.key);
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

    /// Returns the next output to carry out. You need not drain the outputs between calls.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::hub::{Audience, Hub};
    /// # let now = Timestamp::ZERO;
    /// # let mut hub = Hub::<()>::new(Default::default(), |dest: &mut [u8]| dest.fill(7))?;
    /// while let Some(output) = hub.poll_output() {
    ///     println!("carry out {output:?}");
    /// }
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    #[must_use]
    pub fn poll_output(&mut self) -> Option<HubOutput<D>> {
        if self.out.is_empty() {
            shrink::empty_if_large(&mut self.out);
            return None;
        }
        if self.withholds() {
            self.withhold();
        }
        self.out.pop_front()
    }

    /// The key of the hashes that index secret ids.
    pub(crate) fn seed(&self) -> Seed {
        self.seed
    }

    pub(crate) fn entropy(&mut self) -> &mut dyn Entropy {
        &mut *self.entropy
    }

    /// Runs `f` on a namespace, then updates its timer.
    fn with_namespace<T>(
        &mut self,
        id: u32,
        f: impl FnOnce(&mut Namespace<D>, &mut Outbox<D>) -> T,
    ) -> Option<T> {
        let namespace = self.namespaces.get_mut(&id)?;
        let result = f(namespace, &mut self.out);
        let deadline = namespace.deadline();
        self.timers.arm(id, &mut namespace.armed, deadline);
        let has_relays = namespace.acks.has_relays();
        if self.grace.ends_at() > self.now {
            self.arm_promptly(id);
        }
        if has_relays {
            self.relay(id);
        }
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
