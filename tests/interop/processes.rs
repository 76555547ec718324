//! `examples/processes`: official clients and ours, with workers that end.

#[cfg(test)]
mod tests {
    use std::{
        env, fs,
        net::TcpStream,
        path::{Path, PathBuf},
        process::Command,
        sync::Mutex,
        thread,
        time::{Duration, Instant},
    };

    use crate::{
        example::{Example, build},
        node::run_node_tests,
        npm::{have, install},
        turn,
    };

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = env::temp_dir().join(format!("processes-{name}-{}", std::process::id()));
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
        let _turn = turn::shared();
        let interop = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
        install(&interop);
        let folder = Folder::new("clients");
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

        signal(&example, "-TERM");
        assert!(example.process.wait().unwrap().success());
        let names = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["sessions.db", "sessions.db-lock", "sessions.db-tail"]);
    }
    fn signal(example: &Example, name: &str) {
        let id = example.process.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Waits until it has written this.
    fn until_written(text: &Mutex<String>, wanted: &str) {
        until(|| text.lock().unwrap().contains(wanted), wanted);
    }

    #[expect(clippy::disallowed_methods, reason = "a test that waits for longer has failed")]
    fn until(mut is_so: impl FnMut() -> bool, what: &str) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < Duration::from_secs(60), "waited for: {what}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Puts a program where another one was, as an installation does: the other file is gone, and those who
    /// run it go on.
    fn install_program(at: &Path, from: &Path) {
        fs::remove_file(at).ok();
        fs::copy(from, at).unwrap();
    }

    #[test]
    fn a_restart_of_all_workers_starts_the_program_that_is_there_by_then() {
        let _turn = turn::shared();
        let folder = Folder::new("versions");
        let (built, program) = (build("processes"), folder.0.join("processes"));
        install_program(&program, &built);
        let file = folder.0.join("sessions.db");
        let arguments =
            ["--port", "0", "--workers", "2", "--file", file.to_str().expect("a path of text")];
        let mut example = Example::run("processes", &program, &arguments, &[]);

        install_program(&program, &built);
        signal(&example, "-HUP");
        until_written(&example.written, "restarted");

        // A version that does not start: the others go on, and the end comes when it is asked for.
        let broken = folder.0.join("broken");
        fs::copy(&built, &broken).unwrap();
        fs::write(&broken, "#!/bin/sh\nexit 1\n").unwrap();
        install_program(&program, &broken);
        signal(&example, "-HUP");
        until_written(&example.written, "worker 0 did not start");
        TcpStream::connect(format!("127.0.0.1:{}", example.address)).unwrap();
        example.assert_unharmed();
        signal(&example, "-TERM");
        until(|| example.process.try_wait().unwrap().is_some(), "the end");
        assert!(example.process.wait().unwrap().success());
    }

    #[test]
    fn workers_that_cannot_start_are_no_reason_to_try_for_ever() {
        let _turn = turn::shared();
        let folder = Folder::new("start");
        let file = folder.0.join("nowhere").join("sessions.db");
        let output = Command::new(build("processes"))
            .args(["--port", "0", "--file"])
            .arg(file)
            .output()
            .unwrap();
        assert!(!output.status.success());
        let complaints = String::from_utf8(output.stderr).unwrap();
        assert!(complaints.contains("worker 0 did not start"), "{complaints}");
        assert!(complaints.contains("No such file or directory"), "{complaints}");
    }
}
