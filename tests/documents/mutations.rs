//! Every mutation in `tests/mutations/mutations.toml` still applies to the code. If code moves, its
//! mutations must be updated. `tests/mutations/run` applies them and runs the tests, which takes
//! hours.

use std::{collections::BTreeMap, fs};

use crate::repository::{read, root};

/// The mistakes as tables of what stands behind `key = `.
fn mutations() -> Vec<BTreeMap<String, serde_json::Value>> {
    let list = read("tests/mutations/mutations.toml");
    let mut found = Vec::new();
    for line in list.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if line == "[[mutation]]" {
            found.push(BTreeMap::new());
        } else if let Some((key, value)) = line.split_once(" = ") {
            // What TOML writes on one line is JSON as well.
            let value =
                serde_json::from_str(value).unwrap_or_else(|error| panic!("{line}: {error}"));
            found.last_mut().expect("a table").insert(key.to_owned(), value);
        } else {
            assert_eq!(line, "", "neither a table nor a value on one line");
        }
    }
    found
}

#[test]
fn every_mutation_applies_exactly_once() {
    let mutations = mutations();
    assert!(mutations.len() > 50, "{} mutations were read", mutations.len());
    let mut stale = Vec::new();
    for mutation in &mutations {
        let text =
            |key: &str| mutation[key].as_str().unwrap_or_else(|| panic!("{mutation:?}: {key}"));
        let (file, find) = (text("file"), text("find"));
        assert_ne!(find, text("replace"), "{}", text("name"));
        let source = fs::read_to_string(root().join(file));
        let count = source.map_or(0, |source| source.matches(find).count());
        if count != 1 {
            stale.push(format!("\"{}\" applies {count} times to {file}", text("name")));
        }
    }
    assert!(stale.is_empty(), "{stale:#?}");
}

/// `run` gives their names to cargo: a binary of tests, or a module in one.
#[test]
fn every_mutation_names_tests_that_there_are() {
    for mutation in mutations() {
        let tests = mutation["tests"].as_array().expect("a list");
        assert!(!tests.is_empty(), "{mutation:?}");
        for test in tests {
            let test = test.as_str().expect("a name");
            let path = test.replace("::", "/");
            let places = [".rs", "/mod.rs", "/main.rs"].map(|end| format!("tests/{path}{end}"));
            assert!(
                test == "lib" || places.iter().any(|place| root().join(place).is_file()),
                "{mutation:?}"
            );
        }
    }
}
