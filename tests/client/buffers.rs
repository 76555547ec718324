//! Events that are emitted while there is no connection.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socketio_proto::{
        ServerConfig,
        client::{Auth, BufferedEvent, Client, ClientConfig, ClientEmitError, ClientLimits},
        engine::ClientInput,
        socket,
    };

    use crate::client_support::{Pair, Scripted, event, polling, recovering, websocket};

    fn limited(change: impl FnOnce(&mut ClientLimits)) -> ClientConfig {
        let mut limits = ClientLimits::default();
        change(&mut limits);
        ClientConfig::new().limits(limits)
    }

    #[test]
    fn events_emitted_offline_arrive_in_order_before_later_events() {
        for config in [polling(), websocket(), ClientConfig::new()] {
            let mut pair = Pair::connected(config, ServerConfig::new());
            pair.cut();
            for number in 0..10 {
                pair.client.emit(pair.now, "/", &event("m", number)).unwrap();
            }
            assert_eq!(pair.client.buffered("/").count(), 10);
            pair.reconnect();
            pair.client.emit(pair.now, "/", &event("m", 10)).unwrap();
            pair.settle();
            assert_eq!(pair.server_numbers(), (0..=10).collect::<Vec<_>>());
            assert_eq!(pair.client.buffered("/").count(), 0);
        }
    }

    #[test]
    fn c6_the_buffer_is_bounded_by_count_and_bytes() {
        let mut scripted = Scripted::new(limited(|limits| limits.buffered_events = 2));
        scripted.client.connect(scripted.now, "/", Auth::None).unwrap();
        let emit =
            |scripted: &mut Scripted| scripted.client.emit(scripted.now, "/", &event("m", 1));
        assert_eq!(emit(&mut scripted), Ok(()));
        assert_eq!(emit(&mut scripted), Ok(()));
        assert_eq!(emit(&mut scripted), Err(ClientEmitError::Full));
        let timeout = Duration::from_secs(1);
        let result = scripted.client.emit_with_ack(scripted.now, "/", &event("m", 1), timeout);
        assert_eq!(result, Err(ClientEmitError::Full));
        scripted.expire();
        assert_eq!(scripted.client.buffered("/").count(), 2);

        let mut scripted = Scripted::new(limited(|limits| limits.buffered_bytes = 20));
        scripted.client.connect(scripted.now, "/", Auth::None).unwrap();
        let large = socket::Event::new("m", &("x".repeat(20),)).unwrap();
        let result = scripted.client.emit(scripted.now, "/", &large);
        assert_eq!(result, Err(ClientEmitError::Full));
        assert_eq!(emit(&mut scripted), Ok(()));
    }

    #[test]
    fn c6_the_buffer_is_bounded_by_age_and_reports_what_it_drops() {
        let config = limited(|limits| limits.buffered_age = Duration::from_millis(100));
        let mut scripted = Scripted::new(config);
        scripted.client.connect(scripted.now, "/", Auth::None).unwrap();
        scripted.drain();
        scripted.client.emit(scripted.now, "/", &event("m", 1)).unwrap();
        scripted.wait(60);
        let timeout = Duration::from_secs(9);
        scripted.client.emit_with_ack(scripted.now, "/", &event("m", 2), timeout).unwrap();
        assert_eq!(scripted.expire(), Duration::from_millis(40));
        assert_eq!(scripted.words(), [r#"expired ["m",1]"#]);
        assert_eq!(scripted.expire(), Duration::from_millis(60));
        assert_eq!(scripted.words(), ["failed 0 Expired", r#"expired ["m",2]"#]);
        scripted.open();
        scripted.text(r#"40{"sid":"s1"}"#);
        assert_eq!(scripted.take_sent(), ["40"]);
    }

    #[test]
    fn events_can_be_inspected_taken_back_and_stored() {
        let mut scripted = Scripted::new(ClientConfig::new());
        scripted.client.connect(scripted.now, "/", Auth::None).unwrap();
        scripted.drain();
        scripted.client.emit(scripted.now, "/", &event("m", 1)).unwrap();
        let timeout = Duration::from_secs(9);
        scripted.client.emit_with_ack(scripted.now, "/", &event("m", 2), timeout).unwrap();
        let taken = scripted.client.take_buffered(scripted.now, "/");
        assert_eq!(scripted.words(), ["failed 0 Withdrawn"]);
        assert_eq!(scripted.client.buffered("/").count(), 0);

        let stored = serde_json::to_string(&taken).unwrap();
        let restored: Vec<BufferedEvent> = serde_json::from_str(&stored).unwrap();
        for event in restored {
            assert_eq!(event.emitted_at(), scripted.now);
            scripted.client.emit(scripted.now, "/", &event.into_event()).unwrap();
        }
        scripted.open();
        scripted.text(r#"40{"sid":"s1"}"#);
        assert_eq!(scripted.take_sent(), ["40", r#"42["m",1]"#, r#"42["m",2]"#]);
    }

    #[test]
    fn volatile_events_are_not_buffered() {
        let mut pair = Pair::connected(polling(), ServerConfig::new());
        assert!(pair.client.emit_volatile(pair.now, "/", &event("m", 1)));
        assert!(!pair.client.emit_volatile(pair.now, "/", &event("m", 2)), "a POST runs");
        pair.settle();
        pair.cut();
        assert!(!pair.client.emit_volatile(pair.now, "/", &event("m", 3)));
        pair.reconnect();
        assert!(pair.client.emit_volatile(pair.now, "/", &event("m", 4)));
        pair.settle();
        assert_eq!(pair.server_numbers(), [1, 4]);
    }

    #[test]
    fn a_full_connection_refuses() {
        let config = limited(|limits| limits.queued_packets = 2);
        let mut scripted = Scripted::connected(config);
        scripted.client.pause(scripted.wire);
        for _ in 0..2 {
            scripted.client.emit(scripted.now, "/", &event("m", 1)).unwrap();
        }
        let refused = scripted.client.emit(scripted.now, "/", &event("m", 2));
        assert_eq!(refused, Err(ClientEmitError::Full));
        scripted.client.resume(scripted.now, scripted.wire);
        assert_eq!(scripted.take_sent().len(), 2);
        assert!(scripted.client.emit(scripted.now, "/", &event("m", 3)).is_ok());
    }

    #[test]
    fn events_are_buffered_while_a_ping_is_overdue() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        // Nobody has called at the deadline: timers are throttled, or the machine was asleep.
        scripted.wait(45_000);
        scripted.client.emit(scripted.now, "/", &event("m", 1)).unwrap();
        assert_eq!(scripted.client.buffered("/").count(), 1);
        assert!(scripted.take_sent().is_empty());
        scripted.input(ClientInput::Timeout);
        assert_eq!(scripted.words()[0], "disconnected: ping timeout");
        assert_eq!(scripted.client.buffered("/").count(), 1);
    }

    #[test]
    fn events_held_back_for_an_overdue_ping_are_sent_in_order_when_it_comes() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.wait(60_000);
        scripted.client.emit(scripted.now, "/", &event("m", 1)).unwrap();
        scripted.client.emit_with_retries(scripted.now, "/", &event("m", 2)).unwrap();
        assert!(!scripted.client.emit_volatile(scripted.now, "/", &event("m", 0)));
        scripted.input(ClientInput::Timeout);
        assert!(scripted.take_sent().is_empty(), "the link may be dead");
        scripted.text("2");
        scripted.client.emit(scripted.now, "/", &event("m", 3)).unwrap();
        assert_eq!(scripted.take_sent(), ["3", r#"42["m",1]"#, r#"421["m",2]"#, r#"42["m",3]"#]);
        assert_eq!(scripted.client.buffered("/").count(), 0);
    }

    #[test]
    fn leaving_keeps_the_buffer() {
        let mut pair = Pair::connected(websocket(), recovering());
        pair.client.disconnect(pair.now, "/");
        pair.client.emit(pair.now, "/", &event("m", 1)).unwrap();
        pair.settle();
        pair.connect();
        assert_eq!(pair.server_numbers(), [1]);
    }

    #[test]
    fn the_replay_before_the_answer_is_bounded() {
        let mut scripted = Scripted::connecting(limited(|limits| limits.replayed_events = 2));
        scripted.events.clear();
        for _ in 0..3 {
            scripted.text(r#"42["e",1]"#);
        }
        let words = scripted.words();
        assert!(words[0].starts_with("ReplayOverflow"), "{words:?}");
        assert_eq!(words[1..], ["closed: forced close", "reconnecting 1"]);
        scripted.input(ClientInput::Timeout);
    }

    #[test]
    fn giving_a_session_up_ends_the_events_that_were_sent_in_it() {
        let mut scripted = Scripted::connecting(limited(|limits| limits.replayed_events = 2));
        scripted.text(r#"40{"sid":"s1","pid":"p1","received":0}"#);
        scripted.client.emit(scripted.now, "/", &event("m", 1)).unwrap();
        scripted.reopen();
        scripted.events.clear();
        for _ in 0..3 {
            scripted.text(r#"42["e",1]"#);
        }
        let words = scripted.words();
        assert!(words[0].starts_with("ReplayOverflow"), "{words:?}");
        assert!(words[1].starts_with("Unconfirmed"), "{words:?}");
        let state = scripted.client.snapshot();
        let mut next = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7)).unwrap();
        assert_eq!(next.restore(scripted.now, state), Ok(()), "it does not contradict itself");
    }
}
