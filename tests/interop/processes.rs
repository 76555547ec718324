//! `examples/processes`: official clients and ours, with workers that end.

#[cfg(test)]
mod tests {
    use std::{env, fs, path::PathBuf, process::Command};

    use crate::{
        example::Example,
        node::run_node_tests,
        npm::{have, install},
        turn,
    };

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let folder = env::temp_dir().join(format!("processes-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    #[test]
    fn the_official_client_with_several_processes() {
        if !have("node") || !have("npm") {
            return;
        }
        let _turn = turn::alone();
        let interop = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
        install(&interop);
        let folder = Folder::new();
        let file = folder.0.join("sessions.db");
        let arguments =
            ["--port", "0", "--workers", "3", "--file", file.to_str().expect("a path of text")];
        let mut example = Example::start("processes", &arguments, &[]);
        let variables = [
            ("PROCESSES", format!("http://127.0.0.1:{}", example.address)),
            ("SUPERVISOR", example.process.id().to_string()),
        ];
        run_node_tests(&interop.join("processes"), |_| true, &variables);
        example.assert_unharmed();

        let id = example.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert!(example.process.wait().unwrap().success());
        let names = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["sessions.db", "sessions.db-lock", "sessions.db-tail"]);
    }
}
