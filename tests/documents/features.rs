//! The table of features in the README of each package is that of its `Cargo.toml`.

use std::collections::{BTreeMap, BTreeSet};

use crate::{figures::cells, packages::Package};

/// What a feature turns on, by its name.
type Features = BTreeMap<String, BTreeSet<String>>;

#[test]
fn each_readme_has_the_features() {
    for package in Package::all() {
        let mut features = features(&package);
        let default = features.remove("default").unwrap_or_default();
        let section = package.section("Features");
        let rows: Vec<Vec<&str>> = section
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| cells(line).collect())
            .collect();
        if rows.is_empty() {
            assert_eq!(section.trim(), "None.", "{}", package.name);
        }

        let mut found = Features::new();
        for row in rows {
            let [feature, is_default, adds, turns_on] = row[..] else {
                panic!("{}: four columns, not {row:?}", package.name);
            };
            let feature = feature.trim_matches('`');
            assert!(!adds.is_empty(), "{feature}");
            let expected = if default.contains(feature) {
                "yes"
            } else if default.iter().any(|it| features[it].contains(feature)) {
                "with another"
            } else {
                "no"
            };
            assert_eq!(is_default, expected, "{}: {feature}", package.name);
            found.insert(feature.to_owned(), code(turns_on));
        }
        assert_eq!(found, features, "{}: the table, and Cargo.toml", package.name);
    }
}

fn features(package: &Package) -> Features {
    let features = package.metadata["features"].as_object().expect("features");
    let turned_on = |list: &serde_json::Value| {
        let list = list.as_array().expect("a list").iter();
        list.map(|it| it.as_str().expect("a name").trim_start_matches("dep:").to_owned()).collect()
    };
    features.iter().map(|(name, list)| (name.clone(), turned_on(list))).collect()
}

/// The code spans in a cell.
fn code(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
