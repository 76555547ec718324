//! Releases of the official JavaScript client against `tests/fixtures/contract`, `examples/echo`,
//! `examples/router`, `examples/axum` and `examples/threads`; see `tests/interop/*.test.mjs`.

use std::{collections::BTreeMap, path::Path};

use crate::{
    example::{Example, build},
    node::run_node_tests,
    npm::{have, install},
    turn,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop");

/// A module with a test for each of these files, run with this release, and told whether it recovers. Each has
/// servers of its own, so that they can run at the same time.
macro_rules! tests_with {
    ($(#[$about:meta])* $module:ident: $package:literal, $recovers:literal, [$($file:ident),+ $(,)?]) => {
        $(#[$about])*
        mod $module {
            pub(super) const FILES: &[&str] = &[$(stringify!($file)),+];

            $(
                #[test]
                fn $file() {
                    super::run($package, $recovers, stringify!($file), &[]);
                }
            )+
        }
    };
}

tests_with!(official_client: "socket.io-client", true, [
    application, burst, compression, connection, echo, half_open, lifecycle, malformed, mistakes, poison, recovery,
    refused, router, sticky,
]);

tests_with!(
    /// The first line of releases that recovers. Its parser takes any number of attachments. In Node.js it
    /// polls without `fetch`, and keeps no cookies.
    official_client_4_6: "socket.io-client-4.6", true, [
        application, burst, connection, echo, half_open, lifecycle, mistakes, recovery, refused, router,
    ]
);

tests_with!(
    /// One that does not know recovery.
    official_client_4_1: "socket.io-client-4.1", false, [connection, lifecycle]
);

/// The sessions are in a file, as `ENGINE=sqlite` has it.
#[test]
fn official_client_with_a_file() {
    let folder = std::env::temp_dir().join(format!("contract-sqlite-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = [("ENGINE", "sqlite"), ("TMPDIR", folder.to_str().expect("a path of text"))];
    run("socket.io-client", true, "recovery", &file);
    std::fs::remove_dir_all(folder).expect("the files go");
}

#[test]
fn no_file_is_forgotten() {
    let files = std::fs::read_dir(FOLDER).expect("the folder of the tests");
    let names =
        files.map(|entry| entry.expect("an entry").file_name().into_string().expect("text"));
    let mut names: Vec<_> =
        names.filter_map(|name| Some(name.strip_suffix(".test.mjs")?.to_owned())).collect();
    names.sort();
    assert_eq!(names, official_client::FILES);
    for files in [official_client_4_6::FILES, official_client_4_1::FILES] {
        assert!(files.iter().all(|file| official_client::FILES.contains(file)), "{files:?}");
    }
}

/// Runs the tests of a file, with these variables for the contract servers.
fn run(package: &str, recovers: bool, file: &str, engine: &[(&str, &str)]) {
    let _turn = turn::shared();
    if !have("node") || !have("npm") {
        return;
    }
    install(Path::new(FOLDER));
    let mut servers = Servers::start(engine);
    let mut variables = servers.urls();
    // Their tests start and restart them themselves.
    let applications = ["axum", "threads"].map(|name| (name, build(name)));
    let applications =
        serde_json::to_string(&BTreeMap::from(applications)).expect("paths are text");
    variables.push(("APPLICATIONS", applications));
    variables.push(("CLIENT_PACKAGE", package.to_owned()));
    variables.push(("CLIENT_RECOVERS", recovers.to_string()));
    run_node_tests(Path::new(FOLDER), |name| name == file, &variables);
    servers.assert_unharmed();
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
