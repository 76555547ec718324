//! Cookies, and headers of the application.

use hyper::header::{AUTHORIZATION, COOKIE};
use socketio_proto::engine::Transport;
use socketio_proto_tokio_client::{ConnectError, OptionsError, WireError, connect};

use crate::{
    handles::LONG,
    support::{TRANSPORTS, in_time, options, server::Server},
};

/// A balancer that finds the server of a session by its cookie refuses all others.
#[tokio::test]
async fn a_balancer_with_sticky_sessions_finds_the_session() {
    let server = Server::with(None, true).await;
    for transports in TRANSPORTS {
        let options = options(transports).cookies(true).header("cookie", "own=1");
        let (socket, _events) = in_time(connect(&server.url(), options)).await.unwrap();
        in_time(socket.emit_with_ack("echo", &(1,), LONG)).await.unwrap();
    }
    let with_both = server
        .seen()
        .into_iter()
        .filter(|(_, headers)| headers.get(COOKIE).is_some_and(|value| value == "own=1; node=a"));
    assert!(with_both.count() > 0, "the cookies of the application and of the server");
}

#[tokio::test]
async fn without_a_jar_no_cookie_is_sent_back() {
    let server = Server::with(None, true).await;
    let error = in_time(connect(&server.url(), options(&[Transport::Polling]))).await.unwrap_err();
    let ConnectError::Connection { cause: Some(cause), .. } = error else { panic!("{error:?}") };
    assert!(matches!(*cause, WireError::Status { status: 400 }), "{cause:?}");
    assert!(server.seen().iter().all(|(_, headers)| !headers.contains_key(COOKIE)));
}

#[tokio::test]
async fn headers_of_the_application_are_in_each_request() {
    let server = Server::start().await;
    for transports in TRANSPORTS {
        let options = options(transports)
            .header("authorization", "Bearer token")
            .header("x-several", "1")
            .header("x-several", "2");
        let (socket, _events) = in_time(connect(&server.url(), options)).await.unwrap();
        in_time(socket.emit_with_ack("echo", &(1,), LONG)).await.unwrap();
    }
    let seen = server.seen();
    assert!(seen.iter().any(|(is_websocket, _)| *is_websocket));
    assert!(seen.iter().any(|(is_websocket, _)| !is_websocket));
    for (_, headers) in seen {
        assert_eq!(headers.get(AUTHORIZATION).unwrap(), "Bearer token");
        assert!(headers.get_all("x-several").iter().eq(["1", "2"]));
    }
}

#[tokio::test]
async fn headers_that_are_not_the_applications_are_refused() {
    for (name, value) in [
        ("connection", "close"),
        ("Sec-WebSocket-Key", "x"),
        ("Content-Length", "1"),
        ("a b", "x"),
        ("x", "line\nbreak"),
    ] {
        let options = options(TRANSPORTS[0]).header(name, value);
        let error = connect("http://localhost:1", options).await.unwrap_err();
        let ConnectError::Options(OptionsError::Header { name: refused }) = error else {
            panic!("{error:?}");
        };
        assert_eq!(refused, name);
    }
}
