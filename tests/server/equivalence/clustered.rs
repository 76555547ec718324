//! A server that is the only node of a cluster, whose engine has no latency. The engine also answers
//! for other nodes, at once, that they have no sessions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use socketio_proto::{
    ServerConfig, SocketKey, Timestamp, WireId,
    cluster::{
        Channels, ClusterConfig, ClusterInput, ClusterOutput, Durability, FetchedSession,
        StoreOutcome,
        message::{Body, Message, NodeId, OwnKind, StoredSession, Value},
    },
    engine::Frame,
    hub::At,
    recovery::Offset,
    server::{Server, ServerInput, ServerOutput},
};

use super::{Composition, Story, carry_out, player::offset, pools::Shared, tell};

/// The server, how many entries each channel has, and the sessions in the store.
pub(super) struct Clustered {
    server: Server<u32>,
    layout: Channels,
    durability: Durability,
    entries: Vec<u64>,
    stored: BTreeMap<String, StoredSession>,
}

impl Clustered {
    pub(super) fn new(config: ServerConfig, channels: u32, durability: Durability) -> Self {
        let layout = Channels::new(channels, |name, _| u32::from(name.as_str() == "/b"));
        let node = ClusterConfig::new(NodeId::new("node").unwrap());
        let node = node.channels(layout).durability(durability);
        let mut server = Server::clustered(config, node, Shared::new().source()).unwrap();
        server.at(Timestamp::ZERO).add_namespace("/").unwrap();
        server.at(Timestamp::ZERO).add_namespace("/b").unwrap();
        let (oldest, head) = (Offset::pair(0, 0), Offset::pair(0, 0));
        for channel in 0..channels {
            let connected = ClusterInput::Connected { channel, oldest, head };
            server.handle_cluster(Timestamp::ZERO, connected);
        }
        while let Some(output) = server.poll_output() {
            if let ServerOutput::Cluster(ClusterOutput::Subscribe { namespace }) = output {
                server.handle_cluster(Timestamp::ZERO, ClusterInput::Subscribed { namespace });
            }
        }
        let (entries, stored) = (vec![0; channels as usize], BTreeMap::new());
        Self { server, layout, durability, entries, stored }
    }

    fn append(&mut self, now: Timestamp, message: Message) {
        let answer = answer(&message);
        self.hand_in(now, message);
        if let Some(answer) = answer {
            self.hand_in(now, answer);
        }
    }

    /// The store, which forgets nothing.
    fn carry_out(&mut self, now: Timestamp, command: ClusterOutput) {
        let (number, session) = match command {
            ClusterOutput::Store { session, replaces, number, .. } => {
                let outcome = self.store(session, replaces);
                return self.server.handle_cluster(now, ClusterInput::Stored { number, outcome });
            }
            ClusterOutput::Take { key, number, .. } => (number, self.stored.remove(key.expose())),
            ClusterOutput::Fetch { key, number } => {
                (number, self.stored.get(key.expose()).cloned())
            }
            other => panic!("not for a store: {other:?}"),
        };
        let session = session.map(|session| FetchedSession::new(session, Duration::MAX));
        self.server.handle_cluster(now, ClusterInput::Fetched { number, session });
    }

    /// With [`Durability::OnChange`], a session is in the store before its client learns of it.
    fn check_stored(&self, frame: &Frame) {
        let Frame::Text(text) = frame else { return };
        let answer = text.strip_prefix("40").and_then(|text| text.split_once('{'));
        let pid =
            answer.and_then(|(_, members)| members.split_once("\"pid\":\"")?.1.split('"').next());
        if let Some(pid) = pid.filter(|_| self.durability == Durability::OnChange) {
            assert!(self.stored.contains_key(pid), "not in the store: {text}");
        }
    }

    fn store(&mut self, session: StoredSession, replaces: Option<u64>) -> StoreOutcome {
        let key = session.pid.expose().to_string();
        let present = self.stored.get(&key).and_then(|stored| stored.version);
        if replaces.is_some() && present != replaces {
            return StoreOutcome::Superseded;
        }
        self.stored.insert(key, session);
        StoreOutcome::Stored
    }

    fn hand_in(&mut self, now: Timestamp, message: Message) {
        let channel = self.layout.of(&message.namespace);
        let entries = &mut self.entries[channel as usize];
        *entries += 1;
        let position = Offset::pair(1_000 + *entries / 3, *entries % 3);
        let entry = ClusterInput::Entry { channel, position, message: Some(message) };
        self.server.handle_cluster(now, entry);
    }
}

/// Others do not have the session that is claimed.
fn answer(message: &Message) -> Option<Message> {
    let Body::Own { kind: OwnKind::Claim, data } = &message.body else { return None };
    let claim: serde_json::Value = data.parse().unwrap();
    let refusal = json!({"to": "node", "number": claim["number"], "session": {"Err": 0}});
    let data = Value::new(&refusal).unwrap();
    let body = Body::Own { kind: OwnKind::RecordResponse, data };
    Some(Message::new(NodeId::new("another").unwrap(), message.namespace.clone(), body))
}

impl Composition for Clustered {
    fn input(&mut self, now: Timestamp, _: WireId, input: ServerInput<'_>) {
        self.server.handle_input(now, input);
    }

    fn pause(&mut self, now: Timestamp, wire: WireId, is_paused: bool) {
        Composition::pause(&mut self.server, now, wire, is_paused);
    }

    fn timeout(&mut self, now: Timestamp) {
        self.server.handle_input(now, ServerInput::Timeout);
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.server.deadline()
    }

    fn at(&mut self, now: Timestamp) -> At<'_, u32> {
        self.server.at(now)
    }

    fn drain(&mut self, now: Timestamp, story: &mut Story) -> Vec<SocketKey> {
        let mut connected = Vec::new();
        while let Some(output) = self.server.poll_output() {
            match output {
                ServerOutput::Cluster(ClusterOutput::Append(message)) => {
                    self.append(now, Arc::unwrap_or_clone(message));
                }
                ServerOutput::Cluster(ClusterOutput::CountServers { number, .. }) => {
                    let counted = ClusterInput::ServersCounted { number, servers: Some(1) };
                    self.server.handle_cluster(now, counted);
                }
                // It has read everything, and is alone.
                ServerOutput::Cluster(
                    ClusterOutput::Read { .. }
                    | ClusterOutput::Publish { .. }
                    | ClusterOutput::Subscribe { .. }
                    | ClusterOutput::Unsubscribe { .. },
                ) => {}
                ServerOutput::Cluster(command) => self.carry_out(now, command),
                ServerOutput::Send { wire, frame } => {
                    self.check_stored(&frame);
                    tell(story, wire, &frame);
                }
                output => connected.extend(carry_out(&mut self.server, now, story, output)),
            }
        }
        connected
    }
}

/// Two servers assign other positions. So each offset is replaced by its rank among those of its
/// namespace, and the offset of a volatile event, which has no position, by nothing.
pub(super) fn ranked(story: Story) -> Story {
    let mut positions = BTreeMap::<String, BTreeSet<Offset>>::new();
    for (namespace, name, offset) in story.values().flatten().filter_map(|frame| offset(frame)) {
        if name != "v" {
            positions.entry(namespace.into()).or_default().insert(offset.parse().unwrap());
        }
    }
    let rank = |frame: String| {
        let Some((namespace, name, offset)) = offset(&frame) else { return frame };
        let (text, position) =
            (&frame[..frame.len() - offset.len() - 2], offset.parse::<Offset>().unwrap());
        let rank = positions.get(namespace).map_or(0, |all| all.range(..=position).count());
        if name == "v" { format!("{text}?") } else { format!("{text}{rank}") }
    };
    let wires = story.into_iter();
    wires.map(|(wire, frames)| (wire, frames.into_iter().map(rank).collect())).collect()
}
