//! The connections of [`serve`](crate::serve()): a place for each, and figures about them.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::peer_limits::PeerLimits;

/// The connections of one or several calls of [`serve`](crate::serve()), which share the limits.
/// Clones are the same.
///
/// ```no_run
/// use socketio_proto_tokio::{Handle, PeerLimits, Peers, SocketIoService, serve};
/// use tokio::net::TcpListener;
/// # use socketio_proto_tokio::App;
///
/// async fn run(service: SocketIoService, handle: Handle<impl App>) -> std::io::Result<()> {
///     let peers = Peers::new(PeerLimits::default());
///     let figures = peers.clone();
///     let listener = TcpListener::bind("0.0.0.0:3000").await?;
///     let serving = serve(listener, service.at("/socket.io"), peers, handle.closing());
///     tokio::spawn(serving);
///     println!("{} connections", figures.stats().connections);
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Peers {
    pub(crate) limits: PeerLimits,
    places: Arc<Semaphore>,
    figures: Arc<Figures>,
}

/// What [`serve`](crate::serve()) holds, and what it has counted since the start. Counters wrap
/// around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PeerStats {
    /// Connections that were accepted and have not ended, WebSockets included.
    pub connections: usize,
    /// Connections accepted.
    pub accepted: u64,
    /// How often all places were taken, so that further connections had to wait:
    /// [`PeerLimits::connections`].
    pub limit_reached: u64,
    /// Errors of the system while accepting: out of file descriptors, most likely.
    pub accept_errors: u64,
    /// Connections that were accepted but never opened: the handshake of TLS failed, or took longer
    /// than [`PeerLimits::head`].
    pub not_opened: u64,
    /// Connections dropped because no request came within [`PeerLimits::head`], the first one or
    /// another one.
    pub head_timeouts: u64,
    /// Connections dropped because a response was not read: [`PeerLimits::write`].
    pub write_timeouts: u64,
}

#[derive(Debug, Default)]
struct Figures {
    connections: AtomicUsize,
    accepted: AtomicU64,
    limit_reached: AtomicU64,
    accept_errors: AtomicU64,
    not_opened: AtomicU64,
    head_timeouts: AtomicU64,
    write_timeouts: AtomicU64,
}

impl Peers {
    /// Connections with these limits.
    pub fn new(limits: PeerLimits) -> Self {
        let places = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
        Self { limits, places, figures: Arc::default() }
    }

    /// Returns what there is, and the counters.
    pub fn stats(&self) -> PeerStats {
        let figures = &self.figures;
        PeerStats {
            connections: figures.connections.load(Relaxed),
            accepted: figures.accepted.load(Relaxed),
            limit_reached: figures.limit_reached.load(Relaxed),
            accept_errors: figures.accept_errors.load(Relaxed),
            not_opened: figures.not_opened.load(Relaxed),
            head_timeouts: figures.head_timeouts.load(Relaxed),
            write_timeouts: figures.write_timeouts.load(Relaxed),
        }
    }

    /// Waits for a place for the next connection.
    pub(crate) async fn place(&self) -> io::Result<OwnedSemaphorePermit> {
        if self.places.available_permits() == 0 {
            count(&self.figures.limit_reached);
        }
        Arc::clone(&self.places).acquire_owned().await.map_err(io::Error::other)
    }

    /// Gives a place to a connection that was accepted.
    pub(crate) fn take(&self, permit: OwnedSemaphorePermit) -> Place {
        self.figures.connections.fetch_add(1, Relaxed);
        count(&self.figures.accepted);
        Place { _permit: permit, figures: Arc::clone(&self.figures) }
    }

    /// A listener has failed, and is tried again.
    #[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "only reported"))]
    pub(crate) fn count_accept_error(&self, error: &io::Error) {
        count(&self.figures.accept_errors);
        #[cfg(feature = "tracing")]
        tracing::warn!(%error, "cannot accept connections");
    }

    /// A connection was accepted, but its stream not opened.
    #[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "only reported"))]
    pub(crate) fn count_not_opened(&self, error: &dyn fmt::Display) {
        count(&self.figures.not_opened);
        #[cfg(feature = "tracing")]
        tracing::debug!(%error, "connection not opened");
    }

    /// A connection has failed while it was served.
    pub(crate) fn count_failed(&self, error: &hyper::Error) {
        if error.is_timeout() {
            count(&self.figures.head_timeouts);
        }
        #[cfg(feature = "tracing")]
        tracing::debug!(%error, "connection failed");
    }
}

impl From<PeerLimits> for Peers {
    fn from(limits: PeerLimits) -> Self {
        Self::new(limits)
    }
}

/// The place of a connection.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    figures: Arc<Figures>,
}

impl Place {
    pub(crate) fn count_write_timeout(&self) {
        count(&self.figures.write_timeouts);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.figures.connections.fetch_sub(1, Relaxed);
    }
}

/// Adds one.
fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
