//! A proxy: it opens tunnels, and it forwards requests whose URL is whole.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

pub struct Proxy {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// All connections lead to `target`. `answer` is its answer to CONNECT.
    pub async fn start(target: SocketAddr, answer: &'static str) -> Self {
        Self::with(None, target, answer).await
    }

    /// As [`start`](Self::start), with TLS between the client and the proxy.
    pub async fn with(tls: Option<TlsAcceptor>, target: SocketAddr, answer: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, seen) = (tls.clone(), seen.clone());
                tokio::spawn(async move {
                    match tls {
                        None => pass(stream, target, answer, seen).await,
                        Some(tls) => {
                            let stream = tls.accept(stream).await.unwrap();
                            pass(stream, target, answer, seen).await;
                        }
                    }
                });
            }
        });
        Self { address, heads, task }
    }

    pub fn url(&self) -> String {
        format!("http://user:pass%20word@{}", self.address)
    }

    /// The heads of the requests that began a connection, in lower case.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    target: SocketAddr,
    answer: &str,
    heads: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let text = String::from_utf8(head.clone()).unwrap().to_lowercase();
    heads.lock().unwrap().push(text.clone());
    let mut server = TcpStream::connect(target).await.unwrap();
    if text.starts_with("connect ") {
        stream.write_all(answer.as_bytes()).await.ok();
    } else {
        // As a real proxy does not: later requests of the connection are not changed. The server takes
        // whole URLs as well.
        server.write_all(&head).await.ok();
    }
    copy_bidirectional(&mut stream, &mut server).await.ok();
}
