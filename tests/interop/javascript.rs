//! Releases of the official JavaScript client against `tests/fixtures/contract`, `examples/echo`,
//! `examples/router`, `examples/axum` and `examples/threads`; see `tests/interop/*.test.mjs`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::{
    example::{Example, build},
    node::run_node_tests,
    npm::{have, install},
    turn,
};

#[test]
fn official_client() {
    run("socket.io-client", true, |_| true);
}

/// The first line of releases that recovers. Its parser takes any number of attachments. In Node.js it
/// polls without `fetch`, and keeps no cookies.
#[test]
fn official_client_4_6() {
    run("socket.io-client-4.6", true, |file| {
        !matches!(file, "compression" | "malformed" | "poison" | "sticky")
    });
}

/// One that does not know recovery.
#[test]
fn official_client_4_1() {
    run("socket.io-client-4.1", false, |file| matches!(file, "connection" | "lifecycle"));
}

fn run(package: &str, recovers: bool, is_wanted: impl Fn(&str) -> bool) {
    run_with(package, recovers, is_wanted, &[]);
}

/// The sessions are in a file, as `ENGINE=sqlite` has it.
#[test]
fn official_client_with_a_file() {
    let folder = std::env::temp_dir().join(format!("contract-sqlite-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = [("ENGINE", "sqlite"), ("TMPDIR", folder.to_str().expect("a path of text"))];
    run_with("socket.io-client", true, |file| file == "recovery", &file);
    std::fs::remove_dir_all(folder).expect("the files go");
}

/// Runs the tests with these variables for the contract servers.
fn run_with(
    package: &str,
    recovers: bool,
    is_wanted: impl Fn(&str) -> bool,
    engine: &[(&str, &str)],
) {
    let _turn = turn::shared();
    let Some(folder) = installed() else {
        return;
    };
    let mut servers = Servers::start(engine);
    let mut variables = servers.urls();
    // Their tests start and restart them themselves.
    let applications = ["axum", "threads"].map(|name| (name, build(name)));
    let applications =
        serde_json::to_string(&BTreeMap::from(applications)).expect("paths are text");
    variables.push(("APPLICATIONS", applications));
    variables.push(("CLIENT_PACKAGE", package.to_owned()));
    variables.push(("CLIENT_RECOVERS", recovers.to_string()));
    run_node_tests(folder, is_wanted, &variables);
    servers.assert_unharmed();
}

/// The folder of the Node.js tests with what they need, once for all tests.
fn installed() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        if !have("node") || !have("npm") {
            return None;
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
        install(&folder);
        Some(folder)
    });
    folder.as_deref()
}

/// The contract server, once for each way of running it, and the servers of two examples, by the
/// variables that name their addresses.
struct Servers(Vec<(&'static str, Example)>);

impl Servers {
    fn start(engine: &[(&str, &str)]) -> Self {
        let acceptance = |variables: &[_]| contract("acceptance", &[variables, engine].concat());
        let any_port = ("PORT", "0");
        let impatience = [
            any_port,
            ("RECOVERY_MS", "4000"),
            ("PING_INTERVAL", "1000"),
            ("PING_TIMEOUT", "3000"),
        ];
        let patience = [any_port, ("PING_INTERVAL", "25000"), ("PING_TIMEOUT", "20000")];
        Self(vec![
            ("CONTRACT_URL", acceptance(&[any_port])),
            ("IMPATIENT_URL", acceptance(&impatience)),
            ("CLIENT_URL", contract("client", &[any_port])),
            ("INTEROP_URL", contract("interop", &[any_port])),
            ("PATIENT_URL", contract("interop", &patience)),
            ("ECHO_URL", Example::start("echo", &[], &[any_port])),
            ("ROUTER_URL", Example::start("router", &[], &[any_port])),
        ])
    }

    fn urls(&self) -> Vec<(&'static str, String)> {
        let url = |server: &Example| format!("http://127.0.0.1:{}", server.address);
        self.0.iter().map(|(name, server)| (*name, url(server))).collect()
    }

    fn assert_unharmed(&mut self) {
        for (_, server) in &mut self.0 {
            server.assert_unharmed();
        }
    }
}

fn contract(profile: &str, variables: &[(&str, &str)]) -> Example {
    Example::start("contract", &["--profile", profile], variables)
}
