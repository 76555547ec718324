//! Links around a hub: a message from an old link arrives after the session has moved to another
//! link.
//!
//! With `Server`, this cannot happen: it closes the old link before the link can send another
//! message. But a link on another thread can send messages before it learns that it is closed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use socketio_proto::{
    ByteString, ConnectionId, EngineId, RecoveryConfig, ServerConfig, SocketKey, Timestamp, WireId,
    engine::{EngineInput, EngineOutput, Frame, Transport},
    hub::{AckFailure, AckToken, Audience, Hub, HubOutput, Request, ServerEvent},
    link::{Link, LinkOutput},
    socket::Args,
};

use crate::support::{counting_entropy, event};

const NOW: Timestamp = Timestamp::from_millis(1_000);

/// A hub, and links whose words wait until they are carried.
struct Threads {
    hub: Hub<u32>,
    config: Arc<ServerConfig>,
    links: BTreeMap<u64, Link>,
    waiting: BTreeMap<u64, Vec<Request>>,
    sent: BTreeMap<u64, Vec<String>>,
    received: Vec<(u64, Option<AckToken>)>,
    connected: Vec<SocketKey>,
    acked: Vec<Args>,
    failed: Vec<AckFailure>,
    /// How many answered broadcasts, and how many did not.
    collected: Vec<(usize, usize)>,
}

impl Threads {
    fn new() -> Self {
        let mut recovery = RecoveryConfig::default();
        recovery.count_events = true;
        recovery.replay_ack_events = true;
        Self::with(recovery)
    }

    fn with(recovery: RecoveryConfig) -> Self {
        let config = Arc::new(ServerConfig::new().recovery(recovery));
        let mut hub = Hub::new(config.clone(), counting_entropy()).unwrap();
        hub.at(Timestamp::ZERO).add_namespace("/").unwrap();
        Self {
            hub,
            config,
            links: BTreeMap::new(),
            waiting: BTreeMap::new(),
            sent: BTreeMap::new(),
            received: Vec::new(),
            connected: Vec::new(),
            acked: Vec::new(),
            failed: Vec::new(),
            collected: Vec::new(),
        }
    }

    fn open(&mut self, name: u64) {
        let id = EngineId::parse(&format!("AAAAAAAAAAAAAAAAAAA{name}")).unwrap();
        let link = Link::new(NOW, self.config.clone(), id, Transport::WebSocket, WireId(name));
        self.links.insert(name, link);
    }

    /// The link takes a packet; what it has to say to the hub waits.
    fn send(&mut self, name: u64, packet: &str) {
        let frame = Frame::Text(ByteString::from(packet));
        let input = EngineInput::Frame { wire: WireId(name), frame };
        self.links.get_mut(&name).unwrap().handle_input(NOW, input);
        self.collect(name);
    }

    fn collect(&mut self, name: u64) {
        while let Some(output) = self.links.get_mut(&name).and_then(Link::poll_output) {
            match output {
                LinkOutput::Hub(request) => self.waiting.entry(name).or_default().push(request),
                LinkOutput::Wire(EngineOutput::Send { frame: Frame::Text(text), .. }) => {
                    self.sent.entry(name).or_default().push(text.to_string());
                }
                _ => {}
            }
        }
    }

    /// What the link has said reaches the hub, and what the hub says reaches the links.
    fn carry(&mut self, name: u64) {
        for request in self.waiting.remove(&name).unwrap_or_default() {
            self.hub.handle_request(NOW, ConnectionId::from_raw(name), request);
        }
        self.settle_hub();
    }

    /// What the link has said reaches the hub, which decides; what it says is on its way.
    fn decide(&mut self, name: u64) -> Vec<HubOutput<u32>> {
        for request in self.waiting.remove(&name).unwrap_or_default() {
            self.hub.handle_request(NOW, ConnectionId::from_raw(name), request);
        }
        let mut late = Vec::new();
        while let Some(output) = self.hub.poll_output() {
            match output {
                HubOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                    self.hub.at(NOW).accept(request);
                }
                output => late.push(output),
            }
        }
        late
    }

    fn settle_hub(&mut self) {
        let outputs = core::iter::from_fn(|| self.hub.poll_output()).collect();
        self.settle(outputs);
    }

    fn settle(&mut self, outputs: Vec<HubOutput<u32>>) {
        let mut outputs = std::collections::VecDeque::from(outputs);
        while let Some(output) = outputs.pop_front().or_else(|| self.hub.poll_output()) {
            match output {
                HubOutput::Reply { to, reply } => {
                    let name = to.as_raw();
                    self.links.get_mut(&name).unwrap().handle_reply(NOW, reply);
                    self.collect(name);
                }
                HubOutput::Deliver(delivery) => {
                    for to in delivery.recipients() {
                        self.links.get_mut(&to.as_raw()).unwrap().deliver(NOW, &delivery);
                        self.collect(to.as_raw());
                    }
                }
                HubOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                    self.hub.at(NOW).accept(request);
                }
                HubOutput::Event(ServerEvent::Acked { args, .. }) => self.acked.push(args),
                HubOutput::Event(ServerEvent::AckFailed { cause, .. }) => self.failed.push(cause),
                HubOutput::Event(ServerEvent::BroadcastAcked { responses, missing, .. }) => {
                    self.collected.push((responses.len(), missing));
                }
                HubOutput::Event(ServerEvent::Connected { socket, .. }) => {
                    self.connected.push(socket);
                }
                HubOutput::Event(ServerEvent::Received { event, ack, .. }) => {
                    self.received.push((event.get(0).unwrap(), ack));
                }
                _ => {}
            }
        }
    }

    /// A client that counts its events joins over the link 1; then its session moves to the link 2,
    /// while `late` waits on its way from the first.
    fn moved(late: &[&str]) -> Self {
        let mut threads = Self::new();
        threads.open(1);
        threads.send(1, "40");
        threads.carry(1);
        threads.send(1, "43[]");
        threads.send(1, r#"42["m",1]"#);
        threads.carry(1);
        assert_eq!(threads.numbers(), [1]);
        let answer = threads.sent[&1].iter().find(|text| text.starts_with("40{")).unwrap();
        let pid = answer.split('"').nth(7).unwrap().to_owned();
        for packet in late {
            threads.send(1, packet);
        }
        threads.open(2);
        threads.send(2, &format!(r#"40{{"pid":"{pid}"}}"#));
        threads.carry(2);
        threads.send(2, "43[]");
        threads.carry(2);
        assert_eq!(threads.connected[0], threads.connected[1], "recovered");
        threads
    }

    fn numbers(&mut self) -> Vec<u64> {
        self.received.drain(..).map(|(number, _)| number).collect()
    }

    fn last_sent(&self, name: u64) -> &str {
        self.sent[&name].last().map_or("", |text| text)
    }
}

/// The hub has told the client how many events it has, and the client sends the rest on the new
/// link. An event from the old link would be counted twice, or in the place of another event.
#[test]
fn an_event_that_arrives_after_the_session_has_moved_is_not_counted() {
    let mut threads = Threads::moved(&[r#"42["m",2]"#, r#"42["m",3]"#]);
    assert_eq!(threads.last_sent(2), "43[1]");
    threads.carry(1);
    assert!(threads.numbers().is_empty(), "not delivered");
    threads.send(2, "43[]");
    threads.carry(2);
    assert_eq!(threads.last_sent(2), "43[1]", "nor counted");
    for packet in [r#"42["m",2]"#, r#"42["m",3]"#, "43[]"] {
        threads.send(2, packet);
    }
    threads.carry(2);
    assert_eq!((threads.numbers(), threads.last_sent(2)), (vec![2, 3], "43[3]"), "once");
}

#[test]
fn an_event_that_arrives_while_its_session_is_parked_is_not_counted() {
    let mut threads = Threads::moved(&[r#"42["m",2]"#]);
    threads
        .links
        .get_mut(&2)
        .unwrap()
        .handle_input(NOW, EngineInput::WireClosed { wire: WireId(2) });
    threads.collect(2);
    threads.carry(2);
    assert!(!threads.hub.is_connected(threads.connected[0]));
    threads.carry(1);
    assert!(threads.numbers().is_empty());
}

/// Its answer would stand for the arrival of what was sent on another link.
#[test]
fn a_question_of_a_former_link_is_not_answered() {
    let mut threads = Threads::moved(&["43[]"]);
    let said = threads.sent.clone();
    threads.carry(1);
    assert_eq!(threads.sent, said);
}

/// The end of the old link is not the end of the session.
#[test]
fn a_former_link_that_is_lost_does_not_park_the_session() {
    let mut threads = Threads::moved(&[]);
    threads
        .links
        .get_mut(&1)
        .unwrap()
        .handle_input(NOW, EngineInput::WireClosed { wire: WireId(1) });
    threads.collect(1);
    threads.carry(1);
    assert!(threads.hub.is_connected(threads.connected[0]));
}

/// The link has nothing left to say and is dropped before it hears that its client was let in.
#[test]
fn a_client_that_goes_while_it_is_let_in_leaves_no_ghost() {
    let mut threads = Threads::new();
    threads.open(1);
    threads.send(1, "40");
    let connect = threads.waiting.remove(&1).unwrap().remove(0);
    threads.hub.handle_request(NOW, ConnectionId::from_raw(1), connect);
    let Some(HubOutput::Event(ServerEvent::ConnectRequested { request, .. })) =
        threads.hub.poll_output()
    else {
        panic!("it asks to join");
    };
    let socket = threads.hub.at(NOW).accept(request).unwrap();
    let link = threads.links.get_mut(&1).unwrap();
    link.handle_input(NOW, EngineInput::WireClosed { wire: WireId(1) });
    threads.collect(1);
    assert!(threads.links.remove(&1).unwrap().is_finished());
    while threads.hub.poll_output().is_some() {}
    threads.carry(1);
    assert!(!threads.hub.is_connected(socket));
    assert!(threads.hub.socket_id(socket).is_some(), "the client may come back for its session");
}

/// The hub lets the client in for a CONNECT that the client has replaced meanwhile.
#[test]
fn an_answer_to_an_older_connect_is_none_to_the_newest() {
    let mut threads = Threads::new();
    threads.open(1);
    threads.send(1, r#"40{"n":1}"#);
    let late = threads.decide(1);
    threads.send(1, r#"40{"n":2}"#);
    threads.settle(late);
    let first = threads.connected[0];
    assert!(threads.sent[&1].iter().all(|text| !text.starts_with("40")), "nothing yet");
    threads.hub.at(NOW).emit(first, &event("lost", 1)).unwrap();
    threads.settle_hub();
    threads.carry(1);
    let second = threads.connected[1];
    assert_ne!(first, second);
    assert_eq!(threads.sent[&1].iter().filter(|text| text.starts_with("40{")).count(), 1);
    assert!(!threads.hub.is_connected(first) && threads.hub.is_connected(second));
    threads.carry(1);
    threads.hub.at(NOW).emit(second, &event("m", 2)).unwrap();
    threads.settle_hub();
    let events = threads.sent[&1].iter().filter(|text| text.starts_with("42")).count();
    assert_eq!(events, 1, "what was for the older session did not reach the client");
}

/// The session that was recovered for the older CONNECT was never seen: the newest has it.
#[test]
fn a_recovery_for_an_older_connect_can_be_claimed_by_the_newest() {
    let mut threads = Threads::moved(&[]);
    let socket = threads.connected[0];
    let answer = threads.sent[&2].iter().find(|text| text.starts_with("40{")).unwrap();
    let pid = answer.split('"').nth(7).unwrap().to_owned();
    threads.hub.at(NOW).emit(socket, &event("m", 7)).unwrap();
    threads.open(3);
    threads.send(3, &format!(r#"40{{"pid":"{pid}","n":1}}"#));
    let late = threads.decide(3);
    threads.send(3, &format!(r#"40{{"pid":"{pid}","n":2}}"#));
    threads.settle(late);
    threads.carry(3);
    threads.carry(3);
    assert!(threads.hub.is_connected(socket));
    let sent = &threads.sent[&3];
    assert_eq!(sent.iter().filter(|text| text.starts_with("40{")).count(), 1);
    assert_eq!(sent.iter().filter(|text| text.starts_with("42[\"m\",7")).count(), 1, "{sent:?}");
}

/// The client leaves while the answer to a replacing CONNECT is on its way.
#[test]
fn who_leaves_while_a_replacing_connect_is_answered_leaves_no_ghost() {
    for is_lost in [false, true] {
        let mut threads = Threads::new();
        threads.open(1);
        threads.send(1, r#"40{"n":1}"#);
        threads.carry(1);
        threads.send(1, r#"40{"n":2}"#);
        let late = threads.decide(1);
        if is_lost {
            let lost = EngineInput::WireClosed { wire: WireId(1) };
            threads.links.get_mut(&1).unwrap().handle_input(NOW, lost);
            threads.collect(1);
        } else {
            threads.send(1, "41");
        }
        threads.settle(late);
        threads.carry(1);
        threads.carry(1);
        for socket in threads.connected.clone() {
            assert!(!threads.hub.is_connected(socket), "lost {is_lost}");
        }
        assert_eq!(threads.connected.len(), 2);
        let is_kept = threads.hub.socket_id(threads.connected[1]).is_some();
        assert_eq!(is_kept, is_lost, "who is lost may come back, who has left does not");
    }
}

/// Three CONNECTs, two answers on their way: the session of the second must not be taken for that of
/// the first.
#[test]
fn packets_of_a_session_that_the_client_never_saw_do_not_reach_it() {
    let mut threads = Threads::new();
    threads.open(1);
    threads.send(1, r#"40{"n":1}"#);
    threads.carry(1);
    threads.send(1, r#"40{"n":2}"#);
    let mut late = threads.decide(1);
    let second = late.iter().find_map(|output| match output {
        HubOutput::Event(ServerEvent::Connected { socket, .. }) => Some(*socket),
        _ => None,
    });
    threads.hub.at(NOW).emit(second.unwrap(), &event("m", 2)).unwrap();
    late.extend(threads.decide(1));
    threads.send(1, r#"40{"n":3}"#);
    threads.settle(late);
    threads.carry(1);
    threads.carry(1);
    let sent = &threads.sent[&1];
    assert!(sent.iter().all(|text| !text.starts_with("42")), "{sent:?}");
    assert_eq!(sent.iter().filter(|text| text.starts_with("40{")).count(), 2);
    assert!(threads.hub.is_connected(*threads.connected.last().unwrap()));
}

/// An answer to an event of the old link is sent on the current one: the session has the event, and
/// the client still waits.
#[test]
fn an_answer_finds_the_present_link() {
    let mut threads = Threads::new();
    threads.open(1);
    threads.send(1, "40");
    threads.carry(1);
    threads.send(1, "43[]");
    threads.send(1, r#"427["m",1]"#);
    threads.carry(1);
    let answer = threads.sent[&1].iter().find(|text| text.starts_with("40{")).unwrap();
    let pid = answer.split('"').nth(7).unwrap().to_owned();
    threads.open(2);
    threads.send(2, &format!(r#"40{{"pid":"{pid}"}}"#));
    threads.carry(2);
    let (_, token) = threads.received.pop().unwrap();
    assert!(threads.hub.at(NOW).ack(token.unwrap(), &Args::new(&("ok",)).unwrap()));
    threads.settle_hub();
    assert_eq!(threads.last_sent(2), r#"437["ok"]"#);
}

/// The event was sent again on the present link, and the answer to that is the one that counts.
#[test]
fn an_acknowledgement_on_a_former_link_settles_nothing() {
    let mut threads = Threads::new();
    threads.open(1);
    threads.send(1, "40");
    threads.carry(1);
    let socket = threads.connected[0];
    threads.hub.at(NOW).emit_with_ack(socket, &event("m", 1), Duration::from_secs(9)).unwrap();
    threads.settle_hub();
    assert_eq!(threads.last_sent(1), r#"420["m",1]"#);
    let answer = threads.sent[&1].iter().find(|text| text.starts_with("40{")).unwrap();
    let pid = answer.split('"').nth(7).unwrap().to_owned();
    threads.send(1, r#"430["earlier"]"#);
    threads.open(2);
    threads.send(2, &format!(r#"40{{"pid":"{pid}"}}"#));
    threads.carry(2);
    assert_eq!(threads.last_sent(2), r#"420["m",1]"#);
    threads.carry(1);
    assert_eq!(threads.acked, []);
    threads.send(2, r#"430["present"]"#);
    threads.carry(2);
    assert_eq!(threads.acked, [Args::new(&("present",)).unwrap()]);
}

/// An event that is not replayed will not be answered on the new link, and an answer on the old link
/// does not count any more.
#[test]
fn an_acknowledgement_that_is_not_replayed_fails_when_the_session_moves() {
    let mut threads = Threads::with(RecoveryConfig::default());
    threads.open(1);
    threads.send(1, "40");
    threads.carry(1);
    let (socket, hour) = (threads.connected[0], Duration::from_secs(3600));
    threads.hub.at(NOW).emit_with_ack(socket, &event("m", 1), hour).unwrap();
    let everyone = Audience::all();
    threads.hub.at(NOW).broadcast_with_ack("/", &everyone, &event("m", 2), hour).unwrap();
    threads.settle_hub();
    let answer = threads.sent[&1].iter().find(|text| text.starts_with("40{")).unwrap();
    let pid = answer.split('"').nth(7).unwrap().to_owned();
    for packet in [r#"430["earlier"]"#, r#"431["earlier"]"#] {
        threads.send(1, packet);
    }
    threads.open(2);
    threads.send(2, &format!(r#"40{{"pid":"{pid}"}}"#));
    threads.carry(2);
    assert_eq!(threads.connected[0], threads.connected[1], "recovered");
    assert_eq!(threads.failed, [AckFailure::Disconnected]);
    assert_eq!(threads.collected, [(0, 1)], "the broadcast misses one");
    threads.carry(1);
    assert_eq!((threads.acked.len(), threads.failed.len(), threads.collected.len()), (0, 1, 1));
    assert_eq!(threads.hub.stats().pending_acks, 0);
}
