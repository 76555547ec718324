//! What official nodes and emitters send, word for word.

use std::time::Duration;

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
