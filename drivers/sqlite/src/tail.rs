//! Recognises that a database has lost its latest transactions.
//!
//! A WAL that was cut is a valid WAL with fewer transactions, and SQLite opens it without a word. A
//! session would be continued that has forgotten something, or a position would be given twice. So the
//! number of transactions is also in a file of its own: before what a transaction has done is told to
//! anyone, each process writes it into a place of its own.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
};

use socketio_proto::cluster::engines::sqlite::SqliteHead;

use crate::{
    config::Survives,
    event::SetAsideReason,
    paths::{TAIL, beside, private_file},
};

/// Bytes of a place.
const LEN: usize = 40;
/// Places for processes. Two processes may share one: then it is less up to date.
const PLACES: u64 = 64;

/// What is in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    epoch: u64,
    commits: u64,
    /// Identifies the time since the operating system was started.
    boot: u64,
    flags: u64,
}

/// Everything was written to the disk.
const IS_CLEAN: u64 = 1;
/// Every transaction was.
const SURVIVES_POWER_LOSS: u64 = 2;

/// The file with the numbers.
pub(crate) struct Tail {
    file: File,
    place: u64,
    /// Called between any two changes of the file.
    #[cfg(test)]
    between: Option<Box<dyn FnMut() + Send>>,
}

impl Tail {
    /// Opens the file.
    pub(crate) fn open(database: &Path) -> io::Result<Self> {
        Ok(Self {
            file: private_file(&beside(database, TAIL))?,
            place: 1,
            #[cfg(test)]
            between: None,
        })
    }

    /// Whether nothing was ever written.
    pub(crate) fn is_empty(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() == 0)
    }

    /// Why a database that is at `head` cannot be continued. For a process that is alone.
    pub(crate) fn check(&mut self, head: &SqliteHead) -> io::Result<Option<SetAsideReason>> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.read_to_end(&mut bytes)?;
        let lost = Ok(Some(SetAsideReason::LostTransactions));
        let Some(first) = bytes.chunks(LEN).next().and_then(Place::read) else { return lost };
        let is_another_boot = first.boot != boot();
        if is_another_boot && first.flags == 0 {
            return Ok(Some(SetAsideReason::PowerLoss));
        }
        let is_behind = |place: &Place| place.epoch != head.epoch || place.commits > head.commits;
        let is_lost = |chunk: &[u8]| match Place::read(chunk) {
            Some(place) => is_behind(&place),
            // After a power loss, this file itself may be incomplete.
            None => !is_another_boot,
        };
        let is_used = |chunk: &&[u8]| chunk.iter().any(|byte| *byte != 0);
        if bytes.chunks(LEN).filter(is_used).any(is_lost) { lost } else { Ok(None) }
    }

    /// Begins with a database that is at `head`. For a process that is alone.
    pub(crate) fn begin(&mut self, head: &SqliteHead, survives: Survives) -> io::Result<()> {
        let flags = match survives {
            Survives::ProcessCrash => 0,
            Survives::PowerLoss => SURVIVES_POWER_LOSS,
        };
        self.write_alone(head, flags)
    }

    /// From now on, this process has this number.
    pub(crate) const fn enter(&mut self, process: u64) {
        self.place = process % PLACES + 1;
    }

    /// A transaction was committed. Call it before anyone learns of it.
    pub(crate) fn note(&mut self, head: &SqliteHead) -> io::Result<()> {
        self.write(self.place, head, 0)
    }

    /// The database is closed, at `head`, and is on the disk. For a process that is alone.
    pub(crate) fn close(&mut self, head: &SqliteHead) -> io::Result<()> {
        self.write_alone(head, IS_CLEAN)
    }

    /// Leaves the first place alone. The process may be killed in between, and a file without any place
    /// proves nothing: so the first one is written before the others are cut off.
    fn write_alone(&mut self, head: &SqliteHead, flags: u64) -> io::Result<()> {
        self.write(0, head, flags)?;
        #[cfg(test)]
        self.is_between();
        self.file.set_len(LEN as u64)?;
        #[cfg(test)]
        self.is_between();
        self.file.sync_all()
    }

    /// Whether the last process has closed the database.
    #[cfg(test)]
    pub(crate) fn is_clean(&mut self) -> bool {
        let mut bytes = [0; LEN];
        self.file.seek(SeekFrom::Start(0)).unwrap();
        self.file.read_exact(&mut bytes).unwrap();
        Place::read(&bytes).unwrap().flags & IS_CLEAN != 0
    }

    fn write(&mut self, place: u64, head: &SqliteHead, flags: u64) -> io::Result<()> {
        #[cfg(test)]
        self.is_between();
        let written = Place { epoch: head.epoch, commits: head.commits, boot: boot(), flags };
        self.file.seek(SeekFrom::Start(place * LEN as u64))?;
        self.file.write_all(&written.bytes())
    }

    /// A process may be killed here.
    #[cfg(test)]
    fn is_between(&mut self) {
        self.between.iter_mut().for_each(|between| between());
    }
}

impl Place {
    fn bytes(self) -> [u8; LEN] {
        let Self { epoch, commits, boot, flags } = self;
        let mut bytes = [0; LEN];
        let numbers = [epoch, commits, boot, flags, self.checksum()];
        for (part, number) in bytes.chunks_mut(8).zip(numbers) {
            part.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// `None` if it was not written so.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut numbers = bytes.chunks(8).filter_map(|part| part.try_into().ok());
        let mut next = || numbers.next().map(u64::from_le_bytes);
        let read = Self { epoch: next()?, commits: next()?, boot: next()?, flags: next()? };
        (next()? == read.checksum()).then_some(read)
    }

    /// FNV-1a of the numbers.
    fn checksum(self) -> u64 {
        let Self { epoch, commits, boot, flags } = self;
        fnv([epoch, commits, boot, flags].into_iter().flat_map(u64::to_le_bytes))
    }
}

/// Identifies the time since the operating system was started, where that is known.
fn boot() -> u64 {
    static BOOT: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *BOOT.get_or_init(|| fnv(fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default()))
}

fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::tests::Folder;

    impl Folder {
        fn open(&self) -> Tail {
            Tail::open(&self.file("")).unwrap()
        }

        fn rewrite(&self, change: impl FnOnce(&mut Vec<u8>)) {
            let path = self.file("-tail");
            let mut bytes = fs::read(&path).unwrap();
            change(&mut bytes);
            fs::write(path, bytes).unwrap();
        }
    }

    fn head(commits: u64) -> SqliteHead {
        let mut head = SqliteHead::new([7; 8]);
        head.commits = commits;
        head
    }

    const LOST: Option<SetAsideReason> = Some(SetAsideReason::LostTransactions);

    #[test]
    fn fewer_transactions_than_there_were_are_recognised() {
        let folder = Folder::new();
        let mut tail = folder.open();
        tail.begin(&head(3), Survives::ProcessCrash).unwrap();
        assert_eq!(tail.check(&head(3)).unwrap(), None);
        for (process, commits) in [(1, 5), (2, 9), (1, 6)] {
            tail.enter(process);
            tail.note(&head(commits)).unwrap();
        }
        let mut again = folder.open();
        assert_eq!(again.check(&head(8)).unwrap(), LOST);
        assert_eq!(again.check(&head(9)).unwrap(), None);
        assert_eq!(again.check(&head(10)).unwrap(), None, "committed, and not noted any more");
        let another = SqliteHead::new([8; 8]);
        assert_eq!(again.check(&another).unwrap(), LOST, "another file");
    }

    /// 5 of 72 kills while a file was opened had it set aside: it was emptied before it was written.
    #[test]
    fn a_process_that_is_killed_while_it_begins_or_ends_leaves_the_number_of_transactions() {
        let folder = Folder::new();
        let mut tail = folder.open();
        tail.begin(&head(3), Survives::ProcessCrash).unwrap();
        for process in 1..4 {
            tail.enter(process);
            tail.note(&head(3 + process)).unwrap();
        }
        let killed = Arc::<Mutex<Vec<_>>>::default();
        let (seen, path) = (Arc::clone(&killed), folder.file("-tail"));
        tail.between = Some(Box::new(move || seen.lock().unwrap().push(fs::read(&path).unwrap())));
        tail.begin(&head(6), Survives::ProcessCrash).unwrap();
        tail.enter(2);
        tail.note(&head(6)).unwrap();
        tail.close(&head(6)).unwrap();
        let killed = std::mem::take(&mut *killed.lock().unwrap());
        assert_eq!(killed.len(), 7, "each moment of the three");
        for bytes in killed {
            folder.rewrite(|all| all.clone_from(&bytes));
            assert_eq!(folder.open().check(&head(6)).unwrap(), None, "{bytes:?}");
            assert_eq!(folder.open().check(&head(5)).unwrap(), LOST);
        }
    }

    #[test]
    fn a_file_that_was_cut_or_overwritten_proves_nothing() {
        let folder = Folder::new();
        let mut tail = folder.open();
        assert_eq!(tail.check(&head(0)).unwrap(), LOST, "an empty file");
        tail.begin(&head(3), Survives::ProcessCrash).unwrap();
        tail.note(&head(4)).unwrap();
        let mut whole = Vec::new();
        folder.rewrite(|bytes| whole.clone_from(bytes));
        for at in 0..whole.len() {
            folder.rewrite(|bytes| bytes[at] ^= 0x10);
            let is_used = whole[at / LEN * LEN..][..LEN].iter().any(|byte| *byte != 0);
            assert!(is_used, "all places in between are used");
            assert_ne!(folder.open().check(&head(4)).unwrap(), None, "{at}");
            folder.rewrite(|bytes| bytes.clone_from(&whole));
        }
        assert_eq!(folder.open().check(&head(4)).unwrap(), None);
    }

    #[test]
    fn after_a_power_loss_only_what_was_on_the_disk_is_continued() {
        let folder = Folder::new();
        let mut tail = folder.open();
        // The operating system was started again: what was written says another time.
        let restart = |folder: &Folder| {
            folder.rewrite(|bytes| {
                for bytes in bytes.chunks_mut(LEN) {
                    let mut place = Place::read(bytes).unwrap();
                    place.boot ^= 1;
                    bytes.copy_from_slice(&place.bytes());
                }
            });
        };
        tail.begin(&head(3), Survives::ProcessCrash).unwrap();
        restart(&folder);
        let lost = Some(SetAsideReason::PowerLoss);
        assert_eq!(folder.open().check(&head(3)).unwrap(), lost);

        tail.begin(&head(3), Survives::PowerLoss).unwrap();
        restart(&folder);
        assert_eq!(folder.open().check(&head(3)).unwrap(), None);
        assert_eq!(folder.open().check(&head(2)).unwrap(), LOST);

        tail.close(&head(4)).unwrap();
        restart(&folder);
        assert_eq!(folder.open().check(&head(4)).unwrap(), None);
    }
}
