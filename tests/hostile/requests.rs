//! Requests that the server must refuse.
//!
//! Each test is one attack; see `peers.rs`.

use socketio_proto::{
    Limits, Origins,
    engine::{Method, RequestHead, WebSocketRequest},
    server::ServerInput,
};

use crate::support::{Received, World, bystander::Bystander, get, recovery_config};

/// Pages of other origins, with the user's cookies | `ServerConfig::origins`, off by default | 403 (code 4) over polling and WebSocket | `requests_refused.origin_not_allowed`
#[test]
fn pages_of_other_origins() {
    let origins = Origins::list(["https://app.example"]);
    let mut world = World::new(recovery_config().origins(origins));
    let mut bystander = Bystander::new(&mut world);
    let origin = Some(&b"https://evil.example"[..]);
    let polling = RequestHead { origin, ..get("EIO=4&transport=polling") };
    let websocket = RequestHead { origin, upgrade: true, ..get("EIO=4&transport=websocket") };
    for _ in 0..1_000 {
        let wire = world.wire();
        world.input(ServerInput::Request { wire, head: polling, body: None });
        let received = world.take(wire);
        assert!(matches!(&received[..], [Received::Response(response)] if response.status == 403));
        let refusal = world.server.verify(world.now, &websocket).unwrap_err();
        assert_eq!(refusal.response(true).status, 403);
    }
    assert_eq!(world.server.stats().total.requests_refused.origin_not_allowed, 2_000);
    assert_eq!(world.server.stats().connections, 1);
    bystander.check(&mut world);
}

/// Requests for a WebSocket that are not valid handshakes | none: nothing is held | 400, 405 or 426 | `requests_refused.websocket_handshake`
#[test]
fn websocket_handshakes_that_are_none() {
    let mut world = World::with_recovery();
    let mut bystander = Bystander::new(&mut world);
    let fields: [(&str, &[u8]); 3] =
        [("connection", b"upgrade"), ("upgrade", b"websocket"), ("sec-websocket-version", b"13")];
    for number in 0..10_000 {
        let request = WebSocketRequest::read(Method::Get, number % 2 == 0, fields).unwrap();
        let head = get("EIO=4&transport=websocket");
        let refusal = world.server.verify_websocket(world.now, &head, &request).unwrap_err();
        assert_eq!(refusal.response(true).status, 400);
    }
    assert_eq!(world.server.stats().total.requests_refused.websocket_handshake, 10_000);
    bystander.check(&mut world);
}

/// Pings and pongs of WebSocket itself | `packet_burst`, `packets_per_second` | closed (1008), parked | `connections_closed.rate_limited`
#[test]
fn a_flood_of_control_frames() {
    let mut world = World::with_recovery();
    let mut bystander = Bystander::new(&mut world);
    let (client, session) = world.connect();
    let burst = Limits::default().packet_burst;
    for _ in 0..burst {
        world.input(ServerInput::ControlFrame { wire: client.wire });
    }
    assert_eq!(world.take(client.wire), [Received::Closed(Some(1008))]);
    assert_eq!(world.server.stats().total.connections_closed.rate_limited, 1);
    assert_eq!(world.claim(&session, None).1, session, "it has lost nothing");
    bystander.check(&mut world);
}

#[test]
fn control_frames_of_a_probe_count_for_its_session() {
    let mut limits = Limits::default();
    limits.packet_burst = 100;
    let mut world = World::new(recovery_config().limits(limits));
    let mut bystander = Bystander::new(&mut world);
    let wire = world.wire();
    world.input(ServerInput::Request { wire, head: get("EIO=4&transport=polling"), body: None });
    let received = world.take(wire);
    let [Received::Response(response)] = &received[..] else { panic!("{received:?}") };
    let open: serde_json::Value = serde_json::from_slice(&response.body[1..]).unwrap();
    let query = format!("EIO=4&transport=websocket&sid={}", open["sid"].as_str().unwrap());
    let wire = world.wire();
    world.input(ServerInput::WebSocketOpened { wire, head: get(&query) });
    for _ in 0..100 {
        world.input(ServerInput::ControlFrame { wire });
    }
    assert!(world.take(wire).iter().any(|received| matches!(received, Received::Closed(_))));
    assert_eq!(world.server.stats().total.connections_closed.rate_limited, 1);
    bystander.check(&mut world);
}
