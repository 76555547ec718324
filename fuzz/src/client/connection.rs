//! The client's half of one Engine.IO session under arbitrary inputs.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use socketio_proto::{
    Timestamp, WireId,
    client::{ClientConfig, ClientLimits},
    engine::{
        ClientCloseReason, ClientConnection, ClientInput, ClientStart, EngineClientEvent,
        EngineClientOutput, EnginePacket, PayloadReader, Transport,
    },
};

use super::{
    peer::{draw_body, draw_frame, lost},
    wires::{Wire, Wires},
};
use crate::{draw, messages::Messages, source::Source};

/// One final news for every wire, one GET while it is open over polling, one POST at a time and none
/// too large, honest deadlines, a bounded queue, messages in order and none made up, nothing after
/// the end.
pub(super) fn run(source: Source<'_>) {
    let mut run = Run::new(source);
    for _ in 0..STEPS_MAX {
        if run.source.is_empty() {
            break;
        }
        run.step();
    }
    run.drain();
    run.connection.abort(ClientCloseReason::ForcedClose);
    run.drain();
    assert!(run.is_over && run.wires.is_empty());
    assert_eq!(run.connection.deadline(), None);
}

const STEPS_MAX: usize = 300;
const QUEUED_BYTES: usize = 300;
const QUEUED_PACKETS: usize = 8;

struct Run<'a> {
    source: Source<'a>,
    connection: ClientConnection,
    now: Timestamp,
    wires: Wires,
    /// Whether a probe was answered: no GET is due then.
    is_pausing: bool,
    messages: Messages,
    sent: u32,
    is_over: bool,
}

impl<'a> Run<'a> {
    fn new(mut source: Source<'a>) -> Self {
        let limits = ClientLimits::new()
            .max_payload(200)
            .queued_bytes(QUEUED_BYTES)
            .queued_packets(QUEUED_PACKETS);
        let choices = source.byte();
        let transports: &[Transport] = match choices & 3 {
            0 | 1 => &[Transport::Polling, Transport::WebSocket],
            2 => &[Transport::WebSocket, Transport::Polling],
            _ => &[Transport::WebSocket],
        };
        let config = ClientConfig::new()
            .transports(transports)
            .try_all_transports(choices & 4 == 0)
            .remember_upgrade(choices & 8 != 0)
            .open_timeout(Duration::from_millis(500))
            .upgrade_timeout(Duration::from_millis(100))
            .close_timeout(Duration::from_millis(400))
            .limits(limits);
        let start = ClientStart { first_wire: 5, nonce: 7, websocket_worked: choices & 16 != 0 };
        let now = Timestamp::from_millis(1_000);
        Self {
            source,
            connection: ClientConnection::new(now, Arc::new(config), start),
            now,
            wires: Wires::default(),
            is_pausing: false,
            messages: Messages::default(),
            sent: 0,
            is_over: false,
        }
    }

    fn step(&mut self) {
        let choice = self.source.byte();
        match choice & 0x0f {
            0..=3 => self.respond(),
            4 => self.open(),
            5..=8 => self.frame(),
            9 => self.lose(),
            10 => self.wait(),
            11 | 12 => self.send(),
            13 => self.pause(),
            14 => self.input(ClientInput::Timeout),
            _ => match self.source.below(8) {
                0 => self.connection.close(self.now),
                1 => self.connection.abort(ClientCloseReason::ParseError),
                _ => self.input(ClientInput::WireClosed { wire: WireId(999) }),
            },
        }
        // Draining is never a precondition.
        if choice & 0x80 == 0 {
            self.drain();
        }
    }

    fn input(&mut self, input: ClientInput) {
        // Time may seem to run backwards.
        let now = if self.source.below(16) == 1 { Timestamp::ZERO } else { self.now };
        self.connection.handle_input(now, input);
    }

    /// A wire that the client has asked for.
    fn pick(&mut self, is_wanted: impl Fn(Wire) -> bool) -> Option<WireId> {
        self.drain();
        self.source.pick(&self.wires.of(is_wanted)).copied()
    }

    fn respond(&mut self) {
        let Some(wire) = self.pick(|kind| matches!(kind, Wire::Get | Wire::Post)) else {
            return;
        };
        let status = if self.source.below(16) == 1 { self.source.any() } else { 200 };
        let body = draw_body(&mut self.source);
        self.messages.note_body(&body);
        self.wires.finish(wire);
        self.input(ClientInput::Response { wire, status, body });
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
            let packet = EnginePacket::decode(frame.clone()).ok();
            self.is_pausing |= packet == Some(EnginePacket::Pong { probe: true });
            self.messages.note(packet);
            self.input(ClientInput::Frame { wire, frame });
        }
    }

    fn lose(&mut self) {
        if let Some(wire) = self.pick(|_| true) {
            self.wires.finish(wire);
            self.input(lost(wire));
        }
    }

    fn wait(&mut self) {
        let later = self.now.saturating_add(Duration::from_millis(self.source.byte().into()));
        self.drain();
        let due = self.connection.deadline().filter(|_| self.source.flag());
        self.now = self.now.max(due.unwrap_or(later));
        self.connection.handle_input(self.now, ClientInput::Timeout);
        self.drain();
        let next = self.connection.deadline();
        assert!(next.is_none_or(|next| next > self.now), "{next:?} at {:?}", self.now);
    }

    fn send(&mut self) {
        self.sent += 1;
        let payload = draw::payload(&mut self.source, self.sent);
        if self.connection.send(payload.clone()).is_ok() {
            self.messages.take(payload);
        }
        // Beyond the limit there are the packets of the connection itself.
        assert!(self.connection.queued_bytes() <= QUEUED_BYTES + 16);
        assert!(self.connection.queued_packets() <= QUEUED_PACKETS + 2);
    }

    fn pause(&mut self) {
        if let Some(wire) = self.pick(|_| true) {
            if self.source.flag() {
                self.connection.pause(wire);
            } else {
                self.connection.resume(wire);
            }
        }
    }

    /// Takes all output and checks it.
    fn drain(&mut self) {
        loop {
            let deadline = self.connection.deadline();
            let Some(output) = self.connection.poll_output() else {
                break;
            };
            assert!(deadline.is_some_and(|due| due <= self.now), "output is due at once");
            self.wires.apply(&output);
            match output {
                EngineClientOutput::Post { body, .. } => self.handle_post(body),
                EngineClientOutput::Send { frame, .. } => match EnginePacket::decode(frame) {
                    Ok(packet) => self.messages.arrive(packet),
                    Err(error) => unreachable!("frames are well formed: {error}"),
                },
                EngineClientOutput::Event(event) => self.handle_event(event),
                EngineClientOutput::Get { .. }
                | EngineClientOutput::OpenWebSocket { .. }
                | EngineClientOutput::Close { .. } => {}
                other => unreachable!("unknown: {other:?}"),
            }
        }
        assert_eq!(self.connection.poll_output(), None, "over-polling is free");
        assert_eq!(self.connection.is_closed(), self.is_over);
        assert!(!self.is_over || self.wires.is_empty(), "the end finishes every wire");
        let is_polling = self.connection.transport() == Transport::Polling;
        if self.connection.is_open() && is_polling && !self.is_pausing {
            assert_eq!(self.wires.of(|kind| kind == Wire::Get).len(), 1);
        }
    }

    fn handle_post(&mut self, body: Bytes) {
        let len = body.len();
        let mut count = 0;
        for packet in PayloadReader::new(body) {
            count += 1;
            let Ok(packet) = packet else {
                unreachable!("bodies are well formed: {packet:?}");
            };
            self.messages.arrive(packet);
        }
        assert!(count == 1 || len <= self.connection.max_payload(), "{count} packets, {len} bytes");
    }

    fn handle_event(&mut self, event: EngineClientEvent) {
        assert!(!self.is_over, "nothing comes after the end: {event:?}");
        match event {
            EngineClientEvent::Message(payload) => self.messages.pass_on(&payload),
            EngineClientEvent::Upgraded | EngineClientEvent::UpgradeFailed => {
                self.is_pausing = false;
            }
            EngineClientEvent::Opened { .. } | EngineClientEvent::TransportFailed { .. } => {}
            EngineClientEvent::Closed { .. } => self.is_over = true,
            other => unreachable!("nothing is checked of {other:?}"),
        }
    }
}
