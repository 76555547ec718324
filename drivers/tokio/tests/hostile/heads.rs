//! Heads of requests: slow, huge, malformed, and of other protocols.

use std::time::Duration;

use crate::{
    raw::{POLLING, Raw, get, post},
    site::{Attacked, Site, site, site_behind_axum},
};

/// A time that attackers reach.
const SHORT: Duration = Duration::from_millis(100);

/// Sends something that is no request that can be answered: the server may say so, and ends the
/// connection.
async fn is_refused(site: &Site, bytes: &[u8]) {
    let mut client = site.connect().await;
    client.send(bytes).await;
    client.finish_sending().await;
    let answer = client.rest().await;
    let is_refusal = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
    assert!(is_refusal, "{:?}: {answer}", String::from_utf8_lossy(bytes));
}

#[tokio::test]
async fn heads_that_never_complete() {
    let mut attacked = Attacked::default();
    attacked.limits.head = SHORT;
    let mut site = attacked.start().await;
    let request = get(POLLING);
    // Nothing, a part, all but the last byte, and empty lines before the request.
    for part in ["", "G", "GET /", &request[..request.len() - 1], "\r\n\r\n\r\n"] {
        let mut slow = site.connect().await;
        slow.try_send(part).await;
        let answer = slow.rest().await;
        assert!(!answer.contains(" 200 "), "{part:?}: {answer}");
        site.serves().await;
    }
    // The same time is between two requests.
    let (mut idle, opened) = site.ask(&get(POLLING)).await;
    assert!(idle.is_dropped().await);
    let (mut slow, closed) = site.ask(&post(&opened.session(), "1")).await;
    assert_eq!(closed.body, "ok");
    slow.try_send("GET /").await;
    assert!(!slow.rest().await.contains(" 200 "));
    site.assert_unharmed().await;
}

#[tokio::test]
async fn a_head_byte_by_byte_in_time() {
    let site = site().await;
    let mut slow = site.connect().await;
    slow.send_slowly(get(POLLING)).await;
    let opened = slow.answer().await;
    slow.send_slowly(post(&opened.session(), "1")).await;
    assert_eq!(slow.answer().await.body, "ok");
    drop(slow);
    site.assert_unharmed().await;
}

#[tokio::test]
async fn heads_beyond_all_measure() {
    let mut site = site().await;
    let many = "x: 1\r\n".repeat(1000);
    let (line, end) = ("GET /socket.io/ HTTP/1.1\r\nHost: x\r\n", "\r\n");
    let huge = "x".repeat(70_000);
    for request in [
        format!("{line}Cookie: {huge}\r\n{end}"),
        format!("{line}{huge}: x\r\n{end}"),
        format!("{line}{many}{end}"),
        format!("GET /socket.io/?{huge} HTTP/1.1\r\n{end}"),
        format!("GET /{huge} HTTP/1.1\r\n{end}"),
        format!("{huge} /socket.io/ HTTP/1.1\r\n{end}"),
    ] {
        is_refused(&site, request.as_bytes()).await;
        site.serves().await;
    }
    site.assert_unharmed().await;
}

/// What is not ended is not read to its end either.
#[tokio::test]
async fn heads_without_end() {
    let mut site = site().await;
    for begin in ["GET /", "GET / HTTP/1.1\r\nX: ", "GET / HTTP/1.1\r\n", "", "\r\n"] {
        let mut client = site.connect().await;
        client.send(begin).await;
        let lines = "x: y\r\n".repeat(2000);
        let piece = match begin {
            "GET / HTTP/1.1\r\n" => lines.as_str(),
            "\r\n" => "\r\n\r\n",
            _ => "xxxxxxxxxxxx",
        };
        let piece = piece.repeat(12_000 / piece.len());
        let mut sent = 0;
        while client.try_send(&piece).await {
            sent += piece.len();
            assert!(sent < 32 << 20, "{begin:?}: all is read");
        }
        site.serves().await;
    }
    site.assert_unharmed().await;
}

#[tokio::test]
async fn other_protocols() {
    let mut site = site().await;
    let garbage: Vec<u8> = (0..=u8::MAX).map(|byte| byte.wrapping_mul(byte) ^ 0x90).collect();
    let client_hello: &[u8] =
        &[0x16, 3, 1, 0, 0xf1, 1, 0, 0, 0xed, 3, 3, 0x91, 7, 0x55, 0x21, 9, 8, 7, 6, 5, 4, 3, 2, 1];
    for bytes in [
        // HTTP/0.9.
        b"GET /socket.io/\r\n".as_slice(),
        b"GET /socket.io/?EIO=4&transport=polling\r\n\r\n",
        // HTTP/2 with prior knowledge.
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        b"GET /socket.io/?EIO=4&transport=polling HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET /socket.io/?EIO=4&transport=polling HTTP/1.2\r\nHost: x\r\n\r\n",
        client_hello,
        b"SSH-2.0-OpenSSH_9.9\r\n",
        // A redirect of Socket.IO v2 is not expected either.
        &[0; 200],
        &[0xff; 200],
        &garbage,
        // A WebSocket frame without a WebSocket.
        &[0x81, 0x82, 0, 0, 0, 0, b'4', b'0'],
    ] {
        is_refused(&site, bytes).await;
        site.serves().await;
    }
    site.assert_unharmed().await;
}

#[tokio::test]
async fn malformed_heads() {
    let mut site = site().await;
    let line = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n";
    for request in [
        format!("{line}Host: x\0\r\n\r\n"),
        format!("{line}Ho\0st: x\r\n\r\n"),
        "GET /socket.io/?EIO=4\0&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        // A field that goes on in the next line (obs-fold), one with a space before the colon, one
        // without a name, and one without a colon.
        format!("{line}Host: x\r\n  y: z\r\n\r\n"),
        format!("{line}Host : x\r\n\r\n"),
        format!("{line}: x\r\n\r\n"),
        format!("{line}Host\r\n\r\n"),
        // A bare CR.
        format!("{line}Host: x\rX: y\r\n\r\n"),
        "GET  HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /socket.io/ ?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET\t/socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        " GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
    ] {
        is_refused(&site, request.as_bytes()).await;
        site.serves().await;
    }
    site.assert_unharmed().await;
}

/// Old and rare, but understood: the answer is that to the usual form.
#[tokio::test]
async fn unusual_heads() {
    let site = site().await;
    let (path, host) = (POLLING, "Host: x\r\n");
    for (request, stays_open) in [
        (format!("GET {path} HTTP/1.0\r\n\r\n"), false),
        (format!("GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), true),
        (format!("GET {path} HTTP/1.1\n{}\n\n", host.trim_end()), true),
        (format!("\r\n\nGET {path} HTTP/1.1\r\n{host}\r\n"), true),
        (format!("GET http://elsewhere{path} HTTP/1.1\r\n{host}\r\n"), true),
        (format!("GET {path} HTTP/1.1\r\n\r\n"), true),
        (format!("GET {path} HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"), true),
        (format!("GET {path} HTTP/1.1\r\nHost:\t \u{fc}\r\nCONNECTION: CLOSE\r\n\r\n"), false),
        (format!("GET {path}#fragment HTTP/1.1\r\n{host}\r\n"), true),
    ] {
        let mut client = site.connect().await;
        let answer = client.ask(&request).await;
        assert!(answer.status == 200 && answer.body.starts_with("0{"), "{request:?}: {answer:?}");
        if !stays_open {
            assert!(client.is_dropped().await, "{request:?}");
            client = site.connect().await;
        }
        assert!(client.close_polling(&answer.session()).await);
    }
    site.assert_unharmed().await;
}

#[tokio::test]
async fn methods_that_mean_nothing_here() {
    for mut site in [site().await, site_behind_axum().await] {
        for method in ["CONNECT", "TRACE", "PUT", "DELETE", "BREW", "get"] {
            let mut client: Raw = site.connect().await;
            let request = get(POLLING).replacen("GET", method, 1);
            let answer = client.ask(&request).await;
            assert_eq!(answer.status, 400, "{method}: {answer:?}");
            // The connection is still one of HTTP.
            let path = client.open_polling().await;
            assert!(client.close_polling(&path).await);
            site.serves().await;
        }
        site.assert_unharmed().await;
    }
}
