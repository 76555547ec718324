//! The database of `examples/chat` fails, or is deleted. The client sends an accepted message again, and it
//! is stored once.

#[cfg(test)]
mod tests {
    use std::{env, fs, path::PathBuf, time::Duration};

    use rusqlite::Connection;
    use serde::Deserialize;
    use socketio_proto::{
        client::{Auth, ClientConfig, ClientEvent},
        engine::Transport,
        socket,
    };
    use socketio_proto_tokio_client::{Driver, Options, Proxy};

    use crate::example::Example;

    /// Every message is refused by the database, and the attempts are counted.
    const FAIL: &str = "
        CREATE TABLE attempts (client_offset TEXT);
        CREATE TRIGGER fail BEFORE INSERT ON messages BEGIN
            INSERT INTO attempts VALUES (new.client_offset);
            SELECT RAISE(FAIL, 'the disk is full, or so');
        END;
    ";

    #[derive(Deserialize)]
    struct Stored {
        id: i64,
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = env::temp_dir().join(format!("chat-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    fn count(database: &Connection, table: &str) -> u32 {
        let query = format!("SELECT count(*) FROM {table}");
        database.query_row(&query, [], |row| row.get(0)).unwrap()
    }

    #[tokio::test]
    async fn a_message_that_could_not_be_stored_comes_again() {
        // Far longer than it takes: for a failure instead of a test that hangs.
        tokio::time::timeout(Duration::from_secs(120), fail_and_store()).await.unwrap();
    }

    async fn fail_and_store() {
        let folder = Folder::new("store");
        let arguments = ["--port", "0", "--data", folder.0.to_str().unwrap()];
        let mut chat = Example::start("chat", &arguments, &[]);
        let database = Connection::open(folder.0.join("chat.db")).unwrap();
        database.busy_timeout(Duration::from_secs(30)).unwrap();
        database.execute_batch(FAIL).unwrap();

        let config = ClientConfig::new()
            .transports(&[Transport::WebSocket])
            .retries(1_000)
            .ack_timeout(Duration::from_millis(100));
        let mut driver = connect(&chat, config);
        send(&mut driver, "offset");
        // Again in the same session on the same link, then on another one.
        for attempts in [2, 4] {
            while count(&database, "attempts") < attempts {
                tokio::time::timeout(Duration::from_millis(50), driver.next()).await.ok();
            }
            driver.cut();
        }
        assert_eq!(count(&database, "messages"), 0);
        database.execute_batch("DROP TRIGGER fail").unwrap();

        let stored = acked(&mut driver).await;
        assert_eq!(messages(&database), [(stored, "offset".to_owned())]);
        chat.assert_unharmed();
    }

    /// The chat went on with the file that nobody could see any more, so its messages were lost with the process.
    #[tokio::test]
    async fn what_is_sent_after_the_database_was_deleted_is_in_the_next_one() {
        tokio::time::timeout(Duration::from_secs(120), delete_and_store()).await.unwrap();
    }

    async fn delete_and_store() {
        let folder = Folder::new("deleted");
        let arguments = ["--port", "0", "--data", folder.0.to_str().unwrap()];
        let mut chat = Example::start("chat", &arguments, &[]);
        let path = folder.0.join("chat.db");
        let config = ClientConfig::new().transports(&[Transport::WebSocket]).retries(1_000);
        let mut driver = connect(&chat, config);
        for (name, id) in [("first", 1), ("second", 2)] {
            send(&mut driver, name);
            assert_eq!(acked(&mut driver).await, id);
            assert_eq!(messages(&Connection::open(&path).unwrap()), [(id, name.to_owned())]);
            for end in ["", "-wal", "-shm"] {
                fs::remove_file(format!("{}{end}", path.display())).ok();
            }
            // File systems tell apart what was made in different ticks of the clock of the kernel.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        chat.assert_unharmed();
    }

    fn connect(chat: &Example, config: ClientConfig) -> Driver {
        let options = Options::new().config(config).proxy(Proxy::Direct);
        let mut driver =
            Driver::new(&format!("http://localhost:{}", chat.address), options).unwrap();
        driver.client(|client, now| client.connect(now, "/", Auth::None)).unwrap();
        driver
    }

    fn send(driver: &mut Driver, client_offset: &str) {
        let message = socket::Event::new("chat message", &("hello", client_offset)).unwrap();
        driver.client(|client, now| client.emit_with_retries(now, "/", &message)).unwrap();
    }

    /// The number of the message.
    async fn acked(driver: &mut Driver) -> i64 {
        loop {
            match driver.next().await {
                ClientEvent::Acked { args, .. } => return args.get::<Stored>(0).unwrap().id,
                event @ ClientEvent::AckFailed { .. } => panic!("{event:?}"),
                _ => {}
            }
        }
    }

    /// What is stored, and what its clients call it.
    fn messages(database: &Connection) -> Vec<(i64, String)> {
        let mut all = database.prepare("SELECT id, client_offset FROM messages").unwrap();
        let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }
}
