//! What can go wrong with a file.

use std::io::{self, ErrorKind};

use rusqlite::ErrorCode;
use socketio_proto::{
    ConfigError,
    cluster::engines::sqlite::{SchemaError, SqliteRowError},
};
use thiserror::Error;

/// The file cannot be used, or cannot be used any more.
///
/// While the server runs, the driver tries again, and the server goes on without the file meanwhile:
/// see [`EngineStats`](socketio_proto_tokio::cluster::EngineStats).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// There is no space on the disk.
    #[error("the disk is full")]
    DiskFull,
    /// The file, or its folder, cannot be written.
    #[error("the file is read-only")]
    ReadOnly,
    /// Another process has locked the file for longer than five seconds.
    #[error("the file is locked by another process")]
    Locked,
    /// It is not a database of SQLite. It is left alone.
    #[error("the file is not a database")]
    NotADatabase,
    /// It is not a file of this version. It is left alone.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Its tables are of an earlier version, and other processes use it as it is. They have to end
    /// first: only a process that is alone changes the tables.
    #[error(
        "other processes use the file with version {version} of the tables: they have to end first"
    )]
    OlderInUse {
        /// The version in the file.
        version: i64,
    },
    /// It is damaged. When no process uses it, the next start sets it aside.
    #[error("the file is damaged: {what}")]
    Damaged {
        /// What is wrong, for a log.
        what: String,
    },
    /// It was deleted or replaced. The driver begins with what is there now.
    #[error("the file was deleted or replaced")]
    Replaced,
    /// This process reads so slowly that entries were deleted before.
    #[error("the channel was trimmed before it was read")]
    Outpaced,
    /// Another process could not wake this one, because its socket is gone, and took it for dead. The
    /// driver makes another socket.
    #[error("another process took this one for dead")]
    TakenForDead,
    /// An option cannot be used.
    #[error(transparent)]
    Options(#[from] ConfigError),
    /// The operating system refuses something.
    #[error(transparent)]
    Io(io::Error),
    /// SQLite refuses something.
    #[error(transparent)]
    Sqlite(rusqlite::Error),
    /// The thread of the file has panicked.
    #[error("the thread of the file has panicked")]
    Panicked,
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::NotADatabase) => Self::NotADatabase,
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { what: error.to_string() },
            _ => Self::Sqlite(error),
        }
    }
}

impl From<io::Error> for SqliteError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            ErrorKind::StorageFull => Self::DiskFull,
            _ => Self::Io(error),
        }
    }
}

impl From<SqliteRowError> for SqliteError {
    fn from(error: SqliteRowError) -> Self {
        Self::Damaged { what: error.to_string() }
    }
}
