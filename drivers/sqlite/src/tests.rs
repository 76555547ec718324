//! The thread of a file, without a server around it.

mod faults;
mod folder;
mod versions;

use std::{
    fs,
    ops::ControlFlow,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use socketio_proto::{
    RecoveryKey, SocketId,
    cluster::{
        ClusterInput, ClusterOutput, StoreOutcome,
        engines::sqlite::{SchemaError, Sqlite, SqliteOptions},
        message::{
            Body, BroadcastOptions, ClusterBroadcast, Message, NodeId, Stamp, StoredSession, Value,
        },
    },
    recovery::Offset,
    socket::{Event, NamespaceName},
};

pub(crate) use self::folder::Folder;
use crate::{
    SetAsideReason, SqliteConfig, SqliteError, SqliteEvent, Survives,
    file::OpenFile,
    worker::{Job, Worker},
};

impl Folder {
    pub(crate) fn config(&self) -> SqliteConfig {
        SqliteConfig::new(self.file(""))
    }

    /// Starts a process.
    pub(crate) fn start(&self, name: &str) -> Process {
        Process::start(self.config(), name).unwrap()
    }

    /// Starts a process that others wake through this socket.
    pub(crate) fn start_with(&self, name: &str, socket: &str) -> Process {
        Process::woken_by(socket, self.config(), name).unwrap()
    }
}

/// A process, whose thread is this one.
pub(crate) struct Process {
    worker: Worker,
    inputs: Arc<Mutex<Vec<ClusterInput>>>,
    name: String,
    sequence: u64,
}

impl Process {
    fn start(config: SqliteConfig, name: &str) -> Result<Self, SqliteError> {
        Self::woken_by("", config, name)
    }

    fn woken_by(socket: &str, config: SqliteConfig, name: &str) -> Result<Self, SqliteError> {
        let file = OpenFile::open(&config)?;
        let inputs = Arc::<Mutex<Vec<_>>>::default();
        let taken = Arc::clone(&inputs);
        let hand_in = Box::new(move |more: Vec<_>| taken.lock().unwrap().extend(more));
        let worker = Worker::start(config, file, node(name), socket, hand_in)?;
        Ok(Self { worker, inputs, name: name.into(), sequence: 0 })
    }

    fn inputs(&self) -> Vec<ClusterInput> {
        std::mem::take(&mut *self.inputs.lock().unwrap())
    }

    /// The positions between which the channel is.
    fn connected(&self) -> (Offset, Offset) {
        match &self.inputs()[..] {
            [ClusterInput::Connected { oldest, head, .. }] => (*oldest, *head),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn do_all(
        &mut self,
        outputs: impl IntoIterator<Item = ClusterOutput>,
    ) -> Vec<ClusterInput> {
        self.try_all(outputs).unwrap()
    }

    fn try_all(
        &mut self,
        outputs: impl IntoIterator<Item = ClusterOutput>,
    ) -> Result<Vec<ClusterInput>, SqliteError> {
        self.worker.carry_out(outputs.into_iter())?;
        Ok(self.inputs())
    }

    pub(crate) fn look(&mut self) -> Vec<ClusterInput> {
        self.try_look().unwrap()
    }

    pub(crate) fn try_look(&mut self) -> Result<Vec<ClusterInput>, SqliteError> {
        self.worker.look()?;
        Ok(self.inputs())
    }

    /// Begins to read. Returns what is there.
    pub(crate) fn read(&mut self) -> Vec<(Offset, String)> {
        let (after, _) = self.connected();
        let inputs = self.do_all([read_after(after)]);
        news(&inputs)
    }

    pub(crate) fn append(&mut self, text: &str) -> ClusterOutput {
        self.sequence += 1;
        let stamp = Stamp::new(self.sequence, 1);
        ClusterOutput::Append(message(&self.name, text).stamped(stamp).into())
    }

    fn publish(&self, to: Option<&str>, text: &str) -> ClusterOutput {
        ClusterOutput::Publish { to: to.map(node), message: message(&self.name, text).into() }
    }

    /// The session in the file, if there is exactly one.
    pub(crate) fn only_session(&self) -> Option<StoredSession> {
        let mut found = Vec::new();
        let database = &self.worker.file.database;
        let read = database.query(&Sqlite::all_sessions(), |row| {
            found.extend(self.worker.file.sqlite.session(0, row)?);
            Ok(ControlFlow::Continue(()))
        });
        read.unwrap();
        let session = found.pop()?.session.unwrap();
        found.is_empty().then_some(session)
    }

    /// Ends in good order.
    pub(crate) fn end(self) {
        let (jobs, queue) = tokio::sync::mpsc::channel::<Job>(1);
        drop(jobs);
        self.worker.run(queue).unwrap();
    }
}

fn read_after(after: Offset) -> ClusterOutput {
    ClusterOutput::Read { channel: 0, after }
}

fn node(name: &str) -> NodeId {
    NodeId::new(name.to_owned()).unwrap()
}

fn message(from: &str, text: &str) -> Message {
    let event = Event::new("news", &(text,)).unwrap();
    let broadcast = ClusterBroadcast::new(BroadcastOptions::all(), event);
    Message::new(node(from), NamespaceName::ROOT, Body::Broadcast(broadcast))
}

fn text(message: &Message) -> String {
    let Body::Broadcast(broadcast) = &message.body else { panic!("{message:?}") };
    let event = broadcast.packet().unwrap().event;
    event.parse::<(String,)>().unwrap().0
}

/// The entries among the inputs.
pub(crate) fn news(inputs: &[ClusterInput]) -> Vec<(Offset, String)> {
    let entry = |input: &ClusterInput| match input {
        ClusterInput::Entry { position, message, .. } => {
            Some((*position, text(message.as_ref().unwrap())))
        }
        _ => None,
    };
    inputs.iter().filter_map(entry).collect()
}

fn texts(inputs: &[ClusterInput]) -> Vec<String> {
    news(inputs).into_iter().map(|(_, text)| text).collect()
}

fn messages(inputs: &[ClusterInput]) -> Vec<String> {
    let message = |input: &ClusterInput| match input {
        ClusterInput::Message(message) => Some(text(message)),
        _ => None,
    };
    inputs.iter().filter_map(message).collect()
}

fn key(pid: &str) -> RecoveryKey {
    RecoveryKey::parse(&format!("{pid:A>20}")).unwrap()
}

fn session(pid: &str, data: &str) -> StoredSession {
    let sid = SocketId::parse("bhZwQSdakf0anWUIAAAA").unwrap();
    StoredSession::new(sid, key(pid), vec!["r1".into()], Value::new(&data).unwrap())
}

fn store(pid: &str, data: &str, number: u64) -> ClusterOutput {
    let expires_in = Duration::from_secs(600);
    ClusterOutput::Store { session: session(pid, data), expires_in, replaces: None, number }
}

/// The answers: the number of each, and the data of the session.
fn fetched(inputs: &[ClusterInput]) -> Vec<(u64, Option<String>)> {
    let answer = |input: &ClusterInput| match input {
        ClusterInput::Fetched { number, session } => {
            let data = session.as_ref().map(|it| it.session.data.parse::<String>().unwrap());
            Some((*number, data))
        }
        _ => None,
    };
    inputs.iter().filter_map(answer).collect()
}

#[test]
fn two_processes_read_the_same_entries_in_the_same_order() {
    let folder = Folder::new();
    let (mut a, mut b) = (folder.start("a"), folder.start("b"));
    assert_eq!((a.read().len(), b.read().len()), (0, 0));
    let (first, second) = (a.append("a1"), a.append("a2"));
    let read = a.do_all([first, second]);
    assert_eq!(texts(&read), ["a1", "a2"]);
    let append = b.append("b1");
    let seen = b.do_all([append]);
    assert_eq!(texts(&seen), ["a1", "a2", "b1"], "what was there before comes first");
    assert_eq!(news(&a.look()), news(&seen)[2..]);
    assert_eq!(news(&seen)[..2], news(&read));
}

#[test]
fn a_process_that_was_killed_loses_nothing() {
    let folder = Folder::new();
    let mut a = folder.start("a");
    a.read();
    let (first, second) = (a.append("a1"), a.append("a2"));
    let before = a.do_all([first, store("S", "s", 1), second]);
    let copy = folder.copy();

    let mut again = copy.start("b");
    assert_eq!(again.read(), news(&before));
    let take = ClusterOutput::Take { key: key("S"), version: None, number: 1 };
    assert_eq!(fetched(&again.do_all([take])), [(1, Some("s".into()))]);
}

#[test]
fn a_process_that_ends_leaves_one_file_that_is_continued() {
    let folder = Folder::new();
    let mut a = folder.start("a");
    a.read();
    let append = a.append("a1");
    let before = a.do_all([append]);
    a.end();
    assert!(!folder.file("-wal").exists(), "everything is in the file");
    let mut b = folder.start("b");
    assert_eq!(b.read(), news(&before));
    let append = b.append("b1");
    let (position, _) = news(&b.do_all([append]))[0].clone();
    assert!(position > news(&before)[0].0);
}

#[test]
fn a_session_is_taken_by_one_of_two() {
    let folder = Folder::new();
    let (mut a, mut b) = (folder.start("a"), folder.start("b"));
    let stored = a.do_all([store("S", "old", 1), store("S", "new", 2)]);
    let is_stored = |number| ClusterInput::Stored { number, outcome: StoreOutcome::Stored };
    assert_eq!(stored[1..], [is_stored(1), is_stored(2)]);
    let fetch = ClusterOutput::Fetch { key: key("S"), number: 3 };
    assert_eq!(fetched(&b.do_all([fetch])), [(3, Some("new".into()))]);
    let take = |number| ClusterOutput::Take { key: key("S"), version: None, number };
    assert_eq!(fetched(&b.do_all([take(4)])), [(4, Some("new".into()))]);
    assert_eq!(fetched(&a.do_all([take(5)])), [(5, None)]);

    let done = a.do_all([store("S", "s", 6), take(7), take(8)]);
    let expected = [(7, Some("s".into())), (8, None)];
    assert_eq!(fetched(&done), expected, "in the order of the commands");
}

#[test]
fn a_session_replaces_only_the_version_that_its_node_knows() {
    let folder = Folder::new();
    let (mut a, mut b) = (folder.start("a"), folder.start("b"));
    let store = |data: &str, version, replaces, number| {
        let mut session = session("S", data);
        session.version = Some(version);
        let expires_in = Duration::from_secs(600);
        ClusterOutput::Store { session, expires_in, replaces, number }
    };
    let outcomes = |inputs: &[ClusterInput]| -> Vec<StoreOutcome> {
        let outcome = |input: &ClusterInput| match input {
            ClusterInput::Stored { outcome, .. } => Some(*outcome),
            _ => None,
        };
        inputs.iter().filter_map(outcome).collect()
    };
    let (stored, superseded) = (StoreOutcome::Stored, StoreOutcome::Superseded);
    let done = a.do_all([store("0", 7, Some(6), 1), store("1", 7, None, 2)]);
    assert_eq!(outcomes(&done), [superseded, stored], "there is nothing to replace at first");
    assert_eq!(outcomes(&b.do_all([store("2", 8, Some(7), 1)])), [stored]);
    assert_eq!(outcomes(&a.do_all([store("3", 9, Some(7), 3)])), [superseded]);
    let fetch = ClusterOutput::Fetch { key: key("S"), number: 4 };
    assert_eq!(fetched(&a.do_all([fetch])), [(4, Some("2".into()))]);
}

#[test]
fn published_messages_reach_the_others_and_are_not_written_for_nobody() {
    let folder = Folder::new();
    let mut a = folder.start("a");
    let publish = a.publish(None, "to nobody");
    a.do_all([publish]);
    let (mut b, mut c) = (folder.start("b"), folder.start("c"));
    // The first one learns of them when they wake it; here, at its next transaction.
    let outputs = [a.publish(None, "to all"), a.publish(Some("c"), "to c")];
    assert_eq!(messages(&a.do_all(outputs)), Vec::<String>::new(), "not to itself");
    assert_eq!(messages(&b.look()), ["to all"]);
    assert_eq!(messages(&c.look()), ["to all", "to c"]);
    assert_eq!(messages(&c.look()), Vec::<String>::new());
}

#[test]
fn a_process_that_is_too_slow_learns_that_messages_are_lost() {
    let folder = Folder::new();
    let options = SqliteOptions::new().published_len(2);
    let mut a = Process::start(folder.config().options(options), "a").unwrap();
    let mut b = folder.start("b");
    let namespace = NamespaceName::ROOT;
    let subscribed = ClusterInput::Subscribed { namespace: namespace.clone() };
    let subscribe = ClusterOutput::Subscribe { namespace: namespace.clone() };
    assert!(b.do_all([subscribe]).contains(&subscribed));
    for text in ["1", "2", "3"] {
        let publish = a.publish(None, text);
        a.do_all([publish]);
    }
    a.worker.sweep().unwrap();
    let seen = b.look();
    assert_eq!(seen[..2], [ClusterInput::Unsubscribed { namespace }, subscribed]);
    assert_eq!(messages(&seen), ["2", "3"]);
}

#[test]
fn what_is_too_large_is_refused_and_nothing_waits_behind_it() {
    let folder = Folder::new();
    let options = SqliteOptions::new().max_message_bytes(500);
    let mut a = Process::start(folder.config().options(options), "a").unwrap();
    a.read();
    let large = "x".repeat(500);
    let (first, second) = (a.append(&large), a.append("a2"));
    let done = a.do_all([first, store("S", &large, 1), second]);
    assert_eq!(texts(&done), ["a2"]);
    assert!(done.contains(&ClusterInput::Rejected { sequence: 1 }));
    assert!(done.contains(&ClusterInput::Stored { number: 1, outcome: StoreOutcome::Refused }));
}

#[test]
fn a_process_that_reads_too_late_learns_that() {
    let folder = Folder::new();
    let config = folder.config().options(SqliteOptions::new().max_len(3));
    let (mut a, b) = (Process::start(config, "a").unwrap(), folder.start("b"));
    let mut late = folder.start("late");
    let (after, _) = late.connected();
    drop(b);
    for text in ["1", "2", "3", "4", "5"] {
        let append = a.append(text);
        a.do_all([append]);
    }
    a.worker.sweep().unwrap();
    let read = late.try_all([read_after(after)]);
    assert!(matches!(read, Err(SqliteError::Outpaced)), "{read:?}");
    let mut again = folder.start("again");
    let entries: Vec<_> = again.read().into_iter().map(|(_, text)| text).collect();
    assert_eq!(entries, ["3", "4", "5"]);
}

#[test]
fn a_full_disk_and_a_read_only_file_undo_the_whole_transaction() {
    let folder = Folder::new();
    let mut a = folder.start("a");
    a.read();
    let database = |worker: &Worker, pragma: &str| {
        worker.file.database.0.execute_batch(pragma).unwrap();
    };
    let large = "x".repeat(100_000);
    let outputs = |a: &mut Process| [a.append("small"), a.append(&large)];

    database(&a.worker, "PRAGMA max_page_count = 20");
    let both = outputs(&mut a);
    assert!(matches!(a.try_all(both), Err(SqliteError::DiskFull)));
    database(&a.worker, "PRAGMA max_page_count = 100000; PRAGMA query_only = ON");
    let both = outputs(&mut a);
    assert!(matches!(a.try_all(both), Err(SqliteError::ReadOnly)));
    database(&a.worker, "PRAGMA query_only = OFF");
    let append = a.append("later");
    assert_eq!(texts(&a.do_all([append])), ["later"], "nothing of the others is there");
}

#[test]
#[cfg(unix)]
fn a_file_that_was_deleted_is_noticed_and_a_new_one_is_another_channel() {
    let folder = Folder::new();
    let mut a = folder.start("a");
    let (before, _) = a.connected();
    a.do_all([read_after(before)]);
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(folder.file(suffix)).unwrap();
    }
    assert!(matches!(a.worker.look(), Err(SqliteError::Replaced)));
    drop(a);
    let (after, _) = folder.start("a").connected();
    assert_ne!(before, after, "an offset of the old file says nothing here");
}

#[test]
fn a_file_of_someone_else_is_left_alone() {
    let folder = Folder::new();
    let path = folder.file("");
    let open = || OpenFile::open(&folder.config()).err();
    fs::write(&path, "some text, and not a database at all, and longer than a header".repeat(9))
        .unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(open(), Some(SqliteError::NotADatabase)));
    assert_eq!(fs::read(&path).unwrap(), before);

    let make = |script: &str| {
        fs::remove_file(&path).unwrap();
        rusqlite::Connection::open(&path).unwrap().execute_batch(script).unwrap();
    };
    make("CREATE TABLE other (x)");
    let error = open();
    assert!(matches!(error, Some(SqliteError::Schema(SchemaError::OtherApplication))), "{error:?}");
    make("PRAGMA application_id = 1397313360; PRAGMA user_version = 7; CREATE TABLE channel (x)");
    let error = open();
    let is_newer = matches!(error, Some(SqliteError::Schema(SchemaError::Newer { version: 7 })));
    assert!(is_newer, "{error:?}");
    assert!(OpenFile::open(&SqliteConfig::new(folder.0.join("no/folder/db"))).is_err());
}

/// Opens a copy. Returns why it was set aside, or the number of entries and the data of the session.
fn reopen(copy: &Folder) -> Result<Result<(usize, Option<String>), SetAsideReason>, SqliteError> {
    let told = Arc::<Mutex<Vec<SqliteEvent>>>::default();
    let tell = Arc::clone(&told);
    let config = copy.config().on_event(move |event| tell.lock().unwrap().push(event));
    let mut process = Process::start(config, "again")?;
    let entries = process.read();
    if let Some(SqliteEvent::SetAside { to, reason }) = told.lock().unwrap().pop() {
        assert!(entries.is_empty(), "a new file");
        assert!(Path::new(&to).exists(), "the old one is kept");
        return Ok(Err(reason));
    }
    for (number, (position, text)) in entries.iter().enumerate() {
        assert_eq!(*text, format!("entry {number} {}", "x".repeat(number % 97)));
        assert_eq!(position.to_string().split_once('-').unwrap().1, (number + 1).to_string());
    }
    let fetch = ClusterOutput::Fetch { key: key("S"), number: 1 };
    let session = fetched(&process.do_all([fetch])).remove(0).1;
    Ok(Ok((entries.len(), session)))
}

/// Opens the file, which must not be set aside.
pub(crate) fn reopened(folder: &Folder) -> OpenFile {
    OpenFile::open(&folder.config().on_event(|event| panic!("{event}"))).unwrap()
}

/// A folder as a killed process leaves it, with what it has told its server.
fn recorded() -> Folder {
    let folder = Folder::new();
    let mut a = folder.start("a");
    a.read();
    for number in 0..60 {
        let append = a.append(&format!("entry {number} {}", "x".repeat(number % 97)));
        a.do_all([append, store("S", &format!("after {number}"), 1)]);
        if number == 30 {
            a.worker.file.database.0.execute_batch("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
        }
    }
    let copy = folder.copy();
    assert_eq!(reopen(&copy.copy()).unwrap(), Ok((60, Some("after 59".into()))));
    copy
}

/// How many places of a file are tried.
const SAMPLES: usize = 30;

#[test]
fn a_wal_that_was_cut_anywhere_is_not_continued() {
    let whole = recorded();
    let len = fs::metadata(whole.file("-wal")).unwrap().len();
    let mut refused = 0;
    for sample in 0..SAMPLES as u64 {
        let at = len * sample / SAMPLES as u64 + sample % 7;
        let copy = whole.copy();
        let wal = fs::OpenOptions::new().write(true).open(copy.file("-wal")).unwrap();
        wal.set_len(at).unwrap();
        // The index of the WAL does not survive a restart of the system.
        fs::remove_file(copy.file("-shm")).ok();
        match reopen(&copy).unwrap() {
            Ok(kept) => assert_eq!(kept, (60, Some("after 59".into())), "cut at {at}"),
            Err(reason) => {
                let is_expected = matches!(
                    reason,
                    SetAsideReason::LostTransactions | SetAsideReason::Damaged { .. }
                );
                assert!(is_expected, "cut at {at}: {reason:?}");
                refused += 1;
            }
        }
    }
    assert!(refused > SAMPLES / 2, "only {refused} of {SAMPLES}");
}

#[test]
fn a_file_that_was_overwritten_anywhere_is_not_misread() {
    for suffix in ["", "-wal", "-tail", "-shm"] {
        let whole = recorded();
        let len = fs::read(whole.file(suffix)).unwrap().len();
        let (mut kept, mut refused) = (0, 0);
        for sample in 0..SAMPLES {
            let at = (len * sample / SAMPLES + sample * 13 % 61).min(len - 1);
            let copy = whole.copy();
            let path = copy.file(suffix);
            let mut bytes = fs::read(&path).unwrap();
            for byte in bytes.iter_mut().skip(at).take(1 + sample % 40) {
                *byte ^= 0x5a;
            }
            fs::write(&path, bytes).unwrap();
            match reopen(&copy) {
                Ok(Ok(whole)) => {
                    assert_eq!(whole, (60, Some("after 59".into())), "{suffix} at {at}");
                    kept += 1;
                }
                Ok(Err(_)) => refused += 1,
                Err(error) => {
                    // Where the file says what it is.
                    assert!(suffix.is_empty() && at < 100, "{suffix} at {at}: {error}");
                    refused += 1;
                }
            }
        }
        assert_eq!(kept + refused, SAMPLES);
        assert!(suffix == "-shm" || refused > 0, "{suffix}: {kept} kept, {refused} refused");
    }
}

#[test]
fn a_database_that_was_cut_is_set_aside() {
    let whole = recorded();
    let len = fs::metadata(whole.file("")).unwrap().len();
    for sample in 1..20 {
        let copy = whole.copy();
        let database = fs::OpenOptions::new().write(true).open(copy.file("")).unwrap();
        database.set_len(len * sample / 20).unwrap();
        match reopen(&copy) {
            Ok(Ok(kept)) => assert_eq!(kept, (60, Some("after 59".into()))),
            Ok(Err(_)) => {}
            Err(error) => assert!(matches!(error, SqliteError::NotADatabase), "{error}"),
        }
    }
}

/// The WAL has the latest transaction, but the sessions in the database are as they were before the
/// latest checkpoint: each of them as it was written, and none as its client knows it.
#[test]
fn a_database_from_before_the_checkpoint_is_not_continued_with_the_wal_from_after_it() {
    let folder = Folder::new();
    let mut a = folder.start("a");
    a.read();
    let checkpoint = |worker: &Worker| {
        let pragma = "PRAGMA wal_checkpoint(TRUNCATE)";
        worker.file.database.0.query_row(pragma, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    a.do_all([store("S", "before", 1)]);
    assert_eq!(checkpoint(&a.worker), 0);
    let early = folder.copy();
    a.do_all([store("S", "after", 2)]);
    assert_eq!(checkpoint(&a.worker), 0);
    let append = a.append("entry 0 ");
    a.do_all([append]);
    let whole = folder.copy();
    assert_eq!(reopen(&whole.copy()).unwrap(), Ok((1, Some("after".into()))));

    fs::copy(early.file(""), whole.file("")).unwrap();
    let ended = reopen(&whole).unwrap();
    assert!(matches!(ended, Err(SetAsideReason::Damaged { .. })), "{ended:?}");
}

/// SQLite begins an empty database anew, and deletes a WAL that it finds beside it.
#[test]
fn a_database_that_is_empty_is_set_aside_with_its_wal() {
    let lost = Ok(Err(SetAsideReason::LostTransactions));
    for has_wal in [true, false] {
        let copy = recorded();
        fs::write(copy.file(""), "").unwrap();
        if !has_wal {
            fs::remove_file(copy.file("-wal")).unwrap();
        }
        assert_eq!(reopen(&copy).map_err(|error| error.to_string()), lost, "{has_wal}");
        let names = fs::read_dir(&copy.0).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names = names.map(|name| name.into_string().unwrap());
        let is_kept = names.any(|name| name.contains("damaged") && name.ends_with("-wal"));
        assert_eq!(is_kept, has_wal);
    }
}

#[test]
fn an_earlier_copy_is_not_continued() {
    let folder = Folder::new();
    let mut a = folder.start("a");
    a.read();
    let early = folder.copy();
    let append = a.append("later");
    a.do_all([append]);
    a.end();
    for suffix in ["", "-wal", "-shm"] {
        fs::copy(early.file(suffix), folder.file(suffix)).unwrap();
    }
    assert_eq!(reopen(&folder).unwrap(), Err(SetAsideReason::LostTransactions));
}

#[test]
fn a_file_for_power_losses_waits_for_the_disk() {
    let folder = Folder::new();
    let config = folder.config().survives(Survives::PowerLoss);
    let level = |config| {
        let process = Process::start(config, "a").unwrap();
        let database = &process.worker.file.database.0;
        database.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(level(config), 2);
    assert_eq!(level(folder.config()), 1);
}

#[test]
#[cfg(unix)]
fn other_users_can_read_none_of_the_files() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new();
    let mut a = folder.start("a");
    a.read();
    for suffix in ["", "-wal", "-shm", "-tail", "-lock"] {
        let mode = fs::metadata(folder.file(suffix)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{suffix}");
    }
}
