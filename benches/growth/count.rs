//! Counts the instructions of single steps, and judges how the counts grow with a size.
//!
//! Valgrind runs this program once and writes a file whenever [`counted_step`] returns. What is done
//! between the steps, to make ready for them, is not counted.

use std::{collections::BTreeMap, env, fs, hint::black_box, path::Path, process::Command};

/// Steps beside as many things of a kind as are asked for.
pub struct Group {
    /// What grows.
    pub what: &'static str,
    /// How many of it.
    pub sizes: [usize; 3],
    /// Makes this many things, and counts the steps of some of them.
    pub run: fn(usize, &mut Meter),
}

/// Counts steps.
pub struct Meter {
    rounds: usize,
    is_silent: bool,
    group: &'static str,
    size: usize,
}

impl Meter {
    /// How often each step is to be counted: the median is looked at, since memory is sometimes
    /// tidied up.
    pub fn rounds(&self) -> std::ops::Range<usize> {
        0..self.rounds
    }

    /// Does a step, and counts its instructions.
    pub fn count<T>(&mut self, step: &str, f: impl FnOnce() -> T) -> T {
        self.count_each(step, 1, f)
    }

    /// The same for a step that does something for each of `parts`: the share of one is counted.
    pub fn count_each<T>(&mut self, step: &str, parts: usize, f: impl FnOnce() -> T) -> T {
        let (mut f, mut result) = (Some(f), None);
        counted_step(&mut || result = f.take().map(|f| f()));
        if !self.is_silent {
            println!("{}\t{step}\t{}\t{parts}", self.group, self.size);
        }
        result.expect("it was done")
    }
}

/// Valgrind knows it by its name.
#[inline(never)]
fn counted_step(step: &mut dyn FnMut()) {
    step();
    // Keeps the call from being the last thing, and so from being a jump.
    black_box(());
}

/// The full name of [`counted_step`].
const COUNTED_STEP: &str = "growth::count::counted_step";

/// How much more the second doubling may cost than the first one. Each size is four times the one
/// before: a look into a tree costs as much more each time, a scan four times as much.
const FACTOR: f64 = 2.0;
/// What the second one may cost in any case. Trees grow by whole levels, so that the one step
/// up may come with either.
const SLACK: f64 = 400.0;
const SLACK_SHARE: f64 = 0.12;

const ROUNDS: usize = 7;

/// Does what the command line asks for.
///
/// # Panics
///
/// If a step grows like a scan.
pub fn run(groups: &[Group]) {
    let has = |name: &str| env::args().any(|arg| arg == name);
    let only = env::args().skip_while(|arg| arg != "--only").nth(1).unwrap_or_default();
    let groups = || groups.iter().filter(|group| group.what.contains(&only));
    if has("--steps") {
        for Group { what, sizes, run } in groups() {
            for size in *sizes {
                run(size, &mut Meter { rounds: ROUNDS, is_silent: false, group: what, size });
            }
        }
    } else if !has("--guard") {
        // For the assertions alone.
        for Group { what, run, .. } in groups() {
            run(12, &mut Meter { rounds: 2, is_silent: true, group: what, size: 12 });
        }
    } else if Command::new("valgrind").arg("--version").output().is_err() {
        println!("no valgrind: the growth of costs was not looked at");
    } else {
        judge(&steps(&only));
    }
}

/// Median counts by group and step, in the order of the sizes.
type Counts = Vec<((String, String), Vec<u64>)>;

/// Runs this program under valgrind.
fn steps(only: &str) -> Counts {
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("growth-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--callgrind-out-file={}", folder.join("out").display()))
        .arg(format!("--toggle-collect={COUNTED_STEP}"))
        .arg(format!("--dump-after={COUNTED_STEP}"))
        .arg(env::current_exe().expect("this program"))
        .args(["--steps", "--only", only])
        .output()
        .expect("valgrind runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut all: BTreeMap<(String, String), BTreeMap<usize, Vec<u64>>> = BTreeMap::new();
    let mut order = Vec::new();
    for (line, number) in String::from_utf8_lossy(&output.stdout).lines().zip(1..) {
        let [group, step, size, parts] = *line.split('\t').collect::<Vec<_>>() else {
            panic!("not a step: {line}");
        };
        let file = fs::read_to_string(folder.join(format!("out.{number}"))).expect("a count");
        let total = file.lines().find_map(|line| line.strip_prefix("totals: "));
        let count: u64 = total.and_then(|total| total.parse().ok()).expect("a number");
        let parts: u64 = parts.parse().expect("a number");
        let key = (group.to_owned(), step.to_owned());
        if !all.contains_key(&key) {
            order.push(key.clone());
        }
        let sizes = all.entry(key).or_default();
        sizes.entry(size.parse().expect("a size")).or_default().push(count / parts);
    }
    fs::remove_dir_all(&folder).expect("it was made here");
    let medians = |sizes: BTreeMap<usize, Vec<u64>>| sizes.into_values().map(median).collect();
    order.into_iter().filter_map(|key| Some((key.clone(), medians(all.remove(&key)?)))).collect()
}

fn median(mut counts: Vec<u64>) -> u64 {
    counts.sort_unstable();
    counts[counts.len() / 2]
}

fn judge(counts: &Counts) {
    let mut former = "";
    let mut scans = Vec::new();
    for ((group, step), counts) in counts {
        if group != former {
            println!("\n{group}\n{:<52} {:>10} {:>10} {:>10}", "", "n", "4 n", "16 n");
        }
        former = group;
        let [first, second, third] = **counts else { panic!("{step}: {counts:?}") };
        let is_scan = grows_like_a_scan(first, second, third);
        let remark = if is_scan { "  grows like n" } else { "" };
        println!("{step:<52} {first:>10} {second:>10} {third:>10}{remark}");
        if is_scan {
            scans.push(format!("{group}: {step}"));
        }
    }
    assert!(!counts.is_empty(), "nothing was counted");
    assert!(scans.is_empty(), "these steps grow like n: {scans:#?}");
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn grows_like_a_scan(first: u64, second: u64, third: u64) -> bool {
    let (first, second, third) = (first as f64, second as f64, third as f64);
    let allowed = (FACTOR * (second - first)).max(0.0) + SLACK + SLACK_SHARE * first;
    third - second > allowed
}
