//! Requests and responses.

use socketio_proto::{Origins, engine::Cors};
use socketio_proto_http1::Endpoint;

use crate::world::World;

const HANDSHAKE: &str = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n\r\n";

/// The rest of a polling session: it joins the main namespace and reads the answer.
fn session(sid: &str) -> String {
    let target = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    format!("POST {target} HTTP/1.1\r\ncontent-length: 2\r\n\r\n40GET {target} HTTP/1.1\r\n\r\n")
}

fn sid(handshake: &str) -> &str {
    let (_, rest) = handshake.split_once("\"sid\":\"").expect("an open packet");
    rest.split('"').next().unwrap()
}

#[test]
fn a_polling_session_on_one_stream() {
    let mut world = World::new();
    let stream = world.open();
    let handshake = world.ask(stream, HANDSHAKE);
    assert!(handshake.starts_with("HTTP/1.1 200 OK\r\n"), "{handshake}");
    let rest = world.ask(stream, &session(sid(&handshake)));
    let responses: Vec<&str> = rest.split("HTTP/1.1 200 OK\r\n").collect();
    assert_eq!(responses.len(), 3, "{rest}");
    assert!(responses[1].ends_with("\r\n\r\nok") && responses[2].contains("40{\"sid\""), "{rest}");
    assert!(world.socket.is_some() && !world.got(stream).is_shut);
}

#[test]
fn requests_sent_ahead_and_in_pieces_have_the_same_responses() {
    let bytes = {
        let mut world = World::new();
        let stream = world.open();
        let handshake = world.ask(stream, HANDSHAKE);
        format!(
            "{HANDSHAKE}{}GET /else HTTP/1.1\r\nconnection: close\r\n\r\n",
            session(sid(&handshake))
        )
    };
    let responses = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut world = World::new();
        let stream = world.open();
        for piece in pieces {
            world.send(stream, piece);
        }
        world.respond("else");
        assert!(world.got(stream).is_shut);
        world.take(stream)
    };
    let at_once = responses(&mut [bytes.as_bytes()].into_iter());
    assert_eq!(at_once.matches("HTTP/1.1 200 OK").count(), 4, "{at_once}");
    for len in 1..bytes.len() {
        assert_eq!(responses(&mut bytes.as_bytes().chunks(len)), at_once, "{len} bytes at a time");
    }
}

#[test]
fn other_paths_are_for_the_application() {
    let mut world = World::new();
    let stream = world.open();
    let post = "POST /a?b HTTP/1.1\r\ncontent-length: 4\r\n\r\nbodyGET /next HTTP/1.1\r\n\r\n";
    assert_eq!(world.ask(stream, post), "");
    assert_eq!(world.requests.len(), 1, "the next one waits");
    let request = &world.requests[0].1;
    assert_eq!((request.uri().path(), request.uri().query()), ("/a", Some("b")));
    assert_eq!(request.body(), "body");
    world.respond("first");
    assert_eq!(world.requests[0].1.uri().path(), "/next");
    world.respond("second");
    let got = world.take(stream);
    assert_eq!(got.matches("content-length: ").count(), 2, "{got}");
    assert!(got.contains("\r\n\r\nfirst") && got.ends_with("\r\n\r\nsecond"), "{got}");

    assert_eq!(world.ask(stream, "HEAD / HTTP/1.1\r\n\r\n"), "");
    world.respond("unseen");
    assert_eq!(world.take(stream), "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n");
}

#[test]
fn the_path_of_socket_io_can_be_another_one() {
    let mut world = World::of(|server| Endpoint::new(server).path("/chat/"));
    let stream = world.open();
    for path in ["/chat", "/chat/"] {
        let got =
            world.ask(stream, &format!("GET {path}?EIO=4&transport=polling HTTP/1.1\r\n\r\n"));
        assert!(got.contains("\"sid\""), "{path}: {got}");
    }
    world.send(stream, HANDSHAKE);
    assert_eq!(world.requests.len(), 1, "for the application");
}

#[test]
fn who_goes_away_meanwhile_gets_nothing() {
    let mut world = World::new();
    let stream = world.open();
    world.send(stream, "GET /slow HTTP/1.1\r\n\r\n");
    world.end(stream);
    assert!(world.got(stream).is_closed);
    world.respond("late");
    assert_eq!(world.take(stream), "");
    assert_eq!(world.endpoint.streams(), 0);
}

#[test]
fn a_poll_that_is_aborted_parks_the_socket() {
    let mut world = World::new();
    let stream = world.open();
    let handshake = world.ask(stream, HANDSHAKE);
    world.send(stream, session(sid(&handshake)));
    let poll =
        format!("GET /socket.io/?EIO=4&transport=polling&sid={} HTTP/1.1\r\n\r\n", sid(&handshake));
    world.send(stream, poll);
    assert_eq!(world.closed_connections, 0);
    world.end(stream);
    assert_eq!(world.closed_connections, 1);
    let stats = world.endpoint.server().stats();
    assert_eq!((stats.connections, stats.parked_sessions), (0, 1), "it waits for its client");
}

#[test]
fn the_client_that_expects_it_is_told_to_continue() {
    let mut world = World::new();
    let stream = world.open();
    let head = "POST /a HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n";
    assert_eq!(world.ask(stream, head), "HTTP/1.1 100 Continue\r\n\r\n");
    world.send(stream, "x");
    assert_eq!(world.requests[0].1.body(), "x");
    world.respond("ok");
    world.take(stream);
    assert_eq!(world.ask(stream, &format!("{head}y")), "", "it is there already");
}

#[test]
fn what_is_not_http_is_refused_and_the_stream_ends() {
    for (text, status) in [
        ("nonsense\r\n\r\n", "400 Bad Request"),
        ("POST /socket.io/ HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", "411 Length Required"),
    ] {
        let mut world = World::new();
        let stream = world.open();
        let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
        let got = world.ask(stream, &format!("{text}GET / HTTP/1.1\r\n\r\n"));
        assert!(got.starts_with(&head) && got.ends_with("\r\n\r\n"), "{got}");
        assert!(world.got(stream).is_shut && world.requests.is_empty());
        world.end(stream);
        assert!(world.got(stream).is_closed);
    }
}

#[test]
fn an_unwanted_body_is_not_taken_for_a_request() {
    let mut world = World::new();
    let stream = world.open();
    let body = "GET /smuggled HTTP/1.1\r\n\r\n";
    world.send(stream, format!("PUT /a HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    world.respond("ok");
    let got = world.take(stream);
    assert!(got.contains("connection: close\r\n") && world.got(stream).is_shut, "{got}");
    assert!(world.requests.is_empty());
}

#[test]
fn pages_of_other_origins_read_what_they_may() {
    let cors = Cors::new(Origins::list(["https://app.example"])).credentials(true);
    let mut world = World::of(|server| Endpoint::new(server).cors(cors));
    let stream = world.open();
    let with = |request: &str, origin: &str| {
        request.replace("\r\n\r\n", &format!("\r\norigin: {origin}\r\n\r\n"))
    };
    let allowed = "access-control-allow-origin: https://app.example\r\n";
    let ours = world.ask(stream, &with(HANDSHAKE, "https://app.example"));
    assert!(ours.contains(allowed) && ours.contains("\"sid\""), "{ours}");
    assert!(!world.ask(stream, &with(HANDSHAKE, "https://evil.example")).contains("allow-origin"));
    world.send(stream, with("GET /a HTTP/1.1\r\n\r\n", "https://app.example"));
    world.respond("ok");
    assert!(world.take(stream).contains(allowed));
    let preflight = "OPTIONS /a HTTP/1.1\r\naccess-control-request-method: POST\r\n\r\n";
    let got = world.ask(stream, &with(preflight, "https://app.example"));
    assert!(got.starts_with("HTTP/1.1 204 No Content\r\n") && got.contains(allowed), "{got}");
    assert!(world.requests.is_empty() && !world.got(stream).is_shut);
}

#[test]
fn a_shutdown_answers_what_waits_and_ends_all_streams() {
    let mut world = World::new();
    let [idle, busy, polling] = [world.open(), world.open(), world.open()];
    world.send(idle, "GET /half");
    world.send(busy, "GET /busy HTTP/1.1\r\n\r\nGET /next HTTP/1.1\r\n\r\n");
    let handshake = world.ask(polling, HANDSHAKE);
    world.send(polling, session(sid(&handshake)));
    world.take(polling);
    world.shut_down();
    assert!(world.got(idle).is_shut && world.got(polling).is_shut && !world.got(busy).is_shut);
    assert_eq!(world.endpoint.open(world.now), None);
    world.respond("done");
    let got = world.take(busy);
    assert!(got.contains("connection: close\r\n") && got.ends_with("\r\n\r\ndone"), "{got}");
    assert!(world.got(busy).is_shut && world.requests.is_empty());
    for stream in [idle, busy, polling] {
        world.end(stream);
    }
    assert_eq!(world.endpoint.streams(), 0);
    assert_eq!(world.endpoint.server().stats().parked_sessions, 1, "a snapshot has it");
}
