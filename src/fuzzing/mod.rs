//! Invariants over arbitrary bytes: what the targets in `fuzz/` run and `cargo test` replays.
//!
//! Each function takes the bytes of one run, draws structured input from them with `arbitrary`, and
//! panics where a promise of the crate is broken.

mod client;
mod connection;
mod engine;
mod history;
mod packets;
mod recovery;
mod restore;
mod server;
mod socket;
mod source;
mod tree;
mod wires;

pub use self::{
    client::client, connection::engine_connection, engine::engine_codec, recovery::recovery,
    restore::restore, server::server, socket::socket_codec,
};

/// Takes the bytes of one run.
pub type Target = fn(&[u8]);

/// Every target by the name of its file in `fuzz/fuzz_targets` and its folder in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("client", client),
    ("engine_codec", engine_codec),
    ("engine_connection", engine_connection),
    ("recovery", recovery),
    ("restore", restore),
    ("server", server),
    ("socket_codec", socket_codec),
];

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeSet, string::String, vec::Vec};
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use super::*;

    /// The folder of the fuzz targets; not part of the published package.
    fn folder() -> Option<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        folder.exists().then_some(folder)
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort_unstable();
        files
    }

    #[test]
    fn the_corpus_holds() {
        let Some(folder) = folder() else {
            return;
        };
        for (name, target) in TARGETS {
            let inputs = files(&folder.join("corpus").join(name));
            assert!(!inputs.is_empty(), "{name} has a corpus");
            for input in inputs {
                std::println!("{}", input.display());
                target(&fs::read(&input).unwrap());
            }
        }
    }

    #[test]
    fn every_function_has_a_target() {
        let Some(folder) = folder() else {
            return;
        };
        let stem =
            |path: &PathBuf| -> String { path.file_stem().unwrap().to_str().unwrap().into() };
        let found: BTreeSet<_> = files(&folder.join("fuzz_targets")).iter().map(stem).collect();
        let known: BTreeSet<_> = TARGETS.iter().map(|(name, _)| String::from(*name)).collect();
        assert_eq!(found, known);
    }
}
