//! The packages that are published, as cargo sees them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use serde_json::Value;

use crate::repository::root;

/// What `cargo metadata` says of the workspace and of everything that it depends on here.
pub static METADATA: LazyLock<Value> = LazyLock::new(|| {
    // Windows is left out, for example: a test does not download what no build needed.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = cargo(&["metadata", "--format-version", "1", "--filter-platform", &platform]);
    serde_json::from_str(&output).expect("the metadata")
});

/// A crate of this workspace that is published.
pub struct Package {
    pub metadata: &'static Value,
    pub name: &'static str,
    pub folder: PathBuf,
}

impl Package {
    /// Every one of them. The fuzz targets are not published.
    pub fn all() -> Vec<Self> {
        let members = METADATA["workspace_members"].as_array().expect("members");
        let published = |package: &&Value| {
            members.contains(&package["id"]) && package["publish"] != serde_json::json!([])
        };
        let packages = METADATA["packages"].as_array().expect("packages").iter().filter(published);
        let packages: Vec<_> = packages.map(Self::new).collect();
        assert_eq!(packages.len(), 10, "a package was added: is the README of each complete?");
        packages
    }

    fn new(metadata: &'static Value) -> Self {
        let manifest = Path::new(metadata["manifest_path"].as_str().expect("a path"));
        Self {
            metadata,
            name: metadata["name"].as_str().expect("a name"),
            folder: manifest.parent().expect("a folder").to_owned(),
        }
    }

    pub fn read(&self, file: &str) -> String {
        let path = self.folder.join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The files that its archive would contain, by their paths in it.
    pub fn files(&self) -> Vec<String> {
        let list = cargo(&["package", "--list", "--allow-dirty", "--package", self.name]);
        list.lines().map(str::to_owned).collect()
    }

    /// The part of its README below a heading.
    pub fn section(&self, heading: &str) -> String {
        let readme = self.read("README.md");
        let section = readme.split_once(&format!("\n## {heading}\n"));
        let (_, section) = section.unwrap_or_else(|| panic!("{}: no {heading}", self.name));
        section.split("\n## ").next().unwrap_or_default().to_owned()
    }
}

fn cargo(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).args(["--locked", "--offline"]);
    let output = command.current_dir(root()).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn each_says_what_it_is_and_has_its_licences() {
    for package in Package::all() {
        let (name, metadata) = (package.name, package.metadata);
        for key in ["description", "license", "readme", "rust_version"] {
            assert!(metadata[key].is_string(), "{name} has no {key}");
        }
        let count = |key: &str| metadata[key].as_array().expect("a list").len();
        assert!((3..=5).contains(&count("keywords")), "{name}: keywords");
        assert!((1..=5).contains(&count("categories")), "{name}: categories");
        let all_features = &metadata["metadata"]["docs"]["rs"]["all-features"];
        let has_features = metadata["features"].as_object().is_some_and(|it| !it.is_empty());
        assert_eq!(all_features == true, has_features, "{name}: all-features on docs.rs");
        let files = package.files();
        for file in ["LICENSE-APACHE", "LICENSE-MIT", "README.md"] {
            assert!(files.iter().any(|it| it == file), "{name} has no {file}");
        }
    }
}
