//! The outputs of a hub.

use super::{
    event::ServerEvent,
    message::{Delivery, Reply},
};
use crate::{cluster::ClusterOutput, id::ConnectionId};

/// An output that the owner of the links must carry out.
#[derive(Debug)]
#[non_exhaustive]
pub enum HubOutput<D> {
    /// Hand a reply to one link: [`Link::handle_reply`](crate::link::Link::handle_reply).
    Reply {
        /// The link.
        to: ConnectionId,
        /// The reply.
        reply: Reply,
    },
    /// Hand a packet to each recipient: [`Link::deliver`](crate::link::Link::deliver).
    Deliver(Delivery),
    /// Report an event to the application.
    Event(ServerEvent<D>),
    /// Hand a command to the engine of the cluster. Only of a hub that was
    /// [made for one](crate::hub::Hub::clustered).
    Cluster(ClusterOutput),
}
