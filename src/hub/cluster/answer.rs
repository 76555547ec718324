//! What this node answers to the requests of others.

use alloc::{
    collections::{BTreeSet, VecDeque},
    vec::Vec,
};
use core::time::Duration;

use bytestring::ByteString;

use super::entry::recipients;
use crate::{
    cluster::message::{
        Body, BroadcastOptions, ClusterBroadcast, Message, NodeId, OwnKind, RequestId,
        SocketDetails, Value,
    },
    hub::{
        Hub,
        event::ServerEvent,
        fetched::FetchedSocket,
        output::HubOutput,
        relay::{Relay, Requester},
        server_ack::ServerAckToken,
        sessions::Recipients,
    },
    socket::{Args, Event},
    stats::increment,
    time::Timestamp,
};

/// The requests of others that were handled last, so that one that comes twice is handled once.
#[derive(Default)]
pub(super) struct Handled {
    set: BTreeSet<(u32, NodeId, Mark)>,
    order: VecDeque<(u32, NodeId, Mark)>,
}

/// What tells a request of a node from its others.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Request(RequestId),
    /// The number of a message of a node of this crate, among those of a namespace.
    Sequence(u64, u64),
}

/// How many requests are remembered.
const HANDLED_MAX: usize = 1_024;

/// How long clients may take to acknowledge, if the node that asks does not say, and at most.
const TIMEOUT: Duration = Duration::from_secs(60);
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3_600);

impl<D: Default> Hub<D> {
    /// The connected sockets of an audience, as other nodes see them.
    pub(in crate::hub) fn describe_all(
        &mut self,
        id: u32,
        to: &Recipients<'_>,
    ) -> Vec<FetchedSocket> {
        let selected = self.with_namespace(id, |namespace, _| {
            let selected = namespace.sessions.select(to).into_iter();
            selected.filter_map(|index| namespace.key(index)).collect::<Vec<_>>()
        });
        let sockets = selected.unwrap_or_default().into_iter();
        sockets
            .filter(|socket| self.is_connected(*socket))
            .filter_map(|socket| {
                let details = self.describe(socket)?;
                Some(FetchedSocket { key: Some(socket), details })
            })
            .collect()
    }

    /// Answers a request for the sockets of this node.
    pub(super) fn answer_fetch(
        &mut self,
        id: u32,
        to: &NodeId,
        options: &BroadcastOptions,
        request: &RequestId,
    ) {
        let sockets = match recipients(options) {
            Some(recipients) => self.describe_all(id, &recipients),
            None => Vec::new(),
        };
        let sockets = sockets.into_iter().map(|socket| socket.details).collect();
        let body = Body::FetchSocketsResponse { request: request.clone(), sockets };
        self.publish(id, Some(to.clone()), body);
    }

    /// Sends an event to the clients of this node, for another node that collects their
    /// acknowledgements.
    pub(super) fn ask_for(
        &mut self,
        now: Timestamp,
        id: u32,
        message: &Message,
        broadcast: &ClusterBroadcast,
        request: &RequestId,
    ) {
        if !self.is_first(id, message, Some(request)) {
            return;
        }
        let event = broadcast.packet().ok().map(|packet| packet.event);
        let event = event.filter(|event| self.config.check_event(event, false).is_ok());
        let Some(event) = event else {
            increment(&mut self.totals.entries_skipped);
            return;
        };
        let options = &broadcast.options;
        let timeout = options.flags.timeout.map_or(TIMEOUT, Duration::from_millis);
        let to = Requester {
            node: message.sender.clone(),
            request: request.clone(),
            is_ours: message.stamp.is_some(),
        };
        let asked = match recipients(options) {
            Some(recipients) => self.with_namespace(id, |namespace, out| {
                let ack = namespace.expect_relayed(now, timeout.min(TIMEOUT_MAX), to).ok()?;
                let is_volatile = options.flags.volatile.is_some();
                Some(namespace.ask_recipients(now, out, recipients, &event, ack, is_volatile))
            }),
            None => Some(Some(0)),
        };
        match asked.flatten() {
            Some(asked) => {
                let (request, client_count) = (request.clone(), asked as u64);
                let body = Body::BroadcastClientCount { request, client_count };
                self.publish(id, Some(message.sender.clone()), body);
            }
            // Without an answer, the other node learns that some of its clients were not asked.
            None => increment(&mut self.totals.acks_refused),
        }
    }

    /// Tells other nodes what has become of the sockets that were asked on their behalf.
    pub(in crate::hub) fn relay(&mut self, id: u32) {
        let namespace = self.namespaces.get_mut(&id);
        let relays = namespace.map(|namespace| namespace.acks.take_relays());
        for Relay { to, answer } in relays.unwrap_or_default() {
            let Requester { node, request, is_ours } = to;
            let body = match answer {
                Some(args) => Body::BroadcastAck { request, answer: Value::first_of(&args) },
                None if is_ours => {
                    let data = Value::new(request.as_str()).unwrap_or(Value::null());
                    Body::Own { kind: OwnKind::ClientGone, data }
                }
                None => continue,
            };
            self.publish(id, Some(node.clone()), body);
        }
    }

    /// Reports an event of another server to the application.
    pub(super) fn take_server_side(
        &mut self,
        id: u32,
        message: &Message,
        packet: &Args,
        request: Option<&RequestId>,
    ) {
        if !self.is_first(id, message, request) {
            return;
        }
        let name = packet.get::<ByteString>(0).ok();
        let event = name.and_then(|name| Event::with_args(&name, &packet.skip(1)).ok());
        let Some((event, (_, namespace))) = event.zip(self.place_of(id)) else {
            increment(&mut self.totals.entries_skipped);
            return;
        };
        let from = message.sender.clone();
        let ack = request.map(|request| ServerAckToken {
            namespace: id,
            to: from.clone(),
            request: request.clone(),
        });
        let event = ServerEvent::ServerSideEvent { namespace, from, event, ack };
        self.out.push_back(HubOutput::Event(event));
    }

    /// Answers an event of another server.
    pub(in crate::hub) fn answer_server(&mut self, token: ServerAckToken, args: &Args) {
        let ServerAckToken { namespace, to, request } = token;
        let answer = Value::first_of(args);
        self.publish(namespace, Some(to), Body::ServerSideEmitResponse { request, answer });
    }

    /// Whether a request has not come before.
    fn is_first(&mut self, id: u32, message: &Message, request: Option<&RequestId>) -> bool {
        let of_stamp = || message.stamp.map(|it| Mark::Sequence(it.nonce, it.sequence));
        let mark = request.cloned().map(Mark::Request).or_else(of_stamp);
        let Some((node, mark)) = self.node.as_mut().zip(mark) else { return true };
        let is_first = node.handled.note((id, message.sender.clone(), mark));
        if !is_first {
            increment(&mut self.totals.entries_skipped);
        }
        is_first
    }

    fn describe(&self, socket: crate::id::SocketKey) -> Option<SocketDetails> {
        let data = self.data(socket)?;
        let (handshake, data) = match &self.node {
            Some(node) => (node.handshake.clone(), (node.codec.describe)(data)),
            None => (Value::null(), Value::null()),
        };
        let id = ByteString::from(self.socket_id(socket)?.as_str());
        let rooms = self.rooms(socket).map(ByteString::from).collect();
        Some(SocketDetails::new(id, handshake, rooms, data))
    }
}

impl Handled {
    /// Notes a request. Returns false if it was there before.
    fn note(&mut self, request: (u32, NodeId, Mark)) -> bool {
        if !self.set.insert(request.clone()) {
            return false;
        }
        self.order.push_back(request);
        if self.order.len() > HANDLED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        true
    }
}
