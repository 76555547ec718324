//! Packets for clients.

use super::{BroadcastOptions, MessageError, RequestId};
use crate::socket::Event;

/// A packet for the clients of some rooms.
///
/// What was received stays bytes: whom it is for is known, but its arguments are not looked at until
/// someone needs [the packet](Self::packet).
///
/// ```
/// use socketio_proto::cluster::message::{ClusterBroadcast, BroadcastOptions};
/// use socketio_proto::socket::Event;
///
/// let event = Event::new("news", &("hello",))?;
/// let broadcast = ClusterBroadcast::new(BroadcastOptions::all().to("lobby"), event.clone());
/// assert_eq!(broadcast.packet()?.event, event);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterBroadcast {
    /// Whom it is for.
    pub options: BroadcastOptions,
    /// Names the broadcast in the answers, if clients are asked for acknowledgements.
    pub request: Option<RequestId>,
    packet: BroadcastPacket,
}

/// The packet of a [`ClusterBroadcast`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BroadcastPacket {
    /// The event.
    pub event: Event,
    /// The id of the acknowledgement that the event asks for. Official nodes publish such an event
    /// if it is for one socket; it is not replayed.
    pub ack: Option<u64>,
}

impl ClusterBroadcast {
    /// Makes a broadcast of an event.
    pub const fn new(options: BroadcastOptions, event: Event) -> Self {
        let packet = BroadcastPacket { event, ack: None };
        Self { options, request: None, packet }
    }

    /// Asks the clients for acknowledgements.
    #[must_use]
    pub fn with_request(mut self, request: RequestId) -> Self {
        self.request = Some(request);
        self
    }

    /// Reads the packet. The event shares the memory of the message.
    ///
    /// # Errors
    ///
    /// The packet is malformed. No node delivers it to anyone.
    #[expect(clippy::unnecessary_wraps, reason = "received packets are read on demand")]
    pub fn packet(&self) -> Result<BroadcastPacket, MessageError> {
        Ok(self.packet.clone())
    }
}
