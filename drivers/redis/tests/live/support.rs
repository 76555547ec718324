//! Redis servers on free ports, nodes, and clients.

use std::{
    env, fs,
    net::TcpListener as StdListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use socketio_proto::{
    RecoveryConfig, ServerConfig, Timestamp,
    client::{Auth, ClientConfig, ClientEvent},
    cluster::ClusterConfig,
    engine::Transport,
    server::{Server, ServerEvent, Stats},
};
use socketio_proto_redis::{RedisEngine, RedisStreamsOptions, redis};
use socketio_proto_tokio::{
    App, Context, Handle, PeerLimits,
    cluster::{Engine, EngineStats},
    entropy, serve, start_clustered,
};
use socketio_proto_tokio_client::{Driver, Options, Proxy};
use tokio::{net::TcpListener, time::sleep};

/// Longer than anything takes: for a failure instead of a test that hangs.
const WAIT: Duration = Duration::from_secs(60);
/// How long Redis may take to answer.
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
}

impl Redis {
    /// Starts one. It writes everything to its disk at once.
    pub async fn start(options: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("socketio-proto-redis-{}-{number}", std::process::id());
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let port = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let process = spawn(port, &folder, &options);
        let redis = Self { process, folder, options, port };
        redis.until_up().await;
        redis
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
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
        let client = redis::Client::open(self.url()).unwrap();
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

/// Emits nothing by itself.
pub struct Quiet;

impl App for Quiet {
    type Data = ();

    fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
        if let ServerEvent::ConnectRequested { request, .. } = event {
            cx.at().accept(request);
        }
    }
}

/// A server that is one node of a cluster.
pub struct Node {
    pub handle: Handle<Quiet>,
    pub port: u16,
}

impl Node {
    pub async fn start(redis: &Redis) -> Self {
        Self::with(&redis.url(), RedisStreamsOptions::new()).await
    }

    pub async fn with(url: &str, options: RedisStreamsOptions) -> Self {
        Self::on(RedisEngine::open(url, options).unwrap().answer_timeout(ANSWER)).await
    }

    pub async fn on(engine: impl Engine) -> Self {
        let config = ServerConfig::new().recovery(RecoveryConfig::new());
        let mut cluster = ClusterConfig::from_entropy(&mut entropy);
        cluster.append_queue_bytes = 64 << 20;
        let mut server = Server::clustered(config, cluster, entropy).unwrap();
        server.at(Timestamp::ZERO).add_namespace("/").unwrap();
        let (service, handle) = start_clustered(server, Quiet, engine);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let site = service.at("/socket.io");
        tokio::spawn(serve(listener, site, PeerLimits::default(), std::future::pending()));
        Self { handle, port }
    }

    /// Emits an event with this number to everybody.
    pub async fn emit(&self, number: u32) {
        self.handle.all().emit("n", &(number,)).await.unwrap();
    }

    /// Emits these numbers at once.
    pub async fn emit_all(&self, numbers: std::ops::Range<u32>) {
        let emits = self.handle.with(move |_, cx| {
            for number in numbers {
                cx.at().all().emit("n", &(number,)).unwrap();
            }
        });
        emits.await.unwrap();
    }

    pub async fn engine(&self) -> EngineStats {
        self.handle.engine_stats().await.unwrap().unwrap()
    }

    pub async fn server(&self) -> Stats {
        self.handle.stats().await.unwrap()
    }

    pub async fn until_connected(&self) {
        self.until(|stats| stats.is_connected).await;
    }

    /// Waits until the figures of the engine are as wanted.
    pub async fn until(&self, is_wanted: impl Fn(&EngineStats) -> bool) -> EngineStats {
        let wanted = async {
            loop {
                let stats = self.engine().await;
                if is_wanted(&stats) {
                    return stats;
                }
                sleep(Duration::from_millis(2)).await;
            }
        };
        in_time(wanted).await
    }

    /// Waits for a failure whose text contains this.
    pub async fn until_failed_with(&self, text: &str) {
        let says = |stats: &EngineStats| {
            stats.last_failure.as_ref().is_some_and(|failure| failure.contains(text))
        };
        self.until(says).await;
    }
}

/// A client on a WebSocket.
pub struct Client {
    driver: Driver,
    /// The numbers that it has received.
    pub numbers: Vec<u32>,
    /// Whether each session that began was the one before.
    pub recovered: Vec<bool>,
    /// How many numbers it had received before each of them.
    pub begins: Vec<usize>,
}

impl Client {
    pub async fn connect(node: &Node) -> Self {
        Self::connect_to(node.port).await
    }

    pub async fn connect_to(port: u16) -> Self {
        let config = ClientConfig::new()
            .transports(&[Transport::WebSocket])
            .reconnection_delay(Duration::from_millis(50))
            .reconnection_delay_max(Duration::from_millis(200));
        let options = Options::new().config(config).proxy(Proxy::Direct);
        let url = format!("http://127.0.0.1:{port}");
        let mut driver = Driver::new(&url, options).unwrap();
        driver.client(|client, now| client.connect(now, "/", Auth::None)).unwrap();
        let mut client =
            Self { driver, numbers: Vec::new(), recovered: Vec::new(), begins: Vec::new() };
        client.until(|client| client.recovered == [false]).await;
        client
    }

    pub async fn until(&mut self, is_done: impl Fn(&Self) -> bool) {
        let done = async {
            while !is_done(self) {
                match self.driver.next().await {
                    ClientEvent::Connected { recovered, .. } => {
                        self.recovered.push(recovered);
                        self.begins.push(self.numbers.len());
                    }
                    ClientEvent::Received { event, .. } => {
                        self.numbers.push(event.get(0).unwrap());
                    }
                    _ => {}
                }
            }
        };
        in_time(done).await;
    }

    /// Checks that it has received each number once, in order, and that it has missed none in a
    /// session. Returns how often it was recovered.
    pub fn check(&self) -> usize {
        let new = self.begins.iter().zip(&self.recovered).filter(|(_, recovered)| !**recovered);
        let new: Vec<usize> = new.map(|(at, _)| *at).collect();
        for (at, pair) in (1..).zip(self.numbers.windows(2)) {
            let is_next = pair[1] == pair[0] + 1;
            assert!(is_next || pair[0] < pair[1] && new.contains(&at), "{pair:?} at {at}, {new:?}");
        }
        self.recovered.iter().filter(|recovered| **recovered).count()
    }

    /// Waits for so many numbers.
    pub async fn hear(&mut self, count: usize) -> &[u32] {
        self.until(|client| client.numbers.len() >= count).await;
        &self.numbers
    }

    /// Waits for numbers, which have to be these, in this order.
    pub async fn hear_all(&mut self, numbers: std::ops::Range<u32>) {
        let expected: Vec<u32> = numbers.collect();
        assert_eq!(self.hear(expected.len()).await, expected, "neither lost nor doubled");
        assert_eq!(self.recovered, [false], "it was not disconnected");
    }
}

/// Waits, but not forever.
pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(WAIT, future).await.expect("it happens in time")
}
