//! Peers that are slow, that do not read, or that send too much. Each test reaches a limit.

use std::time::Duration;

use socketio_proto_http1::{Endpoint, StreamLimits};

use crate::{
    websockets::{frame, join},
    world::World,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn who_says_nothing_is_closed_in_silence() {
    let mut world = World::new();
    let stream = world.open();
    world.pass(SECOND * 9);
    assert!(!world.got(stream).is_closed);
    world.pass(SECOND);
    assert!(world.got(stream).is_closed && world.got(stream).bytes.is_empty());
    assert_eq!(world.endpoint.streams(), 0);
    assert_eq!(world.endpoint.deadline(), None, "no timer is left");
}

#[test]
fn a_head_that_comes_byte_by_byte_is_too_late() {
    let mut world = World::new();
    let stream = world.open();
    world.pass(SECOND * 9);
    for byte in b"GET / HTTP" {
        world.send(stream, [*byte]);
        world.pass(SECOND);
    }
    let got = world.take(stream);
    assert!(got.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{got}");
    assert!(world.got(stream).is_shut && !world.got(stream).is_closed);
    world.pass(SECOND * 5);
    assert!(world.got(stream).is_closed);
}

#[test]
fn a_body_that_comes_byte_by_byte_is_too_late() {
    for path in ["/socket.io/?EIO=4&transport=polling", "/else"] {
        let mut world = World::new();
        let stream = world.open();
        world.send(stream, format!("POST {path} HTTP/1.1\r\ncontent-length: 100\r\n\r\n"));
        for _ in 0..30 {
            world.send(stream, "x");
            world.pass(SECOND);
        }
        let got = world.take(stream);
        // The core refuses the first one before its body is there.
        let status = if path == "/else" { "408" } else { "400" };
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{got}");
        assert!(world.got(stream).is_shut && world.requests.is_empty());
    }
}

#[test]
fn a_stream_between_two_requests_has_its_time() {
    let mut world = World::new();
    let stream = world.open();
    for _ in 0..3 {
        world.send(stream, "GET /a HTTP/1.1\r\n\r\n");
        // The application takes its time, for which no peer pays.
        world.pass(SECOND * 1000);
        world.respond("ok");
        world.pass(SECOND * 59);
        assert!(!world.got(stream).is_closed);
    }
    world.pass(SECOND);
    assert!(world.got(stream).is_closed);
}

#[test]
fn who_does_not_read_is_closed_and_who_reads_slowly_is_not() {
    let mut world = World::new();
    world.takes_bytes = false;
    let streams = [world.open(), world.open()];
    for stream in streams {
        world.send(stream, "GET /a HTTP/1.1\r\n\r\n");
        world.respond("a response of some bytes");
    }
    let [slow, deaf] = streams;
    let len = world.got(slow).in_flight.len();
    for _ in 1..len {
        world.pass(SECOND * 29);
        world.progress(slow, 1);
    }
    assert!(world.got(deaf).is_closed && !world.got(slow).is_closed);
    world.progress(slow, 1);
    world.pass(SECOND * 59);
    assert!(!world.got(slow).is_closed, "it has all the time between two requests");
}

/// A last response was cut after five seconds.
#[test]
fn who_reads_a_last_response_slowly_gets_all_of_it() {
    let mut world = World::new();
    world.takes_bytes = false;
    let stream = world.open();
    world.send(stream, "GET /a HTTP/1.1\r\nconnection: close\r\n\r\n");
    world.respond("a response of some bytes");
    for _ in 0..world.got(stream).in_flight.len() {
        assert!(!world.got(stream).is_shut);
        world.pass(SECOND * 29);
        world.progress(stream, 1);
    }
    assert!(world.take(stream).ends_with("bytes") && world.got(stream).is_shut);
    world.pass(SECOND * 4);
    assert!(!world.got(stream).is_closed);
    world.pass(SECOND);
    assert!(world.got(stream).is_closed);
}

/// The tail of a WebSocket may be lost: its client recovers.
#[test]
fn a_websocket_that_closes_has_five_seconds_in_all() {
    let mut world = World::new();
    let stream = join(&mut world);
    world.takes_bytes = false;
    world.shut_down();
    world.pass(SECOND * 3);
    world.progress(stream, 1);
    world.pass(SECOND * 2);
    assert!(world.got(stream).is_closed);
}

#[test]
fn a_body_for_the_application_may_be_this_large() {
    let mut limits = StreamLimits::default();
    limits.body_bytes = 10;
    for (len, status) in [(10, None), (11, Some("413")), (1_000_000, Some("413"))] {
        let mut world = World::of(|server| Endpoint::new(server).limits(limits));
        let stream = world.open();
        world.send(stream, format!("POST /a HTTP/1.1\r\ncontent-length: {len}\r\n\r\n"));
        for _ in 0..len.min(1000) {
            if world.endpoint.wants_input(stream) {
                world.send(stream, "x");
            }
        }
        let got = world.take(stream);
        assert_eq!(got.split(' ').nth(1), status, "{len}: {got}");
        assert_eq!(world.requests.len(), usize::from(status.is_none()));
        assert_eq!(world.got(stream).is_shut, len > 11, "what is not read is no request");
    }
}

#[test]
fn requests_sent_ahead_are_not_read_without_end() {
    let mut world = World::new();
    let stream = world.open();
    let request = "GET /a HTTP/1.1\r\n\r\n";
    let mut sent = 0;
    while world.endpoint.wants_input(stream) {
        world.send(stream, request);
        sent += request.len();
        assert!(sent < 100_000, "it reads on and on");
    }
    assert_eq!(world.requests.len(), 1);
    let mut answered = 0;
    while !world.requests.is_empty() {
        world.respond("ok");
        answered += 1;
    }
    assert_eq!(answered * request.len(), sent, "each is answered");
    assert!(world.endpoint.wants_input(stream));
}

#[test]
fn a_websocket_that_does_not_read_is_paused_and_gets_everything_later() {
    let mut world = World::new();
    let stream = join(&mut world);
    world.takes_bytes = false;
    let text = "x".repeat(1000);
    for number in 0..200 {
        world.endpoint.server_mut().at(world.now).all().emit("n", &(number, &text)).unwrap();
        world.drain();
    }
    let in_flight = world.got(stream).in_flight.len();
    assert!(in_flight < 2000, "one frame is being written, {in_flight} bytes");
    assert!(!world.endpoint.wants_input(stream), "nothing is read from who does not read");
    world.takes_bytes = true;
    world.progress(stream, usize::MAX);
    assert!(world.endpoint.wants_input(stream));
    let got = world.take(stream);
    let places: Vec<_> = (0..200).map(|number| got.find(&format!("[\"n\",{number},"))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted());
}

#[test]
fn pings_of_a_websocket_that_does_not_read_are_not_answered_without_end() {
    let mut world = World::new();
    let stream = join(&mut world);
    world.takes_bytes = false;
    let pings = frame(9, &[0; 125]).repeat(100);
    let mut sent = 0;
    while world.endpoint.wants_input(stream) {
        world.send(stream, &pings);
        sent += pings.len();
        assert!(sent < 1_000_000, "it answers on and on");
    }
}

#[test]
fn a_websocket_that_does_not_read_is_closed_and_its_socket_parked() {
    let mut world = World::new();
    let stream = join(&mut world);
    world.takes_bytes = false;
    world.endpoint.server_mut().at(world.now).all().emit("n", &()).unwrap();
    world.drain();
    world.pass(SECOND * 30);
    assert!(world.got(stream).is_closed);
    let stats = world.endpoint.server().stats();
    assert_eq!((stats.connections, stats.parked_sessions), (0, 1));
    assert_eq!(world.closed_connections, 1);
}

#[test]
fn who_floods_instead_of_hanging_up_is_closed() {
    let mut world = World::new();
    let stream = world.open();
    world.send(stream, "nonsense\r\n\r\n");
    assert!(world.got(stream).is_shut);
    let chunk = vec![0; 16 << 10];
    let mut heard = 0;
    while !world.got(stream).is_closed {
        assert!(world.endpoint.wants_input(stream) && heard < 2 << 20, "{heard}");
        world.send(stream, &chunk);
        heard += chunk.len();
    }
    assert!(heard > 1 << 20, "messages on their way are read");
}
