//! Servers around one file, with clients.

#[path = "../src/tests/folder.rs"]
#[expect(dead_code, reason = "nothing is copied here")]
mod folder;

use std::{
    env, fs,
    io::Write,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use socketio_proto::{
    RecoveryConfig, ServerConfig, Timestamp,
    client::{ClientEvent, ClientSnapshot},
    cluster::ClusterConfig,
    server::{Server, ServerEvent},
    socket::Args,
};
use socketio_proto_sqlite::{SqliteConfig, SqliteEngine, SqliteEvent};
use socketio_proto_tokio::{
    App, Context, Handle, PeerLimits, cluster::EngineStats, entropy, serve, start_clustered,
};
use socketio_proto_tokio_client::{Events, Options, Socket, start};
use tokio::{net::TcpListener, time::timeout};

use self::folder::Folder;

/// A test that waits for longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

struct Chat;

impl App for Chat {
    type Data = ();

    fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
        match event {
            ServerEvent::ConnectRequested { request, .. } => {
                cx.at().accept(request);
            }
            // What a client says is for everyone.
            ServerEvent::Received { event, ack, .. } => {
                let (text,): (String,) = event.parse().unwrap();
                cx.at().all().emit("said", &(text,)).unwrap();
                if let Some(token) = ack {
                    cx.at().ack(token, &Args::empty());
                }
            }
            _ => {}
        }
    }
}

impl Folder {
    async fn server(&self) -> (u16, Handle<Chat>) {
        self.telling(&Told::default()).await
    }

    /// A server that writes down what happens to its file.
    async fn telling(&self, told: &Told) -> (u16, Handle<Chat>) {
        let tell = Told::clone(told);
        let config = SqliteConfig::new(self.file(""))
            .on_event(move |event| tell.lock().unwrap().push(event));
        let engine = SqliteEngine::open(config).unwrap();
        let config = ServerConfig::new().recovery(RecoveryConfig::new());
        let cluster = ClusterConfig::from_entropy(&mut entropy);
        let mut server = Server::clustered(config, cluster, entropy).unwrap();
        server.at(Timestamp::ZERO).add_namespace("/").unwrap();
        let (service, handle) = start_clustered(server, Chat, engine);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let site = service.at("/socket.io");
        tokio::spawn(serve(listener, site, PeerLimits::default(), handle.closing()));
        (port, handle)
    }
}

/// What happened to a file.
type Told = Arc<Mutex<Vec<SqliteEvent>>>;

/// Waits until these are the last things that happened to a file, and no reason comes twice in a row.
async fn told_last(told: &Told, wanted: &[SqliteEvent]) {
    let wait = async {
        while !told.lock().unwrap().ends_with(wanted) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("in time");
    let told = told.lock().unwrap();
    assert!(told.windows(2).all(|two| two[0] != two[1]), "{told:?}");
}

fn failed(reason: &str) -> SqliteEvent {
    SqliteEvent::Failed { reason: reason.into() }
}

struct Client {
    socket: Socket,
    events: Events,
}

impl Client {
    /// Connects. Says whether the session was recovered.
    async fn connect(port: u16, snapshot: Option<ClientSnapshot>) -> (Self, bool) {
        let options = snapshot.into_iter().fold(Options::new(), Options::snapshot);
        let (socket, events) = start(&format!("http://127.0.0.1:{port}"), options).unwrap();
        let mut client = Self { socket, events };
        loop {
            if let ClientEvent::Connected { recovered, .. } = client.next().await {
                return (client, recovered);
            }
        }
    }

    async fn next(&mut self) -> ClientEvent {
        timeout(PATIENCE, self.events.next()).await.expect("in time").expect("an event")
    }

    /// The text of the next event.
    async fn hear(&mut self) -> String {
        loop {
            if let ClientEvent::Received { event, .. } = self.next().await {
                return event.parse::<(String,)>().unwrap().0;
            }
        }
    }

    async fn say(&self, text: &str) {
        self.socket.emit_with_ack("say", &(text,), PATIENCE).await.unwrap();
    }

    async fn leave(self) -> ClientSnapshot {
        self.socket.client().close().await.unwrap()
    }
}

async fn until(handle: &Handle<Chat>, is_wanted: impl Fn(&EngineStats) -> bool) {
    let wanted = async {
        while !is_wanted(&handle.engine_stats().await.unwrap().unwrap()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wanted).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_two_servers_hear_the_same_in_the_same_order() {
    let folder = Folder::new();
    let (first, second) = (folder.server().await, folder.server().await);
    let (mut a, _) = Client::connect(first.0, None).await;
    let (mut b, _) = Client::connect(second.0, None).await;
    tokio::join!(
        async {
            for number in 0..50 {
                a.say(&format!("a{number}")).await;
            }
        },
        async {
            for number in 0..50 {
                b.say(&format!("b{number}")).await;
            }
        },
    );
    let mut heard = (Vec::new(), Vec::new());
    for _ in 0..100 {
        heard.0.push(a.hear().await);
        heard.1.push(b.hear().await);
    }
    assert_eq!(heard.0, heard.1);
    first.1.shutdown().await.unwrap();
    second.1.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_recovers_at_another_server() {
    let folder = Folder::new();
    let (first, second) = (folder.server().await, folder.server().await);
    let (mut a, _) = Client::connect(first.0, None).await;
    let (b, _) = Client::connect(second.0, None).await;
    b.say("before").await;
    assert_eq!(a.hear().await, "before");
    let snapshot = a.leave().await;
    for number in 0..20 {
        b.say(&format!("missed {number}")).await;
    }
    let (mut a, is_recovered) = Client::connect(second.0, Some(snapshot)).await;
    assert!(is_recovered);
    b.say("after").await;
    for number in 0..20 {
        assert_eq!(a.hear().await, format!("missed {number}"));
    }
    assert_eq!(a.hear().await, "after");
    first.1.shutdown().await.unwrap();
    second.1.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(unix)]
async fn a_server_whose_file_is_deleted_goes_on_with_a_new_one() {
    let (folder, told) = (Folder::new(), Told::default());
    let (port, handle) = folder.telling(&told).await;
    let (mut a, _) = Client::connect(port, None).await;
    a.say("before").await;
    assert_eq!(a.hear().await, "before");
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(folder.file(suffix)).unwrap();
    }
    until(&handle, |stats| stats.connected == 2 && stats.is_connected).await;
    let stats = handle.engine_stats().await.unwrap().unwrap();
    let cause = stats.last_failure.unwrap_or_default();
    assert_eq!(cause, "the file was deleted or replaced");
    told_last(&told, &[failed(&cause), SqliteEvent::Resumed]).await;
    // The client may have missed something, so its session has ended.
    loop {
        if let ClientEvent::Connected { recovered, .. } = a.next().await {
            assert!(!recovered);
            break;
        }
    }
    a.say("after").await;
    assert_eq!(a.hear().await, "after");
    handle.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_leaves_nothing_but_its_file() {
    let folder = Folder::new();
    let (port, handle) = folder.server().await;
    let (a, _) = Client::connect(port, None).await;
    a.say("something").await;
    handle.shutdown().await.unwrap();
    let names = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["sessions.db", "sessions.db-lock", "sessions.db-tail"]);
}

/// Nobody may write the database and its WAL, not even root, and not even who has them open.
#[cfg(target_os = "linux")]
struct Protected<'a>(&'a Folder);

#[cfg(target_os = "linux")]
impl<'a> Protected<'a> {
    /// `None` if this user or this file system cannot do that.
    fn new(folder: &'a Folder) -> Option<Self> {
        let protected = Self(folder);
        protected.set("+i").then_some(protected)
    }

    fn set(&self, attribute: &str) -> bool {
        let files = ["sessions.db", "sessions.db-wal"].map(|name| self.0.0.join(name));
        let output = Command::new("chattr").arg(attribute).args(files).output();
        output.is_ok_and(|output| output.status.success())
    }
}

#[cfg(target_os = "linux")]
impl Drop for Protected<'_> {
    fn drop(&mut self) {
        self.set("-i");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn a_server_that_may_not_write_its_file_any_more_goes_on_when_it_may() {
    let (folder, told) = (Folder::new(), Told::default());
    let (port, handle) = folder.telling(&told).await;
    let (mut a, _) = Client::connect(port, None).await;
    let (b, _) = Client::connect(port, None).await;
    a.say("before").await;
    assert_eq!(a.hear().await, "before");
    let session = a.socket.session().await.unwrap().unwrap();

    let Some(protected) = Protected::new(&folder) else {
        eprintln!("skipped: files cannot be protected with `chattr` here");
        return;
    };
    for number in 0..10 {
        b.socket.emit("say", &(number.to_string(),)).await.unwrap();
    }
    let says_why = |stats: &EngineStats| {
        stats.last_failure.as_deref() == Some("the file is read-only") && !stats.is_connected
    };
    until(&handle, says_why).await;
    let failures = handle.engine_stats().await.unwrap().unwrap().failures;
    until(&handle, |stats| stats.failures > failures && says_why(stats)).await;
    told_last(&told, &[failed("the file is read-only")]).await;
    // What nobody could write was told to nobody.
    assert!(timeout(Duration::from_millis(100), a.hear()).await.is_err());

    drop(protected);
    for number in 0..10 {
        assert_eq!(a.hear().await, number.to_string(), "each once, in order");
    }
    assert_eq!(handle.engine_stats().await.unwrap().unwrap().connected, 2);
    let now = a.socket.session().await.unwrap().unwrap();
    assert_eq!((now.id, now.recovered), (session.id, false), "its session has not ended");
    told_last(&told, &[failed("the file is read-only"), SqliteEvent::Resumed]).await;

    // The file has everything: another server continues the session.
    let snapshot = a.leave().await;
    b.say("missed").await;
    handle.shutdown().await.unwrap();
    let (port, handle) = folder.server().await;
    let (mut a, is_recovered) = Client::connect(port, Some(snapshot)).await;
    assert!(is_recovered);
    assert_eq!(a.hear().await, "missed");
    handle.shutdown().await.unwrap();
    let names = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names = names.map(|name| name.into_string().unwrap());
    assert!(!names.any(|name| name.contains("damaged")), "it was not set aside");
}

/// Set in the process that has a small disk of its own.
const SMALL_DISK: &str = "SOCKETIO_PROTO_SMALL_DISK";

#[test]
#[cfg(target_os = "linux")]
fn a_server_whose_disk_is_full_goes_on_when_there_is_space() {
    let folder = Folder::new();
    let script = "mount -t tmpfs -o size=32m none \"$0\" && exec \"$@\"";
    let own_mounts = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", script]).arg(&folder.0);
        command
    };
    let can_mount = own_mounts(script).arg("true").output().is_ok_and(|it| it.status.success());
    if !can_mount {
        eprintln!("skipped: this user cannot mount a small disk");
        return;
    }
    let test = "on_a_small_disk";
    let mut command = own_mounts(script);
    command.arg(env::current_exe().unwrap()).args(["--ignored", "--exact", "--nocapture", test]);
    let output = command.env(SMALL_DISK, &folder.0).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it needs a small disk, which another test makes"]
async fn on_a_small_disk() {
    let Some(disk) = env::var_os(SMALL_DISK) else { return };
    let disk = PathBuf::from(disk);
    let (folder, told) = (Folder::in_folder(&disk), Told::default());
    let (port, handle) = folder.telling(&told).await;
    let (mut a, _) = Client::connect(port, None).await;
    let (b, _) = Client::connect(port, None).await;
    a.say("before").await;
    assert_eq!(a.hear().await, "before");

    let ballast = disk.join("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    // More than what the file still has room for. Each has to be answered in the end.
    let long = "x".repeat(60_000);
    let sockets: Vec<_> = (0..40).map(|_| b.socket.clone()).collect();
    let said = sockets.into_iter().enumerate().map(|(number, socket)| {
        let text = format!("{number} {long}");
        tokio::spawn(async move { socket.emit_with_ack("say", &(text,), PATIENCE).await })
    });
    let said: Vec<_> = said.collect();
    until(&handle, |stats| !stats.is_connected).await;
    let stats = handle.engine_stats().await.unwrap().unwrap();
    let cause = stats.last_failure.unwrap_or_default();
    assert!(cause.contains("full"), "{cause}");
    told_last(&told, &[failed(&cause)]).await;

    drop(file);
    fs::remove_file(&ballast).unwrap();
    for answer in said {
        answer.await.unwrap().unwrap();
    }
    let mut heard = Vec::new();
    for _ in 0..40 {
        let text = a.hear().await;
        heard.push(text.split(' ').next().unwrap().parse::<u32>().unwrap());
    }
    heard.sort_unstable();
    assert_eq!(heard, (0..40).collect::<Vec<_>>(), "each once");
    a.say("after").await;
    assert_eq!(a.hear().await, "after", "and its session has not ended");
    told_last(&told, &[SqliteEvent::Resumed]).await;
    handle.shutdown().await.unwrap();
}
