//! Figures, not assertions: `cargo test --release -p socketio-proto-sqlite costs -- --ignored --nocapture`.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures, and reports")]

use std::{fs, time::Instant};

use super::tests::{Folder, news, reopened, store};

/// The middle of some times, in microseconds.
fn median(mut times: Vec<u128>) -> u128 {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
#[ignore = "it measures"]
fn transactions() {
    for batch in [1, 16, 256] {
        let folder = Folder::new();
        let mut process = folder.start("a");
        process.read();
        let mut times = Vec::new();
        let begin = Instant::now();
        for _ in 0..4096 / batch {
            let appends: Vec<_> = (0..batch).map(|_| process.append(&"x".repeat(100))).collect();
            let start = Instant::now();
            assert_eq!(news(&process.do_all(appends)).len(), batch);
            times.push(start.elapsed().as_micros());
        }
        let each = begin.elapsed().as_micros() / 4096;
        println!(
            "{batch:>4} entries in a transaction: median {} us, {each} us an entry",
            median(times)
        );
    }
}

#[test]
#[ignore = "it measures"]
fn start_with_100_000_sessions() {
    const SESSIONS: u64 = 100_000;
    let folder = Folder::new();
    let mut process = folder.start("a");
    process.read();
    let begin = Instant::now();
    for page in 0..SESSIONS / 1000 {
        let sessions =
            (page * 1000..).take(1000).map(|n| store(&n.to_string(), &"x".repeat(100), n));
        process.do_all(sessions);
    }
    println!("{SESSIONS} sessions stored in {} ms", begin.elapsed().as_millis());
    process.end();
    let bytes = fs::metadata(folder.file("")).unwrap().len();
    println!("{} bytes a session", bytes / SESSIONS);
    let begin = Instant::now();
    reopened(&folder);
    println!("opened and checked in {} ms", begin.elapsed().as_millis());
}
