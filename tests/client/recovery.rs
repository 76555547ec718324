//! Recovery as the client sees it: exactly the missed events, in order, from either order of the
//! replay, and across a restart of the client.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socketio_proto::{
        RecoveryConfig, ReplayOrder, ServerConfig,
        client::{Auth, Client, ClientConfig, ClientEvent, ClientSnapshot},
        engine::ClientInput,
        socket,
    };

    use crate::client_support::{Pair, Scripted, entropy, event, polling, recovering, websocket};

    fn replaying(order: ReplayOrder) -> ServerConfig {
        let mut recovery = RecoveryConfig::default();
        recovery.count_events = true;
        recovery.replay_order = order;
        ServerConfig::new().recovery(recovery)
    }

    const ORDERS: [ReplayOrder; 2] = [ReplayOrder::AfterConnect, ReplayOrder::BeforeConnect];

    #[test]
    fn exactly_the_missed_events_arrive_after_connected() {
        for order in ORDERS {
            for config in [polling(), websocket(), ClientConfig::new()] {
                let mut pair = Pair::connected(config, replaying(order));
                let id = pair.client.socket_id("/").map(str::to_owned);
                pair.broadcast(1);
                pair.settle();
                pair.cut();
                pair.broadcast(2);
                pair.broadcast(3);
                pair.events.clear();
                pair.reconnect();
                pair.broadcast(4);
                pair.settle();
                assert!(pair.client.is_recovered("/"));
                assert_eq!(pair.client.socket_id("/").map(str::to_owned), id);
                let order = pair.pick(|event| match event {
                    ClientEvent::Connected { recovered, .. } => Some(u64::from(*recovered)),
                    ClientEvent::Received { event, .. } => Some(event.get::<u64>(0).unwrap() * 10),
                    _ => None,
                });
                assert_eq!(order, [1, 20, 30, 40]);
            }
        }
    }

    #[test]
    fn a_session_without_events_is_recovered_too() {
        let mut pair = Pair::connected(websocket(), recovering());
        pair.cut();
        pair.broadcast(1);
        pair.reconnect();
        assert!(pair.client.is_recovered("/"));
        assert_eq!(pair.numbers(), [1]);
    }

    #[test]
    fn a_half_open_link_is_taken_over() {
        let mut pair = Pair::connected(websocket(), recovering());
        pair.broadcast(1);
        pair.half_open();
        pair.broadcast(2);
        pair.reconnect();
        assert!(pair.client.is_recovered("/"));
        assert_eq!(pair.numbers(), [1, 2], "the first one was on its way when the link broke");
    }

    /// Cuts at every point, with whatever is on its way lost, over all transports.
    #[test]
    fn cuts_anywhere_lose_and_double_nothing() {
        for (seed, client) in [(3, polling()), (5, websocket()), (7, ClientConfig::new())] {
            for order in ORDERS {
                let mut pair = Pair::connected(client.clone(), replaying(order));
                let mut number = 0;
                for round in 0..150_u64 {
                    for _ in 0..(round * seed) % 5 {
                        pair.broadcast(number);
                        number += 1;
                    }
                    for _ in 0..(round * seed) % 13 {
                        pair.step();
                    }
                    if round % 2 == 0 {
                        pair.cut();
                    } else {
                        pair.half_open();
                    }
                    pair.broadcast(number);
                    number += 1;
                    match round % 3 {
                        0 => pair.reconnect(),
                        1 => {
                            pair.client.reconnect(pair.now);
                            pair.collect();
                        }
                        _ => pair.advance(Duration::from_millis(200)),
                    }
                }
                pair.reconnect();
                let sessions = pair.events.iter().filter(|event| {
                    matches!(event, ClientEvent::Connected { recovered: false, .. })
                });
                assert_eq!(sessions.count(), 1, "one session throughout");
                assert_eq!(pair.numbers(), (0..number).collect::<Vec<_>>(), "{order:?}");
            }
        }
    }

    #[test]
    fn h24_what_was_replayed_before_a_connect_that_never_came_is_dropped() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.text(r#"42["m",1,"7-1"]"#);
        scripted.events.clear();
        scripted.reopen();
        // As the official server does: the replay first. The link breaks before the answer.
        scripted.text(r#"42["m",2,"7-2"]"#);
        scripted.text(r#"42["m",3,"7-3"]"#);
        scripted.reopen();
        assert!(scripted.take_sent().last().unwrap().contains(r#""offset":"7-1""#));
        scripted.text(r#"42["m",2,"7-2"]"#);
        scripted.text(r#"42["m",3,"7-3"]"#);
        scripted.text(r#"40{"sid":"s1","pid":"p1"}"#);
        let words = scripted.words();
        let received: Vec<&String> = words
            .iter()
            .filter(|word| word.starts_with("rec"))
            .filter(|w| !w.contains("reconnecting"))
            .collect();
        assert_eq!(
            received,
            ["recovered", r#"received ["m",2,"7-2"]"#, r#"received ["m",3,"7-3"]"#]
        );
        scripted.reopen();
        assert!(scripted.take_sent().last().unwrap().contains(r#""offset":"7-3""#));
    }

    #[test]
    fn h24_what_was_replayed_before_a_refusal_is_dropped() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.reopen();
        scripted.text(r#"42["secret","7-2"]"#);
        scripted.text(r#"44{"message":"no"}"#);
        scripted.client.connect(scripted.now, "/", Auth::None).unwrap();
        scripted.open();
        scripted.text(r#"40{"sid":"s2","pid":"p2"}"#);
        assert!(!scripted.words().iter().any(|word| word.starts_with("received")));
    }

    /// What was on its way when the client left and joined again stands before the answer, too, and
    /// is no replay: none was asked for.
    #[test]
    fn events_of_a_session_that_was_left_do_not_reach_the_next_one() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.client.connect(scripted.now, "/b", Auth::None).unwrap();
        scripted.text(r#"40/b,{"sid":"s2","pid":"p2"}"#);
        scripted.client.disconnect(scripted.now, "/b");
        scripted.client.connect(scripted.now, "/b", Auth::None).unwrap();
        scripted.drain();
        assert_eq!(scripted.take_sent().last().unwrap(), "40/b,");
        scripted.text(r#"42/b,["late",1,"7-1"]"#);
        scripted.text(r#"40/b,{"sid":"s3","pid":"p3"}"#);
        scripted.text(r#"42/b,["live",2,"7-2"]"#);
        let words = scripted.words();
        let received: Vec<&String> =
            words.iter().filter(|word| word.starts_with("received")).collect();
        assert_eq!(received, [r#"received ["live",2,"7-2"]"#]);
    }

    #[test]
    fn h25_a_new_session_forgets_the_offset_of_the_old_one() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.text(r#"42["m",1,"7-1"]"#);
        scripted.reopen();
        assert_eq!(scripted.take_sent().last().unwrap(), r#"40{"pid":"p1","offset":"7-1"}"#);
        scripted.text(r#"40{"sid":"s2","pid":"p2"}"#);
        assert!(!scripted.client.is_recovered("/"));
        scripted.reopen();
        assert_eq!(scripted.take_sent().last().unwrap(), r#"40{"pid":"p2"}"#);
    }

    #[test]
    fn h04_strings_of_the_application_are_not_taken_for_offsets() {
        // An official server: volatile events and those with an acknowledgement have no offset.
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.text(r#"42["m","hello"]"#);
        scripted.text(r#"42["m",1,"OyxQ0n0"]"#);
        scripted.text(r#"42["m","1-2"]"#);
        scripted.text(r#"42["m","see you"]"#);
        scripted.text(r#"421["m","goodbye"]"#);
        scripted.reopen();
        assert_eq!(scripted.take_sent().last().unwrap(), r#"40{"pid":"p1","offset":"OyxQ0n0"}"#);

        // This crate's: an event that takes no position repeats the one before.
        let mut pair = Pair::connected(websocket(), recovering());
        pair.broadcast(1);
        let text = socket::Event::new("m", &("text",)).unwrap();
        let volatile = crate::client_support::server_audience().volatile();
        pair.server.at(pair.now).broadcast("/", &volatile, &text).unwrap();
        pair.settle();
        pair.cut();
        pair.events.clear();
        pair.broadcast(2);
        pair.reconnect();
        assert!(pair.client.is_recovered("/"));
        assert_eq!(pair.numbers(), [2]);
    }

    #[test]
    fn a_session_that_ended_for_good_is_not_asked_for() {
        for end in ["client", "server"] {
            let mut scripted = Scripted::connected(ClientConfig::new());
            if end == "client" {
                scripted.client.disconnect(scripted.now, "/");
            } else {
                scripted.text("41");
            }
            scripted.take_sent();
            scripted.client.connect(scripted.now, "/", Auth::None).unwrap();
            scripted.open();
            assert_eq!(scripted.take_sent(), ["40"], "{end}");
        }
    }

    #[test]
    fn a_restarted_client_resumes_its_session() {
        let mut pair = Pair::connected(websocket(), recovering());
        pair.broadcast(1);
        pair.settle();
        assert_eq!(pair.numbers(), [1]);
        let stored = serde_json::to_string(&pair.client.snapshot()).unwrap();
        pair.cut();
        pair.broadcast(2);

        let state: ClientSnapshot = serde_json::from_str(&stored).unwrap();
        pair.client = Client::new(websocket(), entropy(9)).unwrap();
        pair.client.restore(pair.now, state).unwrap();
        pair.now = pair.now.saturating_add(Duration::from_secs(1));
        pair.connect();
        assert!(pair.client.is_recovered("/"));
        assert_eq!(pair.numbers(), [2]);
    }

    #[test]
    fn the_state_is_that_of_what_was_polled() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        let frame = |text: &str| ClientInput::Frame {
            wire: scripted.wire,
            frame: socketio_proto::engine::Frame::Text(text.into()),
        };
        let (first, second) = (frame(r#"42["m",1,"7-1"]"#), frame(r#"42["m",2,"7-2"]"#));
        scripted.client.handle_input(scripted.now, first);
        scripted.client.handle_input(scripted.now, second);
        let offset = |client: &Client| client.snapshot().sessions()[0].offset().map(str::to_owned);
        assert_eq!(offset(&scripted.client), None, "nothing was processed");
        assert!(scripted.client.poll_output().is_some());
        assert_eq!(offset(&scripted.client), Some("7-1".to_owned()));
        assert!(!format!("{:?}", scripted.client.snapshot()).contains("p1"), "a secret");
        assert!(!format!("{:?}", scripted.client).contains("p1"), "a secret");
    }

    #[test]
    fn without_recovery_every_session_is_new() {
        let mut pair = Pair::connected(websocket(), ServerConfig::new());
        pair.client.emit(pair.now, "/", &event("m", 1)).unwrap();
        pair.cut();
        pair.reconnect();
        assert!(!pair.client.is_recovered("/") && !pair.client.is_recoverable("/"));
    }
}
