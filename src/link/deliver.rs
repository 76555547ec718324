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
    pub fn deliver(&mut self, now: Timestamp, delivery: &Delivery) -> Delivered {
        if self.present != delivery.namespace && !self.has_joined(delivery.namespace) {
            return Delivered::Stale;
        }
        self.connection.advance(now);
        let is_volatile = delivery.reliability == Reliability::Volatile;
        if is_volatile && !self.connection.is_writable() {
            return Delivered::Dropped;
        }
        match (self.send(&delivery.packet), delivery.reliability) {
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
