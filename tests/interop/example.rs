//! Builds and runs an example of this crate.

use std::{
    collections::BTreeMap,
    env,
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use super::output::assert_success;

/// A running example. It is stopped when this is dropped.
pub(crate) struct Example {
    name: &'static str,
    pub(crate) process: Child,
    /// What it wrote to stderr, and after the address to stdout.
    pub(crate) written: Arc<Mutex<String>>,
    /// What it printed after `listening `.
    pub(crate) address: String,
}

impl Example {
    /// Builds and starts the example and waits until it says that it is listening.
    pub(crate) fn start(
        name: &'static str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        Self::run(name, &build(name), arguments, variables)
    }

    /// The same with a program that was built before.
    pub(crate) fn run(
        name: &'static str,
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut process = Command::new(program)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let written = Arc::new(Mutex::new(String::new()));
        let stderr = process.stderr.take().expect("stderr is piped");
        thread::spawn({
            let written = Arc::clone(&written);
            move || note(BufReader::new(stderr).lines(), &written)
        });
        let mut lines = BufReader::new(process.stdout.take().expect("stdout is piped")).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, address) = line.split_once("listening ")?;
            Some(address.trim().to_owned())
        });
        // A full pipe would stop it.
        thread::spawn({
            let written = Arc::clone(&written);
            move || note(lines, &written)
        });
        let mut example = Self { name, process, written, address: address.unwrap_or_default() };
        assert!(!example.address.is_empty(), "{}", example.report());
        example
    }

    /// Fails unless the example has survived everything without a panic.
    pub(crate) fn assert_unharmed(&mut self) {
        let running = matches!(self.process.try_wait(), Ok(None));
        let report = self.report();
        assert!(running && !report.contains("panicked"), "{report}");
    }

    fn report(&mut self) -> String {
        let written = self.written.lock().expect("no reader panicked");
        format!("{} is {:?} and wrote:\n{written}", self.name, self.process.try_wait())
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn note(lines: impl Iterator<Item = io::Result<String>>, into: &Mutex<String>) {
    for line in lines.map_while(io::Result::ok) {
        if let Ok(mut text) = into.lock() {
            text.push_str(&line);
            text.push('\n');
        }
    }
}

/// Builds the example as this test was built, since `cargo test --test` does not, and names its
/// binary. Cargo is asked once for each example.
pub(crate) fn build(name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(program) = built.get(name) {
        return program.clone();
    }
    let program = ask_cargo(name);
    built.insert(name.to_owned(), program.clone());
    program
}

fn ask_cargo(name: &str) -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    // <target>/<profile>/deps/<test>
    let profile_folder = test.ancestors().nth(2).expect("a folder of the profile");
    let target_folder = profile_folder.parent().expect("a target folder");
    let profile = match profile_folder.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev",
        Some(profile) => profile,
    };
    let mut cargo = Command::new(env!("CARGO"));
    // What Cargo has told this test of its package is none of a build's business: the build script of `ring` would see
    // a change, and everything above `ring` would be built again, now and by whoever builds next.
    for (variable, _) in env::vars_os() {
        let is_told =
            |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|it| name.starts_with(it));
        if variable.to_str().is_some_and(is_told) {
            cargo.env_remove(variable);
        }
    }
    let output = cargo
        .args(["build", "--quiet", "--example", name, "--profile", profile])
        .arg("--target-dir")
        .arg(target_folder)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert_success("cargo build --example", &output);
    profile_folder.join("examples").join(name)
}
