//! The connections: how they were opened, and how much handlers are busy with for each.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Request, request::Parts};
use socketio_proto::ConnectionId;

/// What a task takes, roughly, besides the bytes that it handles.
const TASK: usize = 1024;

/// The connections that are open.
pub(super) struct Clients {
    open: BTreeMap<ConnectionId, Client>,
    /// See [`Router::in_flight_bytes`](super::Router::in_flight_bytes).
    pub(super) limit: usize,
}

struct Client {
    request: Arc<Parts>,
    /// The bytes that async handlers and middlewares are busy with.
    in_flight: Arc<AtomicUsize>,
}

impl Clients {
    pub(super) fn new(limit: usize) -> Self {
        Self { open: BTreeMap::new(), limit }
    }

    pub(super) fn insert(&mut self, connection: ConnectionId, request: Arc<Parts>) {
        self.open.insert(connection, Client { request, in_flight: Arc::default() });
    }

    pub(super) fn remove(&mut self, connection: ConnectionId) {
        self.open.remove(&connection);
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// The head of the request that has opened a connection.
    pub(super) fn request(&self, connection: ConnectionId) -> Arc<Parts> {
        let none = || Arc::new(Request::new(()).into_parts().0);
        self.open.get(&connection).map_or_else(none, |client| client.request.clone())
    }

    /// Takes a place for something of this size, unless others have taken all. Alone, something of any
    /// size gets a place.
    pub(super) fn take(&self, connection: Option<ConnectionId>, bytes: usize) -> Option<Place> {
        // A connection that has just closed causes nothing more.
        let client = connection.and_then(|connection| self.open.get(&connection));
        let of = client.map(|client| client.in_flight.clone()).unwrap_or_default();
        let bytes = bytes.saturating_add(TASK);
        // Only the task of the server takes places, so this cannot grow meanwhile.
        let taken = of.load(Ordering::Relaxed);
        if taken > 0 && taken.saturating_add(bytes) > self.limit {
            return None;
        }
        of.fetch_add(bytes, Ordering::Relaxed);
        Some(Place { of, bytes })
    }
}

/// A place, until it is dropped.
pub(super) struct Place {
    of: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
