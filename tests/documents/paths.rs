//! A path or a link in the documentation leads to something where it is read: on docs.rs and on
//! crates.io there is only the archive of the package.

use std::{fs, path::Path};

use crate::{packages::Package, repository::root};

/// What stands at the root of the repository, as far as texts name it.
const ROOTS: [&str; 9] = [
    ".ci/",
    "benches/",
    "drivers/",
    "examples/",
    "fuzz/",
    "src/",
    "tests/",
    "SECURITY.md",
    "CHANGELOG.md",
];

#[test]
fn paths_are_in_the_archive_or_said_to_be_in_the_repository() {
    let (mut named, mut nowhere) = (0, Vec::new());
    for package in Package::all() {
        let files = package.files();
        for (page, text) in pages(&package, &files) {
            for path in paths(&text) {
                named += 1;
                let folder = format!("{}/", path.trim_end_matches('/'));
                let is_there = files.iter().any(|it| *it == path || it.starts_with(&folder));
                let is_said = text.to_lowercase().contains("in the repository");
                if !(is_there || is_said && root().join(&path).exists()) {
                    nowhere.push(format!("{}: {page}: {path}", package.name));
                }
            }
        }
    }
    assert!(nowhere.is_empty(), "not in the archive, nor said to be elsewhere: {nowhere:#?}");
    assert!(named > 30, "only {named} paths were found");
}

#[test]
fn relative_links_lead_to_files_of_the_archive() {
    let (mut links, mut nowhere) = (0, Vec::new());
    for package in Package::all() {
        let files = package.files();
        for (page, text) in pages(&package, &files) {
            for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                links += 1;
                // Everything else is an item, which rustdoc checks, or an address.
                let target = link.split('#').next().unwrap_or_default();
                let is_file = target.contains(['/', '.']) && !target.contains("://");
                if is_file && !files.iter().any(|it| it == target) {
                    nowhere.push(format!("{}: {page}: {link}", package.name));
                }
            }
        }
    }
    assert!(nowhere.is_empty(), "not in the archive: {nowhere:#?}");
    assert!(links > 500, "only {links} links were found");
}

/// The documentation of a package by file: Markdown, and the comments of its items.
fn pages(package: &Package, files: &[String]) -> Vec<(String, String)> {
    let mut pages = Vec::new();
    for file in files {
        let text = || fs::read_to_string(package.folder.join(file)).expect("UTF-8");
        let extension = Path::new(file).extension().and_then(|it| it.to_str());
        match extension {
            Some("md") => pages.push((file.clone(), text())),
            Some("rs") if file.starts_with("src/") => pages.push((file.clone(), comments(&text()))),
            _ => {}
        }
    }
    pages
}

fn comments(source: &str) -> String {
    let lines = source.lines().map(str::trim_start);
    let comments = lines.filter_map(|it| it.strip_prefix("///").or_else(|| it.strip_prefix("//!")));
    comments.collect::<Vec<_>>().join("\n")
}

/// The paths that code spans begin with.
fn paths(text: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut is_block = false;
    for line in text.lines() {
        is_block ^= line.trim_start().starts_with("```");
        if is_block {
            continue;
        }
        for span in line.split('`').skip(1).step_by(2) {
            let path = span.split(' ').next().unwrap_or_default();
            if ROOTS.iter().any(|root| path.starts_with(root)) {
                paths.push(path.to_owned());
            }
        }
    }
    paths
}
