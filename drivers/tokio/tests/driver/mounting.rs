//! The service in other people's HTTP servers, and on all kinds of streams.

use std::convert::Infallible;

use axum::{Router, routing::get};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use socketio_proto::{Origins, engine::Cors};
use socketio_proto_tokio::{Listeners, PeerLimits, SocketIoService, serve};
use tokio::io::DuplexStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::{
    support::{connect, converse, echo, in_time, listen, request},
    tls::{Tls, tls},
};

#[tokio::test]
async fn beside_routes_of_axum() {
    let (service, _handle) = echo();
    let routes = Router::new()
        .route("/health", get(|| async { "well" }))
        .route_service("/socket.io/", service);
    let (listener, port) = listen().await;
    tokio::spawn(axum::serve(listener, routes).into_future());
    converse(async || connect(port).await).await;
    assert!(request(connect(port).await, "GET /health", "").await.ends_with("well"));
}

#[tokio::test]
async fn as_a_layer_around_routes_of_axum() {
    let (service, _handle) = echo();
    let routes = Router::new().route("/health", get(|| async { "well" }));
    let routes = routes.layer(service.layer("/socket.io/"));
    let (listener, port) = listen().await;
    tokio::spawn(axum::serve(listener, routes).into_future());
    converse(async || connect(port).await).await;
    assert!(request(connect(port).await, "GET /health", "").await.ends_with("well"));
    assert!(request(connect(port).await, "GET /none", "").await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn two_servers_at_two_paths() {
    let ((first, _first), (second, _second)) = (echo(), echo());
    let site = first.at("/admin/socket.io").or(second.at("/socket.io"));
    let listeners = Listeners::bind(0).unwrap();
    let port = listeners.port();
    tokio::spawn(serve(listeners, site, PeerLimits::default(), std::future::pending()));
    converse(async || connect(port).await).await;
    let path = "GET /admin/socket.io?EIO=4&transport=polling";
    assert!(request(connect(port).await, path, "").await.contains("\r\n\r\n0{\"sid\":"));
    assert!(request(connect(port).await, "GET /socket.io/x", "").await.ends_with("Not found"));
}

async fn serve_with_hyper(service: SocketIoService, stream: DuplexStream) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = service.answer(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let builder = hyper::server::conn::http1::Builder::new();
    builder.serve_connection(TokioIo::new(stream), service).with_upgrades().await.ok();
}

/// Far less fits into it than into one message.
#[tokio::test]
async fn in_memory_below_hyper() {
    let (service, _handle) = echo();
    let connect = async || {
        let (theirs, ours) = tokio::io::duplex(1000);
        tokio::spawn(serve_with_hyper(service.clone(), ours));
        theirs
    };
    converse(connect).await;
}

#[cfg(unix)]
#[tokio::test]
async fn on_a_unix_socket() {
    let (service, _handle) = echo();
    let path = std::env::temp_dir().join(format!("socketio-proto-{}.sock", std::process::id()));
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let site = service.at("/socket.io");
    tokio::spawn(serve(listener, site, PeerLimits::default(), std::future::pending()));
    converse(async || tokio::net::UnixStream::connect(&path).await.unwrap()).await;
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn over_tls() {
    let (service, _handle) = echo();
    let (acceptor, connector) = tls();
    let (listener, port) = listen().await;
    let site = service.at("/socket.io");
    let listener = Tls { listener, acceptor };
    tokio::spawn(serve(listener, site, PeerLimits::default(), std::future::pending()));
    // Whoever does not complete the handshake is not waited for.
    let _idle = connect(port).await;
    let connect = async || {
        let name = ServerName::try_from("localhost").unwrap();
        in_time(connector.connect(name, connect(port).await)).await.unwrap()
    };
    Box::pin(converse(connect)).await;
}

#[tokio::test]
async fn pages_of_other_origins() {
    let (service, _handle) = echo();
    let cors = Cors::new(Origins::list(["https://app.example"])).credentials(true);
    let routes = Router::new().route_service("/socket.io/", service.cors(cors));
    let (listener, port) = listen().await;
    tokio::spawn(axum::serve(listener, routes).into_future());
    let get = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nOrigin: https://";
    for (origin, is_allowed) in [("app.example", true), ("evil.example", false)] {
        let answer = request(connect(port).await, &format!("{get}{origin}\r\nX: "), "").await;
        let allows = answer.contains(&format!("access-control-allow-origin: https://{origin}\r\n"));
        assert_eq!(allows, is_allowed, "{answer}");
        assert!(answer.contains("vary: Origin\r\n"), "{answer}");
    }
    let preflight = "OPTIONS /socket.io/?EIO=4 HTTP/1.1\r\nOrigin: https://app.example\r\n\
                     Access-Control-Request-Method: POST\r\nX: ";
    let answer = request(connect(port).await, preflight, "").await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    assert!(answer.contains("access-control-allow-methods: GET,POST\r\n"), "{answer}");
}
