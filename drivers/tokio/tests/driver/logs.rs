//! What is reported to `tracing`, and what never is.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
};

use socketio_proto::{Timestamp, hub::Rejection, server::ServerEvent};
use socketio_proto_tokio::{App, Context, PeerLimits, serve, start};
use tracing::{
    Dispatch, Level,
    subscriber::{DefaultGuard, NoSubscriber},
};

use crate::support::{POLL, Ws, connect, echo, in_time, listen, request, server, session_id};

/// Lets in whoever does not say no.
struct Door;

impl App for Door {
    type Data = u32;

    fn handle_event(&mut self, cx: &mut Context<'_, u32>, event: ServerEvent<u32>) {
        match event {
            ServerEvent::ConnectRequested { request, auth, .. } => {
                if auth.as_str().contains("no") {
                    cx.at().reject(request, &Rejection::new("no"));
                } else {
                    cx.at().accept(request);
                }
            }
            ServerEvent::Received { socket, event, ack: Some(token), .. } => {
                tracing::info!("from the application");
                cx.at().socket(socket).emit("secret-name", &("secret-answer",)).ok();
                cx.at().ack(token, &event.args());
            }
            _ => {}
        }
    }
}

/// All lines up to now.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Collects what this thread reports until the guard is dropped.
    fn collect(&self, level: Level) -> DefaultGuard {
        // As long as there is only one subscriber, `tracing` asks that of the thread that comes to a place in
        // the code first, and remembers the answer for all. The threads of other tests have none.
        static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));
        LazyLock::force(&ANOTHER);
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().with_max_level(level).with_ansi(false);
        let subscriber = subscriber.without_time().with_writer(move || log.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Waits for a line that contains all parts.
    async fn has(&self, parts: &[&str]) {
        let is_there = async {
            while !self.text().lines().any(|line| parts.iter().all(|part| line.contains(part))) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), is_there).await;
        assert!(waited.is_ok(), "no {parts:?} in\n{}", self.text());
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "current_thread")]
async fn everything_that_happens_and_nothing_secret() {
    let log = Log::default();
    let _collecting = log.collect(Level::TRACE);
    let mut server = server();
    server.at(Timestamp::ZERO).add_namespace("/private").unwrap();
    let (service, handle) = start(server, Door);
    let (listener, port) = listen().await;
    let site = service.at("/socket.io");
    tokio::spawn(serve(listener, site, PeerLimits::default(), handle.closing()));
    log.has(&["INFO", "started"]).await;

    let opened = request(connect(port).await, &format!("GET {POLL}"), "").await;
    let sid = session_id(&opened);
    log.has(&["DEBUG", "connection opened", "wire="]).await;
    request(connect(port).await, &format!("GET {POLL}&sid=secret-unknown"), "").await;
    log.has(&["DEBUG", "request refused", "cause=\"unknown_session\"", "count=1"]).await;
    request(connect(port).await, "GET /socket.io/?EIO=3&transport=polling", "").await;
    log.has(&["DEBUG", "request refused", "cause=\"unsupported_version\""]).await;

    let (mut ws, session) = Ws::connect(connect(port).await, "{\"token\":\"secret-token\"}").await;
    log.has(&["DEBUG", "connection{", "CONNECT", "namespace=\"/\"", "recoverable=false"]).await;
    log.has(&["DEBUG", "socket{", ": connected", "namespace=\"/\""]).await;
    ws.send("40/nowhere,{\"token\":\"secret-token\"}").await;
    log.has(&["DEBUG", "CONNECT refused", "wire=", "cause=\"invalid_namespace\""]).await;
    ws.send("40/private,{\"token\":\"no\"}").await;
    log.has(&["DEBUG", "CONNECT refused", "cause=\"rejected\""]).await;

    ws.send("420[\"secret-name\",\"secret-payload\"]").await;
    log.has(&["TRACE", "event received", "ack=true"]).await;
    log.has(&["INFO", "socket{socket=", "from the application"]).await;
    let offset = loop {
        let packet = ws.packet().await;
        if packet.contains("secret-answer") {
            break packet.rsplit('"').nth(1).unwrap().to_owned();
        }
    };
    drop(ws);
    log.has(&["DEBUG", "wire lost"]).await;
    log.has(&["DEBUG", "disconnected", "reason=TransportClose", "parked=true"]).await;
    log.has(&["DEBUG", "connection closed", "reason=the peer closed the connection"]).await;

    let pid = session["pid"].as_str().unwrap();
    let auth = serde_json::json!({ "pid": pid, "offset": offset }).to_string();
    let (mut ws, _) = Ws::connect(connect(port).await, &auth).await;
    log.has(&["DEBUG", "recovered", "replayed=0"]).await;
    let unknown = "secretSecretSecret12";
    let auth = serde_json::json!({ "pid": unknown, "offset": offset }).to_string();
    let (other, _) = Ws::connect(connect(port).await, &auth).await;
    log.has(&["DEBUG", "connected, and not recovered", "refusal=Unknown"]).await;
    ws.send("41").await;
    log.has(&["disconnected", "reason=ClientNamespaceDisconnect", "parked=false"]).await;

    in_time(handle.shutdown()).await.unwrap();
    log.has(&["INFO", "all connections are closed"]).await;
    log.has(&["INFO", "ended"]).await;
    drop(other);
    let text = log.text();
    for secret in ["secret", sid, pid, &offset, unknown] {
        assert!(!text.contains(secret), "{secret} in\n{text}");
    }
}

/// Its cost does not depend on how much is said.
#[tokio::test(flavor = "current_thread")]
async fn packets_are_reported_at_the_lowest_level_only() {
    let log = Log::default();
    let _collecting = log.collect(Level::DEBUG);
    let (service, _handle) = echo();
    let (listener, port) = listen().await;
    let site = service.at("/socket.io");
    tokio::spawn(serve(listener, site, PeerLimits::default(), std::future::pending()));
    let (mut ws, _) = Ws::connect(connect(port).await, "").await;
    log.has(&[": connected"]).await;
    let before = log.text();
    for _ in 0..100 {
        ws.send("420[\"echo\",1]").await;
        assert_eq!(ws.packet().await, "430[1]");
    }
    ws.send("42[\"burst\",30]").await;
    for _ in 0..30 {
        ws.event().await;
    }
    assert_eq!(log.text(), before);
}
