//! What a session remembers of its client's events, in a record that somebody has changed.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use socketio_proto::{
    Limits, RecoveryConfig, ServerConfig, SocketKey, Timestamp, WireId,
    cluster::{
        ClusterConfig, ClusterInput, ClusterOutput, Durability, FetchedSession, StoreOutcome,
        message::{Message, NodeId, StoredSession, Value},
    },
    engine::{Frame, Transport},
    hub::{Audience, Once},
    recovery::{Offset, RecoveryOutcome, RecoveryRefusal},
    server::{Server, ServerEvent, ServerInput, ServerOutput},
    socket::{Binary, Event},
};
use socketio_proto_sim::wire;

const WIRE: WireId = WireId(1);
/// The most deadlines until a claim is decided.
const DEADLINES: usize = 1_000;
/// What a session remembers at the most.
const OFFSETS: usize = 4;

/// A record with these bytes is refused, or its session goes on: what the next record has is no
/// longer than these bytes, and within the limits; read and written once more, it is the same to the
/// byte; and an event is handled once.
pub fn receipts(data: &[u8]) {
    let Some(first) = rewritten(data) else { return };
    assert!(first.len() <= data.len(), "{first:x?}");
    let Some(second) = rewritten(&first) else { panic!("what was written is read: {first:x?}") };
    assert_eq!(second, first);
}

/// A session with these receipts recovers at a node. Returns what the node then has in the record. `None` if
/// it was refused.
fn rewritten(receipts: &[u8]) -> Option<Bytes> {
    let mut cluster = with_session().clone();
    let (pid, (session, _)) = cluster.store.iter_mut().next().expect("a session");
    let pid = pid.clone();
    let whole = session.extension.take().expect("a session of ours");
    let (past, data, _): Extension = whole.parse().expect("as it was written");
    let changed = (past, data, Bytes::copy_from_slice(receipts));
    session.extension = Some(Value::new(&changed).expect("plain data"));

    let offset = Offset::pair(EPOCH, 1).to_string();
    let mut node = Node::new("b", cluster);
    node.open(&wire::claim("/", &pid, Some(&offset), ""));
    let (socket, outcome) = node.decided();
    if outcome != (RecoveryOutcome::Recovered { replayed: 0 }) {
        let is_counted = node.server.stats().total.entries_skipped > 0;
        match outcome {
            // It cannot be read.
            RecoveryOutcome::Refused(RecoveryRefusal::Unknown) => assert!(is_counted),
            // It contradicts itself.
            RecoveryOutcome::Refused(RecoveryRefusal::Gap) => {}
            other => panic!("{other:?}"),
        }
        return None;
    }
    let receipts = node.stored_receipts(&pid);
    node.send(&wire::event_text("/", "event", "", Some(0)));
    let once = node.server.at(node.now).accept_once(socket, "an offset", None);
    assert!(matches!(once, Ok(Once::Fresh(_) | Once::Duplicate)), "{once:?}");
    let again = node.server.at(node.now).accept_once(socket, "an offset", None);
    assert!(matches!(again, Ok(Once::Duplicate)), "{again:?}");
    node.settle();
    Some(receipts)
}

/// [`StoredSession::extension`], as nodes of this crate write it.
type Extension = (serde_json::Value, String, Option<Binary>);

/// What a record without receipts says.
const NOTHING: &[u8] = b"\x94\x00\x90\x90\x90";

const EPOCH: u64 = 1_000;

/// What has been appended and stored, by a node that has crashed.
#[derive(Clone, Default)]
struct Cluster {
    entries: Vec<Message>,
    store: BTreeMap<String, (StoredSession, Duration)>,
}

/// One session that has got one event.
fn with_session() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let mut node = Node::new("a", Cluster::default());
        node.open(&wire::connect("/", ""));
        let (_, outcome) = node.decided();
        assert_eq!(outcome, RecoveryOutcome::New);
        let event = Event::new("event", &()).expect("an event");
        node.server.at(node.now).broadcast("/", &Audience::all(), &event).expect("connected");
        node.settle();
        assert_eq!((node.cluster.entries.len(), node.cluster.store.len()), (1, 1));
        node.cluster
    })
}

struct Node {
    server: Server<u8>,
    now: Timestamp,
    cluster: Cluster,
    /// How many entries it was handed.
    read: usize,
    connected: Option<(SocketKey, RecoveryOutcome)>,
}

impl Node {
    fn new(name: &str, cluster: Cluster) -> Self {
        let mut state = u64::from(name.as_bytes()[0]);
        let entropy = move |dest: &mut [u8]| {
            for byte in dest {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = state.to_be_bytes()[0];
            }
        };
        let mut limits = Limits::default();
        limits.client_offsets = OFFSETS;
        let config = ServerConfig::new().recovery(RecoveryConfig::new()).limits(limits);
        let node = NodeId::new(name.to_owned()).expect("a name");
        let node = ClusterConfig::new(node).durability(Durability::OnChange);
        let mut server = Server::clustered(config, node, entropy).expect("valid settings");
        let now = Timestamp::from_millis(10_000);
        assert_eq!(server.at(now).add_namespace("/"), Ok(()));
        let head = Offset::pair(EPOCH, cluster.entries.len() as u64);
        let oldest = Offset::pair(EPOCH, 0);
        let mut node = Self { server, now, cluster, read: 0, connected: None };
        node.hand_in(ClusterInput::Connected { channel: 0, oldest, head });
        node.settle();
        node
    }

    fn hand_in(&mut self, input: ClusterInput) {
        self.server.handle_cluster(self.now, input);
    }

    /// A client opens a connection and sends this CONNECT.
    fn open(&mut self, connect: &str) {
        let query = wire::open_query(Transport::WebSocket);
        let head = wire::websocket_head(&query);
        self.server.handle_input(self.now, ServerInput::WebSocketOpened { wire: WIRE, head });
        self.send(connect);
    }

    fn send(&mut self, text: &str) {
        let frame = Frame::Text(text.into());
        self.server.handle_input(self.now, ServerInput::Frame { wire: WIRE, frame });
        self.settle();
    }

    /// Lets time pass until the client is connected.
    fn decided(&mut self) -> (SocketKey, RecoveryOutcome) {
        for _ in 0..DEADLINES {
            if let Some(connected) = self.connected {
                return connected;
            }
            self.now = self.server.deadline().expect("something is waited for").max(self.now);
            self.server.handle_input(self.now, ServerInput::Timeout);
            self.settle();
        }
        panic!("the claim is not decided");
    }

    /// Carries out everything that the node wants.
    fn settle(&mut self) {
        loop {
            while let Some(output) = self.server.poll_output() {
                match output {
                    ServerOutput::Cluster(output) => self.carry_out(output),
                    ServerOutput::Event(event) => self.handle_event(&event),
                    _ => {}
                }
            }
            let Some(message) = self.cluster.entries.get(self.read).cloned() else { return };
            self.read += 1;
            let position = Offset::pair(EPOCH, self.read as u64);
            self.hand_in(ClusterInput::Entry { channel: 0, position, message: Some(message) });
        }
    }

    fn handle_event(&mut self, event: &ServerEvent<u8>) {
        match event {
            ServerEvent::ConnectRequested { request, .. } => {
                self.server.at(self.now).accept(*request);
            }
            ServerEvent::Connected { socket, recovery, .. } => {
                self.connected = Some((*socket, *recovery));
            }
            _ => {}
        }
    }

    fn carry_out(&mut self, output: ClusterOutput) {
        let fetched = |number, found: Option<(StoredSession, Duration)>| {
            let session = found.map(|(session, left)| FetchedSession::new(session, left));
            ClusterInput::Fetched { number, session }
        };
        let answer = match output {
            ClusterOutput::Append(message) => {
                self.cluster.entries.push(Arc::unwrap_or_clone(message));
                return;
            }
            ClusterOutput::Store { session, expires_in, number, .. } => {
                let pid = session.pid.expose().to_owned();
                self.cluster.store.insert(pid, (session, expires_in));
                ClusterInput::Stored { number, outcome: StoreOutcome::Stored }
            }
            ClusterOutput::Fetch { key, number } => {
                fetched(number, self.cluster.store.get(key.expose()).cloned())
            }
            ClusterOutput::Take { key, number, .. } => {
                fetched(number, self.cluster.store.remove(key.expose()))
            }
            ClusterOutput::Subscribe { namespace } => ClusterInput::Subscribed { namespace },
            _ => return,
        };
        self.hand_in(answer);
    }

    /// What the record of a session says of its client's events.
    fn stored_receipts(&self, pid: &str) -> Bytes {
        let (session, _) = &self.cluster.store[pid];
        let extension = session.extension.as_ref().expect("a session of ours");
        let (_, _, receipts): Extension = extension.parse().expect("as it was written");
        match receipts {
            Some(receipts) => receipts.resolve(extension).expect("bytes").clone(),
            None => Bytes::from_static(NOTHING),
        }
    }
}
