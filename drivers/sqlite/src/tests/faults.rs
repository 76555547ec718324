//! What other programs do to a file that is in use.

use std::time::Duration;

use rusqlite::Connection;

use super::{Folder, news, reopen, texts};
use crate::{SetAsideReason, SqliteError};

#[test]
fn a_file_that_another_program_locks_is_written_when_it_is_free() {
    let folder = Folder::new();
    let mut a = folder.start("a");
    a.read();
    let patience = |process: &super::Process| {
        let database = &process.worker.file.database.0;
        database.query_row("PRAGMA busy_timeout", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(patience(&a), 5_000, "milliseconds");
    let other = Connection::open(folder.file("")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    a.worker.file.database.0.busy_timeout(Duration::ZERO).unwrap();
    let append = a.append("1");
    let locked = a.try_all([append]);
    assert!(matches!(locked, Err(SqliteError::Locked)), "{locked:?}");
    other.execute_batch("ROLLBACK").unwrap();
    let append = a.append("2");
    assert_eq!(texts(&a.do_all([append])), ["2"]);
}

#[test]
fn a_row_that_was_overwritten_under_its_process_is_told_to_nobody() {
    let folder = Folder::new();
    let (mut a, mut b) = (folder.start("a"), folder.start("b"));
    assert_eq!((a.read().len(), b.read().len()), (0, 0));
    for text in ["1", "2", "3"] {
        let append = a.append(text);
        a.do_all([append]);
    }
    let other = Connection::open(folder.file("")).unwrap();
    let overwrite = "UPDATE entries SET message = x'c0' WHERE row = 2";
    assert_eq!(other.execute(overwrite, []).unwrap(), 1);
    let looked = b.try_look();
    assert!(matches!(looked, Err(SqliteError::Damaged { .. })), "{looked:?}");
    assert_eq!(news(&b.inputs()), []);
    drop((a, b, other));
    let again = reopen(&folder).unwrap();
    assert!(matches!(again, Err(SetAsideReason::Damaged { .. })), "{again:?}");
}
