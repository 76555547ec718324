//! What a node of a cluster does when its namespaces come, begin anew, and go.

use alloc::vec::Vec;

use crate::{
    cluster::message::Body,
    engine::CloseReason,
    hub::{Hub, message::ReplyKind, reason::EndCause, sessions::Change},
    id::SocketKey,
    recovery::Offset,
    socket::NamespaceName,
};

impl<D: Default> Hub<D> {
    /// Receives what other nodes publish in the namespaces of a channel.
    pub(super) fn subscribe_all(&mut self, number: u32) {
        let Some(node) = &mut self.node else { return };
        let Some(channel) = node.channels.get_mut(number) else { return };
        let namespaces = self.namespaces.values().filter(|it| it.channel == number);
        for namespace in namespaces.filter(|it| !it.is_vacant()) {
            channel.subscribe(namespace.sessions.name().clone());
        }
    }

    /// A namespace has been created.
    pub(super) fn note_namespace(&mut self, name: &NamespaceName) {
        let number = self.channel_of(name);
        if let Some(channel) = self.channel_mut(number) {
            channel.subscribe(name.clone());
            self.take_commands(number);
        }
    }

    /// A namespace is going.
    pub(super) fn note_namespace_gone(&mut self, id: u32, name: &NamespaceName) {
        self.end_requests(self.now, id);
        let number = self.channel_of(name);
        let Some(node) = &mut self.node else { return };
        let is_subscribed = node.members.is_subscribed(id);
        node.members.forget(id);
        if let Some(channel) = node.channels.get_mut(number) {
            if is_subscribed {
                channel.publish(None, name.clone(), Body::AdapterClose);
            }
            channel.unsubscribe(name.clone());
            self.take_commands(number);
        }
    }

    /// Ends all sessions of a channel, because they may have missed something that cannot be read
    /// any more.
    pub(super) fn begin_anew(&mut self, channel: u32, origin: Offset) {
        let namespaces = self.namespaces.values().filter(|it| it.channel == channel);
        let namespaces: Vec<u32> = namespaces.map(|it| it.id).collect();
        let sockets = self.keys.values().copied();
        let sockets: Vec<SocketKey> =
            sockets.filter(|it| namespaces.binary_search(&it.namespace).is_ok()).collect();
        for socket in sockets {
            let link = self.connection(socket);
            if let Some(to) = link {
                self.reply(to, ReplyKind::Close { reason: CloseReason::ForcedClose });
            }
            self.end(socket, EndCause::by_gap(link.is_some()));
        }
        let now = self.now;
        for id in namespaces {
            let is_vacant = self.with_namespace(id, |namespace, _| {
                namespace.sessions.apply(now, Change::Follow { origin });
                namespace.latest_entry = None;
                namespace.is_vacant()
            });
            self.keep_changes(id, Some(origin));
            if is_vacant == Some(true) {
                self.remove_namespace(id);
            } else {
                self.settle(id);
            }
        }
        if let Some(node) = &mut self.node {
            node.vacant.begin(channel, origin);
        }
    }
}
