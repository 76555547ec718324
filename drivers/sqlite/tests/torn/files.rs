//! The files in a folder.

use std::fs;

pub(crate) use crate::folder::Folder;

impl Folder {
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
}
