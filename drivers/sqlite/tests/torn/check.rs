//! A server opens damaged files, and everyone comes back.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use socketio_proto::recovery::{RecoveryOutcome, RecoveryRefusal};
use socketio_proto_sqlite::{SetAsideReason, SqliteConfig, SqliteEngine, SqliteEvent};

use crate::{
    files::Folder,
    site::{Client, Hall, Heard, Outcomes, connect_all, open},
    story::{Actor, Story},
};

/// All rooms that anyone is in.
const ROOMS: [&str; 4] = ["r1", "r2", "r3", "r4"];

/// The server that the client comes from is dead, and the file was not read in time.
const SLOW: RecoveryOutcome = RecoveryOutcome::Refused(RecoveryRefusal::OwnerUnreachable);

/// What came of a damaged file.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// It was used, and so many sessions went on.
    Continued { recovered: usize },
    /// It was renamed, and all sessions were refused.
    SetAside(SetAsideReason),
    /// The server does not start, and says why.
    NotOpened(String),
}

impl End {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Continued { .. } => "continued",
            Self::SetAside(SetAsideReason::LostTransactions) => "transactions are missing",
            Self::SetAside(_) => "damaged",
            Self::NotOpened(_) => "not opened",
        }
    }
}

/// Opens the files, and has everyone come back. Panics if anyone is told something that contradicts what
/// it knows.
pub async fn come_back(story: &Story, folder: &Folder, case: &str, lookup: Duration) -> End {
    let told = Arc::<Mutex<Vec<SqliteEvent>>>::default();
    let tell = Arc::clone(&told);
    let config =
        SqliteConfig::new(folder.file("")).on_event(move |event| tell.lock().unwrap().push(event));
    let engine = match SqliteEngine::open(config) {
        Ok(engine) => engine,
        Err(error) => return End::NotOpened(error.to_string()),
    };
    let outcomes = Outcomes::default();
    let hall = Hall { mark: "afterwards".into(), outcomes: Arc::clone(&outcomes), lookup };
    let (port, handle) = open(engine, hall).await;
    let snapshots = story.actors.iter().map(|actor| (actor.name, actor.snapshot.clone()));
    let mut clients = connect_all(port, snapshots).await;
    let mut recovered = 0;
    let outcomes = outcomes.lock().unwrap().clone();
    for actor in &story.actors {
        let (client, outcome) = (&clients[actor.name], outcomes[actor.name]);
        let place = format!("{case}: {} {outcome:?}", actor.name);
        let is_recovered = matches!(outcome, RecoveryOutcome::Recovered { .. });
        assert!(is_recovered || matches!(outcome, RecoveryOutcome::Refused(_)), "{place}");
        assert_eq!(client.recovered, is_recovered, "{place}");
        assert!(!is_recovered || !actor.has_ended, "{place}: its session had ended");
        recovered += usize::from(is_recovered);
    }
    let texts = go_on(port, &clients).await;
    for actor in &story.actors {
        let client = clients.get_mut(actor.name).unwrap();
        let heard = went_on(actor, client, &texts, case).await;
        for (offset, text) in heard {
            let known = story.texts.get(&offset).unwrap_or(&text);
            assert_eq!(*known, text, "{case}: {offset} was another event");
        }
    }
    for client in clients.into_values() {
        client.socket.client().close().await.unwrap();
    }
    handle.shutdown().await.unwrap();
    let told = told.lock().unwrap().clone();
    match &told[..] {
        [] => {
            // In time, if nothing is wrong with the file.
            let slow = outcomes.values().filter(|it| **it == SLOW).count();
            assert!(recovered + slow >= story.sessions(), "{case}: {outcomes:?}, and nobody knows");
            End::Continued { recovered }
        }
        [SqliteEvent::SetAside { to, reason }] => {
            let names = ["", "-wal"].map(|suffix| format!("{}{suffix}", to.display()));
            let is_kept = names.iter().any(|name| Path::new(name).exists());
            assert!(is_kept, "{case}: the old files are kept");
            assert_eq!(recovered, 0, "{case}: nothing is used half");
            End::SetAside(reason.clone())
        }
        other => panic!("{case}: {other:?}"),
    }
}

/// Someone else says something in all rooms. Returns the texts by their rooms.
async fn go_on(port: u16, clients: &BTreeMap<&str, Client>) -> BTreeMap<&'static str, String> {
    let speaker = Client::connect(port, "speaker", None).await;
    let mut texts = BTreeMap::new();
    for room in ROOMS {
        let text = format!("in {room} afterwards");
        speaker.ask_for("say", room, &text).await;
        texts.insert(room, text);
    }
    // What was emitted before is there when this is answered.
    for client in clients.values() {
        client.who().await;
    }
    speaker.socket.client().close().await.unwrap();
    texts
}

/// Checks what a client has received, and what its session is. Returns what it has heard.
async fn went_on(
    actor: &Actor,
    client: &mut Client,
    texts: &BTreeMap<&str, String>,
    case: &str,
) -> Vec<Heard> {
    let place = format!("{case}: {}", actor.name);
    let (rooms, data) = client.who().await;
    let heard = client.rest().await;
    if !client.recovered {
        assert_eq!((rooms.len(), data.as_str(), heard.len()), (0, "", 0), "{place} is new");
        return heard;
    }
    let missed = actor.addressed[actor.processed..].iter();
    let expected: Vec<_> = missed.chain(actor.rooms.iter().map(|room| &texts[&**room])).collect();
    let said: Vec<_> = heard.iter().map(|(_, text)| text).collect();
    assert_eq!(said, expected, "{place}");
    assert!(rooms.iter().eq(&actor.rooms), "{place}: {rooms:?}");
    assert_eq!(data, actor.data, "{place}");
    if let Some(([what, room, id], answer)) = &actor.answered {
        assert_eq!(client.ask_for(what, room, id).await, *answer, "{place}");
        assert_eq!(client.who().await, (rooms, data), "{place}: it was done again");
        assert_eq!(client.rest().await, [], "{place}: it was done again");
    }
    heard
}
