//! The Rust version that the packages promise.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::packages::{METADATA, Package};

#[test]
fn each_readme_says_which_version_is_needed() {
    for package in Package::all() {
        let promised = package.metadata["rust_version"].as_str().expect("a version");
        let promised = promised.trim_end_matches(".0");
        let section = package.section("Supported Rust versions");
        let sentence = format!("\nRust {promised} or later.");
        assert!(section.starts_with(&sentence), "{}: not {sentence:?}", package.name);
        assert!(section.contains(&format!("all stable in {promised}")), "{}", package.name);
    }
}

/// With all features, and without what only tests need. A dependency without a `rust-version` promises
/// nothing; `.ci/rust-version` compiles it.
#[test]
fn no_dependency_needs_a_newer_version() {
    let mut seen = 0;
    for package in Package::all() {
        let promised = version(&package.metadata["rust_version"]).expect("a version");
        let dependencies = dependencies(&package.metadata["id"]);
        for dependency in find(&METADATA["packages"], |it| dependencies.contains(&text(&it["id"])))
        {
            let needed = version(&dependency["rust_version"]);
            let name = &dependency["name"];
            assert!(needed <= Some(promised), "{}: {name} needs {needed:?}", package.name);
            seen += usize::from(needed.is_some());
        }
    }
    assert!(seen > 200, "only {seen} were compared");
}

/// The ids of the packages that a package needs, itself included.
fn dependencies(package: &Value) -> BTreeSet<String> {
    let (mut found, mut open) = (BTreeSet::new(), vec![text(package)]);
    while let Some(id) = open.pop() {
        if !found.insert(id.clone()) {
            continue;
        }
        for node in find(&METADATA["resolve"]["nodes"], |node| text(&node["id"]) == id) {
            // The kind of a normal dependency is null.
            let is_needed = |dependency: &Value| {
                find(&dependency["dep_kinds"], |it| it["kind"] != "dev").next().is_some()
            };
            open.extend(find(&node["deps"], is_needed).map(|dependency| text(&dependency["pkg"])));
        }
    }
    found
}

fn find(list: &Value, is_it: impl Fn(&Value) -> bool) -> impl Iterator<Item = &Value> {
    list.as_array().expect("a list").iter().filter(move |it| is_it(it))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The first two numbers.
fn version(value: &Value) -> Option<(u32, u32)> {
    let mut numbers = value.as_str()?.split('.').map(|number| number.parse().expect("a number"));
    Some((numbers.next()?, numbers.next()?))
}
