//! A client passes a snapshot to its next process. Its sessions continue, and events that had not
//! arrived arrive once and in order.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use socketio_proto::{
        Timestamp,
        client::{
            Auth, Client, ClientConfig, ClientEvent, ClientLimits, ClientRestoreError,
            ClientSnapshot,
        },
    };

    use crate::client_support::{Pair, Scripted, entropy, event, polling, recovering, websocket};

    const SECOND: Duration = Duration::from_secs(1);

    /// Ends the process, and starts another one with its snapshot.
    fn restart(pair: &mut Pair, config: ClientConfig) {
        let stored = serde_json::to_string(&pair.client.snapshot()).unwrap();
        pair.cut();
        pair.events.clear();
        pair.client = Client::new(config, entropy(pair.now.as_micros())).unwrap();
        let state: ClientSnapshot = serde_json::from_str(&stored).unwrap();
        pair.client.restore(pair.now, state.clone()).unwrap();
        assert_eq!(pair.client.snapshot(), state, "nothing is lost by it");
        pair.now = pair.now.saturating_add(SECOND);
        pair.client.connect(pair.now, "/", Auth::None).unwrap();
    }

    fn words(pair: &mut Pair) -> Vec<String> {
        pair.pick(|event| match event {
            ClientEvent::Acked { args, .. } => Some(format!("acked {}", args.json())),
            ClientEvent::AckFailed { cause, .. } => Some(format!("failed {cause:?}")),
            ClientEvent::Unconfirmed { event, .. } => {
                Some(format!("unconfirmed {}", event.event().json()))
            }
            _ => None,
        })
    }

    #[test]
    fn events_in_transit_arrive_once_and_in_order() {
        // However far things have got when the process ends.
        for steps in 0..16 {
            for config in [websocket(), polling(), ClientConfig::new()] {
                let mut pair = Pair::connected(config.clone(), recovering());
                pair.client.emit(pair.now, "/", &event("m", 0)).unwrap();
                pair.client.emit_volatile(pair.now, "/", &event("volatile", 99));
                let timeout = 60 * SECOND;
                pair.client.emit_with_ack(pair.now, "/", &event("m", 1), timeout).unwrap();
                pair.client.emit_with_retries(pair.now, "/", &event("r", 10)).unwrap();
                pair.client.emit_with_retries(pair.now, "/", &event("r", 11)).unwrap();
                pair.client.emit(pair.now, "/", &event("m", 2)).unwrap();
                pair.broadcast(7);
                for _ in 0..steps {
                    pair.step();
                }
                let mut numbers = pair.numbers();
                restart(&mut pair, config.clone());
                pair.client.emit(pair.now, "/", &event("m", 3)).unwrap();
                // Once more, before there is an answer.
                pair.step();
                restart(&mut pair, config);
                pair.settle();
                assert!(pair.client.is_recovered("/"), "after {steps}");
                pair.client.emit(pair.now, "/", &event("m", 4)).unwrap();
                pair.advance(60 * SECOND);

                numbers.extend(pair.events.iter().filter_map(|event| match event {
                    ClientEvent::Received { event, .. } => event.get::<u64>(0).ok(),
                    _ => None,
                }));
                assert_eq!(numbers, [7], "after {steps}");
                assert_eq!(pair.client.retrying("/").count(), 0);
                assert_eq!(pair.client.snapshot().sessions()[0].events().count(), 0);
                let words = words(&mut pair);
                assert!(words.iter().all(|word| word.starts_with("acked [1")), "{words:?}");
                let received = pair.pick_server(|event| match event {
                    socketio_proto::server::ServerEvent::Received { event, .. } => {
                        Some((event.name().to_owned(), event.get::<u64>(0).unwrap()))
                    }
                    _ => None,
                });
                let of = |name: &str| -> Vec<u64> {
                    received.iter().filter(|it| it.0 == name).map(|it| it.1).collect()
                };
                assert_eq!((of("m"), of("r")), (vec![0, 1, 2, 3, 4], vec![10, 11]), "{steps}");
            }
        }
    }

    #[test]
    fn buffered_events_are_sent_without_a_session_too() {
        let mut pair = Pair::new(websocket(), recovering());
        pair.is_down = true;
        pair.connect();
        pair.client.emit(pair.now, "/", &event("m", 1)).unwrap();
        pair.client.emit_with_ack(pair.now, "/", &event("m", 2), SECOND).unwrap();
        pair.client.emit_with_retries(pair.now, "/", &event("m", 3)).unwrap();
        pair.is_down = false;
        restart(&mut pair, websocket());
        let names: Vec<_> = pair.client.retrying("/").map(|(ack, _)| ack).collect();
        pair.settle();
        let acked = pair.pick(|event| match event {
            ClientEvent::Acked { ack, .. } => Some(*ack),
            _ => None,
        });
        assert_eq!(acked, names, "nobody waits for the other one any more");
        assert_eq!(pair.server_numbers(), [1, 2, 3]);
    }

    #[test]
    fn without_a_recovery_unconfirmed_events_are_reported() {
        let mut pair = Pair::connected(websocket(), recovering());
        pair.client.emit(pair.now, "/", &event("m", 1)).unwrap();
        pair.client.emit_with_ack(pair.now, "/", &event("m", 2), SECOND).unwrap();
        pair.client.emit_with_retries(pair.now, "/", &event("m", 3)).unwrap();
        let socket = pair.socket();
        restart(&mut pair, websocket());
        pair.server.at(pair.now).disconnect(socket, false);
        pair.settle();
        let reported = [r#"unconfirmed ["m",1]"#, r#"unconfirmed ["m",2]"#, "acked [3]"];
        assert_eq!(words(&mut pair), reported);
        assert_eq!(pair.server_numbers(), [3], "retries are for all sessions");
    }

    /// The other process has sent events after its snapshot was stored.
    #[test]
    fn an_outdated_snapshot_sends_nothing_twice() {
        let mut pair = Pair::connected(websocket(), recovering());
        pair.client.emit(pair.now, "/", &event("m", 1)).unwrap();
        let state = pair.client.snapshot();
        pair.client.emit(pair.now, "/", &event("m", 2)).unwrap();
        pair.settle();
        pair.cut();
        pair.client = Client::new(websocket(), entropy(9)).unwrap();
        pair.client.restore(pair.now, state).unwrap();
        pair.connect();
        assert!(pair.client.is_recovered("/"));
        assert_eq!(words(&mut pair), [r#"unconfirmed ["m",1]"#]);
        pair.client.emit(pair.now, "/", &event("m", 3)).unwrap();
        pair.cut();
        pair.reconnect();
        pair.settle();
        assert_eq!((pair.server_numbers(), words(&mut pair)), (vec![1, 2, 3], vec![]));
    }

    /// Without counting, nothing is known about sent events: events in transit are lost (C7), and retried
    /// events are sent once more than otherwise.
    #[test]
    fn a_server_that_does_not_count_events_gets_retried_events_again() {
        let mut scripted = Scripted::connected(ClientConfig::new().retries(0));
        scripted.client.emit(scripted.now, "/", &event("m", 1)).unwrap();
        scripted.client.emit_with_retries(scripted.now, "/", &event("m", 2)).unwrap();
        scripted.take_sent();
        let state = scripted.client.snapshot();
        assert_eq!(state.sessions()[0].events().count(), 1);
        let mut next = Scripted::new(ClientConfig::new().retries(0));
        next.client.restore(next.now, state).unwrap();
        next.client.connect(next.now, "/", Auth::None).unwrap();
        next.open();
        next.text(r#"40{"sid":"s1","pid":"p1"}"#);
        let sent = next.take_sent();
        let events: Vec<&String> = sent.iter().filter(|text| text.starts_with("42")).collect();
        assert_eq!(events.len(), 1, "{sent:?}");
        assert!(events[0].ends_with(r#"["m",2]"#) && !events[0].starts_with("421["), "a new id");
    }

    fn restored(state: &Value, config: ClientConfig) -> Result<Client, ClientRestoreError> {
        let state: ClientSnapshot = serde_json::from_value(state.clone()).expect("a state");
        let mut client = Client::new(config, entropy(1)).unwrap();
        client.restore(Timestamp::from_millis(5), state)?;
        Ok(client)
    }

    fn session() -> Value {
        json!({
            "namespace": "/", "pid": "p", "offset": "7-1", "next_ack": 9,
            "sent": { "confirmed": 3, "events": [
                null, { "at": 0, "packet": "2[\"m\",1]" }, { "at": 0, "packet": "2[\"m\",2]", "ack": 5 }
            ] },
            "buffered": [{ "at": 0, "packet": "2[\"m\",3]" }],
            "retrying": [
                { "at": 0, "packet": "2[\"m\",2]", "ack": 3 }, { "at": 0, "packet": "2[\"m\",4]", "ack": 4 }
            ],
            "tries": 1, "in_flight": 5
        })
    }

    fn state(sessions: &[Value]) -> Value {
        json!({ "version": 1, "websocket_worked": true, "sessions": sessions })
    }

    #[test]
    fn snapshots_of_other_versions_are_refused_when_they_are_read() {
        assert!(restored(&state(&[session()]), ClientConfig::new()).is_ok());
        for version in [json!(0), json!(2), json!("1"), json!(null)] {
            let mut state = state(&[]);
            state["version"] = version;
            assert!(serde_json::from_value::<ClientSnapshot>(state).is_err());
        }
        let old = json!({ "websocket_worked": true, "sessions": [] });
        assert!(serde_json::from_value::<ClientSnapshot>(old).is_err());
    }

    #[test]
    fn inconsistent_snapshots_are_refused() {
        let packet = |ack: Value| json!({ "at": 0, "packet": "2[\"m\"]", "ack": ack });
        for (key, value) in [
            ("pid", json!("")),
            ("pid", json!("p".repeat(256))),
            ("pid", json!(null)),
            ("offset", json!("not an offset")),
            ("sent", json!(null)),
            ("buffered", json!([packet(json!(1))])),
            ("retrying", json!([])),
            ("retrying", json!([packet(json!(null))])),
            ("retrying", json!([packet(json!(4)), packet(json!(4))])),
            ("retrying", json!([packet(json!(9))])),
            ("in_flight", json!(4)),
            ("in_flight", json!(9)),
            ("next_ack", json!(u64::MAX)),
        ] {
            let mut session = session();
            session[key] = value.clone();
            let result = restored(&state(&[session]), ClientConfig::new());
            assert_eq!(result.err(), Some(ClientRestoreError::Inconsistent), "{key}: {value}");
        }
        let twice = restored(&state(&[session(), session()]), ClientConfig::new());
        assert_eq!(twice.err(), Some(ClientRestoreError::Inconsistent));
    }

    #[test]
    fn snapshots_over_the_limits_are_refused() {
        let with = |events, bytes, namespaces| {
            let mut limits = ClientLimits::default();
            limits.buffered_events = events;
            limits.buffered_bytes = bytes;
            limits.namespaces = namespaces;
            ClientConfig::new().limits(limits)
        };
        let one = state(&[session()]);
        assert!(restored(&one, with(4, 100, 1)).is_ok());
        for config in [with(3, 100, 1), with(4, 20, 1)] {
            assert_eq!(restored(&one, config).err(), Some(ClientRestoreError::OverLimits));
        }
        let mut other = session();
        other["namespace"] = json!("/b");
        let two = restored(&state(&[session(), other]), with(4, 100, 1));
        assert_eq!(two.err(), Some(ClientRestoreError::OverLimits));
    }

    #[test]
    fn a_client_in_use_restores_no_snapshot() {
        let mut pair = Pair::connected(websocket(), recovering());
        let state = pair.client.snapshot();
        assert_eq!(pair.client.restore(pair.now, state), Err(ClientRestoreError::InUse));
        assert!(pair.client.is_connected("/"));
    }

    #[test]
    fn moments_of_another_clock_are_not_in_the_future() {
        let mut session = session();
        session["buffered"][0]["at"] = json!(u64::MAX);
        let mut client = restored(&state(&[session]), ClientConfig::new()).unwrap();
        assert_eq!(client.buffered("/").next().unwrap().emitted_at(), Timestamp::from_millis(5));
        let age = ClientLimits::default().buffered_age;
        assert_eq!(client.deadline(), Some(Timestamp::ZERO.saturating_add(age)));
        assert_eq!(client.take_buffered(Timestamp::from_millis(6), "/").len(), 1);
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut session = session();
        session["pid"] = json!("secret");
        let client = restored(&state(&[session]), ClientConfig::new()).unwrap();
        let shown = format!("{client:?} {:?}", client.snapshot());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
