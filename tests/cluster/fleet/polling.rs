//! Clients that use HTTP long-polling.

use socketio_proto::{
    WireId,
    engine::{Frame, Method, PayloadReader, RequestHead, Response},
    server::ServerInput,
};

use super::{Client, Fleet, Node};

/// A client on HTTP long-polling.
pub(super) struct Polling {
    sid: String,
    /// The GET that waits for packets.
    get: Option<WireId>,
}

impl Fleet {
    /// A client connects over HTTP long-polling. From then on [`Fleet::send`], [`Fleet::frames`] and
    /// [`Fleet::lose`] are as for any other client, but what it gets it has to [poll](Fleet::poll).
    pub fn open_polling(&mut self, node: usize, packet: &str) -> Client {
        // It learns its id before it goes on.
        self.nodes[node].is_lazy = false;
        let client = Client { node, wire: self.next_wire() };
        self.request(client, client.wire, "EIO=4&transport=polling", None);
        self.send(client, packet);
        self.poll(client);
        client
    }

    /// A client asks for packets, unless it does already. Does nothing for a client on a WebSocket.
    pub fn poll(&mut self, client: Client) {
        let Some(polling) = self.nodes[client.node].polling.get(&client.wire) else { return };
        if polling.get.is_some() {
            return;
        }
        let query = polling.query();
        let wire = self.next_wire();
        let node = &mut self.nodes[client.node];
        node.gets.insert(wire, client.wire);
        node.polling.entry(client.wire).and_modify(|polling| polling.get = Some(wire));
        self.request(client, wire, &query, None);
    }

    /// Sends a packet, if the client is on HTTP long-polling.
    pub(super) fn post(&mut self, client: Client, packet: &str) -> bool {
        let polling = self.nodes[client.node].polling.get(&client.wire);
        let Some(query) = polling.map(Polling::query) else { return false };
        let wire = self.next_wire();
        self.request(client, wire, &query, Some(packet));
        true
    }

    fn request(&mut self, client: Client, wire: WireId, query: &str, body: Option<&str>) {
        let method = if body.is_some() { Method::Post } else { Method::Get };
        let head = RequestHead { method, query, upgrade: false, origin: None, binary: false };
        let body = body.map(|body| body.to_owned().into());
        let input = ServerInput::Request { wire, head, body };
        self.nodes[client.node].server.handle_input(self.now, input);
        self.pump(client.node);
    }
}

impl Polling {
    fn query(&self) -> String {
        format!("EIO=4&transport=polling&sid={}", self.sid)
    }
}

impl Node {
    /// The wire that breaks when a client goes. `None` if nothing is under way.
    pub(super) fn breaks(&self, wire: WireId) -> Option<WireId> {
        self.polling.get(&wire).map_or(Some(wire), |polling| polling.get)
    }

    pub(super) fn take_response(&mut self, wire: WireId, response: &Response) {
        if let Some(sid) = response.opened_session() {
            self.polling.insert(wire, Polling { sid: sid.to_string(), get: None });
        }
        let client = self.gets.remove(&wire).unwrap_or(wire);
        let Some(polling) = self.polling.get_mut(&client) else { return };
        polling.get.take_if(|get| *get == wire);
        let frames = self.frames.entry(client).or_default();
        if response.status != 200 {
            frames.push("closed".to_owned());
            return;
        }
        for packet in PayloadReader::new(response.body.clone()).flatten() {
            match packet.encode() {
                Frame::Text(text) if text == "1" => frames.push("closed".to_owned()),
                Frame::Text(text) if text == "6" => {}
                Frame::Text(text) => frames.push(text.to_string()),
                Frame::Binary(_) => panic!("nobody sends bytes"),
            }
        }
    }
}
