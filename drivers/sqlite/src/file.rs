//! Opens a file.

use std::{
    fs::{self, File, TryLockError},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use socketio_proto::cluster::engines::sqlite::{
    APPLICATION_ID, SCHEMA_VERSION, Sqlite, SqliteHead, count_tables, migrate,
};
use socketio_proto_tokio::entropy;

use crate::{
    check::check,
    clock::unix_ms,
    config::{SqliteConfig, Survives},
    database::Database,
    error::SqliteError,
    event::{SetAsideReason, SqliteEvent},
    housekeeping::{remove_dead, remove_sockets},
    paths::{LOCK, SUFFIXES, beside, private_file},
    tail::Tail,
};

/// How long a transaction waits for those of other processes.
const BUSY: Duration = Duration::from_secs(5);
/// How long to wait until another process has checked or closed the file.
const PAUSE: Duration = Duration::from_millis(10);
/// The WAL is cut back to this after a checkpoint.
const WAL_BYTES: i64 = 64 << 20;

/// A file that is open, and was checked.
pub(crate) struct OpenFile {
    pub(crate) database: Database,
    pub(crate) sqlite: Sqlite,
    pub(crate) tail: Tail,
    pub(crate) identity: Identity,
    /// Locked, shared with other processes, as long as the file is open.
    lock: File,
}

impl OpenFile {
    /// Opens the file, or makes it. A process that is alone checks everything in it first, and sets it
    /// aside if it cannot be continued.
    pub(crate) fn open(config: &SqliteConfig) -> Result<Self, SqliteError> {
        let sqlite = Sqlite::new(config.options.clone())?;
        let lock = private_file(&beside(&config.path, LOCK))?;
        let mut tail = Tail::open(&config.path)?;
        let (database, identity) = loop {
            if is_locked(lock.try_lock())? {
                let opened = open_alone(config, &sqlite, &mut tail)?;
                lock.lock_shared()?;
                break opened;
            }
            // Others use it, and the first of them has checked it.
            if is_locked(lock.try_lock_shared())? {
                break join(config)?;
            }
            // The first one checks it, or the last one closes it.
            thread::sleep(PAUSE);
        };
        Ok(Self { database, sqlite, tail, identity, lock })
    }

    /// Closes the file. The last process that does leaves everything on the disk.
    pub(crate) fn close(self, config: &SqliteConfig) -> Result<(), SqliteError> {
        let Self { database, mut tail, identity, lock, .. } = self;
        database.close()?;
        // Each process tries when its connection is closed and its own lock is given up. So of several
        // that close at the same time, one finds that it is alone.
        lock.unlock()?;
        let is_there = Identity::of(&config.path).is_ok_and(|now| now == identity);
        if is_locked(lock.try_lock())? && is_there {
            // Each of two connections that are closed at the same time leaves the WAL to the other.
            // The last one writes everything to the database file, and waits for the disk.
            let Connected { database, .. } = connect(config)?;
            let head = database.head()?;
            database.close()?;
            tail.close(&head)?;
        }
        Ok(())
    }
}

fn is_locked(result: Result<(), TryLockError>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Opens a file that other processes use.
fn join(config: &SqliteConfig) -> Result<(Database, Identity), SqliteError> {
    let Connected { database, is_new, version, scripts } = connect(config)?;
    if is_new {
        // It was deleted under the others. They will notice.
        make(&database, SqliteHead::new(random()))?;
    } else if !scripts.is_empty() {
        // The others know the tables as they are.
        return Err(SqliteError::OlderInUse { version });
    }
    database.head()?;
    Ok((database, Identity::of(&config.path)?))
}

fn open_alone(
    config: &SqliteConfig,
    sqlite: &Sqlite,
    tail: &mut Tail,
) -> Result<(Database, Identity), SqliteError> {
    let reason = match continued(config, sqlite, tail) {
        Ok(Ok(database)) => return Ok((database, Identity::of(&config.path)?)),
        Ok(Err(reason)) => reason,
        Err(SqliteError::Damaged { what }) => SetAsideReason::Damaged { what },
        Err(error) => return Err(error),
    };
    let to = set_aside(&config.path)?;
    remove_sockets(&config.path)?;
    config.tell(SqliteEvent::SetAside { to, reason });
    let Connected { database, .. } = connect(config)?;
    let head = make(&database, SqliteHead::new(random()))?;
    tail.begin(&head, config.survives)?;
    Ok((database, Identity::of(&config.path)?))
}

/// Continues the file, or says why it cannot be continued.
fn continued(
    config: &SqliteConfig,
    sqlite: &Sqlite,
    tail: &mut Tail,
) -> Result<Result<Database, SetAsideReason>, SqliteError> {
    if is_emptied(config, tail)? {
        return Ok(Err(SetAsideReason::LostTransactions));
    }
    let Connected { database, is_new, scripts, .. } = connect(config)?;
    let head = if is_new {
        make(&database, SqliteHead::new(random()))?
    } else {
        migrate_to(&database, scripts, SCHEMA_VERSION)?;
        let head = database.head()?;
        if let Some(reason) = tail.check(&head)? {
            return Ok(Err(reason));
        }
        check(&database, sqlite, &head)?;
        // Processes that have crashed did not leave.
        remove_dead(config, &database)?;
        head
    };
    tail.begin(&head, config.survives)?;
    Ok(Ok(database))
}

/// Whether there is nothing in the database any more. SQLite would begin it anew without a word, and
/// delete its WAL. If the database was deleted with its WAL, somebody wanted that.
fn is_emptied(config: &SqliteConfig, tail: &Tail) -> io::Result<bool> {
    let len = |suffix| match fs::metadata(beside(&config.path, suffix)) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let database = len("")?;
    if database.is_some_and(|len| len > 0) {
        return Ok(false);
    }
    let is_lost = len("-wal")?.is_some_and(|len| len > 0);
    Ok(is_lost || (database.is_some() && !tail.is_empty()?))
}

/// A connection to a file of this version, of an earlier one, or with nothing in it.
struct Connected {
    database: Database,
    /// Whether there are no tables yet.
    is_new: bool,
    /// The version of its tables.
    version: i64,
    /// What makes those of this version of them.
    scripts: &'static [&'static str],
}

/// Opens a connection. It changes nothing in the file of another program, or of a later version.
fn connect(config: &SqliteConfig) -> Result<Connected, SqliteError> {
    // Nobody else may read it: a private id is enough to take over a session.
    private_file(&config.path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&config.path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    let database = Database(connection);
    // Another process may make the tables at this moment: all three are of the same one.
    let (application_id, version, tables) = database.transaction("BEGIN", || {
        let number = |pragma| database.0.query_row(pragma, [], |row| row.get::<_, i64>(0));
        let (id, version) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
        Ok(((id, version, database.number(&count_tables())?.unwrap_or(0)), false))
    })?;
    let scripts = migrate(application_id, version, tables)?;
    // What belongs to another program was not changed so far.
    database.0.execute_batch("PRAGMA cell_size_check = ON; PRAGMA journal_mode = WAL;")?;
    database.0.pragma_update(None, "journal_size_limit", WAL_BYTES)?;
    let synchronous = match config.survives {
        Survives::ProcessCrash => "NORMAL",
        Survives::PowerLoss => "FULL",
    };
    database.0.pragma_update(None, "synchronous", synchronous)?;
    Ok(Connected { database, is_new: tables == 0, version, scripts })
}

/// Makes the tables, unless another process has.
fn make(database: &Database, mut head: SqliteHead) -> Result<SqliteHead, SqliteError> {
    database.transaction("BEGIN IMMEDIATE", || {
        if database.number(&count_tables())?.is_some_and(|tables| tables > 0) {
            return Ok((database.head()?, false));
        }
        run_scripts(database, migrate(0, 0, 0)?, SCHEMA_VERSION)?;
        database.execute(&head.write())?;
        Ok((head, true))
    })
}

/// Makes the tables of this version of those of an earlier one. For a process that is alone.
pub(crate) fn migrate_to(
    database: &Database,
    scripts: &[&str],
    version: i64,
) -> Result<(), SqliteError> {
    if scripts.is_empty() {
        return Ok(());
    }
    database.transaction("BEGIN IMMEDIATE", || {
        run_scripts(database, scripts, version)?;
        Ok(((), true))
    })
}

fn run_scripts(database: &Database, scripts: &[&str], version: i64) -> Result<(), SqliteError> {
    for script in scripts {
        database.0.execute_batch(script)?;
    }
    database.0.pragma_update(None, "application_id", APPLICATION_ID)?;
    database.0.pragma_update(None, "user_version", version)?;
    Ok(())
}

/// Renames the files of SQLite. Returns the new name.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut number = unix_ms();
    let to = loop {
        let to = beside(path, &format!(".damaged-{number}"));
        if !to.try_exists()? {
            break to;
        }
        number += 1;
    };
    // The database last: without it, the others mean nothing.
    for suffix in SUFFIXES.iter().rev() {
        match fs::rename(beside(path, suffix), beside(&to, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(to)
}

fn random() -> [u8; 8] {
    let mut random = [0; 8];
    entropy(&mut random);
    random
}

/// Tells a file from another of the same name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

impl Identity {
    #[cfg(unix)]
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;

        let metadata = fs::metadata(path)?;
        Ok(Self(metadata.dev(), metadata.ino()))
    }

    /// A file that is open cannot be replaced.
    #[cfg(not(unix))]
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path)?;
        Ok(Self(0, 0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::tests::Folder;

    /// Otherwise everything in it would be given up when the machine starts again.
    #[test]
    fn processes_that_close_it_at_the_same_moment_leave_it_in_order() {
        for _ in 0..30 {
            let folder = Folder::new();
            let config = folder.config();
            let files = [(); 3].map(|()| OpenFile::open(&config).unwrap());
            assert!(folder.file("-wal").exists());
            let barrier = Barrier::new(files.len());
            thread::scope(|scope| {
                for file in files {
                    scope.spawn(|| {
                        barrier.wait();
                        file.close(&config).unwrap();
                    });
                }
            });
            assert!(!folder.file("-wal").exists());
            assert!(Tail::open(&config.path).unwrap().is_clean());
        }
    }
}
