//! The event loop example, tested from outside: HTTP and WebSocket over TCP, byte by byte.

use std::{io::Write as _, thread, time::Duration};

use serde_json::{Value, json};
use tungstenite::Message;

use crate::event_loop_support::{Example, event, get, post};

/// Splits a polling body.
fn packets(body: &str) -> Vec<&str> {
    body.split('\x1e').collect()
}

#[test]
fn polling_over_one_connection() {
    let Some(example) = Example::start() else { return };
    let mut http = example.connect();
    let session = http.handshake();
    assert_eq!(http.post(&session, r#"40{"token":"abc"}"#).body, "ok");

    let answer = http.get(&session);
    assert!(answer.head.contains("content-type: text/plain; charset=UTF-8\r\n"), "{answer:?}");
    assert!(answer.head.contains("cache-control: no-store\r\n"), "{answer:?}");
    let body = packets(&answer.body);
    assert!(body[0].starts_with(r#"40{"sid":""#), "{body:?}");
    assert_eq!(event(body[1])[..2], [json!("auth"), json!({"token": "abc"})]);

    let message = "42[\"message\",1,{\"a\":[]}]\x1e427[\"message-with-ack\",\"x\"]";
    assert_eq!(http.post(&session, message).status, 200);
    let answer = http.get(&session);
    let body = packets(&answer.body);
    assert_eq!(event(body[0])[..3], [json!("message-back"), json!(1), json!({"a": []})]);
    assert_eq!(body[1], r#"437["x"]"#);
}

#[test]
fn a_get_waits_and_is_answered_through_another_connection() {
    let Some(example) = Example::start() else { return };
    let (mut waiting, mut other) = (example.connect(), example.connect());
    let session = other.handshake();
    waiting.write(get(&session).as_bytes());
    assert_eq!(other.post(&session, "40/quiet,").body, "ok");
    assert!(waiting.read().body.starts_with(r#"40/quiet,{"sid":"#));
    waiting.write(get(&session).as_bytes());
    assert_eq!(other.post(&session, "1").body, "ok");
    assert_eq!(waiting.read().body, "6");
    assert_eq!(other.get(&session).status, 400);
}

#[test]
fn bytes_may_come_one_by_one_or_all_at_once() {
    let Some(example) = Example::start() else { return };
    let mut http = example.connect();
    for byte in get("").as_bytes() {
        http.write(&[*byte]);
    }
    let opened = http.read();
    let open: Value = serde_json::from_str(&opened.body[1..]).unwrap();
    let session = format!("&sid={}", open["sid"].as_str().unwrap());
    for byte in post(&session, "40").as_bytes() {
        http.write(&[*byte]);
    }
    assert_eq!(http.read().body, "ok");

    let requests = [
        get(&session),
        post(&session, "421[\"message-with-ack\",\"ü\"]"),
        get(&session),
        get("&sid=unknown"),
    ];
    http.write(requests.concat().as_bytes());
    assert!(http.read().body.starts_with("40{"));
    assert_eq!(http.read().body, "ok");
    assert_eq!(http.read().body, "431[\"ü\"]");
    assert_eq!(http.read().body, r#"{"code":1,"message":"Session ID unknown"}"#);

    let mut stream = example.stream();
    let mut ws = example.websocket("");
    assert!(ws.receive().starts_with('0'));
    drop(ws);
    let handshake = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: test\r\n\
                     Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    // A frame with a zero mask right behind the handshake: "40".
    let frame = [0x81, 0x82, 0, 0, 0, 0, b'4', b'0'];
    for byte in handshake.bytes().chain(frame) {
        stream.write_all(&[byte]).unwrap();
    }
    let mut received = Vec::new();
    while !received.windows(9).any(|bytes| bytes == b"42[\"auth\"") {
        let mut byte = [0];
        std::io::Read::read_exact(&mut stream, &mut byte).unwrap();
        received.extend(byte);
    }
    let received = String::from_utf8_lossy(&received);
    assert!(received.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{received}");
    assert!(received.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
}

#[test]
fn websocket_with_text_and_binary() {
    let Some(example) = Example::start() else { return };
    let (mut ws, _) = example.client("");
    assert_eq!(ws.event()[..2], [json!("auth"), json!({})]);
    ws.send(r#"451-["message",{"_placeholder":true,"num":0}]"#);
    ws.send_binary(b"\x00\xff");
    assert!(ws.receive().starts_with(r#"451-["message-back",{"_placeholder":true,"num":0}"#));
    assert_eq!(ws.next(), Ok(Message::binary(&b"\x00\xff"[..])));
    ws.send("1");
    assert_eq!(ws.next(), Err(None), "closed without a status code");
}

#[test]
fn an_upgrade_answers_the_waiting_get() {
    let Some(example) = Example::start() else { return };
    let mut http = example.connect();
    let session = http.handshake();
    assert_eq!(http.post(&session, "40/quiet,").body, "ok");
    assert!(http.get(&session).body.starts_with("40/quiet,"));
    http.write(get(&session).as_bytes());
    let mut ws = example.websocket(&session);
    ws.send("2probe");
    assert_eq!(ws.receive(), "3probe");
    assert_eq!(http.read().body, "6");
    ws.send("5");
    ws.send(r#"42/quiet,1["message-with-ack"]"#);
    assert_eq!(ws.receive(), "43/quiet,1[]");
    assert_eq!(http.get(&session).body, r#"{"code":3,"message":"Bad request"}"#);

    let mut second = example.websocket(&session);
    assert_eq!(second.next(), Err(None), "a second upgrade is closed at once");
    ws.send(r#"42/quiet,2["message-with-ack"]"#);
    assert_eq!(ws.receive(), "43/quiet,2[]");
}

#[test]
fn a_client_that_was_cut_off_gets_what_it_missed() {
    let Some(example) = Example::start() else { return };
    let (mut lost, session) = example.client("");
    let (mut other, _) = example.client("");
    let offset = lost.event().pop().unwrap();
    other.event();
    lost.send(r#"421["join","room"]"#);
    assert_eq!(lost.receive(), "431[]");
    lost.cut();
    for number in 0..3 {
        other.send(&format!(r#"42["broadcast","room","news",{number}]"#));
    }
    other.send(r#"429["message-with-ack"]"#);
    assert_eq!(other.receive(), "439[]");

    let auth = json!({ "pid": session["pid"], "offset": offset });
    let (mut back, recovered) = example.client(&auth.to_string());
    assert_eq!(recovered, session, "the same ids");
    for number in 0..3 {
        assert_eq!(back.event()[..2], [json!("news"), json!(number)]);
    }
    assert_eq!(back.event()[0], "auth", "live again");
    back.send(r#"422["get-state"]"#);
    let state = back.receive();
    let state: Value = serde_json::from_str(state.strip_prefix("432").unwrap()).unwrap();
    assert_eq!(state[0]["recovered"], true);
    assert!(state[0]["rooms"].as_array().unwrap().contains(&json!("room")));
}

#[test]
fn a_client_that_does_not_read_loses_its_link_and_nothing_else() {
    const EVENTS: u64 = 300;
    let Some(example) = Example::start() else { return };
    let (mut slow, session) = example.client("");
    let (mut other, _) = example.client("");
    let mut offset = slow.event().pop().unwrap();
    other.event();
    slow.send(r#"421["join","room"]"#);
    assert_eq!(slow.receive(), "431[]");
    let text = "x".repeat(100_000);
    for number in 0..EVENTS {
        other.send(&format!(r#"42["broadcast","room","news",{number},"{text}"]"#));
    }
    other.send(r#"429["message-with-ack"]"#);
    assert_eq!(other.receive(), "439[]", "nobody else is held up");

    // What the network has taken arrives, and then the end.
    let mut next = 0;
    while let Ok(message) = slow.next() {
        let mut news = event(message.to_text().unwrap());
        assert_eq!(news[1], next);
        offset = news.pop().unwrap();
        next += 1;
    }
    assert!(next > 0 && next < EVENTS, "{next} events before the end");
    let auth = json!({ "pid": session["pid"], "offset": offset });
    let (mut back, recovered) = example.client(&auth.to_string());
    assert_eq!(recovered, session);
    for number in next..EVENTS {
        assert_eq!(back.event()[1], number);
    }
}

#[test]
fn malformed_requests_are_refused_and_disturb_nobody() {
    let Some(example) = Example::start() else { return };
    let (mut witness, _) = example.client("");
    witness.event();
    let path = "/socket.io/?EIO=4&transport=polling";
    let upgrade = "Host: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let long = "x".repeat(17 * 1024);
    let many = "a: b\r\n".repeat(100);
    let vectors = [
        (400, "\x16\x03\x01 hello".to_owned()),
        (400, format!("GET {path}\r\n\r\n")),
        (400, format!("GET {path} HTTP/1.1\r\nno colon\r\n\r\n")),
        (400, format!("POST {path} HTTP/1.1\r\nContent-Length: +1\r\n\r\n1")),
        (400, format!("POST {path} HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n")),
        (400, format!("POST {path} HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n11")),
        (411, format!("POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
        (431, format!("GET {path} HTTP/1.1\r\nCookie: {long}\r\n\r\n")),
        (431, format!("GET {path} HTTP/1.1\r\n{many}\r\n")),
        (404, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (
            400,
            format!("GET {path}&sid= HTTP/1.0\r\n{upgrade}Sec-WebSocket-Version: 13\r\n{key}\r\n"),
        ),
        (400, format!("GET {path} HTTP/1.1\r\n{upgrade}Sec-WebSocket-Version: 13\r\n\r\n")),
        (426, format!("GET {path} HTTP/1.1\r\n{upgrade}Sec-WebSocket-Version: 8\r\n{key}\r\n")),
        (
            400,
            "GET /socket.io/?EIO=4&transport=carrier-pigeon HTTP/1.1\r\nConnection: close\r\n\r\n"
                .to_owned(),
        ),
        (
            400,
            format!(
                "GET /socket.io/?EIO=4&transport=websocket&sid=x HTTP/1.1\r\n{upgrade}Sec-WebSocket-Version: 13\r\n{key}\r\n"
            ),
        ),
    ];
    for (status, request) in vectors {
        let mut http = example.connect();
        http.write(request.as_bytes());
        let answer = http.read();
        assert_eq!(answer.status, status, "{request:?}: {answer:?}");
        assert!(answer.head.contains("connection: close\r\n"), "{request:?}: {answer:?}");
        assert!(http.is_closed(), "{request:?}");
    }
    witness.send(r#"421["message-with-ack"]"#);
    assert_eq!(witness.receive(), "431[]");
}

#[test]
fn payloads_over_the_limit_are_refused() {
    let Some(example) = Example::start() else { return };
    let mut http = example.connect();
    let session = http.handshake();
    let text = format!("4{}", "x".repeat(1_000_000));
    http.write(post(&session, &text).as_bytes());
    assert_eq!(http.read().status, 413);
    assert!(example.connect().get(&session).body.contains("Session ID unknown"));

    for excess in [0, 1_000_000] {
        let (mut ws, _) = example.client("");
        ws.event();
        ws.send(&format!("{text}{}", "x".repeat(excess)));
        assert_eq!(ws.next(), Err(Some(1009)));
    }
    let (mut ws, _) = example.client("");
    ws.event();
    ws.send_unmasked();
    assert_eq!(ws.next(), Err(Some(1002)));
}

#[test]
fn a_head_request_has_no_body_and_a_body_is_waited_for_with_continue() {
    let Some(example) = Example::start() else { return };
    let mut http = example.connect();
    http.write(b"HEAD /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n\r\n");
    http.write(get("&sid=unknown").as_bytes());
    let head = http.read_head();
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert_eq!(http.read().body, r#"{"code":1,"message":"Session ID unknown"}"#);

    let session = http.handshake();
    let request = post(&session, "40").replace("\r\nHost", "\r\nExpect: 100-continue\r\nHost");
    let (head, body) = request.split_at(request.len() - 2);
    http.write(head.as_bytes());
    assert_eq!(http.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
    http.write(body.as_bytes());
    assert_eq!(http.read().body, "ok");
}

#[test]
fn an_aborted_request_ends_the_session() {
    let Some(example) = Example::start() else { return };
    let incomplete = |session: &str| post(session, "4body").replace("body", "");
    for request in [get, incomplete] {
        let (mut http, mut aborted) = (example.connect(), example.connect());
        let session = http.handshake();
        // A method that has no effect tells whether the session is there.
        let ask = get(&session).replace("GET", "PUT");
        http.write(ask.as_bytes());
        assert_eq!(http.read().status, 500);
        aborted.write(request(&session).as_bytes());
        drop(aborted);
        let mut status = 500;
        while status == 500 {
            thread::sleep(Duration::from_millis(1));
            http.write(ask.as_bytes());
            status = http.read().status;
        }
        assert_eq!(http.get(&session).body, r#"{"code":1,"message":"Session ID unknown"}"#);
    }
}
