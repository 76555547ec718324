//! The page of `examples/chat` in a real browser; see `tests/browser/chat.test.mjs`.

#[path = "interop/driver.rs"]
mod driver;

use std::{env, path::Path};

use driver::{Example, have, install, run_node_tests};

#[test]
fn chat_page_recovers() {
    let browser = env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    if !have("node") || !have("npm") || !have(&browser) {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("tests/browser");
    install(&folder);
    install(&root.join("examples/chat/web"));

    let mut chat = Example::start("chat", &["--port", "0"], &[]);
    let url = format!("http://localhost:{}", chat.address);
    run_node_tests(&folder, |_| true, &[("CHAT_URL", url), ("CHROMIUM", browser)]);
    chat.assert_unharmed();
}
