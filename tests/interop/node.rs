//! Runs Node.js test files against an example of this crate.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::output::assert_success;

/// Runs every `*.test.mjs` of `folder` that `is_wanted`, one after the other, with `variables` in the
/// environment.
pub(crate) fn run_node_tests(
    folder: &Path,
    is_wanted: impl Fn(&str) -> bool,
    variables: &[(&str, String)],
) {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder of the tests")
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.and_then(|name| name.strip_suffix(".test.mjs")).is_some_and(&is_wanted)
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no tests in {}", folder.display());
    let output = Command::new("node")
        .args(["--test", "--test-concurrency=1", "--test-reporter=spec"])
        .args(files)
        .current_dir(folder)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .expect("node runs");
    assert_success("node --test", &output);
}
