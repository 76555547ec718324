//! The files of the repository.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where it is.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file.
pub fn read(file: &str) -> String {
    let path = root().join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The sources and documents in these folders, whatever is built or installed there excepted. The root
/// (an empty name) is taken without its folders.
pub fn files(folders: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<(PathBuf, bool)> =
        folders.iter().map(|folder| (root().join(folder), !folder.is_empty())).collect();
    while let Some((folder, is_deep)) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                if is_deep && !["target", "node_modules", "corpus", "artifacts"].contains(&name) {
                    folders.push((path, true));
                }
            } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "md") {
                found.push(path);
            }
        }
    }
    found
}
