//! Holds the instructions of hot paths to a budget. A count is the same on every run, a time is not.

use std::{collections::BTreeMap, env, fmt::Write as _, fs, process::Command};

/// Makes an operation that can be repeated.
pub type Path = fn() -> Box<dyn FnMut()>;

/// What a count may go over its budget by: compilers and C libraries differ a little.
const TOLERANCE_PERCENT: u64 = 5;

/// Operations of the two runs whose difference is counted, so that making them does not matter.
const FEW: u64 = 40;
const MANY: u64 = 240;

/// Does what the command line asks for; false if that is not counting.
///
/// # Panics
///
/// If a path is over its budget.
pub fn run(paths: &[(&str, usize, Path)]) -> bool {
    let args: Vec<String> = env::args().collect();
    let value = |name: &str| {
        let index = args.iter().position(|arg| arg == name)?;
        args.get(index + 1)?.parse::<usize>().ok()
    };
    if let (Some(path), Some(count)) = (value("--path"), value("--count")) {
        let mut operation = paths[path].2();
        (0..count).for_each(|_| operation());
        return true;
    }
    let is_update = args.iter().any(|arg| arg == "--update");
    if !is_update && !args.iter().any(|arg| arg == "--guard") {
        return false;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("no valgrind: the instructions of hot paths were not counted");
        return true;
    }
    let counts: Vec<(&str, u64)> = (0..paths.len())
        .map(|path| {
            let count = instructions(path, MANY) - instructions(path, FEW);
            (paths[path].0, count / (MANY - FEW) / paths[path].1 as u64)
        })
        .collect();
    if is_update {
        update(&counts);
    } else {
        compare(&counts);
    }
    true
}

fn budget_file() -> String {
    format!("{}/benches/instructions.txt", env!("CARGO_MANIFEST_DIR"))
}

fn instructions(path: usize, count: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().expect("this program"))
        .args(["--path", &path.to_string(), "--count", &count.to_string()])
        .output()
        .expect("valgrind runs");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}");
    let collected = report.lines().find_map(|line| line.split("Collected : ").nth(1));
    collected.and_then(|number| number.trim().parse().ok()).expect("a count")
}

fn update(counts: &[(&str, u64)]) {
    let mut text = String::from(
        "# Instructions of an operation, by `cargo bench --bench paths -- --update`.\n",
    );
    for (name, count) in counts {
        writeln!(text, "{count:>6} {name}").expect("a string takes it");
    }
    fs::write(budget_file(), &text).expect("a file of the checkout");
    print!("{text}");
}

fn compare(counts: &[(&str, u64)]) {
    let text = fs::read_to_string(budget_file()).expect("a budget");
    let budgets: BTreeMap<&str, u64> = text
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .filter_map(|(count, name)| Some((name, count.parse().ok()?)))
        .collect();
    println!("{:<44} {:>12} {:>12}", "instructions", "now", "budget");
    let mut over = Vec::new();
    for (name, count) in counts {
        let budget = *budgets.get(name).unwrap_or_else(|| panic!("no budget for {name}"));
        println!("{name:<44} {count:>12} {budget:>12}");
        if *count > budget + budget * TOLERANCE_PERCENT / 100 {
            over.push(*name);
        }
    }
    assert!(over.is_empty(), "over the budget by more than {TOLERANCE_PERCENT} %: {over:?}");
}
