//! If the recorded changes of a hub are applied again, they produce the same sessions and the same
//! logs, byte for byte.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString as _},
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;

use proptest::{
    collection::vec,
    prelude::any,
    test_runner::{Config, TestRunner},
};

use super::{
    AckToken, Attached, Audience, ConnectRequest, ConnectSerial, DisconnectReason, Hub, HubOutput,
    Once, Rejection, ReplyKind, Request, RequestKind, ServerEvent,
    sessions::{Entries, Entry, Journal, Sessions},
};
use crate::{
    AckId, ConnectionId, Limits, RecoveryConfig, ServerConfig, SocketKey, Timestamp,
    socket::{self, Args, Json, NamespaceName},
};

/// One step of a tape: an action and three parameters.
type Step = [u8; 4];

const NAMESPACES: [&str; 4] = ["/", "/static", "/dynamic-1", "/dynamic-2"];
const ROOMS: [&str; 4] = ["a", "b", "c", "d"];

fn config(flags: u8) -> Arc<ServerConfig> {
    let is_set = |bit: u8| flags & (1 << bit) != 0;
    let recovery = RecoveryConfig {
        skip_authorization: is_set(0),
        replay_ack_events: is_set(1),
        count_events: is_set(2),
        buffer_packets: 8,
        parked_sessions: 3,
        memberships: 3,
        replay_attempts: 1,
        claim_burst: 2,
        claims_per_second: 1,
        ..RecoveryConfig::default()
    };
    let limits = Limits { client_offsets: 3, pending_acks: 8, ..Limits::default() };
    let config = ServerConfig::new().limits(limits);
    Arc::new(if is_set(3) && is_set(4) { config } else { config.recovery(recovery) })
}

fn hub(config: &Arc<ServerConfig>) -> Hub<u32> {
    let mut state = 0_u32;
    let entropy = move |dest: &mut [u8]| {
        for byte in dest {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = state.to_be_bytes()[0];
        }
    };
    let mut hub = Hub::new(config.clone(), entropy).unwrap();
    hub.at(Timestamp::ZERO).add_namespaces_matching(|name| name.starts_with("/dynamic"));
    hub
}

/// Records everything from now on.
fn record(hub: &mut Hub<u32>) -> Entries<u32> {
    let entries = Entries::default();
    hub.journal = Journal::new(entries.clone());
    for namespace in hub.namespaces.values_mut() {
        namespace.sessions.journal = hub.journal.clone();
    }
    entries
}

type Rebuilt = BTreeMap<NamespaceName, Sessions<u32>>;

/// Applies the recorded changes again.
fn replay(rebuilt: &mut Rebuilt, config: &Arc<ServerConfig>, entries: &Entries<u32>) {
    for entry in entries.lock().unwrap().iter().cloned() {
        match entry {
            Entry::Made { name, epoch, next_ack } => {
                let made = Sessions::new(name.clone(), config.clone(), epoch);
                rebuilt.insert(name, made.asking_from(next_ack));
            }
            Entry::Gone { name } => {
                let sessions = rebuilt.remove(&name).unwrap();
                assert!(sessions.is_empty(), "{name} went while there were sessions");
            }
            Entry::Changed { name, now, change } => {
                rebuilt.get_mut(&name).unwrap().apply(now, change);
            }
        }
    }
}

/// Dumps the whole state of sessions and logs.
fn dump<'a>(all: impl Iterator<Item = &'a Sessions<u32>>, now: Timestamp) -> Vec<[String; 2]> {
    let mut dumps: Vec<[String; 2]> = all
        .map(|sessions| {
            let snapshot = serde_json::to_string(&sessions.snapshot(now)).unwrap();
            [sessions.dump(), snapshot]
        })
        .collect();
    dumps.sort();
    dumps
}

fn assert_rebuilt(tape: &Tape, rebuilt: &Rebuilt) {
    let hub = &tape.hub;
    let sessions = hub.namespaces.values().map(|namespace| &namespace.sessions);
    assert_eq!(dump(rebuilt.values(), tape.now), dump(sessions, tape.now));
    let indexed: BTreeSet<SocketKey> = hub.keys.values().copied().collect();
    let with_keys = rebuilt.values().flat_map(|sessions| {
        let namespace = hub.names[sessions.name()];
        let keys = sessions.with_keys();
        keys.map(move |(index, generation)| SocketKey { namespace, index, generation })
    });
    assert_eq!(with_keys.collect::<BTreeSet<_>>(), indexed, "the index of private ids");
}

/// Plays a tape, restarts, plays a second tape, and applies the recorded changes of both again.
/// Returns the kinds of changes.
fn play(flags: u8, steps: &[Step], after_restart: &[Step]) -> BTreeSet<&'static str> {
    let config = config(flags);
    let mut tape = Tape::new(hub(&config));
    let before = record(&mut tape.hub);
    tape.hub.at(Timestamp::ZERO).add_namespace("/").unwrap();
    tape.hub.at(Timestamp::ZERO).add_namespace("/static").unwrap();
    tape.play(steps);
    let mut rebuilt = Rebuilt::new();
    replay(&mut rebuilt, &config, &before);
    assert_rebuilt(&tape, &rebuilt);

    let snapshot = tape.hub.snapshot(tape.now);
    let restored = || {
        let mut hub = hub(&config);
        hub.at(Timestamp::ZERO).add_namespace("/").unwrap();
        hub.at(tape.now).restore(snapshot.clone()).unwrap();
        hub
    };
    let mut rebuilt: Rebuilt = restored()
        .namespaces
        .into_values()
        .map(|namespace| (namespace.sessions.name().clone(), namespace.sessions))
        .collect();
    let mut tape = Tape { hub: restored(), sockets: Vec::new(), ..tape };
    let after = record(&mut tape.hub);
    tape.play(after_restart);
    replay(&mut rebuilt, &config, &after);
    assert_rebuilt(&tape, &rebuilt);

    let kinds = [before, after].into_iter().flat_map(|entries| {
        let entries = entries.lock().unwrap();
        entries.iter().map(Entry::kind).collect::<Vec<_>>()
    });
    kinds.collect()
}

/// A hub, and the state of its clients and its application.
struct Tape {
    hub: Hub<u32>,
    now: Timestamp,
    sockets: Vec<Attached>,
    keys: Vec<String>,
    offsets: Vec<String>,
    requests: Vec<ConnectRequest>,
    tokens: Vec<AckToken>,
    acks: Vec<AckId>,
    serial: ConnectSerial,
    /// The latest request.
    former: Option<ConnectSerial>,
}

impl Tape {
    fn new(hub: Hub<u32>) -> Self {
        Self {
            hub,
            now: Timestamp::from_millis(1_000),
            sockets: Vec::new(),
            keys: Vec::new(),
            offsets: Vec::new(),
            requests: Vec::new(),
            tokens: Vec::new(),
            acks: Vec::new(),
            serial: ConnectSerial::default(),
            former: None,
        }
    }

    fn play(&mut self, steps: &[Step]) {
        for step in steps {
            self.step(*step);
            while let Some(output) = self.hub.poll_output() {
                self.take(output);
            }
            self.hub.namespaces.values().for_each(|namespace| namespace.sessions.audit());
            let logs = self.hub.namespaces.values().map(|it| it.sessions.log());
            self.offsets = logs.map(|log| log.head_offset().to_string()).collect();
        }
    }

    fn step(&mut self, [kind, a, b, c]: Step) {
        let socket = pick(&self.sockets, a);
        match kind % 8 {
            0 => self.connect(a, b, c),
            1 => self.decide(a, b),
            2 => self.pass_time(a, b),
            _ => {
                if let Some(socket) = socket {
                    match kind % 4 {
                        0 => self.lose(socket, b, c),
                        1 => self.administer(socket, b, c),
                        2 => self.emit(socket, b, c),
                        _ => self.receive(socket, b, c),
                    }
                }
            }
        }
    }

    fn connect(&mut self, a: u8, b: u8, c: u8) {
        let connection = ConnectionId::from_raw(u64::from(c % 6));
        let namespace: NamespaceName = NamespaceName::new(NAMESPACES[usize::from(b % 4)]).unwrap();
        let key = pick(&self.keys, a >> 1).filter(|_| a & 1 == 0);
        let auth = key.map(|key| {
            let offset = pick(&self.offsets, b >> 2);
            let offset = offset.filter(|_| c & 0x80 == 0).unwrap_or_default();
            Json::from_text(&format!(r#"{{"pid":"{key}","offset":"{offset}"}}"#)).unwrap()
        });
        let replaced = self.sockets.iter().rev().copied().find(|socket| {
            let is_here = self.hub.connection(socket.key) == Some(connection);
            is_here && self.hub.namespace(socket.key) == Some(&namespace)
        });
        let serial = self.serial.take();
        let former = self.former.replace(serial).filter(|_| c & 0x40 != 0);
        let kind = RequestKind::Connect { namespace, serial, auth, former, replaced };
        self.request(connection, kind);
    }

    /// The application answers a request, or the client withdraws it.
    fn decide(&mut self, a: u8, b: u8) {
        let Some(request) = pick(&self.requests, b) else {
            return;
        };
        if a.is_multiple_of(4) {
            self.hub.at(self.now).reject(request, &Rejection::new("no"));
        } else {
            self.hub.at(self.now).accept(request);
        }
    }

    fn pass_time(&mut self, a: u8, b: u8) {
        let unit = if a.is_multiple_of(8) { 10_000 } else { 50 };
        self.now = self.now.saturating_add(Duration::from_millis(unit * u64::from(b)));
        self.hub.handle_timeout(self.now);
    }

    fn lose(&mut self, socket: Attached, b: u8, c: u8) {
        let from = self.hub.connection(socket.key).unwrap_or(ConnectionId::from_raw(9));
        let reason = DisconnectReason::PingTimeout;
        match b % 5 {
            0 => {
                self.hub.at(self.now).disconnect(socket.key, c.is_multiple_of(2));
            }
            1 => {
                let reason = DisconnectReason::ClientNamespaceDisconnect;
                self.request(from, RequestKind::Detach { socket, reason });
            }
            2 => self.request(from, RequestKind::Leave { socket, reason }),
            _ => self.request(from, RequestKind::Detach { socket, reason }),
        }
    }

    fn administer(&mut self, socket: Attached, b: u8, c: u8) {
        let room = ROOMS[usize::from(c % 4)];
        let key = socket.key;
        let namespace = NAMESPACES[usize::from(c % 2)];
        match b % 8 {
            0..3 => drop(self.hub.at(self.now).join(key, room)),
            3 | 4 => {
                self.hub.at(self.now).leave(key, room);
            }
            5 => drop(self.hub.at(self.now).set_data(key, u32::from(c))),
            6 => drop(self.hub.at(self.now).update_data(key, |data| *data += u32::from(c))),
            // Rooms named after sessions.
            _ => {
                let id = self.hub.socket_id(key).map(|id| id.to_string());
                let everyone = Audience::all();
                self.hub
                    .at(self.now)
                    .sockets_join(namespace, &everyone, &id.unwrap_or_default())
                    .ok();
            }
        }
    }

    fn emit(&mut self, socket: Attached, b: u8, c: u8) {
        let event = socket::Event::new("e", &(u32::from(c),)).unwrap();
        let (now, key) = (self.now, socket.key);
        let namespace = NAMESPACES[usize::from(c % 4)];
        let room = ROOMS[usize::from(c >> 6)];
        let timeout = Duration::from_millis(u64::from(c) * 20);
        let audience = match c % 3 {
            0 => Audience::all(),
            1 => Audience::all().to(room),
            _ => Audience::all().except(room),
        };
        match b % 6 {
            0 => drop(self.hub.at(now).emit(key, &event)),
            1 => drop(self.hub.at(now).emit_volatile(key, &event)),
            2 => self.acks.extend(self.hub.at(now).emit_with_ack(key, &event, timeout).ok()),
            3 => {
                let ack =
                    self.hub.at(now).broadcast_with_ack(namespace, &audience, &event, timeout);
                self.acks.extend(ack.ok());
            }
            _ => drop(self.hub.at(now).broadcast(namespace, &audience, &event)),
        }
    }

    /// A message from a client, or the application's answer to it.
    fn receive(&mut self, socket: Attached, b: u8, c: u8) {
        let from = self.hub.connection(socket.key).unwrap_or(ConnectionId::from_raw(9));
        let args = Args::new(&(c,)).unwrap();
        let token = usize::from(c).checked_rem(self.tokens.len());
        match b % 7 {
            0 => {
                if let Some(ack) = pick(&self.acks, c) {
                    self.request(from, RequestKind::Ack { socket, id: ack.id, args });
                }
            }
            1 | 2 => {
                let event = socket::Event::new("e", &()).unwrap();
                let ack = c.is_multiple_of(2).then_some(u64::from(c));
                self.request(from, RequestKind::Event { socket, event, ack });
            }
            3 => {
                let ids = (0..u64::from(c % 8)).collect();
                self.request(from, RequestKind::Confirm { socket, ids });
            }
            4 => {
                let token = AckToken::new(socket, u64::from(c));
                let offset = format!("{}", c % 5);
                let once = self.hub.at(self.now).accept_once(socket.key, &offset, Some(token));
                if let Ok(Once::Fresh(token)) = once {
                    self.tokens.extend(token);
                }
            }
            kind => {
                if let Some(token) = token.map(|index| self.tokens.swap_remove(index)) {
                    let mut at = self.hub.at(self.now);
                    if kind == 5 {
                        at.ack(token, &args)
                    } else {
                        at.withdraw(token)
                    };
                }
            }
        }
    }

    fn request(&mut self, from: ConnectionId, kind: RequestKind) {
        self.hub.handle_request(self.now, from, Request(kind));
    }

    fn take(&mut self, output: HubOutput<u32>) {
        match output {
            HubOutput::Reply { reply, .. } => {
                if let ReplyKind::Connected { socket, .. } = reply.0 {
                    self.sockets.push(socket);
                    let namespace = &self.hub.namespaces[&socket.key.namespace];
                    let key = namespace.member(socket.key).and_then(|member| member.key);
                    self.keys.extend(key.map(|key| key.expose().to_string()));
                }
            }
            HubOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                self.requests.push(request);
            }
            HubOutput::Event(ServerEvent::Received { ack, .. }) => self.tokens.extend(ack),
            HubOutput::Event(_) | HubOutput::Deliver(_) => {}
        }
    }
}

fn pick<T: Clone>(list: &[T], choice: u8) -> Option<T> {
    let index = usize::from(choice).checked_rem(list.len())?;
    list.get(index).cloned()
}

#[test]
fn changes_made_again_give_the_same_sessions() {
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let tapes = (any::<u8>(), vec(any::<Step>(), 0..200), vec(any::<Step>(), 0..60));
    let kinds = core::cell::RefCell::new(BTreeSet::new());
    let mut runner = TestRunner::new(config);
    let played = runner.run(&tapes, |(flags, before, after)| {
        kinds.borrow_mut().extend(play(flags, &before, &after));
        Ok(())
    });
    if let Err(failure) = played {
        panic!("{failure}\n{runner}");
    }
    let missing: Vec<&str> =
        Entry::<u32>::KINDS.into_iter().filter(|kind| !kinds.borrow().contains(*kind)).collect();
    assert!(missing.is_empty(), "no tape has {missing:?}");
}
