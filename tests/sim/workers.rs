//! Links on many workers around one hub. Messages between them have delays. Only the order from the
//! hub to one link, and from one link to the hub, is kept.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use socketio_proto::{
    ConnectionId, EngineId, Entropy, ServerConfig, Timestamp, WireId,
    engine::{
        CloseReason, EngineInput, EngineOutput, Method, RequestHead, RequestRefusal, Transport,
        Verified, verify,
    },
    hub::{Delivery, Hub, HubOutput, Reply, Request, ServerEvent},
    link::{Link, LinkEvent, LinkOutput},
    server::{ServerInput, ServerOutput, Stats},
};

use crate::{backend::Data, dice::Dice};

pub struct Workers {
    hub: Hub<Data>,
    config: Arc<ServerConfig>,
    ids: Dice,
    dice: Dice,
    delay: u64,
    links: BTreeMap<ConnectionId, Slot>,
    sids: BTreeMap<EngineId, ConnectionId>,
    wires: BTreeMap<WireId, ConnectionId>,
    next_connection: u64,
    /// On their way, by the time of their arrival.
    mails: BTreeMap<(Timestamp, u64), (ConnectionId, Mail)>,
    next_mail: u64,
    out: VecDeque<ServerOutput<Data>>,
    now: Timestamp,
}

struct Slot {
    link: Link,
    /// When the last message from it reaches the hub, and the last one to it.
    up_at: Timestamp,
    down_at: Timestamp,
}

enum Mail {
    Request(Request),
    Reply(Reply),
    Delivery(Delivery),
}

impl Workers {
    pub fn new(
        config: Arc<ServerConfig>,
        entropy: impl Entropy + 'static,
        mut dice: Dice,
        delay: Duration,
    ) -> Self {
        let seed = dice.next();
        let hub = Hub::new(config.clone(), entropy).unwrap();
        Self {
            hub,
            config,
            ids: Dice::keyed(seed, &[1]),
            dice: Dice::keyed(seed, &[2]),
            delay: u64::try_from(delay.as_micros()).unwrap(),
            links: BTreeMap::new(),
            sids: BTreeMap::new(),
            wires: BTreeMap::new(),
            next_connection: 1,
            mails: BTreeMap::new(),
            next_mail: 0,
            out: VecDeque::new(),
            now: Timestamp::ZERO,
        }
    }

    pub fn hub(&self) -> &Hub<Data> {
        &self.hub
    }

    pub fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    /// A message of the application to the hub.
    pub fn call<T>(&mut self, verb: impl FnOnce(&mut Hub<Data>) -> T) -> T {
        let result = verb(&mut self.hub);
        self.collect_hub();
        result
    }

    pub fn verify(&self, head: &RequestHead<'_>) -> Result<Verified<ConnectionId>, RequestRefusal> {
        verify(head, &self.config, |sid| {
            let connection = *self.sids.get(sid)?;
            Some((connection, self.links.get(&connection)?.link.transport()))
        })
    }

    pub fn input(&mut self, now: Timestamp, input: &ServerInput<'_>) {
        self.now = self.now.max(now);
        match input {
            ServerInput::Request { wire, head, body } => {
                let input = match head.method {
                    Method::Get => EngineInput::Poll { wire: *wire },
                    Method::Post => {
                        EngineInput::Post { wire: *wire, body: body.clone(), binary: head.binary }
                    }
                    Method::Other => EngineInput::OtherMethod { wire: *wire },
                };
                self.open_wire(*wire, head, input);
            }
            ServerInput::WebSocketOpened { wire, head } => {
                let head = RequestHead { upgrade: true, ..*head };
                self.open_wire(*wire, &head, EngineInput::WebSocketOpened { wire: *wire });
            }
            ServerInput::Body { wire, body } => {
                self.wire(*wire, EngineInput::Body { wire: *wire, body: body.clone() });
            }
            ServerInput::Frame { wire, frame } => {
                self.wire(*wire, EngineInput::Frame { wire: *wire, frame: frame.clone() });
            }
            ServerInput::CloseFrame { wire } => {
                self.wire(*wire, EngineInput::CloseFrame { wire: *wire });
            }
            ServerInput::ControlFrame { wire } => {
                self.wire(*wire, EngineInput::ControlFrame { wire: *wire });
            }
            ServerInput::WireClosed { wire } => {
                self.wire(*wire, EngineInput::WireClosed { wire: *wire });
                self.wires.remove(wire);
            }
            ServerInput::Timeout => self.timeout(now),
            other => unreachable!("unknown: {other:?}"),
        }
    }

    fn open_wire(&mut self, wire: WireId, head: &RequestHead<'_>, input: EngineInput) {
        match self.verify(head) {
            Ok(Verified::Handshake { transport }) => self.open(wire, transport),
            Ok(Verified::Session(connection)) => {
                self.wires.insert(wire, connection);
                self.wire(wire, input);
            }
            Err(_) if head.upgrade => {
                self.out.push_back(ServerOutput::Close { wire, code: None });
            }
            Err(refusal) => {
                let response = refusal.response(false);
                self.out.push_back(ServerOutput::Respond { wire, response });
            }
        }
    }

    fn open(&mut self, wire: WireId, transport: Transport) {
        let connection = ConnectionId::from_raw(self.next_connection);
        self.next_connection += 1;
        let mut entropy = Dice::new(self.ids.next()).entropy();
        let sid = EngineId::from_entropy(&mut entropy);
        let link = Link::new(self.now, self.config.clone(), sid, transport, wire);
        self.sids.insert(sid, connection);
        self.wires.insert(wire, connection);
        let slot = Slot { link, up_at: self.now, down_at: self.now };
        self.links.insert(connection, slot);
        self.out.push_back(ServerOutput::Event(ServerEvent::ConnectionOpened { connection, wire }));
        self.collect(connection);
    }

    fn wire(&mut self, wire: WireId, input: EngineInput) {
        let Some(connection) = self.wires.get(&wire).copied() else {
            return;
        };
        if let Some(slot) = self.links.get_mut(&connection) {
            slot.link.handle_input(self.now, input);
            self.collect(connection);
        }
    }

    pub fn set_paused(&mut self, wire: WireId, is_paused: bool) {
        let Some(connection) = self.wires.get(&wire).copied() else {
            return;
        };
        if let Some(slot) = self.links.get_mut(&connection) {
            if is_paused {
                slot.link.pause(wire);
            } else {
                slot.link.resume(wire);
            }
            self.collect(connection);
        }
    }

    pub fn close_connection(&mut self, now: Timestamp, connection: ConnectionId) {
        self.now = self.now.max(now);
        if let Some(slot) = self.links.get_mut(&connection) {
            slot.link.close(self.now, CloseReason::ForcedClose);
            self.collect(connection);
        }
    }

    pub fn shutdown(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        let connections: Vec<ConnectionId> = self.links.keys().copied().collect();
        for connection in connections {
            if let Some(slot) = self.links.get_mut(&connection) {
                slot.link.close(self.now, CloseReason::ServerShutdown);
                self.collect(connection);
            }
        }
    }

    pub fn timeout(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        let now = self.now;
        while let Some(entry) = self.mails.first_entry().filter(|entry| entry.key().0 <= now) {
            let (connection, mail) = entry.remove();
            self.deliver(connection, mail);
        }
        if self.hub.deadline().is_some_and(|due| due <= now) {
            self.hub.handle_timeout(now);
            self.collect_hub();
            let next = self.hub.deadline();
            assert!(next.is_none_or(|next| next > now), "the hub does not move on: {next:?}");
        }
        let is_due = |slot: &Slot| slot.link.deadline().is_some_and(|due| due <= now);
        let due = self.links.iter().filter(|(_, slot)| is_due(slot));
        let due: Vec<ConnectionId> = due.map(|(connection, _)| *connection).collect();
        for connection in due {
            if let Some(slot) = self.links.get_mut(&connection) {
                slot.link.handle_input(now, EngineInput::Timeout);
                self.collect(connection);
            }
            let next = self.links.get(&connection).and_then(|slot| slot.link.deadline());
            assert!(next.is_none_or(|next| next > now), "a link does not move on: {next:?}");
        }
    }

    pub fn deadline(&self) -> Option<Timestamp> {
        if !self.out.is_empty() {
            return Some(self.now);
        }
        let links = self.links.values().filter_map(|slot| slot.link.deadline());
        let mail = self.mails.first_key_value().map(|((at, _), _)| *at);
        links.chain(self.hub.deadline()).chain(mail).min()
    }

    pub fn poll(&mut self) -> Option<ServerOutput<Data>> {
        self.out.pop_front()
    }

    pub fn stats(&self) -> Stats {
        let mut stats = self.hub.stats();
        stats.connections = self.links.len();
        stats
    }

    fn deliver(&mut self, connection: ConnectionId, mail: Mail) {
        let now = self.now;
        if let Mail::Request(request) = mail {
            self.hub.handle_request(now, connection, request);
            self.collect_hub();
            return;
        }
        let Some(slot) = self.links.get_mut(&connection) else {
            return;
        };
        match mail {
            Mail::Reply(reply) => slot.link.handle_reply(now, reply),
            Mail::Delivery(delivery) => {
                slot.link.deliver(now, &delivery);
            }
            Mail::Request(_) => {}
        }
        self.collect(connection);
    }

    fn collect(&mut self, connection: ConnectionId) {
        loop {
            let Some(slot) = self.links.get_mut(&connection) else {
                return;
            };
            let due = slot.link.deadline();
            let Some(output) = slot.link.poll_output() else {
                break;
            };
            assert!(due.is_some_and(|due| due <= self.now), "output is due at once: {due:?}");
            let output = match output {
                LinkOutput::Hub(request) => {
                    self.post(connection, Mail::Request(request));
                    continue;
                }
                LinkOutput::Wire(EngineOutput::Respond { wire, response }) => {
                    self.wires.remove(&wire);
                    ServerOutput::Respond { wire, response }
                }
                LinkOutput::Wire(EngineOutput::Close { wire, code }) => {
                    self.wires.remove(&wire);
                    ServerOutput::Close { wire, code }
                }
                LinkOutput::Wire(EngineOutput::Send { wire, frame }) => {
                    ServerOutput::Send { wire, frame }
                }
                LinkOutput::Event(LinkEvent::Received { socket, namespace, event, ack }) => {
                    ServerOutput::Event(ServerEvent::Received { socket, namespace, event, ack })
                }
                LinkOutput::Event(LinkEvent::Upgraded) => {
                    ServerOutput::Event(ServerEvent::ConnectionUpgraded { connection })
                }
                LinkOutput::Event(LinkEvent::Closed { reason }) => {
                    ServerOutput::Event(ServerEvent::ConnectionClosed { connection, reason })
                }
                other => panic!("unknown: {other:?}"),
            };
            self.out.push_back(output);
        }
        let link = &self.links[&connection].link;
        if link.is_closed() {
            self.sids.remove(&link.id());
        }
        if link.is_finished() {
            self.links.remove(&connection);
        }
    }

    fn collect_hub(&mut self) {
        while let Some(output) = self.hub.poll_output() {
            match output {
                HubOutput::Reply { to, reply } => self.post(to, Mail::Reply(reply)),
                HubOutput::Deliver(delivery) => {
                    for to in delivery.recipients() {
                        self.post(*to, Mail::Delivery(delivery.clone()));
                    }
                }
                HubOutput::Event(event) => self.out.push_back(ServerOutput::Event(event)),
                other => panic!("unknown: {other:?}"),
            }
        }
    }

    fn post(&mut self, connection: ConnectionId, mail: Mail) {
        let delay = Duration::from_micros(self.dice.below(self.delay + 1));
        let mut at = self.now.saturating_add(delay);
        if let Some(slot) = self.links.get_mut(&connection) {
            let last = match mail {
                Mail::Request(_) => &mut slot.up_at,
                Mail::Reply(_) | Mail::Delivery(_) => &mut slot.down_at,
            };
            at = at.max(*last);
            *last = at;
        } else if matches!(mail, Mail::Reply(_) | Mail::Delivery(_)) {
            return;
        }
        self.mails.insert((at, self.next_mail), (connection, mail));
        self.next_mail += 1;
    }
}
