//! Acknowledgements in both directions: each one completes, once.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socketio_proto::{
        client::{ClientConfig, ClientEmitError, ClientEvent, ClientLimits},
        engine::ClientInput,
        server::ServerEvent,
        socket::Args,
    };

    use crate::client_support::{Pair, Scripted, event, polling, recovering, websocket};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_server_acknowledges() {
        for config in [polling(), websocket()] {
            let mut pair = Pair::connected(config, recovering());
            let ack = pair.client.emit_with_ack(pair.now, "/", &event("m", 7), SECOND).unwrap();
            pair.settle();
            let acked = pair.pick(|event| match event {
                ClientEvent::Acked { ack, args, .. } => Some((*ack, args.json().to_owned())),
                _ => None,
            });
            assert_eq!(acked, [(ack, "[7]".to_owned())]);
            pair.advance(2 * SECOND);
            assert!(
                pair.pick(|event| matches!(event, ClientEvent::AckFailed { .. }).then_some(()))
                    .is_empty()
            );
        }
    }

    #[test]
    fn the_client_acknowledges() {
        let mut pair = Pair::connected(websocket(), recovering());
        let socket = pair.socket();
        pair.server.at(pair.now).emit_with_ack(socket, &event("m", 1), SECOND).unwrap();
        pair.settle();
        let token = pair.events.drain(..).find_map(|event| match event {
            ClientEvent::Received { ack, .. } => ack,
            _ => None,
        });
        let answer = Args::new(&("yes",)).unwrap();
        assert!(pair.client.ack(pair.now, token.unwrap(), &answer));
        pair.settle();
        let acked = pair.pick_server(|event| match event {
            ServerEvent::Acked { args, .. } => Some(args.json().to_owned()),
            _ => None,
        });
        assert_eq!(acked, [r#"["yes"]"#]);
    }

    #[test]
    fn an_answer_that_does_not_come_is_a_timeout() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.client.emit_with_ack(scripted.now, "/", &event("m", 1), 2 * SECOND).unwrap();
        scripted.client.emit_with_ack(scripted.now, "/", &event("m", 2), SECOND).unwrap();
        assert_eq!(scripted.take_sent(), [r#"420["m",1]"#, r#"421["m",2]"#]);
        assert_eq!(scripted.expire(), SECOND);
        assert_eq!(scripted.words(), ["failed 1 Timeout"]);
        scripted.text("431[]");
        assert_eq!(scripted.words(), [""; 0], "too late");
        scripted.text("430[1]");
        assert_eq!(scripted.words(), ["acked 0 [1]"]);
        scripted.text("430[1]");
        assert_eq!(scripted.words(), [""; 0], "once");
    }

    #[test]
    fn c7_a_lost_link_fails_sent_events_and_keeps_buffered_ones() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.client.emit_with_ack(scripted.now, "/", &event("m", 1), 60 * SECOND).unwrap();
        scripted.input(ClientInput::WireClosed { wire: scripted.wire });
        scripted.client.emit_with_ack(scripted.now, "/", &event("m", 2), 60 * SECOND).unwrap();
        let words = scripted.words();
        assert!(words.contains(&"failed 0 Disconnected".to_owned()), "{words:?}");
        assert!(!words.iter().any(|word| word.starts_with("failed 1")), "{words:?}");
        scripted.take_sent();
        scripted.expire();
        scripted.open();
        scripted.text(r#"40{"sid":"s2","pid":"p2"}"#);
        assert_eq!(scripted.take_sent()[1..], [r#"421["m",2]"#]);
        scripted.text("430[1]");
        scripted.text("431[2]");
        let acked: Vec<String> =
            scripted.words().into_iter().filter(|word| word.starts_with("acked")).collect();
        assert_eq!(acked, ["acked 1 [2]"], "ids are never used again");
    }

    #[test]
    fn an_event_whose_timeout_has_passed_is_not_sent() {
        let mut scripted = Scripted::connecting(ClientConfig::new());
        scripted.take_sent();
        scripted.events.clear();
        scripted.client.emit_with_ack(scripted.now, "/", &event("m", 1), SECOND).unwrap();
        assert_eq!(scripted.expire(), SECOND);
        assert_eq!(scripted.words(), ["failed 0 Timeout"]);
        scripted.text(r#"40{"sid":"s1"}"#);
        assert!(scripted.take_sent().is_empty());
    }

    #[test]
    fn leaving_fails_pending_acknowledgements() {
        for leave in ["client", "server"] {
            let mut scripted = Scripted::connected(ClientConfig::new());
            scripted.client.emit_with_ack(scripted.now, "/", &event("m", 1), SECOND).unwrap();
            if leave == "client" {
                scripted.client.disconnect(scripted.now, "/");
            } else {
                scripted.text("41");
            }
            assert!(scripted.words().contains(&"failed 0 Disconnected".to_owned()), "{leave}");
        }
    }

    #[test]
    fn a_token_is_valid_only_in_its_session() {
        let token = |scripted: &mut Scripted| {
            scripted.text(r#"425["m",1]"#);
            let token = scripted.events.drain(..).find_map(|event| match event {
                ClientEvent::Received { ack, .. } => ack,
                _ => None,
            });
            token.unwrap()
        };
        let mut scripted = Scripted::connected(ClientConfig::new());
        let (first, second) = (token(&mut scripted), token(&mut scripted));
        scripted.reopen();
        scripted.text(r#"40{"sid":"s1","pid":"p1"}"#);
        scripted.take_sent();
        assert!(scripted.client.ack(scripted.now, first, &Args::empty()), "recovered");
        assert_eq!(scripted.take_sent(), ["435[]"]);
        scripted.reopen();
        scripted.text(r#"40{"sid":"s2","pid":"p2"}"#);
        scripted.take_sent();
        assert!(!scripted.client.ack(scripted.now, second, &Args::empty()), "another session");
        assert!(scripted.take_sent().is_empty());
    }

    #[test]
    fn pending_acknowledgements_are_bounded() {
        let mut limits = ClientLimits::default();
        limits.pending_acks = 1;
        let mut scripted = Scripted::connected(ClientConfig::new().limits(limits));
        scripted.client.emit_with_ack(scripted.now, "/", &event("m", 1), SECOND).unwrap();
        let refused = scripted.client.emit_with_ack(scripted.now, "/", &event("m", 2), SECOND);
        assert_eq!(refused, Err(ClientEmitError::TooManyAcks { limit: 1 }));
    }
}
