//! `examples/chat` restarts while clients are connected: ours, and the official one.

#[cfg(test)]
#[expect(clippy::await_holding_lock, reason = "each test is alone on its runtime")]
mod tests {
    use std::{
        env, fs,
        os::unix::fs::PermissionsExt as _,
        path::{Path, PathBuf},
        process::Command,
        time::Duration,
    };

    use rusqlite::Connection;
    use serde::Deserialize;
    use socketio_proto::{
        client::{Auth, ClientConfig, ClientEvent},
        engine::Transport,
        socket,
    };
    use socketio_proto_tokio_client::{Driver, Options, Proxy};

    use crate::{
        example::{Example, build},
        follower::Follower,
        npm::{have, install},
        ports::free_port,
        turn,
    };

    /// Far longer than it takes: for a failure instead of a test that hangs.
    const PATIENCE: Duration = Duration::from_secs(120);

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("chat-restart-{name}-{}", std::process::id());
            let folder = env::temp_dir().join(name);
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn chat(&self, port: &str) -> Example {
            self.run(&build("chat"), port)
        }

        /// How many sessions are in the file.
        fn stored_sessions(&self) -> u32 {
            let file = Connection::open(self.0.join("sessions.db")).unwrap();
            file.busy_timeout(PATIENCE).unwrap();
            file.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap()
        }

        /// Another process takes over, on the same port.
        fn restart(&self, mut chat: Example) -> Example {
            let id = chat.process.id().to_string();
            let killed = Command::new("kill").args(["-TERM", &id]).status().unwrap();
            let ended = chat.process.wait().unwrap();
            assert!(killed.success() && ended.success(), "{ended}");
            let mode = fs::metadata(self.0.join("sessions.db")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "the file has secrets");
            self.chat(&chat.address)
        }

        /// Runs a chat that is built.
        fn run(&self, program: &Path, port: &str) -> Example {
            let data = self.0.to_str().unwrap();
            Example::run("chat", program, &["--port", port, "--data", data], &[])
        }

        /// The process is killed, and so is the next one, at once. Then there is another one.
        fn crash(&self, program: &Path, mut chat: Example) -> Example {
            for _ in 0..2 {
                chat.process.kill().unwrap();
                chat.process.wait().unwrap();
                chat = self.run(program, &chat.address);
            }
            chat
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    #[derive(Deserialize)]
    struct Message {
        text: String,
        #[serde(default, rename = "caughtUp")]
        caught_up: bool,
    }

    struct Peer {
        driver: Driver,
        texts: Vec<String>,
        /// Whether each session that began was the one before.
        recovered: Vec<bool>,
    }

    impl Peer {
        fn new(chat: &Example, transport: Transport) -> Self {
            let config = ClientConfig::new()
                .transports(&[transport])
                .reconnection_delay(Duration::from_millis(50))
                .reconnection_delay_max(Duration::from_millis(200));
            let options = Options::new().config(config).proxy(Proxy::Direct);
            let url = format!("http://localhost:{}", chat.address);
            let mut driver = Driver::new(&url, options).unwrap();
            driver.client(|client, now| client.connect(now, "/", Auth::None)).unwrap();
            Self { driver, texts: Vec::new(), recovered: Vec::new() }
        }

        fn say(&mut self, text: &str) {
            let offset = format!("{text} {}", self.texts.len());
            let message = socket::Event::new("chat message", &(text, offset)).unwrap();
            self.driver.client(|client, now| client.emit(now, "/", &message)).unwrap();
        }

        async fn until(&mut self, is_done: impl Fn(&Self) -> bool) {
            while !is_done(self) {
                match self.driver.next().await {
                    ClientEvent::Connected { recovered, .. } => self.recovered.push(recovered),
                    ClientEvent::Received { event, .. } if event.name() == "chat message" => {
                        let message: Message = event.get(0).unwrap();
                        assert!(!message.caught_up, "from the log, not from the database");
                        self.texts.push(message.text);
                    }
                    _ => {}
                }
            }
        }

        async fn hear(&mut self, text: &str) {
            self.until(|peer| peer.texts.last().is_some_and(|last| last == text)).await;
        }
    }

    /// Two that have connected, the second one with this transport. Both have heard what the first one has said.
    async fn talking(chat: &Example, second: Transport, text: &str) -> [Peer; 2] {
        let mut peers = [Peer::new(chat, Transport::WebSocket), Peer::new(chat, second)];
        for peer in &mut peers {
            peer.until(|peer| peer.recovered == [false]).await;
        }
        peers[0].say(text);
        for peer in &mut peers {
            peer.hear(text).await;
        }
        peers
    }

    #[tokio::test]
    async fn our_client_recovers_from_a_restart() {
        let _turn = turn::shared();
        tokio::time::timeout(PATIENCE, talk_across_restarts()).await.unwrap();
    }

    /// A client is offline, and its session is in the file, when the process is killed.
    #[tokio::test]
    async fn a_client_that_is_away_recovers_from_a_crash() {
        let _turn = turn::shared();
        tokio::time::timeout(PATIENCE, miss_a_crash()).await.unwrap();
    }

    async fn miss_a_crash() {
        let folder = Folder::new("crash");
        let mut chat = folder.chat(&free_port().to_string());
        let [mut ann, mut bob] = talking(&chat, Transport::WebSocket, "before").await;
        bob.driver.set_online(false);
        while folder.stored_sessions() == 0 {
            tokio::time::timeout(Duration::from_millis(10), bob.driver.next()).await.ok();
        }
        ann.say("missed");
        ann.hear("missed").await;
        chat.process.kill().unwrap();
        chat.process.wait().unwrap();
        let mut chat = folder.chat(&chat.address);
        bob.driver.set_online(true);
        bob.hear("missed").await;
        assert_eq!(bob.texts, ["before", "missed"]);
        assert_eq!(bob.recovered, [false, true]);
        chat.assert_unharmed();
    }

    /// All are connected when the process is killed.
    #[tokio::test]
    async fn everyone_recovers_from_a_crash() {
        let _turn = turn::shared();
        let program = build("chat");
        let talk = talk_across_a_crash(&program, have("node") && have("npm"));
        tokio::time::timeout(PATIENCE, talk).await.unwrap();
    }

    async fn talk_across_a_crash(program: &Path, has_official: bool) {
        let folder = Folder::new("killed");
        let chat = folder.run(program, &free_port().to_string());
        let interop = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
        let mut official = has_official.then(|| {
            install(&interop);
            Follower::start(&interop, &[&format!("http://localhost:{}", chat.address)])
        });
        let mut wait_for = |line: &str| {
            if let Some(official) = &mut official {
                official.wait_for(line);
            }
        };
        wait_for("connected, recovered: false");
        let [mut ann, mut bob] = talking(&chat, Transport::Polling, "before").await;
        wait_for("message: before");

        let mut chat = folder.crash(program, chat);
        // Bob has not noticed yet.
        bob.driver.set_online(false);
        ann.say("missed");
        ann.hear("missed").await;
        wait_for("message: missed");
        bob.driver.set_online(true);
        bob.hear("missed").await;
        for peer in [ann, bob] {
            assert_eq!(peer.texts, ["before", "missed"]);
            let [is_first, others @ ..] = &peer.recovered[..] else { panic!("never connected") };
            assert!(!is_first && !others.is_empty() && others.iter().all(|it| *it));
        }
        if let Some(official) = official {
            let is_news = |line: &&String| line.starts_with("message: ");
            let news: Vec<_> = official.seen.iter().filter(is_news).collect();
            assert_eq!(news, ["message: before", "message: missed"]);
            let is_new = |line: &&String| line.ends_with("recovered: false");
            assert_eq!(official.seen.iter().filter(is_new).count(), 1);
        }
        chat.assert_unharmed();
    }

    /// What a crash leaves behind between the database and the announcement.
    #[tokio::test]
    async fn a_message_that_nobody_has_heard_of_is_announced_when_it_comes_again() {
        let _turn = turn::shared();
        tokio::time::timeout(PATIENCE, say_what_is_stored()).await.unwrap();
    }

    async fn say_what_is_stored() {
        let folder = Folder::new("stored");
        let mut chat = folder.chat(&free_port().to_string());
        let [mut ann, mut bob] = talking(&chat, Transport::WebSocket, "before").await;
        let database = Connection::open(folder.0.join("chat.db")).unwrap();
        database.busy_timeout(PATIENCE).unwrap();
        let insert = "INSERT INTO messages (client_offset, text, author, sender, at)
            VALUES ('stored 1', 'stored', 'Ann', 'an earlier session', 0)";
        assert_eq!(database.execute(insert, []).unwrap(), 1);
        ann.say("stored");
        ann.hear("stored").await;
        bob.hear("stored").await;
        ann.say("after");
        ann.hear("after").await;
        bob.hear("after").await;
        assert_eq!(bob.texts, ["before", "stored", "after"], "each once");
        chat.assert_unharmed();
    }

    async fn talk_across_restarts() {
        let folder = Folder::new("ours");
        let mut chat = folder.chat(&free_port().to_string());
        let [mut ann, mut bob] = talking(&chat, Transport::Polling, "hello").await;
        for round in 1..=3 {
            // Said while there is nobody to hear it; Bob has not noticed yet that his link is gone.
            chat = folder.restart(chat);
            let text = format!("round {round}");
            ann.say(&text);
            ann.hear(&text).await;
            bob.hear(&text).await;
        }
        let all = ["hello", "round 1", "round 2", "round 3"];
        assert_eq!(
            (ann.texts, bob.texts),
            (all.map(str::to_owned).into(), all.map(str::to_owned).into())
        );
        let outcomes = [false, true, true, true];
        assert_eq!((ann.recovered, bob.recovered), (outcomes.into(), outcomes.into()));
        chat.assert_unharmed();
    }

    #[tokio::test]
    async fn the_official_client_recovers_from_a_restart() {
        if !have("node") || !have("npm") {
            return;
        }
        let _turn = turn::shared();
        let interop = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
        install(&interop);
        let folder = Folder::new("official");
        let chat = folder.chat(&free_port().to_string());
        let mut ann = Peer::new(&chat, Transport::WebSocket);
        let url = format!("http://localhost:{}", chat.address);
        let mut official = Follower::start(&interop, &[&url]);
        let talk = async {
            ann.until(|peer| peer.recovered == [false]).await;
            official.wait_for("connected, recovered: false");
            ann.say("before");
            ann.hear("before").await;
            official.wait_for("message: before");
            let chat = folder.restart(chat);
            ann.say("after");
            ann.hear("after").await;
            official.wait_for("message: after");
            chat
        };
        let mut chat = tokio::time::timeout(PATIENCE, talk).await.unwrap();
        let expected = [
            "connected, recovered: false",
            "message: before",
            "disconnected: transport close",
            "connected, recovered: true",
            "message: after",
        ];
        assert_eq!(official.seen, expected);
        chat.assert_unharmed();
    }
}
