//! `examples/chat` as two processes that are one chat, with Redis between them, and the official client.

#[cfg(test)]
mod tests {
    use std::{
        env, fs,
        net::{Shutdown, TcpListener, TcpStream},
        path::{Path, PathBuf},
        process::{Child, Command, Stdio},
        thread,
    };

    use crate::{
        example::Example,
        follower::Follower,
        npm::{have, install},
        ports::free_port,
        turn,
    };

    /// A Redis server, and a folder for it and for the messages.
    struct Redis {
        process: Child,
        folder: PathBuf,
        url: String,
    }

    impl Redis {
        fn start() -> Self {
            let folder = env::temp_dir().join(format!("chat-cluster-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            let port = free_port();
            let process = Command::new("redis-server")
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
                .arg(&folder)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            Self { process, folder, url: format!("redis://127.0.0.1:{port}") }
        }

        fn chat(&self) -> Example {
            let data = self.folder.to_str().unwrap();
            Example::start("chat", &["--port", "0", "--data", data, "--cluster", &self.url], &[])
        }
    }

    impl Drop for Redis {
        fn drop(&mut self) {
            self.process.kill().ok();
            self.process.wait().ok();
            fs::remove_dir_all(&self.folder).ok();
        }
    }

    /// A way to a server that can be cut. It takes one connection.
    struct Way {
        url: String,
        near: std::sync::mpsc::Receiver<TcpStream>,
    }

    impl Way {
        fn to(port: &str) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
            let to: u16 = port.parse().unwrap();
            let (tell, near) = std::sync::mpsc::channel();
            thread::spawn(move || {
                let (stream, _) = listener.accept().unwrap();
                drop(listener);
                tell.send(stream.try_clone().unwrap()).unwrap();
                let far = TcpStream::connect(("127.0.0.1", to)).unwrap();
                let (mut up, mut down) = (stream.try_clone().unwrap(), far.try_clone().unwrap());
                let (mut near, mut other) = (stream, far);
                thread::spawn(move || std::io::copy(&mut up, &mut other));
                std::io::copy(&mut down, &mut near).ok();
            });
            Self { url, near }
        }

        fn cut(self) {
            self.near.recv().unwrap().shutdown(Shutdown::Both).unwrap();
        }
    }

    #[test]
    fn the_official_client_recovers_at_the_other_process() {
        if !have("node") || !have("npm") || !have("redis-server") {
            return;
        }
        let _turn = turn::shared();
        let interop = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
        install(&interop);
        let redis = Redis::start();
        let (mut a, mut b) = (redis.chat(), redis.chat());
        let way = Way::to(&a.address);
        let at_b = format!("http://127.0.0.1:{}", b.address);
        let mut ann = Follower::start(&interop, &[&way.url, &at_b]);
        ann.wait_for("connected, recovered: false");
        // Behind her catch-up, which comes from the database.
        ann.say("hello");
        ann.wait_for("message: hello");
        let mut bob = Follower::start(&interop, &[&at_b]);
        bob.wait_for("connected, recovered: false");
        bob.say("before");
        ann.wait_for("message: before");
        bob.wait_for("message: before");
        way.cut();
        bob.say("after");
        ann.wait_for("message: after");
        bob.wait_for("message: after");
        let expected = [
            "connected, recovered: false",
            "message: hello",
            "message: before",
            "disconnected: transport close",
            "connected, recovered: true",
            "message: after",
        ];
        assert_eq!(ann.seen, expected);
        a.assert_unharmed();
        b.assert_unharmed();
    }
}
