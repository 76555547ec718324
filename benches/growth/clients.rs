//! What clients send, beside a crowd.

use socketio_proto::{
    ByteString, WireId,
    engine::{Frame, Method, RequestHead},
    hub::{Audience, Rejection},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::{ServerEvent, ServerInput, ServerOutput},
    socket::Args,
};

use crate::{
    count::Meter,
    support::fleet::{Client, Fleet},
    world::{HOUR, Steps, crowd, event},
};

pub fn run(count: usize, meter: &mut Meter) {
    let mut fleet = crowd(count);
    for _ in meter.rounds() {
        come_and_go(&mut fleet, meter);
        ask_in_vain(&mut fleet, meter);
        talk(&mut fleet, meter);
        come_back(&mut fleet, meter);
        poll(&mut fleet, meter);
    }
}

fn come_and_go(fleet: &mut Fleet, meter: &mut Meter) {
    let wire = meter.count("open a WebSocket", || fleet.open());
    let (socket, _) = meter.count("CONNECT, new", || {
        fleet.send(wire, "40");
        fleet.drain().joined.expect("let in")
    });
    let answers = meter.count("CONNECT, repeated", || {
        fleet.send(wire, "40");
        fleet.drain().frames
    });
    assert_eq!(answers, 1, "the answer once more");
    meter.count("CONNECT with other data, replaces", || {
        fleet.send(wire, r#"40{"a":1}"#);
        assert_ne!(fleet.drain().joined.expect("let in").0, socket);
    });
    meter.count("DISCONNECT", || {
        fleet.send(wire, "41");
        fleet.drain();
    });
    fleet.send(wire, "40");
    fleet.drain();
    meter.count("close packet", || {
        fleet.send(wire, "1");
        fleet.drain();
    });
    fleet.lose(wire);
    let client = fleet.connect_in("room 1");
    meter.count("lose a WebSocket", || {
        fleet.lose(client.wire);
        fleet.drain();
    });
    meter.count("disconnect a parked session", || {
        assert!(fleet.server.at(fleet.now).disconnect(client.socket, true));
        fleet.drain();
    });
}

fn ask_in_vain(fleet: &mut Fleet, meter: &mut Meter) {
    let wire = fleet.open();
    meter.count("CONNECT to no namespace", || {
        fleet.send(wire, "40/nowhere,");
        assert_eq!(fleet.drain().frames, 1);
    });
    meter.count("CONNECT, rejected", || {
        fleet.send(wire, "40");
        let request = fleet.request().expect("it was asked");
        assert!(fleet.server.at(fleet.now).reject(request, &Rejection::new("no")));
        assert_eq!(fleet.drain().frames, 1);
    });
    meter.count("CONNECT, taken back by DISCONNECT", || {
        fleet.send(wire, "40");
        assert!(fleet.request().is_some());
        fleet.send(wire, "41");
        fleet.drain();
    });
    meter.count("CONNECT, and the WebSocket is lost", || {
        fleet.send(wire, "40");
        assert!(fleet.request().is_some());
        fleet.lose(wire);
        fleet.drain();
    });
}

fn talk(fleet: &mut Fleet, meter: &mut Meter) {
    let client = fleet.connect_in("room 1");
    let wire = client.wire;
    meter.count("EVENT", || {
        fleet.send(wire, r#"42["m"]"#);
        fleet.drain();
    });
    meter.count("EVENT, acknowledged", || {
        let token = fleet.ask(wire, 1);
        assert!(fleet.server.at(fleet.now).ack(token, &Args::empty()));
        assert_eq!(fleet.drain().frames, 1);
    });
    meter.count("BINARY_EVENT", || {
        fleet.send(wire, r#"451-["m",{"_placeholder":true,"num":0}]"#);
        let frame = Frame::Binary(vec![1, 2, 3].into());
        fleet.server.handle_input(fleet.now, ServerInput::Frame { wire, frame });
        assert_eq!(received(fleet), 1);
    });
    let id = acknowledged(fleet, &client);
    meter.count("ACK", || {
        fleet.send(wire, &format!("43{id}[]"));
        assert_eq!(acked(fleet), 1);
    });
    meter.count("ACK that nobody waits for", || {
        fleet.send(wire, &format!("43{id}[]"));
        assert_eq!(acked(fleet), 0);
    });
    meter.count("question about no event", || {
        fleet.send(wire, "43[]");
        assert_eq!(fleet.drain().frames, 1);
    });
    meter.count("EVENT of a client that counts", || {
        fleet.send(wire, r#"42["m"]"#);
        assert_eq!(received(fleet), 1);
    });
    meter.count("question about an event", || {
        fleet.send(wire, "43[7]");
        assert_eq!(fleet.drain().frames, 1);
    });
    meter.count("pong that nobody asked for", || {
        fleet.send(wire, "3");
        fleet.drain();
    });
    meter.count("ACK of a broadcast", || {
        let room = Audience::room("room 1");
        let sent = fleet.server.at(fleet.now).broadcast_with_ack("/", &room, &event(), HOUR);
        let id = sent.map(|_| id + 1).expect("sent");
        fleet.drain();
        fleet.send(wire, &format!("43{id}[]"));
        fleet.drain();
    });
    fleet.remove(&client);
}

/// Asks the client for an acknowledgement. Returns the id.
fn acknowledged(fleet: &mut Fleet, client: &Client) -> u64 {
    let sent = fleet.server.at(fleet.now).emit_with_ack(client.socket, &event(), HOUR);
    assert!(sent.is_ok());
    let text = fleet.texts().pop().expect("a packet");
    let id = text.strip_prefix("42").and_then(|rest| rest.split('[').next());
    id.and_then(|id| id.parse().ok()).expect("an id")
}

fn received(fleet: &mut Fleet) -> usize {
    let mut count = 0;
    while let Some(output) = fleet.server.poll_output() {
        count += usize::from(matches!(output, ServerOutput::Event(ServerEvent::Received { .. })));
    }
    count
}

fn acked(fleet: &mut Fleet) -> usize {
    let mut count = 0;
    while let Some(output) = fleet.server.poll_output() {
        count += usize::from(matches!(output, ServerOutput::Event(ServerEvent::Acked { .. })));
    }
    count
}

fn come_back(fleet: &mut Fleet, meter: &mut Meter) {
    let mut client = fleet.connect_in("room 1");
    fleet.lose(client.wire);
    fleet.drain();
    client.wire = fleet.open();
    let outcome = meter.count("CONNECT, recovers", || fleet.claim(&mut client));
    assert_eq!(outcome, RecoveryOutcome::Recovered { replayed: 0 });
    fleet.lose(client.wire);
    fleet.emit(client.socket);
    fleet.broadcast(&Audience::room("room 1"));
    fleet.drain();
    client.wire = fleet.open();
    let outcome = meter.count("CONNECT, recovers two packets", || fleet.claim(&mut client));
    assert_eq!(outcome, RecoveryOutcome::Recovered { replayed: 2 });
    let former = std::mem::replace(&mut client.wire, fleet.open());
    let outcome = meter.count("CONNECT, takes over", || fleet.claim(&mut client));
    assert!(outcome.is_recovered());
    fleet.lose(former);
    fleet.remove(&client);
    client.wire = fleet.open();
    let outcome = meter.count("CONNECT with an unknown session", || fleet.claim(&mut client));
    assert_eq!(outcome, RecoveryOutcome::Refused(RecoveryRefusal::Unknown));
    fleet.lose(client.wire);
    fleet.drain();
}

fn poll(fleet: &mut Fleet, meter: &mut Meter) {
    let mut poller = Poller { query: "EIO=4&transport=polling".into(), next_wire: 1 << 40 };
    let body = meter.count("open by polling", || poller.get(fleet)).expect("the open packet");
    let sid = body.split("\"sid\":\"").nth(1).and_then(|rest| rest.get(..20)).expect("a sid");
    poller.query = format!("{}&sid={sid}", poller.query);
    meter.count("POST", || poller.post(fleet, "40"));
    assert!(meter.count("GET", || poller.get(fleet)).expect("an answer").starts_with("40"));
    meter.count("GET that waits", || assert_eq!(poller.get(fleet), None));
    let wire = WireId(poller.next_wire);
    let query = poller.query.replace("polling", "websocket");
    meter.count("upgrade", || {
        let head = RequestHead { upgrade: true, ..head(Method::Get, &query) };
        fleet.server.handle_input(fleet.now, ServerInput::WebSocketOpened { wire, head });
        fleet.send(wire, "2probe");
        fleet.drain();
        fleet.send(wire, "5");
        fleet.drain();
    });
    meter.count("EVENT after the upgrade", || {
        fleet.send(wire, r#"42["m"]"#);
        assert_eq!(received(fleet), 1);
    });
    fleet.lose(wire);
    fleet.drain();
}

/// A client on HTTP long-polling.
struct Poller {
    query: String,
    next_wire: u64,
}

impl Poller {
    /// The answer, if it comes at once.
    fn get(&mut self, fleet: &mut Fleet) -> Option<String> {
        self.exchange(fleet, Method::Get, None)
    }

    fn post(&mut self, fleet: &mut Fleet, body: &str) {
        assert_eq!(self.exchange(fleet, Method::Post, Some(body)).as_deref(), Some("ok"));
    }

    fn exchange(
        &mut self,
        fleet: &mut Fleet,
        method: Method,
        body: Option<&str>,
    ) -> Option<String> {
        let wire = WireId(self.next_wire);
        self.next_wire += 1;
        let body = body.map(|body| ByteString::from(body).into_bytes());
        let input = ServerInput::Request { wire, head: head(method, &self.query), body };
        fleet.server.handle_input(fleet.now, input);
        let mut answer = None;
        while let Some(output) = fleet.server.poll_output() {
            match output {
                ServerOutput::Respond { wire: to, response } if to == wire => {
                    answer = String::from_utf8(response.body.to_vec()).ok();
                }
                ServerOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                    assert!(fleet.server.at(fleet.now).accept(request).is_some());
                }
                _ => {}
            }
        }
        answer
    }
}

fn head(method: Method, query: &str) -> RequestHead<'_> {
    RequestHead { method, query, upgrade: false, origin: None, binary: false }
}
