//! Bounds on what peers can make a server hold and do.

use super::error::{ConfigError, check};
use crate::bucket::Rate;

/// Bounds on what peers can make the server hold and do. All are finite; none may be zero.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Engine.IO sessions at a time. Default 100,000. A handshake beyond it is refused (code 3).
    pub connections: usize,
    /// Handshakes that may come at once. Default 100,000: all clients of a full server may come back
    /// at the same moment. One over the rate is refused (code 3; close code 1013 on a WebSocket
    /// that was opened already), and official clients try again by themselves.
    pub handshake_burst: u32,
    /// Handshakes per second once the burst is used up. Default 4,096. It is the whole server's, so
    /// a flood from one address keeps others from coming in, though not those who are in: limits
    /// by address are the embedder's, which knows them.
    pub handshakes_per_second: u32,
    /// Packets that one connection may send at once. Default 50,000. Every HTTP request, every
    /// packet and every ping or pong of WebSocket itself counts, whoever asked for it, and each 8 KiB of one count as one
    /// more, since that is what they cost. A connection over it is closed (status 429, close code
    /// 1008) and its sockets are parked: the client comes back and has lost nothing that was sent
    /// to it. Other clients pay with what the server is busy with meanwhile.
    pub packet_burst: u32,
    /// Packets per second that one connection may send once the burst is used up. Default 10,000.
    /// To be raised where a single connection speaks for many users, or is measured.
    pub packets_per_second: u32,
    /// Bytes queued for one connection while its peer does not read: its WebSocket is
    /// [paused](crate::server::Server::pause), or it has not sent a GET for `ping_timeout`.
    /// Default 4 MiB. Answers to CONNECT count here at any time. Where nothing of the kind is
    /// queued any one event is taken. A connection over it is closed and its sockets parked:
    /// recovery is the back-pressure of last resort.
    pub queued_bytes: usize,
    /// Packets queued for one connection while its peer does not read. Default 16,384; same
    /// consequence.
    pub queued_packets: usize,
    /// Bytes queued for one connection while its peer can be expected to take them, until it has:
    /// what the application emits at once, which is not the peer's doing. Default 64 MiB. Where
    /// nothing of the kind is queued any one event is taken. The emitter pays: an emit beyond it
    /// is refused ([`QueueFull`](crate::hub::EmitError::QueueFull)), and
    /// [`broadcast_with_reach`](crate::server::Server::broadcast_with_reach) tells how many it did not
    /// reach. Only a
    /// connection that would miss a broadcast which recovery has to replay is closed, and its
    /// sockets are parked.
    pub queue_burst_bytes: usize,
    /// Packets queued for one connection while its peer can be expected to take them. Default
    /// 131,072; same consequence.
    pub queue_burst_packets: usize,
    /// Binary attachments of one incoming packet. Default 10. The client that sends more pays: its
    /// connection is closed (close code 1007,
    /// [`InvalidPacket`](crate::engine::CloseReason::InvalidPacket)) and its sockets are parked.
    pub attachments: usize,
    /// Bytes of all attachments of one incoming packet. Default 10,000,000; same consequence.
    pub attachment_bytes: usize,
    /// Binary attachments of one event or answer that the server sends. Default 10: official clients
    /// take no more, unless their applications have raised it, and close the connection. The emit
    /// is refused; to be raised together with what the clients take.
    pub outgoing_attachments: usize,
    /// Bytes of one event or answer that the server sends: its JSON and its attachments together.
    /// Default 16 MiB: whatever a client may send by default can be sent back, and common WebSocket
    /// clients take a frame of that size. With recovery on, an event that is to be replayed has to
    /// fit [`buffer_bytes`](crate::RecoveryConfig::buffer_bytes) and
    /// [`replay_bytes`](crate::RecoveryConfig::replay_bytes) as well. The emit is refused. Raising
    /// it costs memory for each connection that such a packet is queued for.
    pub outgoing_bytes: usize,
    /// Bytes of a namespace name in an incoming packet. Default 255. A CONNECT with a longer one is
    /// answered with CONNECT_ERROR.
    pub namespace_name_bytes: usize,
    /// Namespaces of the server, those made by a predicate included. Default 10,000. A CONNECT
    /// that would create one more is answered with CONNECT_ERROR.
    pub namespaces: usize,
    /// Namespaces that one connection may be in. Default 64. One more is answered with
    /// CONNECT_ERROR.
    pub namespaces_per_connection: usize,
    /// Bytes of authentication data of one connection's CONNECTs that wait for the application, or
    /// for their turn to be recovered. Default 2 MiB. Any one may wait; one more that goes beyond it
    /// is answered with CONNECT_ERROR.
    pub pending_auth_bytes: usize,
    /// Rooms of one socket, its own included. Default 1,024. A further join is refused.
    pub rooms_per_socket: usize,
    /// Bytes of a room's name. Default 255. A join with a longer one is refused.
    pub room_name_bytes: usize,
    /// Acknowledgements that one namespace may be waiting for, a broadcast counting once.
    /// Default 100,000. One more is refused.
    pub pending_acks: usize,
    /// Bytes of the answers to broadcasts that one namespace holds until the broadcasts settle, a
    /// single broadcast's included. Default 64 MiB. Whoever answers most pays: the largest answers
    /// are dropped, and those who gave them are listed as missing.
    pub broadcast_answer_bytes: usize,
    /// Client offsets that one session remembers for
    /// [`Server::accept_once`](crate::server::Server::accept_once), and as many acknowledgements of
    /// its events. Default 1,024. The oldest are forgotten: an event that comes again after so many
    /// others is taken for a new one.
    pub client_offsets: usize,
    /// Bytes of the acknowledgements that one session remembers. Default 64 KiB. Those of the
    /// oldest events are forgotten: such an event is still known if it comes again, and not handled
    /// twice, but not acknowledged either.
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
