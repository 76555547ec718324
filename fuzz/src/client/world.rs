//! A client, its wires, what was learnt from its outputs, and what they must not contradict.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use socketio_proto::{
    AckId, Timestamp, WireId,
    client::{
        Auth, AuthRequest, Client, ClientAckToken, ClientConfig, ClientEvent, ClientLimits,
        ClientOutput,
    },
    engine::{ClientInput, Transport},
    socket::NamespaceName,
};

use super::{
    peer::{draw_body, draw_frame, lost},
    wires::{Wire, Wires},
};
use crate::source::Source;

pub(super) struct World<'a> {
    pub(super) source: Source<'a>,
    pub(super) client: Client,
    pub(super) now: Timestamp,
    /// Events to acknowledge.
    pub(super) tokens: Vec<ClientAckToken>,
    /// Credentials to provide.
    pub(super) requests: Vec<AuthRequest>,
    choices: u8,
    wires: Wires,
    is_open: bool,
    joined: BTreeSet<NamespaceName>,
    acks: BTreeMap<AckId, NamespaceName>,
    log: Option<Vec<String>>,
}

pub(super) const NAMESPACES: [&str; 4] = ["/", "/b", "/c", "/d"];
const NAMESPACES_MAX: usize = 3;
const EVENTS: usize = 3;
const ACKS: usize = 3;

impl<'a> World<'a> {
    pub(super) fn new(mut source: Source<'a>, log: Option<Vec<String>>) -> Self {
        let choices = source.byte();
        let mut world = Self {
            source,
            client: client(choices),
            now: Timestamp::from_millis(5),
            tokens: Vec::new(),
            requests: Vec::new(),
            choices,
            wires: Wires::default(),
            is_open: false,
            joined: BTreeSet::new(),
            acks: BTreeMap::new(),
            log,
        };
        world.join();
        world
    }

    fn join(&mut self) {
        assert!(self.client.connect(self.now, "/", Auth::None).is_ok());
    }

    pub(super) fn step(&mut self) {
        let choice = self.source.byte();
        match choice & 0x0f {
            0..=2 => self.respond(),
            3 => self.open(),
            4..=7 => self.frame(),
            8 => self.lose(),
            9 | 10 => self.wait(),
            11 => self.pause(),
            _ => self.act_as_application(),
        }
        // Draining is never a precondition.
        if choice & 0x80 == 0 {
            self.drain();
        }
    }

    fn input(&mut self, input: ClientInput) {
        // Time may seem to run backwards.
        let now = if self.source.below(16) == 1 { Timestamp::ZERO } else { self.now };
        self.client.handle_input(now, input);
    }

    /// A wire that the client has asked for.
    fn pick(&mut self, is_wanted: impl Fn(Wire) -> bool) -> Option<WireId> {
        self.drain();
        self.source.pick(&self.wires.of(is_wanted)).copied()
    }

    fn respond(&mut self) {
        if let Some(wire) = self.pick(|kind| matches!(kind, Wire::Get | Wire::Post)) {
            let status = if self.source.below(16) == 1 { self.source.any() } else { 200 };
            let body = draw_body(&mut self.source);
            self.wires.finish(wire);
            self.input(ClientInput::Response { wire, status, body });
        }
    }

    fn open(&mut self) {
        if let Some(wire) = self.pick(|kind| kind == Wire::Opening) {
            self.wires.set_open(wire);
            self.input(ClientInput::WebSocketOpened { wire });
        }
    }

    fn frame(&mut self) {
        if let Some(wire) = self.pick(|kind| kind == Wire::WebSocket) {
            let frame = draw_frame(&mut self.source);
            self.input(ClientInput::Frame { wire, frame });
        }
    }

    fn lose(&mut self) {
        if let Some(wire) = self.pick(|_| true) {
            self.wires.finish(wire);
            self.input(lost(wire));
            // News that come late.
            self.input(ClientInput::WebSocketOpened { wire });
        }
    }

    fn pause(&mut self) {
        if let Some(wire) = self.pick(|_| true) {
            if self.source.flag() {
                self.client.pause(wire);
            } else {
                self.client.resume(self.now, wire);
            }
        }
    }

    fn wait(&mut self) {
        let steps = self.source.byte();
        if steps == 0 {
            return self.input(ClientInput::Timeout);
        }
        self.drain();
        let later = self.now.saturating_add(Duration::from_millis(u64::from(steps) * 8));
        let due = self.client.deadline().filter(|_| steps & 1 == 0);
        self.time_out(due.unwrap_or(later));
    }

    fn time_out(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
        self.client.handle_input(self.now, ClientInput::Timeout);
        self.drain();
        let next = self.client.deadline();
        assert!(next.is_none_or(|next| next > self.now), "{next:?} at {:?}", self.now);
    }

    /// The process ends, and the next one goes on with what it has stored.
    pub(super) fn restart(&mut self) {
        self.drain();
        let state = self.client.snapshot();
        assert!(state.sessions().len() <= NAMESPACES_MAX);
        let stored = serde_json::to_string(&state).unwrap_or_default();
        let Ok(restored) = serde_json::from_str(&stored) else {
            unreachable!("it is what was stored: {stored}");
        };
        assert_eq!(state, restored);
        self.client = client(self.choices);
        assert_eq!(self.client.restore(self.now, restored), Ok(()));
        assert_eq!(self.client.snapshot(), state);
        // Nothing else survives the previous process.
        self.tokens.clear();
        self.requests.clear();
        self.wires = Wires::default();
        self.is_open = false;
        self.joined.clear();
        self.acks.clear();
        self.expect_restored();
        self.join();
    }

    /// Notes what an earlier process began and this one must complete.
    pub(super) fn expect_restored(&mut self) {
        for namespace in NAMESPACES {
            let acks: Vec<AckId> = self.client.retrying(namespace).map(|(ack, _)| ack).collect();
            for ack in acks {
                self.expect(ack, namespace);
            }
        }
    }

    /// Notes an acknowledgement that has to be settled.
    pub(super) fn expect(&mut self, ack: AckId, namespace: &str) {
        let Ok(namespace) = NamespaceName::new(namespace) else {
            unreachable!("it is one of ours");
        };
        assert_eq!(self.acks.insert(ack, namespace), None, "ids are not used twice");
    }

    /// Takes all output and checks it.
    pub(super) fn drain(&mut self) {
        loop {
            let deadline = self.client.deadline();
            let Some(output) = self.client.poll_output() else {
                break;
            };
            assert!(deadline.is_some_and(|due| due <= self.now), "output is due at once");
            if let Some(log) = &mut self.log {
                log.push(format!("{output:?}"));
            }
            match output {
                ClientOutput::Wire(output) => self.wires.apply(&output),
                ClientOutput::Event(event) => self.handle_event(event),
                other => unreachable!("unknown: {other:?}"),
            }
        }
        self.check_bounds();
    }

    fn handle_event(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::ConnectionOpened { .. } => {
                assert!(!self.is_open);
                self.is_open = true;
            }
            ClientEvent::ConnectionUpgraded | ClientEvent::UpgradeFailed => assert!(self.is_open),
            ClientEvent::ConnectionClosed { was_open, .. } => {
                assert_eq!(was_open, self.is_open);
                assert!(self.joined.is_empty(), "they were left before: {:?}", self.joined);
                self.is_open = false;
            }
            ClientEvent::TransportFailed { .. }
            | ClientEvent::Reconnecting { .. }
            | ClientEvent::ReconnectionFailed => assert!(!self.is_open),
            ClientEvent::AuthRequested { request, .. } => self.requests.push(request),
            ClientEvent::Connected { namespace, .. } => {
                assert!(self.is_open);
                assert!(self.joined.insert(namespace), "it was not joined");
            }
            ClientEvent::ConnectError { namespace, .. } => {
                assert!(!self.joined.contains(&namespace));
            }
            ClientEvent::Received { namespace, ack, .. } => {
                assert!(self.joined.contains(&namespace), "it is joined");
                self.tokens.extend(ack);
            }
            ClientEvent::Acked { namespace, ack, .. } => {
                assert!(self.joined.contains(&namespace), "it is joined");
                assert_eq!(self.acks.remove(&ack), Some(namespace), "settled once");
            }
            ClientEvent::AckFailed { namespace, ack, .. } => {
                assert_eq!(self.acks.remove(&ack), Some(namespace), "settled once");
            }
            ClientEvent::Disconnected { namespace, .. } => {
                assert!(self.joined.remove(&namespace), "it was joined");
            }
            ClientEvent::BufferExpired { .. }
            | ClientEvent::Unconfirmed { .. }
            | ClientEvent::Undeliverable { .. }
            | ClientEvent::SnapshotOutOfDate { .. }
            | ClientEvent::ReplayUnreadable { .. }
            | ClientEvent::ReplayOverflow { .. } => {}
            other => unreachable!("nothing is checked of {other:?}"),
        }
    }

    fn check_bounds(&self) {
        let namespaces = self.acks.values().collect::<BTreeSet<_>>();
        assert!(namespaces.len() <= NAMESPACES_MAX);
        for name in NAMESPACES {
            assert!(self.client.buffered(name).count() <= EVENTS);
            assert!(self.client.retrying(name).count() <= EVENTS);
            let state = self.client.snapshot();
            let mut sessions = state.sessions().iter();
            let session = sessions.find(|session| session.namespace().as_str() == name);
            assert!(session.is_none_or(|session| session.events().count() <= 2 * EVENTS));
            let acks = self.acks.values().filter(|namespace| namespace.as_str() == name);
            assert!(acks.count() <= ACKS + EVENTS);
            assert_eq!(self.client.is_connected(name), self.joined.contains(name));
            assert!(!self.client.is_recovered(name) || self.client.is_connected(name));
        }
    }

    /// After a long enough wait, everything is settled and nothing more happens. Returns the outputs.
    pub(super) fn finish(mut self) -> Option<Vec<String>> {
        self.drain();
        self.client.close(self.now);
        for _ in 0..100 {
            self.drain();
            let Some(deadline) = self.client.deadline() else {
                break;
            };
            self.time_out(deadline);
        }
        assert_eq!(self.client.deadline(), None, "a client that is closed comes to rest");
        assert!(self.acks.is_empty(), "never settled: {:?}", self.acks);
        assert!(self.wires.is_empty(), "never closed: {:?}", self.wires);
        self.client.handle_input(self.now, ClientInput::Timeout);
        assert!(self.client.poll_output().is_none(), "nothing after the end");
        if let Some(log) = &mut self.log {
            log.push(self.now.as_micros().to_string());
        }
        self.log
    }
}

/// Small limits and short times, so that they are reached.
fn client(choices: u8) -> Client {
    let transports: &[Transport] = match choices & 3 {
        0 | 1 => &[Transport::Polling, Transport::WebSocket],
        2 => &[Transport::WebSocket, Transport::Polling],
        _ => &[Transport::WebSocket],
    };
    let config = ClientConfig::new()
        .transports(transports)
        .try_all_transports(choices & 4 == 0)
        .remember_upgrade(choices & 8 != 0)
        .reconnection(choices & 16 == 0)
        .reconnection_attempts((choices & 32 != 0).then_some(2))
        .retries(u32::from(choices & 64 == 0))
        .open_timeout(Duration::from_millis(500))
        .upgrade_timeout(Duration::from_millis(100))
        .close_timeout(Duration::from_millis(400))
        .connect_timeout(Duration::from_millis(400))
        .ack_timeout(Duration::from_millis(300))
        .limits(
            ClientLimits::new()
                .max_payload(400)
                .queued_bytes(400)
                .queued_packets(4)
                .buffered_events(EVENTS)
                .buffered_bytes(200)
                .buffered_age(Duration::from_millis(2_000))
                .replayed_events(3)
                .replayed_bytes(200)
                .pending_acks(ACKS)
                .namespaces(NAMESPACES_MAX)
                .sent_attachments(2)
                .refusals(2)
                .attachments(2)
                .attachment_bytes(100)
                .namespace_name_bytes(16),
        );
    let mut state = 1_u8;
    let entropy = move |dest: &mut [u8]| {
        for byte in dest {
            state = state.wrapping_mul(181).wrapping_add(97);
            *byte = state;
        }
    };
    let Ok(client) = Client::new(config, entropy) else {
        unreachable!("the configuration is valid");
    };
    client
}
