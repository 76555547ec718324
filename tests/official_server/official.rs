//! A running official server.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    npm::{have, install},
    peer::in_time,
    ports::free_port,
};

/// The Node.js process. It is killed when this is dropped.
pub(crate) struct Host {
    process: Child,
    commands: ChildStdin,
    lines: mpsc::UnboundedReceiver<String>,
    port: String,
    /// The numbers that it has stored, in order.
    pub(crate) stored: Vec<u64>,
}

impl Host {
    /// Starts a server. `None` without Node.js.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    /// As [`start`](Self::start), with TLS: the certificate and its key, in PEM.
    pub(crate) async fn start_tls(cert: &str, key: &str) -> Option<Self> {
        Self::start_with(&[("TLS_CERT", cert), ("TLS_KEY", key)]).await
    }

    async fn start_with(variables: &[(&str, &str)]) -> Option<Self> {
        if !have("node") || !have("npm") {
            return None;
        }
        install(&folder());
        Some(Self::start_at(&free_port().to_string(), variables).await)
    }

    async fn start_at(port: &str, variables: &[(&str, &str)]) -> Self {
        let mut process = Command::new("node")
            .args(["server.mjs", port])
            .envs(variables.iter().copied())
            .current_dir(folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let commands = process.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let (sender, mut lines) = mpsc::unbounded_channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                sender.send(line).ok();
            }
        });
        let line = in_time(lines.recv()).await.expect("the server says where it listens");
        let port = line.strip_prefix("listening ").expect("a port").to_owned();
        Self { process, commands, lines, port, stored: Vec::new() }
    }

    /// Kills it and starts another one in its place.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        *self = Self::start_at(&self.port.clone(), &[]).await;
    }

    pub(crate) fn port(&self) -> &str {
        &self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn tell(&mut self, command: &Value) {
        writeln!(self.commands, "{command}").expect("the server runs");
    }

    pub(crate) fn emit(&mut self, number: u64) {
        self.tell(&json!(["emit", "/", "number", number]));
    }

    /// Waits until nobody is connected any more.
    pub(crate) async fn until_empty(&mut self) {
        in_time(async { while self.is_occupied_after(Duration::from_millis(2)).await {} }).await;
    }

    /// Waits until so many sockets are connected.
    pub(crate) async fn until_sockets(&mut self, sockets: u64) {
        in_time(async {
            while self.count().await.0 != sockets {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    /// Waits until the server has noticed every loss and carried out every command. If a poll had
    /// not arrived when the network was cut, the server cannot notice the loss before the next
    /// ping. Then the test reports it.
    pub(crate) async fn until_lost(&mut self) {
        for _ in 0..20 {
            if !self.is_occupied_after(Duration::from_millis(1)).await {
                return;
            }
        }
        self.tell(&json!(["lose"]));
        self.until_empty().await;
    }

    async fn is_occupied_after(&mut self, pause: Duration) -> bool {
        let is_occupied = self.count().await != (0, 0);
        if is_occupied {
            tokio::time::sleep(pause).await;
        }
        is_occupied
    }

    /// Returns the number of sockets and of connections.
    pub(crate) async fn count(&mut self) -> (u64, u64) {
        self.tell(&json!(["count"]));
        loop {
            let line = in_time(self.lines.recv()).await.expect("the server runs");
            let said: Vec<Value> = serde_json::from_str(&line).expect("a line of JSON");
            let numbers: Vec<u64> = said.iter().filter_map(Value::as_u64).collect();
            let word = said.first().and_then(Value::as_str).unwrap_or_default();
            match (word, &*numbers) {
                ("stored", [number]) => self.stored.push(*number),
                ("count", [sockets, connections]) => return (*sockets, *connections),
                _ => panic!("the server said {line:?}"),
            }
        }
    }

    fn kill(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
    }
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/official_server")
}
