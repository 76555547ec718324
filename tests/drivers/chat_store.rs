//! The database of `examples/chat` fails. The client sends an accepted message again, and it is
//! stored once.

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
        fn new() -> Self {
            let folder = env::temp_dir().join(format!("chat-store-{}", std::process::id()));
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
        let folder = Folder::new();
        let arguments = ["--port", "0", "--data", folder.0.to_str().unwrap()];
        let mut chat = Example::start("chat", &arguments, &[]);
        let database = Connection::open(folder.0.join("chat.db")).unwrap();
        database.busy_timeout(Duration::from_secs(30)).unwrap();
        database.execute_batch(FAIL).unwrap();

        let config = ClientConfig::new()
            .transports(&[Transport::WebSocket])
            .retries(1_000)
            .ack_timeout(Duration::from_millis(100));
        let options = Options::new().config(config).proxy(Proxy::Direct);
        let url = format!("http://localhost:{}", chat.address);
        let mut driver = Driver::new(&url, options).unwrap();
        driver.client(|client, now| client.connect(now, "/", Auth::None)).unwrap();
        let message = socket::Event::new("chat message", &("hello", "offset")).unwrap();
        driver.client(|client, now| client.emit_with_retries(now, "/", &message)).unwrap();
        // Again in the same session on the same link, then on another one.
        for attempts in [2, 4] {
            while count(&database, "attempts") < attempts {
                tokio::time::timeout(Duration::from_millis(50), driver.next()).await.ok();
            }
            driver.cut();
        }
        assert_eq!(count(&database, "messages"), 0);
        database.execute_batch("DROP TRIGGER fail").unwrap();

        let stored = loop {
            match driver.next().await {
                ClientEvent::Acked { args, .. } => break args.get::<Stored>(0).unwrap(),
                event @ ClientEvent::AckFailed { .. } => panic!("{event:?}"),
                _ => {}
            }
        };
        assert_eq!(count(&database, "messages"), 1);
        let known: String = database
            .query_row("SELECT client_offset FROM messages WHERE id = ?", [stored.id], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(known, "offset");
        chat.assert_unharmed();
    }
}
