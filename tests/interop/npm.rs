//! Finds Node.js and npm for the tests.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use super::{output::assert_success, skip::missing};

/// Whether `program` can be run. Where it cannot, the caller's test is skipped.
pub(crate) fn have(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        missing(program);
    }
    found
}

/// Installs what `package-lock.json` of `folder` pins, unless it is installed.
pub(crate) fn install(folder: &Path) {
    // Tests run at the same time, and npm would not stand being run twice.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let modified = |path: &str| fs::metadata(folder.join(path)).and_then(|file| file.modified());
    // npm writes the second file at the end of an installation.
    let wanted = modified("package-lock.json").expect("a lock file");
    if modified("node_modules/.package-lock.json").is_ok_and(|installed| installed >= wanted) {
        return;
    }
    let output = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund"])
        .current_dir(folder)
        .output()
        .expect("npm runs");
    assert_success("npm ci", &output);
}
