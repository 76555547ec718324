//! A Python with the packages that `python/requirements.txt` pins.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{output::assert_success, skip::missing};

/// Runs the tests of `folder` with `variables` in the environment, unless there is no Python.
pub(crate) fn run_python_tests(folder: &Path, variables: &[(&str, String)]) {
    let Some(python) = interpreter(&folder.join("requirements.txt")) else {
        return;
    };
    let output = Command::new(python)
        .args(["-W", "ignore", "-B", "-m", "unittest", "--verbose", "client_test"])
        .current_dir(folder)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output();
    assert_success("python -m unittest", &output.expect("python runs"));
}

/// The interpreter of a virtual environment below the target folder, made if there is none with
/// these packages. `None` where Python or its `venv` is missing.
fn interpreter(requirements: &Path) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop-python");
    let python = folder.join("bin/python");
    let wanted = fs::read_to_string(requirements).expect("the requirements");
    let stamp = folder.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Some(python);
    }
    if !run("python3", &["-c", "import ensurepip, venv"]) {
        missing("python3 with venv");
        return None;
    }
    let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).output();
    assert_success("python3 -m venv", &made.expect("python3 runs"));
    let installed = Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(["--require-hashes", "--no-deps", "--only-binary=:all:", "--requirement"])
        .arg(requirements)
        .output();
    assert_success("pip install", &installed.expect("python runs"));
    fs::write(&stamp, wanted).expect("a stamp in the target folder");
    Some(python)
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}
