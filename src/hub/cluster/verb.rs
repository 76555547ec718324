//! What takes effect on this node only after everything that the node has emitted before.

use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};

use bytestring::ByteString;

use super::Collected;
use crate::{
    cluster::message::{Body, BroadcastFlags, BroadcastOptions, ClusterBroadcast, RequestId},
    hub::{
        Audience, Hub,
        message::{AckToken, Attached},
        sessions::AckRequest,
    },
    id::{ConnectionId, SocketKey},
    socket::{Args, Event},
    time::Timestamp,
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
    /// Asks all nodes for their sockets.
    FetchSockets {
        namespace: u32,
        audience: Audience,
        request: RequestId,
        deadline: Timestamp,
    },
    /// Emits an event to the other nodes themselves.
    ServerSideEmit {
        namespace: u32,
        event: Event,
        /// If an acknowledgement is asked for.
        request: Option<(RequestId, Timestamp)>,
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
    /// Closes a connection whose sessions have ended in the channel.
    Close(Box<Closing>),
    Acknowledge {
        token: AckToken,
        args: Args,
        /// The repetition of the event that waited when it was answered.
        later: Option<AckRequest>,
    },
}

/// A connection that is closed after own entries of the channels.
pub(in crate::hub) struct Closing {
    pub(super) link: ConnectionId,
    /// The session that was disconnected.
    pub(super) socket: Attached,
    /// A namespace of each channel with such an entry. The last one is waited for next.
    pub(super) namespaces: Vec<u32>,
    /// Whether there were other sessions when it was to be closed before.
    pub(super) is_repeated: bool,
}

impl Closing {
    /// The namespace for whose channel it waits.
    pub(super) fn namespace(&self) -> u32 {
        self.namespaces.last().copied().unwrap_or(self.socket.key.namespace)
    }
}

impl Verb {
    /// The namespace that it concerns.
    pub(super) fn namespace(&self) -> u32 {
        match self {
            Self::Emit { socket, .. }
            | Self::Ask { socket, .. }
            | Self::Join { socket, .. }
            | Self::Leave { socket, .. }
            | Self::Disconnect { socket, .. } => socket.namespace,
            Self::Broadcast { namespace, .. }
            | Self::AskAll { namespace, .. }
            | Self::FetchSockets { namespace, .. }
            | Self::ServerSideEmit { namespace, .. } => *namespace,
            Self::Close(closing) => closing.namespace(),
            Self::Acknowledge { token, .. } => token.socket.key.namespace,
        }
    }

    /// The socket whose session it changes. The session neither goes to the store nor to another node
    /// before that.
    pub(super) const fn changes(&self) -> Option<SocketKey> {
        match self {
            Self::Join { socket, .. }
            | Self::Leave { socket, .. }
            | Self::Disconnect { socket, .. } => Some(*socket),
            _ => None,
        }
    }

    /// About how much memory it takes.
    pub(super) fn size(&self) -> usize {
        let variable = match self {
            Self::Emit { event, .. }
            | Self::Ask { event, .. }
            | Self::Broadcast { event, .. }
            | Self::AskAll { event, .. }
            | Self::ServerSideEmit { event, .. } => event.wire_len(),
            Self::FetchSockets { audience, .. } => {
                let names = audience.rooms().chain(audience.excepted());
                names.map(str::len).fold(0, usize::saturating_add)
            }
            Self::Join { room, .. } | Self::Leave { room, .. } => room.len(),
            Self::Disconnect { .. } => 0,
            Self::Close(_) => size_of::<Closing>(),
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
                self.ask_all(namespace, &audience, &event, ack);
            }
            Verb::FetchSockets { namespace, audience, request, deadline } => {
                self.fetch_sockets(namespace, &audience, &request, deadline);
            }
            Verb::ServerSideEmit { namespace, event, request } => {
                self.server_side_emit(namespace, &event, request);
            }
            Verb::Join { socket, room } => {
                // Meanwhile a limit may have been reached. It is counted.
                self.join(socket, &room, false).ok();
                self.note_changed(socket);
            }
            Verb::Leave { socket, room } => {
                self.leave(socket, &room);
                self.note_changed(socket);
            }
            Verb::Disconnect { socket, close } => {
                self.disconnect(now, socket, close);
            }
            Verb::Close(closing) => self.close_behind(closing),
            Verb::Acknowledge { token, args, later } => {
                let socket = token.socket.key;
                let is_remembered = token.is_counted || token.offset.is_some();
                self.with_namespace(token.socket.key.namespace, |namespace, out| {
                    namespace.send_answer(now, out, (&token, &args), later);
                });
                if is_remembered {
                    self.note_changed(socket);
                }
            }
        }
    }

    /// Puts what changes a parked session into the channel, if a record of it may be in the store.
    /// Otherwise, or if there is no room, gives it back.
    pub(in crate::hub) fn append_for_parked(&mut self, verb: Verb) -> Option<Verb> {
        let socket = verb.changes().filter(|socket| self.is_in_store(*socket));
        let named = socket.and_then(|socket| Some((socket, self.socket_id(socket)?)));
        let Some((socket, id)) = named else { return Some(verb) };
        let options = BroadcastOptions::all().to(ByteString::from(id.as_str()));
        let body = match &verb {
            Verb::Join { room, .. } => {
                Body::SocketsJoin { options, rooms: [room.as_str().into()].into() }
            }
            Verb::Leave { room, .. } => {
                Body::SocketsLeave { options, rooms: [room.as_str().into()].into() }
            }
            Verb::Disconnect { close, .. } => Body::DisconnectSockets { options, close: *close },
            _ => return Some(verb),
        };
        if self.append(socket.namespace, body, verb.size()).is_err() {
            return Some(verb);
        }
        if let Verb::Disconnect { close: true, .. } = verb
            && let Some((link, socket)) = self.attached(socket)
        {
            // What is not closed later is closed when the entry is read.
            self.closes_later(link, socket);
        }
        None
    }

    /// The connection of a session, and how the session is named there.
    fn attached(&self, socket: SocketKey) -> Option<(ConnectionId, Attached)> {
        let member = self.namespaces.get(&socket.namespace)?.member(socket)?;
        Some((member.connection()?, Attached { key: socket, attachment: member.attachment }))
    }

    /// Sends a volatile event to the other nodes.
    fn publish_volatile(&mut self, namespace: u32, audience: &Audience, event: &Event) {
        if audience.is_local() || !audience.is_volatile() {
            return;
        }
        if let Some(options) = self.options(namespace, audience) {
            let flags = BroadcastFlags { volatile: Some(true), ..BroadcastFlags::default() };
            let broadcast = ClusterBroadcast::new(options.flags(flags), event.clone());
            self.publish(namespace, None, Body::Broadcast(broadcast));
        }
    }

    /// Sends an event to all nodes, and collects the acknowledgements.
    fn ask_all(&mut self, id: u32, audience: &Audience, event: &Event, ack: u64) {
        let now = self.now;
        let is_elsewhere = !audience.is_local();
        let deadline = self.with_namespace(id, |namespace, out| {
            let deadline = is_elsewhere.then(|| namespace.acks.expect_elsewhere(ack)).flatten();
            namespace.ask_all(now, out, audience, event, ack);
            deadline.filter(|_| namespace.acks.is_pending(ack))
        });
        let options = self.options(id, audience);
        let (Some(deadline), Some(options)) = (deadline.flatten(), options) else { return };
        let timeout = deadline.saturating_since(now).as_millis();
        let flags = BroadcastFlags {
            timeout: Some(u64::try_from(timeout).unwrap_or(u64::MAX)),
            volatile: audience.is_volatile().then_some(true),
            expect_single_response: audience.expects_single_response().then_some(true),
            ..BroadcastFlags::default()
        };
        let request = self.name_request();
        let broadcast = ClusterBroadcast::new(options.flags(flags), event.clone());
        let body = Body::Broadcast(broadcast.with_request(request.clone()));
        let collected = Collected::Broadcast { ack, nodes: BTreeMap::new() };
        self.begin_request((id, &request), deadline, Some(body), collected);
    }

    /// Asks all nodes for their sockets. Those of this node are known now.
    fn fetch_sockets(
        &mut self,
        id: u32,
        audience: &Audience,
        request: &RequestId,
        deadline: Timestamp,
    ) {
        let Some(options) = self.options(id, audience) else { return };
        let Some(namespace) = self.namespaces.get(&id) else { return };
        let to = namespace.recipients(audience);
        let sockets = self.describe_all(id, &to);
        let body = Body::FetchSockets { options, request: request.clone() };
        let collected = Collected::Sockets(sockets);
        self.begin_request((id, request), deadline, Some(body), collected);
    }

    fn server_side_emit(
        &mut self,
        id: u32,
        event: &Event,
        request: Option<(RequestId, Timestamp)>,
    ) {
        let packet = event.as_list();
        let Some((request, deadline)) = request else {
            return self.publish(id, None, Body::ServerSideEmit { packet, request: None });
        };
        let body = Body::ServerSideEmit { packet, request: Some(request.clone()) };
        self.begin_request((id, &request), deadline, Some(body), Collected::Responses(Vec::new()));
    }
}
