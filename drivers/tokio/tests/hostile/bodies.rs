//! Bodies of POSTs: slow, of a wrong length, chunked badly, and with two lengths.

use std::time::Duration;

use crate::{
    raw::{POLLING, Raw, UNKNOWN, WEBSOCKET, get, post, post_with},
    site::{Attacked, MAX_PAYLOAD, site, site_behind_axum},
};

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
/// A request that must not be answered: it is part of another.
const HIDDEN: &str = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: hidden\r\n\r\n";

#[tokio::test]
async fn bodies_that_never_complete() {
    let body_timeout = Duration::from_millis(50);
    let mut site = Attacked { body_timeout, ..Attacked::default() }.start().await;
    for (fields, part) in [
        ("Content-Length: 1000\r\n", ""),
        ("Content-Length: 1000\r\n", "40"),
        ("Content-Length: 1000\r\nExpect: 100-continue\r\n", ""),
        (CHUNKED, ""),
        (CHUNKED, "2\r\n40\r\n"),
        (CHUNKED, "2\r\n40\r\n0\r\nX: "),
        (CHUNKED, "ffffffffffffffff\r\n40\r\n0\r\n\r\n"),
    ] {
        let path = site.open_polling().await;
        let mut slow = site.connect().await;
        slow.send(post_with(&path, fields, part)).await;
        let answer = slow.rest().await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 100 "), "{answer}");
        assert!(site.is_over(&path).await, "{fields:?} {part:?}");
        site.serves().await;
    }
    // The time is for all of the body, not for each byte.
    let path = site.open_polling().await;
    let mut slow = site.connect().await;
    slow.send(post_with(&path, "Content-Length: 1000000\r\n", "4")).await;
    while slow.try_send("0").await {
        site.serves().await;
    }
    assert!(site.is_over(&path).await);
    site.assert_unharmed().await;
}

#[tokio::test]
async fn a_body_byte_by_byte_in_time() {
    let site = site().await;
    let mut slow = site.connect().await;
    let path = slow.open_polling().await;
    for (fields, body) in [
        ("Content-Length: 2\r\n", "40"),
        (CHUNKED, "1\r\n4\r\n00001;name=\"value\"\r\n0\r\n0\r\nTrailer: x\r\n\r\n"),
    ] {
        slow.send_slowly(post_with(&path, fields, body)).await;
        assert_eq!(slow.answer().await.body, "ok");
        assert!(slow.ask(get(&path)).await.body.starts_with("40{"));
    }
    assert!(slow.close_polling(&path).await);
    drop(slow);
    site.assert_unharmed().await;
}

#[tokio::test]
async fn a_body_that_is_shorter_than_announced() {
    let site = site().await;
    for (fields, body) in [("Content-Length: 100\r\n", "40"), (CHUNKED, "64\r\n40")] {
        let path = site.open_polling().await;
        let mut client = site.connect().await;
        client.send(post_with(&path, fields, body)).await;
        client.finish_sending().await;
        assert!(client.is_dropped().await);
        assert!(site.is_over(&path).await);
    }
    site.assert_unharmed().await;
}

/// What is too much is the next request, which is none.
#[tokio::test]
async fn a_body_that_is_longer_than_announced() {
    let site = site().await;
    let mut client = site.connect().await;
    let path = client.open_polling().await;
    client.send(post_with(&path, "Content-Length: 2\r\n", "40\0and more\r\n\r\n")).await;
    assert_eq!(client.answer().await.body, "ok");
    let rest = client.rest().await;
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 400 "), "{rest}");
    let mut client = site.connect().await;
    assert!(client.ask(get(&path)).await.body.starts_with("40{"));
    assert!(client.close_polling(&path).await);
    drop(client);
    site.assert_unharmed().await;
}

/// A body without end | `max_payload` | 413; the sockets are parked | `connections_closed.transport_error`
#[tokio::test]
async fn bodies_without_end() {
    let mut site = site().await;
    let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
    for (fields, piece) in [
        ("Content-Length: 1000000000\r\n", "x".repeat(1000)),
        (CHUNKED, chunk),
        (CHUNKED, "1\r\nx\r\n".repeat(200)),
    ] {
        let path = site.open_polling().await;
        let mut client = site.connect().await;
        client.send(post_with(&path, fields, "")).await;
        let mut sent = 0;
        while client.try_send(&piece).await {
            sent += piece.len();
            assert!(sent < 32 << 20, "all is read");
        }
        assert!(site.is_over(&path).await);
        site.serves().await;
    }
    // To the byte, in a session of its own each.
    for (length, is_allowed) in [(MAX_PAYLOAD, true), (MAX_PAYLOAD + 1, false)] {
        let path = site.open_polling().await;
        let mut client = site.connect().await;
        let packet = format!("40{{\"a\":\"{}\"}}", "x".repeat(length - 10));
        let answer = client.ask(post(&path, &packet)).await;
        assert_eq!(answer.status, if is_allowed { 200 } else { 413 }, "{answer:?}");
        assert_eq!(site.close_polling(&path).await, is_allowed);
    }
    site.assert_unharmed().await;
}

#[tokio::test]
async fn malformed_chunks() {
    let mut site = site().await;
    let long_extension = format!("2;{}\r\n40\r\n0\r\n\r\n", "x".repeat(100_000));
    let long_trailer = format!("2\r\n40\r\n0\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let many_trailers = format!("2\r\n40\r\n0\r\n{}\r\n", "X: y\r\n".repeat(1000));
    for body in [
        "x\r\n40\r\n0\r\n\r\n",
        "-2\r\n40\r\n0\r\n\r\n",
        "0x2\r\n40\r\n0\r\n\r\n",
        "\r\n40\r\n0\r\n\r\n",
        "2\n40\n0\n\n",
        "2\r\n40 0\r\n\r\n",
        "2\r\n400\r\n0\r\n\r\n",
        "10000000000000002\r\n40\r\n0\r\n\r\n",
        "2\r\n40\r\n0\r\nno trailer\r\n\r\n",
        &long_extension,
        &long_trailer,
        &many_trailers,
    ] {
        let path = site.open_polling().await;
        let mut client = site.connect().await;
        // It may be gone before it has heard all.
        client.try_send(post_with(&path, CHUNKED, body)).await;
        client.try_send(HIDDEN).await;
        let answer = client.rest().await;
        assert!(!answer.contains(" 200 "), "{body:?}: {answer}");
        assert!(site.is_over(&path).await, "{body:?}");
        site.serves().await;
    }
    site.assert_unharmed().await;
}

#[tokio::test]
async fn a_body_that_waits_for_continue() {
    for site in [site().await, site_behind_axum().await] {
        let mut client = site.connect().await;
        let path = client.open_polling().await;
        let fields = "Expect: 100-continue\r\nContent-Length: 2\r\n";
        assert_eq!(client.ask(post_with(&path, fields, "")).await.status, 100);
        assert_eq!(client.ask("40").await.body, "ok");
        assert!(client.ask(get(&path)).await.body.starts_with("40{"));
        assert!(client.close_polling(&path).await);
        drop(client);
        site.assert_unharmed().await;
    }
}

/// A request whose end a proxy could see elsewhere (request smuggling) | RFC 9112 | 400, or the last on its connection | -
#[tokio::test]
async fn two_lengths_for_one_body() {
    for mut site in [site().await, site_behind_axum().await] {
        for (fields, body) in [
            ("Content-Length: 2\r\nContent-Length: 3\r\n", "40"),
            ("Content-Length: 3\r\nContent-Length: 2\r\n", "40"),
            ("Content-Length: 2, 2\r\n", "40"),
            ("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
            ("Transfer-Encoding: chunked\r\nContent-Length: x\r\n", "0\r\n\r\n"),
            ("Transfer-Encoding: identity\r\nContent-Length: 2\r\n", "40"),
            ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
            ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
            ("Transfer-Encoding : chunked\r\nContent-Length: 2\r\n", "40"),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n"),
            ("Content-Length: -2\r\n", "40"),
            ("Content-Length: +2\r\n", "40"),
            ("Content-Length: 0x2\r\n", "40"),
            ("Content-Length: \r\n", "40"),
            ("Content-Length: 18446744073709551616\r\n", "40"),
            ("Content-Length: 18446744073709551615\r\n", "40"),
        ] {
            let mut client: Raw = site.connect().await;
            let path = client.open_polling().await;
            client.try_send(post_with(&path, fields, &format!("{body}{HIDDEN}"))).await;
            let answer = client.rest().await;
            assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{fields:?}: {answer}");
            assert!(!answer.contains("0{\"sid\""), "{fields:?}: {answer}");
            // Whatever became of the session, it does not stay.
            site.close_polling(&path).await;
        }
        site.serves().await;
        site.assert_unharmed().await;
    }
}

/// The same length twice is the same length, and an HTTP/1.0 request has no chunks.
#[tokio::test]
async fn lengths_of_old_clients() {
    let site = site().await;
    let mut client = site.connect().await;
    let path = client.open_polling().await;
    let twice = "Content-Length: 2\r\nContent-Length: 2\r\n";
    assert_eq!(client.ask(post_with(&path, twice, "40")).await.body, "ok");
    assert!(client.ask(get(&path)).await.body.starts_with("40{"));
    let old = post_with(&path, CHUNKED, "2\r\n40\r\n0\r\n\r\n").replacen("/1.1", "/1.0", 1);
    let mut other = site.connect().await;
    other.try_send(old + HIDDEN).await;
    let answer = other.rest().await;
    assert!(!answer.contains(" 200 "), "{answer}");
    assert!(client.close_polling(&path).await);
    drop((client, other));
    site.assert_unharmed().await;
}

/// It is heard out for a while. Then the answer ends its connection.
///
/// A body that does not come, of a request whose answer is known | driver: 1 s | answered, closed | `requests_refused.unknown_session`
#[tokio::test]
async fn bodies_that_nobody_wants() {
    let attacked = || {
        let mut attacked = Attacked::default();
        attacked.limits.connections = 32;
        attacked
    };
    for mut site in [attacked().start().await, attacked().start_behind_axum().await] {
        let path = site.open_polling().await;
        let mut asked = Vec::new();
        for (line, status) in [
            (format!("POST {UNKNOWN}"), 400),
            (format!("POST {POLLING}"), 400),
            (format!("GET {UNKNOWN}"), 400),
            (format!("PUT {path}"), 500),
            (format!("POST {WEBSOCKET}"), 400),
            ("PUT /elsewhere".to_owned(), 404),
        ] {
            for (length, part) in [(10, ""), (10, "x"), (1_000_000, "x")] {
                let mut client = site.connect().await;
                let fields = format!("Host: x\r\nContent-Length: {length}\r\n");
                client.send(format!("{line} HTTP/1.1\r\n{fields}\r\n{part}")).await;
                asked.push((client, line.clone(), status));
            }
        }
        site.serves().await;
        // All of them are heard out at the same time.
        for (mut client, line, status) in asked {
            let answer = client.answer().await;
            assert_eq!(answer.status, status, "{line}: {answer:?}");
            assert!(client.is_dropped().await);
        }
        site.serves().await;
        assert!(site.close_polling(&path).await);
        site.assert_unharmed().await;
    }
}

/// If such a body is on its way it is heard out, so that the client sees the answer, and can go on.
#[tokio::test]
async fn bodies_that_come_after_the_answer_is_known() {
    for site in [site().await, site_behind_axum().await] {
        let mut client = site.connect().await;
        for _ in 0..3 {
            let request = post(UNKNOWN, &"x".repeat(MAX_PAYLOAD));
            let (first, rest) = request.split_at(1000);
            client.send(first).await;
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            assert_eq!(client.ask(rest).await.status, 400);
        }
        drop(client);
        site.assert_unharmed().await;
    }
}

/// A body where there is none is not looked at, and not waited for.
#[tokio::test]
async fn bodies_of_other_requests() {
    for site in [site().await, site_behind_axum().await] {
        let mut client = site.connect().await;
        let long = "Content-Length: 1000000\r\nHost: x\r\n\r\nxxx";
        let opened = client.ask(format!("GET {POLLING} HTTP/1.1\r\n{long}")).await;
        assert!(opened.body.starts_with("0{"), "{opened:?}");
        assert!(client.is_dropped().await);
        let path = opened.session();
        let mut client = site.connect().await;
        assert_eq!(client.ask(format!("PUT {path} HTTP/1.1\r\n{long}")).await.status, 500);
        assert!(site.close_polling(&path).await);
        drop(client);
        site.assert_unharmed().await;
    }
}
