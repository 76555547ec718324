//! Handlers by namespace and event.

mod ends;
mod events;
mod middlewares;
mod tasks;

use std::sync::{Arc, Mutex};

use socketio_proto::{ServerConfig, server::Server};
use socketio_proto_tokio::{
    Handle, PeerLimits, entropy,
    router::{Namespace, Router},
    serve, start,
};
use tokio::net::TcpStream;

use crate::support::{Ws, connect, in_time, listen};

/// A server with a router. Without recovery, events have no offset.
struct Site<D: Default + Send + 'static> {
    port: u16,
    handle: Handle<Router<D>>,
}

impl<D: Default + Send + 'static> Site<D> {
    async fn start(config: ServerConfig, router: Router<D>) -> Self {
        let (service, handle) = start(Server::new(config, entropy).unwrap(), router);
        let (listener, port) = listen().await;
        let site = service.at("/socket.io");
        tokio::spawn(serve(listener, site, PeerLimits::default(), handle.closing()));
        Self { port, handle }
    }

    /// One with the main namespace.
    async fn main(namespace: Namespace<D>) -> Self {
        Self::start(ServerConfig::new(), Router::new().namespace("/", namespace)).await
    }

    async fn open(&self) -> Ws<TcpStream> {
        Ws::open(connect(self.port).await).await
    }

    async fn connect(&self) -> Ws<TcpStream> {
        self.connect_with("").await.0
    }

    async fn connect_with(&self, auth: &str) -> (Ws<TcpStream>, serde_json::Value) {
        Ws::connect(connect(self.port).await, auth).await
    }

    /// Waits until the server has so many sockets that are connected.
    async fn until_sockets(&self, count: usize) {
        let connected = async || self.handle.all().local_sockets().await.unwrap().len();
        in_time(async { while connected().await != count {} }).await;
    }
}

/// What handlers have noted, in order.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until there are so many.
    async fn until(&self, count: usize) -> Vec<String> {
        let enough = async {
            while self.0.lock().unwrap().len() < count {
                tokio::task::yield_now().await;
            }
        };
        in_time(enough).await;
        self.all()
    }
}
