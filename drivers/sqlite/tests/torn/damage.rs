//! How files are damaged.

use std::ops::Range;

use crate::{files::Folder, story::Story};

/// Bytes of a page of the database, and of a sector of a disk.
const PAGE: usize = 4096;
const SECTOR: usize = 512;
/// Bytes of the header of a WAL, and of the header of each page in it.
const WAL_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Everything that a killed server leaves behind.
const FILES: [&str; 4] = ["", "-wal", "-tail", "-shm"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The end of a file is missing.
    Cut(&'static str),
    /// One bit is another one.
    Bit(&'static str),
    /// Some bytes are others.
    Overwritten(&'static str),
    /// A page, or a sector, is empty.
    Zeroed(&'static str),
    /// A page of the database is as it was earlier.
    EarlierPage,
    /// The database, its WAL and its index are of different moments.
    Mixed,
    /// Files are missing.
    Missing,
    /// There is something behind the end.
    Longer,
}

impl Kind {
    /// Whether nothing is lost: SQLite makes the index of the WAL anew.
    pub fn keeps_all(self) -> bool {
        matches!(self, Self::Cut("-shm") | Self::Bit("-shm") | Self::Overwritten("-shm"))
            || matches!(self, Self::Zeroed("-shm") | Self::Longer)
    }
}

type Change = Box<dyn Fn(&Folder, &Story) + Send + Sync>;

/// One way to damage the files.
pub struct Case {
    pub kind: Kind,
    pub name: String,
    change: Change,
}

impl Case {
    pub fn damage(&self, folder: &Folder, story: &Story) {
        (self.change)(folder, story);
    }
}

/// Numbers that look random: `splitmix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit.max(1) as u64).unwrap()
    }
}

/// The ways to damage the files of this story.
pub fn cases(story: &Story, seed: u64) -> Vec<Case> {
    let mut list = List { cases: Vec::new(), random: Random(seed), story };
    for suffix in FILES {
        list.cut(suffix);
        list.bits(suffix);
        list.overwritten(suffix);
        list.zeroed(suffix);
    }
    list.earlier_pages();
    list.mixed();
    list.missing();
    list.longer();
    list.cases
}

struct List<'a> {
    cases: Vec<Case>,
    random: Random,
    story: &'a Story,
}

impl List<'_> {
    fn add(
        &mut self,
        kind: Kind,
        name: &str,
        change: impl Fn(&Folder, &Story) + Send + Sync + 'static,
    ) {
        self.cases.push(Case { kind, name: format!("{kind:?} {name}"), change: Box::new(change) });
    }

    /// Changes the bytes of a file.
    fn rewrite(
        &mut self,
        (kind, suffix): (Kind, &'static str),
        name: &str,
        change: impl Fn(&mut Vec<u8>) + Send + Sync + 'static,
    ) {
        self.add(kind, name, move |folder, _| {
            let mut bytes = folder.read(suffix);
            change(&mut bytes);
            folder.write(suffix, &bytes);
        });
    }

    fn len(&self, suffix: &str) -> usize {
        self.story.last.read(suffix).len()
    }

    /// Places in a file, one in each of so many parts of the same size.
    fn places(&mut self, suffix: &str, parts: usize) -> Vec<usize> {
        let len = self.len(suffix);
        // The index of the WAL is made anew in any case.
        let parts = if suffix == "-shm" { parts / 3 } else { parts };
        let part = |number| len * number / parts..len * (number + 1) / parts;
        (0..parts).map(|it| part(it).start + self.random.below(part(it).len())).collect()
    }

    fn cut(&mut self, suffix: &'static str) {
        let kind = Kind::Cut(suffix);
        for place in self.places(suffix, 12) {
            self.rewrite((kind, suffix), &format!("at {place}"), move |it| it.truncate(place));
        }
        let edges: &[usize] = match suffix {
            "" => &[0, PAGE, 100],
            "-wal" => &[0, WAL_HEADER, WAL_HEADER + FRAME_HEADER + PAGE],
            _ => &[0],
        };
        for place in edges {
            self.rewrite((kind, suffix), &format!("at {place}"), |it| it.truncate(*place));
        }
    }

    fn bits(&mut self, suffix: &'static str) {
        for place in self.places(suffix, 12) {
            let bit = self.random.below(8);
            let name = format!("{bit} of byte {place}");
            self.rewrite((Kind::Bit(suffix), suffix), &name, move |it| it[place] ^= 1 << bit);
        }
    }

    fn overwritten(&mut self, suffix: &'static str) {
        for place in self.places(suffix, 12) {
            let (len, byte) = (1 + self.random.below(64), 1 + self.random.below(255));
            let name = format!("{len} bytes at {place} with {byte}");
            self.rewrite((Kind::Overwritten(suffix), suffix), &name, move |it| {
                let byte = u8::try_from(byte).unwrap();
                it.iter_mut().skip(place).take(len).for_each(|it| *it ^= byte);
            });
        }
    }

    fn zeroed(&mut self, suffix: &'static str) {
        let mut ranges = Vec::<Range<usize>>::new();
        for place in self.places(suffix, 8) {
            let start = place / SECTOR * SECTOR;
            ranges.push(start..start + SECTOR);
        }
        let pages = self.len(suffix) / PAGE;
        let step = (pages / 12).max(1);
        ranges.extend((0..pages).step_by(step).map(|page| page * PAGE..(page + 1) * PAGE));
        for range in ranges {
            let name = format!("{range:?}");
            self.rewrite((Kind::Zeroed(suffix), suffix), &name, move |it| {
                let len = it.len();
                it[range.start.min(len)..range.end.min(len)].fill(0);
            });
        }
    }

    /// A page that was written to the disk and never arrived there.
    fn earlier_pages(&mut self) {
        let now = self.story.last.read("");
        for (moment, earlier) in self.story.earlier.iter().enumerate() {
            let earlier = earlier.read("");
            let pages = now.chunks(PAGE).zip(earlier.chunks(PAGE)).enumerate();
            let changed = pages.filter(|(_, (now, earlier))| now != earlier);
            let changed: Vec<_> = changed.map(|(page, (_, it))| (page, it.to_vec())).collect();
            for (page, bytes) in changed {
                let name = format!("{page} of moment {moment}");
                self.rewrite((Kind::EarlierPage, ""), &name, move |it| {
                    it[page * PAGE..(page + 1) * PAGE].copy_from_slice(&bytes);
                });
            }
        }
    }

    fn mixed(&mut self) {
        let moments = self.story.earlier.len();
        for database in 0..=moments {
            for wal in 0..=moments {
                for has_index in [true, false] {
                    let name = format!("database {database}, WAL {wal}, index {has_index}");
                    self.add(Kind::Mixed, &name, move |folder, story| {
                        let of = |moment| story.earlier.get(moment).unwrap_or(&story.last);
                        folder.write("", &of(database).read(""));
                        folder.write("-wal", &of(wal).read("-wal"));
                        folder.write("-shm", &of(wal).read("-shm"));
                        if !has_index {
                            folder.remove("-shm");
                        }
                    });
                }
            }
        }
    }

    fn missing(&mut self) {
        for files in
            [&["-shm"][..], &["-wal"], &["-wal", "-shm"], &["-tail"], &["", "-tail"], &["", "-shm"]]
        {
            self.add(Kind::Missing, &format!("{files:?}"), move |folder, _| {
                for suffix in files {
                    folder.remove(suffix);
                }
            });
        }
    }

    fn longer(&mut self) {
        for suffix in FILES {
            for len in [1, PAGE] {
                let name = format!("{suffix} by {len}");
                self.rewrite((Kind::Longer, suffix), &name, move |it| it.resize(it.len() + len, 7));
            }
        }
    }
}
