//! All channels of a node.

use alloc::{boxed::Box, vec::Vec};

use super::{Channel, Full, is_own};
use crate::{
    cluster::{
        Channels, ClusterConfig,
        message::{Body, Message, NodeId},
    },
    socket::NamespaceName,
};

/// All channels of a node. The order of one says nothing about the others.
pub(crate) struct ChannelSet<L> {
    node: NodeId,
    nonce: u64,
    layout: Channels,
    all: Box<[Channel<L>]>,
    /// The number of the latest own entry of all channels.
    appended: u64,
}

impl<L> ChannelSet<L> {
    pub(crate) fn new(config: ClusterConfig, nonce: u64) -> Self {
        let numbers = 0..config.channels.count();
        let all = numbers.map(|number| Channel::new(&config, number, nonce)).collect();
        let ClusterConfig { node, channels: layout, .. } = config;
        Self { node, nonce, layout, all, appended: 0 }
    }

    pub(crate) fn node(&self) -> &NodeId {
        &self.node
    }

    /// Whether this node has appended an entry.
    pub(crate) fn is_own(&self, message: &Message) -> bool {
        is_own(message, &self.node, self.nonce)
    }

    /// The number of the channel of a namespace.
    pub(crate) fn of(&self, namespace: &NamespaceName) -> u32 {
        self.layout.of(namespace)
    }

    /// Whether the node knows what was in the channel of a namespace before it came.
    pub(crate) fn is_ready(&self, namespace: &NamespaceName) -> bool {
        self.get(self.of(namespace)).is_none_or(Channel::is_ready)
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Channel<L>> {
        self.all.get(usize::try_from(number).ok()?)
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Channel<L>> {
        self.all.get_mut(usize::try_from(number).ok()?)
    }

    /// The channel of a namespace.
    pub(crate) fn for_namespace(&mut self, namespace: &NamespaceName) -> Option<&mut Channel<L>> {
        self.get_mut(self.of(namespace))
    }

    /// Whether the engine is there, and everything was read that was there when it was connected.
    pub(crate) fn are_open(&self) -> bool {
        self.all.iter().all(Channel::is_open)
    }

    /// How many steps wait.
    pub(crate) fn waiting(&self) -> usize {
        self.all.iter().map(Channel::waiting).fold(0, usize::saturating_add)
    }

    /// Appends an entry to a channel. It takes effect when it is read.
    pub(crate) fn append(
        &mut self,
        number: u32,
        namespace: NamespaceName,
        body: Body,
        bytes: usize,
    ) -> Result<(), Full> {
        let sequence = self.appended.saturating_add(1);
        let Some(channel) = self.get_mut(number) else { return Err(Full { limit: 0 }) };
        channel.append(sequence, namespace, body, bytes)?;
        self.appended = sequence;
        Ok(())
    }

    /// An own entry does not come into its channel. Returns the channel if it was waited for.
    pub(crate) fn give_up(&mut self, sequence: u64) -> Option<u32> {
        let mut channels = self.all.iter_mut();
        channels.find_map(|channel| channel.give_up(sequence).then_some(channel.number))
    }

    /// Takes out what does not have to wait for own entries after all.
    pub(crate) fn release(&mut self, mut may_go: impl FnMut(&L) -> bool) -> Vec<L> {
        self.all.iter_mut().flat_map(|channel| channel.release(&mut may_go)).collect()
    }

    /// The connection with the engine is lost.
    pub(crate) fn disconnect(&mut self) {
        for channel in &mut self.all {
            channel.disconnect();
        }
    }
}
