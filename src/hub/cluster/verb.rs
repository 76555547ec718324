//! What takes effect on this node only after everything that the node has emitted before.

use alloc::string::String;

use crate::{
    cluster::message::{Body, BroadcastFlags, ClusterBroadcast},
    hub::{Audience, Hub, message::AckToken},
    id::SocketKey,
    socket::{Args, Event},
};

/// Something that an application does on this node. What can be refused was checked when it was
/// called.
pub(in crate::hub) enum Verb {
    /// Emits an event that is not logged to one socket.
    Emit {
        socket: SocketKey,
        event: Event,
        is_volatile: bool,
    },
    /// Sends an event whose acknowledgement is already waited for.
    Ask {
        socket: SocketKey,
        event: Event,
        ack: u64,
    },
    /// Emits an event that is not logged to the sockets of this node and, if it is volatile, of the
    /// others.
    Broadcast {
        namespace: u32,
        audience: Audience,
        event: Event,
    },
    /// Sends an event whose acknowledgements are already waited for to the sockets of this node.
    AskAll {
        namespace: u32,
        audience: Audience,
        event: Event,
        ack: u64,
    },
    Join {
        socket: SocketKey,
        room: String,
    },
    Leave {
        socket: SocketKey,
        room: String,
    },
    Disconnect {
        socket: SocketKey,
        close: bool,
    },
    Acknowledge {
        token: AckToken,
        args: Args,
    },
}

impl Verb {
    /// The namespace that it concerns.
    pub(super) const fn namespace(&self) -> u32 {
        match self {
            Self::Emit { socket, .. }
            | Self::Ask { socket, .. }
            | Self::Join { socket, .. }
            | Self::Leave { socket, .. }
            | Self::Disconnect { socket, .. } => socket.namespace,
            Self::Broadcast { namespace, .. } | Self::AskAll { namespace, .. } => *namespace,
            Self::Acknowledge { token, .. } => token.socket.key.namespace,
        }
    }

    /// About how much memory it takes.
    pub(super) fn size(&self) -> usize {
        let variable = match self {
            Self::Emit { event, .. }
            | Self::Ask { event, .. }
            | Self::Broadcast { event, .. }
            | Self::AskAll { event, .. } => event.wire_len(),
            Self::Join { room, .. } | Self::Leave { room, .. } => room.len(),
            Self::Disconnect { .. } => 0,
            Self::Acknowledge { args, .. } => args.wire_len(),
        };
        size_of::<Self>().saturating_add(variable)
    }
}

impl<D: Default> Hub<D> {
    /// Does it. Whom it concerns may be gone by now.
    pub(in crate::hub) fn run(&mut self, verb: Verb) {
        let now = self.now;
        match verb {
            Verb::Emit { socket, event, is_volatile } => {
                self.with_namespace(socket.namespace, |namespace, out| {
                    namespace.emit_unlogged(now, out, socket, &event, is_volatile);
                });
            }
            Verb::Ask { socket, event, ack } => {
                self.with_namespace(socket.namespace, |namespace, out| {
                    namespace.ask(now, out, socket, &event, ack);
                });
            }
            Verb::Broadcast { namespace, audience, event } => {
                self.publish_volatile(namespace, &audience, &event);
                self.with_namespace(namespace, |namespace, out| {
                    namespace.broadcast_checked(now, out, &audience, &event, false);
                });
            }
            Verb::AskAll { namespace, audience, event, ack } => {
                self.with_namespace(namespace, |namespace, out| {
                    namespace.ask_all(now, out, &audience, &event, ack);
                });
            }
            Verb::Join { socket, room } => {
                // Meanwhile a limit may have been reached. It is counted.
                self.join(socket, &room, false).ok();
            }
            Verb::Leave { socket, room } => {
                self.leave(socket, &room);
            }
            Verb::Disconnect { socket, close } => {
                self.disconnect(now, socket, close);
            }
            Verb::Acknowledge { token, args } => {
                self.with_namespace(token.socket.key.namespace, |namespace, out| {
                    namespace.acknowledge(now, out, token, &args);
                });
            }
        }
    }

    /// Sends a volatile event to the other nodes.
    fn publish_volatile(&mut self, namespace: u32, audience: &Audience, event: &Event) {
        if audience.is_local() || !audience.is_volatile() {
            return;
        }
        if let Some(options) = self.options(namespace, audience) {
            let flags = BroadcastFlags { volatile: Some(true), ..BroadcastFlags::default() };
            let broadcast = ClusterBroadcast::new(options.flags(flags), event.clone());
            self.publish_to_all(namespace, Body::Broadcast(broadcast));
        }
    }
}
