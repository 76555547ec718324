//! Packets of the hub for the client.

use super::{Delivered, Link};
use crate::{
    engine::{CloseReason, SendError},
    hub::{Delivery, Reliability},
    time::Timestamp,
};

impl Link {
    /// Queues the packet of a delivery at time `now`. It takes O(namespaces of the client) steps,
    /// and allocates only if the queue has to grow.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    ///
    /// use socketio_proto::hub::Delivery;
    /// use socketio_proto::link::{Delivered, Link};
    /// use socketio_proto::{ConnectionId, Timestamp};
    ///
    /// fn deliver(
    ///     links: &mut BTreeMap<ConnectionId, Link>,
    ///     now: Timestamp,
    ///     delivery: &Delivery,
    /// ) -> usize {
    ///     let accepted = delivery.recipients().iter().filter(|to| {
    ///         links.get_mut(to).is_some_and(|link| link.deliver(now, delivery) == Delivered::Queued)
    ///     });
    ///     accepted.count()
    /// }
    /// ```
    pub fn deliver(&mut self, now: Timestamp, delivery: &Delivery) -> Delivered {
        if self.present != delivery.namespace && !self.has_joined(delivery.namespace) {
            return Delivered::Stale;
        }
        self.connection.advance(now);
        let is_volatile = delivery.reliability == Reliability::Volatile;
        if is_volatile && !self.connection.is_writable() {
            return Delivered::Dropped;
        }
        let is_answer = delivery.reliability == Reliability::Answer;
        match (self.send(&delivery.packet, is_answer), delivery.reliability) {
            (Ok(()), _) => {
                if self.is_fresh {
                    self.note_delivery(delivery.namespace);
                }
                Delivered::Queued
            }
            (Err(SendError::Closed), _) => Delivered::Stale,
            (Err(_), Reliability::Volatile) => Delivered::Dropped,
            (Err(SendError::Full), Reliability::Reliable) => Delivered::Refused,
            (Err(SendError::Full | SendError::Overflow), _) => {
                self.connection.abort(CloseReason::Overflow);
                self.handle_engine();
                Delivered::Overflowed
            }
        }
    }

    /// Checks whether an event of about this many frames and bytes can be queued at time `now`.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::{CloseReason, EngineInput, EngineOutput, Frame, Transport};
    /// # use socketio_proto::link::{Link, LinkOutput};
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let (config, now, wire) = (Arc::new(ServerConfig::new()), Timestamp::ZERO, WireId(1));
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let mut link = Link::new(now, config, id, Transport::WebSocket, wire);
    /// assert_eq!(link.check_room(now, 1, 100), Ok(()));
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the connection is not open. [`SendError::Full`] if the client
    /// reads, but has to take what is queued first. [`SendError::Overflow`] if the client does not
    /// read, and too much waits for it already.
    pub fn check_room(
        &self,
        now: Timestamp,
        packets: usize,
        bytes: usize,
    ) -> Result<(), SendError> {
        self.connection.check_room(now, packets, bytes)
    }
}
