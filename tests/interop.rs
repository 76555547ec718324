//! The official JavaScript client against `examples/contract`; see `tests/interop/*.test.mjs`.

#[path = "interop/driver.rs"]
mod driver;

use std::path::Path;

use driver::{Example, have, install, run_node_tests};

#[test]
fn official_client() {
    if !have("node") || !have("npm") {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
    install(&folder);

    let any_port = ("PORT", "0");
    let impatience =
        [any_port, ("RECOVERY_MS", "4000"), ("PING_INTERVAL", "1000"), ("PING_TIMEOUT", "1000")];
    let mut servers = [
        ("CONTRACT_URL", contract("acceptance", &[any_port])),
        ("IMPATIENT_URL", contract("acceptance", &impatience)),
        ("CLIENT_URL", contract("client", &[any_port])),
    ];
    let urls: Vec<(&str, String)> = servers
        .iter()
        .map(|(name, server)| (*name, format!("http://127.0.0.1:{}", server.address)))
        .collect();
    run_node_tests(&folder, &urls);
    for (_, server) in &mut servers {
        server.assert_unharmed();
    }
}

fn contract(profile: &str, variables: &[(&str, &str)]) -> Example {
    Example::start("contract", &["--profile", profile], variables)
}
