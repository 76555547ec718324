//! What comes out of a hub.

use super::{
    event::Event,
    message::{Delivery, Reply},
};
use crate::id::ConnectionId;

/// What the owner of the links has to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output<D> {
    /// Hand a reply to one link: [`Link::handle_reply`](crate::link::Link::handle_reply).
    Reply {
        /// The link.
        to: ConnectionId,
        /// What to hand to it.
        reply: Reply,
    },
    /// Hand a packet to every recipient: [`Link::deliver`](crate::link::Link::deliver).
    Deliver(Delivery),
    /// Tell the application.
    Event(Event<D>),
}
