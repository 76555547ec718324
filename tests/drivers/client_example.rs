//! `examples/client` against `examples/chat`, controlled through its input and output lines.

#[cfg(test)]
mod tests {
    use crate::{example::Example, terminal::Terminal};

    /// The server takes no line of 150 kB. It is not sent, and what follows arrives.
    #[test]
    fn a_line_that_is_too_long_holds_nothing_up() {
        let mut chat = Example::start("chat", &["--port", "0"], &[]);
        let url = format!("http://localhost:{}", chat.address);
        for transport in ["polling", "websocket", "both"] {
            let mut ann = Terminal::open(&url, "ann", transport);
            ann.wait_for("connected: recovered false");
            ann.enter(&"x".repeat(150_000));
            ann.wait_for("not sent: it is larger than");
            ann.enter(&format!("{transport} after"));
            ann.wait_for(&format!("ann> {transport} after"));
            ann.enter("/offline 3600");
            ann.wait_for("disconnected");
            ann.enter(&"x".repeat(150_000));
            ann.enter(&format!("{transport} back"));
            ann.enter("/offline 0");
            ann.wait_for("the server does not accept it: it is larger than");
            ann.wait_for(&format!("ann> {transport} back"));
            ann.finish();
        }
        chat.assert_unharmed();
    }

    #[test]
    fn messages_survive_drops_and_absences() {
        let mut chat = Example::start("chat", &["--port", "0"], &[]);
        let url = format!("http://localhost:{}", chat.address);
        for transport in ["polling", "websocket", "both"] {
            let said = |word: &str| format!("{transport} {word}");
            let heard = |word: &str| format!("ann> {transport} {word}");
            let mut ann = Terminal::open(&url, "ann", "both");
            let mut bob = Terminal::open(&url, "bob", transport);
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
