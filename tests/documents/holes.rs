//! Every hole of the reference has a test that is named after it, or a reason why it cannot exist
//! in this crate.
//!
//! The table in the documentation of `recovery` is made from the tests: `UPDATE_HOLES=1 cargo test
//! --test documents holes` writes it, and without that the test compares.

use std::{collections::BTreeMap, env, fmt::Write as _, fs};

use crate::repository::{files, read, root};

/// Where the tests of the table stand, in its order.
const TABLE: [&str; 18] = [
    "tests/recovery/succeeds.rs",
    "tests/recovery/restart.rs",
    "tests/recovery/exact.rs",
    "tests/recovery/secure.rs",
    "tests/cluster/order.rs",
    "tests/cluster/channels.rs",
    "tests/cluster/holes.rs",
    "tests/cluster/data.rs",
    "tests/cluster/requests/fetch.rs",
    "tests/cluster/trouble.rs",
    "tests/redis_streams/shapes.rs",
    "tests/cluster/moves.rs",
    "tests/cluster/store.rs",
    "tests/cluster/store_races.rs",
    "tests/cluster/store_changes.rs",
    "tests/cluster/store_shutdown.rs",
    "tests/cluster/store_official.rs",
    "drivers/tokio/tests/driver/cluster.rs",
];

/// Holes that nothing here can have, and why.
const ABSENT: [(&str, &[u32]); 6] = [
    ("of engines of the reference that are not there", &[12, 33, 42]),
    ("of one of the reference's WebSocket servers", &[10]),
    ("the application's listeners are not called by this crate", &[37]),
    ("there are no operators over several namespaces", &[38]),
    ("tested as H23: membership is an interval", &[58]),
    (
        "a log has no timer of its own that could be left running, and types tell arguments from \
      offsets",
        &[62, 69],
    ),
];

#[test]
fn every_hole_of_the_recovery_is_accounted_for() {
    let tests = tests();
    for hole in (1..=80).filter(|hole| is_hole(*hole)) {
        let has_test = tests.contains_key(&format!("h{hole:02}"));
        let is_absent = ABSENT.iter().any(|(_, holes)| holes.contains(&hole));
        assert!(has_test || is_absent, "H{hole:02} has neither a test nor a reason");
    }
    for hole in (1..=4).chain([7]).map(|hole| format!("e{hole}")) {
        assert!(tests.contains_key(&hole), "{hole} has no test");
    }
    for hole in (1..=7).map(|hole| format!("c{hole}")) {
        assert!(tests.contains_key(&hole), "{hole} has no test");
    }
}

/// The numbers that protocol facts 3.10 gives out.
fn is_hole(number: u32) -> bool {
    matches!(number, 1..=12 | 20..=42 | 50..=58 | 60..=69 | 71..=74 | 77..=80)
}

#[test]
fn the_table_in_the_documentation_is_that_of_the_tests() {
    let mut table = String::from("| hole | about | test |\n| --- | --- | --- |\n");
    for file in TABLE {
        for (doc, name) in documented(&read(file)) {
            let holes: Vec<String> = name
                .split('_')
                .take_while(|part| part.len() == 3 && part.starts_with('h'))
                .map(str::to_uppercase)
                .collect();
            if !holes.is_empty() {
                writeln!(table, "| {} | {doc} | `{name}` |", holes.join(", ")).unwrap();
            }
        }
    }
    let path = root().join("src/recovery/holes.md");
    if env::var_os("UPDATE_HOLES").is_some() {
        fs::write(&path, &table).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), table, "UPDATE_HOLES=1 writes it");
}

/// Names of tests by the holes that they begin with.
fn tests() -> BTreeMap<String, Vec<String>> {
    let mut tests: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut sources = files(&["tests", "src/client", "drivers/tokio/tests"]);
    sources.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    for source in sources {
        for line in fs::read_to_string(source).unwrap().lines() {
            let line = line.trim_start().trim_start_matches("async ");
            let Some(rest) = line.strip_prefix("fn ") else { continue };
            let name = rest.split('(').next().unwrap_or_default();
            let mut parts = name.split('_');
            let is_id = |part: &&str| {
                let digits = part.trim_start_matches(['h', 'e', 'c']);
                digits.len() < part.len() && digits.parse::<u32>().is_ok()
            };
            for id in parts.by_ref().take_while(is_id) {
                tests.entry(id.to_owned()).or_default().push(name.to_owned());
            }
        }
    }
    tests
}

/// Doc comments and names of the tests in a file.
fn documented(source: &str) -> Vec<(String, String)> {
    let (mut doc, mut found) = (Vec::new(), Vec::new());
    for line in source.lines() {
        if let Some(text) = line.strip_prefix("/// ") {
            doc.push(text);
        } else if let Some(rest) = line.trim_start_matches("async ").strip_prefix("fn ") {
            let name = rest.split('(').next().unwrap_or_default();
            found.push((doc.join(" "), name.to_owned()));
            doc.clear();
        } else if line.is_empty() {
            doc.clear();
        }
    }
    found
}
