//! Folders with a file and what is beside it.

use std::{fs, path::PathBuf};

use socketio_proto_tokio::entropy;

/// A folder that goes with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let mut random = [0; 8];
        entropy(&mut random);
        let name = format!("socketio-proto-torn-{:016x}", u64::from_le_bytes(random));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// The database, or a file beside it.
    pub fn file(&self, suffix: &str) -> PathBuf {
        self.0.join(format!("sessions.db{suffix}"))
    }

    /// What is in a file. Nothing if it is not there.
    pub fn read(&self, suffix: &str) -> Vec<u8> {
        fs::read(self.file(suffix)).unwrap_or_default()
    }

    pub fn write(&self, suffix: &str, bytes: &[u8]) {
        fs::write(self.file(suffix), bytes).unwrap();
    }

    pub fn remove(&self, suffix: &str) {
        fs::remove_file(self.file(suffix)).ok();
    }

    /// A copy. Nobody may write meanwhile.
    pub fn copy(&self) -> Self {
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
