//! WebSocket handshakes over real sockets, with each driver. An invalid handshake always gets an
//! error status and a text, never status 101 and never no answer.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use socketio_proto::engine::close_text;

use crate::example::Example;

/// Longer than anything takes. Only a test that fails waits for it.
const WAIT: Duration = Duration::from_secs(60);
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const UPGRADE: &str = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";

/// A server behind each of the drivers.
fn servers() -> [Example; 2] {
    [
        Example::start("contract", &["--profile", "acceptance"], &[("PORT", "0")]),
        Example::start("event_loop", &["--port", "0"], &[]),
    ]
}

fn connect(server: &Example) -> TcpStream {
    let stream = TcpStream::connect(format!("127.0.0.1:{}", server.address)).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream
}

/// All that the server answers until it closes the connection.
fn answer(server: &Example, request: &str) -> String {
    let mut stream = connect(server);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The head of the answer that completes a handshake.
fn switched(server: &Example, request: &str) -> String {
    let mut stream = connect(server);
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

fn handshake(query: &str, fields: &str) -> String {
    format!("GET /socket.io/?{query} HTTP/1.1\r\n{UPGRADE}{VERSION}{KEY}{fields}\r\n")
}

/// Opens a polling session and returns the query of its requests.
fn polling(server: &Example) -> String {
    let query = "EIO=4&transport=polling";
    let open = answer(
        server,
        &format!("GET /socket.io/?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    );
    let (_, sid) = open.split_once("\"sid\":\"").expect("an open packet");
    format!("{query}&sid={}", &sid[..20])
}

fn is_alive(server: &Example, query: &str) -> bool {
    let body = "Content-Length: 2\r\nConnection: close\r\n\r\n40";
    let request = format!("POST /socket.io/?{query} HTTP/1.1\r\nHost: x\r\n{body}");
    answer(server, &request).starts_with("HTTP/1.1 200")
}

#[test]
fn a_sub_protocol_is_chosen_and_told() {
    for server in servers() {
        let query = "EIO=4&transport=websocket";
        let offer = "Sec-WebSocket-Protocol: mcu.v1, mcu.v2\r\n";
        let head = switched(&server, &handshake(query, offer));
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(head.contains("\r\nsec-websocket-protocol: mcu.v1\r\n"), "{head}");
        let head = switched(&server, &handshake(query, ""));
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(!head.contains("sec-websocket-protocol"), "{head}");
        let upgrade = polling(&server).replace("polling", "websocket");
        let head = switched(&server, &handshake(&upgrade, offer));
        assert!(head.contains("\r\nsec-websocket-protocol: mcu.v1\r\n"), "{head}");
    }
}

#[test]
fn wrong_handshakes_are_refused_in_words() {
    let path = "/socket.io/?EIO=4&transport=websocket";
    let query = "EIO=4&transport=websocket";
    let (get, v13) = (format!("GET {path} HTTP/1.1\r\n"), VERSION);
    let cases = [
        // A proxy that speaks HTTP/1.0 and passes `Upgrade` on: with 101 it would tell the browser
        // that the WebSocket is open, and no frame would follow.
        (400, "HTTP/1.1", format!("GET {path} HTTP/1.0\r\n{UPGRADE}{v13}{KEY}\r\n")),
        (405, "GET", format!("POST {path} HTTP/1.1\r\n{UPGRADE}{v13}{KEY}\r\n")),
        (405, "GET", format!("PUT {path} HTTP/1.1\r\n{UPGRADE}{v13}{KEY}\r\n")),
        (426, "13", format!("{get}{UPGRADE}Sec-WebSocket-Version: 8\r\n{KEY}\r\n")),
        (426, "13", format!("{get}{UPGRADE}{KEY}\r\n")),
        (400, "Key", format!("{get}{UPGRADE}{v13}\r\n")),
        (400, "Key", format!("{get}{UPGRADE}{v13}Sec-WebSocket-Key: c2hvcnQ=\r\n\r\n")),
        (400, "body", handshake(query, "Content-Length: 2\r\n") + "40"),
        (400, "Protocol", handshake(query, "Sec-WebSocket-Protocol: a b\r\n")),
        (
            400,
            "Bad request",
            format!("{get}Host: x\r\nUpgrade: websocket\r\nConnection: close\r\n{v13}{KEY}\r\n"),
        ),
        (400, "{\"code\":5,\"message\":\"Unsupported protocol version\"}", {
            handshake("EIO=3&transport=websocket", "")
        }),
        (400, "{\"code\":5,\"message\":\"Unsupported protocol version\"}", {
            handshake("transport=websocket", "")
        }),
        (400, "Bad request", handshake("EIO=4&transport=polling", "")),
        (400, "Transport unknown", handshake("EIO=4&transport=flash", "")),
        (400, "Session ID unknown", handshake(&format!("{query}&sid=aaaaaaaaaaaaaaaaaaaa"), "")),
    ];
    for mut server in servers() {
        for (status, words, request) in &cases {
            let answer = answer(&server, request);
            let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
            assert!(head.split(' ').nth(1) == Some(&status.to_string()), "{request}{answer}");
            assert!(body.contains(words), "{request}{answer}");
            let head = head.to_ascii_lowercase();
            assert_eq!(head.contains("\r\nsec-websocket-version: 13"), *status == 426, "{head}");
            assert_eq!(head.contains("\r\nallow: get"), *status == 405, "{head}");
        }
        server.assert_unharmed();
    }
}

#[test]
fn a_wrong_handshake_leaves_the_session_alone() {
    for server in servers() {
        let query = polling(&server);
        let path = query.replace("polling", "websocket");
        let old = format!("GET /socket.io/?{path} HTTP/1.0\r\n{UPGRADE}{VERSION}{KEY}\r\n");
        let bare = format!("GET /socket.io/?{path} HTTP/1.1\r\n{UPGRADE}{VERSION}\r\n");
        for request in [old, bare, handshake(&query, "")] {
            let answer = answer(&server, &request);
            assert!(answer.split(' ').nth(1) == Some("400"), "{request}{answer}");
        }
        assert!(is_alive(&server, &query));
    }
}

#[test]
fn a_close_frame_says_why_in_words() {
    for server in servers() {
        let mut stream = connect(&server);
        stream.write_all(handshake("EIO=4&transport=websocket", "").as_bytes()).unwrap();
        // A binary frame with a zero mask: a CONNECT of another parser.
        stream.write_all(&[0x82, 0x81, 0, 0, 0, 0, 0x83]).unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        let code = 1003_u16.to_be_bytes();
        let reason = close_text(1003);
        let len = u8::try_from(2 + reason.len()).unwrap();
        let frame = [&[0x88, len][..], &code, reason.as_bytes()].concat();
        assert!(received.ends_with(&frame), "{:?}", String::from_utf8_lossy(&received));
    }
}
