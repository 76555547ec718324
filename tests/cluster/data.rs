//! Data of an application that cannot be written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer, ser::Error as _};
use socketio_proto::{
    ByteString, RecoveryConfig, ServerConfig, Timestamp, WireId,
    cluster::{ClusterConfig, ClusterInput, ClusterOutput, message::Message},
    engine::Frame,
    recovery::Offset,
    server::{Server, ServerEvent, ServerInput, ServerOutput},
};

use crate::fleet::{name, websocket};

/// It can be read, but not written.
#[derive(Clone, Default, Deserialize)]
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("on purpose"))
    }
}

/// Two nodes over an engine without latency.
struct Pair {
    nodes: [Server<Unwritable>; 2],
    entries: u64,
    now: Timestamp,
    next_wire: u64,
    frames: BTreeMap<WireId, Vec<String>>,
}

impl Pair {
    fn new() -> Self {
        let node = |number: usize| {
            let config = ServerConfig::new().recovery(RecoveryConfig::new());
            let fill = u8::try_from(number + 1).unwrap();
            let entropy = move |dest: &mut [u8]| dest.fill(fill);
            let config = Server::clustered(config, ClusterConfig::new(name(number)), entropy);
            let mut server = config.unwrap();
            server.at(Timestamp::ZERO).add_namespace("/").unwrap();
            let (oldest, head) = (Offset::pair(0, 0), Offset::pair(0, 0));
            let connected = ClusterInput::Connected { channel: 0, oldest, head };
            server.handle_cluster(Timestamp::ZERO, connected);
            server
        };
        let (nodes, frames) = ([node(0), node(1)], BTreeMap::new());
        Self { nodes, entries: 0, now: Timestamp::ZERO, next_wire: 0, frames }
    }

    fn input(&mut self, node: usize, input: ServerInput<'_>) {
        self.nodes[node].handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            let outputs: Vec<_> = self
                .nodes
                .iter_mut()
                .flat_map(|node| std::iter::from_fn(|| node.poll_output()).collect::<Vec<_>>())
                .collect();
            if outputs.is_empty() {
                return;
            }
            for output in outputs {
                self.carry_out(output);
            }
        }
    }

    fn carry_out(&mut self, output: ServerOutput<Unwritable>) {
        match output {
            ServerOutput::Cluster(ClusterOutput::Append(message)) => self.append(&message),
            ServerOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                for node in &mut self.nodes {
                    node.at(self.now).accept(request);
                }
            }
            ServerOutput::Send { wire, frame: Frame::Text(text) } => {
                self.frames.entry(wire).or_default().push(text.to_string());
            }
            _ => {}
        }
    }

    fn append(&mut self, message: &Message) {
        self.entries += 1;
        let position = Offset::pair(0, self.entries);
        for node in &mut self.nodes {
            let message = Some(message.clone());
            node.handle_cluster(self.now, ClusterInput::Entry { channel: 0, position, message });
        }
    }

    /// A client joins. Returns its wire and the answer.
    fn join(&mut self, node: usize, packet: &str) -> (WireId, String) {
        self.next_wire += 1;
        let wire = WireId(self.next_wire);
        self.input(node, ServerInput::WebSocketOpened { wire, head: websocket() });
        let frame = Frame::Text(ByteString::from(packet));
        self.input(node, ServerInput::Frame { wire, frame });
        for _ in 0..10 {
            let Some(due) = self.nodes[node].deadline() else { break };
            if self.frames[&wire].len() > 1 {
                break;
            }
            self.now = self.now.max(due);
            self.input(node, ServerInput::Timeout);
        }
        (wire, self.frames[&wire][1].clone())
    }
}

/// In the reference, a disconnection fails in the middle if the data cannot be written.
#[test]
fn h63_a_session_whose_data_cannot_be_written_stays_where_it_is() {
    let mut pair = Pair::new();
    let (wire, answer) = pair.join(0, "40");
    let pid = answer.split('"').nth(7).unwrap().to_owned();
    pair.input(0, ServerInput::WireClosed { wire });
    assert_eq!(pair.nodes[0].stats().parked_sessions, 1);
    let claim = format!(r#"40{{"pid":"{pid}"}}"#);
    let (_, elsewhere) = pair.join(1, &claim);
    assert!(!elsewhere.contains(&pid), "it gets a new session");
    let (_, back) = pair.join(0, &claim);
    assert_eq!(back, answer);
}
