//! Why a socket was disconnected, and why a session has ended.

use core::fmt;

use crate::engine::CloseReason;

/// Why a socket was disconnected. The texts are those of the reference (protocol facts 2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The transport failed: an aborted or overlapping request, an oversized frame.
    TransportError,
    /// The client or the network closed the connection.
    TransportClose,
    /// The client did not answer a ping.
    PingTimeout,
    /// The server closed the connection.
    ForcedClose,
    /// The client broke the protocol of Socket.IO. Its session has ended.
    ProtocolViolation,
    /// The client sent a packet that the server does not accept: see
    /// [`CloseReason::InvalidPacket`]. Or it was already in the namespace, and sent authentication
    /// data that is not an object.
    InvalidPacket,
    /// The client broke the protocol of Engine.IO. Its session has ended.
    ParseError,
    /// Too much was queued for the client: it did not read, or it would have missed a broadcast that
    /// recovery replays.
    Overflow,
    /// The client sent packets faster than
    /// [`packets_per_second`](crate::Limits::packets_per_second) allows.
    RateLimited,
    /// The client did not send all attachments of a packet within
    /// [`attachment_timeout`](crate::ServerConfig::attachment_timeout).
    AttachmentTimeout,
    /// The client came back on another connection before the server knew that this one was lost.
    TakenOver,
    /// The client has sent another CONNECT for the namespace on the same connection, which is now
    /// answered. Its session has ended.
    Replaced,
    /// The client left the namespace. Its session has ended.
    ClientNamespaceDisconnect,
    /// The server disconnected the socket. Its session has ended.
    ServerNamespaceDisconnect,
    /// The server is shutting down.
    ServerShuttingDown,
    /// The client has come back at another server of the cluster, which now has the session.
    Moved,
    /// The server, one of a cluster, could not read a part of the channel, because its engine was
    /// away for too long. The client may have missed events, so its session has ended. It comes back
    /// with a new one.
    ChannelGap,
}

impl DisconnectReason {
    /// Returns the reference's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransportError => "transport error",
            Self::TransportClose | Self::TakenOver | Self::Moved => "transport close",
            Self::PingTimeout => "ping timeout",
            Self::ForcedClose
            | Self::ProtocolViolation
            | Self::InvalidPacket
            | Self::Overflow
            | Self::RateLimited
            | Self::AttachmentTimeout
            | Self::ChannelGap => "forced close",
            Self::ParseError => "parse error",
            Self::ClientNamespaceDisconnect | Self::Replaced => "client namespace disconnect",
            Self::ServerNamespaceDisconnect => "server namespace disconnect",
            Self::ServerShuttingDown => "server shutting down",
        }
    }

    /// Returns whether the session is kept for the client to come back.
    ///
    /// As in the reference, except that the session of a client that broke the protocol is not
    /// kept.
    pub const fn is_recoverable(self) -> bool {
        match self {
            Self::TransportError
            | Self::TransportClose
            | Self::PingTimeout
            | Self::ForcedClose
            | Self::InvalidPacket
            | Self::Overflow
            | Self::RateLimited
            | Self::AttachmentTimeout
            | Self::TakenOver
            | Self::ServerShuttingDown => true,
            Self::ProtocolViolation
            | Self::ParseError
            | Self::Replaced
            | Self::Moved
            | Self::ChannelGap
            | Self::ClientNamespaceDisconnect
            | Self::ServerNamespaceDisconnect => false,
        }
    }
}

impl From<CloseReason> for DisconnectReason {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::TransportError(_) => Self::TransportError,
            CloseReason::TransportClose => Self::TransportClose,
            CloseReason::PingTimeout => Self::PingTimeout,
            // A client that has joined no namespace has no socket that could be disconnected.
            CloseReason::ForcedClose | CloseReason::ConnectTimeout => Self::ForcedClose,
            CloseReason::ParseError(_) => Self::ParseError,
            CloseReason::Overflow => Self::Overflow,
            CloseReason::RateLimited => Self::RateLimited,
            CloseReason::AttachmentTimeout => Self::AttachmentTimeout,
            CloseReason::ServerShutdown => Self::ServerShuttingDown,
            // The same is true for a client whose first packet was not understood.
            CloseReason::ProtocolViolation | CloseReason::OtherParser => Self::ProtocolViolation,
            CloseReason::InvalidPacket => Self::InvalidPacket,
            CloseReason::TakenOver => Self::TakenOver,
        }
    }
}

impl fmt::Display for DisconnectReason {
    /// Writes the reference's text, with more detail in brackets where that text is less exact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProtocolViolation => "forced close (the client broke the protocol)",
            Self::InvalidPacket => {
                "forced close (the server does not accept a packet of the client)"
            }
            Self::Overflow => "forced close (the client did not read what was queued for it)",
            Self::RateLimited => "forced close (the client sent packets too fast)",
            Self::AttachmentTimeout => "forced close (an attachment did not follow in time)",
            Self::Moved => "transport close (the client came back at another server)",
            Self::ChannelGap => "forced close (a part of the channel could not be read)",
            Self::TakenOver => "transport close (the client came back on another connection)",
            Self::Replaced => "client namespace disconnect (the client has asked to join again)",
            _ => self.as_str(),
        })
    }
}

/// Why a parked session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpiryCause {
    /// The client did not come back within
    /// [`max_disconnection`](crate::RecoveryConfig::max_disconnection).
    TimedOut,
    /// It was removed to make room for another session:
    /// [`parked_sessions`](crate::RecoveryConfig::parked_sessions) was reached.
    Evicted,
    /// The application disconnected the socket.
    Disconnected,
    /// The client has come back at another server of the cluster, which now has the session.
    Moved,
    /// The server, one of a cluster, could not read a part of the channel. The session may have
    /// missed events in it.
    ChannelGap,
}

/// Why a session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndCause {
    /// It was connected, or had just lost its link.
    Disconnected(DisconnectReason),
    /// It was parked.
    Expired(ExpiryCause),
}

impl EndCause {
    /// The application disconnects a session.
    pub(super) fn by_server(is_connected: bool) -> Self {
        Self::of(
            is_connected,
            DisconnectReason::ServerNamespaceDisconnect,
            ExpiryCause::Disconnected,
        )
    }

    /// Another node takes a session over.
    pub(super) fn by_move(is_connected: bool) -> Self {
        Self::of(is_connected, DisconnectReason::Moved, ExpiryCause::Moved)
    }

    /// Whether another node has taken the session over.
    pub(super) const fn is_move(self) -> bool {
        matches!(
            self,
            Self::Disconnected(DisconnectReason::Moved) | Self::Expired(ExpiryCause::Moved)
        )
    }

    /// Whether this node can no longer continue the session, although another one may.
    pub(super) const fn is_gap(self) -> bool {
        matches!(
            self,
            Self::Disconnected(DisconnectReason::ChannelGap)
                | Self::Expired(ExpiryCause::ChannelGap)
        )
    }

    /// A session may have missed something in a gap of the channel.
    pub(super) fn by_gap(is_connected: bool) -> Self {
        Self::of(is_connected, DisconnectReason::ChannelGap, ExpiryCause::ChannelGap)
    }

    fn of(is_connected: bool, live: DisconnectReason, parked: ExpiryCause) -> Self {
        if is_connected { Self::Disconnected(live) } else { Self::Expired(parked) }
    }
}

impl fmt::Display for ExpiryCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "the client did not come back within max_disconnection",
            Self::Evicted => "it was evicted, because parked_sessions was reached",
            Self::Disconnected => "the application disconnected the parked socket",
            Self::Moved => "the client came back at another server",
            Self::ChannelGap => "a part of the channel could not be read",
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::DisconnectReason::*;

    /// Where a text of the reference says less than is known, the rest follows it in brackets.
    #[test]
    fn texts_are_those_of_the_reference_and_tell_the_rest() {
        for plain in [
            TransportError,
            TransportClose,
            PingTimeout,
            ForcedClose,
            ParseError,
            ClientNamespaceDisconnect,
            ServerNamespaceDisconnect,
            ServerShuttingDown,
        ] {
            assert_eq!(plain.to_string(), plain.as_str());
        }
        for explained in [
            ProtocolViolation,
            InvalidPacket,
            Overflow,
            RateLimited,
            AttachmentTimeout,
            TakenOver,
            Replaced,
            Moved,
            ChannelGap,
        ] {
            let text = explained.to_string();
            assert!(text.starts_with(explained.as_str()) && text.ends_with(')'), "{text}");
        }
    }
}
