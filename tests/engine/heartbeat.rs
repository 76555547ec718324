//! Pings and pongs, and what happens if they are missing.

use socketio_proto::engine::{CloseReason, EngineEvent, EngineInput, EngineOutput};
use socketio_proto::{Timestamp, WireId};

use crate::support::Driver;

#[test]
fn three_heartbeats_over_websocket() {
    let mut driver = Driver::websocket();
    for _ in 0..3 {
        assert_eq!(driver.due(), Some(300));
        assert_eq!(driver.expire(), ["send 0 2"]);
        assert_eq!(driver.due(), Some(200));
        driver.wait(150);
        assert!(driver.text(0, "3").is_empty());
    }
}

#[test]
fn three_heartbeats_over_polling() {
    let mut driver = Driver::polling();
    for wire in 0..3 {
        driver.get(10 + wire);
        assert_eq!(driver.expire(), [format!("respond {} 200 2", 10 + wire)]);
        driver.wait(150);
        assert_eq!(driver.post(20 + wire, "3"), [format!("respond {} 200 ok", 20 + wire)]);
        assert_eq!(driver.due(), Some(300));
    }
}

#[test]
fn silence_is_a_ping_timeout() {
    let mut driver = Driver::websocket();
    driver.expire();
    assert_eq!(driver.expire(), ["closed ping timeout", "close 0"]);
    assert_eq!(driver.due(), None);

    let mut driver = Driver::polling();
    assert!(driver.expire().is_empty(), "the ping waits for a GET");
    assert_eq!(driver.expire(), ["closed ping timeout"]);
}

#[test]
fn waiting_get_is_told_about_the_timeout() {
    let mut driver = Driver::polling();
    driver.get(1);
    driver.expire();
    driver.get(2);
    assert_eq!(driver.expire(), ["closed ping timeout", "respond 2 200 1"]);
}

#[test]
fn timeout_before_the_deadline_does_nothing() {
    let mut driver = Driver::websocket();
    driver.wait(299);
    assert!(driver.input(EngineInput::Timeout).is_empty());
    assert_eq!(driver.due(), Some(1));
}

#[test]
fn late_ping_leaves_at_least_half_of_the_time() {
    for (late, left) in [(0, 200), (1, 199), (99, 101), (100, 100), (101, 100), (5_000, 100)] {
        let mut driver = Driver::websocket();
        driver.wait(300 + late);
        assert_eq!(driver.input(EngineInput::Timeout), ["send 0 2"], "one ping, however late");
        assert_eq!(driver.due(), Some(left), "{late} ms late");
    }
}

#[test]
fn pong_that_was_not_asked_for_means_nothing() {
    let mut driver = Driver::websocket();
    driver.wait(250);
    driver.text(0, "3");
    assert_eq!(driver.due(), Some(50));
}

#[test]
fn pong_before_the_ping_was_taken_means_nothing() {
    // A paused WebSocket, and a client that does not poll: the ping waits in the queue.
    let mut driver = Driver::websocket();
    driver.session.pause(WireId(0));
    assert!(driver.expire().is_empty());
    driver.wait(150);
    driver.text(0, "3");
    assert_eq!(driver.expire(), ["closed ping timeout", "close 0"]);

    let mut driver = Driver::polling();
    assert!(driver.expire().is_empty());
    driver.wait(150);
    driver.post(1, "3");
    assert_eq!(driver.expire(), ["closed ping timeout"]);
}

#[test]
fn pong_after_the_ping_was_taken_late_counts() {
    let mut driver = Driver::websocket();
    driver.session.pause(WireId(0));
    assert!(driver.expire().is_empty());
    driver.session.resume(WireId(0));
    assert_eq!(driver.drain(), ["send 0 2"]);
    driver.text(0, "3");
    assert_eq!(driver.due(), Some(300));
}

#[test]
fn ping_overtakes_what_waits_for_a_slow_reader() {
    let mut driver = Driver::websocket();
    driver.session.pause(WireId(0));
    driver.send("a");
    driver.expire();
    driver.session.resume(WireId(0));
    assert_eq!(driver.drain(), ["send 0 2", "send 0 4a"]);

    let mut driver = Driver::polling();
    driver.send("a");
    driver.expire();
    assert_eq!(driver.get(1), ["respond 1 200 2\u{1e}4a"]);
}

#[test]
fn other_packets_do_not_restart_the_interval() {
    let mut driver = Driver::websocket();
    driver.wait(250);
    driver.text(0, "4a");
    assert_eq!(driver.due(), Some(50));
}

#[test]
fn first_packet_extends_the_timeout_once_per_ping() {
    for packet in ["4a", "6", "0"] {
        let mut driver = Driver::websocket();
        for _ in 0..2 {
            driver.expire();
            driver.wait(150);
            driver.text(0, packet);
            assert_eq!(driver.due(), Some(200), "extended");
            driver.wait(150);
            driver.text(0, packet);
            assert_eq!(driver.due(), Some(50), "but once");
            driver.text(0, "3");
            assert_eq!(driver.due(), Some(300));
        }
    }
}

#[test]
fn paused_websocket_runs_into_the_timeout() {
    let mut driver = Driver::websocket();
    driver.session.pause(WireId(0));
    assert!(driver.expire().is_empty());
    assert_eq!(driver.expire(), ["closed ping timeout", "close 0"], "the ping is dropped");
}

#[test]
fn time_does_not_run_backwards() {
    let mut driver = Driver::websocket();
    driver.wait(100);
    driver.text(0, "3");
    let deadline = driver.session.deadline();
    driver.session.handle_input(Timestamp::ZERO, EngineInput::Timeout);
    driver.session.close(Timestamp::ZERO, CloseReason::ForcedClose);
    assert_eq!(driver.session.deadline(), Some(driver.now), "output is due at the latest now");
    assert!(deadline > Some(driver.now));
}

#[test]
fn output_is_due_at_once() {
    let mut driver = Driver::websocket();
    driver
        .session
        .handle_input(driver.now, EngineInput::Frame { wire: WireId(0), frame: bad_frame() });
    assert_eq!(driver.due(), Some(0));
    let event = driver.session.poll_output();
    assert!(matches!(event, Some(EngineOutput::Event(EngineEvent::Closed { .. }))));
    assert_eq!(driver.due(), Some(0), "the WebSocket is still to be closed");
    assert_eq!(driver.drain(), ["close 0"]);
    assert_eq!(driver.due(), None);
}

fn bad_frame() -> socketio_proto::engine::Frame {
    socketio_proto::engine::Frame::Text("?".into())
}
