//! The server, and its clients.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead as _, BufReader},
    process::{Child as Process, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use socketio_proto::{
    RecoveryConfig, ServerConfig, SocketKey, Timestamp,
    client::{Auth, ClientConfig, ClientEvent, ClientSnapshot},
    cluster::engines::sqlite::Sqlite,
    engine::Transport,
    hub::Once,
    recovery::RecoveryOutcome,
    server::{Server, ServerEvent},
    socket::{Args, Json},
};
use socketio_proto_sqlite::{SqliteConfig, SqliteEngine};
use socketio_proto_tokio::{App, Context, Handle, PeerLimits, entropy, serve, start_clustered};
use socketio_proto_tokio_client::{Events, Options, Socket, start};
use tokio::{net::TcpListener, time::timeout};

use crate::files::Folder;

/// A test that waits for longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long a client may be away. It decides nothing here.
const AWAY: Duration = Duration::from_secs(3000);
/// How long one waits for a server that is dead. On a slow machine, a client may be refused then.
pub const LOOKUP: Duration = Duration::from_secs(1);
/// Long enough that no client is refused.
pub const LONG_LOOKUP: Duration = Duration::from_secs(3);
/// Where the child finds its file, and what it says in its answers.
const FILE: &str = "SOCKETIO_PROTO_TORN_FILE";
const MARK: &str = "SOCKETIO_PROTO_TORN_MARK";

/// How each client was received, by its name.
pub type Outcomes = Arc<Mutex<BTreeMap<String, RecoveryOutcome>>>;

/// A server that does what clients ask for, once, and answers with its mark.
pub struct Hall {
    pub mark: String,
    pub outcomes: Outcomes,
    /// How long a client waits for the server that it comes from, which is dead.
    pub lookup: Duration,
}

impl App for Hall {
    type Data = String;

    fn handle_event(&mut self, cx: &mut Context<'_, String>, event: ServerEvent<String>) {
        match event {
            ServerEvent::ConnectRequested { request, .. } => {
                cx.at().accept(request);
            }
            ServerEvent::Connected { auth, recovery, .. } => {
                let auth: BTreeMap<String, String> = auth.parse().unwrap();
                self.outcomes.lock().unwrap().insert(auth["name"].clone(), recovery);
            }
            ServerEvent::Received { socket, event, ack, .. } if event.name() == "who" => {
                let own = cx.server.socket_id(socket).unwrap();
                let rooms = cx.server.rooms(socket).filter(|room| *room != own.as_str());
                let mut rooms: Vec<String> = rooms.map(str::to_owned).collect();
                rooms.sort_unstable();
                let data = cx.server.data(socket).unwrap().clone();
                cx.at().ack(ack.unwrap(), &Args::new(&(rooms, data)).unwrap());
            }
            ServerEvent::Received { socket, event, .. } if event.name() == "shout" => {
                let (room, id): (String, String) = event.parse().unwrap();
                do_it(cx, socket, ["say", &room, &id]);
            }
            ServerEvent::Received { socket, event, ack, .. } => {
                let (what, room, id): (String, String, String) = event.parse().unwrap();
                if let Once::Fresh(ack) = cx.at().accept_once(socket, &id, ack).unwrap() {
                    do_it(cx, socket, [&what, &room, &id]);
                    let answer = Args::new(&(format!("{id} {}", self.mark),)).unwrap();
                    cx.at().ack(ack.unwrap(), &answer);
                }
            }
            _ => {}
        }
    }
}

fn do_it(cx: &mut Context<'_, String>, socket: SocketKey, [what, room, id]: [&str; 3]) {
    match what {
        "join" => drop(cx.at().join(socket, room).unwrap()),
        "leave" => drop(cx.at().leave(socket, room)),
        "name" => drop(cx.at().set_data(socket, room.to_owned())),
        "say" => {
            let padding = "x".repeat(id.len() * 37 % 101);
            cx.at().to(room).emit("said", &(id, padding)).unwrap();
        }
        "ask" => drop(cx.at().socket(socket).emit_with_ack("asked", &(id,), PATIENCE).unwrap()),
        other => panic!("{other}"),
    }
}

/// Serves the file. Returns the port.
pub async fn open(engine: SqliteEngine, hall: Hall) -> (u16, Handle<Hall>) {
    let recovery = RecoveryConfig::new().max_disconnection(AWAY).lookup_timeout(Some(hall.lookup));
    let config = ServerConfig::new().recovery(recovery);
    let cluster = Sqlite::cluster_config(&mut entropy);
    let mut server = Server::clustered(config, cluster, entropy).unwrap();
    server.at(Timestamp::ZERO).add_namespace("/").unwrap();
    let (service, handle) = start_clustered(server, hall, engine);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let site = service.at("/socket.io");
    tokio::spawn(serve(listener, site, PeerLimits::default(), handle.closing()));
    (port, handle)
}

/// The process of a server, which can be killed.
pub struct Child {
    process: Process,
    pub port: u16,
}

impl Child {
    /// Runs the test [`serve`](crate::serve) in a process of its own.
    pub fn start(folder: &Folder, mark: &str) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--nocapture", "serve"]);
        command.env(FILE, folder.file("")).env(MARK, mark);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let port = lines.map(Result::unwrap).find_map(|line| line.parse().ok()).unwrap();
        Self { process, port }
    }

    /// As `SIGKILL` does.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// What the child does until it is killed.
pub async fn serve_in_child() {
    let (Ok(file), Ok(mark)) = (env::var(FILE), env::var(MARK)) else { return };
    let config = SqliteConfig::new(file).on_event(|event| panic!("{event}"));
    let hall = Hall { mark, outcomes: Outcomes::default(), lookup: LONG_LOOKUP };
    let (port, _handle) = open(SqliteEngine::open(config).unwrap(), hall).await;
    eprintln!("{port}");
    std::future::pending::<()>().await;
}

/// An event that a client has received: its offset and its text.
pub type Heard = (String, String);

pub struct Client {
    pub socket: Socket,
    events: Events,
    pub recovered: bool,
}

impl Client {
    pub async fn connect(port: u16, name: &str, snapshot: Option<ClientSnapshot>) -> Self {
        let auth = Auth::Value(Json::new(&BTreeMap::from([("name", name)])).unwrap());
        let config = ClientConfig::new().transports(&[Transport::WebSocket]);
        let options = Options::new().auth(auth).config(config);
        let options = snapshot.into_iter().fold(options, Options::snapshot);
        let (socket, events) = start(&format!("http://127.0.0.1:{port}"), options).unwrap();
        let mut client = Self { socket, events, recovered: false };
        loop {
            if let ClientEvent::Connected { recovered, .. } = client.next().await {
                client.recovered = recovered;
                return client;
            }
        }
    }

    async fn next(&mut self) -> ClientEvent {
        timeout(PATIENCE, self.events.next()).await.expect("in time").expect("an event")
    }

    /// The next event that was emitted to a room.
    pub async fn hear(&mut self) -> Heard {
        loop {
            let event = self.next().await;
            if let Some(heard) = said(&event) {
                return heard;
            }
        }
    }

    /// Answers the question of the server.
    pub async fn answer(&mut self) {
        loop {
            if let ClientEvent::Received { ack: Some(token), .. } = self.next().await {
                assert!(self.socket.client().ack(token, &("yes",)).await.unwrap());
                return;
            }
        }
    }

    /// What has come in and was not heard yet.
    pub async fn rest(&mut self) -> Vec<Heard> {
        let mut rest = Vec::new();
        while let Ok(event) = timeout(Duration::ZERO, self.events.next()).await {
            rest.extend(said(&event.expect("it goes on")));
        }
        rest
    }

    /// Has the server do something. Returns its answer.
    pub async fn ask_for(&self, what: &str, room: &str, id: &str) -> String {
        let args = self.socket.emit_with_ack("do", &(what, room, id), PATIENCE).await.unwrap();
        args.parse::<(String,)>().unwrap().0
    }

    /// The rooms and the data of its session.
    pub async fn who(&self) -> (Vec<String>, String) {
        self.socket.emit_with_ack("who", &(), PATIENCE).await.unwrap().parse().unwrap()
    }
}

/// Connects all of them at the same time: a claim waits until nobody else can have the session.
pub async fn connect_all(
    port: u16,
    clients: impl IntoIterator<Item = (&'static str, Option<ClientSnapshot>)>,
) -> BTreeMap<&'static str, Client> {
    let connect = |(name, snapshot)| {
        tokio::spawn(async move { (name, Client::connect(port, name, snapshot).await) })
    };
    let connecting: Vec<_> = clients.into_iter().map(connect).collect();
    let mut clients = BTreeMap::new();
    for client in connecting {
        clients.extend([client.await.unwrap()]);
    }
    clients
}

fn said(event: &ClientEvent) -> Option<Heard> {
    let ClientEvent::Received { event, ack: None, .. } = event else { return None };
    let (text, _, offset): (String, String, String) = event.parse().unwrap();
    Some((offset, text))
}
