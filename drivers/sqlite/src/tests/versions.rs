//! Files of other versions.

use rusqlite::Connection;

use super::{Folder, recorded, reopen, texts};
use crate::{
    SqliteError, Survives,
    database::Database,
    file::{OpenFile, migrate_to},
    tail::Tail,
};

/// A step to tables that a later version could have.
const COLUMN: &str = "ALTER TABLE entries ADD COLUMN later INTEGER NOT NULL DEFAULT 7";

fn version(folder: &Folder) -> i64 {
    let connection = Connection::open(folder.file("")).unwrap();
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

fn set_version(folder: &Folder, version: i64) {
    let connection = Connection::open(folder.file("")).unwrap();
    connection.pragma_update(None, "user_version", version).unwrap();
}

fn migrated(folder: &Folder, scripts: &[&str]) -> Result<(), SqliteError> {
    migrate_to(&Database(Connection::open(folder.file("")).unwrap()), scripts, 2)
}

#[test]
fn tables_of_an_earlier_version_are_changed_with_everything_in_them() {
    let folder = recorded();
    migrated(&folder, &[COLUMN, "UPDATE entries SET later = row"]).unwrap();
    assert_eq!(version(&folder), 2);
    let connection = Connection::open(folder.file("")).unwrap();
    let later: i64 =
        connection.query_row("SELECT sum(later) FROM entries", [], |row| row.get(0)).unwrap();
    assert_eq!(later, 60 * 61 / 2);
    drop(connection);
    let newer = OpenFile::open(&folder.config()).err().map(|error| error.to_string());
    let expected = "the file has version 2 of the tables, and this program knows 1";
    assert_eq!(newer.as_deref(), Some(expected));

    set_version(&folder, 1);
    assert_eq!(reopen(&folder).unwrap(), Ok((60, Some("after 59".into()))), "nothing is lost");
}

#[test]
fn a_change_of_the_tables_that_fails_changes_nothing() {
    let folder = recorded();
    let done = migrated(&folder, &[COLUMN, "UPDATE nothing SET later = row"]);
    assert!(matches!(done, Err(SqliteError::Sqlite(_))), "{done:?}");
    assert_eq!(version(&folder), 1);
    let connection = Connection::open(folder.file("")).unwrap();
    assert!(connection.prepare("SELECT later FROM entries").is_err());
    drop(connection);
    assert_eq!(reopen(&folder).unwrap(), Ok((60, Some("after 59".into()))));
}

/// Those that use it know the tables as they are.
#[test]
fn the_tables_are_not_changed_under_other_processes() {
    let folder = Folder::new();
    let mut a = folder.start("a");
    a.read();
    set_version(&folder, 0);
    let opened = OpenFile::open(&folder.config()).err();
    assert!(matches!(opened, Some(SqliteError::OlderInUse { version: 0 })), "{opened:?}");
    let append = a.append("1");
    assert_eq!(texts(&a.do_all([append])), ["1"]);
}

/// What version 1 has written, as SQL. A later version has to read it, too.
#[test]
fn a_file_of_version_1_is_continued() {
    let folder = Folder::new();
    let connection = Connection::open(folder.file("")).unwrap();
    connection.execute_batch(include_str!("version-1.sql")).unwrap();
    let database = Database(connection);
    let mut tail = Tail::open(&folder.file("")).unwrap();
    tail.begin(&database.head().unwrap(), Survives::ProcessCrash).unwrap();
    drop(database);
    assert_eq!(reopen(&folder).unwrap(), Ok((3, Some("after 2".into()))));
}
