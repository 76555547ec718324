//! Nodes and clients.

use std::time::Duration;

use socketio_proto::{
    RecoveryConfig, ServerConfig, Timestamp,
    client::{Auth, ClientConfig, ClientEvent},
    cluster::ClusterConfig,
    engine::Transport,
    server::{Server, ServerEvent, Stats},
};
use socketio_proto_mongodb::{MongodbEngine, MongodbOptions};
use socketio_proto_tokio::{
    App, Context, Handle, PeerLimits, cluster::EngineStats, entropy, serve, start_clustered,
};
use socketio_proto_tokio_client::{Driver, Options, Proxy};
use tokio::{net::TcpListener, time::sleep};

/// Longer than anything takes: for a failure instead of a test that hangs.
const WAIT: Duration = Duration::from_secs(60);
/// How long the server may take to answer.
pub const ANSWER: Duration = Duration::from_secs(3);

/// Emits nothing by itself.
pub struct Quiet;

impl App for Quiet {
    type Data = ();

    fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
        if let ServerEvent::ConnectRequested { request, .. } = event {
            cx.at().accept(request);
        }
    }
}

/// A server that is one node of a cluster.
pub struct Node {
    pub handle: Handle<Quiet>,
    pub port: u16,
}

impl Node {
    pub async fn start(url: &str) -> Self {
        Self::on(MongodbEngine::open(url, MongodbOptions::new()).unwrap()).await
    }

    pub async fn on(engine: MongodbEngine) -> Self {
        let config = ServerConfig::new().recovery(RecoveryConfig::new());
        let mut cluster = ClusterConfig::from_entropy(&mut entropy);
        cluster.append_queue_bytes = 64 << 20;
        cluster.append_queue = 100_000;
        let mut server = Server::clustered(config, cluster, entropy).unwrap();
        server.at(Timestamp::ZERO).add_namespace("/").unwrap();
        let (service, handle) = start_clustered(server, Quiet, engine.answer_timeout(ANSWER));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let site = service.at("/socket.io");
        tokio::spawn(serve(listener, site, PeerLimits::default(), std::future::pending()));
        Self { handle, port }
    }

    /// Emits an event with this number to everybody.
    pub async fn emit(&self, number: u32) {
        self.handle.all().emit("n", &(number,)).await.unwrap();
    }

    /// Emits these numbers at once.
    pub async fn emit_all(&self, numbers: std::ops::Range<u32>) {
        let emits = self.handle.with(move |_, cx| {
            for number in numbers {
                cx.at().all().emit("n", &(number,)).unwrap();
            }
        });
        emits.await.unwrap();
    }

    pub async fn engine(&self) -> EngineStats {
        self.handle.engine_stats().await.unwrap().unwrap()
    }

    pub async fn server(&self) -> Stats {
        self.handle.stats().await.unwrap()
    }

    pub async fn until_connected(&self) {
        self.until(|stats| stats.is_connected).await;
    }

    /// Waits until the figures of the engine are as wanted.
    pub async fn until(&self, is_wanted: impl Fn(&EngineStats) -> bool) -> EngineStats {
        let wanted = async {
            loop {
                let stats = self.engine().await;
                if is_wanted(&stats) {
                    return stats;
                }
                sleep(Duration::from_millis(2)).await;
            }
        };
        in_time(wanted).await
    }
}

/// A client on a WebSocket.
pub struct Client {
    driver: Driver,
    /// The numbers that it has received.
    pub numbers: Vec<u32>,
    /// Whether each session that began was the one before.
    pub recovered: Vec<bool>,
}

impl Client {
    pub async fn connect(node: &Node) -> Self {
        Self::connect_to(node.port).await
    }

    pub async fn connect_to(port: u16) -> Self {
        let config = ClientConfig::new()
            .transports(&[Transport::WebSocket])
            .reconnection_delay(Duration::from_millis(50))
            .reconnection_delay_max(Duration::from_millis(200));
        let options = Options::new().config(config).proxy(Proxy::Direct);
        let url = format!("http://127.0.0.1:{port}");
        let mut driver = Driver::new(&url, options).unwrap();
        driver.client(|client, now| client.connect(now, "/", Auth::None)).unwrap();
        let mut client = Self { driver, numbers: Vec::new(), recovered: Vec::new() };
        client.until(|client| client.recovered == [false]).await;
        client
    }

    pub async fn until(&mut self, is_done: impl Fn(&Self) -> bool) {
        let done = async {
            while !is_done(self) {
                match self.driver.next().await {
                    ClientEvent::Connected { recovered, .. } => self.recovered.push(recovered),
                    ClientEvent::Received { event, .. } => {
                        self.numbers.push(event.get(0).unwrap());
                    }
                    _ => {}
                }
            }
        };
        in_time(done).await;
    }

    /// Waits for so many numbers.
    pub async fn hear(&mut self, count: usize) -> &[u32] {
        self.until(|client| client.numbers.len() >= count).await;
        &self.numbers
    }

    /// Waits for numbers, which have to be these, in this order.
    pub async fn hear_all(&mut self, numbers: std::ops::Range<u32>) {
        let expected: Vec<u32> = numbers.collect();
        assert_eq!(self.hear(expected.len()).await, expected, "neither lost nor doubled");
        assert_eq!(self.recovered, [false], "it was not disconnected");
    }
}

/// Waits, but not forever.
pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(WAIT, future).await.expect("it happens in time")
}
