//! The statements on a real SQLite, in memory.

use alloc::{format, string::String, vec, vec::Vec};
use core::time::Duration;

use bytes::Bytes;
use rusqlite::{
    Connection, ToSql,
    types::{ToSqlOutput, Value as Owned, ValueRef},
};

use super::*;
use crate::{
    RecoveryKey, SocketId,
    cluster::message::{
        Body, BroadcastOptions, ClusterBroadcast, Message, MessageError, NodeId, StoredSession,
        Value,
    },
    recovery::Offset,
    socket::{Event, NamespaceName},
};

const NOW: u64 = 1_700_000_000_000;
const RANDOM: [u8; 8] = [1, 2, 3, 4, 0, 0, 0, 0];
const EPOCH: u64 = 4;

impl ToSql for SqliteValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

struct File(Connection);

impl File {
    fn new() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        for script in migrate(0, 0, 0).unwrap() {
            connection.execute_batch(script).unwrap();
        }
        let file = Self(connection);
        assert_eq!(Sqlite::number(&file.run(&count_tables())[0]), Ok(6), "with sqlite_sequence");
        file.run(&SqliteHead::new(RANDOM).write());
        file
    }

    fn run(&self, statement: &SqliteStatement) -> Vec<Vec<SqliteValue>> {
        let mut prepared = self.0.prepare(statement.sql()).unwrap();
        let columns = prepared.column_count();
        let rows = prepared
            .query_map(rusqlite::params_from_iter(statement.parameters()), |row| {
                (0..columns).map(|column| row.get(column).map(value)).collect()
            })
            .unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    fn head(&self) -> SqliteHead {
        let rows = self.run(&SqliteHead::read());
        assert_eq!(rows.len(), 1);
        SqliteHead::from_row(&rows[0]).unwrap()
    }

    fn append(&self, sqlite: &Sqlite, now: u64, text: &str) -> Offset {
        let mut head = self.head();
        self.run(&sqlite.append(&mut head, now, &news(text)).unwrap());
        self.run(&head.write());
        head.latest()
    }

    fn trim(&self, sqlite: &Sqlite, now: u64) -> SqliteHead {
        let mut head = self.head();
        let rows = self.run(&sqlite.first_kept(&head, now));
        let first_kept = rows.first().map(|row| Sqlite::number(row).unwrap());
        if let Some(delete) = Sqlite::trim(&mut head, first_kept) {
            self.run(&delete);
            self.run(&head.write());
        }
        head
    }

    fn entries(&self, sqlite: &Sqlite, after: u64) -> Result<Vec<SqliteEntry>, SqliteRowError> {
        let (head, mut after) = (self.head(), after);
        let mut entries = Vec::new();
        for row in self.run(&Sqlite::read(after)) {
            let entry = sqlite.entry(&head, after, &row)?;
            after = entry.row;
            entries.push(entry);
        }
        Ok(entries)
    }
}

fn value(value: Owned) -> SqliteValue {
    match value {
        Owned::Integer(number) => SqliteValue::Integer(number),
        Owned::Text(text) => SqliteValue::Text(text.into()),
        Owned::Blob(bytes) => SqliteValue::Blob(bytes.into()),
        Owned::Null | Owned::Real(_) => SqliteValue::Null,
    }
}

fn sqlite() -> Sqlite {
    Sqlite::new(SqliteOptions::new()).unwrap()
}

fn news(text: &str) -> Message {
    let broadcast =
        ClusterBroadcast::new(BroadcastOptions::all(), Event::new("news", &(text,)).unwrap());
    let node = NodeId::new("f0aebfa2cd17e8df").unwrap();
    Message::new(node, NamespaceName::ROOT, Body::Broadcast(broadcast))
}

/// What was read keeps its bytes, and what is made its values: they are compared as bytes.
fn is_news(read: &Result<Message, MessageError>, text: &str) -> bool {
    read.as_ref().is_ok_and(|read| read.to_msgpack() == news(text).to_msgpack())
}

fn session(pid: &str) -> StoredSession {
    let sid = SocketId::parse("bhZwQSdakf0anWUIAAAA").unwrap();
    let data = Value::new(&("x", Bytes::from_static(b"\0\xff"))).unwrap();
    StoredSession::new(sid, key(pid), vec!["r1".into()], data)
}

fn key(pid: &str) -> RecoveryKey {
    RecoveryKey::parse(&format!("{pid:A>20}")).unwrap()
}

#[test]
fn entries_come_back_in_order_with_their_positions() {
    let (file, sqlite) = (File::new(), sqlite());
    assert_eq!(file.head().latest(), Offset::pair(EPOCH, 0));
    for text in ["a", "b", "c"] {
        file.append(&sqlite, NOW, text);
    }
    let read = file.entries(&sqlite, 1).unwrap();
    let positions: Vec<_> = read.iter().map(|entry| entry.position).collect();
    assert_eq!(positions, [Offset::pair(EPOCH, 2), Offset::pair(EPOCH, 3)]);
    assert!(is_news(&read[0].message, "b") && is_news(&read[1].message, "c"));
}

#[test]
fn the_channel_is_trimmed_by_number_size_and_age_and_keeps_the_latest() {
    let file = File::new();
    let sqlite = Sqlite::new(SqliteOptions::new().max_len(3)).unwrap();
    for second in 0..10 {
        file.append(&sqlite, NOW + second * 1000, "news");
    }
    let head = file.trim(&sqlite, NOW + 9_000);
    assert_eq!((head.trimmed, head.head), (7, 10));
    assert_eq!(file.entries(&sqlite, 7).unwrap().len(), 3);
    assert_eq!(file.run(&Sqlite::read(0)).len(), 3, "the others are deleted");

    let len = file.entries(&sqlite, 7).unwrap()[0].len as u64;
    let small = Sqlite::new(SqliteOptions::new().max_bytes(2 * len)).unwrap();
    assert_eq!(file.trim(&small, NOW + 9_000).trimmed, 8);

    let short = Sqlite::new(SqliteOptions::new().max_age(Duration::from_millis(500))).unwrap();
    assert_eq!(file.trim(&short, NOW + 9_000).trimmed, 9);
    assert_eq!(file.trim(&short, NOW + 60_000).trimmed, 9, "the latest one stays");
    assert_eq!(file.head().oldest(), Offset::pair(EPOCH, 9));
    assert_eq!(file.append(&sqlite, NOW, "more"), Offset::pair(EPOCH, 11), "no row twice");
}

#[test]
fn only_what_can_be_read_completely_is_a_place_to_read_from() {
    let mut head = SqliteHead::new(RANDOM);
    (head.trimmed, head.head) = (5, 9);
    assert_eq!(head.row_of(Offset::pair(EPOCH, 5)), Some(5));
    assert_eq!(head.row_of(Offset::pair(EPOCH, 9)), Some(9));
    for (epoch, row) in [(EPOCH, 4), (EPOCH, 10), (EPOCH + 1, 7), (EPOCH - 1, 7)] {
        assert_eq!(head.row_of(Offset::pair(epoch, row)), None, "{epoch}-{row}");
    }
    assert_eq!(head.row_of(Offset::object_id([0; 12])), None);
}

#[test]
fn a_session_is_replaced_fetched_and_taken_once() {
    let (file, sqlite) = (File::new(), sqlite());
    let read = |now, statement: &SqliteStatement| {
        let row = file.run(statement).into_iter().next()?;
        sqlite.session(now, &row).unwrap()
    };
    let mut stored = session("A");
    file.run(&sqlite.store(NOW, &stored, Duration::from_secs(5), None).unwrap());
    stored.rooms.push("r2".into());
    file.run(&sqlite.store(NOW, &stored, Duration::from_secs(9), None).unwrap());

    let fetched = read(NOW + 1000, &Sqlite::fetch(&key("A"))).unwrap();
    assert_eq!(fetched.session, Ok(stored.clone()));
    assert_eq!(fetched.expires_in, Duration::from_secs(8));
    assert_eq!(read(NOW + 9000, &Sqlite::fetch(&key("A"))), None, "it has expired");
    assert_eq!(read(NOW, &Sqlite::fetch(&key("B"))), None);

    assert_eq!(read(NOW, &Sqlite::take(&key("A"), None)).unwrap().session, Ok(stored));
    assert_eq!(read(NOW, &Sqlite::take(&key("A"), None)), None, "the second one gets nothing");
}

#[test]
fn sessions_expire() {
    let (file, sqlite) = (File::new(), sqlite());
    for (pid, seconds) in [("A", 1), ("B", 2), ("C", 3)] {
        let expires_in = Duration::from_secs(seconds);
        file.run(&sqlite.store(NOW, &session(pid), expires_in, None).unwrap());
    }
    file.run(&Sqlite::take(&key("C"), None));
    file.run(&Sqlite::sweep_sessions(NOW + 1000));
    let left = file.run(&Sqlite::all_sessions());
    assert_eq!(left.len(), 1);
    let left = sqlite.session(NOW, &left[0]).unwrap().unwrap();
    assert_eq!(left.session, Ok(session("B")));
}

/// Each row of an earlier moment is as it was written. That it is not the latest is known by the sum.
#[test]
fn the_head_knows_the_sum_of_all_sessions() {
    let (file, sqlite) = (File::new(), sqlite());
    let mut head = file.head();
    let store = |head: &mut SqliteHead, pid: &str, seconds: u64, replaces| {
        let statement = sqlite.store(NOW, &session(pid), Duration::from_secs(seconds), replaces);
        let before = file.run(&Sqlite::stored(&key(pid)));
        let after = file.run(&statement.unwrap());
        if let Some(after) = after.first() {
            head.note_session(before.first().map(Vec::as_slice), Some(after)).unwrap();
        }
        head.sessions
    };
    let sum = || {
        let mut found = SqliteHead::new(RANDOM);
        for row in file.run(&Sqlite::all_sessions()) {
            found.note_session(None, Some(&row)).unwrap();
        }
        found.sessions
    };
    assert_ne!(store(&mut head, "A", 1, None), 0);
    let once = store(&mut head, "B", 5, None);
    let later = store(&mut head, "B", 6, None);
    assert_ne!(once, later);
    assert_eq!(store(&mut head, "B", 7, Some(3)), later, "there is no such version");
    assert_eq!(sum(), later);
    file.run(&head.write());
    assert_eq!(file.head(), head, "all 64 bits of it");

    for statement in [Sqlite::sweep_sessions(NOW + 1000), Sqlite::take(&key("B"), None)] {
        let removed = file.run(&statement);
        head.note_session(Some(&removed[0]), None).unwrap();
        assert_eq!((removed.len(), head.sessions), (1, sum()));
    }
    assert_eq!(head.sessions, 0);
    let row = [SqliteValue::Null, SqliteValue::Null];
    assert_eq!(head.note_session(Some(&row), None), Err(SqliteRowError::Shape));
}

#[test]
fn published_messages_are_read_by_the_others_and_are_gone_soon() {
    let (file, sqlite) = (File::new(), sqlite());
    let process = |socket: &str| Sqlite::number(&file.run(&Sqlite::enter(socket))[0]).unwrap();
    let (first, second) = (process("one"), process("two"));
    let node = NodeId::new("b0aebfa2cd17e8df").unwrap();
    let mut head = file.head();
    for to in [None, Some(&node)] {
        let message = (to, &news("now"));
        file.run(&sqlite.publish(&mut head, NOW, first, message).unwrap());
    }
    let rows = file.run(&Sqlite::read_published(0));
    let read: Vec<_> = rows.iter().map(|row| sqlite.published(row).unwrap()).collect();
    assert_eq!(read.iter().map(|it| it.row).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((read[0].process, &read[0].node), (first, &None));
    assert_eq!(read[1].node.as_deref(), Some(node.as_str()));
    assert!(is_news(&read[1].message, "now"));

    file.run(&sqlite.sweep_published(&head, NOW + 10_000));
    assert_eq!(file.run(&Sqlite::read_published(0)).len(), 2);
    file.run(&sqlite.sweep_published(&head, NOW + 10_001));
    assert_eq!(file.run(&Sqlite::read_published(0)).len(), 0);

    file.run(&Sqlite::leave(first));
    let rows = file.run(&Sqlite::processes());
    let left = Sqlite::process(&rows[0]).unwrap();
    assert_eq!((rows.len(), left.id, &*left.socket), (1, second, "two"));
    file.run(&Sqlite::leave(second));
    assert!(process("three") > second, "no number twice");
}

#[test]
fn too_many_published_messages_lose_the_oldest() {
    let file = File::new();
    let sqlite = Sqlite::new(SqliteOptions::new().published_len(2)).unwrap();
    let mut head = file.head();
    for _ in 0..5 {
        file.run(&sqlite.publish(&mut head, NOW, 1, (None, &news("now"))).unwrap());
    }
    file.run(&sqlite.sweep_published(&head, NOW));
    let rows = file.run(&Sqlite::read_published(0));
    let rows: Vec<_> = rows.iter().map(|row| sqlite.published(row).unwrap().row).collect();
    assert_eq!(rows, [4, 5]);
}

/// Changes one byte at a time of what is in the file.
#[test]
fn what_was_overwritten_is_not_misread() {
    let (file, sqlite) = (File::new(), sqlite());
    for text in ["a", "b", "c"] {
        file.append(&sqlite, NOW, text);
    }
    file.run(&sqlite.store(NOW, &session("A"), Duration::from_secs(5), None).unwrap());
    let damage = |statement: &str| {
        let savepoint = String::from("SAVEPOINT damage; ") + statement;
        file.0.execute_batch(&savepoint).unwrap();
        let head = file.run(&SqliteHead::read());
        let head = SqliteHead::from_row(&head[0]);
        let entries = head.and_then(|_| file.entries(&sqlite, 0));
        let stored = file.run(&Sqlite::fetch(&key("A")));
        let stored = stored.first().map(|row| sqlite.session(NOW, row));
        file.0.execute_batch("ROLLBACK TO damage").unwrap();
        (entries.err(), stored.and_then(Result::err))
    };
    assert_eq!(damage(""), (None, None));
    let len = file.run(&Sqlite::read(1))[0][4].as_blob().unwrap().len();
    let mut overwritten = 0;
    for at in 1..=len {
        let overwrite = format!(
            "UPDATE entries SET message =
             CAST(substr(message, 1, {at} - 1) || x'7f' || substr(message, {at} + 1) AS BLOB)
             WHERE row = 2 AND substr(message, {at}, 1) <> x'7f'"
        );
        let (entries, _) = damage(&overwrite);
        let is_same = file.0.changes() == 0;
        assert!(is_same || entries == Some(SqliteRowError::Checksum), "{at}: {entries:?}");
        overwritten += usize::from(!is_same);
    }
    assert_eq!(overwritten, len, "no byte of it was 7f before");
    for field in ["bytes = bytes + 1", "at = at + 1", "checksum = checksum + 1"] {
        let (entries, _) = damage(&format!("UPDATE entries SET {field} WHERE row = 2"));
        assert_eq!(entries, Some(SqliteRowError::Checksum), "{field}");
    }
    let (entries, _) = damage("DELETE FROM entries WHERE row = 2");
    assert_eq!(entries, Some(SqliteRowError::Missing));
    for field in
        ["epoch", "head", "trimmed", "bytes", "published", "commits", "sessions", "checksum"]
    {
        let (entries, _) = damage(&format!("UPDATE channel SET {field} = {field} + 1"));
        assert_eq!(entries, Some(SqliteRowError::Checksum), "{field}");
    }
    for field in ["expires = expires + 1", "session = x'80'", "checksum = checksum + 1"] {
        let (_, stored) = damage(&format!("UPDATE sessions SET {field}"));
        assert_eq!(stored, Some(SqliteRowError::Checksum), "{field}");
    }
    // A private id that became another one must not give the session away.
    file.run(&sqlite.store(NOW, &session("B"), Duration::from_secs(5), None).unwrap());
    let other = key("C");
    let change = format!("UPDATE sessions SET pid = '{}' WHERE pid LIKE '%B'", other.expose());
    file.0.execute_batch(&change).unwrap();
    let row = file.run(&Sqlite::fetch(&other));
    assert_eq!(sqlite.session(NOW, &row[0]), Err(SqliteRowError::Checksum));
}

#[test]
fn what_is_too_large_is_not_written() {
    let (file, sqlite) = (File::new(), Sqlite::new(SqliteOptions::new().max_message_bytes(60)));
    let sqlite = sqlite.unwrap();
    let mut head = file.head();
    let refused = Err(MessageError::TooLarge { limit: 60 });
    assert_eq!(sqlite.append(&mut head, NOW, &news(&"x".repeat(60))), refused);
    let publish = (None, &news(&"x".repeat(60)));
    assert_eq!(sqlite.publish(&mut head, NOW, 1, publish), refused);
    assert_eq!(sqlite.store(NOW, &session("A"), Duration::from_secs(1), None), refused);
    assert_eq!(head, file.head(), "no row is used up");
}

#[test]
fn rows_of_other_shapes_are_refused() {
    let (sqlite, head) = (sqlite(), SqliteHead::new(RANDOM));
    let rows = [vec![], vec![SqliteValue::Null; 3], vec![SqliteValue::Null; 4], {
        vec![SqliteValue::Null; 5]
    }];
    for row in &rows {
        assert_eq!(sqlite.entry(&head, 0, row), Err(SqliteRowError::Shape));
        assert_eq!(sqlite.session(NOW, row), Err(SqliteRowError::Shape));
        assert_eq!(sqlite.published(row), Err(SqliteRowError::Shape));
        assert_eq!(SqliteHead::from_row(row), Err(SqliteRowError::Shape));
        assert_eq!(Sqlite::process(row), Err(SqliteRowError::Shape));
        assert_eq!(Sqlite::number(row), Err(SqliteRowError::Shape));
    }
}

#[test]
fn options_without_meaning_are_refused() {
    let options = SqliteOptions::new;
    for options in [
        options().max_len(0),
        options().max_bytes(0),
        options().max_age(Duration::ZERO),
        options().published_len(0),
        options().published_age(Duration::ZERO),
        options().max_message_bytes(0),
    ] {
        assert!(Sqlite::new(options).is_err());
    }
}
