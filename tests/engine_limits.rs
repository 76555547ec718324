//! Everything that a peer can make a session hold is bounded.

extern crate alloc;

#[cfg(test)]
#[expect(clippy::allow_attributes, reason = "each test binary uses a part of it")]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod engine_support;

use engine_support::{Driver, config};
use socketio_proto::engine::{
    CloseReason, Event, Frame, Output, Payload, SendError, ServerConnection, Transport,
};
use socketio_proto::{Limits, ServerConfig, WireId};

fn limited(bytes: usize, packets: usize) -> ServerConfig {
    let mut limits = Limits::default();
    limits.queued_bytes = bytes;
    limits.queued_packets = packets;
    config().limits(limits)
}

fn send(driver: &mut Driver, len: usize) -> Result<(), SendError> {
    driver.session.send(Payload::Binary(vec![0; len].into()))
}

#[test]
fn e2_too_large_post_ends_the_session() {
    let mut driver = Driver::new(config().max_payload(128), Transport::Polling);
    driver.get(1);
    let most = format!("4{}", "x".repeat(127));
    assert_eq!(driver.post(2, &most).len(), 2);
    let expected = ["closed transport error", "respond 3 413", "respond 1 200 1"];
    assert_eq!(driver.post(3, &format!("{most}x")), expected);
}

#[test]
fn e4_queued_bytes_are_bounded() {
    let mut driver = Driver::new(limited(100, 1_000), Transport::Polling);
    assert_eq!(send(&mut driver, 60), Ok(()));
    assert_eq!(send(&mut driver, 40), Ok(()));
    assert_eq!(send(&mut driver, 1), Err(SendError::Overflow));
    assert_eq!(driver.session.queued_bytes(), 0, "the queue was dropped");
    let closed = Event::Closed { reason: CloseReason::Overflow };
    assert_eq!(driver.session.poll_output(), Some(Output::Event(closed)));
    assert_eq!(send(&mut driver, 1), Err(SendError::Closed));
}

#[test]
fn e4_queued_packets_are_bounded() {
    let mut driver = Driver::new(limited(1_000, 3), Transport::WebSocket);
    driver.session.pause(WireId(0));
    for _ in 0..3 {
        assert_eq!(send(&mut driver, 1), Ok(()));
    }
    assert_eq!(send(&mut driver, 1), Err(SendError::Overflow));
    assert_eq!(driver.drain(), ["closed forced close", "close 0"]);
}

#[test]
fn what_was_taken_does_not_count() {
    let mut driver = Driver::new(limited(10, 1), Transport::WebSocket);
    for _ in 0..5 {
        assert_eq!(send(&mut driver, 10), Ok(()));
        assert_eq!(driver.drain().len(), 1);
    }
    let mut driver = Driver::new(limited(10, 1), Transport::Polling);
    for wire in 1..5 {
        assert_eq!(send(&mut driver, 10), Ok(()));
        assert_eq!(driver.get(wire).len(), 1);
    }
}

#[test]
fn control_packets_do_not_count() {
    let mut driver = Driver::new(limited(10, 1), Transport::Polling);
    assert!(driver.expire().is_empty());
    assert_eq!(driver.session.queued_packets(), 1, "the ping");
    assert_eq!(send(&mut driver, 10), Ok(()));
    assert_eq!(driver.get(1), ["respond 1 200 2\u{1e}bAAAAAAAAAAAAAA=="]);
}

#[test]
fn shared_frames_count_in_full() {
    let mut driver = Driver::new(limited(10, 100), Transport::Polling);
    let frame = Frame::Text("4shared".into());
    assert_eq!(driver.session.send_frame(frame.clone()), Ok(()));
    assert_eq!(driver.session.send_frame(frame), Err(SendError::Overflow));
}

#[test]
fn idle_session_is_small() {
    let size = size_of::<ServerConnection>();
    assert!(size < 350, "{size} bytes");
}
