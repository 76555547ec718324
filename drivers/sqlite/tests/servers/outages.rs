//! Servers whose file is gone, or cannot be written for a while, with both durabilities.

use std::{env, fs, io::Write, path::PathBuf, process::Command, time::Duration};

use socketio_proto::cluster::Durability;
use socketio_proto_sqlite::SqliteEvent;
use socketio_proto_tokio::{Handle, cluster::EngineStats};
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    folder::Folder,
    site::{Chat, Client, PATIENCE, Told, engine_stats, first_word, node, until},
};

const BOTH: [Durability; 2] = [Durability::OnChange, Durability::OnPark];

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

/// After an outage, the counters say what the events have said, and nothing was lost.
async fn everything_is_counted(handle: &Handle<Chat>, told: &Told) {
    let (engine, server) = (engine_stats(handle).await, handle.stats().await.unwrap());
    let told = told.lock().unwrap();
    let resumed = told.iter().filter(|event| **event == SqliteEvent::Resumed).count() as u64;
    let failed = told.len() as u64 - resumed;
    assert!(failed > 0 && engine.failures >= failed, "{engine:?} {told:?}");
    assert_eq!((engine.connected, engine.panics), (1 + resumed, 0), "{told:?}");
    assert!(engine.is_connected && engine.last_failure.is_some());
    let total = server.total;
    assert_eq!((total.appends_refused, total.appends_lost, total.changes_not_awaited), (0, 0, 0));
}

/// The first client leaves, and the other one says something. Another server continues the session of the
/// first one.
async fn another_server_continues(
    folder: &Folder,
    handle: &Handle<Chat>,
    (leaving, other): (Client, &Client),
) {
    let snapshot = leaving.leave().await;
    other.say("missed").await;
    handle.shutdown().await.unwrap();
    let (port, handle) = folder.server().await;
    let (mut client, is_recovered) = Client::connect(port, Some(snapshot)).await;
    assert!(is_recovered);
    assert_eq!(client.hear().await, "missed");
    handle.shutdown().await.unwrap();
}

/// Says something that is to be handled once. Whether it was answered.
fn say_once(client: &Client, text: String) -> JoinHandle<bool> {
    let socket = client.socket.clone();
    tokio::spawn(async move { socket.emit_with_ack("once", &(text,), PATIENCE).await.is_ok() })
}

/// The same, and nobody is to hear it.
async fn keep(client: &Client, text: &str) -> bool {
    client.socket.emit_with_ack("keep", &(text,), PATIENCE).await.is_ok()
}

/// The thread of the file takes no more than it has room for. What does not fit waits, in its order.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_behind_takes_no_more_outputs_than_it_has_room_for() {
    const ROOM: usize = 1_024;
    let folder = Folder::new();
    let (port, handle) = folder.server().await;
    let (mut client, _) = Client::connect(port, None).await;
    let other_program = rusqlite::Connection::open(folder.file("")).unwrap();
    other_program.execute_batch("BEGIN IMMEDIATE").unwrap();
    let emitted = 3 * ROOM;
    handle
        .with(move |_, cx| {
            for number in 0..emitted {
                cx.at().all().emit("said", &(number.to_string(),)).unwrap();
            }
        })
        .await
        .unwrap();
    let wait = async {
        loop {
            let waiting = engine_stats(&handle).await.outputs_waiting;
            if waiting <= emitted - ROOM {
                break waiting;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waiting = timeout(PATIENCE, wait).await.expect("in time");
    // A transaction has room for as many again, and one output is about to wait for a place.
    assert!(waiting >= emitted - 2 * ROOM - 1, "{waiting}");
    other_program.execute_batch("ROLLBACK").unwrap();
    for number in 0..emitted {
        assert_eq!(client.hear().await, number.to_string());
    }
    handle.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(unix)]
async fn a_server_whose_file_is_deleted_goes_on_with_a_new_one() {
    for durability in BOTH {
        let (folder, told) = (Folder::new(), Told::default());
        let (port, handle) = folder.telling(&told, node(durability)).await;
        let (mut a, _) = Client::connect(port, None).await;
        let (mut b, _) = Client::connect(port, None).await;
        a.say("before").await;
        assert_eq!((a.hear().await, b.hear().await), ("before".into(), "before".into()));
        for suffix in ["", "-wal", "-shm"] {
            fs::remove_file(folder.file(suffix)).unwrap();
        }
        until(&handle, |stats| stats.connected == 2 && stats.is_connected).await;
        let cause = engine_stats(&handle).await.last_failure.unwrap_or_default();
        assert_eq!(cause, "the file was deleted or replaced");
        told_last(&told, &[failed(&cause), SqliteEvent::Resumed]).await;
        // They may have missed something, so their sessions have ended.
        assert_eq!((a.connected().await, b.connected().await), (false, false));
        a.say("after").await;
        assert_eq!((a.hear().await, b.hear().await), ("after".into(), "after".into()));
        everything_is_counted(&handle, &told).await;

        // The new file has the new sessions.
        another_server_continues(&folder, &handle, (a, &b)).await;
    }
}

/// Nobody may write the database and its WAL, not even root, and not even who has them open.
#[cfg(target_os = "linux")]
struct Protected<'a>(&'a Folder);

#[cfg(target_os = "linux")]
impl<'a> Protected<'a> {
    /// `None` if this user or this file system cannot do that.
    fn new(folder: &'a Folder) -> Option<Self> {
        let protected = Self(folder);
        let is_protected = protected.set("+i");
        if !is_protected {
            eprintln!("skipped: files cannot be protected with `chattr` here");
        }
        is_protected.then_some(protected)
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

const READ_ONLY: &str = "the file is read-only";

/// Waits until the server has tried once more, in vain.
async fn until_read_only(handle: &Handle<Chat>, told: &Told) {
    let says_why = |stats: &EngineStats| {
        stats.last_failure.as_deref() == Some(READ_ONLY) && !stats.is_connected
    };
    until(handle, says_why).await;
    let failures = engine_stats(handle).await.failures;
    until(handle, |stats| stats.failures > failures && says_why(stats)).await;
    told_last(told, &[failed(READ_ONLY)]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn a_server_that_may_not_write_its_file_any_more_goes_on_when_it_may() {
    for durability in BOTH {
        let (folder, told) = (Folder::new(), Told::default());
        let (port, handle) = folder.telling(&told, node(durability)).await;
        let (mut a, _) = Client::connect(port, None).await;
        let (b, _) = Client::connect(port, None).await;
        a.say("before").await;
        assert_eq!(a.hear().await, "before");
        let session = a.socket.session().await.unwrap().unwrap();

        let Some(protected) = Protected::new(&folder) else { return };
        for number in 0..10 {
            b.socket.emit("say", &(number.to_string(),)).await.unwrap();
        }
        let once = say_once(&b, "10".into());
        let mut c = Client::begin(port, None);
        until_read_only(&handle, &told).await;
        // What nobody could write was told to nobody.
        assert!(timeout(Duration::from_millis(100), a.hear()).await.is_err());
        if durability == Durability::OnChange {
            assert!(!once.is_finished(), "it is answered after others have heard it");
            let connected = timeout(Duration::from_millis(1), c.connected()).await;
            assert!(connected.is_err(), "after a crash, nobody would know this session");
            assert!(handle.stats().await.unwrap().records_waiting > 0);
        }

        drop(protected);
        for number in 0..=10 {
            assert_eq!(a.hear().await, number.to_string(), "each once, in order");
        }
        assert!(once.await.unwrap());
        if durability == Durability::OnChange {
            assert!(!c.connected().await);
        }
        let now = a.socket.session().await.unwrap().unwrap();
        assert_eq!((now.id, now.recovered), (session.id, false), "its session has not ended");
        told_last(&told, &[failed(READ_ONLY), SqliteEvent::Resumed]).await;
        everything_is_counted(&handle, &told).await;

        // The file has everything.
        another_server_continues(&folder, &handle, (a, &b)).await;
        let names = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names = names.map(|name| name.into_string().unwrap());
        assert!(!names.any(|name| name.contains("damaged")), "it was not set aside");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn a_client_waits_for_a_file_that_cannot_be_written_no_longer_than_the_store_timeout() {
    let (folder, told) = (Folder::new(), Told::default());
    let node = node(Durability::OnChange).store_timeout(Duration::from_millis(10));
    let (port, handle) = folder.telling(&told, node).await;
    let (mut a, _) = Client::connect(port, None).await;
    a.say("before").await;
    assert_eq!(a.hear().await, "before");
    let Some(protected) = Protected::new(&folder) else { return };
    assert!(keep(&a, "kept").await);
    let (b, _) = Client::connect(port, None).await;
    until_read_only(&handle, &told).await;
    let not_awaited = handle.stats().await.unwrap().total.changes_not_awaited;
    assert!(not_awaited >= 2, "the answer and the CONNECT are counted: {not_awaited}");

    drop(protected);
    told_last(&told, &[SqliteEvent::Resumed]).await;
    // What was told too early is true now.
    let snapshots = [a.leave().await, b.leave().await];
    handle.shutdown().await.unwrap();
    let (port, handle) = folder.server().await;
    for (snapshot, expected) in snapshots.into_iter().zip(["a", "a kept b"]) {
        let (mut client, is_recovered) = Client::connect(port, Some(snapshot)).await;
        assert!(is_recovered);
        assert!(say_once(&client, "kept".into()).await.unwrap());
        let last = expected.split(' ').next_back().unwrap();
        client.say(last).await;
        let mut heard = vec![client.hear().await];
        while heard.last().is_some_and(|text| text != last) {
            heard.push(client.hear().await);
        }
        assert_eq!(heard.join(" "), expected, "the first one had said it before");
    }
    handle.shutdown().await.unwrap();
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
    let test = "outages::on_a_small_disk";
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
    for durability in BOTH {
        fill_and_empty(&PathBuf::from(&disk), durability).await;
    }
}

async fn fill_and_empty(disk: &std::path::Path, durability: Durability) {
    let (folder, told) = (Folder::in_folder(disk), Told::default());
    let (port, handle) = folder.telling(&told, node(durability)).await;
    let (mut a, _) = Client::connect(port, None).await;
    let (b, _) = Client::connect(port, None).await;
    a.say("before").await;
    assert_eq!(a.hear().await, "before");

    let ballast = disk.join("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    // More than what the file still has room for. Each has to be answered in the end.
    let long = "x".repeat(60_000);
    let said: Vec<_> = (0..40).map(|number| say_once(&b, format!("{number} {long}"))).collect();
    until(&handle, |stats| !stats.is_connected).await;
    let cause = engine_stats(&handle).await.last_failure.unwrap_or_default();
    assert!(cause.contains("full"), "{cause}");
    told_last(&told, &[failed(&cause)]).await;
    let mut heard = Vec::new();
    let mut hear = async |heard: &mut Vec<usize>| {
        heard.push(first_word(&a.hear().await).parse::<usize>().unwrap());
    };
    if durability == Durability::OnChange {
        // Whatever was answered is in the file, and so everyone has heard it.
        let answered: Vec<_> = (0..40).filter(|number| said[*number].is_finished()).collect();
        assert!(answered.len() < 40, "there is no room for all of them");
        while !answered.iter().all(|number| heard.contains(number)) {
            hear(&mut heard).await;
        }
    }

    drop(file);
    fs::remove_file(&ballast).unwrap();
    for answer in said {
        assert!(answer.await.unwrap());
    }
    while heard.len() < 40 {
        hear(&mut heard).await;
    }
    heard.sort_unstable();
    assert_eq!(heard, (0..40).collect::<Vec<_>>(), "each once");
    b.say("after").await;
    assert_eq!(a.hear().await, "after", "and its session has not ended");
    told_last(&told, &[SqliteEvent::Resumed]).await;
    everything_is_counted(&handle, &told).await;
    handle.shutdown().await.unwrap();
}
