//! Requests that do not wait for the answer to the one before.

use tokio::task::yield_now;

use crate::{
    raw::{POLLING, TEXT, UNKNOWN, WEBSOCKET, frame, get, handshake, post},
    site::{site, site_behind_axum},
};

#[tokio::test]
async fn many_requests_at_once() {
    for mut site in [site().await, site_behind_axum().await] {
        let mut client = site.connect().await;
        let path = client.open_polling().await;
        let unknown = get(UNKNOWN).repeat(200);
        let requests = [post(&path, "40"), get(&path), unknown, post(&path, "1")];
        client.send(requests.concat()).await;
        assert_eq!(client.answer().await.body, "ok");
        assert!(client.answer().await.body.starts_with("40{"));
        for _ in 0..200 {
            assert_eq!(client.answer().await.status, 400);
        }
        assert_eq!(client.answer().await.body, "ok");
        site.serves().await;
        drop(client);
        site.assert_unharmed().await;
    }
}

/// One after the other: they do not overlap.
#[tokio::test]
async fn requests_behind_a_poll_that_waits() {
    for site in [site().await, site_behind_axum().await] {
        let (mut client, mut other) = (site.connect().await, site.connect().await);
        let path = client.open_polling().await;
        client.send([get(&path), get(&path), post(&path, "1")].concat()).await;
        assert_eq!(other.ask(post(&path, "40")).await.body, "ok");
        assert!(client.answer().await.body.starts_with("40{"));
        assert_eq!(other.ask(post(&path, "421[\"echo\",7]")).await.body, "ok");
        assert!(client.answer().await.body.starts_with("42[\"echoed\",7,"));
        assert_eq!(client.answer().await.body, "ok");
        drop((client, other));
        site.assert_unharmed().await;
    }
}

/// Requests without end behind a poll that waits | driver: one read buffer | not read before the poll is answered | -
#[tokio::test]
async fn a_flood_behind_a_poll_that_waits() {
    let mut site = site().await;
    let (mut client, mut other) = (site.connect().await, site.connect().await);
    let path = client.open_polling().await;
    client.send(get(&path)).await;
    let flood = get(UNKNOWN).repeat(1000);
    let (mut sent, mut stalls) = (0, 0);
    while stalls < 10 {
        match client.send_at_once(&flood) {
            0 => {
                stalls += 1;
                site.serves().await;
            }
            count => (sent, stalls) = (sent + count, 0),
        }
        assert!(sent < 64 << 20, "all is read");
        yield_now().await;
    }
    // The end of the session answers the poll, and the client is gone.
    client.reset();
    assert!(other.close_polling(&path).await);
    drop(other);
    site.assert_unharmed().await;
}

/// What comes behind a handshake are frames. They need not wait for the answer.
#[tokio::test]
async fn frames_right_behind_a_handshake() {
    for site in [site().await, site_behind_axum().await] {
        let mut client = site.connect().await;
        let mut bytes = handshake(WEBSOCKET, "").into_bytes();
        bytes.extend(frame(TEXT, b"40"));
        client.send(bytes).await;
        assert_eq!(client.answer().await.status, 101);
        assert!(client.packet().await.starts_with("0{"));
        assert!(client.packet().await.starts_with("40{"));
        client.send_packet("421[\"echo\",7]").await;
        client.assert_echoed().await;
        drop(client);
        site.assert_unharmed().await;
    }
}

#[tokio::test]
async fn requests_right_behind_a_handshake() {
    for mut site in [site().await, site_behind_axum().await] {
        for request in [get(POLLING), post(POLLING, "40"), handshake(WEBSOCKET, "")] {
            let mut client = site.connect().await;
            client.send(handshake(WEBSOCKET, "") + &request).await;
            assert_eq!(client.answer().await.status, 101);
            assert!(client.packet().await.starts_with("0{"));
            assert_eq!(client.close_code().await, 1002);
            site.serves().await;
        }
        site.assert_unharmed().await;
    }
}

/// A handshake that is refused leaves HTTP behind, so what follows is a request.
#[tokio::test]
async fn requests_right_behind_a_handshake_that_is_refused() {
    for site in [site().await, site_behind_axum().await] {
        let mut client = site.connect().await;
        let refused = handshake(&format!("{WEBSOCKET}&sid=x"), "");
        client.send(refused + &get(POLLING)).await;
        assert_eq!(client.answer().await.status, 400);
        if let Some(opened) = client.answer_if_any().await {
            assert!(site.close_polling(&opened.session()).await);
        }
        drop(client);
        site.assert_unharmed().await;
    }
}

/// HTTP/2 is not spoken, so an offer of it is not taken.
#[tokio::test]
async fn an_upgrade_to_http2() {
    for site in [site().await, site_behind_axum().await] {
        let mut client = site.connect().await;
        let offer = get(POLLING).replace(
            "Host: x\r\n",
            "Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
             HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        );
        let opened = client.ask(offer).await;
        assert_eq!(opened.status, 200, "{opened:?}");
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let rest = client.rest().await;
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 4"), "{rest}");
        assert!(site.close_polling(&opened.session()).await);
        drop(client);
        site.assert_unharmed().await;
    }
}
