//! The promises in the module documentation hold for any sequence of inputs and calls.

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use core::time::Duration;

    use proptest::prelude::*;
    use proptest::sample::Index;
    use socketio_proto::engine::{
        CloseReason, EngineEvent, EngineInput, EngineOutput, EnginePacket, Frame, Payload,
        PayloadReader, SendError, ServerConnection, Transport,
    };
    use socketio_proto::{Limits, ServerConfig, Timestamp, WireId};

    use crate::support::{config, id};

    #[derive(Clone, Debug)]
    enum Op {
        Get,
        Post(&'static str),
        Announce,
        Body(Index, &'static str),
        BinaryPost,
        Other,
        Open,
        Frame(Index, &'static str),
        Lose(Index),
        Wait(u64),
        Timeout,
        Send(usize),
        Pause(Index),
        Resume(Index),
        Close,
        Abort,
    }

    fn any_op() -> impl Strategy<Value = Op> {
        let wire = any::<Index>;
        let body =
            || prop::sample::select(&["4a", "3", "4a\u{1e}4b", "6", "1", "2", "", "4a\u{1e}x"]);
        // Successes first and often, so that sessions live.
        let frame = || {
            prop_oneof![
                8 => prop::sample::select(&["2probe", "5", "4a", "3"]),
                1 => prop::sample::select(&["1", "2", "0", "6", "x", "4 longer than max_payload is"]),
            ]
        };
        prop_oneof![
            8 => Just(Op::Get),
            3 => body().prop_map(Op::Post),
            1 => Just(Op::Announce),
            2 => (wire(), body()).prop_map(|(wire, body)| Op::Body(wire, body)),
            1 => Just(Op::Other),
            4 => Just(Op::Open),
            16 => (wire(), frame()).prop_map(|(wire, frame)| Op::Frame(wire, frame)),
            1 => wire().prop_map(Op::Lose),
            4 => (1_u64..200).prop_map(Op::Wait),
            4 => Just(Op::Timeout),
            12 => (0_usize..40).prop_map(Op::Send),
            2 => wire().prop_map(Op::Pause),
            3 => wire().prop_map(Op::Resume),
            1 => prop::sample::select(&[Op::Close, Op::Abort, Op::BinaryPost]),
        ]
    }

    /// The embedder and the peer: knows all wires ever opened and what became of them.
    struct World {
        session: ServerConnection,
        now: Timestamp,
        /// By wire: whether the peer gave it up, and the outputs.
        wires: Vec<Wire>,
        events: Vec<EngineEvent>,
        /// Messages that the session took, and those that came out, in order.
        sent: Vec<Payload>,
        arrived: Vec<Payload>,
    }

    #[derive(Debug, Default)]
    struct Wire {
        websocket: bool,
        lost: bool,
        outputs: Vec<EngineOutput>,
    }

    impl World {
        fn new(config: ServerConfig, transport: Transport) -> Self {
            let now = Timestamp::from_millis(1_000);
            let session = ServerConnection::new(now, Arc::new(config), id(), transport, WireId(0));
            let websocket = transport == Transport::WebSocket;
            let wires = vec![Wire { websocket, ..Wire::default() }];
            Self { session, now, wires, events: vec![], sent: vec![], arrived: vec![] }
        }

        fn open(&mut self, websocket: bool) -> WireId {
            self.wires.push(Wire { websocket, ..Wire::default() });
            wire_id(self.wires.len() - 1)
        }

        /// One of the WebSockets or exchanges that the peer still has, or had answered.
        fn pick(&self, index: Index, websocket: bool) -> Option<usize> {
            let matches = |wire: &Wire| wire.websocket == websocket && !wire.lost;
            let wires: Vec<_> =
                (0..self.wires.len()).filter(|&i| matches(&self.wires[i])).collect();
            (!wires.is_empty()).then(|| wires[index.index(wires.len())])
        }

        fn apply(&mut self, op: &Op) {
            let input = match op {
                Op::Get => EngineInput::Poll { wire: self.open(false) },
                Op::Post(body) => self.post(Some(*body), false),
                Op::Announce => self.post(None, false),
                Op::BinaryPost => self.post(Some("4a"), true),
                Op::Other => EngineInput::OtherMethod { wire: self.open(false) },
                Op::Open => EngineInput::WebSocketOpened { wire: self.open(true) },
                Op::Body(index, body) => match self.pick(*index, false) {
                    Some(wire) => EngineInput::Body { wire: wire_id(wire), body: (*body).into() },
                    None => return,
                },
                Op::Frame(index, text) => match self.pick(*index, true) {
                    Some(wire) => EngineInput::Frame {
                        wire: wire_id(wire),
                        frame: Frame::Text((*text).into()),
                    },
                    None => return,
                },
                Op::Lose(index) => {
                    let websocket = index.index(2) == 0;
                    let Some(wire) = self.pick(*index, websocket) else {
                        return;
                    };
                    self.wires[wire].lost = true;
                    EngineInput::WireClosed { wire: wire_id(wire) }
                }
                Op::Timeout => EngineInput::Timeout,
                Op::Wait(_)
                | Op::Send(_)
                | Op::Pause(_)
                | Op::Resume(_)
                | Op::Close
                | Op::Abort => {
                    return self.call(op);
                }
            };
            self.session.handle_input(self.now, input);
        }

        fn post(&mut self, body: Option<&'static str>, binary: bool) -> EngineInput {
            EngineInput::Post { wire: self.open(false), body: body.map(Into::into), binary }
        }

        fn call(&mut self, op: &Op) {
            match op {
                Op::Wait(millis) => {
                    self.now = self.now.saturating_add(Duration::from_millis(*millis));
                }
                Op::Send(len) => {
                    // Numbered, so that they can be distinguished.
                    let text = format!("{:04}{}", self.sent.len(), "x".repeat(*len));
                    let payload = if len % 3 == 0 {
                        Payload::Binary(text.into())
                    } else {
                        Payload::Text(text.into())
                    };
                    if self.session.send(self.now, payload.clone()).is_ok() {
                        self.sent.push(payload);
                    }
                }
                Op::Pause(index) => {
                    if let Some(wire) = self.pick(*index, true) {
                        // To pause is to say what was taken, so everything is taken before.
                        self.drain();
                        self.session.pause(wire_id(wire));
                    }
                }
                Op::Resume(index) => {
                    if let Some(wire) = self.pick(*index, true) {
                        self.session.resume(wire_id(wire));
                    }
                }
                Op::Close => self.session.close(self.now, CloseReason::ForcedClose),
                Op::Abort => self.session.abort(CloseReason::ForcedClose),
                other => unreachable!("{other:?} is an input"),
            }
        }

        fn drain(&mut self) {
            while let Some(output) = self.session.poll_output() {
                self.record(output);
            }
        }

        fn record(&mut self, output: EngineOutput) {
            self.note_arrivals(&output);
            match output {
                EngineOutput::Event(event) => self.events.push(event),
                EngineOutput::Respond { wire, .. }
                | EngineOutput::Send { wire, .. }
                | EngineOutput::Close { wire, .. } => {
                    self.wires[usize::try_from(wire.0).unwrap()].outputs.push(output);
                }
                other => unreachable!("unknown: {other:?}"),
            }
        }

        fn note_arrivals(&mut self, output: &EngineOutput) {
            let packets: Vec<_> = match output {
                EngineOutput::Respond { response, .. } if response.body != "ok" => {
                    PayloadReader::new(response.body.clone()).flatten().collect()
                }
                EngineOutput::Send { frame, .. } => {
                    vec![EnginePacket::decode(frame.clone()).unwrap()]
                }
                EngineOutput::Respond { .. }
                | EngineOutput::Close { .. }
                | EngineOutput::Event(_) => vec![],
                other => unreachable!("unknown: {other:?}"),
            };
            self.arrived.extend(packets.into_iter().filter_map(|packet| match packet {
                EnginePacket::Message(payload) => Some(payload),
                _ => None,
            }));
        }

        fn is_held(&self) -> bool {
            self.wires.iter().any(|wire| !wire.lost && !wire.is_finished())
        }
    }

    impl Wire {
        fn is_finished(&self) -> bool {
            self.outputs.last().is_some_and(is_final)
        }
    }

    fn is_final(output: &EngineOutput) -> bool {
        matches!(output, EngineOutput::Respond { .. } | EngineOutput::Close { .. })
    }

    fn wire_id(index: usize) -> WireId {
        WireId(u64::try_from(index).unwrap())
    }

    fn transport() -> impl Strategy<Value = Transport> {
        prop::sample::select(&[Transport::Polling, Transport::Polling, Transport::WebSocket])
    }

    fn check_wires(world: &World) {
        for (index, Wire { outputs, websocket, .. }) in world.wires.iter().enumerate() {
            let finals = outputs.iter().filter(|output| is_final(output)).count();
            assert!(finals <= 1, "wire {index} is finished once: {outputs:?}");
            let rest = outputs.iter().skip_while(|output| !is_final(output)).count();
            assert!(rest <= 1, "nothing follows the last output of wire {index}: {outputs:?}");
            for output in outputs {
                let fits = match output {
                    EngineOutput::Respond { .. } => !websocket,
                    EngineOutput::Send { .. } => *websocket,
                    EngineOutput::Close { code, .. } => *websocket || code.is_none(),
                    EngineOutput::Event(_) => false,
                    other => unreachable!("unknown: {other:?}"),
                };
                assert!(fits, "wire {index} cannot do {output:?}");
            }
        }
        let closed =
            world.events.iter().position(|event| matches!(event, EngineEvent::Closed { .. }));
        let last = closed.is_none_or(|closed| closed + 1 == world.events.len());
        assert!(last, "no event follows the end: {:?}", world.events);
        assert_eq!(closed.is_some(), world.session.is_closed());
        assert!(world.sent.starts_with(&world.arrived), "{:?}\n{:?}", world.sent, world.arrived);
    }

    /// Gives the session what it needs to deliver everything and to end.
    fn converge(world: &mut World) {
        for index in 0..world.wires.len() {
            world.session.resume(wire_id(index));
        }
        world.drain();
        world.session.close(world.now, CloseReason::ForcedClose);
        world.drain();
        while !world.session.is_closed() {
            world.apply(&Op::Get);
            world.drain();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn promises_are_kept(transport in transport(), ops in prop::collection::vec(any_op(), 1..60)) {
            let mut limits = Limits::default();
            limits.queued_bytes = 150;
            limits.queued_packets = 5;
            limits.queue_burst_bytes = 250;
            limits.queue_burst_packets = 10;
            let mut world = World::new(config().max_payload(128).limits(limits), transport);
            world.drain();
            for op in &ops {
                world.apply(op);
                let due = world.session.deadline();
                let output = world.session.poll_output();
                prop_assert!(output.is_none() || due.is_some_and(|due| due <= world.now));
                if let Some(output) = output {
                    world.record(output);
                }
                world.drain();
                if world.session.deadline().is_some_and(|due| due <= world.now) {
                    world.apply(&Op::Timeout);
                    world.drain();
                    let later = world.session.deadline().is_none_or(|due| due > world.now);
                    prop_assert!(later, "a deadline is handled by one timeout");
                }
                // Beyond the limits there are at most a ping and a close packet.
                prop_assert!(world.session.queued_bytes() <= 150 + 250 + 2);
                prop_assert!(world.session.queued_packets() <= 5 + 10 + 2);
                check_wires(&world);
                if world.session.is_closed() {
                    prop_assert!(!world.is_held(), "every wire is finished: {:?}", world.wires);
                    prop_assert_eq!(world.session.deadline(), None);
                    prop_assert_eq!(world.session.queued_bytes(), 0);
                    let refused = world.session.send(world.now, Payload::Text("a".into()));
                    prop_assert_eq!(refused, Err(SendError::Closed));
                }
            }
        }

        #[test]
        fn everything_arrives_in_the_end(
            transport in transport(),
            ops in prop::collection::vec(any_op(), 1..60),
        ) {
            let mut world = World::new(config().max_payload(128), transport);
            for op in &ops {
                world.apply(op);
                world.drain();
            }
            let lives = world.session.is_open();
            converge(&mut world);
            check_wires(&world);
            prop_assert!(!world.is_held());
            if lives {
                prop_assert_eq!(world.sent, world.arrived);
            }
        }

        #[test]
        fn draining_at_any_time_is_draining_at_once(
            transport in transport(),
            ops in prop::collection::vec((any_op(), any::<bool>()), 1..60),
        ) {
            let mut eager = World::new(config().max_payload(128), transport);
            let mut lazy = World::new(config().max_payload(128), transport);
            for (op, drain) in &ops {
                eager.apply(op);
                eager.drain();
                lazy.apply(op);
                if *drain {
                    lazy.drain();
                }
                prop_assert_eq!(eager.session.is_writable(), lazy.session.is_writable());
                prop_assert_eq!(eager.session.is_closed(), lazy.session.is_closed());
                prop_assert_eq!(eager.session.transport(), lazy.session.transport());
            }
            lazy.drain();
            prop_assert_eq!(&eager.events, &lazy.events);
            for (eager, lazy) in eager.wires.iter().zip(&lazy.wires) {
                if eager.lost {
                    // Frames for a WebSocket that is gone are not worth keeping.
                    prop_assert!(eager.outputs.starts_with(&lazy.outputs));
                } else {
                    prop_assert_eq!(&eager.outputs, &lazy.outputs);
                }
            }
        }
    }
}
