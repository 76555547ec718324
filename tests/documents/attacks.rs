//! The tables of `SECURITY.md` match the tests and the code.
//!
//! The attacks are the doc lines of the tests in `tests/hostile`: `UPDATE_ATTACKS=1 cargo test
//! --test documents attacks` writes them, and without that the test compares.

use std::{env, fmt::Write as _, fs};

use socketio_proto::{
    Limits, RecoveryConfig, ServerConfig,
    cluster::{ClusterConfig, message::NodeId},
    server::Stats,
};

use crate::repository::{read, root};

const SOURCES: [&str; 11] = [
    "tests/hostile/peers.rs",
    "tests/hostile/content.rs",
    "tests/hostile/requests.rs",
    "tests/hostile/sessions.rs",
    "tests/drivers/tokio_driver.rs",
    "drivers/tokio/tests/hostile/bodies.rs",
    "drivers/tokio/tests/hostile/fragments.rs",
    "drivers/tokio/tests/hostile/pipelining.rs",
    "drivers/tokio/tests/hostile/tls.rs",
    "drivers/tokio/tests/hostile/unread.rs",
    "drivers/tokio/tests/hostile/upgrades.rs",
];

#[test]
fn every_attack_in_the_table_has_its_test() {
    let mut table = String::from(
        "| attack | limit | reaction | counter | test |\n| --- | --- | --- | --- | --- |\n",
    );
    for source in SOURCES {
        for (row, name) in attacks(source) {
            assert_eq!(row.split(" | ").count(), 4, "the doc line of {name}");
            writeln!(table, "| {row} | `{name}` |").unwrap();
        }
    }
    let security = read("SECURITY.md");
    let (start, end) = ("<!-- attacks -->\n", "<!-- end of attacks -->");
    let (head, rest) = security.split_once(start).expect("the start of the table");
    let (found, tail) = rest.split_once(end).expect("the end of the table");
    if env::var_os("UPDATE_ATTACKS").is_some() {
        let updated = format!("{head}{start}{table}{end}{tail}");
        fs::write(root().join("SECURITY.md"), updated).unwrap();
        return;
    }
    assert_eq!(found, table, "UPDATE_ATTACKS=1 writes it");
}

/// Every counter that the table names is one of `Stats`.
#[test]
fn every_counter_in_the_table_exists() {
    let stats = serde_json::to_value(Stats::default()).unwrap();
    for source in SOURCES {
        for (row, name) in attacks(source) {
            let counters = row.rsplit(" | ").next().unwrap();
            for counter in counters.split(", ").filter(|counter| *counter != "-") {
                let path = counter.trim_matches('`').replace('.', "/");
                let found = stats.pointer(&format!("/total/{path}"));
                assert!(found.is_some_and(serde_json::Value::is_u64), "{name}: {counter}");
            }
        }
    }
}

/// Every limit is in the table of the README with its default; its consequence stands there, and in
/// the documentation of its field.
#[test]
fn every_limit_is_in_the_readme_with_its_default() {
    let readme = read("README.md");
    let defaults = format!("{:?} {:?}", Limits::default(), RecoveryConfig::default());
    let config = format!("{:?}", ServerConfig::new());
    let cluster = format!("{:?}", ClusterConfig::new(NodeId::EMITTER));
    for (settings, source) in [
        (&defaults, "src/config/limits.rs"),
        (&defaults, "src/config/recovery.rs"),
        (&config, "src/config/mod.rs"),
        (&cluster, "src/cluster/config.rs"),
    ] {
        for (field, value) in numbers(settings, &read(source)) {
            let row = readme.lines().find(|line| {
                line.starts_with("| `") && line.contains(&format!("`{field}`"))
                    || line.starts_with("| `") && line.contains(&format!(".{field}`"))
            });
            let row = row.unwrap_or_else(|| panic!("`{field}` is not in the README"));
            let shown = row.split(" | ").nth(1).unwrap();
            let is_shown = spellings(value).iter().any(|spelling| shown.contains(spelling));
            assert!(is_shown, "`{field}` is {value}, and the README says {shown}");
        }
    }
}

/// Numeric fields that the source declares, with the values that `Debug` shows.
fn numbers(debug: &str, source: &str) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for line in source.lines() {
        let line = line.trim_start();
        let declared = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub "));
        let Some((field, kind)) = declared.and_then(|line| line.split_once(": ")) else { continue };
        if ["usize,", "u32,", "Duration,"].contains(&kind) {
            let value = debug.split(&format!(" {field}: ")).nth(1).unwrap();
            let value = value.split([',', ' ']).next().unwrap();
            let digits = value.trim_end_matches(char::is_alphabetic);
            found.push((field.to_owned(), digits.parse().unwrap()));
        }
    }
    assert!(!found.is_empty());
    found
}

/// How the README may write a number.
fn spellings(value: u64) -> Vec<String> {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let mut spellings = vec![grouped, format!("{value} s")];
    if value.is_multiple_of(60) {
        spellings.push(format!("{} min", value / 60));
    }
    for (shift, unit) in [(10, "KiB"), (20, "MiB")] {
        if value.trailing_zeros() >= shift && value > 0 {
            spellings.push(format!("{} {unit}", value >> shift));
        }
    }
    spellings
}

/// The rows of a file and the names of their tests. In the files of the crate, some tests are more of
/// the same, and have no row.
fn attacks(source: &str) -> Vec<(String, String)> {
    let mut found = documented_tests(&read(source));
    if source.starts_with("drivers/") {
        found.retain(|(row, _)| row.contains(" | "));
    }
    assert!(!found.is_empty(), "{source}");
    found
}

/// Doc lines and names of the tests in a file.
fn documented_tests(source: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = source.lines().collect();
    let mut found = Vec::new();
    for window in lines.windows(3) {
        let [doc, attribute, function] = window else { continue };
        let is_test = attribute.starts_with("#[test]") || attribute.starts_with("#[tokio::test");
        if is_test && let Some(row) = doc.strip_prefix("/// ") {
            let name = function.trim_start_matches("async ").trim_start_matches("fn ");
            found.push((row.to_owned(), name.split('(').next().unwrap().to_owned()));
        }
    }
    assert!(!found.is_empty());
    found
}
