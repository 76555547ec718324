//! Folders for a file and what is beside it.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use socketio_proto_tokio::entropy;

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        Self::in_folder(&env::temp_dir())
    }

    pub(crate) fn in_folder(parent: &Path) -> Self {
        let mut random = [0; 8];
        entropy(&mut random);
        let name = format!("socketio-proto-sqlite-{:016x}", u64::from_le_bytes(random));
        let path = parent.join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// The database, or a file beside it.
    pub(crate) fn file(&self, suffix: &str) -> PathBuf {
        self.0.join(format!("sessions.db{suffix}"))
    }

    /// A copy of the files as they are at this moment: what a process that was killed leaves behind.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        for entry in fs::read_dir(&self.0).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), copy.0.join(entry.file_name())).unwrap();
            }
        }
        copy
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
