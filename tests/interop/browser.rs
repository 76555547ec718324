//! The page of `examples/chat` in a real browser; see `tests/browser/chat.test.mjs`.

use std::{env, path::Path};

use crate::{
    example::Example,
    node::run_node_tests,
    npm::{have, install},
    turn,
};

#[test]
fn chat_page_recovers() {
    let browser = env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    if !have("node") || !have("npm") || !have(&browser) {
        return;
    }
    let _turn = turn::alone();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("tests/browser");
    install(&folder);
    install(&root.join("examples/chat/web"));

    let mut chat = Example::start("chat", &["--port", "0"], &[]);
    let url = format!("http://localhost:{}", chat.address);
    run_node_tests(&folder, |_| true, &[("CHAT_URL", url), ("CHROMIUM", browser)]);
    chat.assert_unharmed();
}
