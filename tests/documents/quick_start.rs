//! The quick start of the README is an example that is compiled, and short enough to read at once.

const README: &str = include_str!("../../README.md");
const EXAMPLE: &str = include_str!("../../examples/quick_start/main.rs");

#[test]
fn the_quick_start_is_the_example() {
    let (_, rest) = README.split_once("\n## Quick start\n").expect("the section");
    let (_, code) = rest.split_once("```rust,ignore\n").expect("the code");
    let (code, _) = code.split_once("```\n").expect("the end of the code");
    let (_, example) = EXAMPLE.split_once("\n\n").expect("the documentation of the example");
    assert_eq!(code, example, "the README shows `examples/quick_start`");
    let lines = example.lines().count();
    assert!(lines < 30, "{lines} lines");
}
