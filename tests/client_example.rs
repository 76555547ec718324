//! `examples/client` against `examples/chat`, driven through its lines.

#[path = "interop/example.rs"]
#[cfg(test)]
mod example;
#[path = "interop/output.rs"]
#[cfg(test)]
mod output;

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Lines, Write as _},
        process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    };

    use crate::example::{Example, build};

    struct Terminal {
        process: Child,
        typed: ChildStdin,
        lines: Lines<BufReader<ChildStdout>>,
        /// Every line that was read.
        seen: Vec<String>,
    }

    impl Terminal {
        fn open(chat: &Example, name: &str, transport: &str) -> Self {
            let mut process = Command::new(build("client"))
                .args(["--name", name, "--transport", transport])
                .arg(format!("http://localhost:{}", chat.address))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let typed = process.stdin.take().unwrap();
            let lines = BufReader::new(process.stdout.take().unwrap()).lines();
            Self { process, typed, lines, seen: Vec::new() }
        }

        fn enter(&mut self, line: &str) {
            writeln!(self.typed, "{line}").unwrap();
        }

        /// Reads up to a line with `text` in it.
        fn wait_for(&mut self, text: &str) {
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
        fn finish(mut self) -> Vec<String> {
            drop(self.typed);
            self.seen.extend(self.lines.map_while(Result::ok));
            assert!(self.process.wait().unwrap().success(), "{:?}", self.seen);
            self.seen
        }
    }

    #[test]
    fn messages_survive_drops_and_absences() {
        let mut chat = Example::start("chat", &["--port", "0"], &[]);
        for transport in ["polling", "websocket", "both"] {
            let said = |word: &str| format!("{transport} {word}");
            let heard = |word: &str| format!("ann> {transport} {word}");
            let mut ann = Terminal::open(&chat, "ann", "both");
            let mut bob = Terminal::open(&chat, "bob", transport);
            ann.wait_for("connected: recovered false");
            bob.wait_for("connected: recovered false");
            ann.enter(&said("one"));
            bob.wait_for(&heard("one"));

            // What is sent while the link is down arrives once there is one again.
            ann.enter("/drop");
            ann.enter(&said("two"));
            bob.wait_for(&heard("two"));
            ann.wait_for("connected: recovered true");

            bob.enter("/offline 1");
            bob.wait_for("disconnected");
            ann.enter(&said("three"));
            ann.wait_for(&heard("three"));
            bob.wait_for("connected: recovered true");
            bob.wait_for(&heard("three"));

            // The end of the input waits for what is on its way.
            ann.enter(&said("four"));
            ann.finish();
            bob.wait_for(&heard("four"));
            let mut messages = bob.finish();
            // A new session first catches up with what was said before.
            messages.retain(|line| line.starts_with(&heard("")));
            assert_eq!(messages, ["one", "two", "three", "four"].map(heard));
        }
        chat.assert_unharmed();
    }
}
