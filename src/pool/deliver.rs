//! Packets of the hub for the connections of a pool.

use super::{Pool, slots};
use crate::{
    engine::SendError,
    hub::{Delivery, EmitError, Reach},
    id::ConnectionId,
    link::Delivered,
    socket,
    stats::increment,
    time::Timestamp,
};

/// The maximum size of the parts of a packet besides its event: type, namespace, id, offset.
const ENVELOPE_BYTES: usize = 512;

impl<D> Pool<D> {
    /// Queues a packet for those of its recipients that are in this pool. Returns how many of them
    /// accepted, dropped or refused it.
    ///
    /// ```
    /// use std::sync::mpsc::Sender;
    ///
    /// use socketio_proto::hub::Delivery;
    /// use socketio_proto::pool::Pool;
    /// use socketio_proto::{ConnectionId, Timestamp};
    ///
    /// /// Gives a delivery to each thread that has one of its recipients, once.
    /// fn pass_on(delivery: &Delivery, threads: &[Sender<Delivery>]) {
    ///     let number = |to: &ConnectionId| usize::from(Pool::<()>::number_of(*to));
    ///     for (index, thread) in threads.iter().enumerate() {
    ///         if delivery.recipients().iter().any(|to| number(to) == index) {
    ///             thread.send(delivery.clone()).ok();
    ///         }
    ///     }
    /// }
    ///
    /// /// On the thread:
    /// fn deliver(pool: &mut Pool, now: Timestamp, delivery: &Delivery) {
    ///     let reach = pool.deliver(now, delivery);
    ///     println!("{} of {} accepted it", reach.sockets - reach.refused, reach.sockets);
    /// }
    /// ```
    pub fn deliver(&mut self, now: Timestamp, delivery: &Delivery) -> Reach {
        let mut reach = Reach::default();
        self.deliver_into(now, delivery, &mut reach);
        reach
    }

    pub(crate) fn deliver_into(&mut self, now: Timestamp, delivery: &Delivery, reach: &mut Reach) {
        let now = self.advance(now);
        reach.sockets = reach.sockets.saturating_add(delivery.recipients().len());
        for to in delivery.recipients() {
            match self.links.deliver(now, *to, delivery) {
                Some(Delivered::Queued) => {}
                Some(Delivered::Dropped) => {
                    increment(&mut self.totals.volatile_dropped);
                    reach.dropped = reach.dropped.saturating_add(1);
                }
                Some(Delivered::Refused) => {
                    increment(&mut self.totals.packets_refused);
                    reach.refused = reach.refused.saturating_add(1);
                }
                Some(Delivered::Overflowed) => {
                    reach.closed = reach.closed.saturating_add(1);
                    self.with_link(*to, |_| ());
                }
                // Check the pool's number only here, where it does not slow down the usual case.
                None if slots::number_of(*to) != self.number => {
                    reach.sockets = reach.sockets.saturating_sub(1);
                }
                Some(Delivered::Stale) | None => increment(&mut self.totals.stale),
            }
        }
    }

    /// Refuses an event if the queue of the connection has no room for it. Accepts an event that
    /// recovery replays even if it does not fit, when the client does not read.
    pub(crate) fn check_room(
        &mut self,
        now: Timestamp,
        to: ConnectionId,
        event: &socket::Event,
        is_logged: bool,
    ) -> Result<(), EmitError> {
        let Some(link) = self.links.get(to).filter(|link| link.queued_bytes() > 0) else {
            return Ok(());
        };
        let packets = event.attachments().len().saturating_add(1);
        let bytes = event.wire_len().saturating_add(ENVELOPE_BYTES);
        match link.check_room(now, packets, bytes) {
            Err(SendError::Full) => {}
            Err(SendError::Overflow) if !is_logged => {}
            Ok(()) | Err(_) => return Ok(()),
        }
        increment(&mut self.totals.packets_refused);
        Err(EmitError::QueueFull)
    }
}
