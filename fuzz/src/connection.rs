//! One Engine.IO session under arbitrary inputs.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use socketio_proto::{
    EngineId, Limits, ServerConfig, Timestamp, WireId,
    engine::{
        CloseReason, EngineEvent, EngineInput, EngineOutput, EnginePacket, Frame, PayloadReader,
        Response, ServerConnection, Transport,
    },
};

use super::{
    draw,
    messages::Messages,
    source::Source,
    wires::{Wire, Wires},
};

/// A session holds its promises whatever its peer, its network and its application do: one final
/// output for every wire, honest deadlines, a bounded queue, messages in order and none made up,
/// no GET held for long during a probe, nothing after the end.
pub fn engine_connection(data: &[u8]) {
    let mut run = Run::new(data);
    for _ in 0..STEPS_MAX {
        if run.source.is_empty() {
            break;
        }
        run.step();
    }
    run.drain();
    run.session.abort(CloseReason::ServerShutdown);
    run.drain();
    assert!(run.is_over);
}

const STEPS_MAX: usize = 300;
const MAX_PAYLOAD: usize = 200;
const QUEUED_BYTES: usize = 300;
const NOOP_INTERVAL: Duration = Duration::from_millis(100);

struct Run<'a> {
    source: Source<'a>,
    session: ServerConnection,
    now: Timestamp,
    wires: Wires,
    /// The WebSocket on which a probe was answered.
    probe: Option<WireId>,
    messages: Messages,
    sent: u32,
    is_over: bool,
}

impl<'a> Run<'a> {
    fn new(data: &'a [u8]) -> Self {
        let mut source = Source::new(data);
        let choices = source.byte();
        let (kind, transport) = if choices & 1 == 1 {
            (Wire::WebSocket, Transport::WebSocket)
        } else {
            (Wire::Get, Transport::Polling)
        };
        let config = ServerConfig::new()
            .ping_interval(Duration::from_millis(300))
            .ping_timeout(Duration::from_millis(200))
            .upgrade_timeout(Duration::from_millis(250))
            .close_timeout(Duration::from_millis(400))
            .max_payload(MAX_PAYLOAD)
            .limits(
                Limits::new()
                    .queued_bytes(QUEUED_BYTES)
                    .queued_packets(8)
                    .queue_burst_bytes(QUEUED_BYTES)
                    .queue_burst_packets(8)
                    .packet_burst(if choices & 6 == 6 { 20 } else { u32::MAX })
                    .packets_per_second(50),
            );
        let mut wires = Wires::default();
        let wire = wires.open(kind);
        let now = Timestamp::from_millis(1_000);
        let id = EngineId::from_entropy(&mut |dest: &mut [u8]| dest.fill(7));
        Self {
            source,
            session: ServerConnection::new(now, Arc::new(config), id, transport, wire),
            now,
            wires,
            probe: None,
            messages: Messages::default(),
            sent: 0,
            is_over: false,
        }
    }

    fn step(&mut self) {
        let choice = self.source.byte();
        match choice & 0x0f {
            0 => {
                let wire = self.wires.open(Wire::Get);
                self.input(EngineInput::Poll { wire });
            }
            1..=3 => self.post(),
            4 => self.body(),
            5 => {
                let wire = self.wires.open(Wire::Other);
                self.input(EngineInput::OtherMethod { wire });
            }
            6 => {
                let wire = self.wires.open(Wire::WebSocket);
                self.input(EngineInput::WebSocketOpened { wire });
            }
            7 | 8 => self.frame(),
            9 => self.lose(),
            10 => self.wait(),
            11 | 12 => self.send(),
            13 => self.pause(),
            14 => self.input(EngineInput::Timeout),
            _ => match self.source.below(8) {
                0 => self.session.close(self.now, CloseReason::ForcedClose),
                1 => self.session.abort(CloseReason::TakenOver),
                _ => {}
            },
        }
        // Draining is never a precondition.
        if choice & 0x80 == 0 {
            self.drain();
        }
    }

    fn input(&mut self, input: EngineInput) {
        // Time may seem to run backwards.
        let now = if self.source.below(16) == 1 { Timestamp::ZERO } else { self.now };
        self.session.handle_input(now, input);
    }

    fn post(&mut self) {
        let wire = self.wires.open(Wire::Other);
        let body = if self.source.below(4) == 1 { None } else { Some(self.draw_body()) };
        let binary = self.source.below(32) == 1;
        self.input(EngineInput::Post { wire, body, binary });
    }

    fn body(&mut self) {
        let held: Vec<_> = self.wires.iter().filter(|(_, kind)| *kind == Wire::Other).collect();
        if let Some((wire, _)) = self.source.pick(&held).copied() {
            let body = self.draw_body();
            self.input(EngineInput::Body { wire, body });
        }
    }

    fn frame(&mut self) {
        let is_websocket = |kind| matches!(kind, Wire::WebSocket | Wire::Paused);
        let open: Vec<_> = self.wires.iter().filter(|(_, kind)| is_websocket(*kind)).collect();
        if let Some((wire, _)) = self.source.pick(&open).copied() {
            let frame = draw_frame(&mut self.source);
            self.messages.note(EnginePacket::decode(frame.clone()).ok());
            self.input(EngineInput::Frame { wire, frame });
        }
    }

    fn lose(&mut self) {
        if let Some(wire) = self.source.pick(&self.wires.all()).copied() {
            // What was sent before the loss was noticed still counts.
            self.drain();
            self.wires.lose(wire);
            self.probe.take_if(|probe| *probe == wire);
            self.input(EngineInput::WireClosed { wire });
        }
    }

    fn wait(&mut self) {
        let at_deadline = self.source.flag();
        let later = self.now.saturating_add(Duration::from_millis(self.source.byte().into()));
        self.drain();
        self.now = if at_deadline { self.session.deadline().unwrap_or(later) } else { later };
        self.session.handle_input(self.now, EngineInput::Timeout);
        self.drain();
        let next = self.session.deadline();
        assert!(next.is_none_or(|next| next > self.now), "{next:?} at {:?}", self.now);
    }

    fn send(&mut self) {
        self.sent += 1;
        let payload = draw::payload(&mut self.source, self.sent);
        if self.session.send(self.now, payload.clone()).is_ok() {
            self.messages.take(payload);
        }
        // Beyond the limit there are the packets of the session itself.
        let most = 2 * QUEUED_BYTES;
        assert!(self.session.queued_bytes() <= most + 256);
    }

    fn pause(&mut self) {
        // At the end a WebSocket takes what it had been given before.
        self.drain();
        let Some(wire) = self.source.pick(&self.wires.all()).copied() else {
            return;
        };
        let is_current = self.session.is_open()
            && self.session.transport() == Transport::WebSocket
            && self.wires.iter().any(|(other, kind)| {
                other == wire && matches!(kind, Wire::WebSocket | Wire::Paused)
            });
        if self.source.flag() {
            self.session.pause(wire);
            if is_current {
                self.wires.set_paused(wire, true);
            }
        } else {
            self.session.resume(wire);
            self.wires.set_paused(wire, false);
        }
    }

    /// Takes all output and checks it.
    fn drain(&mut self) {
        loop {
            let deadline = self.session.deadline();
            let Some(output) = self.session.poll_output() else {
                break;
            };
            assert!(deadline.is_some_and(|due| due <= self.now), "output is due at once");
            match output {
                EngineOutput::Respond { wire, response } => self.handle_response(wire, &response),
                EngineOutput::Send { wire, frame } => {
                    self.wires.send(wire);
                    self.handle_frame(wire, frame);
                }
                EngineOutput::Close { wire, .. } => {
                    self.wires.close(wire);
                    self.probe.take_if(|probe| *probe == wire);
                }
                EngineOutput::Event(event) => self.handle_event(event),
                other => unreachable!("unknown: {other:?}"),
            }
        }
        assert_eq!(self.session.poll_output(), None, "over-polling is free");
        assert_eq!(self.session.is_closed(), self.is_over);
        let mut open = self.wires.iter();
        assert!(!self.is_over || open.next().is_none(), "the end finishes every wire");
        let is_held = self.wires.iter().any(|(_, kind)| kind == Wire::Get);
        if is_held && self.probe.is_some() {
            let due = self.session.deadline();
            let latest = self.now.saturating_add(NOOP_INTERVAL);
            assert!(due.is_some_and(|due| due <= latest), "no GET is held for long");
        }
    }

    fn handle_response(&mut self, wire: WireId, response: &Response) {
        let kind = self.wires.answer(wire);
        if kind == Some(Wire::Get) && response.status == 200 {
            let packets: Vec<_> = PayloadReader::new(response.body.clone()).collect();
            assert!(response.body.len() <= MAX_PAYLOAD || packets.len() == 1);
            for packet in packets {
                let Ok(packet) = packet else {
                    unreachable!("bodies are well formed: {packet:?}");
                };
                self.messages.arrive(packet);
            }
        }
    }

    fn handle_frame(&mut self, wire: WireId, frame: Frame) {
        match EnginePacket::decode(frame) {
            Ok(EnginePacket::Pong { probe: true }) => self.probe = Some(wire),
            Ok(packet) => self.messages.arrive(packet),
            Err(error) => unreachable!("frames are well formed: {error}"),
        }
    }

    fn handle_event(&mut self, event: EngineEvent) {
        assert!(!self.is_over, "nothing comes after the end: {event:?}");
        match event {
            EngineEvent::Message(payload) => self.messages.pass_on(&payload),
            EngineEvent::Upgraded => self.probe = None,
            EngineEvent::Closed { .. } => self.is_over = true,
            other => unreachable!("nothing is checked of {other:?}"),
        }
    }

    fn draw_body(&mut self) -> Bytes {
        let body = draw::body(self.source.below(3), || draw_frame(&mut self.source));
        // An open packet means nothing from a client, so that its JSON may be anything.
        self.messages.note_body(&body);
        body
    }
}

fn draw_frame(source: &mut Source<'_>) -> Frame {
    const PACKETS: [&str; 10] = ["3", "2probe", "5", "4a", "4b", "bAQID", "1", "2", "6", "0{}"];
    let choice = usize::from(source.below(14));
    match PACKETS.get(choice) {
        Some(packet) => Frame::Text((*packet).into()),
        None if choice == 10 => Frame::Binary(Bytes::copy_from_slice(source.bytes())),
        None => Frame::Text(source.text().into()),
    }
}
