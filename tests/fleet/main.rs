//! Fleets of nodes on a real Redis, official ones and ours, with official clients: `tests/fleet/*.test.mjs`.
//!
//! By hand, after `cargo build --release --example contract`: `mixed.test.mjs`, which takes most of a
//! minute, and the exactness run and the crash run of any size.
//!
//! With SECANTUS, the program that the tests of `drivers/mongodb` install as
//! `target/tmp/secantusdb/bin/secantusd-py`, `mixed.test.mjs` plays the MongoDB adapter as well.
//!
//! ```text
//! cd tests/fleet && npm ci
//! CONTRACT=../../target/release/examples/contract node --test mixed.test.mjs
//! CONTRACT=../../target/release/examples/contract node exactness.mjs --kinds ours,ours,ours --claims 1000 --rate 5000
//! CONTRACT=../../target/release/examples/contract node crashes.mjs --kills 500 --clients 200 --nodes 1
//! ```

#[path = "../interop/example.rs"]
#[expect(dead_code, reason = "the tests start and stop the example themselves")]
mod example;
#[path = "../interop/node.rs"]
mod node;
#[path = "../interop/npm.rs"]
mod npm;
#[path = "../interop/output.rs"]
mod output;
#[path = "../interop/skip.rs"]
mod skip;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::{
        example::build,
        node::run_node_tests,
        npm::{have, install},
    };

    #[test]
    fn the_judge() {
        run("judge", &[]);
    }

    #[test]
    fn official_nodes() {
        run("official", &[]);
    }

    #[test]
    fn redis_that_is_away() {
        run_ours("away");
    }

    #[test]
    fn official_nodes_of_the_classic_adapter() {
        run_ours("classic");
    }

    #[test]
    fn crashes() {
        run_ours("crashes");
    }

    #[test]
    fn exactness() {
        run_ours("exactness");
    }

    #[test]
    fn sessions_that_move() {
        run_ours("moves");
    }

    fn run_ours(file: &str) {
        run(file, &[("CONTRACT", build("contract").display().to_string())]);
    }

    fn run(file: &str, variables: &[(&str, String)]) {
        if !have("node") || !have("npm") || !have("redis-server") {
            return;
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet");
        install(&folder);
        run_node_tests(&folder, |name| name == file, variables);
    }
}
