//! A hub that is one node of a cluster.
//!
//! What an application does to sockets of all nodes goes into the channel, and takes effect when the
//! hub reads it there. What it does to sockets of this node waits until then, so that everything
//! takes effect in the order of the calls. [`cluster`](crate::cluster) describes the whole.

mod absent;
mod ahead;
mod answer;
mod answered;
mod changes;
mod claim;
mod claims;
mod closing;
mod codes;
mod commands;
mod contests;
mod deferred;
mod description;
mod doubt;
mod durable;
mod early;
mod entry;
mod follow;
mod found;
mod guesses;
mod handover;
mod members;
mod namespaces;
mod official;
mod patience;
mod pending;
mod placed;
mod recalls;
mod record;
mod records;
mod requests;
mod shutdown;
mod store;
mod vacant;
mod verb;
mod void;
mod withheld;

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;

use bytestring::ByteString;
use serde::{Serialize, de::DeserializeOwned};

use self::{
    answer::Handled,
    answered::Answered,
    changes::Changes,
    claim::{Codec, Successor},
    claims::Claims,
    deferred::Deferred,
    durable::Durable,
    early::Early,
    guesses::Guesses,
    records::Records,
    requests::Request,
    vacant::Vacant,
    void::Void,
};
pub(super) use self::{requests::Collected, verb::Verb};
use super::{
    Hub, audience::Audience, error::EmitError, output::HubOutput, request::ConnectRequest,
};
use crate::{
    cluster::{
        Channel, ChannelSet, ClusterConfig, ClusterInput, Continuation, Members, OfficialSessions,
        Reached, Reading, Requests,
        message::{Body, BroadcastOptions, Message, NodeId, Value},
    },
    config::{ConfigError, ServerConfig, check},
    entropy::Entropy,
    id::SocketKey,
    recovery::Offset,
    socket::NamespaceName,
    stats::increment,
    time::Timestamp,
};

/// What a hub has because it is one of several.
pub(super) struct Node<D> {
    channels: ChannelSet<Verb>,
    claims: Claims<Successor>,
    answered: Answered<Successor>,
    void: Void,
    codec: Codec<D>,
    early: Early,
    guesses: Guesses,
    members: Members,
    requests: Requests<Request>,
    /// What the answers to all requests take, and what they may.
    response_bytes: usize,
    response_bytes_max: usize,
    requests_max: usize,
    request_timeout: Duration,
    official_sessions: OfficialSessions,
    handled: Handled,
    /// Messages that wait for what their senders had read in each channel, with the time at which they
    /// wait no longer.
    held: BTreeMap<u32, VecDeque<(Timestamp, Message)>>,
    /// How every socket has connected, as far as other nodes learn it.
    handshake: Value,
    /// Whether it has said goodbye.
    is_leaving: bool,
    vacant: Vacant,
    changes: Changes,
    records: Records,
    /// With `Durability::OnChange`.
    durable: Option<Durable<D>>,
    /// Sessions that something is still going to change.
    deferred: Deferred,
    /// Claims whose records say more than the node has read.
    early_records: BTreeSet<u64>,
    /// Claims that have waited for the records of sessions which have ended.
    orphans: Vec<ConnectRequest>,
    /// Sessions of claims that are decided.
    decided: Vec<SocketKey>,
    /// Whether the application wants to know when the store has all sessions.
    is_handing_over: bool,
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
        let durable = Durable::new(&cluster, &config);
        let node = Node {
            claims: Claims::new(nonce),
            answered: Answered::new(),
            void: Void::new(),
            codec: Codec::new(),
            early: Early::default(),
            guesses: Guesses::new(config.limits.namespaces_per_connection),
            members: Members::new(&cluster),
            requests: Requests::new(),
            response_bytes: 0,
            response_bytes_max: cluster.response_bytes,
            requests_max: cluster.pending_requests,
            request_timeout: cluster.request_timeout,
            official_sessions: cluster.official_sessions,
            handled: Handled::default(),
            held: BTreeMap::new(),
            handshake: description::handshake(),
            is_leaving: false,
            vacant: Vacant::new(&cluster),
            channels: ChannelSet::new(cluster, nonce),
            changes: Changes::default(),
            records: Records::new(nonce),
            durable,
            deferred: Deferred::default(),
            early_records: BTreeSet::new(),
            orphans: Vec::new(),
            decided: Vec::new(),
            is_handing_over: false,
        };
        let mut config = Arc::unwrap_or_clone(config);
        config.logs_vacant_rooms = true;
        if let Some(recovery) = &mut config.recovery {
            recovery.lookup_timeout.get_or_insert(LOOKUP_TIMEOUT);
        }
        let mut hub = Self::new(Arc::new(config), entropy)?;
        hub.next_request = nonce;
        hub.node = Some(node.into());
        Ok(hub)
    }

    /// Handles what the engine of the cluster reports. Has no effect on a hub that is alone.
    pub fn handle_cluster(&mut self, now: Timestamp, input: ClusterInput) {
        let now = self.advance(now);
        match input {
            ClusterInput::Connected { channel, oldest, head } => {
                self.handle_connected(channel, oldest, head);
                self.catch_up(now, channel);
            }
            ClusterInput::Disconnected => {
                self.handle_disconnected();
            }
            ClusterInput::NotSent { namespace, sequence } => {
                let number = self.channel_of(&namespace);
                if let Some(channel) = self.channel_mut(number) {
                    channel.note_not_sent(sequence);
                }
            }
            ClusterInput::Rejected { sequence } => {
                let channel = self.node.as_mut().and_then(|it| it.channels.give_up(sequence));
                if let Some(channel) = channel {
                    increment(&mut self.totals.appends_lost);
                    self.catch_up(now, channel);
                }
            }
            ClusterInput::Entry { channel, position, message } => {
                self.read_entry(now, (channel, position), message.as_ref());
                self.catch_up(now, channel);
            }
            ClusterInput::Message(message) => self.handle_message(now, message),
            ClusterInput::Subscribed { namespace } => self.note_subscribed(now, &namespace),
            ClusterInput::Unsubscribed { namespace } => self.note_unsubscribed(&namespace),
            ClusterInput::ServersCounted { number, servers } => {
                self.note_counted(now, number, servers);
            }
            ClusterInput::Stored { number, outcome } => self.handle_stored(number, outcome),
            ClusterInput::Fetched { number, session } => self.handle_fetched(number, session),
        }
        self.end_released(now);
        self.report_handover();
    }

    /// Returns the name of this node. `None` if the hub is alone.
    pub fn node(&self) -> Option<&NodeId> {
        self.node.as_ref().map(|node| node.channels.node())
    }

    /// Whether the hub is one of several.
    pub(super) fn is_clustered(&self) -> bool {
        self.node.is_some()
    }

    /// How much waits for own entries of the channels, these included.
    pub(super) fn channel_waiting(&self) -> usize {
        self.node.as_ref().map_or(0, |node| node.channels.waiting())
    }

    /// Whether what is done now in a namespace has to wait for own entries of its channel.
    pub(super) fn is_behind(&self, namespace: u32) -> bool {
        self.channel_at(namespace).is_some_and(Channel::is_behind)
    }

    /// The channel of a namespace that is here. `None` if the hub is alone.
    fn channel_at(&self, namespace: u32) -> Option<&Channel<Verb>> {
        let number = self.namespaces.get(&namespace)?.channel;
        self.node.as_ref()?.channels.get(number)
    }

    /// The channel of a namespace. 0 if the hub is alone.
    pub(super) fn channel_of(&self, name: &NamespaceName) -> u32 {
        self.node.as_ref().map_or(0, |node| node.channels.of(name))
    }

    /// The log of a new namespace has everything after this position. `None` if the hub is alone.
    pub(super) fn origin(&self, channel: u32) -> Option<Offset> {
        let floor = self.node.as_ref()?.vacant.floor(channel);
        Some(floor.unwrap_or(Offset::pair(0, 0)))
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
        let (channel, name) = self.place_of(namespace).ok_or(EmitError::UnknownNamespace)?;
        let node = self.node.as_mut().ok_or(EmitError::UnknownNamespace)?;
        let appended = node.channels.append(channel, name, body, bytes);
        self.take_commands(channel);
        appended.map_err(|full| {
            increment(&mut self.totals.appends_refused);
            EmitError::ChannelFull { limit: full.limit }
        })
    }

    /// Sends something that is not stored to another node, or to all of them.
    pub(super) fn publish(&mut self, namespace: u32, to: Option<NodeId>, body: Body) {
        let Some((number, name)) = self.place_of(namespace) else { return };
        if let Some(channel) = self.channel_mut(number) {
            channel.publish(to, name, body);
            self.take_commands(number);
        }
    }

    /// The channel and the name of a namespace.
    fn place_of(&self, namespace: u32) -> Option<(u32, NamespaceName)> {
        let namespace = self.namespaces.get(&namespace)?;
        Some((namespace.channel, namespace.sessions.name().clone()))
    }

    fn channel_mut(&mut self, channel: u32) -> Option<&mut Channel<Verb>> {
        self.node.as_mut()?.channels.get_mut(channel)
    }

    fn handle_disconnected(&mut self) {
        // What was not carried out yet must not be, once the engine is back.
        self.out.retain(|output| !matches!(output, HubOutput::Cluster(_)));
        if let Some(node) = &mut self.node {
            node.channels.disconnect();
            node.members.unsubscribe_all();
        }
        self.lose_store();
        self.release_answers();
    }

    fn handle_connected(&mut self, number: u32, oldest: Offset, head: Offset) {
        let Some(channel) = self.channel_mut(number) else { return };
        if let Continuation::Anew(origin) = channel.connect(oldest, head) {
            // What the node does now is not where it belongs. So the sessions must not leave after it.
            let claims = self.take_postponed(number);
            while let Some(given_up) = self.channel_mut(number).and_then(Channel::give_up_sent) {
                self.pass(given_up);
            }
            self.begin_anew(number, origin);
            for (id, (to, claim)) in claims {
                self.answer_late(id, &to, &claim);
            }
        }
        self.subscribe_all(number);
    }

    fn read_entry(&mut self, now: Timestamp, at: (u32, Offset), message: Option<&Message>) {
        let (number, position) = at;
        // An entry in the channel of other namespaces has no place in its own.
        let message = message.filter(|it| self.channel_of(&it.namespace) == number);
        let Some(channel) = self.channel_mut(number) else { return };
        match channel.read(position, message) {
            Reading::New => {}
            Reading::First => self.meet(now, message),
            Reading::Own(sequence) => {
                let next = |hub: &mut Self| Some(hub.channel_mut(number)?.reach(sequence));
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
            Some(message) => self.apply_entry(now, position, message),
            None => increment(&mut self.totals.entries_skipped),
        }
        if let Some(channel) = self.channel_mut(number) {
            channel.note_applied();
        }
    }

    fn pass(&mut self, reached: Reached<Verb>) {
        match reached {
            Reached::Entry => {}
            Reached::Local(verb) => self.run_deferred(verb),
            Reached::Lost => increment(&mut self.totals.appends_lost),
        }
    }

    /// Does everything that has waited for a channel and need not wait any longer.
    fn catch_up(&mut self, now: Timestamp, number: u32) {
        while let Some(verb) = self.channel_mut(number).and_then(Channel::next_local) {
            self.run_deferred(verb);
        }
        let is_new = self.channel_mut(number).is_some_and(Channel::catch_up);
        self.take_commands(number);
        if is_new {
            self.take_early(now);
        }
        self.take_ready(now, number);
        self.use_early_records();
    }

    fn take_commands(&mut self, channel: u32) {
        while let Some(command) = self.channel_mut(channel).and_then(Channel::poll_output) {
            self.out.push_back(HubOutput::Cluster(command));
        }
    }
}
