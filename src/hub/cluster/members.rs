//! The other nodes: they come, say that they are still there, and go.

use core::time::Duration;

use alloc::vec::Vec;

use crate::{
    cluster::{
        Noted,
        message::{Body, Message, NodeId, OwnKind},
    },
    hub::Hub,
    socket::NamespaceName,
    stats::increment,
    time::Timestamp,
};

/// How long a message waits at most for what its sender had read.
const HOLD: Duration = Duration::from_secs(1);

/// More messages than this do not wait. Then the first one is handled at once.
const HELD_MAX: usize = 1_000;

impl<D: Default> Hub<D> {
    /// Returns the other nodes that have a namespace, as far as they are known: those that send
    /// heartbeats. Official nodes of Redis Streams send none, so they are not among them; see
    /// [`count_servers`](crate::hub::At::count_servers).
    ///
    /// ```
    /// use socketio_proto::server::Server;
    ///
    /// fn is_alone(server: &Server) -> bool {
    ///     server.nodes("/").next().is_none()
    /// }
    /// ```
    pub fn nodes(&self, namespace: &str) -> impl Iterator<Item = &NodeId> {
        let id = self.find_namespace(namespace);
        let node = self.node.as_ref().zip(id);
        node.into_iter().flat_map(|(node, id)| node.members.nodes(id))
    }

    /// Handles a message of another node that is not in the channel.
    pub(super) fn handle_message(&mut self, now: Timestamp, message: Message) {
        let Some(id) = self.find_namespace(message.namespace.as_str()) else { return };
        if self.node() == Some(&message.sender) {
            return;
        }
        self.note_sender(now, id, &message);
        let number = self.channel_of(&message.namespace);
        if !is_request(&message.body) || self.has_read(number, &message) {
            return self.take_message(now, id, &message);
        }
        let Some(node) = &mut self.node else { return };
        let held = node.held.entry(number).or_default();
        held.push_back((now.saturating_add(HOLD), message));
        if held.len() > HELD_MAX {
            self.take_held(number);
        }
    }

    /// Handles the messages that need not wait for a channel any longer.
    pub(super) fn take_ready(&mut self, now: Timestamp, number: u32) {
        while let Some((until, message)) = self.first_held(number) {
            if *until > now && !self.has_read(number, message) {
                return;
            }
            self.take_held(number);
        }
    }

    /// A node receives what others publish in a namespace. It introduces itself, and makes the
    /// requests that have waited for that.
    pub(super) fn note_subscribed(&mut self, now: Timestamp, name: &NamespaceName) {
        let Some(id) = self.find_namespace(name.as_str()) else { return };
        let Some(node) = self.node.as_mut().filter(|node| !node.is_leaving) else { return };
        node.members.subscribe(now, id);
        self.publish(id, None, Body::InitialHeartbeat);
        let Some(node) = &mut self.node else { return };
        for request in node.requests.of_namespace(id) {
            if node.requests.is_unpublished(&request) {
                node.publish_request(id, name, &request);
            }
        }
        self.take_commands(self.channel_of(name));
    }

    /// A node may miss what others publish in a namespace.
    pub(super) fn note_unsubscribed(&mut self, name: &NamespaceName) {
        let id = self.find_namespace(name.as_str());
        if let Some((node, id)) = self.node.as_mut().zip(id) {
            node.members.unsubscribe(id);
        }
    }

    /// Says goodbye to the other nodes. They do not wait for this one any longer.
    pub(crate) fn leave_cluster(&mut self) {
        let Some(node) = self.node.as_mut().filter(|node| !node.is_leaving) else { return };
        node.is_leaving = true;
        node.members.unsubscribe_all();
        let namespaces = self.namespaces.values().filter(|it| !it.is_vacant());
        let namespaces: Vec<u32> = namespaces.map(|it| it.id).collect();
        for id in namespaces {
            self.publish(id, None, Body::AdapterClose);
        }
    }

    /// Tells the others in time that this node is still there.
    pub(in crate::hub) fn send_heartbeats(&mut self, now: Timestamp) {
        let next = |hub: &mut Self| hub.node.as_mut()?.members.next_heartbeat(now);
        while let Some(id) = next(self) {
            self.publish(id, None, Body::Heartbeat);
        }
        let channels = self.node.iter().flat_map(|node| node.held.keys().copied());
        let channels: Vec<u32> = channels.collect();
        for number in channels {
            self.take_ready(now, number);
        }
    }

    /// Gives up the members that have been silent for too long.
    pub(in crate::hub) fn end_overdue_members(&mut self, now: Timestamp) {
        let next = |hub: &mut Self| hub.node.as_mut()?.members.next_overdue(now);
        while let Some((id, sender)) = next(self) {
            self.note_gone(now, id, &sender);
        }
    }

    /// When the next timer is due that needs no judgement about others.
    pub(super) fn heartbeat_at(&self) -> Timestamp {
        let Some(node) = &self.node else { return Timestamp::NEVER };
        let held = node.held.values().filter_map(|held| Some(held.front()?.0)).min();
        node.members.heartbeat_at().min(held.unwrap_or(Timestamp::NEVER))
    }

    /// When the next other node, or the next request to them, is due.
    pub(in crate::hub) fn cluster_due(&self) -> Timestamp {
        let node = self.node.as_ref();
        node.map_or(Timestamp::NEVER, |node| node.members.checks_at().min(node.requests.deadline()))
    }

    /// An entry of the channel shows that its sender is there. Nodes of this crate send heartbeats
    /// in any case, and of those only the first entry matters: see [`meet`](Self::meet).
    pub(super) fn note_entry(&mut self, now: Timestamp, id: u32, message: &Message) {
        if message.stamp.is_some() {
            return;
        }
        let Some(node) = &mut self.node else { return };
        let is_new = node.channels.is_ready(&message.namespace);
        match message.body {
            // Earlier versions of the official adapter send them through the stream.
            Body::InitialHeartbeat | Body::Heartbeat if is_new => {
                self.note_sender(now, id, message);
                self.take_message(now, id, message);
            }
            // An emitter has no other way to tell something to the servers.
            Body::AdapterClose | Body::ServerSideEmit { .. } if is_new => {
                self.take_message(now, id, message);
            }
            _ => node.members.refresh(now, id, &message.sender),
        }
    }

    /// The first entry of a node of this crate. Its heartbeats may come later, but it may have a session
    /// that somebody claims before that.
    pub(super) fn meet(&mut self, now: Timestamp, message: Option<&Message>) {
        let message = message.filter(|it| !matches!(it.body, Body::AdapterClose));
        let Some(message) = message else { return };
        if let Some(id) = self.find_namespace(message.namespace.as_str()) {
            self.note_member(now, id, message);
        }
    }

    fn note_sender(&mut self, now: Timestamp, id: u32, message: &Message) {
        let Some(node) = &mut self.node else { return };
        // Who sends heartbeats can be waited for. Of others, nobody would notice that they have gone.
        if matches!(message.body, Body::InitialHeartbeat | Body::Heartbeat) {
            self.note_member(now, id, message);
        } else {
            node.members.refresh(now, id, &message.sender);
        }
    }

    fn note_member(&mut self, now: Timestamp, id: u32, message: &Message) {
        let (sender, is_ours) = (&message.sender, message.stamp.is_some());
        let Some(node) = self.node.as_mut().filter(|_| *sender != NodeId::EMITTER) else { return };
        if node.members.note(now, id, sender, is_ours) == Noted::Refused {
            increment(&mut self.totals.members_refused);
        }
    }

    /// Whether this node has read what the sender of a message had read.
    fn has_read(&self, number: u32, message: &Message) -> bool {
        let channel = self.node.as_ref().and_then(|node| node.channels.get(number));
        let is_early = |after| channel.is_some_and(|channel| !channel.has_read(after));
        !message.after.is_some_and(is_early)
    }

    fn first_held(&self, number: u32) -> Option<&(Timestamp, Message)> {
        self.node.as_ref()?.held.get(&number)?.front()
    }

    fn take_held(&mut self, number: u32) {
        let Some(node) = &mut self.node else { return };
        let Some(held) = node.held.get_mut(&number) else { return };
        let first = held.pop_front();
        if held.is_empty() {
            node.held.remove(&number);
        }
        let Some((_, message)) = first else { return };
        if let Some(id) = self.find_namespace(message.namespace.as_str()) {
            self.take_message(self.now, id, &message);
        }
    }

    fn take_message(&mut self, now: Timestamp, id: u32, message: &Message) {
        match &message.body {
            Body::InitialHeartbeat => {
                let is_leaving = self.node.as_ref().is_some_and(|node| node.is_leaving);
                if !is_leaving {
                    self.publish(id, None, Body::Heartbeat);
                }
            }
            Body::AdapterClose => {
                self.note_gone(now, id, &message.sender);
                if let Some(node) = &mut self.node
                    && !node.members.has(&message.sender)
                {
                    node.claims.note_goodbye(&message.sender);
                }
            }
            Body::Broadcast(broadcast) => match &broadcast.request {
                Some(request) => self.ask_for(now, id, message, broadcast, request),
                None => self.deliver_volatile(id, broadcast),
            },
            Body::FetchSockets { options, request } => {
                self.answer_fetch(id, &message.sender, options, request);
            }
            Body::ServerSideEmit { packet, request } => {
                self.take_server_side(id, message, packet, request.as_ref());
            }
            Body::Own { kind: OwnKind::RecordAbsent, data } => self.note_absent(message, data),
            body => self.take_answer(now, id, message, body),
        }
    }

    fn note_gone(&mut self, now: Timestamp, id: u32, sender: &NodeId) {
        let Some((number, name)) = self.place_of(id) else { return };
        let Some(node) = &mut self.node else { return };
        node.members.leave(id, sender);
        let concerned = node.requests.note_gone(id, sender);
        let channel = node.channels.get_mut(number);
        let questions = concerned.iter().filter_map(|(_, question)| *question);
        if let Some(channel) = channel {
            questions.for_each(|question| channel.count_servers(name.clone(), question));
        }
        for (request, _) in concerned {
            self.settle_if_complete(now, &request);
        }
        self.take_commands(number);
    }
}

/// Whether it has to be answered as of a position of the channel.
const fn is_request(body: &Body) -> bool {
    match body {
        Body::FetchSockets { .. } | Body::ServerSideEmit { .. } => true,
        Body::Broadcast(broadcast) => broadcast.request.is_some(),
        _ => false,
    }
}
