//! Controls `examples/client` through its input and output lines.

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::example::build;

/// A running client. Its lines are read as they are waited for.
pub(crate) struct Terminal {
    pub(crate) process: Child,
    typed: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// Every line that was read.
    seen: Vec<String>,
}

impl Terminal {
    pub(crate) fn open(url: &str, name: &str, transport: &str) -> Self {
        let mut process = Command::new(build("client"))
            .args(["--name", name, "--transport", transport])
            .arg(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let typed = process.stdin.take().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, typed, lines, seen: Vec::new() }
    }

    pub(crate) fn enter(&mut self, line: &str) {
        writeln!(self.typed, "{line}").unwrap();
    }

    /// Reads up to a line with `text` in it.
    pub(crate) fn wait_for(&mut self, text: &str) {
        loop {
            let line = self.lines.next();
            let line = line.unwrap_or_else(|| panic!("no {text:?} after {:?}", self.seen));
            self.seen.push(line.unwrap());
            if self.seen.last().is_some_and(|line| line.contains(text)) {
                return;
            }
        }
    }

    /// Ends the input, and reads what is left. Returns all that was read.
    pub(crate) fn finish(mut self) -> Vec<String> {
        drop(self.typed);
        self.seen.extend(self.lines.map_while(Result::ok));
        assert!(self.process.wait().unwrap().success(), "{:?}", self.seen);
        self.seen
    }
}
