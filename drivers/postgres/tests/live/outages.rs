//! Connections and servers that are lost.

use socketio_proto_postgres::{PostgresEngine, PostgresOptions, tokio_postgres};
use tokio::time::Instant;

use crate::support::{Client, Node, PATIENCE, Postgres, have_postgres};

#[tokio::test]
async fn a_node_reads_on_after_each_break() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let (first, second) = (Node::start(&postgres).await, Node::start(&postgres).await);
    let mut client = Client::connect(&second).await;
    for round in 0..5_u32 {
        first.emit_all(round * 100..round * 100 + 50).await;
        postgres.break_connections().await;
        first.emit_all(round * 100 + 50..round * 100 + 100).await;
        client.hear_all(0..round * 100 + 100).await;
    }
}

#[tokio::test]
async fn a_crash_of_the_server_loses_nothing_that_was_emitted() {
    if !have_postgres() {
        return;
    }
    let mut postgres = Postgres::start().await;
    let node = Node::start(&postgres).await;
    let mut client = Client::connect(&node).await;
    for round in 0..3_u32 {
        node.emit_all(round * 100..round * 100 + 50).await;
        postgres.kill();
        node.until(|stats| !stats.is_connected).await;
        node.emit_all(round * 100 + 50..round * 100 + 100).await;
        postgres.start_again().await;
        client.hear_all(0..round * 100 + 100).await;
    }
}

#[tokio::test]
async fn a_server_that_is_away_for_a_while_costs_no_event() {
    if !have_postgres() {
        return;
    }
    let mut postgres = Postgres::start().await;
    let (first, second) = (Node::start(&postgres).await, Node::start(&postgres).await);
    let (mut near, mut far) = (Client::connect(&first).await, Client::connect(&second).await);
    first.emit_all(0..50).await;
    postgres.kill();
    let sent = near.meanwhile(far.meanwhile(first.emit_while_away(50))).await;
    postgres.start_again().await;
    let back = Instant::now();
    near.hear_all(0..sent).await;
    far.hear_all(0..sent).await;
    println!("{sent} events, the last {:?} after PostgreSQL was back", back.elapsed());
}

/// What was sent before the connection was lost must not take effect behind what was sent after it.
#[tokio::test]
async fn what_a_stalled_connection_has_sent_takes_no_effect_later() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let node = Node::impatient(&postgres).await;
    let mut client = Client::connect(&node).await;
    node.emit(0).await;
    client.hear_all(0..1).await;
    // Somebody holds the row of the channel, so that appends wait in the server.
    let (holder, connection) =
        tokio_postgres::connect(&postgres.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    holder.batch_execute("BEGIN; SELECT 1 FROM socket_io_channel FOR UPDATE").await.unwrap();
    node.emit_all(1..20).await;
    node.until_failed_with("no answer in time").await;
    holder.batch_execute("COMMIT").await.unwrap();
    client.hear_all(0..20).await;
    node.emit(20).await;
    client.hear_all(0..21).await;
    assert_eq!(postgres.number("SELECT head FROM socket_io_channel").await, 21);
}

#[tokio::test]
async fn an_entry_that_is_never_answered_is_given_up_and_holds_up_nothing() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let node = Node::impatient(&postgres).await;
    let mut client = Client::connect(&node).await;
    postgres
        .run(
            "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF position('\"n\",13]'::bytea IN NEW.message) > 0 THEN PERFORM pg_sleep(600); END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER hang BEFORE INSERT ON socket_io_entries
                FOR EACH ROW EXECUTE FUNCTION hang()",
        )
        .await;
    node.emit_all(0..20).await;
    client.until(|client| client.numbers.last() == Some(&19)).await;
    node.emit_all(20..40).await;
    client.until(|client| client.numbers.last() == Some(&39)).await;
    let expected: Vec<u32> = (0..40).filter(|number| *number != 13).collect();
    assert_eq!((client.numbers, client.recovered), (expected, vec![false]));
    assert_eq!(node.server().await.total.appends_lost, 1);
}

/// That PostgreSQL answers no append is no fault of the first of them.
#[tokio::test]
async fn a_lock_that_somebody_holds_for_long_costs_nothing() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let node = Node::impatient(&postgres).await;
    let mut client = Client::connect(&node).await;
    let (holder, connection) =
        tokio_postgres::connect(&postgres.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    holder.batch_execute("BEGIN; SELECT 1 FROM socket_io_channel FOR UPDATE").await.unwrap();
    node.emit_all(0..20).await;
    node.until(|stats| stats.failures >= 6).await;
    holder.batch_execute("COMMIT").await.unwrap();
    client.hear_all(0..20).await;
    assert_eq!(node.server().await.total.appends_lost, 0);
}

#[tokio::test]
async fn a_listener_that_hears_nothing_is_noticed() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let node = Node::impatient(&postgres).await;
    let mut client = Client::connect(&node).await;
    // All server processes stop, as on a frozen machine. The connections stay.
    postgres.pause_connections(true);
    node.emit(0).await;
    node.until(|stats| !stats.is_connected).await;
    postgres.pause_connections(false);
    client.hear_all(0..1).await;
}

#[tokio::test]
async fn an_ordinary_user_with_a_database_of_its_own_suffices() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    postgres.run("CREATE ROLE chat LOGIN").await;
    postgres.run("CREATE DATABASE chat OWNER chat").await;
    let url = format!("postgres://chat@127.0.0.1:{}/chat", postgres.port);
    let engine = || {
        let engine = PostgresEngine::open(&url, PostgresOptions::new()).unwrap();
        engine.answer_timeout(PATIENCE)
    };
    let (first, second) = (Node::on(engine()).await, Node::on(engine()).await);
    let mut client = Client::connect(&second).await;
    first.emit_all(0..10).await;
    postgres.break_connections().await;
    first.emit_all(10..20).await;
    client.hear_all(0..20).await;
}

#[tokio::test]
async fn a_database_with_another_encoding_is_refused() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    postgres.run("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0").await;
    let url = format!("postgres://test@127.0.0.1:{}/latin", postgres.port);
    let engine = PostgresEngine::open(&url, PostgresOptions::new()).unwrap();
    let node = Node::begin(Node::config(), engine).await;
    node.until_failed_with("the encoding of the database is LATIN1").await;
}
