//! The names of channels.

use alloc::{format, string::String};

use super::RedisPubSub;
use crate::{
    cluster::message::{NodeId, Place},
    socket::NamespaceName,
};

/// The room in which our own entries are published. Official nodes look only at what is for a room that
/// they have. If one has this, it reads a broadcast without a packet, and ignores it.
const OWN_ROOM: &str = "socketio-proto";

/// What is published in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Channel<'a> {
    /// Broadcasts and our own entries. The message tells its namespace.
    Broadcasts,
    /// Requests in this namespace.
    Requests(&'a str),
    /// Answers in this namespace. Behind it there may be the name of a node.
    Answers(&'a str),
    /// What nodes of this crate say to each other.
    Own,
}

impl RedisPubSub {
    /// The channel that a message of a namespace goes to, and for which node.
    pub(super) fn channel(
        &self,
        namespace: &NamespaceName,
        place: &Place,
        to: Option<&NodeId>,
        is_entry: bool,
    ) -> String {
        let key = self.options.key.as_str();
        match (place, to) {
            // Each entry needs one: `format` would take memory several times.
            (Place::Broadcasts(None), _) => [key, "#", namespace.as_str(), "#"].concat(),
            (Place::Broadcasts(Some(room)), _) => {
                [key, "#", namespace.as_str(), "#", room, "#"].concat()
            }
            (Place::Own, _) if is_entry => format!("{key}#{namespace}#{OWN_ROOM}#"),
            (Place::Requests, _) => format!("{key}-request#{namespace}#"),
            (Place::Answers, Some(node)) => format!("{key}-response#{namespace}#{node}#"),
            (Place::Answers, None) => format!("{key}-response#{namespace}#"),
            (Place::Own, Some(node)) => format!("{key}-node#{namespace}#{node}#"),
            (Place::Own, None) => format!("{key}-node#{namespace}#"),
        }
    }

    /// The channels that a node subscribes to in a namespace. The first one is the one that nodes are
    /// counted by.
    pub(super) fn channels(&self, namespace: &NamespaceName, node: &NodeId) -> [String; 5] {
        let name = |place, to| self.channel(namespace, &place, to, false);
        [
            name(Place::Requests, None),
            name(Place::Answers, None),
            name(Place::Answers, Some(node)),
            name(Place::Own, None),
            name(Place::Own, Some(node)),
        ]
    }

    /// The patterns of all channels in which there may be entries.
    pub(super) fn patterns(&self) -> [String; 2] {
        let mut key = String::with_capacity(self.options.key.len());
        for c in self.options.key.chars() {
            if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^') {
                key.push('\\');
            }
            key.push(c);
        }
        [format!("{key}#*"), format!("{key}-request#*")]
    }

    /// What is published in a channel. `None` if it is not one of ours.
    pub(super) fn kind_of<'a>(&self, channel: &'a str) -> Option<Channel<'a>> {
        let rest = channel.strip_prefix(self.options.key.as_str())?.strip_suffix('#')?;
        if rest.starts_with('#') {
            return Some(Channel::Broadcasts);
        }
        if let Some(namespace) = rest.strip_prefix("-request#") {
            return Some(Channel::Requests(namespace));
        }
        if let Some(namespace) = rest.strip_prefix("-response#") {
            return Some(Channel::Answers(namespace));
        }
        rest.starts_with("-node#").then_some(Channel::Own)
    }
}
