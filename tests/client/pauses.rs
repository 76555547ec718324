//! The process of a client did not run for a while. What the server sent meanwhile waits in the
//! sockets of the operating system.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socketio_proto::{
        client::{Auth, ClientConfig},
        engine::ClientInput,
    };

    use crate::client_support::{Scripted, event};

    /// The process does not run; then the timers are first.
    fn pause(scripted: &mut Scripted, millis: u64) {
        scripted.wait(millis);
        scripted.input(ClientInput::Timeout);
        let next = scripted.client.deadline();
        assert!(next.is_none_or(|next| next > scripted.now), "the deadline does not move on");
    }

    fn pass(scripted: &mut Scripted, millis: u64) {
        let end = scripted.now.saturating_add(Duration::from_millis(millis));
        while scripted.client.deadline().is_some_and(|deadline| deadline <= end) {
            scripted.expire();
        }
        scripted.now = end;
    }

    #[test]
    fn a_ping_that_waits_in_its_socket_is_in_time() {
        for millis in [45_006, 45_200, 60_000, 3_600_000] {
            let mut scripted = Scripted::connected(ClientConfig::new());
            pause(&mut scripted, millis);
            scripted.text("2");
            pass(&mut scripted, 44_000);
            assert!(scripted.client.is_connected("/"), "{millis} ms");
            assert_eq!(scripted.take_sent(), ["3"]);
        }
    }

    #[test]
    fn a_server_that_is_really_gone_is_given_up_soon_after_the_pause() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        pause(&mut scripted, 3_600_000);
        pass(&mut scripted, 19_999);
        assert!(scripted.client.is_connected("/"));
        pass(&mut scripted, 1);
        assert_eq!(scripted.words()[0], "disconnected: ping timeout");
    }

    #[test]
    fn a_handshake_that_waits_in_its_socket_is_in_time() {
        let mut scripted = Scripted::new(ClientConfig::new());
        scripted.client.connect(scripted.now, "/", Auth::None).unwrap();
        scripted.drain();
        pause(&mut scripted, 60_000);
        scripted.open();
        assert_eq!(scripted.take_sent(), ["40"]);
    }

    #[test]
    fn an_answer_to_a_connect_that_waits_in_its_socket_is_in_time() {
        let mut scripted = Scripted::connecting(ClientConfig::new());
        pause(&mut scripted, 30_000);
        scripted.text(r#"40{"sid":"s1","pid":"p1"}"#);
        assert!(scripted.client.is_connected("/"));
        pass(&mut scripted, 12_000);
        assert!(!scripted.words().iter().any(|word| word.contains("Timeout")));
    }

    #[test]
    fn an_acknowledgement_that_waits_in_its_socket_is_in_time() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        let timeout = Duration::from_secs(5);
        for number in 0..2 {
            let event = event("ask", number);
            scripted.client.emit_with_ack(scripted.now, "/", &event, timeout).unwrap();
        }
        pause(&mut scripted, 20_000);
        scripted.text("430[]");
        pass(&mut scripted, 15_000);
        let words = scripted.words();
        let of = |number: u64| {
            let mut found = words.iter().filter(|word| word.contains(&format!("ed {number}")));
            (found.next().cloned().unwrap_or_default(), found.count())
        };
        assert!(of(0).0.starts_with("acked 0") && of(0).1 == 0, "{words:?}");
        assert_eq!(of(1), ("failed 1 Timeout".to_owned(), 0), "{words:?}");
    }

    #[test]
    fn a_retried_event_whose_acknowledgement_waits_in_its_socket_is_sent_once() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.client.emit_with_retries(scripted.now, "/", &event("m", 1)).unwrap();
        pause(&mut scripted, 20_000);
        scripted.text("431[]");
        pass(&mut scripted, 15_000);
        assert_eq!(scripted.take_sent(), [r#"421["m",1]"#]);
    }
}
