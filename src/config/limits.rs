//! Bounds on what peers can make a server hold and do.

use super::error::{ConfigError, check};
use crate::bucket::Rate;

/// Bounds on what peers can make the server hold and do. Every limit is finite, and none may be
/// zero.
///
/// Each field says what it bounds, its default, and what happens beyond it. "Parked" means that the
/// session waits for its client to come back; with recovery off it ends instead.
///
/// ```
/// use socketio_proto::{Limits, ServerConfig};
///
/// let limits = Limits::new().connections(10_000).queued_bytes(1 << 20);
/// assert_eq!(limits.queued_packets, 16_384, "the others keep their defaults");
/// assert!(ServerConfig::new().limits(limits).validate().is_ok());
///
/// let limits = Limits::new().connections(0);
/// assert!(ServerConfig::new().limits(limits).validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Engine.IO sessions open at the same time, in each [`Pool`](crate::pool::Pool). Default 100,000.
    /// Further handshakes are refused (code 3).
    pub connections: usize,
    /// Handshakes accepted in one burst. Default 100,000, so that all clients of a full server can
    /// reconnect at once. Handshakes beyond the rate are refused (code 3, or close code 1013 on a
    /// WebSocket that is already open); official clients try again.
    pub handshake_burst: u32,
    /// Handshakes per second once the burst is used up. Default 4,096. All connections of
    /// a server, or of a [`Pool`](crate::pool::Pool), share this limit: a flood from one address delays
    /// new connections, but does not disturb open ones. Limits per address belong to the embedder, which knows the addresses.
    pub handshakes_per_second: u32,
    /// Packets that one connection may send in one burst. Default 50,000. Every HTTP request, every
    /// packet and every WebSocket ping or pong counts as one, plus one for each 8 KiB that it
    /// carries. A connection that sends faster is closed (status 429, close code 1008) and its
    /// sockets are parked: the client can reconnect and recover. Raising this limit lets one client
    /// keep the server busy for longer at the expense of others.
    pub packet_burst: u32,
    /// Packets per second that one connection may send once the burst is used up. Default 10,000.
    /// Raise it for connections that carry many users, and for load tests.
    pub packets_per_second: u32,
    /// Bytes queued for one connection **while its client does not read**: its WebSocket is
    /// [paused](crate::server::Server::pause), or it has sent no GET for `ping_timeout`. Default
    /// 4 MiB. Answers to CONNECT always count here. If nothing that counts here is queued, one event
    /// of any size is accepted. Beyond the limit the connection is closed and its sockets are
    /// parked; recovery then delivers what was missed.
    ///
    /// A client that reads is never closed for this limit: see
    /// [`queue_burst_bytes`](Self#structfield.queue_burst_bytes).
    pub queued_bytes: usize,
    /// Packets queued for one connection while its client does not read. Default 16,384; same
    /// consequence.
    pub queued_packets: usize,
    /// Bytes queued for one connection **while its client reads**, until it has taken them: what the
    /// application emits faster than the network carries it. Default 64 MiB. If nothing that counts
    /// here is queued, one event of any size is accepted. Beyond the limit the emit is refused
    /// ([`QueueFull`](crate::hub::EmitError::QueueFull)), and
    /// [`broadcast`](crate::hub::At::broadcast) tells how many
    /// recipients were left out. The connection stays open, with one exception: if it would miss a
    /// broadcast that recovery must replay, it is closed and its sockets are parked. Answers to the
    /// client that exceed the limit also fit within [`queued_bytes`](Self#structfield.queued_bytes)
    /// and [`queued_packets`](Self#structfield.queued_packets).
    pub queue_burst_bytes: usize,
    /// Packets queued for one connection while its client reads. Default 131,072; same consequence.
    pub queue_burst_packets: usize,
    /// Binary attachments in one incoming packet. Default 10. A connection that sends more is closed
    /// (close code 1007, [`InvalidPacket`](crate::engine::CloseReason::InvalidPacket)) and its
    /// sockets are parked.
    pub attachments: usize,
    /// Total bytes of the attachments in one incoming packet. Default 10,000,000; same consequence.
    pub attachment_bytes: usize,
    /// Binary attachments in one event or acknowledgement that the server sends. Default 10, which
    /// is what official clients accept; they close the connection for more. The emit is refused.
    /// Raise it only together with the limit of the clients.
    pub outgoing_attachments: usize,
    /// Bytes of one event or acknowledgement that the server sends, JSON and attachments together.
    /// Default 16 MiB: enough to send back whatever a client may send by default, and within the
    /// frame size that common WebSocket clients accept. With recovery on, an event must also fit
    /// [`buffer_bytes`](crate::RecoveryConfig::buffer_bytes) and
    /// [`replay_bytes`](crate::RecoveryConfig::replay_bytes) to be replayed. The emit is refused.
    /// Raising the limit costs memory on every connection that such a packet is queued for.
    pub outgoing_bytes: usize,
    /// Bytes of a namespace name in an incoming packet. Default 255. A CONNECT with a longer name is
    /// answered with CONNECT_ERROR.
    pub namespace_name_bytes: usize,
    /// Namespaces of the server, dynamic ones included. Default 10,000. A CONNECT that would create
    /// one more is answered with CONNECT_ERROR.
    pub namespaces: usize,
    /// Namespaces that one connection may join. Default 64. A further CONNECT is answered with
    /// CONNECT_ERROR.
    pub namespaces_per_connection: usize,
    /// Bytes of authentication data (`auth`) that one connection may have pending: in CONNECTs that
    /// wait for the application or for their turn to recover. Default 2 MiB. One CONNECT of any
    /// size may be pending; a further one beyond the limit is answered with CONNECT_ERROR. The private
    /// id and the offset of a claim are not kept, and so do not count.
    pub pending_auth_bytes: usize,
    /// Rooms of one socket, its own room included. Default 1,024. A further join is refused.
    pub rooms_per_socket: usize,
    /// Bytes of a room name. Default 255, at least 20. A join with a longer name is refused.
    pub room_name_bytes: usize,
    /// Acknowledgements that one namespace waits for; a broadcast counts once. Default 100,000.
    /// A further emit that asks for one is refused.
    pub pending_acks: usize,
    /// Bytes of answers to broadcasts that one namespace holds until the broadcasts complete.
    /// Default 64 MiB. Beyond it the largest answers are dropped, and the sockets that sent them are
    /// reported as missing.
    pub broadcast_answer_bytes: usize,
    /// Client offsets that one session remembers for
    /// [`At::accept_once`](crate::hub::At::accept_once), and acknowledgements that it
    /// remembers beside them. Default 1,024 each. The oldest are forgotten: an event that is
    /// repeated after that many others is treated as new.
    pub client_offsets: usize,
    /// Bytes of the acknowledgements that one session remembers. Default 64 KiB. The oldest are
    /// forgotten: a repetition of such an event is still recognised and not handled twice, but it is
    /// not acknowledged either.
    pub client_ack_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            handshake_burst: 100_000,
            handshakes_per_second: 4_096,
            packet_burst: 50_000,
            packets_per_second: 10_000,
            queued_bytes: 4 << 20,
            queued_packets: 16_384,
            queue_burst_bytes: 64 << 20,
            queue_burst_packets: 131_072,
            attachments: 10,
            attachment_bytes: 10_000_000,
            outgoing_attachments: 10,
            outgoing_bytes: 16 << 20,
            namespace_name_bytes: 255,
            namespaces: 10_000,
            namespaces_per_connection: 64,
            pending_auth_bytes: 2 << 20,
            rooms_per_socket: 1_024,
            room_name_bytes: 255,
            pending_acks: 100_000,
            broadcast_answer_bytes: 64 << 20,
            client_offsets: 1_024,
            client_ack_bytes: 64 << 10,
        }
    }
}

setters! {
    Limits {
        connections: usize,
        handshake_burst: u32,
        handshakes_per_second: u32,
        packet_burst: u32,
        packets_per_second: u32,
        queued_bytes: usize,
        queued_packets: usize,
        queue_burst_bytes: usize,
        queue_burst_packets: usize,
        attachments: usize,
        attachment_bytes: usize,
        outgoing_attachments: usize,
        outgoing_bytes: usize,
        namespace_name_bytes: usize,
        namespaces: usize,
        namespaces_per_connection: usize,
        pending_auth_bytes: usize,
        rooms_per_socket: usize,
        room_name_bytes: usize,
        pending_acks: usize,
        broadcast_answer_bytes: usize,
        client_offsets: usize,
        client_ack_bytes: usize,
    }
}

impl Limits {
    pub(crate) const fn handshake_rate(&self) -> Rate {
        Rate { burst: self.handshake_burst, per_second: self.handshakes_per_second }
    }

    pub(crate) const fn packet_rate(&self) -> Rate {
        Rate { burst: self.packet_burst, per_second: self.packets_per_second }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check(&[
            ("limits.connections", self.connections > 0),
            ("limits.handshake_burst", self.handshake_burst > 0),
            ("limits.handshakes_per_second", self.handshakes_per_second > 0),
            ("limits.packet_burst", self.packet_burst > 0),
            ("limits.packets_per_second", self.packets_per_second > 0),
            ("limits.queued_bytes", self.queued_bytes > 0),
            ("limits.queued_packets", self.queued_packets > 0),
            ("limits.queue_burst_bytes", self.queue_burst_bytes > 0),
            ("limits.queue_burst_packets", self.queue_burst_packets > 0),
            ("limits.attachments", self.attachments > 0),
            ("limits.attachment_bytes", self.attachment_bytes > 0),
            ("limits.outgoing_attachments", self.outgoing_attachments > 0),
            ("limits.outgoing_bytes", self.outgoing_bytes > 0),
            ("limits.namespace_name_bytes", self.namespace_name_bytes > 0),
            ("limits.namespaces", self.namespaces > 0),
            ("limits.namespaces_per_connection", self.namespaces_per_connection > 0),
            ("limits.pending_auth_bytes", self.pending_auth_bytes > 0),
            ("limits.rooms_per_socket", self.rooms_per_socket > 0),
            ("limits.room_name_bytes", self.room_name_bytes >= 20),
            ("limits.pending_acks", self.pending_acks > 0),
            ("limits.broadcast_answer_bytes", self.broadcast_answer_bytes > 0),
            ("limits.client_offsets", self.client_offsets > 0),
            ("limits.client_ack_bytes", self.client_ack_bytes > 0),
        ])
    }
}
