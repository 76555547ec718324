//! What is in the channel.

use socketio_proto_postgres::PostgresOptions;

use crate::support::{Client, Node, Postgres, have_postgres, in_time};

#[tokio::test]
async fn nodes_deliver_in_one_order_whoever_emits() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let (first, second) = (Node::start(&postgres).await, Node::start(&postgres).await);
    let (mut one, mut two) = (Client::connect(&first).await, Client::connect(&second).await);
    for number in 0..100 {
        first.emit_all(number * 20..number * 20 + 10).await;
        second.emit_all(number * 20 + 10..number * 20 + 20).await;
    }
    let heard = one.hear(2_000).await.to_vec();
    assert_eq!(two.hear(2_000).await, heard);
    let of = |emitter: u32| heard.iter().copied().filter(move |number| number / 10 % 2 == emitter);
    assert!(of(0).is_sorted() && of(1).is_sorted(), "each node's own in the order of its calls");
    let mut sorted = heard.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..2_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn entries_that_nobody_can_read_are_skipped() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let node = Node::start(&postgres).await;
    let mut client = Client::connect(&node).await;
    for message in ["", "x", "{", "[]", r#"{"type":3,"uid":"a","nsp":"/"}"#] {
        postgres.append(message).await;
    }
    node.emit(0).await;
    client.hear_all(0..1).await;
    assert_eq!(node.server().await.total.entries_skipped, 5);
    assert_eq!(node.engine().await.failures, 0);
}

#[tokio::test]
async fn a_new_node_knows_what_was_there_before_it() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let first = Node::start(&postgres).await;
    let mut client = Client::connect(&first).await;
    first.emit_all(0..2_000).await;
    client.hear_all(0..2_000).await;
    let second = Node::start(&postgres).await;
    let _client = Client::connect(&second).await;
    assert_eq!(second.server().await.log_packets, 2_000);
}

#[tokio::test]
async fn old_entries_are_deleted_and_a_reader_that_keeps_up_loses_nothing() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let node = Node::with(&postgres, PostgresOptions::new().max_len(50_u64)).await;
    let mut client = Client::connect(&node).await;
    node.emit_all(0..500).await;
    client.hear_all(0..500).await;
    let trimmed = async {
        while postgres.number("SELECT count(*) FROM socket_io_entries").await != 50 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    in_time(trimmed).await;
    assert_eq!(postgres.number("SELECT trimmed FROM socket_io_channel").await, 450);
    node.emit(500).await;
    client.hear_all(0..501).await;
}

#[tokio::test]
async fn entries_that_are_deleted_in_front_of_the_reader_end_the_sessions() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let node = Node::start(&postgres).await;
    let mut client = Client::connect(&node).await;
    node.emit(0).await;
    client.hear_all(0..1).await;
    postgres
        .run(
            "BEGIN; UPDATE socket_io_channel SET head = head + 10, trimmed = head + 10;
            SELECT pg_notify('socket.io#', epoch || ':' || anchor) FROM socket_io_channel; COMMIT",
        )
        .await;
    client.until(|client| client.recovered == [false, false]).await;
    node.until_failed_with("entries of the channel are gone").await;
    node.emit(1).await;
    assert_eq!(client.hear(2).await, [0, 1]);
}

#[tokio::test]
async fn a_database_with_another_history_begins_anew() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let node = Node::start(&postgres).await;
    let mut client = Client::connect(&node).await;
    node.emit(0).await;
    client.hear_all(0..1).await;
    // As after the promotion of a standby.
    let epoch = postgres.number("SELECT epoch FROM socket_io_channel").await;
    postgres.run("UPDATE socket_io_channel SET lineage = 'another'").await;
    postgres.break_connections().await;
    client.until(|client| client.recovered == [false, false]).await;
    assert_ne!(postgres.number("SELECT epoch FROM socket_io_channel").await, epoch);
    node.emit(1).await;
    assert_eq!(client.hear(2).await, [0, 1]);
}

#[tokio::test]
async fn tables_of_a_later_version_are_not_touched() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let node = Node::start(&postgres).await;
    postgres.run("UPDATE socket_io_schema SET version = 9").await;
    postgres.break_connections().await;
    node.until_failed_with("the tables have version 9").await;
    assert_eq!(postgres.number("SELECT version FROM socket_io_schema").await, 9);
}
