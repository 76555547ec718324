//! A hub that is one node of a cluster.
//!
//! What an application does to sockets of all nodes goes into the channel, and takes effect when the
//! hub reads it there. What it does to sockets of this node waits until then, so that everything
//! takes effect in the order of the calls. [`cluster`](crate::cluster) describes the whole.

mod claim;
mod claims;
mod early;
mod entry;
mod verb;

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use bytestring::ByteString;
use serde::{Serialize, de::DeserializeOwned};

pub(super) use self::verb::Verb;
use self::{
    claim::{Codec, Successor},
    claims::Claims,
    early::Early,
};
use super::{
    Hub, audience::Audience, error::EmitError, message::ReplyKind, output::HubOutput,
    reason::EndCause, sessions::Change,
};
use crate::{
    cluster::{
        Channel, ClusterConfig, ClusterInput, Continuation, Reached, Reading,
        message::{Body, BroadcastOptions, Message, NodeId},
    },
    config::{ConfigError, ServerConfig, check},
    engine::CloseReason,
    entropy::Entropy,
    id::SocketKey,
    recovery::Offset,
    socket::NamespaceName,
    stats::increment,
    time::Timestamp,
};

/// What a hub has because it is one of several.
pub(super) struct Node<D> {
    channel: Channel<Verb>,
    claims: Claims<Successor>,
    codec: Codec<D>,
    early: Early,
}

/// How long a client waits for the node that has its session, if nothing else is configured.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);

impl<D: Default> Hub<D> {
    /// Creates a hub that is one node of a cluster, without namespaces. The application uses it as
    /// any other. Its owner carries out each [`HubOutput::Cluster`], and hands in what comes back
    /// with [`handle_cluster`](Self::handle_cluster).
    ///
    /// Clients wait until the node is [connected](ClusterInput::Connected) for the first time.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use socketio_proto::ServerConfig;
    /// use socketio_proto::cluster::ClusterConfig;
    /// use socketio_proto::hub::Hub;
    ///
    /// # fn fill_from_the_operating_system(dest: &mut [u8]) { dest.fill(7) }
    /// let config = Arc::new(ServerConfig::new());
    /// let node = ClusterConfig::from_entropy(&mut fill_from_the_operating_system);
    /// let hub = Hub::<()>::clustered(config, node, fill_from_the_operating_system)?;
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if one of the configurations cannot be used. A node of a cluster cannot
    /// [replay events that ask for an acknowledgement](crate::RecoveryConfig::replay_ack_events).
    pub fn clustered(
        config: Arc<ServerConfig>,
        cluster: ClusterConfig,
        mut entropy: impl Entropy + 'static,
    ) -> Result<Self, ConfigError>
    where
        D: Clone + Serialize + DeserializeOwned,
    {
        cluster.validate()?;
        let replays_questions = config.recovery.as_ref().is_some_and(|it| it.replay_ack_events);
        check(&[("recovery.replay_ack_events", !replays_questions)])?;
        let mut nonce = [0; 8];
        entropy.fill(&mut nonce);
        let nonce = u64::from_le_bytes(nonce);
        let channel = Channel::new(cluster, nonce);
        let mut config = Arc::unwrap_or_clone(config);
        config.logs_vacant_rooms = true;
        if let Some(recovery) = &mut config.recovery {
            recovery.lookup_timeout.get_or_insert(LOOKUP_TIMEOUT);
        }
        let mut hub = Self::new(Arc::new(config), entropy)?;
        let (early, claims, codec) = (Early::default(), Claims::new(nonce), Codec::new());
        hub.node = Some(Node { channel, claims, codec, early }.into());
        Ok(hub)
    }

    /// Handles what the engine of the cluster reports. Has no effect on a hub that is alone.
    pub fn handle_cluster(&mut self, now: Timestamp, input: ClusterInput) {
        let now = self.advance(now);
        match input {
            ClusterInput::Connected { oldest, head } => self.handle_connected(oldest, head),
            ClusterInput::Disconnected => {
                if let Some(node) = &mut self.node {
                    node.channel.disconnect();
                }
            }
            ClusterInput::Rejected { sequence } => {
                let node = self.node.as_mut();
                if node.is_some_and(|node| node.channel.give_up(sequence)) {
                    increment(&mut self.totals.appends_lost);
                }
            }
            ClusterInput::Entry { position, message } => self.read_entry(now, position, message),
            ClusterInput::Message(message) => self.handle_message(&message),
            ClusterInput::Subscribed { .. }
            | ClusterInput::Unsubscribed { .. }
            | ClusterInput::ServersCounted { .. }
            | ClusterInput::Stored { .. }
            | ClusterInput::Fetched { .. } => {}
        }
        self.catch_up(now);
    }

    /// Returns the name of this node. `None` if the hub is alone.
    pub fn node(&self) -> Option<&NodeId> {
        self.node.as_ref().map(|node| node.channel.node())
    }

    /// Whether the hub is one of several.
    pub(super) fn is_clustered(&self) -> bool {
        self.node.is_some()
    }

    /// How much waits for own entries of the channel, these included.
    pub(super) fn channel_waiting(&self) -> usize {
        self.node.as_ref().map_or(0, |node| node.channel.waiting())
    }

    /// Whether what is done now has to wait for own entries of the channel.
    pub(super) fn is_behind(&self) -> bool {
        self.node.as_ref().is_some_and(|node| node.channel.is_behind())
    }

    /// The origin of the log of a new namespace. `None` if the hub is alone.
    pub(super) fn origin(&self) -> Option<Offset> {
        let node = self.node.as_ref()?;
        Some(node.channel.position().unwrap_or(Offset::pair(0, 0)))
    }

    /// An audience as other nodes understand it. `None` if there is no such namespace.
    pub(super) fn options(&self, id: u32, audience: &Audience) -> Option<BroadcastOptions> {
        let namespace = self.namespaces.get(&id)?;
        let excepted = audience.excepted_sockets().filter(|socket| socket.namespace == id);
        let excepted = excepted.filter_map(|socket| Some(namespace.member(socket)?.id));
        let excepted = excepted.map(|id| ByteString::from(id.as_str()));
        let rooms = audience.rooms().map(ByteString::from);
        let options = rooms.fold(BroadcastOptions::all(), BroadcastOptions::to);
        let excepted = audience.excepted().map(ByteString::from).chain(excepted);
        Some(excepted.fold(options, BroadcastOptions::except))
    }

    /// Puts something into the channel.
    pub(super) fn append(
        &mut self,
        namespace: u32,
        body: Body,
        bytes: usize,
    ) -> Result<(), EmitError> {
        let name = self.name_of(namespace).ok_or(EmitError::UnknownNamespace)?;
        let node = self.node.as_mut().ok_or(EmitError::UnknownNamespace)?;
        let appended = node.channel.append(name, body, bytes);
        self.take_commands();
        appended.map_err(|full| {
            increment(&mut self.totals.appends_refused);
            EmitError::ChannelFull { limit: full.limit }
        })
    }

    /// Sends something that is not stored to all other nodes.
    pub(super) fn publish_to_all(&mut self, namespace: u32, body: Body) {
        let name = self.name_of(namespace);
        if let (Some(node), Some(name)) = (&mut self.node, name) {
            node.channel.publish(None, name, body);
            self.take_commands();
        }
    }

    /// Does something once everything that this node has emitted before has taken effect. Returns
    /// what to do at once.
    pub(super) fn defer(&mut self, verb: Verb) -> Option<Verb> {
        let bytes = verb.size();
        match &mut self.node {
            Some(node) => node.channel.defer(verb, bytes),
            None => Some(verb),
        }
    }

    fn name_of(&self, namespace: u32) -> Option<NamespaceName> {
        Some(self.namespaces.get(&namespace)?.sessions.name().clone())
    }

    fn handle_connected(&mut self, oldest: Offset, head: Offset) {
        let Some(node) = &mut self.node else { return };
        if let Continuation::Anew(origin) = node.channel.connect(oldest, head) {
            while let Some(given_up) =
                self.node.as_mut().and_then(|node| node.channel.give_up_sent())
            {
                self.pass(given_up);
            }
            self.begin_anew(origin);
        }
        self.subscribe_all();
    }

    /// Receives what other nodes publish in the namespaces.
    fn subscribe_all(&mut self) {
        let Some(node) = &mut self.node else { return };
        for namespace in self.namespaces.values() {
            node.channel.subscribe(namespace.sessions.name().clone());
        }
    }

    /// A namespace has been created.
    pub(super) fn note_namespace(&mut self, name: &NamespaceName) {
        if let Some(node) = &mut self.node {
            node.channel.subscribe(name.clone());
            self.take_commands();
        }
    }

    /// A namespace is gone.
    pub(super) fn note_namespace_gone(&mut self, name: &NamespaceName) {
        if let Some(node) = &mut self.node {
            node.channel.unsubscribe(name.clone());
            self.take_commands();
        }
    }

    /// Ends all sessions, because they may have missed something that cannot be read any more.
    fn begin_anew(&mut self, origin: Offset) {
        let sockets: Vec<SocketKey> = self.keys.values().copied().collect();
        for socket in sockets {
            let link = self.connection(socket);
            if let Some(to) = link {
                self.reply(to, ReplyKind::Close { reason: CloseReason::ForcedClose });
            }
            self.end(socket, EndCause::by_gap(link.is_some()));
        }
        let now = self.now;
        let namespaces: Vec<u32> = self.namespaces.keys().copied().collect();
        for id in namespaces {
            self.with_namespace(id, |namespace, _| {
                namespace.sessions.apply(now, Change::Follow { origin });
            });
            self.settle(id);
        }
    }

    fn read_entry(&mut self, now: Timestamp, position: Offset, message: Option<Message>) {
        let Some(node) = &mut self.node else { return };
        match node.channel.read(position, message.as_ref()) {
            Reading::New => {}
            Reading::Own(sequence) => {
                let next =
                    |hub: &mut Self| hub.node.as_mut().map(|node| node.channel.reach(sequence));
                while let Some(reached) = next(self).filter(|it| !matches!(it, Reached::Entry)) {
                    self.pass(reached);
                }
            }
            Reading::Repeated | Reading::OutOfOrder => {
                increment(&mut self.totals.entries_skipped);
                return;
            }
        }
        increment(&mut self.totals.entries_read);
        match message {
            Some(message) => self.apply_entry(now, position, &message),
            None => increment(&mut self.totals.entries_skipped),
        }
    }

    fn pass(&mut self, reached: Reached<Verb>) {
        match reached {
            Reached::Entry => {}
            Reached::Local(verb) => self.run(verb),
            Reached::Lost => increment(&mut self.totals.appends_lost),
        }
    }

    /// Does everything that has waited and need not wait any longer.
    fn catch_up(&mut self, now: Timestamp) {
        while let Some(verb) = self.node.as_mut().and_then(|node| node.channel.next_local()) {
            self.run(verb);
        }
        if let Some(node) = &mut self.node {
            node.channel.catch_up();
        }
        self.take_commands();
        self.take_early(now);
        self.end_released(now);
    }

    fn take_commands(&mut self) {
        while let Some(command) = self.node.as_mut().and_then(|node| node.channel.poll_output()) {
            self.out.push_back(HubOutput::Cluster(command));
        }
    }
}
