//! What the documents say about the length of an application, with a driver and without one.

use std::{collections::BTreeMap, fs};

use crate::repository::root;

/// The lines of each file of an example.
fn lines(example: &str) -> BTreeMap<String, usize> {
    let files =
        fs::read_dir(root().join("examples").join(example)).unwrap().map(|file| file.unwrap());
    let count = |file: fs::DirEntry| {
        let lines = fs::read_to_string(file.path()).unwrap().lines().count();
        (file.file_name().into_string().unwrap(), lines)
    };
    files.map(count).collect()
}

#[test]
fn the_application_in_axum_has_no_glue() {
    let lines = lines("axum");
    assert!(lines["main.rs"] <= 180, "{lines:?}");
    assert!(lines.keys().eq(["main.rs", "page.html"]), "nothing else: {lines:?}");
}

/// Everything between the same application and the operating system.
#[test]
fn the_glue_on_plain_threads_is_short() {
    let lines = lines("threads");
    assert!(lines["driver.rs"] <= 250 && lines["main.rs"] <= 230, "{lines:?}");
    assert!(lines.keys().eq(["driver.rs", "main.rs"]), "nothing else: {lines:?}");
}
