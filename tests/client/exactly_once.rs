//! Events from the client to the server arrive exactly once and in order. With the client of this
//! crate, the application need not do anything. With official clients, the application adds an
//! offset to each event.

/// A client and a server of this crate.
#[cfg(test)]
mod counted {
    use std::{collections::BTreeMap, time::Duration};

    use proptest::prelude::*;
    use socketio_proto::{
        AckId, RecoveryConfig, ServerConfig,
        client::{Auth, Client, ClientAckFailure, ClientConfig, ClientEvent},
        hub::AckToken,
        server::ServerEvent,
        socket::Args,
    };

    use crate::client_support::{Pair, Scripted, entropy, event, polling, recovering, websocket};

    const MINUTE: Duration = Duration::from_secs(60);

    /// Both ends emit numbered events, links break, and both ends count.
    struct Cuts {
        pair: Pair,
        config: ClientConfig,
        restarts: u64,
        /// Events of the three kinds, by name.
        emitted: BTreeMap<&'static str, u64>,
        acks: BTreeMap<AckId, String>,
        broadcast: u64,
        received: BTreeMap<String, Vec<u64>>,
        mixed: Vec<u64>,
        replayed: Vec<u64>,
        order: u64,
    }

    /// How a link breaks: both sides notice, or only the client, or the client's process ends.
    #[derive(Clone, Copy, Debug)]
    enum Break {
        Cut,
        HalfOpen,
        Restart,
    }

    const BREAKS: [Break; 4] = [Break::Cut, Break::Cut, Break::HalfOpen, Break::Restart];

    impl Cuts {
        fn new(client: ClientConfig) -> Self {
            let client = client.retries(10_000).ack_timeout(Duration::from_secs(3));
            Self {
                pair: Pair::connected(client.clone(), recovering()),
                config: client,
                restarts: 0,
                emitted: BTreeMap::new(),
                acks: BTreeMap::new(),
                broadcast: 0,
                received: BTreeMap::new(),
                mixed: Vec::new(),
                replayed: Vec::new(),
                order: 0,
            }
        }

        fn emit(&mut self, name: &'static str) {
            let number = self.emitted.entry(name).or_default();
            let (now, client) = (self.pair.now, &mut self.pair.client);
            // The second number is the place among the events that are not in the retry queue.
            let event = socketio_proto::socket::Event::new(name, &(*number, self.order)).unwrap();
            let ack = match name {
                "plain" => {
                    client.emit(now, "/", &event).unwrap();
                    None
                }
                "acked" => Some(client.emit_with_ack(now, "/", &event, 1_000 * MINUTE).unwrap()),
                _ => Some(client.emit_with_retries(now, "/", &event).unwrap()),
            };
            if name != "retried" {
                self.order += 1;
            }
            if let Some(ack) = ack {
                self.acks.insert(ack, event.args().json().to_owned());
            }
            *number += 1;
        }

        fn emit_both_ways(&mut self, count: usize) {
            for index in 0..count {
                self.emit(["plain", "acked", "plain", "retried"][index % 4]);
                self.pair.client.emit_volatile(self.pair.now, "/", &event("volatile", 0));
                self.pair.broadcast(self.broadcast);
                self.broadcast += 1;
            }
        }

        /// Another process continues from the snapshot of the earlier one.
        fn restart(&mut self) {
            let state = serde_json::to_string(&self.pair.client.snapshot()).unwrap();
            self.pair.cut();
            self.count();
            self.restarts += 1;
            self.pair.client = Client::new(self.config.clone(), entropy(self.restarts)).unwrap();
            let client = &mut self.pair.client;
            client.restore(self.pair.now, serde_json::from_str(&state).unwrap()).unwrap();
            // Nobody waits for the others any more.
            self.acks.retain(|ack, _| client.retrying("/").any(|(other, _)| other == *ack));
            client.connect(self.pair.now, "/", Auth::None).unwrap();
        }

        fn round(&mut self, events: usize, steps: usize, breaks: Break, returns: bool) {
            self.emit_both_ways(events);
            self.pair.collect();
            for _ in 0..steps {
                self.pair.step();
            }
            match breaks {
                Break::Cut => self.pair.cut(),
                Break::HalfOpen => self.pair.half_open(),
                Break::Restart => self.restart(),
            }
            if returns {
                self.pair.reconnect();
            }
            self.count();
        }

        fn count(&mut self) {
            for event in self.pair.server_events.drain(..) {
                if let ServerEvent::Received { event, .. } = event
                    && event.name() != "volatile"
                {
                    let (number, order) = event.parse::<(u64, u64)>().unwrap();
                    self.received.entry(event.name().to_owned()).or_default().push(number);
                    if event.name() != "retried" {
                        self.mixed.push(order);
                    }
                }
            }
            for event in self.pair.events.drain(..) {
                match event {
                    ClientEvent::Received { event, .. } => {
                        self.replayed.push(event.get(0).unwrap());
                    }
                    ClientEvent::Acked { ack, args, .. } => {
                        assert_eq!(self.acks.remove(&ack).as_deref(), Some(args.json()), "once");
                    }
                    ClientEvent::AckFailed { .. } | ClientEvent::Unconfirmed { .. } => {
                        panic!("{event:?}")
                    }
                    ClientEvent::Connected { recovered, .. } => {
                        assert!(recovered || self.replayed.is_empty(), "a test of recoveries");
                    }
                    _ => {}
                }
            }
        }

        fn finish(mut self) {
            self.pair.reconnect();
            self.pair.advance(2 * MINUTE);
            self.count();
            for (name, count) in &self.emitted {
                let received = self.received.get(*name).cloned().unwrap_or_default();
                assert_eq!(received, (0..*count).collect::<Vec<_>>(), "{name}");
            }
            assert_eq!(self.mixed, (0..self.order).collect::<Vec<_>>(), "in order");
            assert_eq!(self.replayed, (0..self.broadcast).collect::<Vec<_>>());
            assert!(self.acks.is_empty(), "not acknowledged: {:?}", self.acks);
        }
    }

    #[test]
    fn a_thousand_cuts_lose_nothing_and_double_nothing() {
        for (seed, config) in [(1, polling()), (2, websocket()), (3, ClientConfig::new())] {
            let mut cuts = Cuts::new(config);
            let mut random = entropy(seed);
            let mut draw = move |below: u8| {
                let mut byte = [0];
                random(&mut byte);
                usize::from(byte[0] % below)
            };
            for _ in 0..334 {
                let (events, steps) = (draw(5), draw(24));
                cuts.round(events, steps, BREAKS[draw(4)], draw(4) > 0);
            }
            assert!(cuts.received.len() == 3 && cuts.broadcast > 300, "the test does something");
            assert!(cuts.restarts > 50, "the test does something");
            cuts.finish();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

        #[test]
        fn cuts_anywhere_lose_nothing_and_double_nothing(
            is_polling: bool,
            rounds in prop::collection::vec((0..6_usize, 0..30_usize, 0..4_usize, any::<bool>()), 0..8),
        ) {
            let mut cuts = Cuts::new(if is_polling { polling() } else { websocket() });
            for (events, steps, breaks, returns) in rounds {
                cuts.round(events, steps, BREAKS[breaks], returns);
            }
            cuts.finish();
        }
    }

    /// The token of the first event that the server received.
    fn token(pair: &mut Pair) -> AckToken {
        let token = pair.server_events.drain(..).find_map(|event| match event {
            ServerEvent::Received { ack, .. } => ack,
            _ => None,
        });
        token.expect("an acknowledgement was asked for")
    }

    #[test]
    fn an_answer_given_while_the_client_is_away_reaches_it() {
        let mut pair = Pair::connected(websocket(), recovering());
        pair.auto_ack = false;
        pair.client.emit_with_ack(pair.now, "/", &event("m", 1), MINUTE).unwrap();
        pair.settle();
        let token = token(&mut pair);
        pair.cut();
        assert!(pair.server.at(pair.now).ack(token, &Args::new(&("done",)).unwrap()), "kept");
        pair.reconnect();
        assert_eq!(pair.outcomes(), [Ok(r#"["done"]"#.to_owned())]);
        assert!(pair.server_numbers().is_empty(), "not delivered again");
    }

    #[test]
    fn an_answer_given_after_the_recovery_reaches_the_client() {
        for retries in [false, true] {
            let config = websocket().ack_timeout(Duration::from_secs(20));
            let mut pair = Pair::connected(config, recovering());
            pair.auto_ack = false;
            if retries {
                pair.client.emit_with_retries(pair.now, "/", &event("m", 1)).unwrap();
            } else {
                pair.client.emit_with_ack(pair.now, "/", &event("m", 1), MINUTE).unwrap();
            }
            pair.settle();
            let token = token(&mut pair);
            pair.half_open();
            pair.reconnect();
            pair.server.at(pair.now).ack(token, &Args::new(&(2,)).unwrap());
            pair.settle();
            assert_eq!(pair.outcomes(), [Ok("[2]".to_owned())]);
            assert!(pair.server_numbers().is_empty(), "not delivered again");
        }
    }

    #[test]
    fn a_slow_server_is_asked_and_not_sent_the_event_again() {
        let config = websocket().retries(2).ack_timeout(Duration::from_secs(1));
        let mut pair = Pair::connected(config, recovering());
        pair.auto_ack = false;
        pair.client.emit_with_retries(pair.now, "/", &event("m", 1)).unwrap();
        pair.advance(Duration::from_millis(2_500));
        assert_eq!(pair.outcomes(), []);
        pair.advance(Duration::from_millis(600));
        assert_eq!(pair.outcomes(), [Err(ClientAckFailure::Timeout)], "after three times a second");
        assert_eq!(pair.server_numbers(), [1]);
    }

    #[test]
    fn answers_are_kept_up_to_a_bound() {
        let mut limits = socketio_proto::Limits::default();
        limits.client_offsets = 2;
        let mut pair = Pair::connected(websocket(), recovering().limits(limits));
        for number in 0..3 {
            pair.client.emit_with_ack(pair.now, "/", &event("m", number), MINUTE).unwrap();
        }
        pair.collect();
        // The events and the question arrive, the answers do not.
        while pair.server_events.iter().filter(|e| is_received(e)).count() < 3 {
            assert!(pair.step());
        }
        pair.cut();
        pair.reconnect();
        assert_eq!(pair.outcomes(), [Ok("[1]".to_owned()), Ok("[2]".to_owned())]);
        pair.advance(MINUTE);
        assert_eq!(pair.outcomes(), [Err(ClientAckFailure::Timeout)], "settled, though");
        assert_eq!(pair.server_numbers(), [0, 1, 2]);
    }

    fn is_received(event: &ServerEvent<u32>) -> bool {
        matches!(event, ServerEvent::Received { .. })
    }

    /// What was sent on a link that swallows it, and then the session is over.
    fn lose_session(pair: &mut Pair) {
        let socket = pair.socket();
        pair.collect();
        pair.cut();
        pair.server.at(pair.now).disconnect(socket, false);
        pair.reconnect();
        assert!(!pair.client.is_recovered("/"));
    }

    #[test]
    fn with_a_new_session_the_application_is_told_what_may_be_lost() {
        let mut pair = Pair::connected(websocket(), recovering());
        pair.client.emit(pair.now, "/", &event("m", 1)).unwrap();
        pair.settle();
        pair.client.emit(pair.now, "/", &event("m", 2)).unwrap();
        pair.client.emit_volatile(pair.now, "/", &event("m", 3));
        pair.client.emit_with_ack(pair.now, "/", &event("m", 4), MINUTE).unwrap();
        pair.client.emit_with_retries(pair.now, "/", &event("m", 5)).unwrap();
        lose_session(&mut pair);
        let words = pair.pick(|event| match event {
            ClientEvent::Unconfirmed { event, .. } => Some(event.event().json().to_owned()),
            ClientEvent::AckFailed { cause, .. } => Some(format!("{cause:?}")),
            ClientEvent::Acked { args, .. } => Some(args.json().to_owned()),
            _ => None,
        });
        assert_eq!(words, ["Disconnected", r#"["m",2]"#, "[5]"]);
        assert_eq!(pair.server_numbers(), [1, 5], "retries are for all sessions");
    }

    #[test]
    fn what_was_sent_again_is_confirmed_as_well() {
        let mut pair = Pair::connected(websocket(), recovering());
        pair.client.emit(pair.now, "/", &event("m", 1)).unwrap();
        pair.cut();
        pair.reconnect();
        pair.settle();
        lose_session(&mut pair);
        let reported =
            pair.pick(|event| matches!(event, ClientEvent::Unconfirmed { .. }).then_some(()));
        assert!(reported.is_empty() && pair.server_numbers() == [1]);
    }

    #[test]
    fn leaving_reports_as_well() {
        let mut pair = Pair::connected(websocket(), recovering());
        pair.client.emit(pair.now, "/", &event("m", 1)).unwrap();
        pair.cut();
        pair.client.disconnect(pair.now, "/");
        pair.collect();
        let count =
            pair.pick(|event| matches!(event, ClientEvent::Unconfirmed { .. }).then_some(()));
        assert_eq!(count.len(), 1);
    }

    #[test]
    fn what_is_unconfirmed_is_bounded() {
        let mut limits = socketio_proto::client::ClientLimits::default();
        limits.buffered_events = 3;
        let mut pair = Pair::connected(websocket().limits(limits), recovering());
        for number in 0..3 {
            pair.client.emit(pair.now, "/", &event("m", number)).unwrap();
        }
        assert!(pair.client.emit(pair.now, "/", &event("m", 3)).is_err());
        pair.settle();
        assert!(pair.client.emit(pair.now, "/", &event("m", 3)).is_ok(), "confirmed");
    }

    /// The server acknowledges, and never says how many events have arrived.
    #[test]
    fn a_server_that_does_not_confirm_is_sent_no_more_than_is_kept() {
        let mut limits = socketio_proto::client::ClientLimits::default();
        limits.buffered_events = 3;
        let mut scripted = Scripted::connecting(ClientConfig::new().limits(limits));
        scripted.text(r#"40{"sid":"s1","pid":"p1","received":0}"#);
        let volatile = |scripted: &mut Scripted| {
            scripted.client.emit_volatile(scripted.now, "/", &event("m", 0))
        };
        assert!(volatile(&mut scripted) && volatile(&mut scripted));
        for number in 0..2 {
            scripted.client.emit_with_retries(scripted.now, "/", &event("r", number)).unwrap();
        }
        // The third event of the session, so its id is 2.
        scripted.text("432[]");
        assert!(!volatile(&mut scripted), "there is no room");
        assert!(scripted.client.emit(scripted.now, "/", &event("m", 1)).is_err());
        let retried = |scripted: &mut Scripted| {
            let sent = scripted.take_sent();
            sent.iter().filter(|text| text.contains(r#"["r","#)).count()
        };
        assert_eq!(retried(&mut scripted), 1, "the second one waits");
        // While it is away, and whatever the server says when it is back.
        for _ in 0..3 {
            scripted.reopen();
            for number in 0..5 {
                scripted.client.emit(scripted.now, "/", &event("m", number)).ok();
            }
            scripted.text(r#"40{"sid":"s1","pid":"p1","received":0}"#);
            assert!(scripted.client.is_recovered("/"));
            let state = scripted.client.snapshot();
            let sent = state.sessions()[0].events().count() - 1;
            assert!(sent <= 3, "and one to be retried: {sent}");
        }
        scripted.text("43[3]");
        assert_eq!(scripted.client.snapshot().sessions()[0].events().count(), 1);
    }

    #[test]
    fn a_new_process_goes_on_counting() {
        let mut pair = Pair::connected(websocket(), recovering());
        pair.auto_ack = false;
        pair.client.emit_with_ack(pair.now, "/", &event("m", 1), MINUTE).unwrap();
        pair.settle();
        let earlier = token(&mut pair);
        let state = pair.client.snapshot();
        pair.cut();
        pair.client = Client::new(websocket(), entropy(9)).unwrap();
        pair.client.restore(pair.now, state).unwrap();
        pair.client.connect(pair.now, "/", Auth::None).unwrap();
        pair.settle();
        assert!(pair.client.is_recovered("/"));
        pair.client.emit_with_ack(pair.now, "/", &event("m", 2), MINUTE).unwrap();
        pair.server.at(pair.now).ack(earlier, &Args::empty());
        pair.settle();
        assert_eq!(pair.outcomes(), [], "the answer to an event of the earlier process");
        pair.client.emit(pair.now, "/", &event("m", 3)).unwrap();
        pair.cut();
        pair.reconnect();
        pair.settle();
        assert_eq!(pair.server_numbers(), [2, 3]);
    }

    #[test]
    fn without_recovery_nothing_is_counted() {
        let mut pair = Pair::connected(websocket(), ServerConfig::new());
        pair.client.emit(pair.now, "/", &event("m", 1)).unwrap();
        pair.cut();
        pair.reconnect();
        let reported =
            pair.pick(|event| matches!(event, ClientEvent::Unconfirmed { .. }).then_some(()));
        assert!(reported.is_empty() && pair.server_numbers().is_empty(), "at most once");
    }

    #[test]
    fn a_server_that_does_not_count_is_not_asked() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.client.emit(scripted.now, "/", &event("m", 1)).unwrap();
        assert_eq!(scripted.take_sent(), [r#"42["m",1]"#]);
        scripted.reopen();
        scripted.text(r#"40{"sid":"s1","pid":"p1"}"#);
        assert!(scripted.client.is_recovered("/"));
        assert!(!scripted.take_sent().iter().any(|text| text.starts_with("43")));
    }

    #[test]
    fn a_server_that_has_forgotten_its_count_is_sent_nothing_again() {
        let mut scripted = Scripted::connecting(ClientConfig::new());
        scripted.text(r#"40{"sid":"s1","pid":"p1","received":4}"#);
        for number in 0..2 {
            scripted.client.emit(scripted.now, "/", &event("m", number)).unwrap();
        }
        scripted.take_sent();
        scripted.text("43[5]");
        for received in [r#","received":4"#, r#","received":7"#, ""] {
            scripted.reopen();
            scripted.words();
            scripted.take_sent();
            scripted.text(&format!(r#"40{{"sid":"s1","pid":"p1"{received}}}"#));
            let unconfirmed = scripted.words().iter().any(|word| word.starts_with("Unconfirmed"));
            let sent = scripted.take_sent();
            assert_eq!(unconfirmed, received.ends_with('4'), "once, {received}");
            assert!(!sent.iter().any(|text| text.starts_with("42")), "{sent:?}");
        }
    }

    #[test]
    fn replay_before_connect_is_no_obstacle() {
        let mut recovery = RecoveryConfig::default();
        recovery.count_events = true;
        recovery.replay_order = socketio_proto::ReplayOrder::BeforeConnect;
        let mut pair = Pair::connected(websocket(), ServerConfig::new().recovery(recovery));
        pair.client.emit(pair.now, "/", &event("m", 1)).unwrap();
        pair.cut();
        pair.broadcast(7);
        pair.reconnect();
        pair.settle();
        assert_eq!((pair.numbers(), pair.server_numbers()), (vec![7], vec![1]));
    }
}

/// Raw packets, as an official client sends them.
#[cfg(test)]
mod raw {
    use socketio_proto::{
        Limits, SocketKey,
        hub::{AckToken, Once, OnceError},
        server::ServerEvent,
        socket::Args,
    };

    use crate::support::{Client, World, counting_config};

    /// Takes the event that was received: the socket, the offset and the token.
    fn received(world: &mut World) -> (SocketKey, String, Option<AckToken>) {
        let found = world.events.drain(..).find_map(|event| match event {
            ServerEvent::Received { socket, event, ack, .. } => {
                Some((socket, event.get(1).unwrap(), ack))
            }
            _ => None,
        });
        found.expect("an event")
    }

    /// What an application does: handles it if it is fresh.
    fn accept(world: &mut World) -> Once {
        let (socket, offset, token) = received(world);
        let once = world.server.at(world.now).accept_once(socket, &offset, token).unwrap();
        world.drain();
        once
    }

    fn fresh(world: &mut World) -> AckToken {
        match accept(world) {
            Once::Fresh(Some(token)) => token,
            other => panic!("not fresh: {other:?}"),
        }
    }

    fn ack(world: &mut World, token: AckToken, text: &str) -> bool {
        let is_taken = world.server.at(world.now).ack(token, &Args::new(&(text,)).unwrap());
        world.drain();
        is_taken
    }

    fn sent(world: &mut World, client: Client) -> Vec<String> {
        world.texts(client)
    }

    /// The answer does not differ from the answer of the reference.
    #[test]
    fn without_counting_the_connect_answer_is_that_of_the_reference() {
        let mut world = World::with_recovery();
        let client = world.open();
        world.send(client, "40");
        let answer = world.text(client);
        assert!(!answer.contains("received"), "{answer}");
        assert_eq!(answer.len(), r#"40{"sid":"","pid":""}"#.len() + 40, "{answer}");
        // Nor does an acknowledgement without an id mean anything.
        world.send(client, "43[]");
        assert!(world.texts(client).is_empty());
    }

    #[test]
    fn a_duplicate_is_acknowledged_with_the_stored_answer() {
        let mut world = World::new(counting_config());
        let (client, session) = world.connect();
        world.send(client, r#"421["m","x","o-1"]"#);
        let token = fresh(&mut world);
        assert!(ack(&mut world, token, "first"));
        world.send(client, r#"422["m","x","o-1"]"#);
        assert_eq!(accept(&mut world), Once::Duplicate);
        assert_eq!(sent(&mut world, client), [r#"431["first"]"#, r#"432["first"]"#]);

        // Recovered, and taken over while the server still considers the old link alive.
        world.cut(client);
        let (client, session) = world.claim(&session, None);
        world.send(client, r#"423["m","x","o-1"]"#);
        assert_eq!(accept(&mut world), Once::Duplicate);
        assert_eq!(sent(&mut world, client), [r#"433["first"]"#]);
        let (client, _) = world.claim(&session, None);
        world.send(client, r#"420["m","x","o-1"]"#);
        assert_eq!(accept(&mut world), Once::Duplicate);
        assert_eq!(sent(&mut world, client), [r#"430["first"]"#]);

        // Another session has its own window.
        let (client, _) = world.connect();
        world.send(client, r#"421["m","x","o-1"]"#);
        fresh(&mut world);
    }

    #[test]
    fn a_duplicate_waits_for_the_answer_to_the_first() {
        let mut world = World::new(counting_config());
        let (client, session) = world.connect();
        world.send(client, r#"421["m","x","o-1"]"#);
        let token = fresh(&mut world);
        world.cut(client);
        let (client, _) = world.claim(&session, None);
        world.send(client, r#"422["m","x","o-1"]"#);
        assert_eq!(accept(&mut world), Once::Duplicate);
        assert!(sent(&mut world, client).is_empty(), "it is still being handled");
        assert!(ack(&mut world, token, "late"));
        assert_eq!(sent(&mut world, client), [r#"432["late"]"#], "the present try is answered");
    }

    #[test]
    fn an_answer_given_while_parked_is_kept() {
        let mut world = World::new(counting_config());
        let (client, session) = world.connect();
        world.send(client, r#"421["m","x","o-1"]"#);
        let token = fresh(&mut world);
        world.cut(client);
        assert!(ack(&mut world, token, "kept"));
        let (client, _) = world.claim(&session, None);
        world.send(client, r#"425["m","x","o-1"]"#);
        assert_eq!(accept(&mut world), Once::Duplicate);
        assert_eq!(sent(&mut world, client), [r#"435["kept"]"#]);
    }

    #[test]
    fn an_event_that_asked_for_nothing_is_once_as_well() {
        let mut world = World::new(counting_config());
        let (client, _) = world.connect();
        world.send(client, r#"42["m","x","o-1"]"#);
        assert_eq!(accept(&mut world), Once::Fresh(None));
        world.send(client, r#"421["m","x","o-1"]"#);
        assert_eq!(accept(&mut world), Once::Duplicate);
        assert_eq!(sent(&mut world, client), ["431[]"]);
    }

    #[test]
    fn the_window_is_bounded_as_documented() {
        let mut limits = Limits::default();
        limits.client_offsets = 3;
        let mut world = World::new(counting_config().limits(limits));
        let (client, _) = world.connect();
        let mut send = |offset: u32| {
            world.send(client, &format!(r#"42["m","x","o-{offset}"]"#));
            accept(&mut world)
        };
        for offset in 0..4 {
            assert_eq!(send(offset), Once::Fresh(None));
        }
        for offset in 1..4 {
            assert_eq!(send(offset), Once::Duplicate);
        }
        assert_eq!(send(0), Once::Fresh(None), "out of the window");
        assert_eq!(Limits::default().client_offsets, 1_024);
    }

    #[test]
    fn offsets_that_cannot_be_remembered_are_refused() {
        let mut world = World::new(counting_config());
        let (client, _) = world.connect();
        let (socket, _) = world.connected();
        let long = "x".repeat(256);
        for offset in ["", &long] {
            let result = world.server.at(world.now).accept_once(socket, offset, None);
            assert_eq!(result, Err(OnceError::OffsetLength { limit: 255 }));
        }
        world.send(client, "41");
        let result = world.server.at(world.now).accept_once(socket, "a", None);
        assert_eq!(result, Err(OnceError::UnknownSocket));
    }

    #[test]
    fn events_on_an_earlier_link_are_not_counted() {
        let mut world = World::new(counting_config());
        let (client, session) = world.connect();
        world.send(client, "43[]");
        world.send(client, r#"42["m",1]"#);
        world.send(client, "43[]");
        assert_eq!(sent(&mut world, client), ["43[0]", "43[1]"]);
        let next = world.open();
        world.send(next, &crate::support::claim_packet(&session, None));
        world.events.clear();
        world.send(client, r#"42["m",2]"#);
        assert!(world.events.is_empty(), "the client sends it on the new link");
        let answer = world.text(next);
        assert!(answer.ends_with(r#","received":1}"#), "{answer}");
    }

    #[test]
    fn asking_is_bounded_by_what_is_kept() {
        let mut world = World::new(counting_config());
        let (client, _) = world.connect();
        world.send(client, "43[]");
        world.send(client, r#"427["m",1]"#);
        let token = world.token();
        assert!(ack(&mut world, token, "ok"));
        sent(&mut world, client);
        world.send(client, "43[7,7,7,8,9007199254740993]");
        assert_eq!(sent(&mut world, client), ["43[1]", r#"437["ok"]"#], "each once");
        for nonsense in [r#"43["7"]"#, "43[-1]", "43[{}]"] {
            world.send(client, nonsense);
            assert!(sent(&mut world, client).is_empty(), "{nonsense}");
        }
    }

    #[test]
    fn an_answer_is_kept_until_it_has_arrived() {
        let mut world = World::new(counting_config());
        let (client, _) = world.connect();
        world.send(client, "43[]");
        world.send(client, r#"421["m",1]"#);
        let token = world.token();
        assert!(ack(&mut world, token, "ok"));
        world.send(client, "43[]");
        world.send(client, "43[1]");
        let kept = ["43[0]", r#"431["ok"]"#, "43[1]", "43[1]", r#"431["ok"]"#];
        assert_eq!(sent(&mut world, client), kept);
        world.send(client, "43[]");
        world.send(client, "43[]");
        world.send(client, "43[1]");
        assert_eq!(sent(&mut world, client), ["43[1]"; 3]);
    }

    #[test]
    fn an_answer_sent_on_an_earlier_link_is_not_taken_for_received() {
        let mut world = World::new(counting_config());
        let (client, session) = world.connect();
        world.send(client, "43[]");
        world.send(client, r#"421["m",1]"#);
        let token = world.token();
        assert!(ack(&mut world, token, "ok"));
        let (client, _) = world.claim(&session, None);
        for question in ["43[]", "43[]", "43[1]"] {
            world.send(client, question);
        }
        assert_eq!(sent(&mut world, client)[3..], [r#"431["ok"]"#]);
    }

    #[test]
    fn a_client_that_does_not_count_sees_no_difference() {
        let mut world = World::new(counting_config());
        let (client, session) = world.connect();
        world.send(client, r#"421["m",1]"#);
        let token = world.token();
        world.cut(client);
        assert!(!ack(&mut world, token, "lost"), "the reference loses it as well (H40)");
        let (client, _) = world.claim(&session, None);
        assert!(sent(&mut world, client).is_empty());
    }
}
