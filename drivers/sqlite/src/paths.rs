//! The names of the files, and who may read them.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io,
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

/// Opens or makes a file that no other user can read.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
