//! Invariants over arbitrary bytes: what the fuzz targets run and `cargo test` replays.
//!
//! Each function takes the bytes of one run, draws structured input from them with `arbitrary`, and
//! panics where a promise of the crate is broken.

#![expect(clippy::missing_panics_doc, reason = "a broken promise is a panic, and nothing else is")]

mod client;
mod cluster;
mod connection;
mod draw;
mod engine;
mod history;
mod meaning;
mod messages;
mod model;
mod mongodb;
mod node;
mod packets;
mod postgres;
mod receipts;
mod recovery;
mod restore;
mod server;
mod sharded;
mod socket;
mod source;
#[path = "../../tests/support/mod.rs"]
mod support;
mod tree;
mod wires;

pub use self::{
    client::client, cluster::cluster_codec, connection::engine_connection, engine::engine_codec,
    mongodb::mongodb_codec, node::node, postgres::postgres_codec, receipts::receipts,
    recovery::recovery, restore::restore, server::server, socket::socket_codec,
};

use std::{env, fs, io};

/// Takes the bytes of one run.
pub type Target = fn(&[u8]);

/// Every target by the name of its file in `fuzz/fuzz_targets` and its folder in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("client", client),
    ("cluster_codec", cluster_codec),
    ("engine_codec", engine_codec),
    ("engine_connection", engine_connection),
    ("mongodb_codec", mongodb_codec),
    ("node", node),
    ("postgres_codec", postgres_codec),
    ("receipts", receipts),
    ("recovery", recovery),
    ("restore", restore),
    ("server", server),
    ("socket_codec", socket_codec),
];

/// Runs a target with the content of each file that is named on the command line.
///
/// # Errors
///
/// A file cannot be read.
pub fn replay(target: Target) -> io::Result<()> {
    for path in env::args_os().skip(1) {
        println!("{}", path.display());
        target(&fs::read(path)?);
    }
    Ok(())
}

/// The rest of the program of a target: that of libFuzzer, or [`replay`] without it.
#[macro_export]
macro_rules! fuzz {
    ($target:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$target(data));

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            $crate::replay($crate::$target)
        }
    };
}
