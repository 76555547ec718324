//! Sessions go on at another node when theirs is gone.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use socketio_proto_mongodb::{
    MongodbEngine, MongodbOptions,
    mongodb::{
        self, Namespace,
        bson::{Bson, Document, doc},
        event::{EventHandler, command::CommandEvent},
        options::ClientOptions,
    },
};
use tokio::runtime::Runtime;

use crate::{
    moves,
    proxy::Proxy,
    secantus::Secantus,
    support::{Client, Node},
};

#[tokio::test]
async fn a_node_that_is_shut_down_leaves_its_sessions_to_the_others() {
    let Some(server) = Secantus::start().await else { return };
    let url = server.url();
    let _connected =
        moves::a_node_that_is_shut_down_leaves_its_sessions(|| Node::start(&url)).await;
    let collection = server.collection().await;
    let left = collection.count_documents(doc! { "type": 13, "data": { "$exists": true } });
    assert_eq!(left.await.unwrap(), 0, "who recovers a session takes its document");
}

#[tokio::test]
async fn a_session_that_was_parked_outlives_its_node() {
    let Some(server) = Secantus::start().await else { return };
    let url = server.url();
    moves::a_parked_session_outlives_its_node(|| {
        let url = url.clone();
        async move { Node::start(&url).await }
    })
    .await;
}

/// Each command waits until the journal is written, and a client waits for a second at most.
#[tokio::test]
async fn several_sessions_are_taken_at_a_time() {
    const CLIENTS: usize = 40;
    let Some(server) = Secantus::start().await else { return };
    let url = server.url();
    let runtime = Runtime::new().unwrap();
    let node = runtime.spawn(async move { Node::start(&url).await }).await.unwrap();
    node.until_connected().await;
    let takes = Arc::new(Commands::default());
    let next = Node::on(takes.clone().engine(&server).await).await;
    next.until_connected().await;
    let balancer = Proxy::to(node.port).await;
    let clients = (0..CLIENTS).map(|_| Client::connect_to(balancer.port));
    let mut clients = join_all(clients).await;
    next.emit(0).await;
    join_all(clients.iter_mut().map(|client| client.hear(1))).await;
    balancer.close();
    let is_parked = async || {
        let stats = node.server().await;
        stats.parked_sessions == CLIENTS && stats.records_waiting == 0
    };
    while !is_parked().await {
        tokio::task::yield_now().await;
    }
    runtime.shutdown_background();
    balancer.turn_to(next.port);
    let back = clients.iter_mut().map(|client| client.until(|client| client.recovered.len() == 2));
    join_all(back).await;
    assert!(clients.iter().all(|client| client.recovered == [false, true]));
    assert_eq!(takes.takes.load(Ordering::Relaxed), CLIENTS);
    let most = takes.most.load(Ordering::Relaxed);
    assert!(most > 1, "{most} at a time");
}

/// Clients wait for the sessions of a node that ends.
#[tokio::test]
async fn a_node_that_is_shut_down_stores_its_sessions_with_few_commands() {
    const CLIENTS: usize = 40;
    let Some(server) = Secantus::start().await else { return };
    let commands = Arc::new(Commands::default());
    let node = Node::on(commands.clone().engine(&server).await).await;
    let next = Node::start(&server.url()).await;
    next.until_connected().await;
    let balancer = Proxy::to(node.port).await;
    let mut clients = join_all((0..CLIENTS).map(|_| Client::connect_to(balancer.port))).await;
    node.emit(0).await;
    join_all(clients.iter_mut().map(|client| client.hear(1))).await;
    balancer.turn_to(next.port);
    node.handle.shutdown().await.unwrap();
    let back = clients.iter_mut().map(|client| client.until(|client| client.recovered.len() == 2));
    join_all(back).await;
    assert!(clients.iter().all(|client| client.recovered == [false, true]));
    assert_eq!(commands.replacements.load(Ordering::Relaxed), 0, "the store has none of them");
    let insertions = commands.insertions.load(Ordering::Relaxed);
    assert!((1..=CLIENTS / 8).contains(&insertions), "{insertions} commands");
}

/// Counts what is done with sessions.
#[derive(Default)]
struct Commands {
    /// Commands that insert sessions.
    insertions: AtomicUsize,
    replacements: AtomicUsize,
    takes: AtomicUsize,
    /// Sessions that are being taken.
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Commands {
    async fn engine(self: Arc<Self>, server: &Secantus) -> MongodbEngine {
        let url = server.url().replace("/sio.events", "/");
        let mut options = ClientOptions::parse(url).await.unwrap();
        let note = move |event: CommandEvent| self.note(&event);
        options.command_event_handler = Some(EventHandler::callback(note));
        let client = mongodb::Client::with_options(options).unwrap();
        let namespace = Namespace::new("sio", "events");
        MongodbEngine::new(client, namespace, MongodbOptions::new()).unwrap()
    }

    fn note(&self, event: &CommandEvent) {
        match event {
            CommandEvent::Started(event) => self.begin(&event.command_name, &event.command),
            CommandEvent::Succeeded(event) => self.end(&event.command_name),
            CommandEvent::Failed(event) => self.end(&event.command_name),
            _ => {}
        }
    }

    fn begin(&self, name: &str, command: &Document) {
        match name {
            "insert" => {
                let documents = command.get_array("documents").unwrap().iter();
                let is_session =
                    |it: &Bson| it.as_document().unwrap().get_i32("type").is_ok_and(|it| it == 13);
                self.insertions.fetch_add(
                    documents.filter(|it| is_session(it)).count().min(1),
                    Ordering::Relaxed,
                );
            }
            "update" => drop(self.replacements.fetch_add(1, Ordering::Relaxed)),
            "findAndModify" => {
                self.takes.fetch_add(1, Ordering::Relaxed);
                let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
                self.most.fetch_max(now, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    fn end(&self, name: &str) {
        if name == "findAndModify" {
            self.now.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
