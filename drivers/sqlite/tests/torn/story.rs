//! What happened before the files were damaged.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use rusqlite::Connection;
use socketio_proto::client::ClientSnapshot;

use crate::{
    files::Folder,
    site::{Child, Client, connect_all},
};

/// The marks of the servers, in order.
const MARKS: [&str; 2] = ["first", "second"];

/// A client, and what it has to know.
#[derive(Default)]
pub struct Actor {
    pub name: &'static str,
    client: Option<Client>,
    /// With what it comes back.
    pub snapshot: Option<ClientSnapshot>,
    pub rooms: BTreeSet<String>,
    pub data: String,
    /// Everything that was addressed to its session, in order.
    pub addressed: Vec<String>,
    /// How many of them the snapshot knows.
    pub processed: usize,
    /// Whether its session has ended.
    pub has_ended: bool,
    /// A request that was answered, and its answer.
    pub answered: Option<([String; 3], String)>,
}

/// The files of a server that was killed, and what its clients know.
pub struct Story {
    pub actors: Vec<Actor>,
    /// The text of each event, by its offset.
    pub texts: BTreeMap<String, String>,
    /// What the server left behind.
    pub last: Folder,
    /// What it left behind, or had written, earlier.
    pub earlier: Vec<Folder>,
    requests: u32,
}

impl Story {
    /// How many sessions have not ended.
    pub fn sessions(&self) -> usize {
        self.actors.iter().filter(|actor| !actor.has_ended).count()
    }

    async fn connect(&mut self, port: u16, name: &'static str) {
        let client = Some(Client::connect(port, name, None).await);
        self.actors.push(Actor { name, client, ..Actor::default() });
    }

    fn actor(&mut self, name: &str) -> &mut Actor {
        self.actors.iter_mut().find(|actor| actor.name == name).unwrap()
    }

    /// Has the server do something for a client, and everyone hear what comes of it.
    async fn ask(&mut self, name: &str, what: &str, room: &str) {
        self.requests += 1;
        let id = self.requests.to_string();
        let actor = self.actor(name);
        let answer = actor.client.as_ref().unwrap().ask_for(what, room, &id).await;
        actor.answered = Some(([what.into(), room.into(), id.clone()], answer));
        match what {
            "join" => drop(actor.rooms.insert(room.into())),
            "leave" => drop(actor.rooms.remove(room)),
            "name" => actor.data = room.into(),
            "ask" => actor.client.as_mut().unwrap().answer().await,
            _ => self.hear(room, &id).await,
        }
    }

    /// Says something that changes no session, so that no record is written.
    async fn shout(&mut self, name: &str, room: &str) {
        self.requests += 1;
        let id = self.requests.to_string();
        let client = self.actor(name).client.as_ref().unwrap();
        client.socket.emit("shout", &(room, &id)).await.unwrap();
        self.hear(room, &id).await;
    }

    /// Everyone in the room hears it, or will.
    async fn hear(&mut self, room: &str, text: &str) {
        for actor in &mut self.actors {
            if actor.has_ended || !actor.rooms.contains(room) {
                continue;
            }
            actor.addressed.push(text.into());
            if let Some(client) = &mut actor.client {
                let (offset, heard) = client.hear().await;
                assert_eq!(heard, text);
                let known = self.texts.entry(offset).or_insert_with(|| heard.clone());
                assert_eq!(*known, heard);
            }
        }
    }

    /// Keeps what a client knows now, even if it goes on.
    async fn keep(&mut self, name: &str) {
        let actor = self.actor(name);
        actor.snapshot =
            Some(actor.client.as_ref().unwrap().socket.client().snapshot().await.unwrap());
        actor.processed = actor.addressed.len();
    }

    /// The client loses its connection.
    async fn drop_link(&mut self, name: &str) {
        let actor = self.actor(name);
        let client = actor.client.take().unwrap();
        actor.snapshot = Some(client.socket.client().close().await.unwrap());
        actor.processed = actor.addressed.len();
    }

    /// Clients come back, and hear what they have missed.
    async fn back(&mut self, port: u16, names: &[&'static str]) {
        let snapshots: Vec<_> =
            names.iter().map(|name| (*name, self.actor(name).snapshot.take())).collect();
        for (name, mut client) in connect_all(port, snapshots).await {
            assert!(client.recovered, "{name}");
            let actor = self.actor(name);
            for text in &actor.addressed[actor.processed..] {
                assert_eq!(client.hear().await.1, *text);
            }
            actor.client = Some(client);
        }
    }

    /// The client leaves for good.
    async fn end(&mut self, name: &str) {
        self.keep(name).await;
        let actor = self.actor(name);
        actor.has_ended = true;
        assert!(actor.client.take().unwrap().socket.disconnect().await.unwrap());
    }

    fn live(&self) -> Vec<&'static str> {
        let live = self.actors.iter().filter(|actor| actor.client.is_some());
        live.map(|actor| actor.name).collect()
    }

    /// Says something in some rooms, in turns.
    async fn say(&mut self, times: usize) {
        for number in 0..times {
            let (name, room) = [("a", "r1"), ("d", "r2"), ("a", "r3")][number % 3];
            self.ask(name, "say", room).await;
        }
    }
}

/// Writes everything from the WAL into the database, so that the WAL begins anew.
async fn checkpoint(folder: &Folder, mode: &str) {
    let connection = Connection::open(folder.file("")).unwrap();
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let is_busy = || connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap() != 0;
    while is_busy() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A copy of the database alone, behind a checkpoint.
fn database_of(folder: &Folder) -> Folder {
    let copy = Folder::new();
    fs::copy(folder.file(""), copy.file("")).unwrap();
    copy
}

/// Plays it. Everything is in order, and everything has been told when the server is killed.
pub async fn record() -> Story {
    let folder = Folder::new();
    let mut child = Child::start(&folder, MARKS[0]);
    let mut story = Story {
        actors: Vec::new(),
        texts: BTreeMap::new(),
        last: Folder::new(),
        earlier: Vec::new(),
        requests: 0,
    };
    for name in ["a", "b", "c", "d", "e"] {
        story.connect(child.port, name).await;
        story.ask(name, "join", "r1").await;
        story.ask(name, "name", &format!("{name} at first")).await;
    }
    for (name, room) in [("a", "r2"), ("c", "r2"), ("d", "r3"), ("b", "r3")] {
        story.ask(name, "join", room).await;
    }
    story.say(30).await;
    checkpoint(&folder, "PASSIVE").await;
    story.ask("d", "ask", "").await;
    story.drop_link("c").await;
    story.say(6).await;
    story.back(child.port, &["c"]).await;
    story.say(60).await;

    // Everyone comes back to another process.
    child.kill();
    story.earlier.push(folder.copy());
    let live = story.live();
    for name in &live {
        story.drop_link(name).await;
    }
    child = Child::start(&folder, MARKS[1]);
    story.back(child.port, &live).await;
    story.say(9).await;
    checkpoint(&folder, "TRUNCATE").await;
    story.earlier.push(database_of(&folder));

    // Sessions change, and little is said.
    story.ask("a", "leave", "r2").await;
    story.ask("b", "join", "r4").await;
    story.ask("c", "name", "c in the end").await;
    story.ask("d", "join", "r4").await;
    story.end("e").await;
    story.drop_link("c").await;
    story.ask("d", "say", "r1").await;
    checkpoint(&folder, "RESTART").await;
    story.earlier.push(database_of(&folder));

    // Something is said, and no session changes.
    story.keep("b").await;
    for _ in 0..8 {
        story.shout("d", "r1").await;
    }
    story.keep("d").await;
    story.keep("a").await;
    child.kill();
    story.last = folder.copy();
    story
}
