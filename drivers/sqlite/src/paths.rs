//! The names of the files.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// A file beside the database: its name begins with that of the database.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(database.as_os_str());
    name.push(suffix);
    name.into()
}

/// The files of SQLite itself.
pub(crate) const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];
/// Locked by all processes that use the database.
pub(crate) const LOCK: &str = "-lock";
/// How the names of the sockets end that wake processes.
pub(crate) const SOCKET: &str = ".sock";
/// How many transactions there were.
pub(crate) const TAIL: &str = "-tail";
