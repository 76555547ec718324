//! The ids that are worth a session: how much chance is in them, and that nothing shows them which
//! an application would log by habit.

mod support;

use std::{fmt::Write as _, sync::Arc};

use bytes::Bytes;
use socketio_proto::{
    ByteString, ConnectionId, EngineId, RecoveryKey, ServerConfig, SocketId, Timestamp, WireId,
    client::{Auth, Client, ClientConfig},
    engine::{self, Frame, PayloadReader, RequestHead, Transport},
    hub::{self, Hub},
    link::{self, Link},
    server::{Event, Input, Output, Server},
    socket::{Decoder, DecoderLimits},
};
use support::{counting_entropy, get, post, recovery_config};

/// 120 bits are drawn, and each of them makes another id.
#[test]
fn every_bit_of_an_id_is_drawn() {
    let make = |flipped: Option<usize>| {
        let mut drawn = 0;
        let mut source = |dest: &mut [u8]| {
            dest.fill(0);
            if let Some(bit) = flipped {
                dest[bit / 8] ^= 1 << (bit % 8);
            }
            drawn += dest.len();
        };
        let key = RecoveryKey::from_entropy(&mut source).expose().to_owned();
        let engine = EngineId::from_entropy(&mut source).to_string();
        let socket = SocketId::from_entropy(&mut source).to_string();
        assert_eq!(drawn, 3 * 15);
        (key, engine, socket)
    };
    let (key, engine, socket) = make(None);
    for bit in 0..120 {
        let other = make(Some(bit));
        assert!(other.0 != key && other.1 != engine && other.2 != socket, "bit {bit}");
    }
}

/// A session's private id, its engine id and its socket id have nothing in common.
#[test]
fn ids_are_drawn_apart() {
    let mut world = support::World::with_recovery();
    let client = world.wire();
    world.input(Input::WebSocketOpened { wire: client, head: get("EIO=4&transport=websocket") });
    let client = support::Client { wire: client };
    let open = world.text(client);
    world.send(client, "40");
    let session = world.session(client);
    assert!(!open.contains(&session.sid) && !open.contains(&session.pid));
    assert_ne!(session.sid, session.pid);
}

/// Everything that goes into a server, comes out of it or holds it, printed.
struct Printed {
    server: Server<u32>,
    now: Timestamp,
    log: String,
    /// What came out for the wires, as bytes.
    bytes: Vec<String>,
}

impl Printed {
    fn new() -> Self {
        let mut server = Server::new(recovery_config(), counting_entropy()).unwrap();
        server.add_namespace("/").unwrap();
        let now = Timestamp::from_millis(1_000);
        Self { server, now, log: String::new(), bytes: Vec::new() }
    }

    fn input(&mut self, input: Input<'_>) {
        writeln!(self.log, "{input:?} {:?}", self.server).unwrap();
        self.server.handle_input(self.now, input);
        while let Some(output) = self.server.poll_output() {
            writeln!(self.log, "{output:?}").unwrap();
            match output {
                Output::Respond { response, .. } => {
                    let body = String::from_utf8(response.body.to_vec()).unwrap();
                    for packet in PayloadReader::new(response.body.clone()) {
                        writeln!(self.log, "{packet:?}").unwrap();
                    }
                    self.bytes.push(body);
                }
                Output::Send { frame: Frame::Text(text), .. } => self.bytes.push(text.to_string()),
                Output::Event(Event::ConnectRequested { request, .. }) => {
                    self.server.accept(self.now, request);
                }
                Output::Event(Event::Connected { socket, id, .. }) => {
                    writeln!(self.log, "{socket:?} {id:?} {id}").unwrap();
                }
                _ => {}
            }
        }
    }

    /// The value of a field in what came out last.
    fn field(&self, name: &str) -> String {
        let mark = format!("\"{name}\":\"");
        let found = self.bytes.iter().rev().find_map(|text| text.split(&mark).nth(1));
        found.unwrap().split('"').next().unwrap().to_owned()
    }
}

/// Polling, the upgrade, a loss and a recovery over either transport.
#[test]
fn nothing_that_is_printed_shows_an_id_that_is_worth_a_session() {
    let mut printed = Printed::new();
    let body = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
    let head = get("EIO=4&transport=polling");
    printed.input(Input::Request { wire: WireId(1), head, body: None });
    let sid = printed.field("sid");
    let query = format!("EIO=4&transport=polling&sid={sid}");
    printed.input(Input::Request { wire: WireId(2), head: post(&query), body: body("40") });
    printed.input(Input::Request { wire: WireId(3), head: get(&query), body: None });
    let pid = printed.field("pid");
    let upgrade = format!("EIO=4&transport=websocket&sid={sid}");
    let head = RequestHead { upgrade: true, ..get(&upgrade) };
    printed.input(Input::WebSocketOpened { wire: WireId(4), head });
    for text in ["2probe", "5"] {
        let frame = Frame::Text(ByteString::from(text));
        printed.input(Input::Frame { wire: WireId(4), frame });
    }
    printed.input(Input::WireClosed { wire: WireId(4) });

    // Back over polling, and over WebSocket.
    let claim = format!(r#"40{{"pid":"{pid}","token":"t"}}"#);
    let head = get("EIO=4&transport=polling");
    printed.input(Input::Request { wire: WireId(5), head, body: None });
    let second = printed.field("sid");
    let query = format!("transport=polling&sid={second}&EIO=4");
    printed.input(Input::Request { wire: WireId(6), head: post(&query), body: None });
    printed.input(Input::Body { wire: WireId(6), body: body(&claim).unwrap() });
    printed.input(Input::Request { wire: WireId(7), head: get(&query), body: None });
    let head = get("EIO=4&transport=websocket");
    printed.input(Input::WebSocketOpened { wire: WireId(8), head });
    let third = printed.field("sid");
    let frame = Frame::Text(ByteString::from(claim));
    printed.input(Input::Frame { wire: WireId(8), frame });

    assert_eq!(printed.server.stats().total.recovered, 2);
    for secret in [sid, second, third, pid] {
        assert_eq!(secret.len(), 20);
        assert!(!printed.log.contains(&secret), "{}", printed.log);
    }
    assert!(printed.log.contains("token"), "the rest is shown");
}

/// The same for links and a hub apart from each other, and for decoded packets.
#[test]
fn links_and_the_hub_show_no_ids_either() {
    let config = Arc::new(recovery_config());
    let mut hub = Hub::<u32>::new(config.clone(), counting_entropy()).unwrap();
    hub.add_namespace("/").unwrap();
    let id = EngineId::parse("an-engine-id-of-link").unwrap();
    let (now, wire) = (Timestamp::ZERO, WireId(1));
    let mut link = Link::new(now, config, id, Transport::WebSocket, wire);
    let pid = "a-private-id-of-20-c";
    let claim = format!(r#"40{{"pid":"{pid}"}}"#);
    let mut log = format!("{id:?} {:?}", RecoveryKey::parse(pid));
    let input = engine::Input::Frame { wire, frame: Frame::Text(claim.clone().into()) };
    write!(log, "{input:?}").unwrap();
    link.handle_input(now, input);
    let mut pids = vec![pid.to_owned()];
    loop {
        write!(log, "{link:?} {hub:?}").unwrap();
        if let Some(output) = link.poll_output() {
            write!(log, "{output:?}").unwrap();
            match output {
                link::Output::Hub(request) => {
                    hub.handle_request(now, ConnectionId::from_raw(1), request);
                }
                link::Output::Wire(engine::Output::Send { frame: Frame::Text(text), .. }) => {
                    let given = text.split("\"pid\":\"").nth(1);
                    pids.extend(given.map(|rest| rest[..20].to_owned()));
                }
                _ => {}
            }
        } else if let Some(output) = hub.poll_output() {
            write!(log, "{output:?}").unwrap();
            match output {
                hub::Output::Reply { reply, .. } => link.handle_reply(now, reply),
                hub::Output::Event(Event::ConnectRequested { request, .. }) => {
                    hub.accept(now, request);
                }
                _ => {}
            }
        } else {
            break;
        }
    }
    let limits = DecoderLimits::from(&socketio_proto::Limits::default());
    let packet = Decoder::new(limits).push_text(claim[1..].into()).unwrap();
    write!(log, "{packet:?}").unwrap();
    assert_eq!(pids.len(), 2);
    for secret in pids.iter().map(String::as_str).chain([id.as_str()]) {
        assert!(!log.contains(secret), "{log}");
    }
}

/// A client prints neither what it was given nor what it presents.
#[test]
fn a_client_shows_no_ids() {
    let mut client = Client::new(ClientConfig::new(), counting_entropy()).unwrap();
    let now = Timestamp::ZERO;
    client.connect(now, "/", Auth::None).unwrap();
    let mut log = String::new();
    let open = r#"0{"sid":"an-engine-id-of-link","upgrades":[],"pingInterval":9,"pingTimeout":9}"#;
    let answer = r#"40{"sid":"a-socket-id-of-20-ch","pid":"a-private-id-of-20-c"}"#;
    let mut bodies = vec![answer, open];
    for _ in 0..10 {
        write!(log, "{client:?}").unwrap();
        while let Some(output) = client.poll_output() {
            write!(log, "{output:?}").unwrap();
            let socketio_proto::client::Output::Wire(engine::ClientOutput::Get { wire, .. }) =
                output
            else {
                continue;
            };
            let Some(body) = bodies.pop() else { continue };
            let body = Bytes::from_static(body.as_bytes());
            let input = engine::ClientInput::Response { wire, status: 200, body };
            write!(log, "{input:?}").unwrap();
            client.handle_input(now, input);
        }
    }
    assert!(bodies.is_empty() && log.contains("Connected"), "{log}");
    for secret in ["an-engine-id-of-link", "a-private-id-of-20-c"] {
        assert!(!log.contains(secret), "{log}");
    }
}

/// With recovery off nothing is worth a session but the engine id.
#[test]
fn without_recovery_there_is_no_private_id() {
    let mut world = support::World::new(ServerConfig::new());
    let (_, session) = world.connect();
    assert_eq!(session.pid, "");
}
