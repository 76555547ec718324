//! Every figure of the driver moves.

use std::{
    future::{Ready, ready},
    io,
    time::Duration,
};

use futures_util::FutureExt as _;
use http::Request;
use http_body_util::Empty;
use socketio_proto::{RecoveryConfig, ServerConfig, Timestamp, server::Server};
use socketio_proto_tokio::{
    DriverStats, Handle, Listener, PeerLimits, PeerStats, Peers, SocketIoService, entropy, serve,
    start,
};
use tokio::{
    io::{AsyncWriteExt as _, DuplexStream},
    sync::mpsc,
};

use crate::support::{Echo, LARGE, POLL, Ws, echo, in_time, polling_session, request};

/// What the listener accepts: a stream, one that cannot be opened, or an error of the system.
enum Next {
    Stream(DuplexStream),
    NotOpened,
    Error,
}

/// Streams in memory, into which little fits.
struct Memory(mpsc::UnboundedReceiver<Next>);

impl Listener for Memory {
    type Stream = DuplexStream;
    type Opening = Ready<io::Result<DuplexStream>>;

    async fn accept(&mut self) -> io::Result<Self::Opening> {
        match self.0.recv().await {
            Some(Next::Stream(stream)) => Ok(ready(Ok(stream))),
            Some(Next::NotOpened) => Ok(ready(Err(io::Error::other("no handshake")))),
            Some(Next::Error) => Err(io::Error::other("no more file descriptors")),
            None => std::future::pending().await,
        }
    }
}

struct Site {
    handle: Handle<Echo>,
    peers: Peers,
    listener: mpsc::UnboundedSender<Next>,
}

impl Site {
    fn new(limits: PeerLimits, (service, handle): (SocketIoService, Handle<Echo>)) -> Self {
        let (listener, accepted) = mpsc::unbounded_channel();
        let peers = Peers::new(limits);
        let site = service.at("/socket.io");
        tokio::spawn(serve(Memory(accepted), site, peers.clone(), std::future::pending()));
        Self { handle, peers, listener }
    }

    fn connect(&self) -> DuplexStream {
        let (theirs, ours) = tokio::io::duplex(1000);
        assert!(self.listener.send(Next::Stream(ours)).is_ok());
        theirs
    }

    async fn driver(&self) -> DriverStats {
        in_time(self.handle.driver_stats()).await.unwrap()
    }

    /// Waits until the driver's figures are as wanted.
    async fn until(&self, is_wanted: impl Fn(&DriverStats) -> bool) -> DriverStats {
        let wanted = async {
            loop {
                let stats = self.driver().await;
                if is_wanted(&stats) {
                    return stats;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        in_time(wanted).await
    }

    async fn until_peers(&self, is_wanted: impl Fn(&PeerStats) -> bool) {
        let wanted = async {
            while !is_wanted(&self.peers.stats()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        in_time(wanted).await;
    }
}

#[tokio::test]
async fn exchanges_websockets_and_bytes() {
    let site = Site::new(PeerLimits::default(), echo());
    assert_eq!(site.driver().await, DriverStats::default());
    let path = polling_session(async || site.connect()).await;
    let before = site.driver().await;
    assert!(before.bytes_sent > 100, "a handshake and CONNECT: {before:?}");
    let (get, poll) = (format!("GET {path}"), site.connect());
    let waiting = tokio::spawn(async move { request(poll, &get, "").await });
    site.until(|stats| stats.exchanges == 1).await;
    let event = "420[\"echo\",1]";
    request(site.connect(), &format!("POST {path}"), event).await;
    let answer = waiting.await.unwrap();
    assert!(answer.ends_with("430[1]"), "{answer}");
    let after = site.driver().await;
    assert_eq!(after.exchanges, 0);
    assert_eq!(after.bytes_received - before.bytes_received, event.len() as u64);
    assert_eq!(after.bytes_sent - before.bytes_sent, ("ok".len() + "430[1]".len()) as u64);

    let (mut ws, _) = Ws::connect(site.connect(), "").await;
    let before = site.until(|stats| stats.websockets == 1).await;
    ws.send(event).await;
    assert_eq!(ws.packet().await, "430[1]");
    let after = site.driver().await;
    assert_eq!(after.bytes_received - before.bytes_received, event.len() as u64);
    // With the header of the frame.
    assert_eq!(after.bytes_sent - before.bytes_sent, 2 + "430[1]".len() as u64);

    // Far more than fits into the stream.
    ws.send("42[\"burst\",30]").await;
    let paused = site.until(|stats| stats.websockets_paused == 1).await;
    for _ in 0..30 {
        ws.event().await;
    }
    let read = site.until(|stats| stats.websockets_paused == 0).await;
    assert!(read.bytes_sent - after.bytes_sent > 30 * LARGE as u64, "{paused:?} {read:?}");
    assert_eq!(read.wires_lost, 0);
    drop(ws);
    site.until(|stats| stats.websockets == 0 && stats.wires_lost == 1).await;
}

#[tokio::test(flavor = "current_thread")]
async fn what_waits_for_the_server() {
    let (service, handle) = echo();
    // The server does not get a turn before this waits.
    let calls = async {
        for _ in 0..5 {
            handle.try_with(|_, _| ()).unwrap();
        }
    };
    let (stats, ()) = tokio::join!(handle.driver_stats(), calls);
    assert_eq!(stats.unwrap().calls_waiting, 5);

    // The server takes commands or calls first, as it likes.
    for _ in 0..1_000 {
        let mut requests = Vec::new();
        for _ in 0..3 {
            let request = Request::get(POLL).body(Empty::<bytes::Bytes>::new()).unwrap();
            let mut answer = Box::pin(service.answer(request));
            assert!(answer.as_mut().now_or_never().is_none());
            requests.push(answer);
        }
        let waiting = handle.driver_stats().await.unwrap().commands_waiting;
        if waiting >= 3 {
            return;
        }
    }
    panic!("commands are always first");
}

#[tokio::test(flavor = "current_thread")]
async fn late_timers() {
    let config = ServerConfig::new().ping_interval(Duration::from_millis(10));
    let mut server = Server::new(config.recovery(RecoveryConfig::new()), entropy).unwrap();
    server.at(Timestamp::ZERO).add_namespace("/").unwrap();
    let site = Site::new(PeerLimits::default(), start(server, Echo));
    let (mut ws, _) = Ws::connect(site.connect(), "").await;
    let before = site.driver().await.late_timers;
    while site.driver().await.late_timers == before {
        // Answers the last ping.
        ws.send("420[\"echo\",1]").await;
        assert_eq!(ws.packet().await, "430[1]");
        site.handle.with(|_, _| std::thread::sleep(Duration::from_millis(50))).await.unwrap();
    }
}

#[tokio::test]
async fn connections() {
    let mut limits = PeerLimits::default();
    limits.connections = 2;
    let site = Site::new(limits, echo());
    assert_eq!(site.peers.stats(), PeerStats::default());
    let (first, second) = (site.connect(), site.connect());
    site.until_peers(|stats| stats.connections == 2 && stats.accepted == 2).await;
    site.until_peers(|stats| stats.limit_reached == 1).await;
    let (third, ()) =
        tokio::join!(Ws::connect(site.connect(), ""), async { drop((first, second)) });
    site.until_peers(|stats| stats.connections == 1 && stats.accepted == 3).await;
    drop(third);
    site.until_peers(|stats| stats.connections == 0).await;

    for next in [Next::NotOpened, Next::Error] {
        assert!(site.listener.send(next).is_ok());
    }
    site.until_peers(|stats| stats.not_opened == 1 && stats.accept_errors == 1).await;
}

#[tokio::test]
async fn peers_that_are_dropped() {
    let mut limits = PeerLimits::default();
    limits.head = Duration::from_millis(50);
    let site = Site::new(limits, echo());
    let silent = site.connect();
    site.until_peers(|stats| stats.head_timeouts == 1 && stats.connections == 0).await;
    drop(silent);

    let mut limits = PeerLimits::default();
    limits.write = Duration::from_millis(50);
    let site = Site::new(limits, echo());
    let path = polling_session(async || site.connect()).await;
    request(site.connect(), &format!("POST {path}"), "42[\"burst\",1]").await;
    let mut deaf = site.connect();
    let get = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    deaf.write_all(get.as_bytes()).await.unwrap();
    site.until_peers(|stats| stats.write_timeouts == 1 && stats.connections == 0).await;
    assert_eq!(site.peers.stats().head_timeouts, 0);
}
