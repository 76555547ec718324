//! At least once: in order, one in flight, at most `retries` + 1 times.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socketio_proto::{
        ServerConfig,
        client::{ClientConfig, ClientEmitError, ClientEvent, ClientLimits},
    };

    use crate::client_support::{Pair, Scripted, event, polling, websocket};

    fn config() -> ClientConfig {
        ClientConfig::new().retries(2).ack_timeout(Duration::from_millis(60))
    }

    #[test]
    fn one_is_in_flight_and_the_order_is_kept() {
        let mut scripted = Scripted::connected(config());
        for number in 1..=3 {
            scripted.client.emit_with_retries(scripted.now, "/", &event("m", number)).unwrap();
        }
        assert_eq!(scripted.take_sent(), [r#"421["m",1]"#]);
        assert_eq!(scripted.client.retrying("/").count(), 3);
        scripted.text(r#"431["ok"]"#);
        assert_eq!(scripted.words(), [r#"acked 0 ["ok"]"#]);
        assert_eq!(scripted.take_sent(), [r#"424["m",2]"#]);
        scripted.text("434[]");
        scripted.text("435[]");
        assert_eq!(scripted.words(), ["acked 2 []", "acked 3 []"]);
        assert_eq!(scripted.client.retrying("/").count(), 0);
    }

    #[test]
    fn c2_an_answer_is_never_taken_for_a_failure() {
        let mut scripted = Scripted::connected(config());
        scripted.client.emit_with_retries(scripted.now, "/", &event("m", 1)).unwrap();
        scripted.text(r#"431["not an error"]"#);
        assert_eq!(scripted.words(), [r#"acked 0 ["not an error"]"#]);
        assert_eq!(scripted.take_sent().len(), 1, "sent once");
    }

    #[test]
    fn an_event_is_sent_at_most_retries_and_one_times() {
        let mut scripted = Scripted::connected(config());
        let start = scripted.now;
        scripted.client.emit_with_retries(start, "/", &event("m", 1)).unwrap();
        scripted.client.emit_with_retries(start, "/", &event("m", 2)).unwrap();
        scripted.drain();
        for _ in 0..3 {
            assert_eq!(scripted.expire(), Duration::from_millis(60));
        }
        assert_eq!(scripted.words(), ["failed 0 Timeout"]);
        let sent = scripted.take_sent();
        assert_eq!(sent.iter().filter(|text| text.ends_with(r#"["m",1]"#)).count(), 3, "{sent:?}");
        assert!(sent[3].ends_with(r#"["m",2]"#), "the next one has its turn");
        scripted.text("431[]");
        assert_eq!(scripted.words(), [""; 0], "a late answer to an earlier try");
    }

    #[test]
    fn c3_a_lost_link_does_not_make_two_copies() {
        let mut scripted = Scripted::connected(config().ack_timeout(Duration::from_secs(100)));
        scripted.client.emit_with_retries(scripted.now, "/", &event("m", 1)).unwrap();
        scripted.take_sent();
        // The ping is overdue, and nobody has noticed.
        scripted.wait(45_000);
        scripted.client.emit_with_retries(scripted.now, "/", &event("m", 2)).unwrap();
        assert_eq!(scripted.client.buffered("/").count(), 0, "never in two places");
        assert!(scripted.take_sent().is_empty());
        scripted.input(socketio_proto::engine::ClientInput::Timeout);
        scripted.expire();
        scripted.open();
        scripted.text(r#"40{"sid":"s2","pid":"p2"}"#);
        let sent = scripted.take_sent();
        assert_eq!(sent.iter().filter(|text| text.starts_with("42")).count(), 1, "{sent:?}");
    }

    #[test]
    fn lost_links_use_up_tries() {
        let mut scripted = Scripted::connected(config().ack_timeout(Duration::from_secs(100)));
        scripted.client.emit_with_retries(scripted.now, "/", &event("m", 1)).unwrap();
        scripted.drain();
        for _ in 0..2 {
            scripted.reopen();
            scripted.text(r#"40{"sid":"s1","pid":"p1"}"#);
        }
        assert!(!scripted.words().iter().any(|word| word.starts_with("failed")));
        let sent = scripted.take_sent();
        assert_eq!(sent.iter().filter(|text| text.starts_with("42")).count(), 3);
        scripted.reopen();
        assert!(scripted.words().contains(&"failed 0 Disconnected".to_owned()));
    }

    #[test]
    fn what_never_gets_a_turn_settles_as_well() {
        let mut limits = ClientLimits::default();
        limits.buffered_age = Duration::from_secs(5);
        limits.buffered_events = 2;
        let mut scripted = Scripted::new(config().limits(limits));
        scripted.client.connect(scripted.now, "/", socketio_proto::client::Auth::None).unwrap();
        scripted.drain();
        for number in 1..=2 {
            scripted.client.emit_with_retries(scripted.now, "/", &event("m", number)).unwrap();
        }
        let refused = scripted.client.emit_with_retries(scripted.now, "/", &event("m", 3));
        assert_eq!(refused, Err(ClientEmitError::Full));
        assert_eq!(scripted.expire(), Duration::from_secs(5));
        assert_eq!(
            scripted.words(),
            ["failed 0 Expired", r#"expired ["m",1]"#, "failed 1 Expired", r#"expired ["m",2]"#]
        );
    }

    #[test]
    fn events_can_be_taken_back() {
        let mut scripted = Scripted::connected(config());
        scripted.client.emit_with_retries(scripted.now, "/", &event("m", 1)).unwrap();
        let taken = scripted.client.take_retrying(scripted.now, "/");
        assert_eq!(taken.len(), 1);
        assert_eq!(scripted.words(), ["failed 0 Withdrawn"]);
        scripted.text("431[]");
        assert_eq!(scripted.words(), [""; 0]);
    }

    /// Cuts everywhere, and a server without recovery, which does not know what it has: nothing is
    /// lost, the order is kept, and repetitions stand next to each other.
    #[test]
    fn everything_arrives_at_least_once_and_in_order() {
        for (seed, client) in [(1, polling()), (2, websocket()), (3, ClientConfig::new())] {
            let client = client.retries(1_000).ack_timeout(Duration::from_secs(3));
            let mut pair = Pair::connected(client, ServerConfig::new());
            let mut emitted = 0;
            for round in 0..60_u64 {
                for _ in 0..round % 4 {
                    let event = event("m", emitted);
                    pair.client.emit_with_retries(pair.now, "/", &event).unwrap();
                    emitted += 1;
                }
                pair.collect();
                for _ in 0..(round * seed * 7) % 11 {
                    pair.step();
                }
                pair.cut();
                if round % 3 != 0 {
                    pair.reconnect();
                }
            }
            pair.reconnect();
            pair.advance(Duration::from_secs(120));
            let acked = pair.pick(|event| matches!(event, ClientEvent::Acked { .. }).then_some(()));
            assert_eq!(acked.len(), usize::try_from(emitted).unwrap());
            let mut received = pair.server_numbers();
            let total = received.len();
            received.dedup();
            assert_eq!(received, (0..emitted).collect::<Vec<_>>(), "in order, none missing");
            assert!(total > received.len(), "cuts have caused repetitions");
        }
    }
}
