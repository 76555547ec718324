//! What the fuzz targets have found so far still holds.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use socketio_proto_fuzz::TARGETS;

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort_unstable();
    files
}

#[test]
fn the_corpus_holds() {
    for (name, target) in TARGETS {
        let inputs = files(&format!("corpus/{name}"));
        assert!(!inputs.is_empty(), "{name} has a corpus");
        for input in inputs {
            println!("{}", input.display());
            target(&fs::read(&input).unwrap());
        }
    }
}

#[test]
fn every_function_has_a_target() {
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let found: BTreeSet<_> = files("fuzz_targets").iter().map(stem).collect();
    let known: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, known);
}
