//! Connections that end, applications that are slow, and servers that do not read.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use socketio_proto::{
    client::{ClientEmitError, ClientEvent, ClientLimits},
    engine::Transport::{self, Polling, WebSocket},
};
use socketio_proto_tokio_client::{EmitError, WireError, connect};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{
    config, in_time, options,
    raw::{BUFFERS, CONNECTED, HANDSHAKE, Raw, open_session, read_head, repeat, response},
};

/// A server that opens a session and says no more than `then`.
async fn opening(then: &'static [u8]) -> Raw {
    Raw::start(move |mut stream| async move {
        open_session(&mut stream).await;
        stream.write_all(then).await.ok();
        read_head(&mut stream).await;
    })
    .await
}

/// The failure of a connection that was open comes with its end, and is forgotten with the next one.
#[tokio::test]
async fn an_open_connection_that_ends_tells_why() {
    for (then, is_expected) in [
        // Service restart.
        (
            &[0x88, 2, 0x03, 0xf4][..],
            (|error| matches!(error, WireError::Closed { code: 1012 })) as fn(&_) -> _,
        ),
        (&[0x88, 0], |error| matches!(error, WireError::Closed { code: 1005 })),
        (&[0x83, 0], |error| matches!(error, WireError::InvalidResponse { .. })),
    ] {
        let server = opening(then).await;
        let (_socket, mut events) =
            in_time(connect(&server.url(), options(&[WebSocket]))).await.unwrap();
        let mut ends = 0;
        while ends < 2 {
            match in_time(events.next()).await.unwrap() {
                ClientEvent::ConnectionClosed { was_open, .. } => {
                    assert!(was_open);
                    let cause = events.cause().expect("the WebSocket has failed");
                    assert!(is_expected(cause), "{cause:?}");
                    ends += 1;
                }
                _ => assert!(events.cause().is_none()),
            }
        }
    }
}

/// The server cannot make the client hold more than there is room for, and handles go on working.
#[tokio::test]
async fn what_the_application_does_not_take_is_not_read() {
    let written = Arc::new(AtomicUsize::new(0));
    let counter = written.clone();
    let server = Raw::start(move |mut stream| {
        let counter = counter.clone();
        async move {
            open_session(&mut stream).await;
            let event = format!(r#"42["x","{}"]"#, "y".repeat(60_000));
            let length = u16::try_from(event.len()).unwrap().to_be_bytes();
            let frame = [&[0x81, 126], &length[..], event.as_bytes()].concat();
            repeat(&mut stream, &frame, None, &counter).await;
        }
    })
    .await;
    let options = options(&[WebSocket]).event_bytes(1 << 20);
    let (socket, mut events) = in_time(connect(&server.url(), options)).await.unwrap();
    let mut before = 0;
    loop {
        for _ in 0..1_000 {
            assert!(socket.session().await.unwrap().is_some());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = written.load(Ordering::Relaxed);
        assert!(now < BUFFERS, "{now} bytes were taken");
        if now > 0 && now == before {
            break;
        }
        before = now;
    }
    // It goes on once the application does.
    let mut taken = 0;
    while taken < 2 * before {
        if let ClientEvent::Received { event, .. } = in_time(events.next()).await.unwrap() {
            taken += event.json().len();
        }
    }
}

/// Opens a session over polling, lets the client into the main namespace, and answers nothing more.
async fn silent_polling() -> Raw {
    let (gets, posts) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    Raw::start(move |mut stream| {
        let (gets, posts) = (gets.clone(), posts.clone());
        async move {
            let head = read_head(&mut stream).await;
            let (count, answers) = if head.starts_with("GET") {
                (gets, &[HANDSHAKE, CONNECTED][..])
            } else {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let mut body = vec![0; length.unwrap().parse().unwrap()];
                stream.read_exact(&mut body).await.unwrap();
                (posts, &["ok"][..])
            };
            match answers.get(count.fetch_add(1, Ordering::Relaxed)) {
                Some(body) => {
                    let answer = response("200 OK", "connection: close\r\n", body);
                    stream.write_all(answer.as_bytes()).await.ok();
                }
                None => std::future::pending().await,
            }
        }
    })
    .await
}

/// Once the queue is full, the call says so, and the client holds no more.
#[tokio::test]
async fn a_server_that_does_not_read_makes_emits_fail() {
    const QUEUE: usize = 1 << 20;
    let reads_nothing = Raw::start(|mut stream| async move {
        open_session(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    for (server, transport) in [(reads_nothing, WebSocket), (silent_polling().await, Polling)] {
        let emitted = in_time(emit_until_full(&server, transport, QUEUE)).await;
        assert!(emitted > QUEUE / 2 && emitted < BUFFERS, "{transport}: {emitted}");
    }
}

async fn emit_until_full(server: &Raw, transport: Transport, queue: usize) -> usize {
    let config = config(&[transport]).limits(ClientLimits::new().queued_bytes(queue));
    let options = options(&[transport]).config(config);
    let (socket, _events) = connect(&server.url(), options).await.unwrap();
    let text = "x".repeat(10_000);
    let mut emitted = 0;
    loop {
        match socket.emit("x", &(&text,)).await {
            Ok(()) => emitted += text.len(),
            Err(EmitError::Client(ClientEmitError::Full)) => return emitted,
            Err(error) => panic!("{error}"),
        }
    }
}
