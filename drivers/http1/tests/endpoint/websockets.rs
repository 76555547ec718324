//! WebSockets.

use socketio_proto_http1::StreamId;

use crate::world::World;

/// A handshake with a cookie.
pub(crate) const UPGRADE: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n\
    connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\ncookie: a=b\r\n\r\n";

/// A frame of a client, whose mask changes nothing.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).ok().filter(|len| *len < 126).expect("a short one");
    [&[0x80 | opcode, 0x80 | len, 0, 0, 0, 0], payload].concat()
}

/// A WebSocket that has joined the main namespace.
pub(crate) fn join(world: &mut World) -> StreamId {
    let stream = world.open();
    world.send(stream, UPGRADE);
    world.send(stream, frame(1, b"40"));
    assert!(world.socket.is_some());
    world.take(stream);
    stream
}

#[test]
fn a_websocket_from_the_handshake_to_the_close() {
    let mut world = World::new();
    let stream = world.open();
    let got = world.ask(stream, UPGRADE);
    let (head, frames) = got.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols"), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    assert!(frames.contains("0{\"sid\""), "{frames}");
    assert_eq!(world.cookies, [Some("a=b".to_owned())]);
    world.send(stream, frame(1, b"40"));
    assert!(world.take(stream).contains("40{\"sid\""));
    world.send(stream, frame(9, b"ping"));
    assert_eq!(std::mem::take(&mut world.got(stream).bytes), b"\x8a\x04ping");
    world.send(stream, frame(8, &1000_u16.to_be_bytes()));
    assert_eq!(world.closed_connections, 1);
    assert_eq!(world.got(stream).bytes, [0x88, 2, 3, 232]);
    assert!(world.got(stream).is_shut && !world.got(stream).is_closed);
    world.end(stream);
    assert!(world.got(stream).is_closed);
}

#[test]
fn messages_in_pieces_and_behind_the_handshake_are_read() {
    let start = [UPGRADE.as_bytes(), &frame(1, b"40")].concat();
    let events = [frame(1, b"42[\"a\"]"), frame(9, b""), frame(1, b"42[\"b\"]")].concat();
    for len in 1..start.len() {
        let mut world = World::new();
        let stream = world.open();
        for piece in start.chunks(len).chain(events.chunks(len)) {
            world.send(stream, piece);
        }
        assert_eq!(world.received, 2, "{len} bytes at a time");
    }
}

#[test]
fn a_wrong_handshake_is_refused_in_words() {
    let mut world = World::new();
    let stream = world.open();
    let got = world.ask(stream, &UPGRADE.replace("version: 13", "version: 8"));
    assert!(got.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{got}");
    assert!(world.cookies.is_empty());
    let mut world = World::new();
    let stream = world.open();
    world.send(stream, UPGRADE.replace("/socket.io/", "/else"));
    assert_eq!(world.requests.len(), 1, "a WebSocket of the application is a request to it");
}

#[test]
fn a_broken_protocol_is_told_and_closes() {
    for (bytes, code) in [
        (frame(3, b"reserved"), 1002_u16),
        (frame(1, b"\xff"), 1007),
        ([&[0x82, 0xff][..], &u64::MAX.to_be_bytes()[..], &[0; 4]].concat(), 1009),
    ] {
        let mut world = World::new();
        let stream = join(&mut world);
        world.send(stream, bytes);
        let got = world.got(stream);
        assert_eq!(got.bytes[..4], [&[0x88, 2], &code.to_be_bytes()[..]].concat(), "{code}");
        assert!(got.is_shut);
        assert_eq!(world.closed_connections, 1);
    }
}

#[test]
fn frames_of_one_drain_are_written_at_once_and_in_order() {
    let mut world = World::new();
    let stream = join(&mut world);
    world.takes_bytes = false;
    for number in 0..3 {
        world.endpoint.server_mut().at(world.now).all().emit("n", &(number,)).unwrap();
    }
    world.drain();
    let text = String::from_utf8_lossy(&world.got(stream).in_flight).into_owned();
    let places: Vec<_> = (0..3).map(|number| text.find(&format!("[\"n\",{number},"))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
}

#[test]
fn a_shutdown_says_why_to_a_websocket() {
    let mut world = World::new();
    let stream = join(&mut world);
    world.shut_down();
    let got = world.got(stream);
    assert_eq!(got.bytes[0], 0x88, "a close frame");
    assert!(got.is_shut);
}

#[test]
fn a_stream_that_breaks_is_closed_at_once_whatever_waits() {
    for is_closing in [false, true] {
        let mut world = World::new();
        let stream = join(&mut world);
        world.takes_bytes = false;
        world.endpoint.server_mut().at(world.now).all().emit("n", &()).unwrap();
        world.drain();
        if is_closing {
            world.shut_down();
        }
        world.fail(stream);
        assert!(world.got(stream).is_closed);
        let stats = world.endpoint.server().stats();
        assert_eq!((stats.connections, stats.parked_sessions), (0, 1));
        assert_eq!(world.endpoint.streams(), 0);
    }
}
