//! What clients claim to have been: offsets and CONNECTs that present a private id.

use std::str;

use socketio_proto::{
    RecoveryConfig, ServerConfig, SocketKey, Timestamp, WireId,
    engine::{Frame, Transport},
    recovery::{Offset, RecoveryOutcome},
    server::{Server, ServerEvent, ServerInput, ServerOutput},
    socket::{self, Json},
};
use socketio_proto_sim::wire as packets;

use super::{history::history, source::Source};

/// Recovery: one offset, the JSON of one CONNECT, or what becomes of sessions over time.
pub fn recovery(data: &[u8]) {
    let mut source = Source::new(data);
    match source.below(4) {
        0 => offset(source.rest()),
        1 => claim(source.rest()),
        _ => history(source),
    }
}

/// Every offset has one spelling.
fn offset(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if let Ok(offset) = text.parse::<Offset>() {
        assert_eq!(offset.to_string(), text);
    }
}

/// Whatever a CONNECT claims, the client gets either the session whose private id it knows, with
/// exactly what was missed after the offset, or a new one; and the session's owner can still
/// recover it afterwards.
///
/// The bytes are the JSON of the CONNECT, in which `$pid` stands for the private id of a parked
/// session and `$0` to `$9` for offsets around its log.
fn claim(data: &[u8]) {
    let Ok(template) = str::from_utf8(data) else {
        return;
    };
    let mut world = World::new();
    let (owner, pid, offsets) = world.park();
    let mut auth = template.replace("$pid", &pid);
    for (index, offset) in offsets.iter().enumerate() {
        auth = auth.replace(&format!("${index}"), offset);
    }
    let claim = world.connect(&auth);
    match claim.outcome {
        Some((socket, RecoveryOutcome::Recovered { replayed })) => {
            assert_eq!(socket, owner);
            assert!(auth.contains(&pid), "nobody recovers by guessing");
            check_replay(&offsets, &auth, &claim.frames, replayed);
        }
        Some((socket, _)) => {
            assert_ne!(socket, owner);
            assert_eq!(claim.frames.len(), 1, "CONNECT and nothing that was another's");
        }
        None => {
            // The bytes may name a namespace, which there is not.
            let is_refused = claim.frames.iter().any(|frame| frame.starts_with("44"));
            assert!(claim.is_closed || is_refused, "an answer, or the end: {auth}");
        }
    }
    let again = world.connect(&format!("{{\"pid\":\"{pid}\"}}"));
    let outcome = again.outcome.map(|(socket, outcome)| (socket, outcome.is_recovered()));
    assert_eq!(outcome, Some((owner, true)), "{auth}");
    assert_eq!(again.frames.len(), 1 + PACKETS, "all since the floor");
}

/// Packets that the parked session missed.
const PACKETS: usize = 3;

/// The replay is what follows one of the offsets presented, or everything.
fn check_replay(offsets: &[String], auth: &str, frames: &[String], replayed: usize) {
    assert_eq!(frames.len(), 1 + replayed);
    let is_presented = |skipped: usize| {
        offsets.get(skipped).is_some_and(|offset| auth.contains(offset.as_str()))
            // Escapes in the JSON may hide the offset.
            || auth.contains('\\')
    };
    assert!(replayed == PACKETS || is_presented(PACKETS - replayed), "{auth}: {replayed}");
    for (number, frame) in (PACKETS - replayed..).zip(frames.iter().skip(1)) {
        assert!(frame.starts_with(&format!("42[\"missed\",{number},")), "{frame}");
    }
}

struct World {
    server: Server,
    now: Timestamp,
    wire: u64,
}

#[derive(Default)]
struct Answer {
    outcome: Option<(SocketKey, RecoveryOutcome)>,
    frames: Vec<String>,
    is_closed: bool,
}

impl World {
    fn new() -> Self {
        let mut state = 0_u8;
        let entropy = move |dest: &mut [u8]| {
            state = state.wrapping_add(1);
            dest.fill(state);
        };
        let config = ServerConfig::new().recovery(RecoveryConfig::default());
        let Ok(mut server) = Server::new(config, entropy) else {
            unreachable!("the configuration is valid");
        };
        assert_eq!(server.at(Timestamp::ZERO).add_namespace("/"), Ok(()));
        Self { server, now: Timestamp::from_millis(1_000), wire: 0 }
    }

    /// Parks a session that has missed three packets. Its offsets are those from the floor to the
    /// head.
    fn park(&mut self) -> (SocketKey, String, Vec<String>) {
        let answer = self.connect("");
        let pid = answer.frames.first().and_then(|frame| between(frame, "\"pid\":\"", "\""));
        let (Some((socket, _)), Some(pid)) = (answer.outcome, pid) else {
            unreachable!("the first client is let in: {:?}", answer.frames);
        };
        let mut offsets = Vec::new();
        let pid = pid.to_string();
        for number in 0..PACKETS {
            let Ok(event) = socket::Event::new("missed", &(number,)) else {
                unreachable!("a number is JSON");
            };
            assert_eq!(self.server.at(self.now).emit(socket, &event), Ok(()));
        }
        for frame in self.drain().frames {
            let offset = frame.rsplit(",\"").next().and_then(|tail| tail.strip_suffix("\"]"));
            offsets.extend(offset.map(String::from));
        }
        let epoch = offsets.first().and_then(|offset| offset.strip_suffix("-1"));
        let Some(epoch) = epoch else {
            unreachable!("events carry their offsets");
        };
        let floor = format!("{epoch}-0");
        offsets.insert(0, floor);
        self.input(|wire| ServerInput::WireClosed { wire });
        assert_eq!(self.server.stats().parked_sessions, 1);
        (socket, pid, offsets)
    }

    /// Opens a WebSocket and asks to join with this JSON.
    fn connect(&mut self, auth: &str) -> Answer {
        self.wire += 1;
        let query = packets::open_query(Transport::WebSocket);
        let head = packets::websocket_head(&query);
        self.input(|wire| ServerInput::WebSocketOpened { wire, head });
        let frame = packets::text(packets::connect("/", auth));
        self.input(|wire| ServerInput::Frame { wire, frame })
    }

    fn input<'a>(&mut self, input: impl FnOnce(WireId) -> ServerInput<'a>) -> Answer {
        self.server.handle_input(self.now, input(WireId(self.wire)));
        self.drain()
    }

    fn drain(&mut self) -> Answer {
        let mut answer = Answer::default();
        while let Some(output) = self.server.poll_output() {
            match output {
                ServerOutput::Send { wire, frame: Frame::Text(text) } if wire.0 == self.wire => {
                    answer.frames.push(text.to_string());
                }
                ServerOutput::Close { wire, .. } => answer.is_closed |= wire.0 == self.wire,
                ServerOutput::Event(ServerEvent::ConnectRequested { request, auth, .. }) => {
                    check_auth(&auth);
                    assert!(self.server.at(self.now).accept(request).is_some());
                }
                ServerOutput::Event(ServerEvent::Connected { socket, auth, recovery, .. }) => {
                    check_auth(&auth);
                    answer.outcome = Some((socket, recovery));
                }
                ServerOutput::Send { .. }
                | ServerOutput::Respond { .. }
                | ServerOutput::Event(_) => {}
                other => unreachable!("unknown: {other:?}"),
            }
        }
        answer
    }
}

/// The application does not see the private id.
fn check_auth(auth: &Json) {
    if let Ok(auth) = auth.parse::<serde_json::Value>() {
        assert!(auth.get("pid").is_none(), "{auth}");
    }
}

fn between<'a>(text: &'a str, before: &str, behind: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(behind).map(|(value, _)| value)
}
