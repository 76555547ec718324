//! Gauges, and a counter for every decision, as plain data.

use serde::Serialize;

use crate::{
    engine::{CloseReason, ErrorCode, RequestRefusal},
    recovery::RecoveryRefusal,
};

/// What a server currently holds, and what it has decided so far.
///
/// ```
/// use socketio_proto::ServerConfig;
/// use socketio_proto::server::Server;
///
/// let server = Server::<()>::new(ServerConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
/// let stats = serde_json::to_value(server.stats())?;
/// assert_eq!(stats["connections"], 0);
/// assert_eq!(stats["total"]["connections_closed"]["rate_limited"], 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Open Engine.IO sessions.
    pub connections: usize,
    /// Connected sockets.
    pub sockets: usize,
    /// Parked sessions.
    pub parked_sessions: usize,
    /// CONNECTs that are not answered yet: the application decides, or they queue, or their sessions
    /// are looked up elsewhere.
    pub connects_waiting: usize,
    /// Queued recoveries, including those whose client has gone meanwhile.
    pub recoveries_queued: usize,
    /// Rooms, including the sockets' own rooms.
    pub rooms: usize,
    /// Namespaces.
    pub namespaces: usize,
    /// Namespaces of a cluster that nobody here is in, and whose logs are kept for sessions of other
    /// nodes: [`vacant_namespaces`](crate::cluster::ClusterConfig#structfield.vacant_namespaces).
    pub vacant_namespaces: usize,
    /// Packets in the logs.
    pub log_packets: usize,
    /// Bytes of the packets in the logs, including the overhead of each entry.
    pub log_bytes: usize,
    /// Pending acknowledgements.
    pub pending_acks: usize,
    /// What waits until the channel of the cluster has brought in what was emitted before it, own
    /// entries included.
    pub channel_waiting: usize,
    /// Records of parked sessions on their way to the store of the cluster. Those of sessions that
    /// something still changes are not counted.
    pub records_waiting: usize,
    /// Decisions since the start.
    pub total: Totals,
}

/// Decisions since the start. Counters wrap around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Engine.IO sessions opened.
    pub connections_opened: u64,
    /// Engine.IO sessions that have ended, by reason.
    pub connections_closed: Closed,
    /// HTTP requests and WebSocket handshakes that failed verification, by cause.
    pub requests_refused: RequestRefusals,
    /// CONNECTs answered with CONNECT_ERROR, by cause.
    pub connects_refused: ConnectRefusals,
    /// Sessions begun.
    pub sessions_opened: u64,
    /// Sessions restored from a snapshot, including those that had already expired.
    pub sessions_restored: u64,
    /// Sessions replaced by a later CONNECT on the same connection.
    pub sessions_replaced: u64,
    /// Sessions recovered.
    pub recovered: u64,
    /// Sessions recovered while the server still believed that their old connection was alive.
    pub taken_over: u64,
    /// Recoveries that had to queue.
    pub paced: u64,
    /// Sessions that were looked up elsewhere:
    /// [`lookup_timeout`](crate::RecoveryConfig::lookup_timeout).
    pub lookups: u64,
    /// Packets replayed.
    pub replayed: u64,
    /// Recoveries refused, by reason.
    pub refused: Refusals,
    /// Parked sessions that timed out.
    pub sessions_expired: u64,
    /// Parked sessions that were evicted to make room.
    pub sessions_evicted: u64,
    /// Packets that were evicted from a log to make room, without those that were too old.
    pub packets_evicted: u64,
    /// Joins refused by a limit on rooms.
    pub joins_refused: u64,
    /// Emits refused by the limit on acknowledgements.
    pub acks_refused: u64,
    /// Emits and answers refused because clients would have rejected them: over
    /// [`outgoing_attachments`](crate::Limits#structfield.outgoing_attachments) or
    /// [`outgoing_bytes`](crate::Limits#structfield.outgoing_bytes). In a cluster, also emits that are
    /// [nested too deep](crate::hub::EmitError::TooDeep).
    pub emits_refused: u64,
    /// Answers to broadcasts that were dropped for
    /// [`Limits::broadcast_answer_bytes`](crate::Limits::broadcast_answer_bytes).
    pub answers_dropped: u64,
    /// Unexpected acknowledgements from clients: late, repeated or made up.
    pub acks_unmatched: u64,
    /// Repeated events recognised by [`accept_once`](crate::hub::At::accept_once).
    pub duplicates: u64,
    /// Volatile packets that a client could not take.
    pub volatile_dropped: u64,
    /// Ignored packets: for a namespace that the client is not in, and CONNECTs for a name without
    /// a slash.
    pub packets_misplaced: u64,
    /// Packets that violate the protocol in one namespace: CONNECT_ERROR from a client.
    pub violations: u64,
    /// Emits to one socket, and recipients of broadcasts, that were refused because too much was
    /// queued for the connection. The connection stays open.
    pub packets_refused: u64,
    /// Messages for a link, a socket or a wire that was gone.
    pub stale: u64,
    /// Entries read from the channel of the cluster.
    pub entries_read: u64,
    /// Entries of the channel, and messages of other nodes, without an effect: they were there
    /// twice, or could not be read, or clients would have rejected the event.
    pub entries_skipped: u64,
    /// Emits refused by [`append_queue`](crate::cluster::ClusterConfig#structfield.append_queue) or
    /// [`append_queue_bytes`](crate::cluster::ClusterConfig#structfield.append_queue_bytes).
    pub appends_refused: u64,
    /// Sessions handed over to other nodes of the cluster.
    pub sessions_moved: u64,
    /// Sessions taken over from other nodes of the cluster.
    pub sessions_arrived: u64,
    /// Sessions that the store of the cluster has accepted.
    pub sessions_stored: u64,
    /// Sessions that the store of the cluster has refused, or that could not be written. Their
    /// clients can only come back while this server is up.
    pub sessions_not_stored: u64,
    /// Times that packets for a client were sent although the store did not have yet what had changed its
    /// session: [`store_timeout`](crate::cluster::ClusterConfig#structfield.store_timeout) was over, or
    /// [too many](crate::cluster::ClusterConfig#structfield.withheld_packets) waited.
    pub changes_not_awaited: u64,
    /// Own entries given up because the part of the channel in which they may be could not be read,
    /// or because the engine has lost or rejected them.
    pub appends_lost: u64,
    /// Requests to other nodes refused by
    /// [`pending_requests`](crate::cluster::ClusterConfig#structfield.pending_requests).
    pub requests_to_nodes_refused: u64,
    /// Answers of other nodes that nobody waits for: late, repeated or made up.
    pub responses_unmatched: u64,
    /// Answers of other nodes that were dropped for
    /// [`response_bytes`](crate::cluster::ClusterConfig#structfield.response_bytes).
    pub responses_dropped: u64,
    /// Messages of nodes beyond [`members`](crate::cluster::ClusterConfig#structfield.members).
    pub members_refused: u64,
    /// Logs of [vacant namespaces](crate::cluster::ClusterConfig#structfield.vacant_namespaces) that
    /// were given up because there were too many.
    pub vacant_namespaces_removed: u64,
}

/// Ended connections, by [`CloseReason`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Closed {
    /// [`CloseReason::TransportError`].
    pub transport_error: u64,
    /// [`CloseReason::TransportClose`].
    pub transport_close: u64,
    /// [`CloseReason::PingTimeout`].
    pub ping_timeout: u64,
    /// [`CloseReason::ForcedClose`].
    pub forced_close: u64,
    /// [`CloseReason::ParseError`].
    pub parse_error: u64,
    /// [`CloseReason::ProtocolViolation`].
    pub protocol_violation: u64,
    /// [`CloseReason::InvalidPacket`].
    pub invalid_packet: u64,
    /// [`CloseReason::OtherParser`].
    pub other_parser: u64,
    /// [`CloseReason::Overflow`].
    pub overflow: u64,
    /// [`CloseReason::RateLimited`].
    pub rate_limited: u64,
    /// [`CloseReason::ConnectTimeout`].
    pub connect_timeout: u64,
    /// [`CloseReason::AttachmentTimeout`].
    pub attachment_timeout: u64,
    /// [`CloseReason::TakenOver`].
    pub taken_over: u64,
    /// [`CloseReason::ServerShutdown`].
    pub server_shutdown: u64,
}

impl Closed {
    pub(crate) fn count(&mut self, reason: CloseReason) {
        increment(match reason {
            CloseReason::TransportError(_) => &mut self.transport_error,
            CloseReason::TransportClose => &mut self.transport_close,
            CloseReason::PingTimeout => &mut self.ping_timeout,
            CloseReason::ForcedClose => &mut self.forced_close,
            CloseReason::ParseError(_) => &mut self.parse_error,
            CloseReason::ProtocolViolation => &mut self.protocol_violation,
            CloseReason::InvalidPacket => &mut self.invalid_packet,
            CloseReason::OtherParser => &mut self.other_parser,
            CloseReason::Overflow => &mut self.overflow,
            CloseReason::RateLimited => &mut self.rate_limited,
            CloseReason::ConnectTimeout => &mut self.connect_timeout,
            CloseReason::AttachmentTimeout => &mut self.attachment_timeout,
            CloseReason::TakenOver => &mut self.taken_over,
            CloseReason::ServerShutdown => &mut self.server_shutdown,
        });
    }
}

/// Refused requests, by [`ErrorCode`] and by limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RequestRefusals {
    /// [`ErrorCode::UnknownTransport`].
    pub unknown_transport: u64,
    /// [`ErrorCode::UnknownSession`].
    pub unknown_session: u64,
    /// [`ErrorCode::BadHandshakeMethod`].
    pub bad_handshake_method: u64,
    /// [`ErrorCode::BadRequest`], without the limits and the WebSocket handshakes below.
    pub bad_request: u64,
    /// [`ErrorCode::UnsupportedVersion`].
    pub unsupported_version: u64,
    /// The origin is not one of [`ServerConfig::origins`](crate::ServerConfig::origins).
    pub origin_not_allowed: u64,
    /// A WebSocket handshake that does not follow RFC 6455, version 13 (see
    /// [`WebSocketRequest`](crate::engine::WebSocketRequest)).
    pub websocket_handshake: u64,
    /// [`Limits::connections`](crate::Limits::connections).
    pub too_many_connections: u64,
    /// [`Limits::handshakes_per_second`](crate::Limits::handshakes_per_second).
    pub too_many_handshakes: u64,
}

impl RequestRefusals {
    pub(crate) fn count(&mut self, refusal: &RequestRefusal) {
        let counter = match refusal.code {
            ErrorCode::UnknownTransport => &mut self.unknown_transport,
            ErrorCode::UnknownSession => &mut self.unknown_session,
            ErrorCode::BadHandshakeMethod => &mut self.bad_handshake_method,
            ErrorCode::UnsupportedVersion => &mut self.unsupported_version,
            ErrorCode::Forbidden => match refusal.context {
                RequestRefusal::ORIGIN_NOT_ALLOWED => &mut self.origin_not_allowed,
                // The application counts its own refusals.
                _ => return,
            },
            ErrorCode::BadRequest => match refusal.context {
                RequestRefusal::TOO_MANY_CONNECTIONS => &mut self.too_many_connections,
                RequestRefusal::TOO_MANY_HANDSHAKES => &mut self.too_many_handshakes,
                RequestRefusal::WEBSOCKET_METHOD
                | RequestRefusal::WEBSOCKET_REQUEST
                | RequestRefusal::WEBSOCKET_VERSION => &mut self.websocket_handshake,
                _ => &mut self.bad_request,
            },
        };
        increment(counter);
    }
}

/// CONNECTs answered with CONNECT_ERROR, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConnectRefusals {
    /// The namespace does not exist, and no predicate accepts its name.
    pub invalid_namespace: u64,
    /// [`Limits::namespaces`](crate::Limits::namespaces).
    pub too_many_namespaces: u64,
    /// [`Limits::namespaces_per_connection`](crate::Limits::namespaces_per_connection).
    pub too_many_on_connection: u64,
    /// [`Limits::pending_auth_bytes`](crate::Limits::pending_auth_bytes).
    pub too_much_auth: u64,
    /// The authentication data is not a JSON object, or the name of the namespace is longer than
    /// [`Limits::namespace_name_bytes`](crate::Limits#structfield.namespace_name_bytes).
    pub invalid_packet: u64,
    /// The application has rejected it.
    pub rejected: u64,
}

/// Recoveries refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refusals {
    /// [`RecoveryRefusal::Unknown`].
    pub unknown: u64,
    /// [`RecoveryRefusal::Unanswered`].
    pub unanswered: u64,
    /// [`RecoveryRefusal::EngineAway`].
    pub engine_away: u64,
    /// [`RecoveryRefusal::OwnerUnreachable`].
    pub owner_unreachable: u64,
    /// [`RecoveryRefusal::Trimmed`].
    pub trimmed: u64,
    /// [`RecoveryRefusal::OrderNotProvable`].
    pub order_not_provable: u64,
    /// [`RecoveryRefusal::OtherNamespace`].
    pub other_namespace: u64,
    /// [`RecoveryRefusal::Expired`].
    pub expired: u64,
    /// [`RecoveryRefusal::Gap`].
    pub gap: u64,
    /// [`RecoveryRefusal::InvalidOffset`].
    pub invalid_offset: u64,
    /// [`RecoveryRefusal::Limit`].
    pub limit: u64,
    /// [`RecoveryRefusal::PoisonEvent`].
    pub poison_event: u64,
    /// [`RecoveryRefusal::Superseded`].
    pub superseded: u64,
    /// [`RecoveryRefusal::SameConnection`].
    pub same_connection: u64,
}

impl Refusals {
    pub(crate) fn count(&mut self, refusal: RecoveryRefusal) {
        let counter = match refusal {
            RecoveryRefusal::Unknown => &mut self.unknown,
            RecoveryRefusal::Unanswered => &mut self.unanswered,
            RecoveryRefusal::EngineAway => &mut self.engine_away,
            RecoveryRefusal::OwnerUnreachable => &mut self.owner_unreachable,
            RecoveryRefusal::Trimmed => &mut self.trimmed,
            RecoveryRefusal::OrderNotProvable => &mut self.order_not_provable,
            RecoveryRefusal::OtherNamespace => &mut self.other_namespace,
            RecoveryRefusal::Expired => &mut self.expired,
            RecoveryRefusal::Gap => &mut self.gap,
            RecoveryRefusal::InvalidOffset => &mut self.invalid_offset,
            RecoveryRefusal::Limit => &mut self.limit,
            RecoveryRefusal::PoisonEvent => &mut self.poison_event,
            RecoveryRefusal::Superseded => &mut self.superseded,
            RecoveryRefusal::SameConnection => &mut self.same_connection,
        };
        increment(counter);
    }
}

/// Adds one.
pub(crate) fn increment(counter: &mut u64) {
    *counter = counter.wrapping_add(1);
}
