//! A network that can break anywhere: it forwards bytes up to a given position.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// Passes connections on to one port. It is gone with this, and so are they.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Mutex<Shared>>,
    generation: watch::Sender<u64>,
    task: JoinHandle<()>,
}

struct Shared {
    /// Bytes that are still passed on, in both directions together.
    left: u64,
    /// Whether the server is to learn of the next cut.
    hides: bool,
    cut_within: u64,
    /// Connections to the server that it takes to be alive.
    hidden: Vec<TcpStream>,
}

impl Proxy {
    pub(crate) async fn start(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Shared { left: u64::MAX, hides: false, cut_within: 0, hidden: Vec::new() };
        let shared = Arc::new(Mutex::new(shared));
        let generation = watch::Sender::new(0);
        let task = tokio::spawn(accept(listener, target, shared.clone(), generation.clone()));
        Self { port, shared, generation, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Breaks every connection after a given number of bytes, most likely within a message. If
    /// `hides` holds the server does not learn of it.
    pub(crate) fn cut_after(&mut self, bytes: u64, hides: bool) {
        let mut shared = lock(&self.shared);
        (shared.left, shared.hides) = (bytes, hides);
    }

    /// Breaks what has not broken by now. New connections are passed on again.
    pub(crate) fn cut_now(&mut self) {
        self.generation.send_modify(|generation| *generation += 1);
        lock(&self.shared).left = u64::MAX;
    }

    /// How often a cut came before all that was to be sent had passed.
    pub(crate) fn cut_within(&self) -> u64 {
        lock(&self.shared).cut_within
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut_now();
    }
}

async fn accept(
    listener: TcpListener,
    target: u16,
    shared: Arc<Mutex<Shared>>,
    generation: watch::Sender<u64>,
) {
    loop {
        let (client, _) = listener.accept().await.expect("a connection");
        let cut = generation.subscribe();
        tokio::spawn(pass_on(client, target, shared.clone(), cut, generation.clone()));
    }
}

async fn pass_on(
    client: TcpStream,
    target: u16,
    shared: Arc<Mutex<Shared>>,
    mut cut: watch::Receiver<u64>,
    generation: watch::Sender<u64>,
) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else {
        return;
    };
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let is_cut = tokio::select! {
        is_cut = copy(&mut from_client, &mut to_server, &shared) => is_cut,
        is_cut = copy(&mut from_server, &mut to_client, &shared) => is_cut,
        _ = cut.changed() => true,
    };
    if is_cut {
        // What is on its way is lost with the rest.
        generation.send_if_modified(|generation| {
            let is_first = lock(&shared).left == 0;
            *generation += u64::from(is_first);
            is_first
        });
        let mut shared = lock(&shared);
        if shared.hides {
            shared.hidden.extend(from_server.reunite(to_server));
        }
    }
}

/// Passes bytes on until there are no more, or no more are to be passed. Returns whether this is a
/// cut.
async fn copy(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, shared: &Mutex<Shared>) -> bool {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let (passed, is_cut) = {
            let mut shared = lock(shared);
            let passed = shared.left.min(read as u64);
            shared.left =
                shared.left.saturating_sub(if shared.left == u64::MAX { 0 } else { passed });
            let is_cut = passed < read as u64;
            shared.cut_within += u64::from(is_cut);
            (usize::try_from(passed).expect("no more than was read"), is_cut)
        };
        if to.write_all(&buffer[..passed]).await.is_err() {
            return false;
        }
        if is_cut {
            return true;
        }
    }
    false
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().expect("no task panicked")
}
