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
    let options = PostgresOptions::new().max_message_bytes(1_usize << 20);
    let node = Node::with(&postgres, options).await;
    let mut client = Client::connect(&node).await;
    let deep = format!(r#"{{"type":3,"uid":"a","nsp":"/","data":{}"#, "[".repeat(100_000));
    let unreadable = [
        "",
        "x",
        "{",
        "[]",
        r#"{"type":3,"uid":"a","nsp":"/"}"#,
        // Wrong types.
        r#"{"type":"3","uid":"a","nsp":"/","data":{}}"#,
        r#"{"type":3,"uid":1,"nsp":"/","data":{}}"#,
        r#"{"type":3,"uid":"a","nsp":null,"data":{}}"#,
        r#"{"type":3,"uid":"a","nsp":"/","data":{"packet":7,"opts":[]}}"#,
        &deep,
    ];
    for message in unreadable {
        postgres.append(message).await;
    }
    let no_text = [&b"\xff\xfe"[..], b"{\"type\":3,\"uid\":\"\xc3\x28\"}", b"\0"];
    for message in no_text {
        postgres.append_bytes(message).await;
    }
    // Only the size of this one is wrong.
    let large = "x".repeat(1 << 20);
    let event = format!(
        r#"{{"packet":{{"type":2,"data":["n",9,"{large}"]}},"opts":{{"rooms":[],"except":[]}}}}"#
    );
    postgres.append(&format!(r#"{{"type":3,"uid":"a","nsp":"/","data":{event}}}"#)).await;
    // A kind that a later version may know says nothing here, and is no fault.
    postgres.append(r#"{"type":999,"uid":"a","nsp":"/","data":{}}"#).await;
    node.emit(0).await;
    client.hear_all(0..1).await;
    let skipped = unreadable.len() + no_text.len() + 1;
    assert_eq!(node.server().await.total.entries_skipped, skipped as u64);
    assert_eq!(node.engine().await.failures, 0);
}

/// What is sent without being stored. The attachment of a notification is a row of its own.
#[tokio::test]
async fn notifications_that_nobody_can_read_are_skipped() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let node = Node::start(&postgres).await;
    node.until_knows(1).await;
    let mut client = Client::connect(&node).await;
    let deep = format!(r#"{{"type":3,"uid":"a","data":{}"#, "[".repeat(7_900));
    let notifications = [
        "x",
        "{",
        "[]",
        "{}",
        r#"{"type":3,"uid":"a"}"#,
        r#"{"type":"3","uid":"a","data":{}}"#,
        r#"{"type":3,"uid":1,"data":{}}"#,
        r#"{"type":3,"uid":"a","data":{"packet":7,"opts":[]}}"#,
        &deep,
        // The number of an attachment that is none, and of one that is not there.
        r#"{"type":3,"uid":"a","attachmentId":"x"}"#,
        r#"{"type":3,"uid":"a","attachmentId":"-1"}"#,
        r#"{"type":3,"uid":"a","attachmentId":"99999999999999999999"}"#,
        r#"{"type":3,"uid":"a","attachmentId":"9223372036854775807"}"#,
        r#"{"type":3,"uid":"a","attachmentId":"18446744073709551615"}"#,
    ];
    for payload in notifications {
        postgres.run(&format!("SELECT pg_notify('socket.io#/', '{payload}')")).await;
    }
    let attached = ["''", "NULL", "'\\xff00'", "'{'", "convert_to(repeat('[', 17 << 20), 'UTF8')"];
    for payload in attached {
        let notify = format!(
            r#"WITH a AS (INSERT INTO socket_io_attachments (payload) VALUES ({payload}::bytea) RETURNING id)
            SELECT pg_notify('socket.io#/', '{{"type":3,"uid":"a","attachmentId":"' || id || '"}}') FROM a"#
        );
        postgres.run(&notify).await;
    }
    for payload in ["x", "1:", "1:99999999999999999999"] {
        postgres.run(&format!("SELECT pg_notify('socket.io#', '{payload}')")).await;
    }
    node.emit(0).await;
    client.hear_all(0..1).await;
    let skipped = (notifications.len() + attached.len() + 3) as u64;
    let engine = node.until(|engine| engine.received_skipped >= skipped).await;
    assert_eq!((engine.received_skipped, engine.failures), (skipped, 0));
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

/// A message that is not stored, and that is too long for a notification, has a row of its own. PostgreSQL
/// refuses one of three that are sent together.
#[tokio::test]
async fn notifications_that_postgresql_refuses_are_counted_and_the_others_arrive() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let (first, second) = (Node::start(&postgres).await, Node::start(&postgres).await);
    first.until_knows(2).await;
    second.until_knows(2).await;
    let mut client = Client::connect(&second).await;
    postgres
        .run(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION 'refused' USING ERRCODE = '54000';
            END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON socket_io_attachments FOR EACH ROW
                EXECUTE FUNCTION refuse();",
        )
        .await;
    emit_volatile(&first, vec![(1, 10), (2, 20_000), (3, 10)]).await;
    assert_eq!(client.hear(2).await, [1, 3]);
    let engine = first.until(|engine| engine.published_refused >= 1).await;
    assert_eq!((engine.published_refused, engine.failures), (1, 0));
    assert_eq!(second.engine().await.published_refused, 0);
}

#[tokio::test]
async fn notifications_that_are_too_large_are_counted() {
    if !have_postgres() {
        return;
    }
    let postgres = Postgres::start().await;
    let options = PostgresOptions::new().max_message_bytes(10_000_usize);
    let node = Node::with(&postgres, options).await;
    emit_volatile(&node, vec![(1, 20_000)]).await;
    let engine = node.until(|engine| engine.published_refused >= 1).await;
    assert_eq!((engine.published_refused, engine.failures), (1, 0));
}

/// Emits these numbers at once, each with a text of this length.
async fn emit_volatile(node: &Node, events: Vec<(u32, usize)>) {
    let emits = node.handle.with(move |_, cx| {
        for (number, len) in events {
            cx.at().all().volatile().emit("n", &(number, "x".repeat(len))).unwrap();
        }
    });
    emits.await.unwrap();
}
