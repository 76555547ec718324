//! The page for those who come from another implementation: its tables match the code that is
//! compiled.

const PAGE: &str = include_str!("../../src/docs/migration.md");
const CALLS: &str = include_str!("migration_calls.rs");

#[test]
fn every_call_in_the_tables_is_compiled() {
    let (tables, code) = PAGE.split_once("```rust\n").expect("the code");
    let mut calls = 0;
    for row in tables.lines().filter(|line| line.starts_with("| ")) {
        let here = row.trim_end_matches(" |").rsplit(" | ").next().expect("the last column");
        let is_call = |text: &&str| {
            let owners = ["at.", "handle.", "socket.", "client."];
            owners.iter().any(|owner| text.starts_with(owner)) && !text.contains('…')
        };
        for call in here.split('`').filter(is_call) {
            calls += 1;
            let call = call.replace("\\|", "|").replace(".await", "");
            assert!(code.contains(&call), "{call} is not in the code");
        }
    }
    assert!(calls > 45, "only {calls} calls were found");
}

#[test]
fn the_calls_of_the_crates_for_tokio_are_compiled() {
    let (_, code) = CALLS.split_once("\n\n").expect("the documentation");
    let block = format!("```rust,ignore\n{code}```\n");
    assert!(PAGE.contains(&block), "the page shows `tests/documents/migration_calls.rs`");
}
