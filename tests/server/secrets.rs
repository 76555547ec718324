//! The secret ids, which give access to a session: how random they are, and that no value which an
//! application is likely to log shows them.

use std::{fmt::Write as _, sync::Arc};

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use socketio_proto::{
    ByteString, ConnectionId, EngineId, RecoveryKey, ServerConfig, SocketId, Timestamp, WireId,
    client::{Auth, Client, ClientConfig},
    engine::{
        self, EngineClientOutput, EngineInput, EngineOutput, Frame, PayloadReader, RequestHead,
        Transport,
    },
    hub::{Hub, HubOutput},
    link::{Link, LinkOutput},
    server::{Server, ServerEvent, ServerInput, ServerOutput},
    socket::{Decoder, DecoderLimits},
};

use crate::support::{World, counting_entropy, get, post, recovering, recovery_config};

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
    let mut world = World::with_recovery();
    let client = world.wire();
    world.input(ServerInput::WebSocketOpened {
        wire: client,
        head: get("EIO=4&transport=websocket"),
    });
    let client = crate::support::Client { wire: client };
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
        server.at(Timestamp::ZERO).add_namespace("/").unwrap();
        let now = Timestamp::from_millis(1_000);
        Self { server, now, log: String::new(), bytes: Vec::new() }
    }

    fn input(&mut self, input: ServerInput<'_>) {
        writeln!(self.log, "{input:?} {:?}", self.server).unwrap();
        self.server.handle_input(self.now, input);
        while let Some(output) = self.server.poll_output() {
            writeln!(self.log, "{output:?}").unwrap();
            match output {
                ServerOutput::Respond { response, .. } => {
                    let body = String::from_utf8(response.body.to_vec()).unwrap();
                    for packet in PayloadReader::new(response.body.clone()) {
                        writeln!(self.log, "{packet:?}").unwrap();
                    }
                    self.bytes.push(body);
                }
                ServerOutput::Send { frame: Frame::Text(text), .. } => {
                    self.bytes.push(text.to_string());
                }
                ServerOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                    self.server.at(self.now).accept(request);
                }
                ServerOutput::Event(ServerEvent::Connected { socket, id, .. }) => {
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
    printed.input(ServerInput::Request { wire: WireId(1), head, body: None });
    let sid = printed.field("sid");
    let query = format!("EIO=4&transport=polling&sid={sid}");
    printed.input(ServerInput::Request { wire: WireId(2), head: post(&query), body: body("40") });
    printed.input(ServerInput::Request { wire: WireId(3), head: get(&query), body: None });
    let pid = printed.field("pid");
    let upgrade = format!("EIO=4&transport=websocket&sid={sid}");
    let head = RequestHead { upgrade: true, ..get(&upgrade) };
    printed.input(ServerInput::WebSocketOpened { wire: WireId(4), head });
    for text in ["2probe", "5"] {
        let frame = Frame::Text(ByteString::from(text));
        printed.input(ServerInput::Frame { wire: WireId(4), frame });
    }
    printed.input(ServerInput::WireClosed { wire: WireId(4) });

    // Back over polling, and over WebSocket.
    let claim = format!(r#"40{{"pid":"{pid}","token":"t"}}"#);
    let head = get("EIO=4&transport=polling");
    printed.input(ServerInput::Request { wire: WireId(5), head, body: None });
    let second = printed.field("sid");
    let query = format!("transport=polling&sid={second}&EIO=4");
    printed.input(ServerInput::Request { wire: WireId(6), head: post(&query), body: None });
    printed.input(ServerInput::Body { wire: WireId(6), body: body(&claim).unwrap() });
    printed.input(ServerInput::Request { wire: WireId(7), head: get(&query), body: None });
    let head = get("EIO=4&transport=websocket");
    printed.input(ServerInput::WebSocketOpened { wire: WireId(8), head });
    let third = printed.field("sid");
    let frame = Frame::Text(ByteString::from(claim));
    printed.input(ServerInput::Frame { wire: WireId(8), frame });

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
    hub.at(Timestamp::ZERO).add_namespace("/").unwrap();
    let id = EngineId::parse("an-engine-id-of-link").unwrap();
    let (now, wire) = (Timestamp::ZERO, WireId(1));
    let mut link = Link::new(now, config, id, Transport::WebSocket, wire);
    let pid = "a-private-id-of-20-c";
    let claim = format!(r#"40{{"pid":"{pid}"}}"#);
    let mut log = format!("{id:?} {:?}", RecoveryKey::parse(pid));
    let input = EngineInput::Frame { wire, frame: Frame::Text(claim.clone().into()) };
    write!(log, "{input:?}").unwrap();
    link.handle_input(now, input);
    let mut pids = vec![pid.to_owned()];
    loop {
        write!(log, "{link:?} {hub:?}").unwrap();
        if let Some(output) = link.poll_output() {
            write!(log, "{output:?}").unwrap();
            match output {
                LinkOutput::Hub(request) => {
                    hub.handle_request(now, ConnectionId::from_raw(1), request);
                }
                LinkOutput::Wire(EngineOutput::Send { frame: Frame::Text(text), .. }) => {
                    let given = text.split("\"pid\":\"").nth(1);
                    pids.extend(given.map(|rest| rest[..20].to_owned()));
                }
                _ => {}
            }
        } else if let Some(output) = hub.poll_output() {
            write!(log, "{output:?}").unwrap();
            match output {
                HubOutput::Reply { reply, .. } => link.handle_reply(now, reply),
                HubOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                    hub.at(now).accept(request);
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
            let socketio_proto::client::ClientOutput::Wire(EngineClientOutput::Get {
                wire, ..
            }) = output
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
    let mut world = World::new(ServerConfig::new());
    let (_, session) = world.connect();
    assert_eq!(session.pid, "");
}

/// Claims a session that can be recovered. Returns what the application sees of the CONNECT: the
/// authentication data in the request and after it was accepted, and whether the session was
/// recovered.
fn seen(auth: impl FnOnce(&str) -> String) -> (String, bool) {
    let mut world = recovering(|recovery| recovery.skip_authorization = false);
    let (first, session) = world.connect();
    world.cut(first);
    world.auto_accept = false;
    let client = world.open();
    world.send(client, &format!("40{}", auth(&session.pid)));
    let (request, _, asked, recoverable) = world.requested();
    let socket = world.server.at(world.now).accept(request);
    world.drain();
    let let_in = world.pick(|event| match event {
        ServerEvent::Connected { auth, .. } => Some(auth.as_str().to_owned()),
        _ => None,
    });
    assert_eq!(let_in, [asked.as_str()]);
    assert!(recoverable.is_none_or(|it| socket == Some(it)));
    (asked, recoverable.is_some())
}

/// JSON can write a name that Rust cannot hold.
#[test]
fn a_private_id_beside_a_lone_surrogate_is_taken_out() {
    let (auth, is_claimed) = seen(|pid| format!(r#"{{"pid":"{pid}","offset":"","\ud800":1}}"#));
    assert_eq!((auth.as_str(), is_claimed), (r#"{"\ud800":1}"#, true));
}

/// An answer that lets clients in without the application shows it what is left of the claim, too.
#[test]
fn a_private_id_is_taken_out_where_the_application_is_not_asked() {
    let mut world = World::with_recovery();
    let (first, session) = world.connect();
    world.cut(first);
    world.events.clear();
    world.connect_with(&format!(r#"40{{"\udfff":[],"\u0070id":"{}","offset":null}}"#, session.pid));
    let auth = world.pick(|event| match event {
        ServerEvent::Connected { auth, .. } => Some(auth.as_str().to_owned()),
        _ => None,
    });
    assert_eq!(auth, [r#"{"\udfff":[]}"#]);
}

/// A character of a JSON string as it can be written.
fn written(c: char, is_escaped: bool) -> String {
    if is_escaped { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }
}

/// A string of JSON that stands for `text`, with some of its characters escaped.
fn spelled(text: &str, escapes: u32) -> String {
    let spelled = text.char_indices().map(|(i, c)| written(c, escapes >> (i % 32) & 1 == 1));
    format!("\"{}\"", spelled.collect::<String>())
}

/// Contents of strings, with what Rust can hold and what it cannot.
fn string() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-zé😀 ]{0,3}",
        "\\\\u[dD][89a-fA-F][0-9a-f]{2}",
        "\\\\[\"\\\\/bfnrt]",
        Just("pid".to_owned()),
        Just("offset".to_owned()),
    ];
    vec(part, 0..4).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

/// Any JSON value as text.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,4})?",
        string(),
        (1_usize..3_000).prop_map(|deep| format!("{}{}", "[".repeat(deep), "]".repeat(deep))),
        (1_usize..50_000).prop_map(|long| format!("\"{}\"", "x".repeat(long))),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|values| format!("[{}]", values.join(" , "))),
            vec((string(), inner), 0..4).prop_map(|members| {
                let members = members.iter().map(|(name, value)| format!("{name}: {value}"));
                format!("{{ {}}}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

/// What a member that belongs to the claim holds.
#[derive(Clone, Debug)]
enum Claimed {
    PrivateId { name: u32, value: u32 },
    OtherPid { name: u32, value: String },
    Offset { name: u32, value: String },
}

fn claimed() -> impl Strategy<Value = Claimed> {
    prop_oneof![
        4 => any::<(u32, u32)>().prop_map(|(name, value)| Claimed::PrivateId { name, value }),
        1 => (any::<u32>(), value()).prop_map(|(name, value)| Claimed::OtherPid { name, value }),
        1 => (any::<u32>(), value()).prop_map(|(name, value)| Claimed::Offset { name, value }),
    ]
}

proptest! {
    #![proptest_config(crate::random::cases(300))]

    /// Whatever else an object holds, the application sees all of that and nothing of the claim.
    #[test]
    fn the_application_never_sees_a_private_id(
        others in vec((string(), value()), 0..6),
        claim in vec((any::<prop::sample::Index>(), claimed()), 0..4),
        (name, spelling, place) in any::<(u32, u32, prop::sample::Index)>(),
        gap in "[ \t\n\r]{0,2}",
    ) {
        let is_own = |(name, _): &(String, String)| {
            ["pid", "offset"].iter().any(|own| serde_json::from_str::<String>(name).is_ok_and(|name| name == *own))
        };
        let others: Vec<_> = others.into_iter().filter(|member| !is_own(member)).collect();
        let mut pids = Vec::new();
        let (auth, is_claimed) = seen(|pid| {
            let mut members: Vec<(String, String, Option<bool>)> =
                others.iter().map(|(name, value)| (name.clone(), value.clone(), None)).collect();
            let own = Claimed::PrivateId { name, value: spelling };
            for (place, member) in claim.iter().cloned().chain([(place, own)]) {
                let place = place.index(members.len() + 1);
                members.insert(place, match member {
                    Claimed::PrivateId { name, value } => {
                        (spelled("pid", name), spelled(pid, value), Some(true))
                    }
                    Claimed::OtherPid { name, value } => (spelled("pid", name), value, Some(false)),
                    Claimed::Offset { name, value } => (spelled("offset", name), value, None),
                });
            }
            pids = members.iter().filter_map(|(_, _, is_real)| *is_real).collect();
            let members = members
                .iter()
                .map(|(name, value, _)| format!("{gap}{name}{gap}:{gap}{value}{gap}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        });
        let rest: Vec<_> = others.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        prop_assert_eq!(auth, format!("{{{}}}", rest.join(",")));
        // The last of several counts, and an offset that was made up is no good.
        let has_offset = claim.iter().any(|(_, it)| matches!(it, Claimed::Offset { .. }));
        if !has_offset {
            prop_assert_eq!(is_claimed, *pids.last().unwrap());
        }
    }
}
