//! How sessions end.

use socketio_proto::WireId;
use socketio_proto::engine::{
    CloseReason, EngineDecodeError, EngineInput, Payload, SendError, Transport, TransportFault,
};

use crate::support::Driver;

const UNKNOWN: &str = r#"{"code":1,"message":"Session ID unknown"}"#;

#[test]
fn websocket_is_closed_without_a_code() {
    let mut driver = Driver::websocket();
    driver.session.send(driver.now, Payload::Text("a".into())).unwrap();
    assert_eq!(driver.close(), ["closed forced close", "send 0 4a", "close 0"]);
    assert_eq!(driver.due(), None);
    assert_eq!(driver.session.transport(), Transport::WebSocket);
}

#[test]
fn waiting_get_is_closed_with_a_packet() {
    let mut driver = Driver::polling();
    driver.get(1);
    driver.announce(2);
    assert_eq!(driver.close(), ["closed forced close", "respond 1 200 1", "close 2"]);
}

#[test]
fn next_get_takes_the_rest_and_the_one_after_it_the_close_packet() {
    let mut driver = Driver::polling();
    driver.send("a");
    assert!(driver.close().is_empty());
    assert!(!driver.session.is_open() && !driver.session.is_closed());
    assert_eq!(driver.due(), Some(1_000), "no heartbeat any more");
    // In one body the official client would see the end of the connection before the message.
    assert_eq!(driver.get(1), ["respond 1 200 4a"]);
    assert_eq!(driver.get(2), ["closed forced close", "respond 2 200 1"]);
}

#[test]
fn close_packet_comes_after_all_the_responses_that_it_takes() {
    let mut driver = Driver::new(crate::support::config().max_payload(128), Transport::Polling);
    let long = "x".repeat(126);
    driver.send(&long);
    driver.close();
    assert_eq!(driver.get(1), [format!("respond 1 200 4{long}")]);
    assert_eq!(driver.get(2), ["closed forced close", "respond 2 200 1"]);
}

#[test]
fn closing_ends_without_a_get_too() {
    let mut driver = Driver::polling();
    driver.send("a");
    driver.close();
    assert_eq!(driver.expire(), ["closed forced close"]);
    assert_eq!(driver.session.queued_packets(), 0);
    assert_eq!(driver.get(1), [format!("respond 1 400 {UNKNOWN}")]);
}

#[test]
fn paused_websocket_is_waited_for() {
    let mut driver = Driver::websocket();
    driver.session.pause(WireId(0));
    driver.send("a");
    assert!(driver.close().is_empty());
    driver.session.resume(WireId(0));
    assert_eq!(driver.drain(), ["closed forced close", "send 0 4a", "close 0"]);

    let mut driver = Driver::websocket();
    driver.session.pause(WireId(0));
    driver.send("a");
    driver.close();
    assert_eq!(driver.due(), Some(1_000));
    assert_eq!(driver.expire(), ["closed forced close", "close 0"]);

    let mut driver = Driver::websocket();
    driver.session.pause(WireId(0));
    assert_eq!(driver.close(), ["closed forced close", "close 0"], "nothing to wait for");
}

#[test]
fn nothing_is_sent_or_received_while_closing() {
    let mut driver = Driver::polling();
    driver.close();
    assert_eq!(driver.session.send(driver.now, Payload::Text("a".into())), Err(SendError::Closed));
    assert!(!driver.session.is_writable());
    assert_eq!(driver.post(1, "4a\u{1e}2\u{1e}x"), ["respond 1 200 ok"]);
    assert_eq!(driver.opened(2), ["close 2"]);
    assert!(driver.close().is_empty());
    assert_eq!(driver.due(), Some(1_000));
    assert_eq!(driver.get(3), ["closed forced close", "respond 3 200 1"]);
}

#[test]
fn both_sides_may_close() {
    let mut driver = Driver::polling();
    driver.close();
    assert_eq!(driver.post(1, "4a\u{1e}1"), ["closed transport close", "respond 1 200 ok"]);
}

#[test]
fn faults_end_a_closing_session() {
    let mut driver = Driver::polling();
    driver.close();
    driver.announce(1);
    assert_eq!(driver.post(2, "4a"), ["closed transport error", "respond 2 400", "close 1"]);
}

#[test]
fn upgrade_of_a_closing_session_carries_the_rest() {
    let mut driver = Driver::probing(1);
    driver.send("a");
    assert!(driver.close().is_empty());
    assert_eq!(driver.text(1, "5"), ["closed forced close", "send 1 4a", "close 1"]);
}

#[test]
fn probe_of_a_closing_session_is_closed_with_it() {
    let mut driver = Driver::probing(1);
    driver.close();
    assert_eq!(driver.due(), Some(100), "its own timeout");
    assert_eq!(driver.get(2), ["closed forced close", "respond 2 200 1", "close 1"]);
}

#[test]
fn abort_drops_what_was_not_taken() {
    let mut driver = Driver::polling();
    driver.send("a");
    driver.session.abort(CloseReason::TakenOver);
    assert_eq!(driver.drain(), ["closed forced close"]);

    let mut driver = Driver::websocket();
    driver.session.pause(WireId(0));
    driver.send("a");
    driver.session.abort(CloseReason::ServerShutdown);
    assert_eq!(driver.drain(), ["closed forced close", "close 0"]);
    driver.session.resume(WireId(0));
    driver.session.abort(CloseReason::ForcedClose);
    assert!(driver.drain().is_empty());
}

#[test]
fn the_end_is_final() {
    let mut driver = Driver::websocket();
    driver.close();
    assert!(driver.text(0, "4a").is_empty());
    assert!(driver.lost(0).is_empty());
    assert!(driver.input(EngineInput::Timeout).is_empty());
    driver.session.pause(WireId(0));
    driver.session.resume(WireId(0));
    assert!(driver.close().is_empty());
    assert_eq!(driver.session.send(driver.now, Payload::Text("a".into())), Err(SendError::Closed));
    assert!(driver.session.is_closed());
    assert_eq!(driver.due(), None);
}

#[test]
fn what_comes_after_the_end_is_answered() {
    let mut driver = Driver::polling();
    driver.session.abort(CloseReason::ForcedClose);
    driver.drain();
    assert_eq!(driver.get(1), [format!("respond 1 400 {UNKNOWN}")]);
    assert_eq!(driver.post(2, "4a"), [format!("respond 2 400 {UNKNOWN}")]);
    let other = driver.input(EngineInput::OtherMethod { wire: WireId(3) });
    assert_eq!(other, [format!("respond 3 400 {UNKNOWN}")]);
    assert_eq!(driver.opened(4), ["close 4"]);
}

#[test]
fn reasons_have_the_texts_of_the_reference() {
    let table = [
        (CloseReason::TransportError(TransportFault::RequestAborted), "transport error"),
        (CloseReason::TransportClose, "transport close"),
        (CloseReason::PingTimeout, "ping timeout"),
        (CloseReason::ForcedClose, "forced close"),
        (CloseReason::ParseError(EngineDecodeError::Empty), "parse error"),
        (CloseReason::Overflow, "forced close"),
        (CloseReason::ServerShutdown, "forced close"),
        (CloseReason::ProtocolViolation, "forced close"),
        (CloseReason::InvalidPacket, "forced close"),
        (CloseReason::TakenOver, "forced close"),
    ];
    for (reason, text) in table {
        assert_eq!(reason.as_str(), text);
    }
    let reason = CloseReason::ParseError(EngineDecodeError::UnknownType('x'));
    assert_eq!(reason.to_string(), "parse error: unknown packet type 'x'");
}
