//! What an embedder asks of a server besides its inputs.

use super::Server;
use crate::{
    config::ServerConfig,
    engine::{RequestHead, RequestRefusal, WebSocketRequest, WebSocketResponse},
    id::{ConnectionId, WireId},
    pool::Admission,
    stats::{ConnectRefusals, RequestRefusals, Stats},
    time::Timestamp,
};

impl<D: Default> Server<D> {
    /// Verifies a request before it is handed in. See [`Pool::verify`](crate::pool::Pool::verify).
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::engine::{RequestHead, RequestRefusal};
    /// use socketio_proto::server::{Admission, Server};
    ///
    /// fn check(
    ///     server: &mut Server,
    ///     now: Timestamp,
    ///     head: &RequestHead<'_>,
    ///     is_banned: bool,
    /// ) -> Result<(), RequestRefusal> {
    ///     match server.verify(now, head)? {
    ///         Admission::Handshake if is_banned => Err(RequestRefusal::forbidden("banned")),
    ///         Admission::Handshake | Admission::Session(_) => Ok(()),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The [`RequestRefusal`] to answer with.
    pub fn verify(
        &mut self,
        now: Timestamp,
        head: &RequestHead<'_>,
    ) -> Result<Admission, RequestRefusal> {
        self.outside.pool.verify(now, head)
    }

    /// Verifies a request for a WebSocket. See [`Pool::verify_websocket`](crate::pool::Pool::verify_websocket).
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::engine::{RequestHead, WebSocketRequest};
    /// use socketio_proto::server::Server;
    ///
    /// /// Returns the status code to answer with, and whether the handshake is complete.
    /// fn answer(
    ///     server: &mut Server,
    ///     now: Timestamp,
    ///     head: &RequestHead<'_>,
    ///     request: &WebSocketRequest,
    /// ) -> (u16, bool) {
    ///     match server.verify_websocket(now, head, request) {
    ///         Ok(_response) => (101, true),
    ///         Err(refusal) => (refusal.response(false).status, false),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The [`RequestRefusal`] to answer with.
    pub fn verify_websocket(
        &mut self,
        now: Timestamp,
        head: &RequestHead<'_>,
        request: &WebSocketRequest,
    ) -> Result<WebSocketResponse, RequestRefusal> {
        self.outside.pool.verify_websocket(now, head, request)
    }

    /// Returns the configuration. An embedder may need its
    /// [`payload_limit`](ServerConfig::payload_limit).
    ///
    /// ```
    /// use socketio_proto::server::Server;
    ///
    /// /// The most bytes of a body that a driver has to read.
    /// fn body_limit(server: &Server) -> usize {
    ///     server.config().payload_limit() + 1
    /// }
    /// ```
    pub fn config(&self) -> &ServerConfig {
        self.outside.pool.config()
    }

    /// Stops sending on a WebSocket that accepts no more frames for now.
    ///
    /// ```
    /// use socketio_proto::server::Server;
    /// use socketio_proto::{Timestamp, WireId};
    ///
    /// /// Call this when the WebSocket starts or stops to accept frames.
    /// fn set_writable(server: &mut Server, now: Timestamp, wire: WireId, is_writable: bool) {
    ///     if is_writable {
    ///         server.resume(now, wire);
    ///     } else {
    ///         server.pause(wire);
    ///     }
    /// }
    /// ```
    pub fn pause(&mut self, wire: WireId) {
        self.outside.pool.pause(wire);
    }

    /// Resumes sending on a WebSocket. If its connection is closing and waited only for the client to
    /// read, the connection ends now, and its sockets are parked at time `now`.
    ///
    /// ```
    /// use socketio_proto::server::Server;
    /// use socketio_proto::{Timestamp, WireId};
    ///
    /// fn buffer_is_empty(server: &mut Server, now: Timestamp, wire: WireId) {
    ///     server.resume(now, wire);
    /// }
    /// ```
    pub fn resume(&mut self, now: Timestamp, wire: WireId) {
        self.outside.pool.advance(now);
        self.outside.pool.resume(wire);
        self.follow();
    }

    /// Closes one connection. See [`Pool::close_connection`](crate::pool::Pool::close_connection).
    ///
    /// ```
    /// use socketio_proto::server::Server;
    /// use socketio_proto::{SocketKey, Timestamp};
    ///
    /// /// The client comes back, perhaps through another load balancer.
    /// fn reconnect(server: &mut Server, now: Timestamp, socket: SocketKey) -> bool {
    ///     let connection = server.connection(socket);
    ///     connection.is_some_and(|connection| server.close_connection(now, connection))
    /// }
    /// ```
    pub fn close_connection(&mut self, now: Timestamp, connection: ConnectionId) -> bool {
        let is_known = self.outside.pool.close_connection(now, connection);
        self.follow();
        is_known
    }

    /// Closes all connections at once. See [`Pool::shutdown`](crate::pool::Pool::shutdown). A node of a
    /// cluster also says goodbye to the others, so that they do not wait for its answers any longer. Its
    /// sessions go to the store: see [`hand_over`](crate::hub::At::hand_over). Accept no connections from then on.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::server::Server;
    /// # let now = Timestamp::ZERO;
    /// # let mut server = Server::<()>::new(Default::default(), |dest: &mut [u8]| dest.fill(7))?;
    /// server.shutdown(now);
    /// while let Some(output) = server.poll_output() {
    ///     println!("carry out {output:?}");
    /// }
    /// assert_eq!(server.stats().connections, 0);
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    pub fn shutdown(&mut self, now: Timestamp) {
        self.outside.pool.shutdown(now);
        self.follow();
        self.hub.leave_cluster();
        self.follow();
    }

    /// Returns how many requests were refused, by cause: a part of [`stats`](Self::stats), in O(1).
    pub fn requests_refused(&self) -> RequestRefusals {
        self.outside.pool.totals().requests_refused
    }

    /// Returns how many CONNECTs were refused, by cause: a part of [`stats`](Self::stats), in O(1).
    pub fn connects_refused(&self) -> ConnectRefusals {
        self.hub.connects_refused()
    }

    /// Returns what the server holds, and its counters. Takes O(namespaces).
    ///
    /// ```
    /// # use socketio_proto::server::Server;
    /// # let server = Server::<()>::new(Default::default(), |dest: &mut [u8]| dest.fill(7))?;
    /// let stats = server.stats();
    /// println!("{} sockets on {} connections", stats.sockets, stats.connections);
    /// println!("{} sessions were recovered since the start", stats.total.recovered);
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    pub fn stats(&self) -> Stats {
        let mut stats = self.hub.stats();
        stats.connections = self.outside.pool.connections();
        let (total, pool) = (&mut stats.total, self.outside.pool.totals());
        total.connections_opened = pool.connections_opened;
        total.connections_closed = pool.connections_closed;
        total.requests_refused = pool.requests_refused;
        total.volatile_dropped = pool.volatile_dropped;
        total.packets_refused = pool.packets_refused;
        total.stale = total.stale.wrapping_add(pool.stale);
        stats
    }
}
