//! PostgreSQL servers on free ports, nodes, and clients.

use std::{
    env, fs,
    net::TcpListener as StdListener,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
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
use socketio_proto_postgres::{PostgresEngine, PostgresOptions, tokio_postgres};
use socketio_proto_tokio::{
    App, Context, Handle, PeerLimits, cluster::EngineStats, entropy, serve, start_clustered,
};
use socketio_proto_tokio_client::{Driver, Options, Proxy};
use tokio::{net::TcpListener, time::sleep};

/// Longer than anything takes: for a failure instead of a test that hangs.
const WAIT: Duration = Duration::from_secs(60);
/// How long PostgreSQL may take to answer.
pub const ANSWER: Duration = Duration::from_secs(2);

/// The folder of the programs of PostgreSQL.
fn programs() -> Option<PathBuf> {
    let has_server = |folder: &PathBuf| folder.join("initdb").exists();
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = installed.map(|version| version.path().join("bin")).collect();
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    folders.into_iter().find(has_server)
}

/// Whether there is a PostgreSQL to test with. Without one, the caller's test is skipped.
pub fn have_postgres() -> bool {
    let have = programs().is_some();
    let on_ci = env::var("CI").is_ok_and(|value| value == "true");
    assert!(have || !on_ci, "`postgresql` is needed on CI");
    if !have {
        println!("skipped: there is no PostgreSQL on this machine");
    }
    have
}

/// A program of PostgreSQL. It does not run as root.
fn program(name: &str) -> Command {
    let program = programs().unwrap().join(name);
    if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
        return command;
    }
    Command::new(program)
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A PostgreSQL server.
pub struct Postgres {
    process: Child,
    folder: PathBuf,
    pub port: u16,
}

impl Postgres {
    /// Starts one.
    pub async fn start() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("socketio-proto-postgres-{}-{number}", std::process::id());
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(&folder).status().unwrap();
            assert!(owned.success());
        }
        let data = folder.join("data");
        let made = program("initdb")
            .args(["--auth=trust", "--username=test", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg("-D")
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success());
        let port = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let postgres = Self { process: spawn(port, &folder), folder, port };
        postgres.until_up().await;
        postgres
    }

    pub fn url(&self) -> String {
        format!("postgres://test@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        self.signal("-QUIT");
        self.process.wait().unwrap();
    }

    pub async fn start_again(&mut self) {
        self.process = spawn(self.port, &self.folder);
        self.until_up().await;
    }

    pub fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    async fn connect(&self) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let (client, connection) =
            tokio_postgres::connect(&self.url(), tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Carries out statements.
    pub async fn run(&self, script: &str) {
        self.connect().await.unwrap().batch_execute(script).await.unwrap();
    }

    /// Asks for a number.
    pub async fn number(&self, query: &str) -> i64 {
        self.connect().await.unwrap().query_one(query, &[]).await.unwrap().get(0)
    }

    /// Ends all connections but its own.
    pub async fn break_connections(&self) {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        self.run(end).await;
    }

    /// Stops the processes that serve connections, or lets them go on. The connections stay.
    pub fn pause_connections(&self, is_paused: bool) {
        let parent = format!("\nPPid:\t{}\n", self.process.id());
        let serves = |folder: &PathBuf| {
            let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
            read("status").contains(&parent) && read("cmdline").starts_with("postgres: test ")
        };
        let processes = fs::read_dir("/proc").unwrap().map(|process| process.unwrap().path());
        let ids: Vec<_> =
            processes.filter(serves).map(|folder| folder.file_name().unwrap().to_owned()).collect();
        assert!(ids.len() >= 3, "{ids:?}");
        let signal = if is_paused { "-STOP" } else { "-CONT" };
        assert!(Command::new("kill").arg(signal).args(ids).status().unwrap().success());
    }

    /// Appends an entry with this text.
    pub async fn append(&self, message: &str) {
        let append = "WITH c AS (UPDATE socket_io_channel SET head = head + 1, anchor = anchor + 1
                RETURNING epoch, head, anchor, bytes)
            INSERT INTO socket_io_entries (entry, bytes, at, message)
            SELECT head, bytes, now(), convert_to($1, 'UTF8') FROM c";
        self.connect().await.unwrap().execute(append, &[&message]).await.unwrap();
        self.run("SELECT pg_notify('socket.io#', epoch || ':' || anchor) FROM socket_io_channel")
            .await;
    }

    async fn until_up(&self) {
        let up = async {
            while self.connect().await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        in_time(up).await;
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.signal("-QUIT");
        self.process.wait().ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}

fn spawn(port: u16, folder: &Path) -> Child {
    program("postgres")
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-c", "fsync=off"])
        .args(["-c", "max_connections=200", "-k"])
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
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
    pub async fn start(postgres: &Postgres) -> Self {
        Self::with(postgres, PostgresOptions::new()).await
    }

    pub async fn with(postgres: &Postgres, options: PostgresOptions) -> Self {
        let engine = PostgresEngine::open(&postgres.url(), options).unwrap();
        Self::on(engine.answer_timeout(ANSWER)).await
    }

    pub async fn on(engine: PostgresEngine) -> Self {
        let node = Self::begin(engine).await;
        node.until_connected().await;
        node
    }

    /// Starts one, and does not wait until it is connected.
    pub async fn begin(engine: PostgresEngine) -> Self {
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

    /// Waits until it knows so many nodes, so that each listens to the others.
    pub async fn until_knows(&self, nodes: usize) {
        let known = async {
            while self.handle.all().count_servers().await.unwrap() != nodes {
                sleep(Duration::from_millis(20)).await;
            }
        };
        in_time(known).await;
    }

    pub async fn until_connected(&self) {
        self.until(|stats| stats.is_connected).await;
    }

    /// Waits until the figures of the engine are as wanted.
    pub async fn until(&self, is_wanted: impl Fn(&EngineStats) -> bool) -> EngineStats {
        let mut latest = None;
        let wanted = async {
            loop {
                let stats = self.engine().await;
                if is_wanted(&stats) {
                    return stats;
                }
                latest = Some(stats);
                sleep(Duration::from_millis(2)).await;
            }
        };
        let stats = tokio::time::timeout(WAIT, wanted).await;
        stats.unwrap_or_else(|_| panic!("it did not happen in time: {latest:?}"))
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
}

impl Client {
    pub async fn connect(node: &Node) -> Self {
        let config = ClientConfig::new()
            .transports(&[Transport::WebSocket])
            .reconnection_delay(Duration::from_millis(50))
            .reconnection_delay_max(Duration::from_millis(200));
        let options = Options::new().config(config).proxy(Proxy::Direct);
        let url = format!("http://127.0.0.1:{}", node.port);
        let mut driver = Driver::new(&url, options).unwrap();
        driver.client(|client, now| client.connect(now, "/", Auth::None)).unwrap();
        let mut client = Self { driver, numbers: Vec::new(), recovered: Vec::new() };
        client.until(|client| client.recovered == [false]).await;
        client
    }

    pub async fn until(&mut self, is_done: impl Fn(&Self) -> bool) {
        let done = async {
            while !is_done(self) {
                match self.driver.next().await {
                    ClientEvent::Connected { recovered, .. } => self.recovered.push(recovered),
                    ClientEvent::Received { event, .. } => {
                        self.numbers.push(event.get(0).unwrap());
                    }
                    _ => {}
                }
            }
        };
        in_time(done).await;
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
