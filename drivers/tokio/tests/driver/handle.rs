//! The server from other tasks.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;
use http::Request;
use http_body_util::Empty;
use socketio_proto::{
    ServerConfig, SocketKey, Timestamp,
    hub::{AckFailure, EmitError},
    server::{Server, ServerEvent},
    socket::Args,
};
use socketio_proto_tokio::{
    App, Context, Handle, HandleError, PeerLimits, SocketIoService, WeakHandle, entropy, serve,
    start,
};
use tokio::net::TcpStream;

use crate::support::{Echo, POLL, Ws, connect, echo, in_time, listen, request, server};

const TIMEOUT: Duration = Duration::from_secs(30);

async fn serve_alone(service: SocketIoService) -> u16 {
    let (listener, port) = listen().await;
    let site = service.at("/socket.io");
    tokio::spawn(serve(listener, site, PeerLimits::default(), std::future::pending()));
    port
}

async fn join(port: u16) -> Ws<TcpStream> {
    Ws::connect(connect(port).await, "").await.0
}

async fn only_socket(handle: &Handle<Echo>) -> SocketKey {
    let sockets = handle.all().local_sockets().await.unwrap();
    assert_eq!(sockets.len(), 1);
    sockets[0]
}

#[tokio::test]
async fn events_and_rooms() {
    let (service, handle) = echo();
    let port = serve_alone(service).await;
    let mut first = join(port).await;
    let socket = only_socket(&handle).await;
    assert_eq!(handle.socket(socket).join("lobby").await, Ok(true));
    assert_eq!(handle.socket(socket).join("lobby").await, Ok(false));
    let mut second = join(port).await;

    assert_eq!(handle.all().emit("news", &(1,)).await.unwrap().sockets, 2);
    assert_eq!(handle.to("lobby").emit("news", &(2,)).await.unwrap().sockets, 1);
    assert_eq!(handle.except("lobby").emit("news", &(3,)).await.unwrap().sockets, 1);
    handle.socket(socket).emit("news", &(4,)).await.unwrap();
    for number in [1, 2, 4] {
        assert_eq!(first.event().await[1], number);
    }
    for number in [1, 3] {
        assert_eq!(second.event().await[1], number);
    }

    assert_eq!(
        handle
            .socket(socket)
            .update_data(|data| {
                *data = 7;
                *data
            })
            .await,
        Ok(Some(7))
    );
    assert_eq!(handle.socket(socket).leave("lobby").await, Ok(true));
    assert_eq!(handle.to("lobby").emit("news", &()).await.unwrap().sockets, 0);
    assert_eq!(handle.all().join("everyone").await, Ok(2));
    assert_eq!(handle.to("everyone").except_socket(socket).leave("everyone").await, Ok(1));
    assert_eq!(handle.to("everyone").local_sockets().await, Ok(vec![socket]));
    assert_eq!(handle.stats().await.unwrap().sockets, 2);

    let unknown = handle.of("/none").emit("news", &()).await;
    assert_eq!(unknown, Err(HandleError::Emit(EmitError::UnknownNamespace)));
    assert_eq!(handle.to("everyone").disconnect(true).await, Ok(1));
    first.until_closed().await;
    let gone = handle.socket(socket).emit("news", &()).await;
    assert_eq!(gone, Err(HandleError::Emit(EmitError::NotConnected)));
    assert_eq!(handle.socket(socket).disconnect(false).await, Ok(false));
    second.close().await;
}

#[tokio::test]
async fn acknowledgements() {
    let (service, handle) = echo();
    let port = serve_alone(service).await;
    let mut client = join(port).await;
    let socket = only_socket(&handle).await;
    let asked = handle.socket(socket).emit_with_ack("ready?", &(1,), TIMEOUT);
    let answers = async {
        assert_eq!(client.packet().await, "420[\"ready?\",1]");
        client.send("430[\"yes\",2]").await;
    };
    let (answer, ()) = tokio::join!(asked, answers);
    assert_eq!(answer.unwrap().json(), "[\"yes\",2]");

    let late = handle.socket(socket).emit_with_ack("ready?", &(), Duration::from_millis(50));
    assert_eq!(late.await.unwrap_err(), HandleError::Ack(AckFailure::Timeout));
    assert!(client.packet().await.ends_with("[\"ready?\"]"));

    let mut silent = join(port).await;
    let mut time = Duration::from_millis(300);
    let answered = loop {
        let asked = handle.all().emit_with_ack("all?", &(), time);
        let answers = async {
            let question = client.packet().await;
            let id = question.trim_start_matches("42").split('[').next().unwrap();
            client.send(&format!("43{id}[\"here\"]")).await;
        };
        let (answered, ()) = tokio::join!(asked, answers);
        assert!(silent.packet().await.contains("all?"));
        let answered = answered.unwrap();
        // On a machine that stands still for so long, the answer is late, too.
        if answered.missing < 2 {
            break answered;
        }
        time *= 2;
    };
    assert_eq!((answered.missing, answered.timed_out), (1, true));
    let [(from, args)] = &answered.responses[..] else { panic!("{answered:?}") };
    assert_eq!((from.socket(), args.json()), (Some(socket), "[\"here\"]"));

    // Whoever asks may go before the answer comes.
    let asked = handle.socket(socket).emit_with_ack("ready?", &(), TIMEOUT);
    asked.now_or_never();
    assert!(client.packet().await.contains("ready?"));
    let lost = handle.socket(socket).emit_with_ack("ready?", &(), TIMEOUT);
    let (lost, ()) = tokio::join!(lost, client.close());
    assert_eq!(lost.unwrap_err(), HandleError::Ack(AckFailure::Disconnected));
}

#[tokio::test]
async fn a_panic_is_the_callers_own() {
    let (service, handle) = echo();
    let port = serve_alone(service).await;
    let mut client = join(port).await;
    let call = handle.with(|_, _| panic!("on purpose"));
    let panic = AssertUnwindSafe(call).catch_unwind().await.unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    client.send("425[\"echo\",true]").await;
    assert_eq!(client.packet().await, "435[true]");
}

#[tokio::test]
async fn an_application_starts_before_anything_else() {
    /// Knows whether it has started, and whether something came before.
    #[derive(Default)]
    struct Early(bool, bool);

    impl App for Early {
        type Data = ();

        fn start(&mut self, _: &mut Context<'_, ()>, handle: WeakHandle<Self>) {
            assert!(handle.upgrade().is_some(), "its tasks can reach the server");
            self.0 = true;
        }

        fn handle_event(&mut self, _: &mut Context<'_, ()>, _: ServerEvent<()>) {
            self.1 |= !self.0;
        }
    }

    // The server takes requests or calls first, as it likes.
    for _ in 0..100 {
        let (service, handle) =
            start(Server::new(ServerConfig::new(), entropy).unwrap(), Early::default());
        let open = Request::get(POLL);
        let open = open.body(Empty::<bytes::Bytes>::new()).unwrap();
        assert_eq!(in_time(service.answer(open)).await.status(), 200);
        let early = handle.with(|Early(has_started, was_early), _| (*has_started, *was_early));
        assert_eq!(early.await, Ok((true, false)));
    }
}

/// Whoever starts it hears of it, and nothing runs.
#[tokio::test]
async fn a_panic_at_the_start_is_the_callers_own() {
    struct Broken;

    impl App for Broken {
        type Data = ();

        fn start(&mut self, _: &mut Context<'_, ()>, _: WeakHandle<Self>) {
            panic!("on purpose");
        }

        fn handle_event(&mut self, _: &mut Context<'_, ()>, _: ServerEvent<()>) {}
    }

    let server = Server::new(ServerConfig::new(), entropy).unwrap();
    let started = catch_unwind(AssertUnwindSafe(|| start(server, Broken)));
    assert_eq!(started.unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
}

#[tokio::test]
async fn a_panic_of_the_application_ends_the_server() {
    let (service, handle) = echo();
    let port = serve_alone(service).await;
    let mut client = join(port).await;
    client.send("42[\"panic\"]").await;
    in_time(handle.closing()).await;
    in_time(handle.ended()).await;
    assert_eq!(handle.all().emit("news", &()).await, Err(HandleError::Closed));
    client.until_closed().await;
    let refused = request(connect(port).await, &format!("GET {POLL}"), "").await;
    assert_eq!(refused, "", "dropped without an answer");
}

#[tokio::test(flavor = "current_thread")]
async fn too_many_calls_are_refused() {
    let (_service, handle) = echo();
    // The server does not get a turn before this waits.
    let mut taken = 0;
    while handle.try_with(|_, cx| drop(cx.at().all().emit("tick", &()))).is_ok() {
        taken += 1;
    }
    assert!((1..1_000).contains(&taken), "{taken}");
    assert_eq!(handle.try_with(|_, _| ()), Err(HandleError::Full));
    assert_eq!(in_time(handle.with(|_, _| 1)).await, Ok(1), "it waits for a place");
    assert_eq!(handle.try_with(|_, _| ()), Ok(()));
}

#[tokio::test]
async fn from_a_thread() {
    let (_service, handle) = echo();
    let thread =
        std::thread::spawn(move || handle.blocking_with(|_, cx| cx.server.stats().sockets));
    assert_eq!(tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap(), Ok(0));
}

#[tokio::test]
async fn sessions_are_handed_over() {
    let (service, handle) = echo();
    let port = serve_alone(service).await;
    let (mut client, session) = Ws::connect(connect(port).await, "").await;
    handle.all().emit("news", &(1,)).await.unwrap();
    let packet = client.packet().await;
    let offset = packet.rsplit('"').nth(1).unwrap();
    let closing = tokio::spawn(handle.closing());
    assert!(!closing.is_finished());

    let (closed, ()) = tokio::join!(in_time(handle.close_connections()), client.until_closed());
    closed.unwrap();
    in_time(closing).await.unwrap();
    // Nobody connects any more, but tasks have something left to say.
    let refused = request(connect(port).await, &format!("GET {POLL}"), "").await;
    assert_eq!(refused, "", "dropped without an answer");
    handle.all().emit("news", &(2,)).await.unwrap();
    let snapshot = in_time(handle.hand_over()).await.unwrap();
    in_time(handle.ended()).await;
    assert_eq!(handle.all().emit("news", &()).await, Err(HandleError::Closed));
    assert_eq!(handle.try_with(|_, _| ()), Err(HandleError::Closed));
    assert_eq!(handle.shutdown().await, Err(HandleError::Closed));

    let mut next = server();
    next.at(Timestamp::ZERO).restore(snapshot).unwrap();
    let (service, _handle) = start(next, Echo);
    let port = serve_alone(service).await;
    let auth = serde_json::json!({ "pid": session["pid"], "offset": offset }).to_string();
    let (mut client, recovered) = Ws::connect(connect(port).await, &auth).await;
    assert_eq!(recovered["sid"], session["sid"], "the same session");
    assert_eq!(client.event().await[1], 2, "and what it has missed");
}

/// What happens on them may need it.
#[tokio::test]
async fn an_application_has_a_handle_as_long_as_there_are_connections() {
    struct Asked(Option<WeakHandle<Self>>);

    impl App for Asked {
        type Data = ();

        fn start(&mut self, _: &mut Context<'_, ()>, handle: WeakHandle<Self>) {
            self.0 = Some(handle);
        }

        fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
            match event {
                ServerEvent::ConnectRequested { request, .. } => drop(cx.at().accept(request)),
                ServerEvent::Received { ack: Some(token), .. } => {
                    let has_handle = self.0.as_ref().and_then(WeakHandle::upgrade).is_some();
                    cx.at().ack(token, &Args::new(&(has_handle,)).unwrap());
                }
                _ => {}
            }
        }
    }

    let mut server = Server::new(ServerConfig::new(), entropy).unwrap();
    server.at(Timestamp::ZERO).add_namespace("/").unwrap();
    let (service, handle) = start(server, Asked(None));
    let mut client = join(serve_alone(service).await).await;
    drop(handle);
    client.send("421[\"handle?\"]").await;
    assert_eq!(client.packet().await, "431[true]");
}

#[tokio::test]
async fn it_ends_when_nobody_can_reach_it() {
    struct Watched {
        handle: Option<WeakHandle<Self>>,
        _held: Arc<()>,
    }

    impl App for Watched {
        type Data = ();

        fn start(&mut self, _: &mut Context<'_, ()>, handle: WeakHandle<Self>) {
            self.handle = Some(handle);
        }

        fn handle_event(&mut self, _: &mut Context<'_, ()>, _: ServerEvent<()>) {}
    }

    let held = Arc::new(());
    let server = Server::new(ServerConfig::new(), entropy).unwrap();
    let (service, handle) = start(server, Watched { handle: None, _held: held.clone() });
    let is_reachable = handle.with(|app, _| app.handle.as_ref().unwrap().upgrade().is_some()).await;
    assert_eq!(is_reachable, Ok(true), "the application keeps a handle");
    let closing = handle.closing();
    drop((service, handle));
    in_time(closing).await;
    assert_eq!(Arc::strong_count(&held), 1, "and nevertheless is gone");
}
