//! Every timer of a client is visible in its deadline, to the microsecond. Nothing happens before
//! the deadline, and the timer fires at the deadline. Protocol facts 6.1.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socketio_proto::{
        Timestamp, WireId,
        client::{Auth, Client, ClientConfig, ClientOutput},
        engine::{ClientInput, EngineClientOutput},
    };

    use crate::client_support::{Scripted, entropy, event, scripted::word};

    /// What is waited for from now on, so long, until `effect` happens.
    fn assert_timer(client: &mut Client, now: Timestamp, wait: Duration, effect: &str) {
        while client.poll_output().is_some() {}
        let due = now.saturating_add(wait);
        assert_eq!(client.deadline(), Some(due), "{effect}");
        let before = Timestamp::from_micros(due.as_micros() - 1);
        client.handle_input(before, ClientInput::Timeout);
        assert!(client.poll_output().is_none(), "{effect}, too early");
        assert_eq!(client.deadline(), Some(due));
        client.handle_input(due, ClientInput::Timeout);
        let mut seen = Vec::new();
        while let Some(output) = client.poll_output() {
            seen.push(match output {
                ClientOutput::Event(event) => word(&event),
                ClientOutput::Wire(EngineClientOutput::OpenWebSocket { .. }) => "open".into(),
                ClientOutput::Wire(EngineClientOutput::Get { .. }) => "get".into(),
                ClientOutput::Wire(EngineClientOutput::Close { .. }) => "close".into(),
                ClientOutput::Wire(output) => format!("{output:?}"),
                other => unreachable!("not known to this code: {other:?}"),
            });
        }
        assert!(seen.iter().any(|word| word.contains(effect)), "{effect}: {seen:?}");
        assert!(client.deadline().is_none_or(|next| next > due), "{effect} comes once");
    }

    fn assert_scripted(mut scripted: Scripted, wait: Duration, effect: &str) {
        assert_timer(&mut scripted.client, scripted.now, wait, effect);
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_handshake() {
        let mut scripted = Scripted::new(ClientConfig::new());
        scripted.client.connect(scripted.now, "/", Auth::None).unwrap();
        assert_scripted(scripted, seconds(20), "closed: timeout");
    }

    #[test]
    fn the_next_ping() {
        // From the handshake on, and from each ping on.
        assert_scripted(Scripted::connected(ClientConfig::new()), seconds(45), "ping timeout");
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.wait(30_000);
        scripted.text("2");
        assert_scripted(scripted, seconds(45), "ping timeout");
    }

    #[test]
    fn the_upgrade() {
        let (mut client, now) = polling();
        let open =
            r#"0{"sid":"e1","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}"#;
        let body = open.into();
        client.handle_input(now, ClientInput::Response { wire: WireId(0), status: 200, body });
        assert_timer(&mut client, now, seconds(10), "UpgradeFailed");
    }

    #[test]
    fn the_end_of_a_connection_that_is_not_read() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.client.pause(scripted.wire);
        scripted.client.emit(scripted.now, "/", &event("m", 1)).unwrap();
        scripted.client.disconnect(scripted.now, "/");
        assert_scripted(scripted, seconds(30), "closed: forced close");
    }

    #[test]
    fn the_answer_to_a_connect() {
        let scripted = Scripted::connecting(ClientConfig::new());
        assert_scripted(scripted, seconds(20), "connect error: Timeout");
    }

    #[test]
    fn credentials() {
        let mut scripted = Scripted::new(ClientConfig::new());
        scripted.client.connect(scripted.now, "/", Auth::Ask).unwrap();
        scripted.open();
        assert_scripted(scripted, seconds(20), "connect error: Timeout");
    }

    #[test]
    fn an_acknowledgement() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.client.emit_with_ack(scripted.now, "/", &event("m", 1), seconds(7)).unwrap();
        assert_scripted(scripted, seconds(7), "failed 0 Timeout");
    }

    #[test]
    fn the_next_try() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.client.emit_with_retries(scripted.now, "/", &event("m", 1)).unwrap();
        assert_scripted(scripted, seconds(10), "Text(\"422");
    }

    #[test]
    fn a_buffered_event() {
        let mut scripted = Scripted::connected(ClientConfig::new().reconnection(false));
        scripted.input(ClientInput::WireClosed { wire: scripted.wire });
        scripted.client.emit(scripted.now, "/", &event("m", 1)).unwrap();
        assert_scripted(scripted, seconds(600), r#"expired ["m",1]"#);
    }

    #[test]
    fn the_next_attempt() {
        let config = ClientConfig::new().randomization_factor(0.0);
        let mut scripted = Scripted::connected(config);
        for delay in [1, 2, 4, 5, 5] {
            scripted.input(ClientInput::WireClosed { wire: scripted.wire });
            let now = scripted.now;
            assert_eq!(scripted.client.deadline(), Some(now.saturating_add(seconds(delay))));
            let waited = scripted.expire();
            assert_eq!(waited, seconds(delay));
        }
        scripted.input(ClientInput::WireClosed { wire: scripted.wire });
        assert_scripted(scripted, seconds(5), "open");
    }

    /// A client over polling whose handshake is on its way.
    fn polling() -> (Client, Timestamp) {
        let now = Timestamp::from_millis(1_000);
        let mut client = Client::new(ClientConfig::new(), entropy(1)).unwrap();
        client.connect(now, "/", Auth::None).unwrap();
        // The handshake is on its way.
        while client.poll_output().is_some() {}
        (client, now)
    }
}
