//! A server around a file, and its clients.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use socketio_proto::{
    RecoveryConfig, ServerConfig, Timestamp,
    client::{ClientEvent, ClientSnapshot},
    cluster::{ClusterConfig, Durability},
    hub::Once,
    server::{Server, ServerEvent},
    socket::Args,
};
use socketio_proto_sqlite::{SqliteConfig, SqliteEngine, SqliteEvent};
use socketio_proto_tokio::{
    App, Context, Handle, PeerLimits, cluster::EngineStats, entropy, serve, start_clustered,
};
use socketio_proto_tokio_client::{Events, Options, Socket, start};
use tokio::{net::TcpListener, time::timeout};

use crate::folder::Folder;

/// A test that waits for longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a client says is for everyone. What it says with `once` or `keep` is handled once, and with `keep` it
/// is for nobody.
pub struct Chat;

impl App for Chat {
    type Data = ();

    fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
        match event {
            ServerEvent::ConnectRequested { request, .. } => {
                cx.at().accept(request);
            }
            ServerEvent::Received { socket, event, ack, .. } => {
                let (text,): (String,) = event.parse().unwrap();
                let ack = match event.name() {
                    "say" => ack,
                    _ => match cx.at().accept_once(socket, first_word(&text), ack) {
                        Ok(Once::Fresh(ack)) => ack,
                        _ => return,
                    },
                };
                if event.name() != "keep" {
                    cx.at().all().emit("said", &(text,)).unwrap();
                }
                if let Some(token) = ack {
                    cx.at().ack(token, &Args::empty());
                }
            }
            _ => {}
        }
    }
}

pub fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// A node that tells nobody what the file does not have, however long that takes.
pub fn node(durability: Durability) -> ClusterConfig {
    ClusterConfig::from_entropy(&mut entropy).durability(durability).store_timeout(PATIENCE)
}

impl Folder {
    pub async fn server(&self) -> (u16, Handle<Chat>) {
        self.telling(&Told::default(), node(Durability::OnChange)).await
    }

    /// A server that writes down what happens to its file.
    pub async fn telling(&self, told: &Told, node: ClusterConfig) -> (u16, Handle<Chat>) {
        let tell = Told::clone(told);
        let config = SqliteConfig::new(self.file(""))
            .on_event(move |event| tell.lock().unwrap().push(event));
        let engine = SqliteEngine::open(config).unwrap();
        let config = ServerConfig::new().recovery(RecoveryConfig::new());
        let mut server = Server::clustered(config, node, entropy).unwrap();
        server.at(Timestamp::ZERO).add_namespace("/").unwrap();
        let (service, handle) = start_clustered(server, Chat, engine);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let site = service.at("/socket.io");
        tokio::spawn(serve(listener, site, PeerLimits::default(), handle.closing()));
        (port, handle)
    }
}

/// What happened to a file.
pub type Told = Arc<Mutex<Vec<SqliteEvent>>>;

pub struct Client {
    pub socket: Socket,
    pub events: Events,
}

impl Client {
    /// Begins to connect.
    pub fn begin(port: u16, snapshot: Option<ClientSnapshot>) -> Self {
        let options = snapshot.into_iter().fold(Options::new(), Options::snapshot);
        let (socket, events) = start(&format!("http://127.0.0.1:{port}"), options).unwrap();
        Self { socket, events }
    }

    /// Connects. Says whether the session was recovered.
    pub async fn connect(port: u16, snapshot: Option<ClientSnapshot>) -> (Self, bool) {
        let mut client = Self::begin(port, snapshot);
        let is_recovered = client.connected().await;
        (client, is_recovered)
    }

    /// Waits until it is connected. Says whether the session was recovered.
    pub async fn connected(&mut self) -> bool {
        loop {
            if let ClientEvent::Connected { recovered, .. } = self.next().await {
                return recovered;
            }
        }
    }

    async fn next(&mut self) -> ClientEvent {
        timeout(PATIENCE, self.events.next()).await.expect("in time").expect("an event")
    }

    /// The text of the next event.
    pub async fn hear(&mut self) -> String {
        loop {
            if let ClientEvent::Received { event, .. } = self.next().await {
                return event.parse::<(String,)>().unwrap().0;
            }
        }
    }

    pub async fn say(&self, text: &str) {
        self.socket.emit_with_ack("say", &(text,), PATIENCE).await.unwrap();
    }

    pub async fn leave(self) -> ClientSnapshot {
        self.socket.client().close().await.unwrap()
    }
}

pub async fn until(handle: &Handle<Chat>, is_wanted: impl Fn(&EngineStats) -> bool) {
    let wanted = async {
        while !is_wanted(&engine_stats(handle).await) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wanted).await.expect("in time");
}

pub async fn engine_stats(handle: &Handle<Chat>) -> EngineStats {
    handle.engine_stats().await.unwrap().unwrap()
}
