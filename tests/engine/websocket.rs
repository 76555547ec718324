//! A session over WebSocket.

use socketio_proto::WireId;
use socketio_proto::engine::{CloseReason, TransportFault};
use socketio_proto::engine::{EngineEvent, EngineInput, EngineOutput, Frame, Payload, Transport};

use crate::support::{Driver, config};

#[test]
fn frames_are_packets() {
    let mut driver = Driver::websocket();
    assert_eq!(driver.text(0, "4a"), ["message a"]);
    assert_eq!(driver.text(0, "bAQID"), ["message 0x010203"]);
    let frame = Frame::Binary(vec![4, 5].into());
    assert_eq!(driver.input(EngineInput::Frame { wire: WireId(0), frame }), ["message 0x0405"]);
    assert_eq!(driver.send("b"), ["send 0 4b"]);
    driver.session.send(driver.now, Payload::Binary(vec![6].into())).unwrap();
    assert_eq!(driver.drain(), ["send 0 0x06"]);
}

#[test]
fn encoded_frames_are_shared() {
    let mut driver = Driver::websocket();
    let text = bytestring::ByteString::from(String::from("4shared"));
    driver.session.send_frame(driver.now, Frame::Text(text.clone())).unwrap();
    match driver.session.poll_output() {
        Some(EngineOutput::Send { frame: Frame::Text(sent), .. }) => {
            assert_eq!(sent.as_ptr(), text.as_ptr());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn bad_packet_ends_the_session() {
    for text in ["", "abc", "b?"] {
        let mut driver = Driver::websocket();
        assert_eq!(driver.text(0, text), ["closed parse error", "close 0"], "{text}");
    }
}

#[test]
fn ping_from_a_client_ends_the_session() {
    for text in ["2", "2probe"] {
        let mut driver = Driver::websocket();
        assert_eq!(driver.text(0, text), ["closed transport error", "close 0"]);
    }
}

#[test]
fn packets_without_a_meaning_are_ignored() {
    let mut driver = Driver::websocket();
    for text in ["0", "0{}", "5", "6", "3", "3probe"] {
        assert!(driver.text(0, text).is_empty(), "{text}");
    }
    assert!(driver.session.is_open());
}

#[test]
fn peer_closes() {
    let mut driver = Driver::websocket();
    assert_eq!(driver.lost(0), ["closed transport close"]);
}

#[test]
fn frames_for_a_peer_that_closed_are_dropped() {
    let mut driver = Driver::websocket();
    driver.session.send(driver.now, Payload::Text("a".into())).unwrap();
    assert_eq!(driver.lost(0), ["closed transport close"]);
    assert_eq!(driver.session.queued_bytes(), 0);

    let mut driver = Driver::websocket();
    driver.session.send(driver.now, Payload::Text("a".into())).unwrap();
    driver.session.abort(CloseReason::ForcedClose);
    assert_eq!(driver.lost(0), ["closed forced close"]);
    assert_eq!(driver.session.queued_bytes(), 0, "its memory is free at once");
}

#[test]
fn e3_close_packet_ends_the_session_at_once() {
    let mut driver = Driver::websocket();
    assert_eq!(driver.text(0, "1"), ["closed transport close", "close 0"]);
}

#[test]
fn too_large_frame_ends_the_session_with_1009() {
    let mut driver = Driver::new(config().max_payload(128), Transport::WebSocket);
    let most = format!("4{}", "x".repeat(127));
    assert_eq!(driver.text(0, &most).len(), 1);
    driver.session.handle_input(
        driver.now,
        EngineInput::Frame { wire: WireId(0), frame: Frame::Text(format!("{most}x").into()) },
    );
    let reason = CloseReason::TransportError(TransportFault::PayloadTooLarge);
    assert_eq!(
        driver.session.poll_output(),
        Some(EngineOutput::Event(EngineEvent::Closed { reason }))
    );
    assert_eq!(driver.drain(), ["close 0 1009"]);
}

#[test]
fn another_websocket_is_closed() {
    let mut driver = Driver::websocket();
    assert_eq!(driver.opened(1), ["close 1"]);
    assert!(driver.text(1, "4a").is_empty());
    assert!(driver.lost(1).is_empty());
    assert_eq!(driver.text(0, "4a"), ["message a"]);
}

#[test]
fn requests_do_not_belong_to_it() {
    let refusal = r#"{"code":3,"message":"Bad request"}"#;
    let mut driver = Driver::websocket();
    assert_eq!(driver.get(1), [format!("respond 1 400 {refusal}")]);
    assert_eq!(driver.post(2, "4a"), [format!("respond 2 400 {refusal}")]);
    assert!(driver.session.is_open());
}

#[test]
fn pause_holds_frames_back() {
    let mut driver = Driver::websocket();
    driver.session.pause(WireId(9));
    assert_eq!(driver.send("a"), ["send 0 4a"], "another wire was paused");
    assert!(driver.session.is_writable());
    driver.session.pause(WireId(0));
    assert!(!driver.session.is_writable());
    assert!(driver.send("b").is_empty());
    assert!(driver.send("c").is_empty());
    assert_eq!(driver.due(), Some(300), "what cannot be drained is not due");
    driver.session.resume(WireId(0));
    assert_eq!(driver.due(), Some(0));
    assert_eq!(driver.drain(), ["send 0 4b", "send 0 4c"]);
    assert!(driver.session.is_writable());
}

#[test]
fn last_frames_precede_the_close() {
    let mut driver = Driver::websocket();
    driver.session.send(driver.now, Payload::Text("a".into())).unwrap();
    driver.session.handle_input(
        driver.now,
        EngineInput::Frame { wire: WireId(0), frame: Frame::Text("?".into()) },
    );
    assert_eq!(driver.drain(), ["closed parse error", "send 0 4a", "close 0"]);
}
