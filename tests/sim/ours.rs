//! The client of this crate.

use std::collections::BTreeMap;

use bytes::Bytes;
use socketio_proto::{
    AckId, Timestamp, WireId,
    client::{Auth, Client, ClientConfig, ClientEmitError, ClientEvent, ClientOutput},
    engine::{ClientCloseReason, ClientFault, ClientInput, Transport},
    socket::{self, Args, Json, NamespaceName},
};

use crate::{
    dice::Dice,
    op::{Mistake, SPACES, Sending},
    peer::{ACK_TIMEOUT, Outcome, Peer, Token, event_name},
    plan::Route,
};

pub struct Ours {
    client: Client,
    config: ClientConfig,
    dice: Dice,
    /// Names the next claim.
    serial: u64,
    now: Timestamp,
    /// The numbers of the events whose answers are awaited.
    awaited: BTreeMap<(usize, AckId), usize>,
    /// The state that was written down last, and the namespaces of that time.
    saved: Option<(String, Vec<&'static str>)>,
}

impl Ours {
    pub fn new(config: ClientConfig, dice: Dice, serial: u64) -> Self {
        let mut dice = dice;
        let client = Client::new(config.clone(), Dice::new(dice.next()).entropy()).unwrap();
        Self {
            client,
            config,
            dice,
            serial,
            now: Timestamp::ZERO,
            awaited: BTreeMap::new(),
            saved: None,
        }
    }

    pub fn config(route: Route, reconnection: (u64, u64)) -> ClientConfig {
        let millis = std::time::Duration::from_millis;
        let transports: &[Transport] = match route {
            Route::WebSocket => &[Transport::WebSocket],
            Route::Polling => &[Transport::Polling],
            Route::Upgrade => &[Transport::Polling, Transport::WebSocket],
        };
        ClientConfig::new()
            .transports(transports)
            .reconnection_delay(millis(reconnection.0))
            .reconnection_delay_max(millis(reconnection.1))
            .ack_timeout(ACK_TIMEOUT)
    }

    fn outcome(&mut self, event: ClientEvent) -> Option<Outcome> {
        Some(match event {
            ClientEvent::AuthRequested { request, .. } => {
                self.serial += 1;
                let auth = Json::from_text(&format!("{{\"serial\":{}}}", self.serial)).unwrap();
                self.client.provide_auth(self.now, request, &auth).unwrap();
                return None;
            }
            ClientEvent::ConnectionOpened { .. } => Outcome::Opened,
            ClientEvent::ConnectionClosed { reason, .. } => {
                Outcome::Closed(reason.to_string(), is_nonsense(reason))
            }
            ClientEvent::TransportFailed { fault, .. } => {
                Outcome::Closed(fault.to_string(), is_unreadable(fault))
            }
            ClientEvent::Connected { namespace, id, recovered } => {
                Outcome::Connected { space: index(&namespace), sid: id.to_string(), recovered }
            }
            ClientEvent::ConnectError { namespace, error } => {
                Outcome::Refused { space: index(&namespace), message: format!("{error:?}") }
            }
            ClientEvent::Disconnected { namespace, reason, .. } => {
                Outcome::Left { space: index(&namespace), reason: reason.as_str() }
            }
            ClientEvent::Received { namespace, event, ack } => Outcome::Received {
                space: index(&namespace),
                event,
                ack: ack.map(Token::Ours),
                is_buffered: false,
            },
            ClientEvent::Acked { namespace, ack, args } => {
                let number = self.awaited.remove(&(index(&namespace), ack));
                Outcome::Acked { number: number.expect("an answer that was asked for, once"), args }
            }
            ClientEvent::AckFailed { namespace, ack, .. } => {
                let number = self.awaited.remove(&(index(&namespace), ack));
                Outcome::Failed { number: number.expect("a failure, once") }
            }
            ClientEvent::BufferExpired { event, .. } | ClientEvent::Unconfirmed { event, .. } => {
                Outcome::Failed { number: event.event().get(0).unwrap() }
            }
            // The world knows: it has given the client the older state.
            ClientEvent::SnapshotOutOfDate { .. }
            | ClientEvent::ConnectionUpgraded
            | ClientEvent::UpgradeFailed
            | ClientEvent::Reconnecting { .. }
            | ClientEvent::ReconnectionFailed => return None,
            other => panic!("unexpected: {other:?}"),
        })
    }
}

impl Ours {
    fn written(&self) -> (String, Vec<&'static str>) {
        let active = SPACES.into_iter().filter(|it| self.client.is_active(it)).collect();
        (serde_json::to_string(&self.client.snapshot()).unwrap(), active)
    }
}

impl Peer for Ours {
    fn input(&mut self, now: Timestamp, input: ClientInput) {
        self.now = self.now.max(now);
        self.client.handle_input(now, input);
    }

    fn poll(&mut self) -> Option<Outcome> {
        loop {
            let due = self.client.deadline();
            let output = self.client.poll_output()?;
            assert!(due.is_some_and(|due| due <= self.now), "output is due at once: {due:?}");
            match output {
                ClientOutput::Wire(output) => return Some(Outcome::Wire(output)),
                ClientOutput::Event(event) => {
                    if let Some(outcome) = self.outcome(event) {
                        return Some(outcome);
                    }
                }
                other => unreachable!("unknown: {other:?}"),
            }
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.client.deadline()
    }

    fn set_paused(&mut self, now: Timestamp, wire: WireId, is_paused: bool) {
        if is_paused { self.client.pause(wire) } else { self.client.resume(now, wire) }
    }

    fn connect(&mut self, now: Timestamp, space: usize) {
        self.now = self.now.max(now);
        self.client.connect(now, SPACES[space], Auth::Ask).unwrap();
    }

    fn leave(&mut self, now: Timestamp, space: usize) {
        self.now = self.now.max(now);
        self.client.disconnect(now, SPACES[space]);
    }

    fn close(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.client.close(now);
    }

    fn reconnect(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.client.reconnect(now);
    }

    fn forget(&mut self, now: Timestamp, space: usize) -> bool {
        self.now = self.now.max(now);
        self.client.forget(now, SPACES[space])
    }

    fn take_back(&mut self, now: Timestamp, space: usize) -> Vec<usize> {
        self.now = self.now.max(now);
        let mut taken = self.client.take_buffered(now, SPACES[space]);
        taken.extend(self.client.take_retrying(now, SPACES[space]));
        taken.iter().map(|event| event.event().get(0).unwrap()).collect()
    }

    fn save(&mut self) -> bool {
        self.saved = Some(self.written());
        true
    }

    fn restart(&mut self, now: Timestamp, from_saved: bool) -> bool {
        self.now = self.now.max(now);
        let written = if from_saved { self.saved.clone() } else { Some(self.written()) };
        let Some((stored, active)) = written else {
            return false;
        };
        let entropy = Dice::new(self.dice.next()).entropy();
        self.client = Client::new(self.config.clone(), entropy).unwrap();
        self.client.restore(now, serde_json::from_str(&stored).unwrap()).unwrap();
        self.awaited.clear();
        for (index, space) in SPACES.into_iter().enumerate() {
            let retrying = self.client.retrying(space);
            let numbers =
                retrying.map(|(ack, event)| ((index, ack), event.event().get(0).unwrap()));
            self.awaited.extend(numbers);
        }
        for space in active {
            self.client.connect(now, space, Auth::Ask).unwrap();
        }
        true
    }

    fn emit(&mut self, now: Timestamp, space: usize, number: usize, sending: Sending) -> bool {
        self.now = self.now.max(now);
        let event = socket::Event::new(event_name(sending), &(number,)).unwrap();
        let (client, name) = (&mut self.client, SPACES[space]);
        let ack = match sending {
            Sending::Plain => return client.emit(now, name, &event).is_ok(),
            Sending::Volatile => return client.emit_volatile(now, name, &event),
            Sending::Ack => client.emit_with_ack(now, name, &event, ACK_TIMEOUT),
            Sending::Retry => client.emit_with_retries(now, name, &event),
        };
        if let Ok(ack) = ack {
            self.awaited.insert((space, ack), number);
        }
        ack.is_ok()
    }

    /// It tells its application instead of sending it.
    fn blunder(&mut self, now: Timestamp, space: usize, what: Mistake, max_payload: usize) -> bool {
        self.now = self.now.max(now);
        let event = match what {
            Mistake::TooManyAttachments => socket::Event::new("big", &vec![Bytes::new(); 11]),
            Mistake::TooLarge => socket::Event::new("big", &("x".repeat(max_payload),)),
            Mistake::LongName | Mistake::NoObject => return false,
        };
        if self.client.is_connected(SPACES[space]) {
            let told = self.client.emit(now, SPACES[space], &event.unwrap());
            assert!(
                matches!(
                    told,
                    Err(ClientEmitError::TooManyAttachments { .. }
                        | ClientEmitError::TooLarge { .. })
                ),
                "{told:?}"
            );
        }
        false
    }

    fn ack(&mut self, now: Timestamp, token: Token, args: &Args) {
        self.now = self.now.max(now);
        if let Token::Ours(token) = token {
            self.client.ack(now, token, args);
        }
    }

    fn is_connected(&self, space: usize) -> bool {
        self.client.is_connected(SPACES[space])
    }

    fn is_active(&self, space: usize) -> bool {
        self.client.is_active(SPACES[space])
    }

    fn is_idle(&self) -> bool {
        let is_empty = |space: &&str| {
            self.client.buffered(space).next().is_none()
                && self.client.retrying(space).next().is_none()
        };
        self.awaited.is_empty() && SPACES.iter().all(is_empty)
    }
}

fn index(namespace: &NamespaceName) -> usize {
    SPACES.iter().position(|space| *space == namespace.as_str()).unwrap()
}

/// Whether the server sent what no server may send.
fn is_nonsense(reason: ClientCloseReason) -> bool {
    match reason {
        ClientCloseReason::ParseError => true,
        ClientCloseReason::TransportError(fault) => is_unreadable(fault),
        _ => false,
    }
}

fn is_unreadable(fault: ClientFault) -> bool {
    matches!(
        fault,
        ClientFault::Decode(_) | ClientFault::NoHandshake | ClientFault::PayloadTooLarge
    )
}
