//! What has to be done from time to time.

use std::{fs, io, ops::ControlFlow, path::Path};

use socketio_proto::cluster::engines::sqlite::{Sqlite, SqliteHead};

use crate::{
    clock::unix_ms, config::SqliteConfig, database::Database, error::SqliteError, file::Identity,
    paths::SOCKET, worker::Worker,
};

/// How often what has expired is deleted, in milliseconds.
const SWEEP_MS: u64 = 1_000;

impl Worker {
    /// Checks that the file is still there, and this process in it, finds the others, and deletes what has
    /// expired.
    pub(crate) fn keep_house(&mut self) -> Result<(), SqliteError> {
        let is_here = Identity::of(&self.config.path).is_ok_and(|it| it == self.file.identity);
        if !is_here {
            return Err(SqliteError::Replaced);
        }
        if !self.find_peers()? {
            // The others publish nothing for it any more.
            return Err(SqliteError::TakenForDead);
        }
        // If the clock was set, it is due as well.
        if unix_ms().abs_diff(self.swept) >= SWEEP_MS {
            self.sweep()?;
        }
        Ok(())
    }

    /// Finds the other processes. Says whether they find this one, too.
    pub(crate) fn find_peers(&mut self) -> Result<bool, SqliteError> {
        let (mut peers, mut is_here) = (Vec::new(), false);
        self.file.database.query(&Sqlite::processes(), |row| {
            let process = Sqlite::process(row)?;
            if process.id == self.process {
                is_here = true;
            } else {
                peers.push(process);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.peers.set(peers);
        Ok(is_here)
    }

    /// Wakes the other processes, and removes those that are dead.
    pub(crate) fn wake_peers(&mut self) -> Result<(), SqliteError> {
        let dead = self.peers.wake();
        if dead.is_empty() {
            return Ok(());
        }
        self.change(|worker, _| {
            for process in &dead {
                worker.file.database.execute(&Sqlite::leave(process.id))?;
                if is_socket_of(&worker.config.path, &process.socket) {
                    fs::remove_file(&*process.socket).ok();
                }
            }
            Ok(true)
        })?;
        self.find_peers()?;
        Ok(())
    }

    pub(crate) fn sweep(&mut self) -> Result<(), SqliteError> {
        let now = unix_ms();
        self.swept = now;
        self.change(|worker, head| {
            let (database, sqlite) = (&worker.file.database, &worker.file.sqlite);
            let mut sessions = 0;
            database.query(&Sqlite::sweep_sessions(now), |row| {
                head.note_session(Some(row), None)?;
                sessions += 1;
                Ok(ControlFlow::Continue(()))
            })?;
            let published = database.execute(&sqlite.sweep_published(head, now))?;
            Ok(worker.trim(head, now)? || sessions + published > 0)
        })
    }

    /// Changes something in a transaction of its own. It lasts if `body` says so.
    pub(crate) fn change(
        &mut self,
        body: impl FnOnce(&Self, &mut SqliteHead) -> Result<bool, SqliteError>,
    ) -> Result<(), SqliteError> {
        let database = &self.file.database;
        let changed = database.transaction("BEGIN IMMEDIATE", || {
            let mut head = database.head()?;
            let is_changed = body(self, &mut head)?;
            if is_changed {
                database.execute(&head.write())?;
            }
            Ok((is_changed.then_some(head), is_changed))
        })?;
        if let Some(head) = changed {
            self.file.tail.note(&head)?;
        }
        Ok(())
    }
}

/// Removes all processes and their sockets. For one that is alone: the others were killed.
pub(crate) fn remove_dead(config: &SqliteConfig, database: &Database) -> Result<(), SqliteError> {
    remove_sockets(&config.path)?;
    database
        .transaction("BEGIN IMMEDIATE", || Ok(((), database.execute(&Sqlite::leave_all())? > 0)))
}

/// Removes all sockets of a file, whatever the file itself says of them. For a process that is alone.
pub(crate) fn remove_sockets(database: &Path) -> io::Result<()> {
    let database = std::path::absolute(database)?;
    let Some(folder) = database.parent() else { return Ok(()) };
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_str().is_some_and(|socket| is_socket_of(&database, socket)) {
            fs::remove_file(path).ok();
        }
    }
    Ok(())
}

/// Whether it is the name of a socket, and not of something else that a damaged row names.
fn is_socket_of(database: &Path, socket: &str) -> bool {
    let name = database.file_name().and_then(|name| name.to_str());
    let socket = Path::new(socket);
    let found = socket.file_name().and_then(|name| name.to_str());
    let is_beside = std::path::absolute(database).is_ok_and(|it| it.parent() == socket.parent());
    let rest =
        name.zip(found).and_then(|(name, found)| found.strip_prefix(name)?.strip_prefix('-'));
    let number = rest.and_then(|rest| rest.strip_suffix(SOCKET));
    is_beside && number.is_some_and(is_number)
}

/// Whether it is a number as the name of a socket has it.
fn is_number(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{file::OpenFile, tests::Folder};

    /// Otherwise each SIGKILL would leave one for ever, if there is only one process at a time.
    #[test]
    fn a_process_that_is_alone_removes_the_sockets_of_those_that_were_killed() {
        let folder = Folder::new();
        let config = folder.config();
        let killed = OpenFile::open(&config).unwrap();
        let socket = folder.file("-0123456789abcdef.sock");
        let others = [folder.0.join("other.sock"), folder.file("-2-0123456789abcdef.sock")];
        for path in others.iter().chain([&socket]) {
            fs::write(path, "").unwrap();
            killed.database.number(&Sqlite::enter(path.to_str().unwrap())).unwrap();
        }
        drop(killed);

        let next = OpenFile::open(&config).unwrap();
        assert!(!socket.exists());
        assert!(others.iter().all(|it| it.exists()), "they are not those of this file");
        assert_eq!(next.database.row(&Sqlite::processes()).unwrap(), None);
    }

    /// The new file does not know them.
    #[test]
    fn a_file_that_is_set_aside_leaves_no_sockets() {
        let folder = Folder::new();
        let config = folder.config();
        let killed = OpenFile::open(&config).unwrap();
        let socket = folder.file("-0123456789abcdef.sock");
        fs::write(&socket, "").unwrap();
        killed.database.number(&Sqlite::enter(socket.to_str().unwrap())).unwrap();
        drop(killed);
        fs::remove_file(folder.file("-tail")).unwrap();
        drop(OpenFile::open(&config).unwrap());
        assert!(!socket.exists());
    }
}
