//! The clients of the nodes.

use socketio_proto::{
    ByteString, SocketKey, WireId,
    engine::{Frame, Method, RequestHead},
    server::ServerInput,
};

use super::Fleet;

/// A client on one WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    pub node: usize,
    pub wire: WireId,
}

impl Fleet {
    /// A client joins the main namespace.
    pub fn open(&mut self, node: usize) -> Client {
        self.open_with(node, "40")
    }

    pub fn open_with(&mut self, node: usize, packet: &str) -> Client {
        let client = Client { node, wire: self.next_wire() };
        let opened = ServerInput::WebSocketOpened { wire: client.wire, head: websocket() };
        self.nodes[node].server.handle_input(self.now, opened);
        self.send(client, packet);
        client
    }

    pub(super) fn next_wire(&mut self) -> WireId {
        self.next_wire += 1;
        WireId(self.next_wire)
    }

    pub fn send(&mut self, client: Client, packet: &str) {
        if self.post(client, packet) {
            return;
        }
        let frame = Frame::Text(ByteString::from(packet));
        let input = ServerInput::Frame { wire: client.wire, frame };
        self.nodes[client.node].server.handle_input(self.now, input);
        self.pump(client.node);
    }

    /// The link of a client breaks.
    pub fn lose(&mut self, client: Client) {
        let Some(wire) = self.nodes[client.node].breaks(client.wire) else { return };
        let input = ServerInput::WireClosed { wire };
        self.nodes[client.node].server.handle_input(self.now, input);
        self.pump(client.node);
    }

    pub fn socket(&self, client: Client) -> SocketKey {
        self.find_socket(client).expect("it is connected")
    }

    pub fn find_socket(&self, client: Client) -> Option<SocketKey> {
        self.nodes[client.node].sockets.get(&client.wire).copied()
    }

    /// The frames that a client got, without the handshake. The last one is `closed` if the server
    /// has closed its link.
    pub fn frames(&self, client: Client) -> &[String] {
        let frames = self.nodes[client.node].frames.get(&client.wire);
        frames.map_or(&[], |frames| frames.get(1..).unwrap_or_default())
    }

    /// The names of the events that a client got, and everything else as it is, without CONNECT.
    pub fn got(&self, client: Client) -> Vec<String> {
        let frames = self.frames(client).iter().filter(|frame| !frame.starts_with("40"));
        let name = |frame: &String| {
            let name = frame.strip_prefix("42[\"").and_then(|rest| rest.split('"').next());
            name.unwrap_or(frame).to_owned()
        };
        frames.map(name).collect()
    }
}

/// The request with which a client opens a WebSocket.
pub fn websocket() -> RequestHead<'static> {
    RequestHead {
        method: Method::Get,
        query: "EIO=4&transport=websocket",
        upgrade: true,
        origin: None,
        binary: false,
    }
}
