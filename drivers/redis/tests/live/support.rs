//! Redis servers on free ports, nodes, and clients.

use std::{
    env, fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use socketio_proto_redis::{RedisEngine, RedisStreamsOptions, redis};
use socketio_proto_tokio::cluster::Engine;
use tokio::time::sleep;

pub use crate::live::{Client, Node, in_time};
use crate::ports::free_port;

/// How long Redis may take to answer: longer than a machine stands still.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The same for tests that wait until a node has lost its patience.
pub const ANSWER: Duration = Duration::from_millis(500);

/// Whether there is a Redis to test with. Without one, the caller's test is skipped.
pub fn have_redis() -> bool {
    let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
    let have = found.is_ok_and(|status| status.success());
    let on_ci = env::var("CI").is_ok_and(|value| value == "true");
    assert!(have || !on_ci, "`redis-server` is needed on CI");
    if !have {
        println!("skipped: there is no `redis-server` on this machine");
    }
    have
}

/// A Redis server.
pub struct Redis {
    process: Child,
    folder: PathBuf,
    options: Vec<String>,
    pub port: u16,
    /// Who nodes are, if not the user that may do everything.
    user: Option<&'static str>,
}

impl Redis {
    /// Starts one. It writes everything to its disk at once.
    pub async fn start(options: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("socketio-proto-redis-{}-{number}", std::process::id());
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let port = free_port();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let process = spawn(port, &folder, &options);
        let redis = Self { process, folder, options, port, user: None };
        redis.until_up().await;
        redis
    }

    /// Where nodes connect to.
    pub fn url(&self) -> String {
        match self.user {
            Some(user) => format!("redis://{user}:secret@127.0.0.1:{}", self.port),
            None => self.admin_url(),
        }
    }

    fn admin_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// From now on, nodes may use these commands only.
    pub async fn permit(&mut self, commands: &[String]) {
        let all = commands.join(" +");
        let reply = self.call(&format!("ACL SETUSER node on >secret ~* &* -@all +{all}")).await;
        assert_eq!(reply, redis::Value::Okay, "{all}");
        self.user = Some("node");
    }

    /// The socket of a server that was started with `--unixsocket redis.sock`.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("redis.sock")
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub fn delete_data(&self) {
        fs::remove_dir_all(&self.folder).unwrap();
        fs::create_dir_all(&self.folder).unwrap();
    }

    pub async fn start_again(&mut self) {
        self.process = spawn(self.port, &self.folder, &self.options);
        self.until_up().await;
    }

    pub fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Carries out a command.
    pub async fn call(&self, command: &str) -> redis::Value {
        let client = redis::Client::open(self.admin_url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut words = command.split(' ');
        let mut cmd = redis::cmd(words.next().unwrap());
        for word in words {
            cmd.arg(word);
        }
        connection.send_packed_command(&cmd).await.unwrap()
    }

    async fn until_up(&self) {
        let up = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        in_time(up).await;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}

fn spawn(port: u16, folder: &PathBuf, options: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
        .arg(folder)
        .args(options)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

impl Node {
    pub async fn start(redis: &Redis) -> Self {
        Self::with(&redis.url(), RedisStreamsOptions::new()).await
    }

    pub async fn with(url: &str, options: RedisStreamsOptions) -> Self {
        Self::on(RedisEngine::open(url, options).unwrap().answer_timeout(PATIENCE)).await
    }

    pub async fn impatient(url: &str) -> Self {
        let engine = RedisEngine::open(url, RedisStreamsOptions::new()).unwrap();
        Self::on(engine.answer_timeout(ANSWER)).await
    }

    pub async fn on(engine: impl Engine) -> Self {
        Self::begin(Self::config(), engine).await
    }
}
