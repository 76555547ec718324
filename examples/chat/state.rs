//! The file in which sessions wait for the next process.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Write as _},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};
use socketio_proto::hub::Snapshot;

/// What is kept of a socket, and given back when its client recovers.
#[derive(Clone, Default, Deserialize, Serialize)]
pub struct Visitor {
    pub name: String,
}

/// Where the file is.
pub struct State {
    path: PathBuf,
}

impl State {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Writes the file, completely or not at all. No other user can read it: a private id is enough to
    /// take over a session.
    pub fn save(&self, snapshot: &Snapshot<Visitor>) -> io::Result<()> {
        let mut unfinished = self.path.clone().into_os_string();
        unfinished.push(".new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut writer = BufWriter::new(options.open(&unfinished)?);
        serde_json::to_writer(&mut writer, snapshot)?;
        writer.flush()?;
        writer.get_ref().sync_all()?;
        fs::rename(unfinished, &self.path)
    }

    /// Reads the file and removes it: sessions can be continued only once.
    pub fn take(&self) -> Option<Snapshot<Visitor>> {
        match self.read() {
            Ok(snapshot) => Some(snapshot),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                eprintln!("the sessions of the last process are lost: {error}");
                None
            }
        }
    }

    fn read(&self) -> io::Result<Snapshot<Visitor>> {
        let file = File::open(&self.path)?;
        fs::remove_file(&self.path)?;
        Ok(serde_json::from_reader(BufReader::new(file))?)
    }
}
