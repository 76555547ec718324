//! PostgreSQL servers on free ports, nodes, and clients.

use std::{
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use socketio_proto_postgres::{PostgresEngine, PostgresOptions, tokio_postgres};
use tokio::time::sleep;

pub use crate::live::{Client, Node, in_time};
use crate::ports::free_port;

/// How long PostgreSQL may take to answer: longer than a machine stands still.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The same for tests that wait until a node has lost its patience.
const ANSWER: Duration = Duration::from_secs(2);

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

pub fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A PostgreSQL server.
pub struct Postgres {
    process: Child,
    pub folder: PathBuf,
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
        let port = free_port();
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
        // One that has ended in the meantime serves nobody.
        Command::new("kill").arg(signal).args(ids).status().unwrap();
    }

    /// Appends an entry with this text.
    pub async fn append(&self, message: &str) {
        self.append_bytes(message.as_bytes()).await;
    }

    /// Appends an entry with these bytes.
    pub async fn append_bytes(&self, message: &[u8]) {
        let append = "WITH c AS (UPDATE socket_io_channel SET head = head + 1, anchor = anchor + 1
                RETURNING epoch, head, anchor, bytes)
            INSERT INTO socket_io_entries (entry, bytes, at, message)
            SELECT head, bytes, now(), $1 FROM c";
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

impl Node {
    pub async fn start(postgres: &Postgres) -> Self {
        Self::with(postgres, PostgresOptions::new()).await
    }

    pub async fn with(postgres: &Postgres, options: PostgresOptions) -> Self {
        let engine = PostgresEngine::open(&postgres.url(), options).unwrap();
        Self::on(engine.answer_timeout(PATIENCE)).await
    }

    pub async fn impatient(postgres: &Postgres) -> Self {
        let engine = PostgresEngine::open(&postgres.url(), PostgresOptions::new()).unwrap();
        Self::on(engine.answer_timeout(ANSWER)).await
    }

    pub async fn on(engine: PostgresEngine) -> Self {
        let node = Self::begin(Self::config(), engine).await;
        node.until_connected().await;
        node
    }
}
