//! Servers with an engine between them.

use std::{
    iter::repeat,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use socketio_proto::{
    RecoveryConfig, ServerConfig, Timestamp,
    cluster::{
        ClusterConfig, ClusterInput, ClusterOutput,
        message::{Body, Message, NodeId},
    },
    recovery::Offset,
    server::Server,
};
use socketio_proto_tokio::{
    Handle, PeerLimits,
    cluster::{Engine, EngineError, EngineLink, EngineStats},
    entropy,
    router::{Namespace, Router},
    serve, start_clustered,
};
use tokio::{
    net::TcpStream,
    sync::{broadcast, watch},
    time::{Instant, sleep},
};

use crate::support::{Echo, Ws, connect, in_time, listen};

/// How an engine misbehaves.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Fault {
    #[default]
    None,
    /// It fails in the middle of an append, which takes effect.
    Error,
    /// It panics in the middle of an append, which does not take effect.
    Panic,
    /// It returns as if the server had ended.
    Return,
    /// It is connected, but carries nothing out.
    Stuck,
    /// It cannot connect.
    Away,
}

/// Entries in memory, for all nodes.
#[derive(Clone, Default)]
struct Memory {
    entries: watch::Sender<Vec<Message>>,
    fault: watch::Sender<Fault>,
    /// How many of the entries who connects does not get any more.
    trimmed: Arc<AtomicU64>,
    published: Arc<AtomicU64>,
    messages: Messages,
    /// When it was run.
    runs: Arc<Mutex<Vec<Instant>>>,
}

/// Messages that are not stored, with the node that each is for.
#[derive(Clone)]
struct Messages(broadcast::Sender<(Option<NodeId>, Message)>);

impl Default for Messages {
    fn default() -> Self {
        Self(broadcast::Sender::new(1_000))
    }
}

impl Memory {
    /// The faults happen once, except those that last.
    fn take_fault(&self) -> Fault {
        self.fault.send_replace(Fault::None)
    }

    fn append(&self, message: Message) -> Result<(), EngineError> {
        match self.take_fault() {
            Fault::Panic => panic!("on purpose"),
            Fault::Error => {
                self.entries.send_modify(|entries| entries.push(message));
                Err("on purpose".into())
            }
            _ => {
                self.entries.send_modify(|entries| entries.push(message));
                Ok(())
            }
        }
    }
}

impl Engine for Memory {
    async fn run(&mut self, link: &mut EngineLink) -> Result<(), EngineError> {
        self.runs.lock().unwrap().push(Instant::now());
        let mut fault = self.fault.subscribe();
        if *fault.borrow() == Fault::Away {
            return Err("away".into());
        }
        let mut entries = self.entries.subscribe();
        let len = entries.borrow().len() as u64;
        let oldest = Offset::pair(0, self.trimmed.load(Relaxed));
        let head = Offset::pair(0, len);
        link.inputs().send(vec![ClusterInput::Connected { channel: 0, oldest, head }]).await;
        let mut read = None;
        let mut messages = self.messages.0.subscribe();
        loop {
            if *fault.borrow() == Fault::Stuck {
                std::future::pending::<()>().await;
            }
            tokio::select! {
                output = link.recv() => match output {
                    None => return Ok(()),
                    Some(ClusterOutput::Append(message)) => self.append(Arc::unwrap_or_clone(message))?,
                    Some(ClusterOutput::Publish { to, message }) => {
                        self.published.fetch_add(u64::from(is_event(&message)), Relaxed);
                        self.messages.0.send((to, *message)).ok();
                    }
                    Some(ClusterOutput::Subscribe { namespace }) => {
                        link.inputs().send(vec![ClusterInput::Subscribed { namespace }]).await;
                    }
                    Some(ClusterOutput::CountServers { number, .. }) => {
                        let servers = Some(self.messages.0.receiver_count() as u64);
                        link.inputs().send(vec![ClusterInput::ServersCounted { number, servers }]).await;
                    }
                    Some(ClusterOutput::Read { after, .. }) => {
                        read = after.numbers().map(|(_, position)| position);
                        entries.mark_changed();
                    }
                    Some(_) => {}
                },
                Ok(()) = entries.changed() => {
                    let Some(position) = &mut read else { continue };
                    let skip = usize::try_from(*position).unwrap();
                    let new: Vec<_> = entries.borrow_and_update()[skip..].to_vec();
                    let inputs = new.into_iter().map(|message| {
                        *position += 1;
                        let position = Offset::pair(0, *position);
                        ClusterInput::Entry { channel: 0, position, message: Some(message) }
                    });
                    link.inputs().send(inputs.collect()).await;
                }
                Ok((to, message)) = messages.recv() => {
                    if to.is_none_or(|to| to == *link.node()) {
                        link.inputs().send(vec![ClusterInput::Message(message)]).await;
                    }
                }
                Ok(()) = fault.changed() => {
                    if *fault.borrow_and_update() == Fault::Return {
                        self.take_fault();
                        return Ok(());
                    }
                }
            }
        }
    }
}

fn is_event(message: &Message) -> bool {
    matches!(message.body, Body::Broadcast(_))
}

async fn node(engine: Memory) -> (u16, Handle<Echo>) {
    let config = ServerConfig::new().recovery(RecoveryConfig::new());
    let cluster = ClusterConfig::from_entropy(&mut entropy);
    let mut server = Server::clustered(config, cluster, entropy).unwrap();
    server.at(Timestamp::ZERO).add_namespace("/").unwrap();
    let (service, handle) = start_clustered(server, Echo, engine);
    let (listener, port) = listen().await;
    let site = service.at("/socket.io");
    tokio::spawn(serve(listener, site, PeerLimits::default(), std::future::pending()));
    (port, handle)
}

async fn join(port: u16) -> Ws<TcpStream> {
    Ws::connect(connect(port).await, "").await.0
}

async fn until(handle: &Handle<Echo>, is_wanted: impl Fn(&EngineStats) -> bool) -> EngineStats {
    let wanted = async {
        loop {
            let stats = handle.engine_stats().await.unwrap().unwrap();
            if is_wanted(&stats) {
                return stats;
            }
            sleep(Duration::from_millis(2)).await;
        }
    };
    in_time(wanted).await
}

async fn emit(handle: &Handle<Echo>, number: u32) {
    handle.all().emit("news", &(number,)).await.unwrap();
}

#[tokio::test]
async fn what_one_server_emits_reaches_the_clients_of_the_other() {
    let engine = Memory::default();
    let (a, b) = (node(engine.clone()).await, node(engine.clone()).await);
    let (mut at_a, mut at_b) = (join(a.0).await, join(b.0).await);
    emit(&a.1, 1).await;
    emit(&b.1, 2).await;
    for number in [1, 2] {
        assert_eq!(at_a.event().await[1], number);
        assert_eq!(at_b.event().await[1], number);
    }
    a.1.all().volatile().emit("news", &(3,)).await.unwrap();
    assert_eq!(at_a.packet().await, "42[\"news\",3]", "it has no offset");
    let stats = until(&a.1, |stats| stats.outputs_waiting == 0).await;
    assert!(stats.is_connected);
    assert_eq!((stats.connected, stats.failures, stats.published_waiting), (1, 0, 0));
    assert_eq!(engine.published.load(Relaxed), 1);
    let alone = socketio_proto_tokio::start(crate::support::server(), Echo).1;
    assert_eq!(alone.engine_stats().await, Ok(None));
}

#[tokio::test]
async fn clients_wait_for_an_engine_that_cannot_connect_at_first() {
    let engine = Memory::default();
    engine.fault.send_replace(Fault::Away);
    let (port, handle) = node(engine.clone()).await;
    let mut client = Ws::open(connect(port).await).await;
    client.send("40").await;
    let stats = until(&handle, |stats| stats.failures > 1).await;
    assert_eq!((stats.connected, stats.last_failure.as_deref()), (0, Some("away")));
    engine.fault.send_replace(Fault::None);
    assert!(client.packet().await.starts_with("40{"));
    let stats = until(&handle, |stats| stats.connected == 1).await;
    assert!(stats.is_connected);
}

/// The official adapters read again without a pause when reading has failed.
#[tokio::test(start_paused = true)]
async fn h66_an_engine_that_always_fails_is_run_again_after_longer_and_longer_waits() {
    let engine = Memory::default();
    engine.fault.send_replace(Fault::Away);
    let (_, handle) = node(engine.clone()).await;
    sleep(Duration::from_secs(60)).await;
    let runs = engine.runs.lock().unwrap().clone();
    let waits: Vec<Duration> = runs.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let longest = [50, 100, 200, 400, 800, 1_600, 3_200].into_iter().chain(repeat(5_000));
    for (wait, longest) in waits.iter().zip(longest.map(Duration::from_millis)) {
        // A random part of up to a half is taken away; the clock of tokio counts milliseconds.
        let range = (longest / 2).saturating_sub(MILLISECOND)..=longest + MILLISECOND;
        assert!(range.contains(wait), "{waits:?}");
    }
    assert!((17..=33).contains(&runs.len()), "it is tried again, and not too often: {waits:?}");
    assert_eq!(handle.engine_stats().await.unwrap().unwrap().failures, runs.len() as u64);
}

const MILLISECOND: Duration = Duration::from_millis(1);

#[tokio::test]
async fn an_engine_that_fails_panics_or_returns_is_run_again() {
    let engine = Memory::default();
    let (port, handle) = node(engine.clone()).await;
    let mut client = join(port).await;
    let failures = [Fault::Error, Fault::Panic, Fault::Return];
    for (number, fault) in (0..).zip(failures) {
        engine.fault.send_replace(fault);
        emit(&handle, number).await;
        assert_eq!(client.event().await[1], number, "neither lost nor doubled");
        let failed = until(&handle, |stats| stats.failures == u64::from(number) + 1).await;
        let cause = ["on purpose", "panic: on purpose", "the engine has ended"];
        assert_eq!(failed.last_failure.as_deref(), Some(cause[number as usize]));
        until(&handle, |stats| stats.is_connected && stats.connected == u64::from(number) + 2)
            .await;
    }
    emit(&handle, 3).await;
    assert_eq!(client.event().await[1], 3);
    assert_eq!(handle.engine_stats().await.unwrap().unwrap().panics, 1);
}

#[tokio::test]
async fn what_was_meant_for_a_lost_connection_is_not_carried_out_over_the_next() {
    let engine = Memory::default();
    let (port, handle) = node(engine.clone()).await;
    let mut client = join(port).await;
    engine.fault.send_replace(Fault::Error);
    // In one call, so that all of them are on their way when the first one fails.
    handle
        .with(|_, cx| {
            for number in 0..50 {
                cx.at().all().emit("news", &(number,)).unwrap();
            }
        })
        .await
        .unwrap();
    for number in 0..50 {
        assert_eq!(client.event().await[1], number);
    }
    let stats = until(&handle, |stats| stats.outputs_waiting == 0).await;
    assert_eq!(stats.outdated, 49);
    assert_eq!(engine.entries.borrow().len(), 50, "the first is there, the others came later");
}

/// They were accepted, and have not been in the gap. The clients of the other server have missed nothing.
#[tokio::test]
async fn entries_that_the_engine_was_not_given_before_a_gap_are_carried_out_after_it() {
    let engine = Memory::default();
    let (a, b) = (node(engine.clone()).await, node(engine.clone()).await);
    let mut at_b = join(b.0).await;
    until(&a.1, |stats| stats.is_connected).await;
    engine.trimmed.store(1, Relaxed);
    engine.fault.send_replace(Fault::Error);
    let emits = a.1.with(|_, cx| {
        for number in 0..3 {
            cx.at().all().emit("news", &(number,)).unwrap();
        }
    });
    emits.await.unwrap();
    for number in 0..3 {
        assert_eq!(at_b.event().await[1], number);
    }
    let total = a.1.with(|_, cx| cx.server.stats().total).await.unwrap();
    assert_eq!(total.appends_lost, 1, "nobody knows what has become of the first");
}

#[tokio::test]
async fn messages_that_nobody_stores_are_dropped_when_too_many_wait() {
    let engine = Memory::default();
    let (_, handle) = node(engine.clone()).await;
    until(&handle, |stats| stats.is_connected).await;
    engine.fault.send_replace(Fault::Stuck);
    sleep(Duration::from_millis(20)).await;
    let publish = |count: usize, event: String| {
        handle.with(move |_, cx| {
            for _ in 0..count {
                cx.at().all().volatile().emit("tick", &(&event,)).unwrap();
            }
        })
    };
    publish(1_100, String::new()).await.unwrap();
    let stats = until(&handle, |_| true).await;
    assert_eq!((stats.published_waiting, stats.published_dropped), (1_000, 100));

    let (_, handle) = node(engine).await;
    let publish = |count: usize, event: String| {
        handle.with(move |_, cx| {
            for _ in 0..count {
                cx.at().all().volatile().emit("tick", &(&event,)).unwrap();
            }
        })
    };
    until(&handle, |stats| stats.is_connected).await;
    publish(20, "x".repeat(1 << 20)).await.unwrap();
    let stats = until(&handle, |_| true).await;
    assert_eq!((stats.published_waiting, stats.published_dropped), (15, 5));
    assert!(stats.published_bytes_waiting > 15 << 20);
}

#[tokio::test]
async fn the_end_waits_until_what_was_emitted_is_in_the_channel() {
    let engine = Memory::default();
    let (port, handle) = node(engine.clone()).await;
    let _client = join(port).await;
    engine.fault.send_replace(Fault::Error);
    let emits = handle.with(|_, cx| {
        for number in 0..200 {
            cx.at().all().emit("news", &(number,)).unwrap();
        }
    });
    emits.await.unwrap();
    in_time(handle.shutdown()).await.unwrap();
    assert_eq!(engine.entries.borrow().len(), 200);
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_forever_for_an_engine() {
    let engine = Memory::default();
    let (_, handle) = node(engine.clone()).await;
    until(&handle, |stats| stats.is_connected).await;
    engine.fault.send_replace(Fault::Stuck);
    sleep(Duration::from_millis(20)).await;
    emit(&handle, 1).await;
    let begun = Instant::now();
    handle.hand_over().await.unwrap();
    // Five seconds for the server, and five for its engine.
    assert_eq!(begun.elapsed().as_secs(), 10);
}

fn router_node(engine: Memory, name: &'static str) -> Handle<Router<()>> {
    let cluster = ClusterConfig::new(NodeId::new(name).unwrap());
    let server = Server::clustered(ServerConfig::new(), cluster, entropy).unwrap();
    let namespace = Namespace::new()
        .on_server_side("who", move |_, told, (text,): (String,)| {
            Some((format!("{name} tells {}: {text}", told.from.as_str()),))
        })
        .on_server_side("panic", |_, _, (): ()| -> (u8,) { panic!("on purpose") });
    let router = Router::new().namespace("/", namespace);
    start_clustered(server, router, engine).1
}

#[tokio::test]
async fn handles_ask_all_servers() {
    let engine = Memory::default();
    let names = ["a", "b", "c"];
    let handles = names.map(|name| router_node(engine.clone(), name));
    for handle in &handles {
        while in_time(handle.all().count_servers()).await.unwrap() < 3 {
            sleep(Duration::from_millis(2)).await;
        }
    }
    let ask = async |name: &'static str, args: serde_json::Value| {
        let asked = handles[0].all().server_side_emit_with_ack(name, &args, Duration::from_mins(1));
        in_time(asked).await.unwrap()
    };
    let answers = ask("who", serde_json::json!(["hello"])).await;
    let mut texts: Vec<String> =
        answers.responses.iter().map(|(_, value)| value.parse().unwrap()).collect();
    texts.sort();
    assert_eq!(texts, ["b tells a: hello", "c tells a: hello"]);
    assert!(answers.missing.is_empty());
    for (name, args, error) in [
        ("panic", serde_json::json!([]), "internal error"),
        ("who", serde_json::json!([7]), "expected a string"),
    ] {
        let answers = ask(name, args).await;
        assert_eq!(answers.responses.len(), 2);
        assert!(answers.responses.iter().all(|(_, value)| value.json().contains(error)));
    }
    handles[0].all().server_side_emit("who", &("nobody answers",)).await.unwrap();
    let fetched = in_time(handles[0].to("lobby").fetch_sockets()).await.unwrap();
    assert!(fetched.sockets.is_empty() && fetched.missing.is_empty());
    let asked = handles[0].all().emit_with_ack("all?", &(), Duration::from_mins(1));
    let answers = in_time(asked).await.unwrap();
    assert_eq!((answers.responses.len(), answers.missing, answers.timed_out), (0, 0, false));
}
