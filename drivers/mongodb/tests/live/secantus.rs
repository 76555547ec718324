//! `SecantusDB`, which speaks the protocol of MongoDB, as a replica set of one.
//!
//! It is a tool for these tests only. What it does not show: elections, rollbacks, an oplog that is too
//! short, and that MongoDB refuses a write of a session with an earlier number than the latest.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use socketio_proto_mongodb::mongodb::{Client, Collection, bson::Document, options::ClientOptions};
use tokio::time::sleep;

use crate::{ports::free_port, support::in_time};

/// The server, or `None` if it cannot be installed. Then the caller's test is skipped.
fn program() -> Option<PathBuf> {
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _installing = INSTALLING.lock().unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("secantusdb");
    let wanted = include_str!("requirements.txt");
    let (program, stamp) = (folder.join("bin/secantusd-py"), folder.join("installed.txt"));
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Some(program);
    }
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/requirements.txt");
    let is_done = run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        && run(Command::new(folder.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--no-deps", "--only-binary=:all:", "--requirement"])
            .arg(requirements));
    let on_ci = env::var("CI").is_ok_and(|value| value == "true");
    assert!(is_done || !on_ci, "python3 with SecantusDB is needed on CI");
    if !is_done {
        println!("skipped: there is no python3, or it cannot install SecantusDB");
        return None;
    }
    fs::write(&stamp, wanted).unwrap();
    Some(program)
}

fn run(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A server.
pub struct Secantus {
    program: PathBuf,
    process: Child,
    folder: PathBuf,
    pub port: u16,
}

impl Secantus {
    /// Starts one. `None` if there is none on this machine.
    pub async fn start() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let program = program()?;
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("socketio-proto-mongodb-{}-{number}", std::process::id());
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let port = free_port();
        let process = spawn(&program, port, &folder);
        let server = Self { program, process, folder, port };
        server.until_up().await;
        Some(server)
    }

    pub fn url(&self) -> String {
        url(self.port)
    }

    /// The collection, as somebody else sees it.
    pub async fn collection(&self) -> Collection<Document> {
        let url = format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port);
        let client = Client::with_options(ClientOptions::parse(url).await.unwrap()).unwrap();
        client.database("sio").collection("events")
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    pub async fn start_again(&mut self) {
        self.process = spawn(&self.program, self.port, &self.folder);
        self.until_up().await;
    }

    async fn until_up(&self) {
        let up = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        in_time(up).await;
    }
}

impl Drop for Secantus {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// The URL of the collection behind a port.
pub fn url(port: u16) -> String {
    format!("mongodb://127.0.0.1:{port}/sio.events?directConnection=true")
}

fn spawn(program: &Path, port: u16, folder: &Path) -> Child {
    Command::new(program)
        .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--storage-path"])
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
