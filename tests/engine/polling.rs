//! GET and POST of an established session.

use socketio_proto::WireId;
use socketio_proto::engine::{EngineInput, EngineOutput, Frame, Payload, Transport};

use crate::support::{Driver, config};

#[test]
fn get_waits_for_a_packet() {
    let mut driver = Driver::polling();
    assert!(driver.get(1).is_empty());
    assert_eq!(driver.send("a"), ["respond 1 200 4a"]);
}

#[test]
fn get_takes_what_is_queued() {
    let mut driver = Driver::polling();
    assert!(driver.send("a").is_empty());
    driver.session.send(driver.now, Payload::Binary(vec![1, 2, 3].into())).unwrap();
    assert_eq!((driver.session.queued_packets(), driver.session.queued_bytes()), (2, 5));
    assert_eq!(driver.get(1), ["respond 1 200 4a\u{1e}bAQID"]);
    assert_eq!((driver.session.queued_packets(), driver.session.queued_bytes()), (0, 0));
    assert!(driver.get(2).is_empty(), "nothing is left for it");
}

#[test]
fn post_delivers_packets_in_order() {
    let mut driver = Driver::polling();
    let expected = ["message a", "message 0x010203", "message b", "respond 1 200 ok"];
    assert_eq!(driver.post(1, "4a\u{1e}bAQID\u{1e}4b"), expected);
}

#[test]
fn answers_have_the_headers_of_the_reference() {
    let mut driver = Driver::polling();
    let headers = |driver: &mut Driver| match driver.session.poll_output() {
        Some(EngineOutput::Respond { response, .. }) => response.headers.to_vec(),
        other => panic!("no answer: {other:?}"),
    };
    let body = Some("3".into());
    driver
        .session
        .handle_input(driver.now, EngineInput::Post { wire: WireId(1), body, binary: false });
    let expected = [("content-type", "text/html"), ("cache-control", "no-store")];
    assert_eq!(headers(&mut driver), expected);
    driver.session.handle_input(driver.now, EngineInput::Poll { wire: WireId(2) });
    driver.session.send_frame(driver.now, Frame::Text("4a".into())).unwrap();
    let expected = [("content-type", "text/plain; charset=UTF-8"), ("cache-control", "no-store")];
    assert_eq!(headers(&mut driver), expected);
    driver.session.handle_input(driver.now, EngineInput::OtherMethod { wire: WireId(3) });
    assert_eq!(headers(&mut driver), []);
}

#[test]
fn announced_post_is_read_when_it_is_complete() {
    let mut driver = Driver::polling();
    assert!(driver.announce(1).is_empty());
    assert!(driver.body(2, "4other").is_empty(), "not a wire of this session");
    assert_eq!(driver.body(1, "4a"), ["message a", "respond 1 200 ok"]);
    assert!(driver.body(1, "4a").is_empty(), "it is finished");
}

#[test]
fn second_get_ends_the_session() {
    let mut driver = Driver::polling();
    driver.get(1);
    let expected = ["closed transport error", "respond 2 400", "respond 1 200 1"];
    assert_eq!(driver.get(2), expected);
}

#[test]
fn second_post_ends_the_session() {
    let mut driver = Driver::polling();
    driver.get(1);
    driver.announce(2);
    let expected = ["closed transport error", "respond 3 400", "respond 1 200 1", "close 2"];
    assert_eq!(driver.post(3, "4a"), expected);
    assert!(driver.body(2, "4a").is_empty());
}

#[test]
fn aborted_requests_end_the_session() {
    let mut driver = Driver::polling();
    driver.get(1);
    assert_eq!(driver.lost(1), ["closed transport error"]);

    let mut driver = Driver::polling();
    driver.get(1);
    driver.announce(2);
    assert_eq!(driver.lost(2), ["closed transport error", "respond 1 200 1"]);
}

#[test]
fn a_wire_that_was_answered_may_go_away() {
    let mut driver = Driver::polling();
    assert!(driver.lost(0).is_empty());
    driver.post(1, "4a");
    assert!(driver.lost(1).is_empty());
    assert!(driver.session.is_open());
}

#[test]
fn binary_post_ends_the_session() {
    for body in [None, Some("4a".into())] {
        let mut driver = Driver::polling();
        let input = EngineInput::Post { wire: WireId(1), body, binary: true };
        assert_eq!(driver.input(input), ["closed transport error", "respond 1 400"]);
    }
}

#[test]
fn other_methods_leave_the_session_alone() {
    let mut driver = Driver::polling();
    driver.get(1);
    assert_eq!(driver.input(EngineInput::OtherMethod { wire: WireId(2) }), ["respond 2 500"]);
    assert_eq!(driver.send("a"), ["respond 1 200 4a"]);
}

#[test]
fn close_packet_ends_the_session() {
    let mut driver = Driver::polling();
    driver.get(1);
    let expected = ["message a", "closed transport close", "respond 1 200 6", "respond 2 200 ok"];
    assert_eq!(driver.post(2, "4a\u{1e}1\u{1e}4b"), expected);
}

#[test]
fn bad_packet_ends_the_session() {
    for body in ["", "abc", "4a\u{1e}", "b?"] {
        let mut driver = Driver::polling();
        driver.get(1);
        let mut lines = driver.post(2, body);
        lines.retain(|line| line != "message a");
        let expected = ["closed parse error", "respond 1 200 1", "respond 2 200 ok"];
        assert_eq!(lines, expected, "{body}");
    }
}

#[test]
fn packets_before_a_bad_one_are_delivered() {
    let mut driver = Driver::polling();
    let expected = ["message a", "closed parse error", "respond 1 200 ok"];
    assert_eq!(driver.post(1, "4a\u{1e}x\u{1e}4b"), expected);
}

#[test]
fn ping_from_a_client_ends_the_session() {
    let mut driver = Driver::polling();
    assert_eq!(driver.post(1, "2"), ["closed transport error", "respond 1 200 ok"]);
}

#[test]
fn packets_without_a_meaning_are_ignored() {
    let mut driver = Driver::polling();
    let body = "0\u{1e}0{}\u{1e}5\u{1e}6\u{1e}3\u{1e}4a";
    assert_eq!(driver.post(1, body), ["message a", "respond 1 200 ok"]);
}

#[test]
fn response_stops_at_max_payload() {
    let mut driver = Driver::new(config().max_payload(128), Transport::Polling);
    let long = "x".repeat(200);
    for text in ["a", &long, "b", "c"] {
        driver.send(text);
    }
    assert_eq!(driver.get(1), ["respond 1 200 4a"]);
    assert_eq!(driver.get(2), [format!("respond 2 200 4{long}")], "at least one packet");
    assert_eq!(driver.get(3), ["respond 3 200 4b\u{1e}4c"]);
}

#[test]
fn response_is_filled_up_to_max_payload() {
    let mut driver = Driver::new(config().max_payload(128), Transport::Polling);
    let half = "x".repeat(62);
    driver.send(&half);
    driver.send(&format!("{half}y"));
    driver.send("");
    let body = format!("4{half}\u{1e}4{half}y");
    assert_eq!(body.len(), 128);
    assert_eq!(driver.get(1), [format!("respond 1 200 {body}")]);
    assert_eq!(driver.get(2), ["respond 2 200 4"]);
}

#[test]
fn volatile_needs_a_waiting_get() {
    let mut driver = Driver::polling();
    assert!(!driver.session.is_writable());
    driver.get(1);
    assert!(driver.session.is_writable());
    driver.send("a");
    assert!(!driver.session.is_writable());
    assert!(driver.send("b").is_empty());
    driver.get(2);
    assert!(!driver.session.is_writable());
}
