//! All memory that a peer can make a session use is bounded.

use socketio_proto::engine::{
    CloseReason, EngineEvent, EngineOutput, Frame, Payload, SendError, ServerConnection, Transport,
};
use socketio_proto::{Limits, ServerConfig, WireId};

use crate::support::{Driver, config};

fn limited(bytes: usize, packets: usize) -> ServerConfig {
    let mut limits = Limits::default();
    limits.queued_bytes = bytes;
    limits.queued_packets = packets;
    config().limits(limits)
}

fn send(driver: &mut Driver, len: usize) -> Result<(), SendError> {
    driver.session.send(driver.now, Payload::Binary(vec![0; len].into()))
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
    let mut driver = Driver::new(limited(100, 1_000), Transport::WebSocket);
    driver.session.pause(WireId(0));
    assert_eq!(send(&mut driver, 60), Ok(()));
    assert_eq!(send(&mut driver, 40), Ok(()));
    assert_eq!(send(&mut driver, 1), Err(SendError::Overflow));
    assert_eq!(driver.session.queued_bytes(), 0, "the queue was dropped");
    let closed = EngineEvent::Closed { reason: CloseReason::Overflow };
    assert_eq!(driver.session.poll_output(), Some(EngineOutput::Event(closed)));
    assert_eq!(send(&mut driver, 1), Err(SendError::Closed));
}

#[test]
fn e4_a_client_that_does_not_poll_is_bounded() {
    let mut driver = Driver::new(limited(100, 1_000), Transport::Polling);
    driver.wait(199);
    driver.post(1, "4a");
    assert_eq!(send(&mut driver, 1_000), Ok(()), "it may be on its way to poll");
    driver.wait(1);
    driver.post(2, "4a");
    assert_eq!(send(&mut driver, 100), Ok(()), "ping_timeout has passed without a GET");
    assert_eq!(send(&mut driver, 1), Err(SendError::Overflow));
}

#[test]
fn a_burst_is_not_held_against_the_peer() {
    for transport in [Transport::Polling, Transport::WebSocket] {
        let mut driver = Driver::new(limited(10, 1), transport);
        for _ in 0..10 {
            assert_eq!(send(&mut driver, 100), Ok(()));
        }
        assert_eq!(driver.session.queued_packets(), 10);
    }
    // The socket takes two of ten; what is added while it is paused counts by itself.
    let mut driver = Driver::new(limited(10, 1), Transport::WebSocket);
    for _ in 0..10 {
        assert_eq!(send(&mut driver, 100), Ok(()));
    }
    assert!(driver.session.poll_output().is_some() && driver.session.poll_output().is_some());
    driver.session.pause(WireId(0));
    assert_eq!(send(&mut driver, 10), Ok(()));
    driver.session.resume(WireId(0));
    assert_eq!(driver.drain().len(), 9);
    driver.session.pause(WireId(0));
    assert_eq!(send(&mut driver, 10), Ok(()));
    assert_eq!(send(&mut driver, 1), Err(SendError::Overflow));
}

#[test]
fn a_burst_is_bounded_and_what_is_too_much_closes_nobody() {
    for transport in [Transport::Polling, Transport::WebSocket] {
        let mut limits = Limits::default();
        limits.queue_burst_bytes = 100;
        limits.queue_burst_packets = 3;
        let mut driver = Driver::new(config().limits(limits), transport);
        assert_eq!(send(&mut driver, 60), Ok(()));
        assert_eq!(send(&mut driver, 41), Err(SendError::Full));
        assert_eq!((send(&mut driver, 20), send(&mut driver, 20)), (Ok(()), Ok(())));
        assert_eq!(send(&mut driver, 0), Err(SendError::Full), "three packets are the limit");
        assert!(driver.session.is_open());
        assert_eq!(driver.session.queued_packets(), 3);
    }
}

#[test]
fn an_empty_queue_takes_any_one_packet() {
    let mut limits = Limits::default();
    (limits.queue_burst_bytes, limits.queued_bytes) = (100, 100);
    let mut driver = Driver::new(config().limits(limits), Transport::WebSocket);
    assert_eq!(send(&mut driver, 5_000), Ok(()));
    driver.drain();
    driver.session.pause(WireId(0));
    assert_eq!(send(&mut driver, 5_000), Ok(()));
    assert_eq!(send(&mut driver, 1), Err(SendError::Overflow));
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
    let mut driver = Driver::new(limited(10, 100), Transport::WebSocket);
    driver.session.pause(WireId(0));
    let frame = Frame::Text("4shared".into());
    assert_eq!(driver.session.send_frame(driver.now, frame.clone()), Ok(()));
    assert_eq!(driver.session.send_frame(driver.now, frame), Err(SendError::Overflow));
}

#[test]
fn idle_session_is_small() {
    let size = size_of::<ServerConnection>();
    assert!(size < 350, "{size} bytes");
}
