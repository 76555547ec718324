//! Async handlers: their order, their limit, and what outlives what.

use std::sync::Arc;

use socketio_proto::{ServerConfig, hub::EmitError};
use socketio_proto_tokio::{
    HandleError,
    router::{EventError, Namespace, Received, Router},
};
use tokio::sync::{Notify, Semaphore};

use super::{Notes, Site};
use crate::support::{Ws, connect, in_time};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handlers_start_in_order_and_overlap() {
    const COUNT: usize = 200;
    let (notes, last) = (Notes::default(), Arc::new(Notify::new()));
    let (starts, gate) = (notes.clone(), last.clone());
    let namespace = Namespace::<()>::new()
        .on_async("wait", move |_, (number,): (usize,)| {
            let (starts, gate) = (starts.clone(), gate.clone());
            async move {
                starts.add(number.to_string());
                gate.notified().await;
                (number,)
            }
        })
        .on("sync", |_, _, (): ()| ("not behind them",));
    let site = Site::main(namespace).await;
    let mut client = site.connect().await;
    for number in 0..COUNT {
        client.send(&format!("42{number}[\"wait\",{number}]")).await;
    }
    client.send("42999[\"sync\"]").await;
    assert_eq!(client.packet().await, "43999[\"not behind them\"]");
    let expected: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
    assert_eq!(notes.all(), expected);

    // The first one does not hold the others back.
    last.notify_waiters();
    let mut answers: Vec<String> = Vec::new();
    for _ in 0..COUNT {
        answers.push(client.packet().await);
    }
    answers.sort();
    let mut expected: Vec<String> =
        (0..COUNT).map(|number| format!("43{number}[{number}]")).collect();
    expected.sort();
    assert_eq!(answers, expected);
}

/// Waits for a permit, which the test gives.
fn gated(gate: &Arc<Semaphore>) -> impl Fn(Received<()>, (String,)) -> Gated + use<> {
    let gate = gate.clone();
    move |_, _| {
        let gate = gate.clone();
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            ("done",)
        })
    }
}

type Gated = std::pin::Pin<Box<dyn Future<Output = (&'static str,)> + Send>>;

#[tokio::test]
async fn the_client_that_sends_more_than_its_handlers_can_do_pays() {
    let (notes, gate) = (Notes::default(), Arc::new(Semaphore::new(0)));
    let errors = notes.clone();
    let silent = Namespace::<()>::new().on_async("work", gated(&gate));
    let namespace = Namespace::<()>::new()
        .on_async("work", gated(&gate))
        .on("well", |_, _, (): ()| ())
        .on_error(move |_, received, error| {
            assert_eq!(*error, EventError::Busy);
            errors.add(received.event.args().get::<String>(0).unwrap());
            ("busy",)
        });
    // 1 KiB and a little for each: three of them.
    let router = Router::new()
        .namespace("/", namespace)
        .namespace("/silent", silent)
        .in_flight_bytes(4 << 10);
    let site = Site::start(ServerConfig::new(), router).await;
    let mut client = site.connect().await;
    for number in 0..5 {
        client.send(&format!("42{number}[\"work\",\"{number}\"]")).await;
    }
    for number in 3..5 {
        assert_eq!(client.packet().await, format!("43{number}[\"busy\"]"));
    }
    // All namespaces of the connection count together. By default, the event is withdrawn.
    client.send("40/silent").await;
    client.packet().await;
    client.send("42/silent,9[\"work\",\"\"]").await;
    // It goes on with what is not async, and others do not notice anything.
    client.send("425[\"well\"]").await;
    assert_eq!(client.packet().await, "435[]");
    let mut bystander = site.connect().await;
    bystander.send("421[\"work\",\"b\"]").await;

    gate.add_permits(4);
    let mut answers = [client.packet().await, client.packet().await, client.packet().await];
    answers.sort();
    assert_eq!(answers, [0, 1, 2].map(|number| format!("43{number}[\"done\"]")));
    assert_eq!(bystander.packet().await, "431[\"done\"]");
    assert_eq!(notes.all(), ["3", "4"]);

    // Its places are free again. Alone, an event of any size is handled.
    gate.add_permits(1);
    let large = "x".repeat(10_000);
    client.send(&format!("426[\"work\",\"{large}\"]")).await;
    assert_eq!(client.packet().await, "436[\"done\"]");
}

#[tokio::test]
async fn a_handler_outlives_its_client_and_the_server() {
    let (notes, gate) = (Notes::default(), Arc::new(Semaphore::new(0)));
    let (results, opened) = (notes.clone(), gate.clone());
    let namespace = Namespace::<()>::new().on_async("work", move |received, (): ()| {
        let (results, opened) = (results.clone(), opened.clone());
        async move {
            results.add("begun");
            opened.acquire().await.unwrap().forget();
            let error = received.sender().emit("late", &()).await.unwrap_err();
            results.add(match error {
                HandleError::Closed => "closed",
                HandleError::Emit(EmitError::NotConnected) => "not connected",
                _ => "other",
            });
        }
    });
    let site = Site::main(namespace).await;
    let mut client = site.connect().await;
    client.send("421[\"work\"]").await;
    notes.until(1).await;
    client.close().await;
    site.until_sockets(0).await;
    gate.add_permits(1);
    assert_eq!(notes.until(2).await, ["begun", "not connected"]);

    let mut client = site.connect().await;
    client.send("421[\"work\"]").await;
    notes.until(3).await;
    let (ended, ()) = tokio::join!(in_time(site.handle.shutdown()), client.until_closed());
    ended.unwrap();
    gate.add_permits(1);
    assert_eq!(notes.until(4).await[3], "closed");
}

#[tokio::test]
async fn handlers_have_a_handle_when_nobody_else_has_one() {
    let namespace = Namespace::<()>::new().on_async("work", async |received, (): ()| {
        tokio::task::yield_now().await;
        received.broadcast().emit("worked", &(1,)).await.unwrap();
        received.sender().emit("worked", &(2,)).await.unwrap();
    });
    let Site { port, handle } = Site::main(namespace).await;
    drop(handle);
    let connect = async || Ws::connect(connect(port).await, "").await.0;
    let (mut client, mut other) = (connect().await, connect().await);
    client.send("421[\"work\"]").await;
    assert_eq!(client.packet().await, "42[\"worked\",2]");
    assert_eq!(client.packet().await, "431[]");
    assert_eq!(other.packet().await, "42[\"worked\",1]");
}
