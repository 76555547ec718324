//! Web pages of other origins, over real sockets and with each driver.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use crate::example::Example;

/// Longer than anything takes. Only a test that fails waits for it.
const WAIT: Duration = Duration::from_secs(60);
const APP: &str = "Origin: https://app.example\r\n";
const EVIL: &str = "Origin: https://evil.example\r\n";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const CLOSE: &str = "Connection: close\r\n";

/// A server behind each of the drivers.
fn servers(variables: &[(&str, &str)]) -> [Example; 2] {
    let mut all = vec![("PORT", "0")];
    all.extend(variables);
    [
        Example::start("contract", &["--profile", "acceptance"], &all),
        Example::start("event_loop", &["--port", "0"], &all),
    ]
}

/// The head of the answer, in lower case, and the body until the server closes the connection. Of a
/// WebSocket that was opened that is the head alone.
fn answer(server: &Example, method: &str, query: &str, fields: &str) -> (String, String) {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{}", server.address)).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let request = format!("{method} /socket.io/?{query} HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let mut body = String::new();
    if !head.starts_with("http/1.1 101") {
        stream.read_to_string(&mut body).unwrap();
    }
    (head, body)
}

fn has(head: &str, field: &str) -> bool {
    head.contains(&format!("\r\n{field}\r\n"))
}

#[test]
fn answers_and_refusals_are_for_listed_origins() {
    for server in servers(&[("CORS_ORIGINS", "https://app.example,https://other.example")]) {
        for query in ["EIO=4&transport=polling", "EIO=3&transport=polling", "EIO=4"] {
            let (head, _) = answer(&server, "GET", query, &format!("{APP}{CLOSE}"));
            assert!(has(&head, "access-control-allow-origin: https://app.example"), "{head}");
            assert!(has(&head, "access-control-allow-credentials: true"), "{head}");
            assert!(has(&head, "vary: origin"), "{head}");
            for origin in [EVIL, ""] {
                let (head, body) = answer(&server, "GET", query, &format!("{origin}{CLOSE}"));
                assert!(!head.contains("access-control"), "{head}");
                assert!(has(&head, "vary: origin"), "{head}");
                assert!(!body.is_empty(), "it is answered, and its browser keeps that from it");
            }
        }
    }
}

#[test]
fn a_preflight_request_is_answered_before_the_core() {
    let asks = "Access-Control-Request-Method: POST\r\n\
        Access-Control-Request-Headers: authorization,x-client\r\n";
    for server in servers(&[("CORS_ORIGINS", "https://app.example")]) {
        let query = "EIO=4&transport=polling";
        let (head, body) = answer(&server, "OPTIONS", query, &format!("{APP}{asks}{CLOSE}"));
        assert!(head.starts_with("http/1.1 204 "), "{head}");
        assert!(has(&head, "access-control-allow-origin: https://app.example"), "{head}");
        assert!(has(&head, "access-control-allow-credentials: true"), "{head}");
        assert!(has(&head, "access-control-allow-methods: get,post"), "{head}");
        assert!(has(&head, "access-control-allow-headers: authorization,x-client"), "{head}");
        assert!(has(&head, "access-control-max-age: 86400"), "{head}");
        assert_eq!(body, "");
        let (head, _) = answer(&server, "OPTIONS", query, &format!("{EVIL}{asks}{CLOSE}"));
        assert!(!head.contains("access-control-allow-origin"), "{head}");
        // One that asks nothing is a request like any other.
        let (head, _) = answer(&server, "OPTIONS", query, &format!("{APP}{CLOSE}"));
        assert!(head.starts_with("http/1.1 400 "), "{head}");
    }
}

#[test]
fn pages_of_other_origins_are_kept_out_over_either_transport() {
    for mut server in servers(&[("ORIGINS", "https://app.example")]) {
        let polling = "EIO=4&transport=polling";
        let websocket = "EIO=4&transport=websocket";
        for origin in [APP, ""] {
            let (head, _) = answer(&server, "GET", polling, &format!("{origin}{CLOSE}"));
            assert!(head.starts_with("http/1.1 200 "), "{head}");
            let (head, _) = answer(&server, "GET", websocket, &format!("{origin}{UPGRADE}"));
            assert!(head.starts_with("http/1.1 101 "), "{head}");
        }
        for origin in [EVIL, "Origin: null\r\n"] {
            let (head, body) = answer(&server, "GET", polling, &format!("{origin}{CLOSE}"));
            assert!(head.starts_with("http/1.1 403 "), "{head}");
            assert_eq!(body, "{\"code\":4,\"message\":\"Origin not allowed\"}");
            let (head, body) = answer(&server, "GET", websocket, &format!("{origin}{UPGRADE}"));
            assert!(head.starts_with("http/1.1 403 "), "{head}");
            assert_eq!(body, "Origin not allowed");
        }
        server.assert_unharmed();
    }
}
