//! What this node asks the others, and what they answer.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use bytestring::ByteString;

use super::Node;
use crate::{
    cluster::{
        Missing,
        message::{Body, Message, NodeId, OwnKind, RequestId, SocketDetails, Value},
    },
    hub::{Hub, event::ServerEvent, fetched::FetchedSocket, output::HubOutput},
    socket::NamespaceName,
    stats::increment,
    time::Timestamp,
};

/// A request of this node.
pub(super) struct Request {
    name: NamespaceName,
    /// Until it is published.
    body: Option<Body>,
    collected: Collected,
    /// What the answers take.
    bytes: usize,
}

/// What the others have answered so far.
pub(in crate::hub) enum Collected {
    Sockets(Vec<FetchedSocket>),
    Responses(Vec<(NodeId, Value)>),
    /// Nothing but their number is of interest.
    Count,
    /// The answers are with the acknowledgement of the broadcast.
    Broadcast {
        ack: u64,
        nodes: BTreeMap<NodeId, Asked>,
    },
}

/// What is known of a node that sends a broadcast to its clients.
#[derive(Default)]
pub(in crate::hub) struct Asked {
    /// How many clients it has asked.
    clients: Option<u64>,
    answered: u64,
    /// Clients that have gone.
    gone: u64,
    /// The numbers of its messages, to recognise those that come twice. Only of nodes of this crate.
    seen: BTreeSet<u64>,
}

impl<D: Default> Hub<D> {
    /// Makes a request to all other nodes. A body is published as soon as this node can hear the
    /// answers.
    pub(in crate::hub) fn begin_request(
        &mut self,
        (id, request): (u32, &RequestId),
        deadline: Timestamp,
        body: Option<Body>,
        collected: Collected,
    ) {
        let Some((number, name)) = self.place_of(id) else { return };
        let Some(node) = &mut self.node else { return };
        let pending = Request { name: name.clone(), body, collected, bytes: 0 };
        let is_count = matches!(pending.collected, Collected::Count);
        node.requests.add(id, request, deadline, pending);
        if is_count {
            node.requests.only_count(request);
        }
        if node.members.is_subscribed(id) {
            node.publish_request(id, &name, request);
        }
        self.take_commands(number);
    }

    /// The name of a new request. It only has to differ from the others of this node.
    pub(in crate::hub) fn name_request(&mut self) -> RequestId {
        let number = self.next_request;
        self.next_request = number.wrapping_add(1);
        RequestId::numbered(number)
    }

    /// The limit of pending requests, if it is reached.
    pub(in crate::hub) fn full_of_requests(&self) -> Option<usize> {
        let node = self.node.as_ref()?;
        (node.requests.len() >= node.requests_max).then_some(node.requests_max)
    }

    pub(in crate::hub) fn request_timeout(&self) -> Option<core::time::Duration> {
        Some(self.node.as_ref()?.request_timeout)
    }

    /// The engine has counted the nodes.
    pub(super) fn note_counted(&mut self, now: Timestamp, number: u64, servers: Option<u64>) {
        let node = self.node.as_mut();
        let counted = node.and_then(|it| it.requests.note_counted(now, number, servers));
        if let Some(request) = counted {
            self.settle_if_complete(now, &request);
        }
    }

    /// Settles the requests whose time is over. The latest grace period ends at `grace`. It concerns the
    /// requests that were there when it began: later ones have all of their time.
    pub(in crate::hub) fn end_overdue_requests(&mut self, now: Timestamp, grace: Timestamp) {
        if let Some(node) = &mut self.node {
            node.requests.postpone(grace);
        }
        let next = |hub: &mut Self| hub.node.as_mut()?.requests.next_due(now);
        while let Some((request, is_over)) = next(self) {
            if is_over {
                self.settle_request(now, &request);
                continue;
            }
            // Everyone who is there is known by now.
            if let Some(node) = &mut self.node {
                node.await_members(&request);
            }
            self.settle_if_complete(now, &request);
        }
    }

    /// Settles the requests of a namespace that is gone.
    pub(super) fn end_requests(&mut self, now: Timestamp, id: u32) {
        let requests = self.node.as_ref().map(|node| node.requests.of_namespace(id));
        for request in requests.unwrap_or_default() {
            self.settle_request(now, &request);
        }
    }

    /// Takes an answer of another node. One that nobody waits for is counted.
    pub(super) fn take_answer(&mut self, now: Timestamp, id: u32, message: &Message, body: &Body) {
        let sender = &message.sender;
        let taken = match body {
            Body::FetchSocketsResponse { request, sockets } => {
                Some((request, self.take_sockets(id, request, sender, sockets)))
            }
            Body::ServerSideEmitResponse { request, answer } => {
                Some((request, self.take_response(id, request, sender, answer)))
            }
            Body::BroadcastClientCount { request, client_count } => Some((
                request,
                self.take_progress(id, request, sender, |asked| {
                    let is_first = asked.clients.is_none();
                    asked.clients.get_or_insert(*client_count);
                    is_first
                }),
            )),
            Body::BroadcastAck { request, answer } => {
                Some((request, self.take_ack(now, id, message, request, answer)))
            }
            Body::Own { kind: OwnKind::ClientGone, data } => {
                let request = data.parse::<ByteString>().ok().and_then(RequestId::new);
                return self.take_client_gone(now, id, message, request.as_ref());
            }
            _ => None,
        };
        let Some((request, is_taken)) = taken else { return };
        if is_taken {
            self.settle_if_complete(now, request);
        } else {
            increment(&mut self.totals.responses_unmatched);
        }
    }

    /// Settles a request if nobody is waited for any longer.
    pub(super) fn settle_if_complete(&mut self, now: Timestamp, request: &RequestId) {
        let node = self.node.as_ref();
        if node.is_some_and(|node| node.requests.is_complete(now, request)) {
            self.settle_request(now, request);
        }
    }

    fn take_sockets(
        &mut self,
        id: u32,
        request: &RequestId,
        from: &NodeId,
        details: &[SocketDetails],
    ) -> bool {
        let bytes = details.iter().map(size_of_details).fold(0, usize::saturating_add);
        self.collect(id, request, from, bytes, |collected| {
            let Collected::Sockets(sockets) = collected else { return false };
            let details = details.iter().cloned();
            sockets.extend(details.map(|details| FetchedSocket { key: None, details }));
            true
        })
    }

    fn take_response(
        &mut self,
        id: u32,
        request: &RequestId,
        from: &NodeId,
        answer: &Value,
    ) -> bool {
        self.collect(id, request, from, size_of_value(answer), |collected| {
            let Collected::Responses(responses) = collected else { return false };
            responses.push((from.clone(), answer.clone()));
            true
        })
    }

    /// Takes the one answer of a node. Returns whether it was waited for.
    fn collect(
        &mut self,
        id: u32,
        request: &RequestId,
        from: &NodeId,
        bytes: usize,
        push: impl FnOnce(&mut Collected) -> bool,
    ) -> bool {
        let Some(node) = &mut self.node else { return false };
        if node.requests.has_answered(request, from) {
            return false;
        }
        let has_room = node.response_bytes.saturating_add(bytes) <= node.response_bytes_max;
        let Some(pending) = node.requests.collected(id, request) else { return false };
        if !has_room {
            increment(&mut self.totals.responses_dropped);
            // It is missing, and nobody waits for it any longer.
            node.requests.note_dropped(request, from);
            return true;
        }
        if !push(&mut pending.collected) {
            return false;
        }
        pending.bytes = pending.bytes.saturating_add(bytes);
        node.response_bytes = node.response_bytes.saturating_add(bytes);
        node.requests.note_answered(request, from);
        true
    }

    /// Changes what is known of a node that has sent a broadcast to its clients. Returns false if
    /// there is nothing to change.
    fn take_progress(
        &mut self,
        id: u32,
        request: &RequestId,
        from: &NodeId,
        change: impl FnOnce(&mut Asked) -> bool,
    ) -> bool {
        let Some(node) = &mut self.node else { return false };
        let Some(pending) = node.requests.collected(id, request) else { return false };
        let Collected::Broadcast { nodes, .. } = &mut pending.collected else { return false };
        let asked = nodes.entry(from.clone()).or_default();
        if !change(asked) {
            return false;
        }
        let done = asked.answered.saturating_add(asked.gone);
        if asked.clients.is_some_and(|clients| done >= clients) {
            node.requests.note_answered(request, from);
        } else {
            // It may be one that nobody knew.
            node.requests.await_members(request, core::iter::once(from.clone()));
        }
        true
    }

    fn take_ack(
        &mut self,
        now: Timestamp,
        id: u32,
        message: &Message,
        request: &RequestId,
        answer: &Value,
    ) -> bool {
        let Some(ack) = self.ack_of(id, request) else { return false };
        let is_new = self.take_progress(id, request, &message.sender, |asked| {
            let is_new = asked.is_new(message);
            asked.answered = asked.answered.saturating_add(u64::from(is_new));
            is_new
        });
        if !is_new {
            return false;
        }
        let (from, args) = (message.sender.clone(), answer.as_args());
        let dropped = self.with_namespace(id, |namespace, out| {
            namespace.answer_elsewhere(now, out, ack, from, args)
        });
        let total = &mut self.totals.answers_dropped;
        *total = total.wrapping_add(dropped.flatten().unwrap_or_default());
        true
    }

    fn take_client_gone(
        &mut self,
        now: Timestamp,
        id: u32,
        message: &Message,
        request: Option<&RequestId>,
    ) {
        let Some(request) = request else { return };
        let is_new = self.take_progress(id, request, &message.sender, |asked| {
            let is_new = asked.is_new(message);
            asked.gone = asked.gone.saturating_add(u64::from(is_new));
            is_new
        });
        if is_new {
            self.settle_if_complete(now, request);
        }
    }

    fn ack_of(&mut self, id: u32, request: &RequestId) -> Option<u64> {
        match self.node.as_mut()?.requests.collected(id, request)?.collected {
            Collected::Broadcast { ack, .. } => Some(ack),
            _ => None,
        }
    }

    fn settle_request(&mut self, now: Timestamp, request: &RequestId) {
        let Some(node) = &mut self.node else { return };
        node.await_members_if_unpublished(request);
        let Some(settled) = node.requests.settle(now, request) else { return };
        let (missing, servers) = (settled.missing, settled.others.saturating_add(1));
        let Request { name: namespace, collected, bytes, .. } = settled.collected;
        node.response_bytes = node.response_bytes.saturating_sub(bytes);
        let request = request.clone();
        let event = match collected {
            Collected::Sockets(sockets) => {
                ServerEvent::SocketsFetched { namespace, request, sockets, missing }
            }
            Collected::Responses(responses) => {
                ServerEvent::ServerSideAcked { namespace, request, responses, missing }
            }
            Collected::Count => ServerEvent::ServersCounted { namespace, request, servers },
            Collected::Broadcast { ack, nodes } => {
                let missing = Missing { nodes: untold(missing.nodes, &nodes), ..missing };
                let sockets = nodes.values().map(Asked::missing).fold(0, usize::saturating_add);
                self.with_namespace(settled.namespace, |namespace, out| {
                    namespace.note_elsewhere(now, out, ack, (sockets, missing), settled.timed_out);
                });
                return;
            }
        };
        self.out.push_back(HubOutput::Event(event));
    }
}

impl<D> Node<D> {
    /// Publishes a request, and asks the engine before that how many nodes there are.
    pub(super) fn publish_request(&mut self, id: u32, name: &NamespaceName, request: &RequestId) {
        let Some(introduced_at) = self.members.introduced_at(id) else { return };
        let members = self.members.nodes(id).cloned();
        let question = self.requests.publish(request, members, introduced_at);
        let pending = self.requests.collected(id, request);
        let body = pending.and_then(|pending| pending.body.take());
        let Some(channel) = self.channels.for_namespace(name) else { return };
        channel.count_servers(name.clone(), question);
        if let Some(body) = body {
            channel.publish(None, name.clone(), body);
        }
    }

    /// Waits for the members of now as well.
    fn await_members(&mut self, request: &RequestId) {
        if let Some(id) = self.requests.namespace(request) {
            self.requests.await_members(request, self.members.nodes(id).cloned());
        }
    }

    fn await_members_if_unpublished(&mut self, request: &RequestId) {
        if self.requests.is_unpublished(request) {
            self.await_members(request);
        }
    }
}

impl Asked {
    /// Whether a message has not come before, as far as that can be known, and has a client that it
    /// can be about.
    fn is_new(&mut self, message: &Message) -> bool {
        let is_first = message.stamp.is_none_or(|stamp| self.seen.insert(stamp.sequence));
        let done = self.answered.saturating_add(self.gone);
        is_first && self.clients.is_none_or(|clients| done < clients)
    }

    /// How many of its clients have not answered.
    fn missing(&self) -> usize {
        let missing = self.clients.unwrap_or_default().saturating_sub(self.answered);
        usize::try_from(missing).unwrap_or(usize::MAX)
    }
}

/// The nodes that have not told how many clients they have asked.
fn untold(mut missing: Vec<NodeId>, nodes: &BTreeMap<NodeId, Asked>) -> Vec<NodeId> {
    missing.retain(|node| nodes.get(node).is_none_or(|asked| asked.clients.is_none()));
    missing
}

fn size_of_value(value: &Value) -> usize {
    let attachments = value.attachments().iter().map(bytes::Bytes::len);
    let bytes = attachments.fold(value.json().len(), usize::saturating_add);
    bytes.saturating_add(size_of::<(NodeId, Value)>())
}

fn size_of_details(socket: &SocketDetails) -> usize {
    let rooms = socket.rooms.iter().map(|room| room.len().saturating_add(size_of_val(room)));
    let rooms = rooms.fold(0, usize::saturating_add);
    let values = size_of_value(&socket.handshake).saturating_add(size_of_value(&socket.data));
    rooms.saturating_add(values).saturating_add(size_of::<FetchedSocket>())
}
