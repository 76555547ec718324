//! What an embedder asks of a pool besides its inputs.

use alloc::vec::Vec;

use super::Pool;
use crate::{
    config::ServerConfig,
    engine::CloseReason,
    id::{ConnectionId, WireId},
    time::Timestamp,
};

impl<D> Pool<D> {
    /// Returns the configuration.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::pool::{Pool, PoolOutput, ServerInput};
    /// # let now = Timestamp::ZERO;
    /// # let mut entropy = |dest: &mut [u8]| dest.fill(7);
    /// # let mut pool = Pool::<()>::new(Arc::default(), 0, &mut entropy)?;
    /// assert_eq!(pool.config().payload_limit(), 1_000_000);
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    pub fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// Returns the number of connections.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::pool::{Pool, PoolOutput, ServerInput};
    /// # let now = Timestamp::ZERO;
    /// # let mut entropy = |dest: &mut [u8]| dest.fill(7);
    /// # let mut pool = Pool::<()>::new(Arc::default(), 0, &mut entropy)?;
    /// assert_eq!(pool.connections(), 0);
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    pub fn connections(&self) -> usize {
        self.links.len()
    }

    /// Stops sending on a WebSocket that accepts no more frames for now.
    ///
    /// ```
    /// use socketio_proto::{WireId, pool::Pool};
    ///
    /// /// The buffer of a WebSocket is full, or has room again.
    /// fn set_writable(pool: &mut Pool, wire: WireId, is_writable: bool) {
    ///     if is_writable {
    ///         pool.resume(wire);
    ///     } else {
    ///         pool.pause(wire);
    ///     }
    /// }
    /// ```
    pub fn pause(&mut self, wire: WireId) {
        if let Some(connection) = self.links.connection_of(wire) {
            self.with_link(connection, |link| link.pause(wire));
        }
    }

    /// Resumes sending on a WebSocket.
    ///
    /// ```
    /// use socketio_proto::{WireId, pool::Pool};
    ///
    /// fn buffer_is_empty(pool: &mut Pool, wire: WireId) {
    ///     pool.resume(wire);
    /// }
    /// ```
    pub fn resume(&mut self, wire: WireId) {
        if let Some(connection) = self.links.connection_of(wire) {
            self.with_link(connection, |link| link.resume(wire));
        }
    }

    /// Closes a connection as if its link had failed: its sockets are parked, and the client
    /// reconnects by itself. Returns false if the connection is already closed.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::pool::{Pool, PoolOutput, ServerInput};
    /// # let now = Timestamp::ZERO;
    /// # let mut entropy = |dest: &mut [u8]| dest.fill(7);
    /// # let mut pool = Pool::<()>::new(Arc::default(), 0, &mut entropy)?;
    /// let unknown = socketio_proto::ConnectionId::from_raw(1);
    /// assert!(!pool.close_connection(now, unknown));
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    pub fn close_connection(&mut self, now: Timestamp, connection: ConnectionId) -> bool {
        let now = self.advance(now);
        let is_known = self.links.get(connection).is_some();
        if is_known {
            self.with_link(connection, |link| link.close(now, CloseReason::ForcedClose));
        }
        is_known
    }

    /// Closes all connections at once. Sessions are parked, and clients reconnect by themselves: to
    /// another process, or to this one.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::pool::{Pool, PoolOutput, ServerInput};
    /// # let now = Timestamp::ZERO;
    /// # let mut entropy = |dest: &mut [u8]| dest.fill(7);
    /// # let mut pool = Pool::<()>::new(Arc::default(), 0, &mut entropy)?;
    /// pool.shutdown(now);
    /// while let Some(output) = pool.poll_output() {
    ///     println!("carry out {output:?}");
    /// }
    /// assert_eq!(pool.connections(), 0);
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    pub fn shutdown(&mut self, now: Timestamp) {
        let now = self.advance(now);
        let connections: Vec<ConnectionId> = self.links.ids().collect();
        for connection in connections {
            self.with_link(connection, |link| link.close(now, CloseReason::ServerShutdown));
        }
    }
}
