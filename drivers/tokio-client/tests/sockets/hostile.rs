//! Servers that misbehave: each failure has its type, and nothing grows without bounds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use socketio_proto::{
    client::ClientLimits,
    engine::{
        ClientCloseReason, ClientFault,
        Transport::{self, Polling, WebSocket},
    },
};
use socketio_proto_tokio_client::{ConnectError, WireError, connect};
use tokio::{io::AsyncWriteExt as _, sync::watch};

use crate::support::{
    config, in_time, options,
    raw::{
        BUFFERS, CONNECTED, HANDSHAKE, Raw, SWITCHING, accept, read_head, repeat, response, say,
        switch,
    },
};

const LIMIT: usize = 100_000;

/// What the client says when it connects over one transport.
async fn failure(
    server: &Raw,
    transport: Transport,
) -> (ClientCloseReason, Option<Arc<WireError>>) {
    failure_within(Duration::from_secs(40), server, transport).await
}

async fn failure_within(
    open_timeout: Duration,
    server: &Raw,
    transport: Transport,
) -> (ClientCloseReason, Option<Arc<WireError>>) {
    let config = config(&[transport])
        .open_timeout(open_timeout)
        .limits(ClientLimits::new().max_payload(LIMIT));
    let options = options(&[transport]).config(config);
    let error = in_time(connect(&server.url(), options)).await.unwrap_err();
    let ConnectError::Connection { reason, cause } = error else { panic!("{error:?}") };
    (reason, cause)
}

async fn cause(server: &Raw, transport: Transport) -> Arc<WireError> {
    let (reason, cause) = failure(server, transport).await;
    assert!(matches!(reason, ClientCloseReason::TransportError(_)), "{reason:?}");
    cause.expect("something has failed")
}

#[tokio::test]
async fn a_status_is_told() {
    for (status, headers, expected) in [
        ("404 Not Found", "", 404),
        ("500 Internal Server Error", "", 500),
        // It would be followed to whatever the server names.
        ("302 Found", "location: http://127.0.0.1:1/\r\n", 302),
        ("200 OK", "", 200),
    ] {
        let server = Raw::answering(response(status, headers, "<html>")).await;
        if expected != 200 {
            let (reason, error) = failure(&server, Polling).await;
            let fault = ClientFault::UnexpectedStatus(expected);
            assert_eq!(reason, ClientCloseReason::TransportError(fault));
            let is_told = matches!(error.as_deref(), Some(WireError::Status { status }) if *status == expected);
            assert!(is_told, "{error:?}");
        }
        let error = cause(&server, WebSocket).await;
        assert!(matches!(*error, WireError::Status { status } if status == expected), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_told() {
    for answer in ["hello\r\n\r\n", "HTTP/1.1 9999 x\r\n\r\n", "HTTP/1.1 200 OK\r\nx y\r\n\r\n"] {
        let server = Raw::answering(answer).await;
        for transport in [Polling, WebSocket] {
            let error = cause(&server, transport).await;
            assert!(matches!(*error, WireError::InvalidResponse { .. }), "{answer}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_is_told() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-le"] {
        let server = Raw::answering(answer).await;
        for transport in [Polling, WebSocket] {
            let error = cause(&server, transport).await;
            assert!(matches!(*error, WireError::Lost { .. }), "{answer}: {error:?}");
        }
    }
    let server = Raw::answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0{").await;
    let error = cause(&server, Polling).await;
    assert!(matches!(*error, WireError::Lost { .. }), "{error:?}");
}

/// Begins with `start`, and goes on with `rest` for as long as the client takes it.
async fn endless(
    start: &'static str,
    rest: Vec<u8>,
    pause: Option<Duration>,
) -> (Raw, Arc<AtomicUsize>, watch::Receiver<u32>) {
    let written = Arc::new(AtomicUsize::new(0));
    let counter = written.clone();
    let (ends, ended) = watch::channel(0);
    let server = Raw::start(move |mut stream| {
        let (counter, rest, ends) = (counter.clone(), rest.clone(), ends.clone());
        async move {
            let head = read_head(&mut stream).await;
            let start = start.replace("ACCEPT", &accept(&head));
            stream.write_all(start.as_bytes()).await.ok();
            repeat(&mut stream, &rest, pause, &counter).await;
            ends.send_modify(|ends| *ends += 1);
        }
    })
    .await;
    (server, written, ended)
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

const SOON: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_head_or_a_body_that_does_not_end_is_given_up_in_time() {
    let pause = Some(Duration::from_millis(5));
    for (start, rest) in [
        ("", "H"),
        ("HTTP/1.1 200 OK\r\n", "x: y\r\n"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", "0"),
        (CHUNKED, "1\r\n0\r\n"),
    ] {
        let rest = if rest == "H" { Vec::new() } else { rest.into() };
        let (server, _, mut ended) = endless(start, rest.clone(), pause).await;
        let (reason, _) = failure_within(SOON, &server, Polling).await;
        assert_eq!(reason, ClientCloseReason::OpenTimeout, "{start}");
        if !rest.is_empty() {
            in_time(ended.wait_for(|ends| *ends > 0)).await.unwrap();
        }
    }
    for (start, rest) in [("", ""), ("HTTP/1.1 101 Switching\r\n", "x: y\r\n"), (SWITCHING, "")] {
        let (server, _, _) = endless(start, rest.into(), pause).await;
        let (reason, _) = failure_within(SOON, &server, WebSocket).await;
        assert_eq!(reason, ClientCloseReason::OpenTimeout, "{start}");
    }
}

#[tokio::test]
async fn a_head_that_is_endless_is_not_read() {
    for transport in [Polling, WebSocket] {
        let (server, written, mut ended) =
            endless("HTTP/1.1 200 OK\r\nx: ", vec![b'y'; 64 << 10], None).await;
        let error = cause(&server, transport).await;
        assert!(matches!(*error, WireError::InvalidResponse { .. }), "{error:?}");
        in_time(ended.wait_for(|ends| *ends > 0)).await.unwrap();
        assert!(written.load(Ordering::Relaxed) < BUFFERS);
    }
}

#[tokio::test]
async fn a_body_or_a_message_that_is_endless_is_not_read() {
    let mut chunk = b"10000\r\n".to_vec();
    chunk.extend(vec![b'0'; 0x10000]);
    chunk.extend(b"\r\n");
    // A text that is continued and never ends.
    let mut fragment = vec![0x00, 126, 0xff, 0xff];
    fragment.extend(vec![b'0'; 0xffff]);
    let mut terabyte = vec![0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0];
    terabyte.extend(vec![0; 0x10000]);
    // The first frame of a text, without contents.
    let text = concat_start("\u{1}\0");
    for (transport, start, rest) in [
        (Polling, CHUNKED, chunk),
        (Polling, "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", vec![b'0'; 0x10000]),
        (WebSocket, text, fragment),
        // A frame that announces a terabyte.
        (WebSocket, SWITCHING, terabyte),
    ] {
        let (server, written, mut ended) = endless(start, rest, None).await;
        let (reason, error) = failure(&server, transport).await;
        let fault = ClientFault::PayloadTooLarge;
        assert_eq!(reason, ClientCloseReason::TransportError(fault), "{error:?}");
        let is_told = matches!(error.as_deref(), Some(WireError::TooLarge { limit: LIMIT }));
        assert!(is_told, "{error:?}");
        in_time(ended.wait_for(|ends| *ends > 0)).await.unwrap();
        assert!(written.load(Ordering::Relaxed) < BUFFERS);
    }
}

fn concat_start(frame: &str) -> &'static str {
    Box::leak(format!("{SWITCHING}{frame}").into_boxed_str())
}

#[tokio::test]
async fn a_handshake_of_a_websocket_that_is_wrong_is_told() {
    for answer in [
        SWITCHING.replace("ACCEPT", "dGhlIHNhbXBsZSBub25jZQ=="),
        SWITCHING.replace("upgrade: websocket\r\n", ""),
        SWITCHING.replace("connection: Upgrade\r\n", ""),
        SWITCHING.replace("HTTP/1.1", "HTTP/1.0"),
    ] {
        let server = Raw::start(move |mut stream| {
            let answer = answer.clone();
            async move {
                let head = read_head(&mut stream).await;
                let answer = answer.replace("ACCEPT", &accept(&head));
                stream.write_all(answer.as_bytes()).await.ok();
                read_head(&mut stream).await;
            }
        })
        .await;
        let error = cause(&server, WebSocket).await;
        assert!(matches!(*error, WireError::InvalidResponse { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn frames_that_break_the_websocket_protocol_are_told() {
    for frame in [
        // Masked, reserved bits, an unknown opcode, a long ping, no UTF-8, a continuation of nothing.
        vec![0x81, 0x81, 1, 2, 3, 4, b'0'],
        vec![0xf1, 1, b'0'],
        vec![0x83, 1, b'0'],
        [&[0x89, 126, 0, 126][..], &[b'0'; 126]].concat(),
        vec![0x81, 1, 0xff],
        vec![0x80, 1, b'0'],
    ] {
        let sent = frame.clone();
        let server = Raw::start(move |mut stream| {
            let sent = sent.clone();
            async move {
                switch(&mut stream).await;
                stream.write_all(&sent).await.ok();
                read_head(&mut stream).await;
            }
        })
        .await;
        let error = cause(&server, WebSocket).await;
        assert!(matches!(*error, WireError::InvalidResponse { .. }), "{frame:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_close_frame_is_told_with_its_code() {
    let server = Raw::start(|mut stream| async move {
        switch(&mut stream).await;
        stream.write_all(&[0x88, 2, 0x03, 0xf5]).await.ok();
        read_head(&mut stream).await;
    })
    .await;
    let error = cause(&server, WebSocket).await;
    assert!(matches!(*error, WireError::Closed { code: 1013 }), "{error:?}");
}

/// They are answered, one for many.
#[tokio::test]
async fn pings_between_the_frames_do_no_harm() {
    let server = Raw::start(|mut stream| async move {
        switch(&mut stream).await;
        for text in [HANDSHAKE, CONNECTED] {
            stream.write_all(&[0x89, 2, b'h', b'i'].repeat(10_000)).await.ok();
            say(&mut stream, text).await;
        }
        read_head(&mut stream).await;
    })
    .await;
    in_time(connect(&server.url(), options(&[WebSocket]))).await.unwrap();
}
