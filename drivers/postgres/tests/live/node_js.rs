//! What official nodes and emitters send, word for word.

use std::time::Duration;

use socketio_proto_postgres::PostgresOptions;
use tokio::time::sleep;

use crate::support::{Client, Node, Postgres, have_postgres};

/// A broadcast of an official node.
fn broadcast(number: u32) -> String {
    format!(
        r#"{{"type":3,"data":{{"packet":{{"type":2,"data":["n",{number}]}},"opts":{{"rooms":[],"except":[],"flags":{{}}}}}},"uid":"44c2b5e96ed1a7e4","nsp":"/"}}"#
    )
}

async fn notify(postgres: &Postgres, payload: &str) {
    postgres.run(&format!("SELECT pg_notify('socket.io#/', '{payload}')")).await;
}

#[tokio::test]
async fn events_of_official_nodes_have_one_place_in_the_order_of_all_nodes() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let nodes =
        [Node::start(&postgres).await, Node::start(&postgres).await, Node::start(&postgres).await];
    let mut clients = Vec::new();
    for node in &nodes {
        node.until_knows(3).await;
        clients.push(Client::connect(node).await);
    }
    for number in 0..60 {
        notify(&postgres, &broadcast(number)).await;
        nodes[number as usize % 3].emit(1_000 + number).await;
    }
    let heard = clients[0].hear(120).await.to_vec();
    for client in &mut clients {
        assert_eq!(client.hear(120).await, heard);
    }
    let foreign: Vec<u32> = heard.iter().copied().filter(|number| *number < 1_000).collect();
    assert_eq!(
        foreign,
        (0..60).collect::<Vec<_>>(),
        "each once, in the order of the notifications"
    );
    // Nothing comes a second time.
    sleep(Duration::from_millis(600)).await;
    assert_eq!(postgres.number("SELECT head FROM socket_io_channel").await, 120);
}

/// The database refuses one of several that are imported together. The others keep their places.
#[tokio::test]
async fn events_of_official_nodes_that_cannot_be_imported_are_counted() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let node = Node::start(&postgres).await;
    node.until_knows(1).await;
    let mut client = Client::connect(&node).await;
    postgres
        .run(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION 'refused' USING ERRCODE = '22023';
            END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON socket_io_entries FOR EACH ROW
                WHEN (position('4444'::bytea IN NEW.message) > 0) EXECUTE FUNCTION refuse();",
        )
        .await;
    let payloads =
        [1, 4444, 2].map(|number| format!("pg_notify('socket.io#/', '{}')", broadcast(number)));
    // In one transaction, so that they come together.
    postgres.run(&format!("SELECT {}", payloads.join(", "))).await;
    assert_eq!(client.hear(2).await, [1, 2]);
    let engine = node.until(|engine| engine.received_skipped >= 1).await;
    assert_eq!((engine.received_skipped, engine.failures), (1, 0));
}

/// It has no `nsp`, so it is a little longer in the channel.
#[tokio::test]
async fn events_of_official_nodes_that_are_too_long_for_the_channel_are_counted() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let long = broadcast(1).replace(r#","nsp":"/""#, "");
    let options = PostgresOptions::new().max_message_bytes(long.len());
    let node = Node::with(&postgres, options).await;
    node.until_knows(1).await;
    notify(&postgres, &long).await;
    let engine = node.until(|engine| engine.received_skipped >= 1).await;
    assert_eq!((engine.received_skipped, engine.failures), (1, 0));
}
