//! Connections that end in the wrong place: only in one direction (FIN), or at once (RST).

use crate::{
    raw::{CLOSE, PING, PONG, Raw, TEXT, WEBSOCKET, frame, get, handshake, post, post_with},
    site::{Site, site, site_behind_axum},
};

/// A client that says no more, but would still read.
#[tokio::test]
async fn a_half_closed_connection_of_polling() {
    for mut site in [site().await, site_behind_axum().await] {
        // While a poll waits.
        let mut client = site.connect().await;
        let path = client.open_polling().await;
        client.send(get(&path)).await;
        site.serves().await;
        client.finish_sending().await;
        assert!(client.is_dropped().await);
        assert!(site.is_over(&path).await);
        // Together with a request that can be answered at once, which may be answered.
        let path = site.open_polling().await;
        let mut client = site.connect().await;
        client.send(post(&path, "1")).await;
        client.finish_sending().await;
        let answer = client.rest().await;
        assert!(answer.is_empty() || answer.ends_with("\r\n\r\nok"), "{answer}");
        assert!(site.is_over(&path).await);
        // Between requests, and before the first.
        for requests in ["", "\r\n"] {
            let mut client = site.connect().await;
            client.send(requests).await;
            client.finish_sending().await;
            let answer = client.rest().await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
        }
        site.assert_unharmed().await;
    }
}

#[tokio::test]
async fn a_half_closed_connection_of_a_websocket() {
    for mut site in [site().await, site_behind_axum().await] {
        let message = frame(TEXT, b"42[\"echo\",1]");
        let parts: [&[u8]; 5] = [b"", &message[..1], &message[..6], &message[..9], &message];
        for part in parts {
            let mut client = site.join().await;
            client.send(part).await;
            client.finish_sending().await;
            assert!(client.is_dropped().await, "{part:?}");
            site.serves().await;
        }
        // Right behind the handshake, or in it.
        let request = handshake(WEBSOCKET, "");
        for (request, status) in [(request.as_str(), "101"), (&request[..100], "400")] {
            let mut client = site.connect().await;
            client.send(request).await;
            client.finish_sending().await;
            let answer = client.rest().await;
            let is_answer = answer.starts_with(&format!("HTTP/1.1 {status} "));
            assert!(answer.is_empty() || is_answer, "{answer}");
        }
        site.assert_unharmed().await;
    }
}

/// The phases of a connection in which it is reset, each with what it takes to get there.
#[tokio::test]
async fn resets_in_every_phase() {
    for mut site in [site().await, site_behind_axum().await] {
        let path = site.open_polling().await;
        let begun = post_with(&path, "Content-Length: 100\r\n", "40");
        for bytes in ["", "GET /", "GET / HTTP/1.1\r\nHost", &get(&path), &begun] {
            let mut client = site.connect().await;
            client.send(bytes).await;
            client.reset();
            site.serves().await;
        }
        // An aborted poll ends the session, as the aborted POST would.
        assert!(site.is_over(&path).await);
        reset_after(&site, async |client| client.send(handshake(WEBSOCKET, "")).await).await;
        reset_after(&site, async |client| client.open_websocket().await).await;
        reset_after(&site, async |client| client.join().await).await;
        reset_after(&site, async |client| {
            client.join().await;
            client.send(&frame(TEXT, b"42[\"echo\",1]")[..8]).await;
        })
        .await;
        reset_after(&site, async |client| {
            client.join().await;
            client.send_packet("42[\"burst\",20]").await;
            // Some of it is read, and the rest is on its way.
            assert!(client.packet().await.starts_with("42[\"large\",0,"));
        })
        .await;
        reset_after(&site, async |client| {
            client.join().await;
            client.send(frame(CLOSE, &1000_u16.to_be_bytes())).await;
        })
        .await;
        site.serves().await;
        site.assert_unharmed().await;
    }
}

async fn reset_after(site: &Site, phase: impl AsyncFnOnce(&mut Raw)) {
    let mut client = site.connect().await;
    phase(&mut client).await;
    client.reset();
}

/// The closing handshake, with and without more behind it.
#[tokio::test]
async fn messages_behind_a_close_frame() {
    for mut site in [site().await, site_behind_axum().await] {
        for code in [&[][..], &1000_u16.to_be_bytes(), &3000_u16.to_be_bytes()] {
            let mut client = site.join().await;
            client.send(frame(PING, b"?")).await;
            assert_eq!(client.frame().await, (PONG, b"?".to_vec()));
            let mut bytes = frame(CLOSE, code);
            bytes.extend(frame(TEXT, b"421[\"echo\",7]"));
            bytes.extend(frame(PING, b"?"));
            bytes.extend(frame(CLOSE, code));
            client.send(bytes).await;
            assert_eq!(client.frame().await.0, CLOSE);
            client.finish_sending().await;
            assert!(client.is_dropped().await);
            site.serves().await;
        }
        site.assert_unharmed().await;
    }
}
