//! Middlewares: who may join, and who decides when.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::json;
use socketio_proto::{RecoveryConfig, ServerConfig, hub::Rejection, recovery::RecoveryOutcome};
use socketio_proto_tokio::router::{Connecting, Namespace, Router};
use tokio::sync::Semaphore;

use super::{Notes, Site};
use crate::support::{Ws, connect, in_time};

fn recovering() -> ServerConfig {
    ServerConfig::new().recovery(RecoveryConfig::new())
}

#[derive(Deserialize)]
struct Auth {
    name: String,
}

#[tokio::test]
async fn they_run_in_order_until_one_rejects() {
    let notes = Notes::default();
    let [first, second, third, joined] = std::array::from_fn(|_| notes.clone());
    let namespace = Namespace::<String>::new()
        .middleware(move |_, connecting| {
            let auth: Auth = connecting.auth.parse().map_err(|_| Rejection::new("no name"))?;
            first.add("first");
            connecting.update_data(move |data| data.push_str(&auth.name));
            Ok(())
        })
        .middleware_async(move |connecting: Connecting<String>| {
            let second = second.clone();
            async move {
                tokio::task::yield_now().await;
                second.add("second");
                if connecting.auth.as_str().contains("eve") {
                    let data = json!({ "retry": false });
                    return Err(Rejection::new("not you").data(&data).unwrap());
                }
                connecting.update_data(|data| data.push('!'));
                Ok(())
            }
        })
        .middleware_async(async |_| Ok(()))
        .middleware(move |_, connecting| {
            third.add("third");
            assert_eq!(connecting.request.headers["host"], "localhost");
            assert_eq!(connecting.request.uri.path(), "/socket.io/");
            Ok(())
        })
        .on_connect(move |cx, connected| {
            joined.add(cx.server.data(connected.socket).cloned().unwrap());
            assert_eq!(connected.recovery, RecoveryOutcome::New);
        });
    let site = Site::main(namespace).await;
    let mut client = site.open().await;
    client.send("40{}").await;
    assert_eq!(client.packet().await, "44{\"message\":\"no name\"}");
    assert_eq!(notes.all(), Vec::<String>::new());
    client.send("40{\"name\":\"eve\"}").await;
    assert_eq!(client.packet().await, "44{\"message\":\"not you\",\"data\":{\"retry\":false}}");
    assert_eq!(notes.all(), ["first", "second"]);
    client.send("40{\"name\":\"ann\"}").await;
    assert!(client.packet().await.starts_with("40{\"sid\":"));
    assert_eq!(notes.until(6).await[2..], ["first", "second", "third", "ann!"]);
}

/// Waits for a permit, which the test gives, and notes the name of the client.
fn gated(
    gate: &Arc<Semaphore>,
    notes: &Notes,
) -> impl Fn(Connecting<String>) -> Gated + Send + use<> {
    let (gate, notes) = (gate.clone(), notes.clone());
    move |connecting| {
        let (gate, notes) = (gate.clone(), notes.clone());
        Box::pin(async move {
            let Auth { name } = connecting.auth.parse().unwrap();
            notes.add(&name);
            gate.acquire().await.unwrap().forget();
            connecting.update_data(|data| *data = name);
            Ok(())
        })
    }
}

/// Waits until only so many permits are left.
async fn until_permits(gate: &Semaphore, count: usize) {
    let taken = async {
        while gate.available_permits() > count {
            tokio::task::yield_now().await;
        }
    };
    in_time(taken).await;
}

type Gated = std::pin::Pin<Box<dyn Future<Output = Result<(), Rejection>> + Send>>;

#[tokio::test]
async fn a_client_may_leave_while_a_middleware_waits() {
    let (notes, gate, joined) = (Notes::default(), Arc::new(Semaphore::new(0)), Notes::default());
    let names = joined.clone();
    let namespace = Namespace::<String>::new()
        .middleware_async(gated(&gate, &notes))
        .on_connect(move |cx, connected| {
            names.add(cx.server.data(connected.socket).cloned().unwrap());
        })
        .on("well", |_, _, (): ()| ());
    let site = Site::main(namespace).await;
    // One closes its connection.
    let mut gone = site.open().await;
    gone.send("40{\"name\":\"gone\"}").await;
    notes.until(1).await;
    gone.close().await;
    // One leaves the namespace, and asks again on the same connection.
    let mut again = site.open().await;
    again.send("40{\"name\":\"before\"}").await;
    notes.until(2).await;
    again.send("41").await;
    again.send("40{\"name\":\"after\"}").await;
    assert_eq!(notes.until(3).await, ["gone", "before", "after"]);

    gate.add_permits(3);
    assert!(again.packet().await.starts_with("40{\"sid\":"));
    again.send("421[\"well\"]").await;
    assert_eq!(again.packet().await, "431[]");
    until_permits(&gate, 0).await;
    let sockets = site.handle.all().local_sockets().await.unwrap();
    assert_eq!(sockets.len(), 1);
    assert_eq!(site.handle.stats().await.unwrap().sockets, 1);
    assert_eq!(joined.all(), ["after"]);
}

#[tokio::test]
async fn a_client_that_recovers_loses_nothing_while_a_middleware_waits() {
    let (notes, gate, joined) = (Notes::default(), Arc::new(Semaphore::new(1)), Notes::default());
    let outcomes = joined.clone();
    let namespace = Namespace::<String>::new()
        .middleware_async(gated(&gate, &notes))
        .on_connect(move |cx, connected| {
            let data = cx.server.data(connected.socket).cloned().unwrap();
            outcomes.add(format!("{data} {}", connected.recovery.is_recovered()));
        })
        .on_async("rename", async |received, (name,): (String,)| {
            received.sender().update_data(|data| *data = name).await.unwrap();
        });
    let site = Site::start(recovering(), Router::new().namespace("/", namespace)).await;
    let (mut client, session) = site.connect_with("{\"name\":\"ann\"}").await;
    client.send("421[\"rename\",\"anna\"]").await;
    assert_eq!(client.packet().await, "431[]");
    site.handle.all().emit("news", &(1,)).await.unwrap();
    let packet = client.packet().await;
    let offset = packet.rsplit('"').nth(1).unwrap();
    client.close().await;
    site.until_sockets(0).await;
    site.handle.all().emit("news", &(2,)).await.unwrap();

    let auth = json!({ "name": "ann", "pid": session["pid"], "offset": offset });
    let mut client = site.open().await;
    client.send(&format!("40{auth}")).await;
    notes.until(2).await;
    // Nothing is replayed before the middleware has decided, and what is emitted meanwhile is kept.
    site.handle.all().emit("news", &(3,)).await.unwrap();
    gate.add_permits(1);
    let recovered: serde_json::Value =
        serde_json::from_str(client.packet().await.strip_prefix("40").unwrap()).unwrap();
    assert_eq!(recovered["sid"], session["sid"]);
    site.handle.all().emit("news", &(4,)).await.unwrap();
    for number in 2..=4 {
        assert_eq!(client.event().await, json!(["news", number]));
    }
    // The data of the session came back, and the middleware has changed it.
    assert_eq!(joined.all(), ["ann false", "ann true"]);
}

#[tokio::test]
async fn a_middleware_keeps_the_session_of_another_user() {
    let namespace = Namespace::<String>::new().middleware(|cx, connecting| {
        let Auth { name } = connecting.auth.parse().map_err(|_| Rejection::new("no name"))?;
        if let Some(socket) = connecting.recoverable
            && cx.server.data(socket) != Some(&name)
        {
            cx.at().disconnect(socket, false);
        }
        connecting.update_data(|data| *data = name);
        Ok(())
    });
    let site = Site::start(recovering(), Router::new().namespace("/", namespace)).await;
    let (client, session) = site.connect_with("{\"name\":\"ann\"}").await;
    client.close().await;
    site.until_sockets(0).await;
    let auth = json!({ "name": "eve", "pid": session["pid"] }).to_string();
    let (_client, other) = site.connect_with(&auth).await;
    assert_ne!(other["sid"], session["sid"]);
}

#[tokio::test]
async fn they_are_not_asked_if_the_server_skips_authorization() {
    let notes = Notes::default();
    let asked = notes.clone();
    let namespace = Namespace::<String>::new().middleware(move |_, connecting| {
        asked.add(connecting.recoverable.is_some().to_string());
        Ok(())
    });
    let recovery = RecoveryConfig::new().skip_authorization(true);
    let config = ServerConfig::new().recovery(recovery);
    let site = Site::start(config, Router::new().namespace("/", namespace)).await;
    let (client, session) = site.connect_with("").await;
    client.close().await;
    site.until_sockets(0).await;
    let auth = json!({ "pid": session["pid"] }).to_string();
    let (_client, recovered) = site.connect_with(&auth).await;
    assert_eq!(recovered["sid"], session["sid"]);
    assert_eq!(notes.all(), ["false"]);
}

#[tokio::test]
async fn a_client_that_waits_for_too_long_may_try_again() {
    let (notes, gate) = (Notes::default(), Arc::new(Semaphore::new(0)));
    let namespace = Namespace::<String>::new().middleware_async(gated(&gate, &notes));
    let config = ServerConfig::new().connect_timeout(Duration::from_millis(100));
    let site = Site::start(config, Router::new().namespace("/", namespace)).await;
    let mut client = site.open().await;
    client.send("40{\"name\":\"ann\"}").await;
    client.until_closed().await;
    gate.add_permits(1_000);
    // If the machine stands still for a moment, the next one is late as well, and tries again.
    let mut joined = None;
    while joined.is_none() {
        joined = Ws::connect_if_open(connect(site.port).await, "{\"name\":\"ann\"}").await;
    }
    assert_eq!(site.handle.stats().await.unwrap().sockets, 1);
}

#[tokio::test]
async fn a_client_that_asks_for_more_than_they_can_do_is_rejected() {
    let (notes, gate) = (Notes::default(), Arc::new(Semaphore::new(0)));
    let namespace = Namespace::<String>::new().middleware_async(gated(&gate, &notes));
    let router = Router::new().namespace("/", namespace).in_flight_bytes(4 << 10);
    let site = Site::start(ServerConfig::new(), router).await;
    let mut client = site.open().await;
    for number in 0..3 {
        client.send(&format!("40{{\"name\":\"{number}\"}}")).await;
        notes.until(number + 1).await;
        client.send("41").await;
    }
    client.send("40{\"name\":\"3\"}").await;
    assert_eq!(client.packet().await, "44{\"message\":\"too many requests\"}");
    let mut bystander = site.open().await;
    bystander.send("40{\"name\":\"b\"}").await;
    gate.add_permits(5);
    assert!(bystander.packet().await.starts_with("40{\"sid\":"));
    until_permits(&gate, 1).await;
    // Their places are free a moment after they have decided.
    let answer = in_time(async {
        loop {
            client.send("40{\"name\":\"4\"}").await;
            let answer = client.packet().await;
            if !answer.starts_with("44") {
                return answer;
            }
        }
    });
    assert!(answer.await.starts_with("40{\"sid\":"));
    assert_eq!(notes.all(), ["0", "1", "2", "b", "4"]);
}

#[tokio::test]
async fn one_that_panics_rejects_its_client() {
    let sync = Namespace::<()>::new().middleware(|_, _| panic!("on purpose"));
    let later = Namespace::<()>::new().middleware_async(async |_| {
        tokio::task::yield_now().await;
        panic!("on purpose")
    });
    let change = Namespace::<()>::new().middleware(|_, connecting| {
        connecting.update_data(|()| panic!("on purpose"));
        Ok(())
    });
    let router =
        Router::new().namespace("/", sync).namespace("/later", later).namespace("/change", change);
    let site = Site::start(ServerConfig::new(), router).await;
    let mut client = site.open().await;
    client.send("40").await;
    assert_eq!(client.packet().await, "44{\"message\":\"internal error\"}");
    client.send("40/later").await;
    assert_eq!(client.packet().await, "44/later,{\"message\":\"internal error\"}");
    client.send("40/change").await;
    assert!(client.packet().await.starts_with("40/change,{\"sid\":"));
}
