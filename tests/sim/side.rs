//! Compares the events of the clients with the model.

use socketio_proto::{engine::EngineClientOutput, engine::Frame, socket::Event};
use socketio_proto_sim::{Rng, client::AckToken};

use crate::{
    model::Number,
    peer::Outcome,
    world::{Sabotage, Task, World},
};

impl World {
    /// Takes everything that a client wants.
    pub fn drain_client(&mut self, client: usize) {
        while let Some(outcome) = self.peers[client].poll() {
            self.tell(|| format!("client {client}: {outcome:?}"));
            match outcome {
                Outcome::Wire(output) => self.client_wire(client, output),
                Outcome::Opened => {}
                Outcome::Closed(reason, is_nonsense) => {
                    assert!(!is_nonsense, "client {client} cannot read it: {reason}");
                }
                Outcome::Connected { space, sid, recovered } => {
                    self.client_connected(client, space, &sid, recovered);
                }
                Outcome::Refused { space, message } => {
                    assert!(!message.contains("InvalidAnswer"), "client {client}: {message}");
                    self.come_back(client, space);
                }
                Outcome::Left { space, .. } => {
                    if !self.peers[client].is_active(space) {
                        self.come_back(client, space);
                    }
                }
                Outcome::Received { space, event, ack, is_buffered } => {
                    self.client_received(client, space, &event, ack, is_buffered);
                }
                Outcome::Confused => self.clients[client].is_excused = true,
                Outcome::Acked { number, args } => {
                    assert_eq!(args.get::<usize>(0).ok(), Some(number), "another answer");
                    self.uplink.sent[number].is_acked = true;
                }
                Outcome::Failed { number } => self.uplink.excuse(number),
            }
        }
    }

    fn client_connected(&mut self, client: usize, space: usize, sid: &str, recovered: bool) {
        let session = self.model.sessions.iter().find(|(_, session)| session.sid == sid);
        let (key, session) = session.expect("a session that the server knows");
        let key = *key;
        assert_eq!((session.client, session.space), (client, space), "the session of another");
        let earlier = self.clients[client].views[space].replace(key);
        assert_eq!(recovered, earlier == Some(key), "what the client is told is not true");
    }

    fn client_received(
        &mut self,
        client: usize,
        space: usize,
        event: &Event,
        ack: Option<AckToken>,
        is_buffered: bool,
    ) {
        self.tally.received += 1;
        let number: Number = event.get(0).unwrap();
        self.transcript.note(number as u64);
        let key = self.clients[client].views[space].expect("a client that is connected");
        let is_next = self.model.sessions[&key].due.front() == Some(&number);
        let repeats = &mut self.clients[client].repeats;
        if is_buffered && !is_next {
            // Of a session that is over, or the same again.
            self.tally.stale += 1;
        } else if !is_next && repeats.contains(&number) {
            repeats.retain(|repeat| *repeat != number);
            self.tally.stale += 1;
        } else {
            if is_buffered {
                repeats.push(number);
            }
            self.model.receive(key, number, event);
        }
        if let Some(token) = ack {
            let delay = self.keyed(number as u64 ^ 0xc11).below(self.plan.answer_delay + 1);
            self.plan_task(self.now + delay, Task::ClientAnswer(client, token, number));
        }
    }

    /// An application that was sent away tries again.
    pub fn come_back(&mut self, client: usize, space: usize) {
        if self.plan.clients[client].spaces & (1 << space) == 0 {
            return;
        }
        let key = [0xc0e, client as u64, space as u64, self.now];
        let delay = Rng::keyed(self.plan.seed, &key).range(20_000, 2_000_000);
        self.plan_task(self.now + delay, Task::Connect(client, space));
    }

    pub fn note_output(&mut self, client: usize, output: &EngineClientOutput) {
        self.transcript.note(client as u64);
        match output {
            EngineClientOutput::Get { wire, query }
            | EngineClientOutput::OpenWebSocket { wire, query } => {
                self.transcript.note(wire.0);
                self.transcript.note_bytes(query.as_bytes());
            }
            EngineClientOutput::Post { wire, body, .. } => {
                self.transcript.note(wire.0);
                self.transcript.note_bytes(body);
            }
            EngineClientOutput::Send { wire, frame: Frame::Text(text) } => {
                self.transcript.note(wire.0);
                self.transcript.note_bytes(text.as_bytes());
            }
            EngineClientOutput::Send { wire, frame: Frame::Binary(bytes) } => {
                self.transcript.note(wire.0);
                self.transcript.note_bytes(bytes);
            }
            EngineClientOutput::Close { wire } => self.transcript.note(wire.0),
            EngineClientOutput::Event(_) => {}
            other => unreachable!("unknown: {other:?}"),
        }
    }

    /// Whether a frame is to be lost on purpose.
    pub fn is_lost(&mut self, frame: &Frame) -> bool {
        let is_event = is_event(frame);
        match &mut self.sabotage {
            Some(Sabotage::Drop(left)) if is_event => {
                *left = left.saturating_sub(1);
                *left == 0
            }
            _ => false,
        }
    }

    /// Whether it is to arrive twice on purpose.
    pub fn is_repeated(&mut self, frame: &Frame) -> bool {
        let is_event = is_event(frame);
        match &mut self.sabotage {
            Some(Sabotage::Duplicate(left)) if is_event => {
                *left = left.saturating_sub(1);
                *left == 0
            }
            _ => false,
        }
    }
}

fn is_event(frame: &Frame) -> bool {
    matches!(frame, Frame::Text(text) if text.starts_with("42"))
}
