//! The official client as a process that reports what happens to it.

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

/// `support/follow.mjs`. It is stopped when this is dropped.
pub(crate) struct Follower {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) seen: Vec<String>,
}

impl Follower {
    /// Starts it, with the servers that it may use.
    pub(crate) fn start(folder: &Path, urls: &[&str]) -> Self {
        let mut process = Command::new("node")
            .arg(folder.join("support/follow.mjs"))
            .args(urls)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the client starts");
        let lines = BufReader::new(process.stdout.take().expect("stdout is piped")).lines();
        Self { process, lines, seen: Vec::new() }
    }

    /// Makes it send a message.
    pub(crate) fn say(&mut self, text: &str) {
        writeln!(self.process.stdin.as_mut().expect("stdin is piped"), "{text}").expect("it runs");
    }

    /// Reads what it reports, until it reports this.
    pub(crate) fn wait_for(&mut self, expected: &str) {
        while self.seen.last().is_none_or(|line| line != expected) {
            let line = self.lines.next();
            let line = line.unwrap_or_else(|| panic!("no {expected:?} in {:?}", self.seen));
            self.seen.push(line.expect("text"));
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
