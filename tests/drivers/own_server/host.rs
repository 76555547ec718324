//! A running server of this crate, on its own runtime, with the handlers of
//! `tests/official_server/server.mjs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::{Value, json};
use socketio_proto::{
    AckId, RecoveryConfig, ServerConfig, SocketKey, Timestamp,
    hub::{AckToken, Audience, Rejection},
    server::{Server, ServerEvent},
    socket::{self, Args, Binary},
};
use socketio_proto_tokio::{App, Context, Listeners, PeerLimits, entropy, serve, start};
use tokio::{
    runtime::Runtime,
    sync::{mpsc, oneshot},
};

use super::peer::in_time;
use crate::ports::free_port;

const MAX_PAYLOAD: usize = 1_000_000;

/// The server. It is killed when this is dropped.
pub(crate) struct Host {
    runtime: Option<Runtime>,
    commands: mpsc::UnboundedSender<Command>,
    port: u16,
    counts: Arc<Mutex<Counts>>,
    /// The numbers that it has stored, in order.
    pub(crate) stored: Vec<u64>,
}

/// What the server has received.
#[derive(Default)]
struct Counts {
    stored: Vec<u64>,
    received: BTreeMap<String, Vec<u64>>,
}

enum Command {
    Emit(u64),
    /// `disconnect(true)` for every socket of the main namespace.
    Disconnect,
    /// Give up every connection.
    Lose,
    Count(oneshot::Sender<(u64, u64)>),
}

impl Host {
    /// Starts a server. It is there in any case.
    pub(crate) async fn start() -> Option<Self> {
        Some(Self::start_at(free_port()).await)
    }

    async fn start_at(port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let counts = Arc::new(Mutex::new(Counts::default()));
        let (commands, received) = mpsc::unbounded_channel();
        let (started, port_of) = oneshot::channel();
        runtime.spawn(run(port, counts.clone(), received, started));
        let port = in_time(port_of).await.expect("it listens");
        Self { runtime: Some(runtime), commands, port, counts, stored: Vec::new() }
    }

    /// Kills it and starts another one in its place.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        *self = Self::start_at(self.port).await;
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Carries out one of the commands of the official server.
    pub(crate) fn tell(&mut self, command: &Value) {
        self.send(match command.get(0).and_then(Value::as_str) {
            Some("disconnect") => Command::Disconnect,
            Some("lose") => Command::Lose,
            _ => panic!("no such command: {command}"),
        });
    }

    pub(crate) fn emit(&mut self, number: u64) {
        self.send(Command::Emit(number));
    }

    /// Waits until nobody is connected any more.
    pub(crate) async fn until_empty(&mut self) {
        in_time(async { while self.is_occupied_after(Duration::from_millis(2)).await {} }).await;
    }

    /// Waits until the server has noticed every loss. If a poll had not arrived when the network was
    /// cut, the server cannot notice the loss before the next ping. Then the test reports it.
    pub(crate) async fn until_lost(&mut self) {
        for _ in 0..20 {
            if !self.is_occupied_after(Duration::from_millis(1)).await {
                return;
            }
        }
        self.tell(&json!(["lose"]));
        self.until_empty().await;
    }

    /// Returns the number of sockets and of connections, after everything before was carried out.
    pub(crate) async fn count(&mut self) -> (u64, u64) {
        let (answer, answered) = oneshot::channel();
        self.send(Command::Count(answer));
        let counted = in_time(answered).await.expect("the server runs");
        self.stored.clone_from(&lock(&self.counts).stored);
        counted
    }

    /// The numbers of the events of this name that have arrived, in order.
    pub(crate) fn received(&self, name: &str) -> Vec<u64> {
        lock(&self.counts).received.get(name).cloned().unwrap_or_default()
    }

    async fn is_occupied_after(&mut self, pause: Duration) -> bool {
        let is_occupied = self.count().await != (0, 0);
        if is_occupied {
            tokio::time::sleep(pause).await;
        }
        is_occupied
    }

    fn send(&self, command: Command) {
        self.commands.send(command).expect("the server runs");
    }

    /// Drops everything that it has, sockets included, without a word.
    fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // To wait for the end of a runtime is not allowed within another one.
            let end = move || runtime.shutdown_timeout(Duration::from_secs(10));
            std::thread::spawn(end).join().expect("the runtime ends");
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn run(
    port: u16,
    counts: Arc<Mutex<Counts>>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    started: oneshot::Sender<u16>,
) {
    let mut recovery = RecoveryConfig::default();
    recovery.count_events = true;
    let config = ServerConfig::new().max_payload(MAX_PAYLOAD).recovery(recovery);
    let mut server = Server::new(config, entropy).expect("a valid configuration");
    for namespace in ["/", "/custom", "/no"] {
        server.at(Timestamp::ZERO).add_namespace(namespace).expect("a name");
    }
    let app = Handlers { counts, stored: BTreeSet::new(), questions: BTreeMap::new() };
    let (service, handle) = start(server, app);
    tokio::spawn(async move {
        while let Some(command) = commands.recv().await {
            handle.with(|_, cx| handle_command(cx, command)).await.ok();
        }
    });
    let listeners = Listeners::bind(port).expect("a port");
    started.send(listeners.port()).expect("somebody waits");
    // It runs until it is killed.
    serve(listeners, service.at("/socket.io"), PeerLimits::default(), std::future::pending()).await;
}

struct Handlers {
    counts: Arc<Mutex<Counts>>,
    stored: BTreeSet<u64>,
    /// The socket that gets the answer to a question.
    questions: BTreeMap<AckId, SocketKey>,
}

impl App for Handlers {
    type Data = ();

    fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
        match event {
            ServerEvent::ConnectRequested { request, namespace, auth, .. } => {
                if namespace.as_str() == "/no" {
                    let auth: Value = auth.parse().expect("JSON");
                    let data = json!({ "code": 7, "auth": auth });
                    let rejection = Rejection::new("no entry").data(&data).expect("JSON");
                    cx.server.at(cx.now).reject(request, &rejection);
                } else {
                    cx.server.at(cx.now).accept(request);
                }
            }
            ServerEvent::Connected { socket, auth, .. } => {
                let auth: Value = auth.parse().expect("JSON");
                emit(cx, socket, &event_of("auth", &(auth,)));
            }
            ServerEvent::Received { socket, event, ack, .. } => {
                self.handle_received(cx, socket, &event, ack);
            }
            ServerEvent::Acked { ack, args, .. } => self.tell(cx, ack, Some(&args)),
            ServerEvent::AckFailed { ack, .. } => self.tell(cx, ack, None),
            _ => {}
        }
    }
}

impl Handlers {
    fn handle_received(
        &mut self,
        cx: &mut Context<'_, ()>,
        socket: SocketKey,
        event: &socket::Event,
        ack: Option<AckToken>,
    ) {
        let passed_on = |name: &str, skip| {
            socket::Event::with_args(name, &event.skip(skip)).expect("not reserved")
        };
        match event.name() {
            "message" => emit(cx, socket, &passed_on("message-back", 0)),
            "message-with-ack" => answer(cx, ack, &event.args()),
            "ask-for-ack" => {
                let timeout = Duration::from_millis(event.get(0).expect("a timeout"));
                let question = passed_on("question", 1);
                let id = cx.server.at(cx.now).emit_with_ack(socket, &question, timeout);
                self.questions.insert(id.expect("connected"), socket);
            }
            "broadcast" => {
                let event = passed_on(event.get(0).expect("a name"), 1);
                let namespace = cx.server.namespace(socket).expect("connected").clone();
                let all = Audience::all();
                cx.server.at(cx.now).broadcast(namespace.as_str(), &all, &event).expect("there");
            }
            // As an application stores messages that come at least once.
            "store" => {
                let number = event.get(0).expect("a number");
                if self.stored.insert(number) {
                    lock(&self.counts).stored.push(number);
                }
                answer(cx, ack, &Args::new(&(number,)).expect("a number"));
            }
            // As an application that relies on delivery exactly once.
            "plain" | "acked" | "retried" => {
                let number = event.get(0).expect("a number");
                let mut counts = lock(&self.counts);
                counts.received.entry(event.name().to_owned()).or_default().push(number);
                answer(cx, ack, &Args::new(&(number,)).expect("a number"));
            }
            _ => {}
        }
    }

    /// Sends the answer to the socket that waits for it.
    fn tell(&mut self, cx: &mut Context<'_, ()>, ack: AckId, args: Option<&Args>) {
        let Some(socket) = self.questions.remove(&ack) else {
            return;
        };
        let heard = match args {
            None => event_of("heard", &("timeout",)),
            Some(args) => match args.get::<Binary>(0) {
                Ok(binary) => event_of("heard", &("answer", binary.resolve(args).expect("bytes"))),
                Err(_) => event_of("heard", &("answer", args.get::<Value>(0).expect("one"))),
            },
        };
        emit(cx, socket, &heard);
    }
}

fn handle_command(cx: &mut Context<'_, ()>, command: Command) {
    let all = Audience::all();
    match command {
        Command::Emit(number) => {
            let event = event_of("number", &(number,));
            cx.server.at(cx.now).broadcast("/", &all, &event).expect("the namespace");
        }
        Command::Disconnect => {
            let disconnected = cx.server.at(cx.now).disconnect_sockets("/", &all, true);
            disconnected.expect("the namespace");
        }
        Command::Lose => cx.server.shutdown(cx.now),
        Command::Count(answer) => {
            let sockets =
                cx.server.at(cx.now).local_sockets("/", &all).expect("the namespace").len();
            let connections = cx.server.stats().connections;
            answer.send((sockets as u64, connections as u64)).ok();
        }
    }
}

fn event_of(name: &str, args: &impl serde::Serialize) -> socket::Event {
    socket::Event::new(name, args).expect("an event")
}

/// A client that has gone meanwhile is no matter.
fn emit(cx: &mut Context<'_, ()>, socket: SocketKey, event: &socket::Event) {
    cx.server.at(cx.now).emit(socket, event).ok();
}

fn answer(cx: &mut Context<'_, ()>, token: Option<AckToken>, args: &Args) {
    if let Some(token) = token {
        cx.server.at(cx.now).ack(token, args);
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().expect("no handler panicked")
}
