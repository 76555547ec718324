//! The client's half of Engine.IO: handshake, polling, upgrade, heartbeat, closing.

use std::{sync::Arc, time::Duration};

use socketio_proto::{
    Timestamp, WireId,
    client::{ClientConfig, ClientLimits},
    engine::{
        ClientCloseReason, ClientConnection, ClientFault, ClientInput, ClientStart,
        EngineClientEvent, EngineClientOutput, Frame, Payload, SendError, Transport,
    },
};

const OPEN: &str =
    r#"0{"sid":"s1","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":20}"#;
const OPEN_UPGRADABLE: &str = r#"0{"sid":"s1","upgrades":["websocket","webtransport"],"pingInterval":300,"pingTimeout":200,"maxPayload":20}"#;

struct Driver {
    connection: ClientConnection,
    now: Timestamp,
}

impl Driver {
    fn new(config: ClientConfig) -> Self {
        Self::starting(config, ClientStart::default())
    }

    fn starting(config: ClientConfig, start: ClientStart) -> Self {
        let now = Timestamp::from_millis(1_000);
        Self { connection: ClientConnection::new(now, Arc::new(config), start), now }
    }

    /// A polling connection that is open; wire 1 is its GET.
    fn polling() -> Self {
        let mut driver = Self::new(ClientConfig::new());
        assert_eq!(driver.drain(), ["get 0"]);
        assert_eq!(driver.respond(0, OPEN), ["opened polling", "get 1"]);
        driver
    }

    /// A connection that is open over WebSocket 0.
    fn websocket() -> Self {
        let mut driver = Self::new(ClientConfig::new().transports(&[Transport::WebSocket]));
        assert_eq!(driver.drain(), ["open 0"]);
        assert!(driver.opened(0).is_empty());
        assert_eq!(driver.text(0, OPEN), ["opened websocket"]);
        driver
    }

    /// A polling connection that pauses for an upgrade: wire 1 is the WebSocket, wire 2 the GET.
    fn pausing() -> Self {
        let mut driver = Self::new(ClientConfig::new());
        driver.drain();
        assert_eq!(driver.respond(0, OPEN_UPGRADABLE), ["opened polling", "open 1", "get 2"]);
        assert_eq!(driver.opened(1), ["send 1 2probe"]);
        assert!(driver.text(1, "3probe").is_empty());
        driver
    }

    fn drain(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.connection.poll_output()).map(|output| line(&output)).collect()
    }

    fn input(&mut self, input: ClientInput) -> Vec<String> {
        self.connection.handle_input(self.now, input);
        self.drain()
    }

    fn respond(&mut self, wire: u64, body: &str) -> Vec<String> {
        self.status(wire, 200, body)
    }

    fn status(&mut self, wire: u64, status: u16, body: &str) -> Vec<String> {
        let body = body.to_owned().into();
        self.input(ClientInput::Response { wire: WireId(wire), status, body })
    }

    fn opened(&mut self, wire: u64) -> Vec<String> {
        self.input(ClientInput::WebSocketOpened { wire: WireId(wire) })
    }

    fn text(&mut self, wire: u64, text: &str) -> Vec<String> {
        self.input(ClientInput::Frame { wire: WireId(wire), frame: Frame::Text(text.into()) })
    }

    fn lost(&mut self, wire: u64) -> Vec<String> {
        self.input(ClientInput::WireClosed { wire: WireId(wire) })
    }

    fn send(&mut self, text: &str) -> Vec<String> {
        assert_eq!(self.connection.send(Payload::Text(text.into())), Ok(()));
        self.drain()
    }

    fn close(&mut self) -> Vec<String> {
        self.connection.close(self.now);
        self.drain()
    }

    fn expire(&mut self) -> (u128, Vec<String>) {
        let deadline = self.connection.deadline().expect("a deadline");
        let waited = deadline.saturating_since(self.now).as_millis();
        self.now = deadline;
        let lines = self.input(ClientInput::Timeout);
        assert!(self.connection.deadline().is_none_or(|next| next > self.now), "it moves on");
        (waited, lines)
    }
}

/// One line per output. Query strings are checked apart.
fn line(output: &EngineClientOutput) -> String {
    match output {
        EngineClientOutput::Get { wire, .. } => format!("get {}", wire.0),
        EngineClientOutput::Post { wire, body, .. } => {
            format!("post {} {}", wire.0, std::str::from_utf8(body).expect("text"))
        }
        EngineClientOutput::OpenWebSocket { wire, .. } => format!("open {}", wire.0),
        EngineClientOutput::Send { wire, frame: Frame::Text(text) } => {
            format!("send {} {text}", wire.0)
        }
        EngineClientOutput::Send { wire, frame: Frame::Binary(bytes) } => {
            format!("send {} {bytes:?}", wire.0)
        }
        EngineClientOutput::Close { wire } => format!("close {}", wire.0),
        EngineClientOutput::Event(EngineClientEvent::Opened { transport }) => {
            format!("opened {transport}")
        }
        EngineClientOutput::Event(EngineClientEvent::TransportFailed { transport, .. }) => {
            format!("failed {transport}")
        }
        EngineClientOutput::Event(EngineClientEvent::Message(Payload::Text(text))) => {
            format!("message {text}")
        }
        EngineClientOutput::Event(EngineClientEvent::Message(Payload::Binary(bytes))) => {
            format!("message {bytes:?}")
        }
        EngineClientOutput::Event(EngineClientEvent::Closed { reason }) => {
            format!("closed {}", reason.as_str())
        }
        EngineClientOutput::Event(event) => format!("{event:?}").to_lowercase(),
        other => unreachable!("unknown: {other:?}"),
    }
}

#[test]
fn requests_name_the_session_and_keep_caches_away() {
    let config = ClientConfig::new().query_parameter("token", "a&b");
    let start = ClientStart { first_wire: 7, nonce: 0xabc0, websocket_worked: false };
    let mut driver = Driver::starting(config, start);
    let Some(EngineClientOutput::Get { wire: WireId(7), query }) = driver.connection.poll_output()
    else {
        panic!("no handshake");
    };
    assert_eq!(query, "EIO=4&transport=polling&t=abc8&token=a%26b");
    let body = OPEN_UPGRADABLE.to_owned().into();
    let response = ClientInput::Response { wire: WireId(7), status: 200, body };
    driver.connection.handle_input(driver.now, response);
    let queries: Vec<String> = std::iter::from_fn(|| driver.connection.poll_output())
        .filter_map(|output| match output {
            EngineClientOutput::Get { query, .. }
            | EngineClientOutput::OpenWebSocket { query, .. } => Some(query),
            _ => None,
        })
        .collect();
    assert_eq!(
        queries,
        [
            "EIO=4&transport=websocket&sid=s1&token=a%26b",
            "EIO=4&transport=polling&t=abca&sid=s1&token=a%26b",
        ]
    );
}

#[test]
fn there_is_one_get_at_all_times_and_one_post_at_a_time() {
    let mut driver = Driver::polling();
    assert_eq!(driver.send("a"), ["post 2 4a"]);
    assert!(driver.send("b").is_empty() && driver.send("c").is_empty());
    assert_eq!(driver.respond(1, "4x\u{1e}4y"), ["message x", "message y", "get 3"]);
    assert_eq!(driver.respond(2, "ok"), ["post 4 4b\u{1e}4c"]);
    assert!(driver.respond(4, "ok").is_empty());
}

#[test]
fn a_payload_stays_below_what_the_server_takes_unless_one_packet_is_larger() {
    let mut driver = Driver::polling();
    driver.send("first");
    for text in ["123456789", "12345678", "1", "a packet that is larger than that", "2"] {
        driver.send(text);
    }
    assert_eq!(driver.respond(2, "ok"), ["post 3 4123456789\u{1e}412345678"]);
    assert_eq!(driver.respond(3, "ok"), ["post 4 41"]);
    assert_eq!(driver.respond(4, "ok"), ["post 5 4a packet that is larger than that"]);
    assert_eq!(driver.respond(5, "ok"), ["post 6 42"]);
}

#[test]
fn pings_are_answered_and_their_absence_ends_the_connection() {
    let mut driver = Driver::websocket();
    driver.now = driver.now.saturating_add(Duration::from_millis(400));
    assert_eq!(driver.text(0, "2"), ["send 0 3"]);
    let (waited, lines) = driver.expire();
    assert_eq!((waited, lines), (500, vec!["closed ping timeout".into(), "close 0".into()]));
    assert_eq!(driver.connection.deadline(), None);

    let mut driver = Driver::polling();
    assert_eq!(driver.respond(1, "2\u{1e}2\u{1e}4a"), ["message a", "get 2", "post 3 3"]);
    let (_, lines) = driver.expire();
    assert_eq!(lines, ["closed ping timeout", "close 2", "close 3"]);
}

#[test]
fn a_flood_of_pings_does_not_fill_the_queue() {
    let mut driver = Driver::polling();
    driver.send("busy");
    let flood = vec!["2"; 1_000].join("\u{1e}");
    driver.respond(1, &flood);
    assert_eq!(driver.connection.queued_packets(), 0);
    assert_eq!(driver.respond(2, "ok"), ["post 4 3"], "only the latest ping is answered");
}

#[test]
fn an_upgrade_waits_for_requests_and_keeps_what_is_sent_meanwhile() {
    let mut driver = Driver::new(ClientConfig::new());
    driver.drain();
    driver.respond(0, OPEN_UPGRADABLE);
    assert_eq!(driver.send("before"), ["post 3 4before"]);
    assert_eq!(driver.opened(1), ["send 1 2probe"]);
    assert!(driver.text(1, "3probe").is_empty());
    assert!(driver.send("meanwhile").is_empty() && !driver.connection.is_writable());
    assert_eq!(driver.respond(2, "6\u{1e}4late"), ["message late"], "no other GET");
    assert_eq!(driver.respond(3, "ok"), ["upgraded", "send 1 5", "send 1 4meanwhile"]);
    assert_eq!(driver.send("after"), ["send 1 4after"]);
    assert!(driver.connection.websocket_worked());
}

#[test]
fn a_failed_probe_lets_polling_go_on() {
    for failure in ["3", "4a", "2probe", "x"] {
        let mut driver = Driver::new(ClientConfig::new());
        driver.drain();
        driver.respond(0, OPEN_UPGRADABLE);
        driver.opened(1);
        assert_eq!(driver.text(1, failure), ["upgradefailed", "close 1"], "{failure}");
        assert_eq!(driver.respond(2, "4a"), ["message a", "get 3"]);
    }
    let mut driver = Driver::new(ClientConfig::new());
    driver.drain();
    driver.respond(0, OPEN_UPGRADABLE);
    assert_eq!(driver.lost(1), ["upgradefailed"]);
    assert_eq!(driver.send("a"), ["post 3 4a"]);
}

/// The driver does not read to its end what is too large.
#[test]
fn what_the_driver_does_not_read_fails_like_what_is_too_large() {
    let too_large = |wire| ClientInput::TooLarge { wire: WireId(wire) };
    let is_too_large = |driver: &mut Driver, wire| {
        driver.connection.handle_input(driver.now, too_large(wire));
        let reason = ClientCloseReason::TransportError(ClientFault::PayloadTooLarge);
        let closed = EngineClientOutput::Event(EngineClientEvent::Closed { reason });
        std::iter::from_fn(|| driver.connection.poll_output()).any(|output| output == closed)
    };
    let mut driver = Driver::new(ClientConfig::new());
    driver.drain();
    driver.respond(0, OPEN_UPGRADABLE);
    assert_eq!(driver.input(too_large(1)), ["upgradefailed"], "the probe");
    assert!(is_too_large(&mut driver, 2), "a GET");
    let mut driver = Driver::websocket();
    assert!(is_too_large(&mut driver, 0), "a WebSocket");
}

#[test]
fn a_probe_that_dies_while_polling_is_paused_resumes_it() {
    let mut driver = Driver::new(ClientConfig::new());
    driver.drain();
    driver.respond(0, OPEN_UPGRADABLE);
    driver.send("a");
    driver.opened(1);
    driver.text(1, "3probe");
    assert!(driver.respond(2, "6").is_empty() && driver.send("b").is_empty());
    assert_eq!(driver.lost(1), ["upgradefailed", "get 4"]);
    assert_eq!(driver.respond(3, "ok"), ["post 5 4b"]);
}

#[test]
fn a_probe_has_a_deadline() {
    let config = ClientConfig::new().upgrade_timeout(Duration::from_millis(100));
    let mut driver = Driver::new(config);
    driver.drain();
    driver.respond(0, OPEN_UPGRADABLE);
    let (waited, lines) = driver.expire();
    assert_eq!((waited, lines), (100, vec!["upgradefailed".into(), "close 1".into()]));
}

#[test]
fn a_handshake_has_a_deadline() {
    let mut driver = Driver::new(ClientConfig::new());
    driver.drain();
    let (waited, lines) = driver.expire();
    assert_eq!((waited, lines), (20_000, vec!["closed timeout".into(), "close 0".into()]));
}

#[test]
fn what_is_no_handshake_ends_the_attempt() {
    for body in [
        "",
        "4a",
        "6",
        "1",
        "0{}",
        "0x",
        r#"0{"sid":"","upgrades":[],"pingInterval":1,"pingTimeout":1}"#,
    ] {
        let mut driver = Driver::new(ClientConfig::new());
        driver.drain();
        assert_eq!(driver.respond(0, body), ["closed transport error"], "{body:?}");
    }
    let mut driver = Driver::new(ClientConfig::new());
    driver.drain();
    assert_eq!(driver.status(0, 503, ""), ["closed transport error"]);
}

#[test]
fn all_transports_are_tried_in_their_order_if_that_is_wanted() {
    let config = ClientConfig::new()
        .transports(&[Transport::WebSocket, Transport::Polling])
        .try_all_transports(true);
    let mut driver = Driver::new(config);
    assert_eq!(driver.drain(), ["open 0"]);
    assert_eq!(driver.lost(0), ["failed websocket", "get 1"]);
    assert!(driver.text(0, OPEN).is_empty(), "late news");
    assert_eq!(driver.status(1, 404, ""), ["closed transport error"]);

    let mut driver = Driver::new(ClientConfig::new());
    driver.drain();
    assert_eq!(driver.status(0, 404, ""), ["closed transport error"], "not by default");
}

#[test]
fn the_rest_of_a_bad_body_is_no_handshake_of_the_next_transport() {
    let mut driver = Driver::new(ClientConfig::new().try_all_transports(true));
    driver.drain();
    let body = format!("4early\u{1e}{OPEN}");
    assert_eq!(driver.respond(0, &body), ["failed polling", "open 1"]);
    assert!(!driver.connection.is_open(), "WebSocket 1 is still being opened");
}

#[test]
fn a_remembered_upgrade_begins_with_websocket() {
    let start = ClientStart { websocket_worked: true, ..ClientStart::default() };
    let config = || ClientConfig::new().remember_upgrade(true);
    assert_eq!(Driver::starting(config(), start).drain(), ["open 0"]);
    assert_eq!(Driver::starting(ClientConfig::new(), start).drain(), ["get 0"]);
    let mut driver = Driver::starting(config(), start);
    driver.lost(0);
    assert!(!driver.connection.websocket_worked(), "forgotten after a failure");
}

#[test]
fn closing_sends_what_is_queued_first() {
    let mut driver = Driver::polling();
    driver.send("a");
    driver.send("b");
    assert!(driver.close().is_empty());
    assert_eq!(driver.connection.send(Payload::Text("c".into())), Err(SendError::Closed));
    assert_eq!(driver.respond(2, "ok"), ["post 3 4b\u{1e}1"]);
    assert_eq!(driver.respond(3, "ok"), ["closed forced close", "close 1"]);

    let mut driver = Driver::websocket();
    assert_eq!(driver.connection.send(Payload::Text("a".into())), Ok(()));
    assert_eq!(driver.close(), ["closed forced close", "send 0 4a", "close 0"]);
    assert!(driver.close().is_empty(), "closed for good");
}

#[test]
fn closing_does_not_wait_for_ever() {
    let mut driver = Driver::websocket();
    driver.connection.pause(WireId(0));
    driver.send("a");
    assert!(driver.close().is_empty());
    let (waited, lines) = driver.expire();
    assert_eq!((waited, lines), (30_000, vec!["closed forced close".into(), "close 0".into()]));

    let mut driver = Driver::websocket();
    driver.connection.pause(WireId(0));
    driver.send("a");
    driver.close();
    driver.connection.resume(WireId(0));
    assert_eq!(driver.drain(), ["closed forced close", "send 0 4a", "close 0"]);
}

#[test]
fn closing_gives_an_upgrade_up() {
    let mut driver = Driver::pausing();
    assert_eq!(driver.close(), ["close 1", "post 3 1"]);
    assert_eq!(driver.respond(3, "ok"), ["closed forced close", "close 2"]);
}

#[test]
fn the_other_side_closes() {
    assert_eq!(
        Driver::polling().respond(1, "4a\u{1e}1\u{1e}4b"),
        ["message a", "closed transport close"]
    );
    assert_eq!(Driver::websocket().text(0, "1"), ["closed transport close", "close 0"]);
    assert_eq!(Driver::websocket().lost(0), ["closed transport close"]);
    assert_eq!(Driver::polling().lost(1), ["closed transport error"]);
    assert_eq!(Driver::polling().status(1, 400, ""), ["closed transport error"]);
    assert_eq!(Driver::polling().respond(1, "x"), ["closed transport error"]);
    assert_eq!(Driver::websocket().text(0, "x"), ["closed transport error", "close 0"]);
}

#[test]
fn a_full_queue_refuses_and_the_connection_goes_on() {
    let mut limits = ClientLimits::default();
    limits.queued_packets = 2;
    limits.max_payload = 100;
    let config = ClientConfig::new().transports(&[Transport::WebSocket]).limits(limits);
    let mut driver = Driver::new(config);
    driver.drain();
    driver.text(0, OPEN);
    driver.connection.pause(WireId(0));
    driver.send("a");
    driver.send("b");
    let refused = driver.connection.send(Payload::Text("c".into()));
    assert_eq!(refused, Err(SendError::Overflow));
    driver.connection.resume(WireId(0));
    assert_eq!(driver.drain(), ["send 0 4a", "send 0 4b"]);
    let large = format!("4{}", "x".repeat(100));
    assert_eq!(driver.text(0, &large), ["closed transport error", "close 0"]);
}

#[test]
fn binary_messages_travel_over_both_transports() {
    let mut driver = Driver::polling();
    assert_eq!(driver.connection.send(Payload::Binary(vec![1, 2, 3].into())), Ok(()));
    assert_eq!(driver.drain(), ["post 2 bAQID"]);
    assert_eq!(driver.respond(1, "bAQID"), [r#"message b"\x01\x02\x03""#, "get 3"]);
    let mut driver = Driver::websocket();
    assert_eq!(driver.connection.send(Payload::Binary(vec![1, 2, 3].into())), Ok(()));
    assert_eq!(driver.drain(), [r#"send 0 b"\x01\x02\x03""#]);
}
