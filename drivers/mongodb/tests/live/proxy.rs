//! What is between the nodes and their server, and between clients and their nodes.

use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering::Relaxed},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// All connections go to one port, until they are cut.
pub struct Proxy {
    pub port: u16,
    to: Arc<AtomicU16>,
    cuts: watch::Sender<()>,
}

impl Proxy {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let to = Arc::new(AtomicU16::new(port));
        let cuts = watch::Sender::new(());
        let (target, cut) = (Arc::clone(&to), cuts.subscribe());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (to, mut cut) = (target.load(Relaxed), cut.clone());
                tokio::spawn(async move {
                    cut.mark_unchanged();
                    let Ok(mut far) = TcpStream::connect(("127.0.0.1", to)).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { port: own, to, cuts }
    }

    pub fn turn_to(&self, port: u16) {
        self.to.store(port, Relaxed);
    }

    pub fn cut(&self) {
        self.cuts.send_replace(());
    }
}
