//! WebSocket handshakes that are wrong, and those that only look so.
//!
//! More of the former are in `tests/drivers/websocket_handshakes.rs`, for each driver.

use crate::{
    raw::{KEY, PING, PONG, TEXT, WEBSOCKET, frame, handshake},
    site::{site, site_behind_axum},
};

fn request(fields: &str) -> String {
    format!("GET {WEBSOCKET} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
}

#[tokio::test]
async fn wrong_handshakes() {
    let (upgrade, version) =
        ("Connection: Upgrade\r\nUpgrade: websocket\r\n", "Sec-WebSocket-Version: 13\r\n");
    let key = format!("Sec-WebSocket-Key: {KEY}\r\n");
    let with_key = |key: &str| request(&format!("{upgrade}{version}Sec-WebSocket-Key: {key}\r\n"));
    let with_version = |version: &str| request(&format!("{upgrade}{version}{key}"));
    let with_upgrade = |upgrade: &str| request(&format!("{upgrade}{version}{key}"));
    for mut site in [site().await, site_behind_axum().await] {
        let path = site.open_polling().await.replace("polling", "websocket");
        let same_session = handshake(&path, "").replace(KEY, "AAAA");
        for (status, request) in [
            // The key: twice, of 15 and 17 bytes, not base64, of another alphabet, empty.
            (400, request(&format!("{upgrade}{version}{key}{key}"))),
            (400, with_key("AAAAAAAAAAAAAAAAAAAA")),
            (400, with_key("AAAAAAAAAAAAAAAAAAAAAAA=")),
            (400, with_key("!!!!!!!!!!!!!!!!!!!!!!==")),
            (400, with_key("______________________==")),
            (400, with_key("")),
            (400, with_key("\u{fc}")),
            // The version: twice, two in one, not a number.
            (426, with_version(&version.repeat(2))),
            (426, with_version("Sec-WebSocket-Version: 13, 8\r\n")),
            (426, with_version("Sec-WebSocket-Version: 013\r\n")),
            // Other upgrades, and words that are not in the list. These are plain requests for a
            // session on a WebSocket, which is none.
            (400, with_upgrade("Connection: Upgrade\r\nUpgrade: h2c\r\n")),
            (400, with_upgrade("Connection: Upgrade\r\nUpgrade: websocket/13\r\n")),
            (400, with_upgrade("Connection: Upgrade\r\nUpgrade: web socket\r\n")),
            (400, with_upgrade("Connection: Upgrades\r\nUpgrade: websocket\r\n")),
            (400, with_upgrade("Upgrade: websocket\r\n")),
            (400, with_upgrade("Connection: Upgrade\r\n")),
            (405, handshake(WEBSOCKET, "").replacen("GET", "HEAD", 1)),
            (405, handshake(WEBSOCKET, "").replacen("GET", "CONNECT", 1)),
            (400, same_session),
        ] {
            let mut client = site.connect().await;
            client.send(&request).await;
            client.finish_sending().await;
            let answer = client.rest().await;
            let expected = format!("HTTP/1.1 {status} ");
            assert!(answer.is_empty() || answer.starts_with(&expected), "{request}{answer}");
            let answer = site.connect().await.ask(&request.replace("HEAD", "POST")).await;
            assert_eq!(answer.status, status, "{request}{answer:?}");
        }
        site.serves().await;
        let path = path.replace("websocket", "polling");
        assert!(site.close_polling(&path).await);
        site.assert_unharmed().await;
    }
}

#[tokio::test]
async fn unusual_handshakes() {
    let key = format!("sec-websocket-KEY:{KEY}\t\r\n");
    for mut site in [site().await, site_behind_axum().await] {
        for upgrade in [
            "CONNECTION: keep-alive, UPGRADE\r\nUPGRADE: WebSocket\r\n",
            "Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: h2c, websocket\r\n",
            "Connection: ,Upgrade,\r\nUpgrade: h2c\r\nUpgrade: ,websocket ,\r\n",
        ] {
            let mut client = site.connect().await;
            let fields = format!("{upgrade}Sec-WebSocket-Version: 13\r\n{key}");
            let answer = client.ask(request(&fields)).await;
            assert_eq!(answer.status, 101, "{upgrade}{answer:?}");
            let accept = "\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n";
            assert!(answer.head.contains(accept), "{answer:?}");
            assert!(client.packet().await.starts_with("0{"));
            client.send(frame(PING, b"?")).await;
            assert_eq!(client.frame().await, (PONG, b"?".to_vec()));
            site.serves().await;
        }
        site.assert_unharmed().await;
    }
}

/// Nobody may begin to speak another protocol in the middle of a request (RFC 9110, 7.8). A body
/// would be taken for frames, or frames for a body by a proxy.
///
/// A WebSocket handshake with a body | none: nothing is held | 400 | `requests_refused.websocket_handshake`
#[tokio::test]
async fn a_handshake_with_a_body() {
    for mut site in [site().await, site_behind_axum().await] {
        let message = frame(TEXT, b"40");
        for (fields, body) in [
            (format!("Content-Length: {}\r\n", message.len()), message.clone()),
            (format!("Content-Length: {}\r\n", message.len()), Vec::new()),
            ("Transfer-Encoding: chunked\r\n".to_owned(), b"0\r\n\r\n".to_vec()),
            ("Transfer-Encoding: chunked\r\n".to_owned(), message.clone()),
            ("Expect: 100-continue\r\nContent-Length: 2\r\n".to_owned(), Vec::new()),
        ] {
            let mut client = site.connect().await;
            let mut bytes = handshake(WEBSOCKET, &fields).into_bytes();
            bytes.extend(body);
            let answer = client.ask(bytes).await;
            assert_eq!(answer.status, 400, "{fields}{answer:?}");
            assert!(client.is_dropped().await);
            site.serves().await;
        }
        site.assert_unharmed().await;
    }
}
