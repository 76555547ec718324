//! A server sends random packets, and the application makes random calls. The client never panics,
//! its deadlines are correct, each wire is finished once, and each acknowledgement is settled.

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        time::Duration,
    };

    use proptest::prelude::*;
    use socketio_proto::{
        Timestamp, WireId,
        client::{Auth, Client, ClientConfig, ClientEvent, ClientLimits, ClientOutput},
        engine::{ClientInput, EngineClientOutput, Frame, Transport},
        socket,
    };

    #[derive(Clone, Debug)]
    enum Op {
        Respond(usize, u16, Vec<u8>),
        Opened(usize),
        Text(usize, String),
        Binary(usize, Vec<u8>),
        Lost(usize),
        Wait(u64),
        Timeout,
        Connect(bool),
        Disconnect(bool),
        Forget(bool),
        State,
        Emit,
        Volatile,
        WithAck,
        WithRetries,
        Pause(usize),
        Resume(usize),
        Take,
        Reconnect,
        Close,
        Drain,
    }

    fn text() -> impl Strategy<Value = String> {
        let open = r#"0{"sid":"a","upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":30}"#;
        let packets = [
            "2",
            "3probe",
            "3",
            "1",
            "6",
            "5",
            "x",
            "",
            r#"40{"sid":"s","pid":"p"}"#,
            r#"40{"sid":"s","pid":"p"}"#,
            r#"40{"sid":"t"}"#,
            r#"40{"sid":"s","pid":"p","received":0}"#,
            r#"40{"sid":"s","pid":"p","received":2}"#,
            "43[1]",
            "43[2]",
            "43[2,1]",
            r#"40/b,{"sid":"s"}"#,
            "41",
            "41/b,",
            r#"44{"message":"m","data":1}"#,
            r#"44"m""#,
            r#"42["m",1,"7-1"]"#,
            r#"42["m","7-2"]"#,
            r#"421["m"]"#,
            "430[1]",
            "431[]",
            "432[]",
            r#"451-["m",{"_placeholder":true,"num":0}]"#,
            "bAQID",
            "4x",
            "42{}",
        ];
        prop_oneof![
            3 => Just(open.to_owned()),
            12 => prop::sample::select(packets.to_vec()).prop_map(str::to_owned),
            1 => "\\PC{0,12}",
            1 => "4[0-6][0-9/,{}\\[\\]\":a-]{0,16}",
        ]
    }

    fn body() -> impl Strategy<Value = Vec<u8>> {
        let payload = prop::collection::vec(text(), 1..4).prop_map(|texts| texts.join("\u{1e}"));
        prop_oneof![
            10 => payload.prop_map(String::into_bytes),
            1 => prop::collection::vec(any::<u8>(), 0..20),
        ]
    }

    fn op() -> impl Strategy<Value = Op> {
        let wire = 0..4_usize;
        prop_oneof![
            8 => (wire.clone(), prop_oneof![9 => Just(200_u16), 1 => any::<u16>()], body())
                .prop_map(|(wire, status, body)| Op::Respond(wire, status, body)),
            4 => wire.clone().prop_map(Op::Opened),
            12 => (wire.clone(), text()).prop_map(|(wire, text)| Op::Text(wire, text)),
            1 => (wire.clone(), prop::collection::vec(any::<u8>(), 0..9))
                .prop_map(|(wire, bytes)| Op::Binary(wire, bytes)),
            2 => wire.clone().prop_map(Op::Lost),
            4 => (0..2_000_u64).prop_map(Op::Wait),
            4 => Just(Op::Timeout),
            2 => any::<bool>().prop_map(Op::Connect),
            1 => any::<bool>().prop_map(Op::Disconnect),
            1 => any::<bool>().prop_map(Op::Forget),
            2 => Just(Op::State),
            3 => Just(Op::Emit),
            1 => Just(Op::Volatile),
            2 => Just(Op::WithAck),
            2 => Just(Op::WithRetries),
            1 => wire.clone().prop_map(Op::Pause),
            1 => wire.prop_map(Op::Resume),
            1 => Just(Op::Take),
            1 => Just(Op::Reconnect),
            1 => Just(Op::Close),
            6 => Just(Op::Drain),
        ]
    }

    struct World {
        config: ClientConfig,
        client: Client,
        now: Timestamp,
        /// Wires that are not finished, and whether they are WebSockets.
        wires: BTreeMap<WireId, bool>,
        pending: BTreeSet<socketio_proto::AckId>,
        settled_early: Vec<socketio_proto::AckId>,
        log: Vec<String>,
    }

    impl World {
        fn new(polling_first: bool) -> Self {
            let mut limits = ClientLimits::default();
            limits.buffered_events = 3;
            limits.replayed_events = 3;
            limits.queued_packets = 4;
            limits.buffered_age = Duration::from_secs(3);
            let transports: &[Transport] = if polling_first {
                &[Transport::Polling, Transport::WebSocket]
            } else {
                &[Transport::WebSocket, Transport::Polling]
            };
            let config = ClientConfig::new()
                .transports(transports)
                .try_all_transports(true)
                .ack_timeout(Duration::from_millis(400))
                .limits(limits);
            let mut state = 1_u8;
            let entropy = move |dest: &mut [u8]| {
                for byte in dest {
                    state = state.wrapping_mul(181).wrapping_add(97);
                    *byte = state;
                }
            };
            let mut client = Client::new(config.clone(), entropy).unwrap();
            let now = Timestamp::from_millis(5);
            client.connect(now, "/", Auth::None).unwrap();
            let (wires, pending) = (BTreeMap::new(), BTreeSet::new());
            Self { config, client, now, wires, pending, settled_early: Vec::new(), log: Vec::new() }
        }

        fn wire(&self, index: usize) -> WireId {
            let count = self.wires.len().max(1);
            self.wires.keys().rev().nth(index % count).copied().unwrap_or(WireId(999_999))
        }

        fn drain(&mut self) {
            while let Some(output) = self.client.poll_output() {
                self.log.push(format!("{output:?}"));
                match output {
                    ClientOutput::Wire(
                        EngineClientOutput::Get { wire, .. }
                        | EngineClientOutput::Post { wire, .. },
                    ) => assert!(self.wires.insert(wire, false).is_none(), "a name is used once"),
                    ClientOutput::Wire(EngineClientOutput::OpenWebSocket { wire, .. }) => {
                        assert!(self.wires.insert(wire, true).is_none(), "a name is used once");
                    }
                    ClientOutput::Wire(EngineClientOutput::Send { wire, .. }) => {
                        assert!(self.wires.contains_key(&wire), "nothing after the end of a wire");
                    }
                    ClientOutput::Wire(EngineClientOutput::Close { wire }) => {
                        assert!(self.wires.remove(&wire).is_some(), "finished once");
                    }
                    ClientOutput::Wire(EngineClientOutput::Event(event)) => panic!("{event:?}"),
                    ClientOutput::Event(
                        ClientEvent::Acked { ack, .. } | ClientEvent::AckFailed { ack, .. },
                    ) => {
                        if !self.pending.remove(&ack) {
                            self.settled_early.push(ack);
                        }
                    }
                    ClientOutput::Event(_) => {}
                    other => unreachable!("unknown: {other:?}"),
                }
            }
        }

        fn expect(&mut self, ack: socketio_proto::AckId) {
            match self.settled_early.iter().position(|early| *early == ack) {
                Some(index) => {
                    self.settled_early.remove(index);
                }
                None => assert!(self.pending.insert(ack)),
            }
        }

        fn apply(&mut self, op: &Op) {
            match op {
                Op::Wait(millis) => {
                    self.now = self.now.saturating_add(Duration::from_millis(*millis));
                }
                Op::Timeout => self.time_out(),
                Op::Drain => self.drain(),
                _ => match self.news(op) {
                    Some(input) => self.client.handle_input(self.now, input),
                    None => self.call(op),
                },
            }
        }

        fn time_out(&mut self) {
            self.drain();
            if let Some(deadline) = self.client.deadline() {
                self.now = self.now.max(deadline);
            }
            self.client.handle_input(self.now, ClientInput::Timeout);
            self.drain();
            let next = self.client.deadline();
            assert!(next.is_none_or(|next| next > self.now), "{next:?} at {:?}", self.now);
        }

        /// What happens on a wire.
        fn news(&mut self, op: &Op) -> Option<ClientInput> {
            Some(match op {
                Op::Respond(wire, status, body) => {
                    // Wires are known once their output was polled.
                    let wire = self.wire(*wire);
                    self.drain();
                    // On a WebSocket it means nothing.
                    if self.wires.get(&wire) == Some(&false) {
                        self.wires.remove(&wire);
                    }
                    ClientInput::Response { wire, status: *status, body: body.clone().into() }
                }
                Op::Opened(wire) => ClientInput::WebSocketOpened { wire: self.wire(*wire) },
                Op::Text(wire, text) => {
                    let frame = Frame::Text(text.as_str().into());
                    ClientInput::Frame { wire: self.wire(*wire), frame }
                }
                Op::Binary(wire, bytes) => {
                    let frame = Frame::Binary(bytes.clone().into());
                    ClientInput::Frame { wire: self.wire(*wire), frame }
                }
                Op::Lost(wire) => {
                    let wire = self.wire(*wire);
                    self.drain();
                    self.wires.remove(&wire);
                    ClientInput::WireClosed { wire }
                }
                _ => return None,
            })
        }

        /// What the application does.
        fn call(&mut self, op: &Op) {
            let now = self.now;
            let event = socket::Event::new("e", &(1,)).unwrap();
            let name = |is_root: &bool| if *is_root { "/" } else { "/b" };
            match op {
                Op::Connect(root) => {
                    self.client.connect(now, name(root), Auth::None).unwrap();
                }
                Op::Disconnect(root) => {
                    self.client.disconnect(now, name(root));
                }
                Op::Forget(root) => {
                    self.client.forget(now, name(root));
                    assert!(!self.client.is_active(name(root)));
                    assert!(!self.client.forget(now, name(root)), "it is forgotten");
                }
                Op::Emit => self.client.emit(now, "/", &event).unwrap_or_default(),
                Op::Volatile => {
                    self.client.emit_volatile(now, "/", &event);
                }
                Op::WithAck => {
                    let timeout = Duration::from_millis(700);
                    if let Ok(ack) = self.client.emit_with_ack(now, "/", &event, timeout) {
                        self.expect(ack);
                    }
                }
                Op::WithRetries => {
                    if let Ok(ack) = self.client.emit_with_retries(now, "/", &event) {
                        self.expect(ack);
                    }
                }
                Op::Pause(wire) => self.client.pause(self.wire(*wire)),
                Op::Resume(wire) => self.client.resume(now, self.wire(*wire)),
                Op::Take => {
                    self.client.take_buffered(now, "/");
                    self.client.take_retrying(now, "/");
                }
                Op::Reconnect => {
                    self.client.reconnect(now);
                }
                Op::Close => self.client.close(now),
                Op::State => {
                    let state = self.client.snapshot();
                    let stored = serde_json::to_string(&state).unwrap();
                    let entropy = |dest: &mut [u8]| dest.fill(4);
                    let mut next = Client::new(self.config.clone(), entropy).unwrap();
                    next.restore(now, serde_json::from_str(&stored).unwrap()).unwrap();
                    assert_eq!(next.snapshot(), state);
                }
                other => unreachable!("{other:?}"),
            }
        }

        /// After a long enough wait, everything is settled.
        fn finish(&mut self) {
            self.drain();
            self.client.close(self.now);
            for _ in 0..500 {
                self.drain();
                let Some(deadline) = self.client.deadline() else {
                    break;
                };
                self.now = self.now.max(deadline);
                self.client.handle_input(self.now, ClientInput::Timeout);
            }
            self.drain();
            assert_eq!(self.client.deadline(), None, "a client that is closed comes to rest");
            assert!(self.pending.is_empty(), "never settled: {:?}", self.pending);
            assert!(self.settled_early.is_empty(), "settled twice: {:?}", self.settled_early);
            assert!(self.wires.is_empty(), "never closed: {:?}", self.wires);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

        #[test]
        fn random_servers_do_no_harm(
            polling_first: bool,
            ops in prop::collection::vec(op(), 0..80),
        ) {
            let mut world = World::new(polling_first);
            for op in &ops {
                world.apply(op);
            }
            world.finish();
        }

        #[test]
        fn the_same_inputs_give_the_same_outputs(
            polling_first: bool,
            ops in prop::collection::vec(op(), 0..60),
        ) {
            let run = || {
                let mut world = World::new(polling_first);
                for op in &ops {
                    world.apply(op);
                }
                world.finish();
                world.log
            };
            prop_assert_eq!(run(), run());
        }
    }
}
