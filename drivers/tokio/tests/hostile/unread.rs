//! Clients that do not read what they have asked for.

use std::time::Duration;

use tokio::net::TcpListener;

use crate::{
    raw::{PING, PONG, Raw, TEXT, UNKNOWN, WEBSOCKET, frame, get, handshake, post},
    site::{Attacked, HUGE, site, site_behind_axum},
};

/// More than a client may have queued.
const BURST: &[u8] = b"42[\"burst\",40]";

#[tokio::test]
async fn a_websocket_that_is_not_read() {
    for mut site in [site().await, site_behind_axum().await] {
        let mut client = Raw::connect_narrow(site.port()).await;
        client.join().await;
        // It is judged while it does not read, which shows in the first burst.
        for _ in 0..3 {
            client.try_send(frame(TEXT, BURST)).await;
            site.serves().await;
        }
        // It is closed though it is still there.
        site.holds_nothing().await;
        assert_eq!(site.stats().await.total.connections_closed.overflow, 1);
        client.reset();
        site.assert_unharmed().await;
    }
}

/// No attack: a client on a slow network asks for a pong while it gets one large event.
#[tokio::test]
async fn a_ping_while_a_large_event_is_on_its_way() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for mut site in [Attacked::default().start_on(listener, port).await, site_behind_axum().await] {
        let mut client = site.join().await;
        client.send(frame(TEXT, b"42[\"huge\"]")).await;
        site.serves().await;
        client.send(frame(PING, b"still there?")).await;
        site.serves().await;
        assert!(client.packet().await.len() > HUGE);
        assert_eq!(client.frame().await, (PONG, b"still there?".to_vec()));
        client.send(frame(TEXT, b"420[\"e\",1]")).await;
        assert!(client.packet().await.starts_with("42[\"echoed\",1,"));
        drop(client);
        site.assert_unharmed().await;
    }
}

#[tokio::test]
async fn a_response_to_a_poll_that_is_not_read() {
    let mut attacked = Attacked::default();
    attacked.limits.write = Duration::from_millis(50);
    let mut site = attacked.start().await;
    let mut other = site.connect().await;
    let path = other.open_polling().await;
    other.ask(post(&path, "40")).await;
    assert!(other.ask(get(&path)).await.body.starts_with("40{"));
    other.ask(post(&path, "42[\"burst\",10]")).await;
    let mut client = Raw::connect_narrow(site.port()).await;
    client.send(get(&path)).await;
    // It is dropped in the end, which it hears of when it sends.
    while client.try_send("x").await {
        site.serves().await;
    }
    drop(client);
    // What was lost stays lost for this connection, as on any wire that breaks.
    other.close_polling(&path).await;
    drop(other);
    site.assert_unharmed().await;
}

/// Requests whose answers are not read | driver: `PeerLimits::write` | dropped | -
#[tokio::test]
async fn thousands_of_answers_that_are_not_read() {
    let mut attacked = Attacked::default();
    attacked.limits.write = Duration::from_millis(50);
    let mut site = attacked.start().await;
    let mut client = Raw::connect_narrow(site.port()).await;
    let requests = get(UNKNOWN).repeat(1000);
    let mut sent = 0;
    while client.try_send(&requests).await {
        sent += requests.len();
        assert!(sent < 64 << 20, "all is answered");
        site.serves().await;
    }
    drop(client);
    site.assert_unharmed().await;
}

/// Handshakes whose answers are not read hold nothing once their clients are gone.
#[tokio::test]
async fn handshakes_whose_answers_are_not_read() {
    for site in [site().await, site_behind_axum().await] {
        for _ in 0..50 {
            let mut client = Raw::connect_narrow(site.port()).await;
            client.send(handshake(WEBSOCKET, "")).await;
        }
        site.assert_unharmed().await;
    }
}
