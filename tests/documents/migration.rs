//! The page for those who come from another server: its tables match the code that is compiled.

const PAGE: &str = include_str!("../../src/docs/migration.md");

#[test]
fn every_call_in_the_tables_is_compiled() {
    let (tables, code) = PAGE.split_once("```rust\n").expect("the code");
    let mut calls = 0;
    for row in tables.lines().filter(|line| line.starts_with("| ")) {
        let here = row.trim_end_matches(" |").rsplit(" | ").next().expect("the last column");
        for call in here.split('`').filter(|text| text.starts_with("at.")) {
            calls += 1;
            assert!(code.contains(call), "{call} is not in the code");
        }
    }
    assert!(calls > 25, "only {calls} calls were found");
}
