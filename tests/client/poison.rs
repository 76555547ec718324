//! Events that the server is known to refuse. They are refused when they are emitted, or reported
//! when they would be sent. `refusals` tests what the client has to find out itself.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use socketio_proto::{
        ServerConfig,
        client::{Auth, ClientConfig, ClientEmitError, ClientEvent},
        engine::Transport,
        socket::{self, Args, Json},
    };

    use crate::client_support::{Pair, Scripted, attached, event, polling, recovering, websocket};

    const MINUTE: Duration = Duration::from_mins(1);
    const MAX_PAYLOAD: usize = 1_000;

    fn small() -> ServerConfig {
        recovering().max_payload(MAX_PAYLOAD)
    }

    /// An event whose packet, as `42["e","…"]`, has the given number of bytes.
    fn text(len: usize) -> socket::Event {
        socket::Event::new("e", &("x".repeat(len - r#"42["e",""]"#.len()),)).unwrap()
    }

    fn binary(len: usize) -> socket::Event {
        socket::Event::new("e", &(Bytes::from(vec![0; len]),)).unwrap()
    }

    fn emit_all_ways(pair: &mut Pair, event: &socket::Event) -> [Result<(), ClientEmitError>; 3] {
        let now = pair.now;
        [
            pair.client.emit(now, "/", event),
            pair.client.emit_with_ack(now, "/", event, MINUTE).map(|_| ()),
            pair.client.emit_with_retries(now, "/", event).map(|_| ()),
        ]
    }

    #[test]
    fn what_the_server_is_known_not_to_take_is_refused_at_the_emit() {
        let too_large = Err(ClientEmitError::TooLarge { limit: MAX_PAYLOAD });
        let too_many = Err(ClientEmitError::TooManyAttachments { limit: 10 });
        for (config, largest) in [(websocket(), MAX_PAYLOAD), (polling(), 747)] {
            let mut pair = Pair::connected(config, small());
            let table = [
                (text(MAX_PAYLOAD + 1), too_large),
                (text(2 * MAX_PAYLOAD), too_large),
                (binary(largest + 1), too_large),
                (attached(11), too_many),
            ];
            for (event, expected) in table {
                assert_eq!(emit_all_ways(&mut pair, &event), [expected; 3]);
                assert!(!pair.client.emit_volatile(pair.now, "/", &event));
            }
            // At the limit each arrives.
            for event in [text(MAX_PAYLOAD), binary(largest), attached(10)] {
                pair.client.emit(pair.now, "/", &event).unwrap();
                pair.settle();
            }
            assert_eq!(pair.server_names(), ["e", "e", "files"]);
            assert_eq!(pair.undelivered(), [""; 0]);
        }
    }

    /// The id of the acknowledgement is a part of the packet.
    #[test]
    fn the_largest_event_with_an_acknowledgement_arrives() {
        let mut pair = Pair::connected(websocket(), small());
        assert!(emit_all_ways(&mut pair, &text(MAX_PAYLOAD))[1].is_err());
        for number in 0..11 {
            pair.client.emit(pair.now, "/", &event("m", number)).unwrap();
        }
        let [_, with_ack, _] = emit_all_ways(&mut pair, &text(MAX_PAYLOAD - 2));
        assert_eq!(with_ack, Ok(()));
        pair.settle();
        assert_eq!(pair.undelivered(), [""; 0]);
    }

    #[test]
    fn attachments_are_counted_before_there_is_a_connection() {
        let mut pair = Pair::new(websocket(), small());
        pair.is_down = true;
        pair.connect();
        let too_many = Err(ClientEmitError::TooManyAttachments { limit: 10 });
        assert_eq!(emit_all_ways(&mut pair, &attached(11)), [too_many; 3]);
        assert_eq!(emit_all_ways(&mut pair, &attached(10)), [Ok(()); 3]);
    }

    /// Events that were buffered before the limit was known are removed, and later events are sent.
    #[test]
    fn what_was_buffered_and_is_too_large_is_reported() {
        for config in [websocket(), polling(), ClientConfig::new()] {
            let mut pair = Pair::new(config, small());
            pair.is_down = true;
            pair.connect();
            let large = text(2 * MAX_PAYLOAD);
            assert_eq!(emit_all_ways(&mut pair, &large), [Ok(()); 3]);
            pair.client.emit(pair.now, "/", &event("after", 1)).unwrap();
            pair.client.emit_with_retries(pair.now, "/", &event("retried", 1)).unwrap();
            pair.is_down = false;
            pair.events.clear();
            pair.reconnect();
            pair.settle();
            assert_eq!(pair.server_names(), ["after", "retried"]);
            let words = pair.undelivered();
            let told = |word: &str| words.iter().filter(|it| it.starts_with(word)).count();
            assert_eq!((told("e TooLarge"), told("failed Undeliverable")), (3, 2), "{words:?}");
            let closed = words.iter().filter(|word| word.starts_with("closed")).count();
            assert_eq!(closed, words.len() - 5, "attempts while it was down: {words:?}");
        }
    }

    /// Attachments are a third larger over polling. One that only a WebSocket takes waits for it.
    #[test]
    fn what_only_a_websocket_takes_waits_for_the_upgrade() {
        let mut pair = Pair::new(ClientConfig::new(), small());
        pair.client.connect(pair.now, "/", Auth::None).unwrap();
        pair.collect();
        while !pair.client.is_connected("/") {
            assert!(pair.step());
        }
        assert_eq!(pair.client.transport(), Some(Transport::Polling), "still");
        assert_eq!(emit_all_ways(&mut pair, &binary(MAX_PAYLOAD)), [Ok(()); 3]);
        pair.client.emit(pair.now, "/", &event("after", 1)).unwrap();
        pair.settle();
        assert_eq!(pair.client.transport(), Some(Transport::WebSocket));
        pair.advance(MINUTE);
        assert_eq!(pair.server_names(), ["e", "e", "e", "after"]);
        assert_eq!(pair.undelivered(), [""; 0]);
        // And again, from polling on, after a link that was lost.
        pair.client.emit(pair.now, "/", &binary(MAX_PAYLOAD)).unwrap();
        pair.cut();
        pair.events.clear();
        pair.reconnect();
        pair.settle();
        assert_eq!(pair.server_names(), ["e"]);
        assert_eq!(pair.undelivered(), [""; 0]);
    }

    #[test]
    fn credentials_that_are_too_large_do_not_reconnect_for_ever() {
        let auth = Json::new(&serde_json::json!({ "token": "x".repeat(2 * MAX_PAYLOAD) })).unwrap();
        let mut pair = Pair::new(websocket(), small());
        pair.client.connect(pair.now, "/", Auth::Value(auth)).unwrap();
        pair.settle();
        let errors = pair.pick(|event| match event {
            ClientEvent::ConnectError { error, .. } => Some(format!("{error:?}")),
            _ => None,
        });
        assert_eq!(errors, ["TooLarge"]);
        pair.advance(MINUTE);
        assert_eq!(pair.client.deadline(), None, "no further attempt");
    }

    #[test]
    fn an_answer_that_is_too_large_is_not_sent() {
        let mut pair = Pair::connected(websocket(), small());
        let socket = pair.socket();
        let question = event("question", 1);
        pair.server.at(pair.now).emit_with_ack(socket, &question, MINUTE).unwrap();
        pair.settle();
        let token = pair.events.drain(..).find_map(|event| match event {
            ClientEvent::Received { ack, .. } => ack,
            _ => None,
        });
        let args = Args::new(&("x".repeat(2 * MAX_PAYLOAD),)).unwrap();
        assert!(!pair.client.ack(pair.now, token.unwrap(), &args));
        pair.settle();
        assert!(pair.client.is_connected("/"));
    }

    #[test]
    fn a_server_that_names_no_limit_is_sent_everything() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.client.emit(scripted.now, "/", &text(2_000_000)).unwrap();
        assert_eq!(scripted.take_sent()[0].len(), 2_000_000);
        let too_many = Err(ClientEmitError::TooManyAttachments { limit: 10 });
        assert_eq!(scripted.client.emit(scripted.now, "/", &attached(11)), too_many);
    }
}
