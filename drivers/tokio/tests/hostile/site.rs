//! A server under attack, and its bystanders.

use std::{future::pending, time::Duration};

use socketio_proto::{
    Limits, RecoveryConfig, ServerConfig, Timestamp,
    server::{Server, ServerEvent, Stats},
};
use socketio_proto_tokio::{
    App, Context, Handle, Listener, PeerLimits, Peers, SocketIoService, entropy, serve, start,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket},
    time::sleep,
};

use crate::{
    bystander::Bystander,
    raw::{Answer, Raw, UNKNOWN, get, in_time},
};

/// The places for TCP connections of attackers.
pub const PLACES: usize = 8;
/// Never reached.
pub const LONG: Duration = Duration::from_secs(600);
/// How long sessions of attackers stay parked.
const PARKED: Duration = Duration::from_millis(20);
/// Bytes of each event of a burst.
const LARGE: usize = 100_000;
/// Bytes of one event that is larger than what may wait for a stream behind a frame.
pub const HUGE: usize = 12 << 20;
pub const MAX_PAYLOAD: usize = 20_000;

/// Acknowledges with the arguments after an event in return, and sends bursts.
struct Echo;

impl App for Echo {
    type Data = ();

    fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
        match event {
            ServerEvent::ConnectRequested { request, .. } => {
                cx.at().accept(request);
            }
            ServerEvent::Received { socket, event, ack: Some(token), .. } => {
                let number: u32 = event.get(0).unwrap_or(0);
                cx.at().socket(socket).emit("echoed", &(number,)).ok();
                cx.at().ack(token, &event.args());
            }
            ServerEvent::Received { socket, event, .. } if event.name() == "huge" => {
                cx.at().socket(socket).emit("huge", &("x".repeat(HUGE),)).ok();
            }
            ServerEvent::Received { socket, event, .. } if event.name() == "burst" => {
                for number in 0..event.get(0).unwrap_or(0) {
                    cx.at().socket(socket).emit("large", &(number, "x".repeat(LARGE))).ok();
                }
            }
            _ => {}
        }
    }
}

/// What attackers see of a server. Bystanders come through another listener, with the default
/// limits, so that short times are only for attackers.
pub struct Attacked {
    pub limits: PeerLimits,
    pub body_timeout: Duration,
}

impl Default for Attacked {
    fn default() -> Self {
        let mut limits = PeerLimits::default();
        (limits.connections, limits.head, limits.write) = (PLACES, LONG, LONG);
        Self { limits, body_timeout: LONG }
    }
}

impl Attacked {
    pub async fn start(self) -> Site {
        let listener = narrow_listener();
        let port = listener.local_addr().unwrap().port();
        self.start_on(listener, port).await
    }

    pub async fn start_on(self, listener: impl Listener, port: u16) -> Site {
        let (service, handle) = service();
        let attacked = service.clone().body_timeout(self.body_timeout).at("/socket.io");
        let peers = Peers::new(self.limits);
        tokio::spawn(serve(listener, attacked, peers.clone(), pending()));
        let site = Site::new(service, handle, port).await;
        let is_hasty = self.limits.head < LONG;
        Site { places: self.limits.connections, peers: Some(peers), is_hasty, ..site }
    }

    /// Behind another HTTP server, which does not know `limits`.
    pub async fn start_behind_axum(self) -> Site {
        let (service, handle) = service();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let attacked = service.clone().body_timeout(self.body_timeout);
        let routes = axum::Router::new().route_service("/socket.io/", attacked);
        tokio::spawn(axum::serve(listener, routes).into_future());
        Site::new(service, handle, port).await
    }
}

/// A server with the limits that most attacks need.
pub async fn site() -> Site {
    Attacked::default().start().await
}

/// The same service behind another HTTP server, which has other limits.
pub async fn site_behind_axum() -> Site {
    Attacked::default().start_behind_axum().await
}

/// Little fits into the send buffers of its connections.
pub fn narrow_listener() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(1).unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    socket.listen(100).unwrap()
}

fn service() -> (SocketIoService, Handle<Echo>) {
    let recovery = RecoveryConfig::new().max_disconnection(PARKED);
    let limits = Limits::new().queued_bytes(1 << 20).queue_burst_bytes(2 << 20);
    let config = ServerConfig::new().recovery(recovery).limits(limits).max_payload(MAX_PAYLOAD);
    let mut server = Server::new(config, entropy).unwrap();
    server.at(Timestamp::ZERO).add_namespace("/").unwrap();
    start(server, Echo)
}

/// A server under attack.
pub struct Site {
    handle: Handle<Echo>,
    port: u16,
    places: usize,
    /// Whether clients have little time for the head of a request. Then a machine that stands still for a
    /// moment takes it from honest ones as well, and they come again.
    is_hasty: bool,
    /// There if the crate serves the connections of attackers.
    peers: Option<Peers>,
    bystanders: [Bystander; 2],
    before: [usize; 8],
}

impl Site {
    async fn new(service: SocketIoService, handle: Handle<Echo>, port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let quiet = listener.local_addr().unwrap().port();
        let quiet_site = service.at("/socket.io");
        tokio::spawn(serve(listener, quiet_site, PeerLimits::default(), pending()));
        let bystanders = [Bystander::on_polling(quiet).await, Bystander::on_websocket(quiet).await];
        let before = figures(&handle.stats().await.unwrap());
        Self { handle, port, places: PLACES, is_hasty: false, peers: None, bystanders, before }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub async fn connect(&self) -> Raw {
        Raw::connect(self.port).await
    }

    /// Opens a WebSocket and joins the main namespace.
    pub async fn join(&self) -> Raw {
        let mut client = self.connect().await;
        client.join().await;
        client
    }

    /// Sends frames on a WebSocket of their own, in its main namespace. Returns the code of the close
    /// frame that comes in return.
    pub async fn close_code(&self, bytes: &[u8]) -> u16 {
        let mut client = self.join().await;
        // The connection may be closed before all is sent.
        client.try_send(bytes).await;
        client.close_code().await
    }

    /// Opens a long-polling session on a connection of its own, and returns the path of its requests.
    pub async fn open_polling(&self) -> String {
        self.connect().await.open_polling().await
    }

    /// Whether a long-polling session is still there; it is closed then.
    pub async fn close_polling(&self, path: &str) -> bool {
        self.connect().await.close_polling(path).await
    }

    /// Whether a long-polling session has ended.
    pub async fn is_over(&self, path: &str) -> bool {
        self.connect().await.ask(get(path)).await.status == 400
    }

    pub const fn is_hasty(&self) -> bool {
        self.is_hasty
    }

    /// Sends a request on a connection of its own, and returns both with the response.
    pub async fn ask(&self, request: &str) -> (Raw, Answer) {
        let port = self.port;
        self.ask_over(&async || Raw::connect(port).await, request).await
    }

    async fn ask_over<S>(
        &self,
        connect: &impl AsyncFn() -> Raw<S>,
        request: &str,
    ) -> (Raw<S>, Answer)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        in_time(async {
            loop {
                let mut client = connect().await;
                match client.ask_if_open(request).await {
                    Some(answer) => return (client, answer),
                    None => assert!(self.is_hasty, "dropped without an answer"),
                }
            }
        })
        .await
    }

    /// Waits until each bystander has made an exchange that begins from now on.
    pub async fn serves(&mut self) {
        for bystander in &mut self.bystanders {
            bystander.exchange().await;
        }
    }

    pub async fn stats(&self) -> Stats {
        self.handle.stats().await.unwrap()
    }

    /// Waits until the server holds no more than before the attack, though attackers may still be
    /// connected.
    pub async fn holds_nothing(&self) {
        in_time(async {
            while figures(&self.stats().await) != self.before {
                sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    /// The end of a test: all attackers are gone. The bystanders still have their sessions, and the
    /// server holds nothing of the attackers, not even a place of a TCP connection.
    pub async fn assert_unharmed(self) {
        let port = self.port;
        self.assert_unharmed_over(async || Raw::connect(port).await).await;
    }

    /// The same over streams of another kind.
    pub async fn assert_unharmed_over<S>(mut self, connect: impl AsyncFn() -> Raw<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.serves().await;
        self.holds_nothing().await;
        if let Some(peers) = &self.peers {
            in_time(async {
                while peers.stats().connections > 0 {
                    sleep(Duration::from_millis(2)).await;
                }
            })
            .await;
        }
        let mut places = Vec::new();
        for _ in 0..self.places {
            let (place, answer) = self.ask_over(&connect, &get(UNKNOWN)).await;
            assert_eq!(answer.status, 400);
            places.push(place);
        }
        drop(places);
        self.serves().await;
        let stats = self.stats().await;
        assert_eq!((stats.sockets, stats.total.recovered), (2, 0));
        for bystander in self.bystanders {
            bystander.stop().await;
        }
    }
}

/// What a server holds.
fn figures(stats: &Stats) -> [usize; 8] {
    [
        stats.connections,
        stats.sockets,
        stats.parked_sessions,
        stats.connects_waiting,
        stats.recoveries_queued,
        stats.rooms,
        stats.namespaces,
        stats.pending_acks,
    ]
}
