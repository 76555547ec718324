//! The names of the public types: a reader of one line of code knows which type it means.

use std::{collections::BTreeMap, fs};

use crate::repository::files;

/// Every `pub` item of the library is reachable (`unreachable_pub` is denied), so its sources tell
/// all public types.
#[test]
fn no_two_public_types_share_a_name() {
    let mut places = BTreeMap::<String, Vec<String>>::new();
    for file in files(&["src"]) {
        for line in fs::read_to_string(&file).unwrap().lines() {
            if let Some(name) = public_type(line) {
                places.entry(name.to_owned()).or_default().push(file.display().to_string());
            }
        }
    }
    assert!(places.len() > 100, "only {} types were found", places.len());
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "types that share a name: {places:#?}");
}

fn public_type(line: &str) -> Option<&str> {
    let item = line.trim_start().strip_prefix("pub ")?;
    let name = ["enum ", "struct ", "trait ", "type ", "union "]
        .iter()
        .find_map(|keyword| item.strip_prefix(keyword))?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}
