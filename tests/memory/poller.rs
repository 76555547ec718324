//! A client on HTTP long-polling.

use bytes::Bytes;
use socketio_proto::{
    SocketKey, WireId,
    engine::{Method, RequestHead},
    server::{ServerEvent, ServerInput, ServerOutput},
};

use crate::support::fleet::Fleet;

/// A client on HTTP long-polling, which may or may not read.
pub struct Poller {
    sid: String,
    /// In the main namespace.
    pub socket: Option<SocketKey>,
    next_wire: u64,
}

impl Poller {
    /// Opens a session. Wires of different clients have different numbers.
    pub fn open(fleet: &mut Fleet, number: u64) -> Self {
        let mut poller = Self { sid: String::new(), socket: None, next_wire: (number + 1) << 32 };
        let open = poller.request(fleet, Method::Get, None).expect("the open packet");
        let open: serde_json::Value = serde_json::from_slice(&open[1..]).unwrap();
        open["sid"].as_str().unwrap().clone_into(&mut poller.sid);
        poller
    }

    /// Opens a session and joins the main namespace.
    pub fn connect(fleet: &mut Fleet, number: u64) -> Self {
        let mut poller = Self::open(fleet, number);
        let events = poller.post(fleet, "40".into());
        poller.socket = events.iter().find_map(|event| match event {
            ServerEvent::Connected { socket, .. } => Some(*socket),
            _ => None,
        });
        let answer = poller.request(fleet, Method::Get, None).expect("the answer");
        assert!(answer.starts_with(b"40{"));
        poller
    }

    pub fn post(&mut self, fleet: &mut Fleet, body: String) -> Vec<ServerEvent<()>> {
        let mut events = Vec::new();
        let response = self.exchange(fleet, Method::Post, Some(body.into()), &mut events);
        assert_eq!(response.as_deref(), Some(&b"ok"[..]));
        events
    }

    /// Posts a body to a session that may be over.
    pub fn post_or_fail(&mut self, fleet: &mut Fleet, body: String) {
        self.request(fleet, Method::Post, Some(body.into()));
    }

    pub fn request(
        &mut self,
        fleet: &mut Fleet,
        method: Method,
        body: Option<Bytes>,
    ) -> Option<Bytes> {
        self.exchange(fleet, method, body, &mut Vec::new())
    }

    fn exchange(
        &mut self,
        fleet: &mut Fleet,
        method: Method,
        body: Option<Bytes>,
        events: &mut Vec<ServerEvent<()>>,
    ) -> Option<Bytes> {
        self.next_wire += 1;
        let wire = WireId(self.next_wire);
        let sid = if self.sid.is_empty() { String::new() } else { format!("&sid={}", self.sid) };
        let query = format!("EIO=4&transport=polling{sid}");
        let head =
            RequestHead { method, query: &query, upgrade: false, origin: None, binary: false };
        fleet.server.handle_input(fleet.now, ServerInput::Request { wire, head, body });
        let mut answer = None;
        while let Some(output) = fleet.server.poll_output() {
            match output {
                ServerOutput::Respond { wire: to, response } if to == wire => {
                    answer = Some(response.body);
                }
                ServerOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                    fleet.server.at(fleet.now).accept(request);
                }
                ServerOutput::Event(event) => events.push(event),
                _ => {}
            }
        }
        answer
    }
}
