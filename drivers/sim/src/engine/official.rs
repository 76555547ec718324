//! A model of a Node.js server with the official adapter for Redis Streams (0.3.1), as another member of the
//! cluster, with its defects.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use socketio_proto::{
    RecoveryKey, SocketId, Timestamp,
    cluster::message::{
        Body, BroadcastOptions, ClusterBroadcast, Message, NodeId, SocketDetails, StoredSession,
        Value,
    },
    socket::{Event, NamespaceName},
};

use super::{Channel, Store};

/// How long it stores a session.
const KEPT: Duration = Duration::from_secs(120);

/// A Node.js server with the official adapter.
///
/// It delivers the events that it emits itself at once, ahead of what it has still to read (H21), and
/// stores sessions without a position. When it restores a session it takes it out of the store first
/// (H08), replays everything up to the end of the channel, and then goes on reading where it was, so its
/// client can get the same again (H22).
///
/// ```
/// use socketio_proto::cluster::message::{BroadcastOptions, NodeId};
/// use socketio_proto::{RecoveryKey, SocketId};
/// use socketio_proto::socket::{Event, NamespaceName};
/// use socketio_proto_sim::engine::{Channel, OfficialNode};
///
/// let mut channel = Channel::default();
/// let [mut one, mut other] = ["one", "other"].map(|id| OfficialNode::new(NodeId::new(id).unwrap()));
/// let client = SocketId::parse("bhZwQSdakf0anWUIAAAA").unwrap();
/// let private = RecoveryKey::parse("MHb4Fpcq3jbRzad2AAAB").unwrap();
/// one.connect(&NamespaceName::ROOT, client, private);
/// let event = |name| Event::new(name, &()).unwrap();
/// other.emit(&mut channel, &NamespaceName::ROOT, BroadcastOptions::all(), event("first"));
/// one.emit(&mut channel, &NamespaceName::ROOT, BroadcastOptions::all(), event("second"));
/// one.read(&channel, usize::MAX);
/// let names: Vec<_> = one.received(client).iter().map(|it| it.0.name().to_owned()).collect();
/// assert_eq!(names, ["second", "first"], "not in the order of the channel");
/// ```
#[derive(Debug)]
pub struct OfficialNode {
    id: NodeId,
    /// How many entries it has read.
    read: usize,
    sockets: BTreeMap<SocketId, Socket>,
}

#[derive(Debug)]
struct Socket {
    namespace: NamespaceName,
    pid: RecoveryKey,
    rooms: BTreeSet<String>,
    received: Vec<(Event, String)>,
}

impl OfficialNode {
    /// A node that begins to read at the beginning of the channel.
    pub const fn new(id: NodeId) -> Self {
        Self { id, read: 0, sockets: BTreeMap::new() }
    }

    /// Its name.
    pub const fn id(&self) -> &NodeId {
        &self.id
    }

    /// A client gets a new session with these ids.
    pub fn connect(&mut self, namespace: &NamespaceName, sid: SocketId, pid: RecoveryKey) {
        let rooms = BTreeSet::from([sid.to_string()]);
        let (namespace, received) = (namespace.clone(), Vec::new());
        self.sockets.insert(sid, Socket { namespace, pid, rooms, received });
    }

    /// A socket joins a room.
    pub fn join(&mut self, sid: SocketId, room: &str) {
        if let Some(socket) = self.sockets.get_mut(&sid) {
            socket.rooms.insert(room.to_owned());
        }
    }

    /// A socket leaves a room.
    pub fn leave(&mut self, sid: SocketId, room: &str) {
        if let Some(socket) = self.sockets.get_mut(&sid) {
            socket.rooms.remove(room);
        }
    }

    /// What the client of a socket has received over its present connection, with the offsets.
    pub fn received(&self, sid: SocketId) -> &[(Event, String)] {
        self.sockets.get(&sid).map_or(&[], |socket| &socket.received)
    }

    /// Emits an event. Its own clients get it as soon as the engine has answered.
    pub fn emit(
        &mut self,
        channel: &mut Channel,
        namespace: &NamespaceName,
        options: BroadcastOptions,
        event: Event,
    ) {
        let body = Body::Broadcast(ClusterBroadcast::new(options, event));
        let message = Message::new(self.id.clone(), namespace.clone(), body);
        let index = channel.append(Some(message.clone()));
        self.handle(&message, &channel.position(index).to_string());
    }

    /// Reads entries. It knows its own already.
    pub fn read(&mut self, channel: &Channel, count: usize) {
        self.read = self.read.max(channel.trimmed);
        for _ in 0..count {
            let Some(entry) = channel.entries.get(self.read) else { return };
            let offset = channel.position(self.read).to_string();
            self.read += 1;
            if let Some(message) = entry.as_ref().filter(|message| message.sender != self.id) {
                self.handle(message, &offset);
            }
        }
    }

    /// A client is lost. Its session is stored in the shape of the official adapter.
    pub fn lose(&mut self, store: &mut Store, now: Timestamp, sid: SocketId) {
        let Some(socket) = self.sockets.remove(&sid) else { return };
        let rooms = socket.rooms.iter().map(|room| room.as_str().into()).collect();
        let session = StoredSession::new(sid, socket.pid, rooms, Value::null());
        let key = socket.pid.expose().to_string();
        store.sessions.insert(key, (session, now.saturating_add(KEPT)));
    }

    /// A client comes back. Returns the id of its session if that is restored. In any case the session
    /// is out of the store.
    pub fn restore(
        &mut self,
        (channel, store): (&Channel, &mut Store),
        now: Timestamp,
        namespace: &NamespaceName,
        pid: RecoveryKey,
        offset: &str,
    ) -> Option<SocketId> {
        let (session, _) = store.sessions.remove(pid.expose()).filter(|it| it.1 > now)?;
        let mut there = channel.trimmed..channel.entries.len();
        let index = there.find(|index| channel.position(*index).to_string() == offset)?;
        self.connect(namespace, session.sid, pid);
        for room in &session.rooms {
            self.join(session.sid, room);
        }
        for missed in index + 1..channel.entries.len() {
            let Some(message) = &channel.entries[missed] else { continue };
            // It replays what was emitted, and nothing else of the past takes effect.
            if let (Body::Broadcast(_), Some(socket)) =
                (&message.body, self.sockets.get_mut(&session.sid))
            {
                socket.take(message, &channel.position(missed).to_string());
            }
        }
        Some(session.sid)
    }

    /// Answers a request of another node, if it is one that every server answers.
    pub fn answer(&self, message: &Message) -> Option<Message> {
        let here = self.sockets.iter().filter(|it| it.1.namespace == message.namespace);
        let body = match &message.body {
            Body::FetchSockets { options, request } => {
                let addressed = here.filter(|(_, socket)| socket.is_addressed(options));
                let details = addressed.map(|(sid, socket)| {
                    let rooms = socket.rooms.iter().map(|room| room.as_str().into()).collect();
                    SocketDetails::new(sid.as_str().into(), Value::null(), rooms, Value::null())
                });
                let sockets = details.collect();
                Body::FetchSocketsResponse { request: request.clone(), sockets }
            }
            Body::Broadcast(broadcast) => {
                let addressed = here.filter(|(_, socket)| socket.is_addressed(&broadcast.options));
                let client_count = addressed.count() as u64;
                let request = broadcast.request.clone()?;
                Body::BroadcastClientCount { request, client_count }
            }
            _ => return None,
        };
        Some(Message::new(self.id.clone(), message.namespace.clone(), body))
    }

    fn handle(&mut self, message: &Message, offset: &str) {
        let here = self.sockets.iter_mut().filter(|it| it.1.namespace == message.namespace);
        match &message.body {
            Body::Broadcast(_) => here.for_each(|(_, socket)| socket.take(message, offset)),
            Body::SocketsJoin { options, rooms } => {
                for (_, socket) in here.filter(|it| it.1.is_addressed(options)) {
                    socket.rooms.extend(rooms.iter().map(ToString::to_string));
                }
            }
            Body::SocketsLeave { options, rooms } => {
                for (_, socket) in here.filter(|it| it.1.is_addressed(options)) {
                    socket.rooms.retain(|room| !rooms.iter().any(|left| **left == **room));
                }
            }
            Body::DisconnectSockets { options, .. } => {
                self.sockets.retain(|_, socket| {
                    socket.namespace != message.namespace || !socket.is_addressed(options)
                });
            }
            // What it does not know it ignores.
            _ => {}
        }
    }
}

impl Socket {
    fn is_addressed(&self, options: &BroadcastOptions) -> bool {
        let is_in = |room: &_| self.rooms.contains(AsRef::<str>::as_ref(room));
        let is_target = options.is_for_all() || options.rooms().iter().any(is_in);
        is_target && !options.excepted().iter().any(is_in)
    }

    fn take(&mut self, message: &Message, offset: &str) {
        if let Body::Broadcast(broadcast) = &message.body
            && message.namespace == self.namespace
            && self.is_addressed(&broadcast.options)
            && let Ok(packet) = broadcast.packet()
        {
            self.received.push((packet.event, offset.to_owned()));
        }
    }
}
