//! What can go wrong before there is a connection.

use socketio_proto::{client::ClientEvent, engine::ClientCloseReason};
use socketio_proto_tokio_client::{ConnectError, OptionsError, WireError, connect, start};

use crate::support::{TRANSPORTS, in_time, options, server::Server};

async fn failure(url: &str, index: usize) -> std::sync::Arc<WireError> {
    let error = in_time(connect(url, options(TRANSPORTS[index]))).await.unwrap_err();
    let ConnectError::Connection { cause: Some(cause), .. } = error else { panic!("{error:?}") };
    cause
}

#[tokio::test]
async fn a_host_that_does_not_exist_is_an_error_of_its_name() {
    for index in 0..2 {
        let error = failure("http://no-such-host.invalid", index).await;
        let WireError::Resolve { host, .. } = &*error else { panic!("{error:?}") };
        assert_eq!(host, "no-such-host.invalid");
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_an_error_of_tcp() {
    for index in 0..2 {
        let error = failure("http://127.0.0.1:1", index).await;
        let WireError::Connect { host, source } = &*error else { panic!("{error:?}") };
        assert_eq!(host, "127.0.0.1");
        assert_eq!(source.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}

#[tokio::test]
async fn an_address_of_ipv6_is_reached() {
    let url = "http://[::1]:1";
    let error = failure(url, 0).await;
    assert!(matches!(&*error, WireError::Connect { host, .. } if host == "[::1]"), "{error:?}");
}

#[tokio::test]
async fn other_urls_are_refused() {
    for url in ["", "localhost", "ftp://localhost", "http://user:password@localhost"] {
        let error = connect(url, options(TRANSPORTS[0])).await.unwrap_err();
        let is_refused = matches!(error, ConnectError::Options(OptionsError::Url { .. }));
        assert!(is_refused, "{url}: {error:?}");
    }
}

#[test]
fn without_a_runtime_there_is_no_client() {
    let error = start("http://localhost:1", options(TRANSPORTS[0])).unwrap_err();
    assert!(matches!(error, OptionsError::NoRuntime), "{error:?}");
}

/// The failure comes with the event that follows from it, and only with that.
#[tokio::test]
async fn a_client_in_the_background_tells_each_failure_and_goes_on() {
    let server = Server::start().await;
    let port = server.address.port();
    drop(server);
    let url = format!("http://127.0.0.1:{port}");
    let (_socket, mut events) = start(&url, options(TRANSPORTS[0])).unwrap();
    let mut failures = 0;
    while failures < 3 {
        let event = in_time(events.next()).await.expect("it goes on");
        let cause = events.cause();
        match event {
            ClientEvent::ConnectionClosed { reason, was_open } => {
                assert!(!was_open && matches!(reason, ClientCloseReason::TransportError(_)));
                assert!(matches!(cause.map(|it| &**it), Some(WireError::Connect { .. })));
                failures += 1;
            }
            ClientEvent::TransportFailed { .. } => assert!(cause.is_some()),
            ClientEvent::Reconnecting { .. } => assert!(cause.is_none()),
            event => panic!("{event:?}"),
        }
    }
}
