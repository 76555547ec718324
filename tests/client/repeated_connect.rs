//! A CONNECT that reaches the server twice, for example because a proxy repeats a POST. The server
//! answers twice. If the second answer names another session, that is the one the server keeps.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socketio_proto::{
        RecoveryConfig, ServerConfig,
        client::{ClientConfig, ClientEvent},
        socket::Args,
    };

    use crate::client_support::{Pair, Scripted, event, recovering, scripted::word, websocket};

    #[test]
    fn a_repeated_answer_changes_nothing() {
        let config = ServerConfig::new().recovery(RecoveryConfig::default());
        let mut pair = Pair::connected(websocket(), config);
        let id = pair.client.socket_id("/").map(str::to_owned);
        pair.events.clear();
        pair.repeat("40");
        assert!(pair.events.is_empty(), "{:?}", pair.events);
        assert_eq!(pair.client.socket_id("/").map(str::to_owned), id);
        pair.client.emit(pair.now, "/", &event("e", 1)).unwrap();
        pair.settle();
        assert_eq!(pair.server_numbers(), [1]);
    }

    /// The server has replaced the session. The client used to keep the first one, and its next claim
    /// was refused: events were lost.
    #[test]
    fn a_session_that_the_server_has_replaced_is_recovered_later() {
        let mut pair = Pair::connected(websocket(), recovering());
        let id = pair.client.socket_id("/").map(str::to_owned);
        pair.broadcast(1);
        pair.settle();
        pair.events.clear();
        pair.repeat("40");
        let words: Vec<String> = pair.events.drain(..).map(|event| word(&event)).collect();
        assert_eq!(words, ["disconnected: session replaced", "connected"]);
        assert_ne!(pair.client.socket_id("/").map(str::to_owned), id);
        pair.client.emit(pair.now, "/", &event("e", 7)).unwrap();
        pair.settle();

        pair.cut();
        pair.broadcast(2);
        pair.client.emit(pair.now, "/", &event("e", 8)).unwrap();
        pair.reconnect();
        assert!(pair.client.is_recovered("/"));
        assert_eq!(pair.numbers(), [2]);
        assert_eq!(pair.server_numbers(), [7, 8], "each once");
    }

    /// As official servers do: the offset and the tokens belong to the first session, the pending
    /// acknowledgement to the connection.
    #[test]
    fn a_server_that_does_not_count_events_still_acknowledges_them() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.text(r#"420["question","7-1"]"#);
        let token = scripted.events.drain(..).find_map(|event| match event {
            ClientEvent::Received { ack, .. } => ack,
            _ => None,
        });
        let timeout = Duration::from_secs(60);
        let now = scripted.now;
        scripted.client.emit_with_ack(now, "/", &event("e", 1), timeout).unwrap();
        scripted.client.emit_with_retries(now, "/", &event("r", 2)).unwrap();
        scripted.take_sent();

        scripted.text(r#"40{"sid":"s2","pid":"p2"}"#);
        assert_eq!(scripted.words(), ["disconnected: session replaced", "connected"]);
        assert_eq!(scripted.client.socket_id("/"), Some("s2"));
        assert!(!scripted.client.is_recovered("/"));
        assert!(!scripted.client.ack(now, token.unwrap(), &Args::default()));
        assert!(scripted.take_sent().is_empty(), "nothing is sent twice");
        scripted.text(r#"430["one"]"#);
        assert_eq!(scripted.words(), [r#"acked 0 ["one"]"#]);

        scripted.reopen();
        let sent = scripted.take_sent();
        assert_eq!(sent, [r#"40{"pid":"p2"}"#], "without the offset of the first session");
    }

    /// Where events are counted, nobody knows which session has got what was sent in between.
    #[test]
    fn a_server_that_counts_events_leaves_earlier_ones_uncertain() {
        let mut scripted = Scripted::connecting(ClientConfig::new());
        scripted.text(r#"40{"sid":"s1","pid":"p1","received":0}"#);
        let (now, timeout) = (scripted.now, Duration::from_secs(60));
        scripted.client.emit(now, "/", &event("e", 1)).unwrap();
        scripted.client.emit_with_ack(now, "/", &event("e", 2), timeout).unwrap();
        scripted.take_sent();
        scripted.events.clear();

        scripted.text(r#"40{"sid":"s2","pid":"p2","received":0}"#);
        let words = scripted.words();
        assert_eq!(words[0], "disconnected: session replaced");
        assert_eq!(words[1], "failed 0 Disconnected");
        assert!(words[2].starts_with("Unconfirmed"), "{words:?}");
        assert_eq!(words[3..], ["connected"]);
        assert_eq!(scripted.take_sent(), ["43[]"], "nothing is sent twice");
        scripted.client.emit_with_ack(now, "/", &event("e", 3), timeout).unwrap();
        assert_eq!(scripted.take_sent()[0], r#"420["e",3]"#, "the first event of the new session");
    }

    #[test]
    fn an_answer_that_comes_while_the_connection_closes_is_ignored() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.client.pause(scripted.wire);
        scripted.client.emit(scripted.now, "/", &event("e", 1)).unwrap();
        scripted.client.close(scripted.now);
        scripted.drain();
        scripted.events.clear();
        scripted.text(r#"40{"sid":"s2","pid":"p2"}"#);
        assert_eq!(scripted.words(), [""; 0]);
        assert!(!scripted.client.is_connected("/"));
    }
}
