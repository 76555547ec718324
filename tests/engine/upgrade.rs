//! From polling to WebSocket.

use std::time::Duration;

use socketio_proto::engine::{EngineInput, Transport};
use socketio_proto::{Transports, WireId};

use crate::support::{Driver, config};

#[test]
fn session_moves() {
    let mut driver = Driver::probing(1);
    assert_eq!(driver.session.transport(), Transport::Polling);
    assert!(driver.send("a").is_empty());
    assert_eq!(driver.text(1, "5"), ["upgraded", "send 1 4a"]);
    assert_eq!(driver.session.transport(), Transport::WebSocket);
    assert_eq!(driver.text(1, "4b"), ["message b"]);
    assert_eq!(driver.send("c"), ["send 1 4c"]);
}

#[test]
fn waiting_get_is_answered_soon_after_the_probe_opens() {
    let mut driver = Driver::polling();
    driver.get(1);
    assert!(driver.opened(2).is_empty());
    assert_eq!(driver.text(2, "2probe"), ["send 2 3probe"]);
    assert_eq!(driver.due(), Some(25), "or it overtakes the other answer");
    assert_eq!(driver.expire(), ["respond 1 200 6"]);
}

#[test]
fn no_get_waits_long_while_the_probe_is_open() {
    let mut driver = patiently_probing(1);
    assert_eq!(driver.due(), Some(1_000), "nothing to answer");
    assert!(driver.get(2).is_empty());
    assert_eq!(driver.due(), Some(25));
    assert_eq!(driver.send("a"), ["respond 2 200 4a"], "packets do not wait");
    driver.wait(30);
    assert_eq!(driver.get(3), ["respond 3 200 6"]);
    assert!(driver.get(4).is_empty(), "nor does a client poll as fast as it can");
    assert!(driver.session.is_writable());
    assert_eq!(driver.due(), Some(100));
    assert_eq!(driver.expire(), ["respond 4 200 6"]);
    driver.wait(60);
    assert!(driver.get(5).is_empty());
    assert_eq!(driver.due(), Some(40), "since the last one");
    assert_eq!(driver.send("b"), ["respond 5 200 4b"]);
    driver.wait(1_000 - 190 - 1);
    assert_eq!(driver.get(6), ["respond 6 200 6"]);
    assert!(driver.get(7).is_empty());
    assert_eq!(driver.due(), Some(1), "the probe ends before the next one");
    assert_eq!(driver.expire(), ["close 1"]);
    assert_eq!(driver.send("c"), ["respond 7 200 4c"]);
}

#[test]
fn another_probe_packet_changes_nothing_for_a_get() {
    let mut driver = patiently_probing(1);
    assert!(driver.get(2).is_empty());
    driver.wait(10);
    assert_eq!(driver.text(1, "2probe"), ["send 1 3probe"]);
    assert_eq!(driver.due(), Some(15));
    assert_eq!(driver.expire(), ["respond 2 200 6"]);
    assert!(driver.get(3).is_empty());
    assert_eq!(driver.text(1, "2probe"), ["send 1 3probe"]);
    assert_eq!(driver.due(), Some(100));
}

#[test]
fn get_waits_before_the_probe_and_after_its_failure() {
    let mut driver = Driver::polling();
    driver.opened(1);
    assert!(driver.get(2).is_empty(), "not open yet");
    driver.text(1, "2probe");
    assert_eq!(driver.due(), Some(25));
    assert_eq!(driver.text(1, "4a"), ["close 1"]);
    assert_eq!(driver.due(), Some(300), "the heartbeat is next");
    assert_eq!(driver.send("a"), ["respond 2 200 4a"]);
}

#[test]
fn polling_goes_on_during_the_probe() {
    let mut driver = Driver::probing(1);
    assert_eq!(driver.post(2, "4a"), ["message a", "respond 2 200 ok"]);
    assert_eq!(driver.text(1, "2probe"), ["send 1 3probe"], "as often as it likes");
    assert_eq!(driver.text(1, "5"), ["upgraded"]);
}

#[test]
fn anything_else_fails_the_probe_only() {
    for text in ["", "x", "0", "1", "2", "2x", "3", "3probe", "4a", "6", "b?"] {
        let mut driver = Driver::polling();
        driver.opened(1);
        assert_eq!(driver.text(1, text), ["close 1"], "{text}");
        assert!(driver.text(1, "5").is_empty(), "it is closed");
        assert_eq!(driver.post(2, "4a"), ["message a", "respond 2 200 ok"]);

        let mut driver = Driver::probing(1);
        assert_eq!(driver.text(1, text), ["close 1"], "{text}");
        assert!(driver.session.is_open());
    }
}

#[test]
fn too_large_frame_fails_the_probe_only() {
    let mut driver = Driver::new(config().max_payload(128), Transport::Polling);
    driver.opened(1);
    assert_eq!(driver.text(1, &"2".repeat(129)), ["close 1 1009"]);
    assert!(driver.session.is_open());
}

#[test]
fn probe_may_go_away() {
    let mut driver = Driver::probing(1);
    assert!(driver.lost(1).is_empty());
    assert!(driver.session.is_open());
    assert!(driver.opened(2).is_empty(), "another attempt");
    assert_eq!(driver.text(2, "2probe"), ["send 2 3probe"]);
}

#[test]
fn late_probe_is_closed() {
    let mut driver = Driver::polling();
    driver.opened(1);
    assert_eq!(driver.due(), Some(100));
    driver.wait(60);
    driver.text(1, "2probe");
    assert_eq!(driver.due(), Some(40), "the timeout is for the whole of it");
    assert_eq!(driver.expire(), ["close 1"]);
    assert!(driver.session.is_open());
    assert_eq!(driver.due(), Some(200), "the heartbeat is next");
}

#[test]
fn upgrade_stops_its_timeout() {
    let mut driver = Driver::probing(1);
    driver.text(1, "5");
    assert_eq!(driver.due(), Some(300));
}

#[test]
fn upgrade_without_a_probe_is_taken() {
    let mut driver = Driver::polling();
    driver.get(1);
    driver.opened(2);
    assert_eq!(driver.text(2, "5"), ["upgraded", "respond 1 200 1"]);
    assert_eq!(driver.send("a"), ["send 2 4a"]);
}

#[test]
fn second_websocket_is_closed() {
    let mut driver = Driver::probing(1);
    assert_eq!(driver.opened(2), ["close 2"]);
    assert!(driver.text(2, "5").is_empty());
    assert_eq!(driver.text(1, "5"), ["upgraded"]);
    assert_eq!(driver.opened(3), ["close 3"]);
    assert_eq!(driver.text(1, "4a"), ["message a"]);
}

#[test]
fn upgrades_can_be_turned_off() {
    for config in [config().allow_upgrades(false), config().transports(Transports::PollingOnly)] {
        let mut driver = Driver::new(config, Transport::Polling);
        assert_eq!(driver.opened(1), ["close 1"]);
        assert!(driver.session.is_open());
    }
}

#[test]
fn requests_after_the_upgrade_are_refused() {
    let mut driver = Driver::probing(1);
    driver.text(1, "5");
    let refusal = r#"{"code":3,"message":"Bad request"}"#;
    assert_eq!(driver.get(2), [format!("respond 2 400 {refusal}")]);
    assert_eq!(driver.post(3, "4a"), [format!("respond 3 400 {refusal}")]);
    assert!(driver.session.is_open());
}

#[test]
fn post_may_complete_after_the_upgrade() {
    let mut driver = Driver::probing(1);
    driver.announce(2);
    assert_eq!(driver.text(1, "5"), ["upgraded"]);
    assert_eq!(driver.body(2, "4a"), ["message a", "respond 2 200 ok"]);
    assert!(driver.lost(2).is_empty());

    let mut driver = Driver::probing(1);
    driver.announce(2);
    driver.text(1, "5");
    assert!(driver.lost(2).is_empty(), "the session does not depend on it any more");
    assert!(driver.body(2, "4a").is_empty());
    assert!(driver.session.is_open());

    let mut driver = Driver::probing(1);
    driver.announce(2);
    driver.text(1, "5");
    assert_eq!(driver.lost(1), ["closed transport close", "close 2"]);
}

#[test]
fn probe_ends_with_the_session() {
    let mut driver = Driver::probing(1);
    assert_eq!(driver.post(2, "1"), ["closed transport close", "close 1", "respond 2 200 ok"]);
    assert!(driver.input(EngineInput::WireClosed { wire: WireId(1) }).is_empty());
}

#[test]
fn e1_heartbeat_survives_the_upgrade() {
    let mut driver = Driver::polling();
    driver.get(1);
    assert_eq!(driver.expire(), ["respond 1 200 2"]);
    driver.wait(50);
    driver.opened(2);
    driver.text(2, "2probe");
    driver.text(2, "5");
    assert_eq!(driver.due(), Some(150), "the pong is still awaited");
    assert_eq!(driver.expire(), ["closed ping timeout", "close 2"]);
}

#[test]
fn ping_waits_for_the_upgrade() {
    let mut driver = Driver::polling();
    driver.wait(250);
    driver.opened(1);
    driver.text(1, "2probe");
    assert!(driver.expire().is_empty(), "no GET");
    assert_eq!(driver.text(1, "5"), ["upgraded", "send 1 2"]);
    driver.text(1, "3");
    assert_eq!(driver.due(), Some(300));
}

/// A session with a probe of 1 s, which no heartbeat interrupts.
fn patiently_probing(wire: u64) -> Driver {
    let patient =
        config().upgrade_timeout(Duration::from_secs(1)).ping_interval(Duration::from_secs(10));
    let mut driver = Driver::new(patient, Transport::Polling);
    driver.opened(wire);
    driver.text(wire, "2probe");
    driver
}
