//! How the client behaves with a server, over real sockets: the same with the official server and
//! with the server of this crate.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use socketio_proto::{
    client::{Auth, ClientAckFailure, ClientDisconnectReason, ClientEvent, ConnectError},
    engine::Transport::{self, Polling, WebSocket},
    socket::{Binary, Json},
};

use super::{
    host::Host,
    peer::{Peer, config},
    random::Random,
};

pub(crate) const TRANSPORTS: [&[Transport]; 3] = [&[Polling], &[WebSocket], &[Polling, WebSocket]];
const LONG: Duration = Duration::from_secs(30);

fn auth() -> Auth {
    Auth::Value(Json::new(&json!({ "token": "t" })).unwrap())
}

#[tokio::test]
async fn events_pass_over_every_transport() {
    let Some(server) = Host::start().await else { return };
    for transports in TRANSPORTS {
        let mut peer = Peer::new(&server.url(), config(transports));
        assert!(!peer.connect("/", auth()).await, "nothing to recover");
        let (event, _) = peer.received("/", "auth").await;
        assert_eq!(event.get::<Value>(0).unwrap(), json!({ "token": "t" }));
        if transports.len() == 2 {
            // What is on its way during the upgrade arrives too, once and in order.
            (0..50).for_each(|number| peer.emit("/", "message", &(number,)));
            let mut is_upgraded = peer.transport() == Some(WebSocket);
            for number in 0..50 {
                let back = peer
                    .until(|event| match event {
                        ClientEvent::ConnectionUpgraded => {
                            is_upgraded = true;
                            None
                        }
                        ClientEvent::Received { event, .. } => event.get::<u64>(0).ok(),
                        _ => None,
                    })
                    .await;
                assert_eq!(back, number);
            }
            if !is_upgraded {
                peer.until(|event| matches!(event, ClientEvent::ConnectionUpgraded).then_some(()))
                    .await;
            }
        }
        assert_eq!(peer.transport(), transports.last().copied());
        peer.emit("/", "message", &("é\u{1f600}", json!({ "a": [1, null] })));
        let (event, _) = peer.received("/", "message-back").await;
        assert_eq!(event.get::<String>(0).unwrap(), "é\u{1f600}");
        assert_eq!(event.get::<Value>(1).unwrap(), json!({ "a": [1, null] }));
        peer.driver.client(|client, now| client.disconnect(now, "/"));
        peer.driver.finish(|_| ()).await;
    }
}

#[tokio::test]
async fn leaving_tells_the_server() {
    let Some(mut server) = Host::start().await else { return };
    for transports in TRANSPORTS {
        let mut peer = Peer::new(&server.url(), config(transports));
        peer.connect("/", Auth::None).await;
        assert_eq!(server.count().await.0, 1);
        peer.store(server.stored.len() as u64);
        peer.until(|event| matches!(event, ClientEvent::Acked { .. }).then_some(())).await;
        peer.driver.client(|client, now| client.disconnect(now, "/"));
        peer.driver.finish(|_| ()).await;
        server.until_empty().await;
    }
    assert_eq!(server.stored, [0, 1, 2]);
}

#[tokio::test]
async fn binary_passes_both_ways() {
    let Some(server) = Host::start().await else { return };
    for transports in TRANSPORTS {
        let mut peer = Peer::new(&server.url(), config(transports));
        peer.connect("/", Auth::None).await;
        let large: Bytes = (0..=u8::MAX).cycle().take(200_000).collect();
        let small = Bytes::from_static(b"\0\x01\xff");
        peer.emit("/", "message", &("two", small.clone(), large.clone()));
        let (event, _) = peer.received("/", "message-back").await;
        let bytes = |index| event.get::<Binary>(index).unwrap().resolve(&event).cloned();
        assert_eq!((bytes(1), bytes(2)), (Some(small.clone()), Some(large)));

        let ack = peer.ask("message-with-ack", &(small.clone(),), LONG);
        let args = peer.acked(ack).await;
        assert_eq!(args.get::<Binary>(0).unwrap().resolve(&args), Some(&small));

        peer.emit("/", "ask-for-ack", &(30_000, small.clone()));
        let (question, token) = peer.received("/", "question").await;
        assert_eq!(question.get::<Binary>(0).unwrap().resolve(&question), Some(&small));
        assert!(peer.answer(token.unwrap(), &(small.clone(),)));
        let (heard, _) = peer.received("/", "heard").await;
        assert_eq!(heard.get::<Binary>(1).unwrap().resolve(&heard), Some(&small));
    }
}

#[tokio::test]
async fn acknowledgements_settle_both_ways() {
    let Some(server) = Host::start().await else { return };
    for transports in TRANSPORTS {
        let mut peer = Peer::new(&server.url(), config(transports));
        peer.connect("/", Auth::None).await;
        let answered = peer.ask("message-with-ack", &(1, "two"), LONG);
        let args = peer.acked(answered).await;
        assert_eq!(args.parse::<(u64, String)>().unwrap(), (1, "two".to_owned()));

        let silent = peer.ask("silence", &(), Duration::from_millis(100));
        let failed = peer
            .until(|event| match event {
                ClientEvent::AckFailed { ack, cause, .. } => Some((ack, cause)),
                _ => None,
            })
            .await;
        assert_eq!(failed, (silent, ClientAckFailure::Timeout));

        peer.emit("/", "ask-for-ack", &(30_000, "sure?"));
        let (question, token) = peer.received("/", "question").await;
        assert_eq!(question.get::<String>(0).unwrap(), "sure?");
        assert!(peer.answer(token.unwrap(), &("yes",)));
        let (heard, _) = peer.received("/", "heard").await;
        assert_eq!(heard.get::<String>(0).unwrap(), "answer");
        assert_eq!(heard.get::<String>(1).unwrap(), "yes");

        peer.emit("/", "ask-for-ack", &(100, "still there?"));
        let (heard, _) = peer.received("/", "heard").await;
        assert_eq!(heard.get::<String>(0).unwrap(), "timeout");
    }
}

#[tokio::test]
async fn namespaces_share_a_connection() {
    let Some(mut server) = Host::start().await else { return };
    let mut peer = Peer::new(&server.url(), config(&[Polling, WebSocket]));
    peer.connect("/", Auth::None).await;
    peer.connect("/custom", auth()).await;
    let (event, _) = peer.received("/custom", "auth").await;
    assert_eq!(event.get::<Value>(0).unwrap(), json!({ "token": "t" }));
    assert_eq!(server.count().await, (1, 1));
    let ids = peer
        .driver
        .client(|client, _| ["/", "/custom"].map(|name| client.socket_id(name).map(str::to_owned)));
    assert!(ids[0].is_some() && ids[1].is_some() && ids[0] != ids[1]);

    peer.emit("/custom", "broadcast", &("to-custom", 1));
    peer.emit("/", "broadcast", &("to-root", 2));
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let (namespace, name) = peer
            .until(|event| match event {
                ClientEvent::Received { namespace, event, .. }
                    if event.name().starts_with("to-") =>
                {
                    Some((namespace.as_str().to_owned(), event.name().to_owned()))
                }
                _ => None,
            })
            .await;
        seen.push((namespace, name));
    }
    seen.sort();
    let expected = [("/", "to-root"), ("/custom", "to-custom")];
    assert_eq!(seen, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));

    // One is left, the other one stays.
    peer.driver.client(|client, now| client.disconnect(now, "/"));
    peer.emit("/custom", "message", &(3,));
    peer.received("/custom", "message-back").await;
    assert_eq!(server.count().await, (0, 1));
}

#[tokio::test]
async fn refusals_bring_their_data() {
    let Some(server) = Host::start().await else { return };
    for transports in TRANSPORTS {
        for (namespace, expected) in [
            ("/no", ("no entry", Some(json!({ "code": 7, "auth": { "token": "t" } })))),
            ("/unknown", ("Invalid namespace", None)),
        ] {
            let mut peer = Peer::new(&server.url(), config(transports));
            peer.driver.client(|client, now| client.connect(now, namespace, auth())).unwrap();
            let error = peer
                .until(|event| match event {
                    ClientEvent::ConnectError { error, .. } => Some(error),
                    _ => None,
                })
                .await;
            let ConnectError::Refused { message, data } = error else {
                panic!("{error:?}");
            };
            let data = data.map(|data| data.parse::<Value>().unwrap());
            assert_eq!((&*message, data), expected);
            assert!(!peer.driver.client(|client, _| client.is_active(namespace)));
        }
    }
}

#[tokio::test]
async fn missed_events_arrive_after_a_recovery() {
    let Some(mut server) = Host::start().await else { return };
    for transports in TRANSPORTS {
        let mut peer = Peer::new(&server.url(), config(transports));
        peer.connect("/", Auth::None).await;
        let id = peer.driver.client(|client, _| client.socket_id("/").map(str::to_owned));
        server.emit(0);
        peer.received("/", "number").await;
        peer.driver.set_online(false);
        server.until_lost().await;
        (1..4).for_each(|number| server.emit(number));
        server.count().await;
        peer.driver.set_online(true);
        assert!(peer.connected("/").await, "recovered");
        let now = peer.driver.client(|client, _| client.socket_id("/").map(str::to_owned));
        assert_eq!(now, id);
        server.emit(4);
        while peer.numbers.len() < 5 {
            peer.received("/", "number").await;
        }
        assert_eq!(peer.numbers, [0, 1, 2, 3, 4]);
        drop(peer);
        server.until_lost().await;
    }
}

#[tokio::test]
async fn a_restart_of_the_server_is_a_new_session() {
    let Some(mut server) = Host::start().await else { return };
    for transports in TRANSPORTS {
        let mut peer = Peer::new(&server.url(), config(transports));
        peer.connect("/", auth()).await;
        server.restart().await;
        let reason = peer
            .until(|event| match event {
                ClientEvent::Disconnected { reason, rejoins: true, .. } => Some(reason),
                _ => None,
            })
            .await;
        let is_loss = matches!(
            reason,
            ClientDisconnectReason::TransportClose | ClientDisconnectReason::TransportError
        );
        assert!(is_loss, "{reason}");
        peer.emit("/", "message", &("buffered",));
        peer.store(7);
        assert!(!peer.connected("/").await, "the memory of the server is gone");
        let (event, _) = peer.received("/", "auth").await;
        assert_eq!(event.get::<Value>(0).unwrap()["token"], "t");
        let (event, _) = peer.received("/", "message-back").await;
        assert_eq!(event.get::<String>(0).unwrap(), "buffered");
        peer.until(|event| matches!(event, ClientEvent::Acked { .. }).then_some(())).await;
        server.count().await;
        assert_eq!(server.stored, [7]);
        // The new session can be recovered.
        peer.driver.cut();
        server.until_lost().await;
    }
}

#[tokio::test]
async fn a_client_that_was_disconnected_stays_away() {
    let Some(mut server) = Host::start().await else { return };
    for transports in TRANSPORTS {
        let mut peer = Peer::new(&server.url(), config(transports));
        peer.connect("/", Auth::None).await;
        peer.connect("/custom", Auth::None).await;
        server.tell(&json!(["disconnect", "/"]));
        let mut left = Vec::new();
        peer.until(|event| {
            match event {
                ClientEvent::Disconnected { namespace, reason, rejoins } => {
                    assert_eq!(reason, ClientDisconnectReason::ServerDisconnect);
                    assert!(!rejoins);
                    left.push(namespace.as_str().to_owned());
                }
                ClientEvent::Reconnecting { .. } => panic!("it was sent away"),
                ClientEvent::ConnectionClosed { .. } => return Some(()),
                _ => {}
            }
            None
        })
        .await;
        left.sort();
        assert_eq!(left, ["/", "/custom"]);
        server.until_empty().await;
        // Until the application wants it again, as a new session.
        assert!(!peer.connect("/", Auth::None).await);
        drop(peer);
        server.until_lost().await;
    }
}

#[tokio::test]
async fn cuts_lose_and_double_nothing_over_polling() {
    cut_at_random(&[Polling]).await;
}

#[tokio::test]
async fn cuts_lose_and_double_nothing_over_websocket() {
    cut_at_random(&[WebSocket]).await;
}

#[tokio::test]
async fn cuts_lose_and_double_nothing_around_upgrades() {
    cut_at_random(&[Polling, WebSocket]).await;
}

/// 100 cuts. The reference has holes of its own, which are kept out of: there is an event
/// before the first cut (H01), the server has noticed each loss before the client is back
/// (H03), and it emits nothing between the CONNECT and its answer (H20).
async fn cut_at_random(transports: &[Transport]) {
    let Some(mut server) = Host::start().await else { return };
    let mut random = Random::new();
    let mut peer = Peer::new(&server.url(), config(transports));
    peer.connect("/", Auth::None).await;
    let (mut emitted, mut stored) = (1, 0);
    server.emit(0);
    peer.received("/", "number").await;
    for _ in 0..100 {
        for _ in 0..random.below(4) {
            server.emit(emitted);
            emitted += 1;
        }
        for _ in 0..random.below(4) {
            peer.store(stored);
            stored += 1;
        }
        peer.run_for(random.below(8)).await;
        peer.driver.set_online(false);
        server.until_lost().await;
        for _ in 0..random.below(3) {
            server.emit(emitted);
            emitted += 1;
        }
        // What was told to the server is done before the client is back.
        server.count().await;
        peer.driver.set_online(true);
        if random.below(3) == 0 {
            // Once more, somewhere between the handshake and the replay.
            peer.run_for(random.below(6)).await;
            peer.driver.set_online(false);
            server.until_lost().await;
            peer.driver.set_online(true);
        }
        let is_connected = peer.driver.client(|client, _| client.is_connected("/"));
        assert!(is_connected || peer.connected("/").await, "recovered");
    }
    server.emit(emitted);
    while peer.numbers.last() != Some(&emitted) {
        peer.received("/", "number").await;
    }
    while peer.driver.client(|client, _| client.retrying("/").next().is_some()) {
        peer.until(|event| matches!(event, ClientEvent::Acked { .. }).then_some(())).await;
    }
    server.count().await;
    assert_eq!(peer.sessions, 1, "one session throughout");
    assert_eq!(peer.numbers, (0..=emitted).collect::<Vec<_>>());
    assert_eq!(server.stored, (0..stored).collect::<Vec<_>>());
}
