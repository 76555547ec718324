//! What happens to a hub, by chance.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    format,
    string::{String, ToString as _},
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;

use crate::{
    AckId, ConnectionId, SocketKey, Timestamp,
    cluster::{
        ClusterInput, ClusterOutput, FetchedSession, StoreOutcome,
        message::{Message, StoredSession},
    },
    hub::{
        AckToken, Attached, Audience, ConnectRequest, ConnectSerial, DisconnectReason, Hub,
        HubOutput, Once, Rejection, ReplyKind, Request, RequestKind, ServerEvent,
        waiting::Connects,
    },
    recovery::{Offset, RecoveryRefusal},
    socket::{self, Args, Json, NamespaceName},
};

/// One step of a tape: an action and three parameters.
pub(super) type Step = [u8; 4];

const NAMESPACES: [&str; 4] = ["/", "/static", "/dynamic-1", "/dynamic-2"];
const ROOMS: [&str; 4] = ["a", "b", "c", "d"];

/// A hub, and the state of its clients and its application.
pub(super) struct Tape {
    pub(super) hub: Hub<u32>,
    pub(super) now: Timestamp,
    sockets: Vec<Attached>,
    keys: Vec<String>,
    offsets: Vec<String>,
    requests: Vec<ConnectRequest>,
    tokens: Vec<AckToken>,
    acks: Vec<AckId>,
    /// What is on its way into the channel of a cluster, and the number of its entries.
    appended: VecDeque<Arc<Message>>,
    entries: u64,
    /// The sessions in the store, and its answers.
    stored: BTreeMap<String, StoredSession>,
    replies: VecDeque<ClusterInput>,
    serial: ConnectSerial,
    /// The latest request.
    earlier: Option<ConnectSerial>,
}

impl Tape {
    pub(super) fn new(hub: Hub<u32>) -> Self {
        Self {
            hub,
            now: Timestamp::from_millis(1_000),
            sockets: Vec::new(),
            keys: Vec::new(),
            offsets: Vec::new(),
            requests: Vec::new(),
            tokens: Vec::new(),
            acks: Vec::new(),
            appended: VecDeque::new(),
            entries: 0,
            stored: BTreeMap::new(),
            replies: VecDeque::new(),
            serial: ConnectSerial::default(),
            earlier: None,
        }
    }

    /// The same clients and the same application, after a restart of the hub.
    pub(super) fn restarted(self, hub: Hub<u32>) -> Self {
        Self { hub, sockets: Vec::new(), ..self }
    }

    pub(super) fn play(&mut self, steps: &[Step]) {
        for step in steps {
            self.step(*step);
            if step[3].is_multiple_of(3) {
                self.read_channel();
            }
            while let Some(output) = self.hub.poll_output() {
                self.take(output);
            }
            self.hub.namespaces.values().for_each(|namespace| namespace.sessions.audit());
            audit(&self.hub.connects);
            let logs = self.hub.namespaces.values().map(|it| it.sessions.log());
            self.offsets = logs.map(|log| log.head_offset().to_string()).collect();
        }
    }

    fn step(&mut self, [kind, a, b, c]: Step) {
        let socket = pick(&self.sockets, a);
        match kind % 8 {
            0 => self.connect(a, b, c),
            1 => self.decide(a, b),
            2 => self.pass_time(a, b),
            _ => {
                if let Some(socket) = socket {
                    match kind % 4 {
                        0 => self.lose(socket, b, c),
                        1 => self.administer(socket, b, c),
                        2 => self.emit(socket, b, c),
                        _ => self.receive(socket, b, c),
                    }
                }
            }
        }
    }

    /// Everything that was appended comes back.
    fn read_channel(&mut self) {
        loop {
            if let Some(reply) = self.replies.pop_front() {
                self.hub.handle_cluster(self.now, reply);
                while let Some(output) = self.hub.poll_output() {
                    self.take(output);
                }
                continue;
            }
            let Some(message) = self.appended.pop_front() else { return };
            self.entries += 1;
            let message = Some(Arc::unwrap_or_clone(message));
            let position = Offset::pair(0, self.entries);
            self.hub
                .handle_cluster(self.now, ClusterInput::Entry { channel: 0, position, message });
            while let Some(output) = self.hub.poll_output() {
                self.take(output);
            }
        }
    }

    fn connect(&mut self, a: u8, b: u8, c: u8) {
        let connection = ConnectionId::from_raw(u64::from(c % 6));
        let namespace: NamespaceName = NamespaceName::new(NAMESPACES[usize::from(b % 4)]).unwrap();
        let key = pick(&self.keys, a >> 1).filter(|_| a & 1 == 0);
        let auth = key.map(|key| {
            let offset = pick(&self.offsets, b >> 2);
            let offset = offset.filter(|_| c & 0x80 == 0).unwrap_or_default();
            Json::from_text(&format!(r#"{{"pid":"{key}","offset":"{offset}"}}"#)).unwrap()
        });
        let replaced = self.sockets.iter().rev().copied().find(|socket| {
            let is_here = self.hub.connection(socket.key) == Some(connection);
            is_here && self.hub.namespace(socket.key) == Some(&namespace)
        });
        let serial = self.serial.take();
        let earlier = self.earlier.replace(serial).filter(|_| c & 0x40 != 0);
        let kind = RequestKind::Connect { namespace, serial, auth, earlier, replaced };
        self.request(connection, kind);
    }

    /// The application answers a request, or the client withdraws it.
    fn decide(&mut self, a: u8, b: u8) {
        let Some(request) = pick(&self.requests, b) else {
            return;
        };
        if a.is_multiple_of(5) {
            self.hub.at(self.now).end_lookup(request, RecoveryRefusal::Unknown);
        } else if a.is_multiple_of(4) {
            self.hub.at(self.now).reject(request, &Rejection::new("no"));
        } else {
            self.hub.at(self.now).accept(request);
        }
    }

    fn pass_time(&mut self, a: u8, b: u8) {
        let unit = if a.is_multiple_of(8) { 10_000 } else { 50 };
        self.now = self.now.saturating_add(Duration::from_millis(unit * u64::from(b)));
        self.hub.handle_timeout(self.now);
    }

    fn lose(&mut self, socket: Attached, b: u8, c: u8) {
        let from = self.hub.connection(socket.key).unwrap_or(ConnectionId::from_raw(9));
        let reason = DisconnectReason::PingTimeout;
        match b % 6 {
            0 => {
                self.hub.at(self.now).disconnect(socket.key, c.is_multiple_of(2));
            }
            1 => {
                let reason = DisconnectReason::ClientNamespaceDisconnect;
                self.request(from, RequestKind::Detach { socket, reason });
            }
            2 => self.request(from, RequestKind::Leave { socket, reason }),
            3 => self.move_away_and_back(socket.key),
            _ => self.request(from, RequestKind::Detach { socket, reason }),
        }
    }

    /// The session goes to another process, and comes back from there.
    fn move_away_and_back(&mut self, socket: SocketKey) {
        let (hub, now) = (&mut self.hub, self.now);
        if hub.is_clustered() {
            let namespace = hub.namespaces.get(&socket.namespace);
            let namespace = namespace.filter(|namespace| namespace.member(socket).is_some());
            let departure = namespace.map(|it| it.sessions.departure(now, socket.index, None));
            hub.at(now).disconnect(socket, false);
            if let Some(Ok(arrival)) = departure {
                // The disconnection may have to wait. Then the session is still here.
                hub.bring_in(now, socket.namespace, arrival).ok();
            }
            return;
        }
        let namespace = hub.namespaces.get(&socket.namespace);
        let namespace = namespace.filter(|namespace| namespace.member(socket).is_some());
        let record = namespace.and_then(|it| it.sessions.export(now, socket.index));
        hub.at(now).disconnect(socket, false);
        let is_there = hub.namespaces.contains_key(&socket.namespace);
        if let Some(record) = record.filter(|_| is_there && hub.config.logs_vacant_rooms) {
            hub.import(now, socket.namespace, record).unwrap();
        }
    }

    fn administer(&mut self, socket: Attached, b: u8, c: u8) {
        let room = ROOMS[usize::from(c % 4)];
        let key = socket.key;
        let namespace = NAMESPACES[usize::from(c % 2)];
        match b % 8 {
            0..3 => drop(self.hub.at(self.now).join(key, room)),
            3 | 4 => {
                self.hub.at(self.now).leave(key, room);
            }
            5 => drop(self.hub.at(self.now).set_data(key, u32::from(c))),
            6 => drop(self.hub.at(self.now).update_data(key, |data| *data += u32::from(c))),
            _ => self.administer_many(key, namespace, room, c),
        }
    }

    fn administer_many(&mut self, key: SocketKey, namespace: &str, room: &str, c: u8) {
        let mut at = self.hub.at(self.now);
        let audience = Audience::room(room).except_socket(key);
        match c >> 4 {
            0..8 => {
                // A room that is named after a session.
                let id = at.socket_id(key).map(|id| id.to_string()).unwrap_or_default();
                at.sockets_join(namespace, &Audience::all(), &id).ok();
            }
            8..10 => drop(at.sockets_join(namespace, &audience, "d")),
            10..13 => drop(at.sockets_leave(namespace, &Audience::all().except("a"), room)),
            _ => drop(at.disconnect_sockets(namespace, &audience, c.is_multiple_of(2))),
        }
    }

    fn emit(&mut self, socket: Attached, b: u8, c: u8) {
        let event = socket::Event::new("e", &(u32::from(c),)).unwrap();
        let (now, key) = (self.now, socket.key);
        let namespace = NAMESPACES[usize::from(c % 4)];
        let room = ROOMS[usize::from(c >> 6)];
        let timeout = Duration::from_millis(u64::from(c) * 20);
        let audience = match c % 3 {
            0 => Audience::all().except_socket(key),
            1 => Audience::all().to(room),
            _ => Audience::all().except(room),
        };
        match b % 6 {
            0 => drop(self.hub.at(now).emit(key, &event)),
            1 => drop(self.hub.at(now).emit_volatile(key, &event)),
            2 => self.acks.extend(self.hub.at(now).emit_with_ack(key, &event, timeout).ok()),
            3 => {
                let ack =
                    self.hub.at(now).broadcast_with_ack(namespace, &audience, &event, timeout);
                self.acks.extend(ack.ok());
            }
            _ => drop(self.hub.at(now).broadcast(namespace, &audience, &event)),
        }
    }

    /// A message from a client, or the application's answer to it.
    fn receive(&mut self, socket: Attached, b: u8, c: u8) {
        let from = self.hub.connection(socket.key).unwrap_or(ConnectionId::from_raw(9));
        let args = Args::new(&(c,)).unwrap();
        let token = usize::from(c).checked_rem(self.tokens.len());
        match b % 7 {
            0 => {
                if let Some(ack) = pick(&self.acks, c) {
                    self.request(from, RequestKind::Ack { socket, id: ack.id, args });
                }
            }
            1 | 2 => {
                let event = socket::Event::new("e", &()).unwrap();
                let ack = c.is_multiple_of(2).then_some(u64::from(c));
                self.request(from, RequestKind::Event { socket, event, ack });
            }
            3 => {
                let ids = (0..u64::from(c % 8)).collect();
                self.request(from, RequestKind::Confirm { socket, ids });
            }
            4 => {
                let token = AckToken::new(socket, u64::from(c));
                let offset = format!("{}", c % 5);
                let once = self.hub.at(self.now).accept_once(socket.key, &offset, Some(token));
                if let Ok(Once::Fresh(token)) = once {
                    self.tokens.extend(token);
                }
            }
            kind => {
                if let Some(token) = token.map(|index| self.tokens.swap_remove(index)) {
                    let mut at = self.hub.at(self.now);
                    if kind == 5 {
                        at.ack(token, &args)
                    } else {
                        at.withdraw(token)
                    };
                }
            }
        }
    }

    fn request(&mut self, from: ConnectionId, kind: RequestKind) {
        self.hub.handle_request(self.now, from, Request(kind));
    }

    fn take(&mut self, output: HubOutput<u32>) {
        match output {
            HubOutput::Reply { reply, .. } => {
                if let ReplyKind::Connected { socket, .. } = reply.0 {
                    self.sockets.push(socket);
                    // A dynamic namespace can be gone before the answer is taken.
                    let namespace = self.hub.namespaces.get(&socket.key.namespace);
                    let member = namespace.and_then(|namespace| namespace.member(socket.key));
                    let key = member.and_then(|member| member.key);
                    self.keys.extend(key.map(|key| key.expose().to_string()));
                }
            }
            HubOutput::Event(
                ServerEvent::ConnectRequested { request, .. }
                | ServerEvent::LookupRequested { request, .. },
            ) => {
                self.requests.push(request);
            }
            HubOutput::Event(ServerEvent::Received { ack, .. }) => self.tokens.extend(ack),
            HubOutput::Cluster(ClusterOutput::Append(message)) => self.appended.push_back(message),
            HubOutput::Cluster(ClusterOutput::Store { session, number, .. }) => {
                self.stored.insert(session.pid.expose().to_string(), session);
                self.replies
                    .push_back(ClusterInput::Stored { number, outcome: StoreOutcome::Stored });
            }
            HubOutput::Cluster(ClusterOutput::Take { key, number, .. }) => {
                let session = self.stored.remove(key.expose());
                let session = session.map(|it| FetchedSession::new(it, Duration::MAX));
                self.replies.push_back(ClusterInput::Fetched { number, session });
            }
            HubOutput::Event(_) | HubOutput::Deliver(_) | HubOutput::Cluster(_) => {}
        }
    }
}

fn pick<T: Clone>(list: &[T], choice: u8) -> Option<T> {
    let index = usize::from(choice).checked_rem(list.len())?;
    list.get(index).cloned()
}

/// Checks that exactly the claims that are looked up have a timeout, and that no claim that is over
/// is still to be released.
fn audit(connects: &Connects) {
    let all = connects.waiting.iter().map(|((connection, namespace), waiting)| {
        let (connection, namespace, serial) = (*connection, *namespace, waiting.serial);
        (ConnectRequest { connection, namespace, serial }, waiting)
    });
    let lookups = all.clone().filter_map(|(it, waiting)| {
        let lookup = waiting.lookup.as_ref().filter(|lookup| lookup.is_under_way)?;
        Some((lookup.wait.until, it))
    });
    assert_eq!(lookups.collect::<BTreeSet<_>>(), connects.lookups);
    let recalls = all.filter_map(|(it, waiting)| Some((waiting.recall?.until, it)));
    assert_eq!(recalls.collect::<BTreeSet<_>>(), connects.recalls);
    for (_, request) in &connects.overdue {
        assert!(connects.held(*request).is_some(), "{request:?} is over");
    }
}
