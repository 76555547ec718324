//! The handles and the events of a client that runs by itself.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;
use socketio_proto::{
    client::{
        self, Auth, ClientAckFailure, ClientDisconnectReason, ClientEvent, ClientLimits,
        ConnectError as Refusal,
    },
    engine::Transport::{self, Polling, WebSocket},
    socket::{self, Json},
};
use socketio_proto_tokio_client::{
    AckError, ConnectError, EmitError, Ended, Events, Options, Socket, connect, start,
};

use crate::support::{TRANSPORTS, config, in_time, options, raw::Raw, server::Server};

pub const LONG: Duration = Duration::from_secs(30);

async fn connected(server: &Server, transports: &[Transport]) -> (Socket, Events) {
    in_time(connect(&server.url(), options(transports))).await.unwrap()
}

async fn until<R>(events: &mut Events, mut pick: impl FnMut(ClientEvent) -> Option<R>) -> R {
    in_time(async {
        loop {
            let event = events.next().await.expect("the client runs");
            if let Some(picked) = pick(event) {
                return picked;
            }
        }
    })
    .await
}

async fn received(events: &mut Events, name: &str) -> socket::Event {
    until(events, |event| match event {
        ClientEvent::Received { event, .. } if event.name() == name => Some(event),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn events_and_acknowledgements_pass_over_every_transport() {
    let server = Server::start().await;
    for transports in TRANSPORTS {
        let (socket, mut events) = connected(&server, transports).await;
        let session = socket.session().await.unwrap().expect("joined");
        assert!(!session.recovered && !session.id.is_empty());
        socket
            .emit("echo", &("é", json!({ "a": [1, null] }), bytes::Bytes::from("b")))
            .await
            .unwrap();
        let back = received(&mut events, "echo-back").await;
        assert_eq!(back.get::<String>(0).unwrap(), "é");
        assert_eq!(back.attachments(), [bytes::Bytes::from("b")]);
        let answer = in_time(socket.emit_with_ack("echo", &(7,), LONG)).await.unwrap();
        assert_eq!(answer.get::<u64>(0), Ok(7));
        let answer = in_time(socket.emit_with_retries("echo", &(8,))).await.unwrap();
        assert_eq!(answer.get::<u64>(0), Ok(8));
        assert!(socket.emit_volatile("echo", &(9,)).await.unwrap());
        assert_eq!(received(&mut events, "echo-back").await.get::<u64>(0), Ok(9));
    }
}

#[tokio::test]
async fn each_of_many_calls_gets_its_own_answer() {
    let server = Server::start().await;
    let (socket, _events) = connected(&server, TRANSPORTS[2]).await;
    let calls = (0..200_u64).map(|number| {
        let socket = socket.clone();
        tokio::spawn(async move {
            let answer = socket.emit_with_ack("echo", &(number,), LONG).await.unwrap();
            assert_eq!(answer.get::<u64>(0), Ok(number));
        })
    });
    for call in calls.collect::<Vec<_>>() {
        in_time(call).await.unwrap();
    }
}

#[tokio::test]
async fn the_url_names_a_namespace_and_the_client_has_others() {
    let server = Server::start().await;
    let url = format!("{}/admin?token=1", server.url());
    let (admin, _events) = in_time(connect(&url, options(&[Polling]))).await.unwrap();
    assert_eq!(admin.namespace(), "/admin");
    let main = admin.client().socket("/");
    assert_eq!(main.session().await.unwrap(), None);
    let session = in_time(main.connect(Auth::None)).await.unwrap();
    assert_eq!(in_time(main.connect(Auth::None)).await.unwrap(), session, "it is joined already");
    in_time(main.emit_with_ack("echo", &(1,), LONG)).await.unwrap();
    assert!(main.disconnect().await.unwrap());
    assert!(!main.disconnect().await.unwrap());
    in_time(admin.emit_with_ack("echo", &(1,), LONG)).await.unwrap();
}

#[tokio::test]
async fn a_refusal_brings_the_message_of_the_server() {
    let server = Server::start().await;
    for transports in TRANSPORTS {
        let url = format!("{}/no", server.url());
        let error = in_time(connect(&url, options(transports))).await.unwrap_err();
        let ConnectError::Refused(Refusal::Refused { message, .. }) = error else {
            panic!("{error:?}");
        };
        assert_eq!(message, "no entry");
        let options = options(transports).auth(Auth::Value(Json::new(&[1]).unwrap()));
        let error = in_time(connect(&url, options)).await.unwrap_err();
        assert!(matches!(error, ConnectError::Join(_)), "{error:?}");
    }
}

#[tokio::test]
async fn credentials_can_be_asked_for() {
    let server = Server::start().await;
    let (socket, mut events) = start(&server.url(), options(&[WebSocket]).auth(Auth::Ask)).unwrap();
    let request = until(&mut events, |event| match event {
        ClientEvent::AuthRequested { request, .. } => Some(request),
        _ => None,
    })
    .await;
    let client = socket.client();
    let error = client.provide_auth(request, Json::new(&[1]).unwrap()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Join(_)), "{error:?}");
    let auth = Json::new(&json!({ "token": "t" })).unwrap();
    assert!(client.provide_auth(request, auth).await.unwrap());
    until(&mut events, |event| matches!(event, ClientEvent::Connected { .. }).then_some(())).await;
}

#[tokio::test]
async fn a_question_of_the_server_is_answered() {
    let server = Server::start().await;
    let (socket, mut events) = connected(&server, TRANSPORTS[2]).await;
    socket.emit("ask", &()).await.unwrap();
    let token = until(&mut events, |event| match event {
        ClientEvent::Received { ack, .. } => ack,
        _ => None,
    })
    .await;
    assert!(socket.client().ack(token, &("ann",)).await.unwrap());
    assert_eq!(received(&mut events, "heard").await.get::<String>(0).unwrap(), "ann");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_an_error() {
    let server = Server::start().await;
    let (socket, _events) = connected(&server, TRANSPORTS[1]).await;
    let error = socket.emit_with_ack("silence", &(), Duration::from_millis(20)).await.unwrap_err();
    assert!(matches!(error, AckError::Failed(ClientAckFailure::Timeout)), "{error:?}");
    let error = socket.emit_with_ack("kick", &(), LONG).await.unwrap_err();
    assert!(matches!(error, AckError::Failed(ClientAckFailure::Disconnected)), "{error:?}");
    let error = socket.emit("disconnect", &()).await.unwrap_err();
    assert!(matches!(error, EmitError::Encode(_)), "{error:?}");
}

#[tokio::test]
async fn a_full_buffer_is_an_error_of_the_call() {
    let server = Server::start().await;
    let limits = ClientLimits::new().buffered_events(2);
    let options = options(&[Polling]).config(config(&[Polling]).limits(limits));
    let (socket, _events) = in_time(connect(&server.url(), options)).await.unwrap();
    socket.client().set_online(false).await.unwrap();
    socket.emit("echo", &(1,)).await.unwrap();
    socket.emit("echo", &(2,)).await.unwrap();
    let error = socket.emit("echo", &(3,)).await.unwrap_err();
    assert!(matches!(error, EmitError::Client(client::ClientEmitError::Full)), "{error:?}");
    let error = socket.client().socket("/unknown").emit("echo", &(1,)).await.unwrap_err();
    let unknown = client::ClientEmitError::UnknownNamespace;
    assert!(matches!(error, EmitError::Client(error) if error == unknown));
}

/// It does not lose its connection, and no event.
#[tokio::test]
async fn an_application_that_is_slow_gets_every_event_in_order() {
    const EVENTS: u64 = 300;
    let server = Server::start().await;
    for transports in TRANSPORTS {
        // Room for six of the events.
        let options = options(transports).event_bytes(64 << 10);
        let (socket, mut events) = in_time(connect(&server.url(), options)).await.unwrap();
        socket.emit("burst", &(EVENTS, 10_000)).await.unwrap();
        // Handles work while no event is taken.
        for _ in 0..100 {
            assert!(socket.session().await.unwrap().is_some());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for number in 0..EVENTS {
            assert_eq!(received(&mut events, "burst").await.get::<u64>(0), Ok(number));
        }
        in_time(socket.emit_with_ack("echo", &(1,), LONG)).await.unwrap();
    }
}

/// Its answer is behind events that only the same task takes.
#[tokio::test]
async fn an_application_that_waits_for_itself_is_told() {
    let server = Server::start().await;
    let options =
        options(&[WebSocket]).event_bytes(64 << 10).stall_timeout(Duration::from_millis(50));
    let (socket, mut events) = in_time(connect(&server.url(), options)).await.unwrap();
    socket.emit("burst", &(50, 10_000)).await.unwrap();
    let error = in_time(socket.emit_with_ack("echo", &(7,), LONG)).await.unwrap_err();
    assert!(matches!(error, AckError::Stalled), "{error:?}");
    let error = in_time(socket.emit_with_retries("echo", &(8,))).await.unwrap_err();
    assert!(matches!(error, AckError::Stalled), "{error:?}");
    let admin = socket.client().socket("/admin");
    let error = in_time(admin.connect(Auth::None)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Stalled), "{error:?}");
    // What was asked for comes as events.
    let (mut answers, mut is_joined) = (Vec::new(), false);
    while answers.len() < 2 || !is_joined {
        match in_time(events.next()).await.unwrap() {
            ClientEvent::Acked { args, .. } => answers.push(args.get::<u64>(0).unwrap()),
            ClientEvent::Connected { namespace, .. } => is_joined |= namespace.as_str() == "/admin",
            _ => {}
        }
    }
    assert_eq!(answers, [7, 8]);
    in_time(admin.emit_with_ack("echo", &(1,), LONG)).await.unwrap();
}

/// An event larger than all the room is delivered alone.
#[tokio::test]
async fn an_event_larger_than_the_room_is_delivered() {
    let server = Server::start().await;
    let options = options(&[WebSocket]).event_bytes(1);
    let (socket, events) = in_time(connect(&server.url(), options)).await.unwrap();
    socket.emit("burst", &(3, 100_000)).await.unwrap();
    let numbers = events
        .filter_map(async |event| match event {
            ClientEvent::Received { event, .. } => event.get::<u64>(0).ok(),
            _ => None,
        })
        .take(3)
        .collect::<Vec<_>>();
    assert_eq!(in_time(numbers).await, [0, 1, 2]);
}

#[tokio::test]
async fn events_that_nobody_wants_do_not_stop_the_client() {
    let server = Server::start().await;
    let options = options(&[WebSocket]).event_bytes(1_000);
    let (socket, events) = in_time(connect(&server.url(), options)).await.unwrap();
    drop(events);
    socket.emit("burst", &(100, 10_000)).await.unwrap();
    in_time(socket.emit_with_ack("echo", &(1,), LONG)).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_breaks_comes_back_with_its_session() {
    let server = Server::start().await;
    for transports in TRANSPORTS {
        let (socket, mut events) = connected(&server, transports).await;
        let session = socket.session().await.unwrap().unwrap();
        for is_switched_off in [false, true] {
            if is_switched_off {
                socket.client().set_online(false).await.unwrap();
                socket.client().set_online(true).await.unwrap();
            } else {
                socket.client().cut().await.unwrap();
            }
            let id = until(&mut events, |event| match event {
                ClientEvent::Connected { id, recovered: true, .. } => Some(id.to_string()),
                _ => None,
            });
            assert_eq!(id.await, session.id);
        }
        in_time(socket.emit_with_ack("echo", &(1,), LONG)).await.unwrap();
    }
}

#[tokio::test]
async fn the_next_process_continues_the_session() {
    let server = Server::start().await;
    for transports in TRANSPORTS {
        let (socket, mut events) = connected(&server, transports).await;
        let id = socket.session().await.unwrap().unwrap().id;
        socket.emit("burst", &(3, 1)).await.unwrap();
        for number in 0..3 {
            assert_eq!(received(&mut events, "burst").await.get::<u64>(0), Ok(number));
        }
        socket.client().set_online(false).await.unwrap();
        socket.emit("echo", &("later",)).await.unwrap();
        let snapshot = in_time(socket.client().close()).await.unwrap();
        while in_time(events.next()).await.is_some() {}
        let stored = serde_json::to_string(&snapshot).unwrap();

        let options = options(transports).snapshot(serde_json::from_str(&stored).unwrap());
        let (socket, mut events) = in_time(connect(&server.url(), options)).await.unwrap();
        let session = socket.session().await.unwrap().unwrap();
        assert_eq!((session.id, session.recovered), (id, true));
        let back = received(&mut events, "echo-back").await;
        assert_eq!(back.get::<String>(0).unwrap(), "later");
        assert!(!socket.client().snapshot().await.unwrap().sessions().is_empty());
    }
}

#[tokio::test]
async fn calls_after_the_end_are_errors() {
    let server = Server::start().await;
    let (socket, mut events) = connected(&server, &[WebSocket]).await;
    let waiting = socket.clone();
    let call = tokio::spawn(async move { waiting.emit_with_ack("silence", &(), LONG).await });
    // It is sent before the client ends.
    in_time(socket.emit_with_ack("echo", &(), LONG)).await.unwrap();
    in_time(socket.client().close()).await.unwrap();
    let error = in_time(call).await.unwrap().unwrap_err();
    let is_over =
        matches!(error, AckError::Failed(ClientAckFailure::Disconnected) | AckError::Ended(Ended));
    assert!(is_over, "{error:?}");
    let reason = until(&mut events, |event| match event {
        ClientEvent::Disconnected { reason, rejoins: false, .. } => Some(reason),
        _ => None,
    });
    assert_eq!(reason.await, ClientDisconnectReason::ForcedClose);
    while in_time(events.next()).await.is_some() {}
    assert!(matches!(socket.emit("echo", &()).await, Err(EmitError::Ended(Ended))));
    assert!(matches!(socket.session().await, Err(Ended)));
    assert!(matches!(socket.connect(Auth::None).await, Err(ConnectError::Ended(Ended))));
    assert!(matches!(socket.client().close().await, Err(Ended)));
    let error = socket.emit_with_ack("echo", &(), LONG).await.unwrap_err();
    assert!(matches!(error, AckError::Ended(Ended)), "{error:?}");
}

/// The server waits for it to come back.
#[tokio::test]
async fn a_client_that_nobody_holds_ends() {
    let ended = std::sync::Arc::new(tokio::sync::Notify::new());
    let told = ended.clone();
    let server = Raw::start(move |mut stream| {
        let told = told.clone();
        async move {
            let mut rest = Vec::new();
            tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await.ok();
            told.notify_one();
        }
    })
    .await;
    let (socket, events) = start(&server.url(), options(&[Polling])).unwrap();
    drop(events);
    // A handle keeps it.
    assert_eq!(socket.session().await.unwrap(), None);
    drop(socket);
    in_time(ended.notified()).await;
}

#[tokio::test]
async fn leaving_answers_who_waits_to_join() {
    // Connections are accepted, and nothing is answered.
    let server = Raw::start(|stream| async move {
        let _stream = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let (socket, _events) = start(&server.url(), options(&[Polling])).unwrap();
    let joining = socket.clone();
    let joined = tokio::spawn(async move { joining.connect(Auth::None).await });
    while !socket.client().with(|client, _| client.is_active("/")).await.unwrap() {}
    // The call may still be on its way; then it joins again and waits.
    let error = loop {
        socket.disconnect().await.unwrap();
        if joined.is_finished() {
            break in_time(joined).await.unwrap().unwrap_err();
        }
        tokio::task::yield_now().await;
    };
    assert!(
        matches!(&error, ConnectError::Left(name) if name.as_str() == "/")
            || matches!(&error, ConnectError::Connection { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_verb_that_panics_is_the_callers_fault() {
    let server = Server::start().await;
    let (socket, _events) = connected(&server, &[WebSocket]).await;
    let client = socket.client().clone();
    let call = tokio::spawn(async move { client.with(|_, _| panic!("on purpose")).await });
    assert!(in_time(call).await.unwrap_err().is_panic());
    in_time(socket.emit_with_ack("echo", &(1,), LONG)).await.unwrap();
}

#[tokio::test]
async fn debug_shows_no_secrets() {
    let options = Options::new().auth(Auth::Value(Json::new(&json!({ "token": "hush" })).unwrap()));
    let options = options.header("authorization", "hush");
    let proxy = socketio_proto_tokio_client::Proxy::Url("http://user:hush@host".into());
    assert!(!format!("{:?}", options.proxy(proxy)).contains("hush"));
}
