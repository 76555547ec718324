//! Layers of `tower-http` around the service.

use std::io::Read as _;

use axum::Router;
use cookie::{Cookie, SameSite};
use flate2::read::GzDecoder;
use http::{HeaderName, HeaderValue, Response, header};
use socketio_proto::{EngineId, Origins, ServerConfig, Timestamp, server::Server};
use socketio_proto_tokio::{PeerLimits, SocketIoService, entropy, serve, start};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tower_http::{
    compression::{CompressionLayer, predicate::SizeAbove},
    set_header::SetResponseHeaderLayer,
};
use tower_layer::Layer as _;

use crate::support::{
    Echo, LARGE, POLL, connect, converse, echo, in_time, listen, polling_session, request,
    response, session_id,
};

const GZIP: &str = "Accept-Encoding: gzip";
const UPGRADE: &str = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: Upgrade";

fn compression() -> CompressionLayer<SizeAbove> {
    CompressionLayer::new().compress_when(SizeAbove::new(1024))
}

/// Serves it with axum, and compresses.
async fn compressed(service: SocketIoService) -> u16 {
    let (listener, port) = listen().await;
    let routes = Router::new().route_service("/socket.io/", service).layer(compression());
    tokio::spawn(axum::serve(listener, routes).into_future());
    port
}

/// A request line with further fields.
fn with_fields(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\n{fields}\r\nX: ")
}

/// The head in lower case, and the body, which may come in chunks.
fn split(response: &[u8]) -> (String, Vec<u8>) {
    let end = response.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let (head, mut rest) = response.split_at(end);
    let head = String::from_utf8(head.to_vec()).unwrap().to_ascii_lowercase();
    if !head.contains("transfer-encoding: chunked\r\n") {
        return (head, rest.to_vec());
    }
    let mut body = Vec::new();
    loop {
        let line = rest.iter().position(|byte| *byte == b'\r').expect("the length of a chunk");
        let length = std::str::from_utf8(&rest[..line]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        body.extend_from_slice(&rest[line + 2..line + 2 + length]);
        rest = &rest[line + length + 4..];
        if length == 0 {
            assert!(rest.is_empty(), "it ends with the last chunk");
            return (head, body);
        }
    }
}

fn unpacked(body: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(body).read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn large_polling_responses_are_compressed() {
    let (service, _handle) = echo();
    let port = compressed(service).await;
    let path = polling_session(async || connect(port).await).await;
    let (get, ask) = (format!("GET {path}"), format!("POST {path}"));
    for accepts in [true, false] {
        request(connect(port).await, &ask, "42[\"burst\",1]").await;
        let line = if accepts { with_fields(&get, GZIP) } else { get.clone() };
        let (head, body) = split(&response(connect(port).await, &line, "").await);
        assert!(head.contains("\r\nvary: accept-encoding\r\n"), "{head}");
        assert!(head.contains("\r\ncache-control: no-store\r\n"), "{head}");
        assert_eq!(head.contains("\r\ncontent-encoding: gzip\r\n"), accepts, "{head}");
        let text = if accepts { unpacked(&body) } else { String::from_utf8(body.clone()).unwrap() };
        assert!(text.starts_with("42[\"large\",0,\"xxx"), "{text:.40}");
        assert!(text.len() > LARGE);
        assert_eq!(body.len() < LARGE / 10, accepts, "{} bytes", body.len());
    }
}

#[tokio::test]
async fn small_responses_and_handshakes_are_not_compressed() {
    let (service, _handle) = echo();
    let port = compressed(service).await;
    let path = polling_session(async || connect(port).await).await;
    for (line, body, status) in [
        (format!("GET {POLL}"), "", "200"),
        (format!("POST {path}"), "420[\"echo\",1]", "200"),
        (format!("GET {path}"), "", "200"),
        (format!("GET {POLL}&sid=unknown"), "", "400"),
    ] {
        let answer = request(connect(port).await, &with_fields(&line, GZIP), body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(!answer.contains("content-encoding"), "{answer}");
        assert!(answer.contains("\r\ncontent-length: "), "{answer}");
    }
    let websocket = "GET /socket.io/?EIO=4&transport=websocket";
    let line = with_fields(websocket, &format!("{GZIP}\r\n{UPGRADE}"));
    let (head, _) = split(&until_head(connect(port).await, &line).await);
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(!head.contains("content-encoding"), "{head}");
}

/// The head of an answer, and nothing that may follow.
async fn until_head(mut stream: TcpStream, line: &str) -> Vec<u8> {
    let text = format!("{line}\r\nHost: x\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(in_time(stream.read_u8()).await.unwrap());
    }
    head
}

/// The response is complete as soon as the event is there: a compressor keeps nothing for later.
#[tokio::test]
async fn a_poll_that_waits_gets_its_event_at_once() {
    let (service, handle) = echo();
    let port = compressed(service).await;
    let path = polling_session(async || connect(port).await).await;
    let line = with_fields(&format!("GET {path}"), GZIP);
    let stream = connect(port).await;
    let waiting = tokio::spawn(async move { response(stream, &line, "").await });
    while in_time(handle.driver_stats()).await.unwrap().exchanges == 0 {
        tokio::task::yield_now().await;
    }
    handle.all().emit("news", &("x".repeat(LARGE),)).await.unwrap();
    let (head, body) = split(&waiting.await.unwrap());
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert!(unpacked(&body).starts_with("42[\"news\","));
}

/// Not even a head is sent, as without the layer.
#[tokio::test]
async fn an_exchange_that_is_dropped_stays_dropped() {
    let (service, handle) = echo();
    let port = compressed(service).await;
    let path = polling_session(async || connect(port).await).await;
    let line = with_fields(&format!("GET {path}"), GZIP);
    in_time(handle.shutdown()).await.unwrap();
    assert_eq!(request(connect(port).await, &line, "").await, "");
}

#[tokio::test]
async fn every_transport_works_through_a_compressing_layer() {
    let (service, _handle) = echo();
    let port = compressed(service).await;
    converse(async || connect(port).await).await;

    let (service, _handle) = echo();
    let (listener, port) = listen().await;
    let site = compression().layer(service.at("/socket.io"));
    tokio::spawn(serve(listener, site, PeerLimits::default(), std::future::pending()));
    converse(async || connect(port).await).await;
}

/// Responses of every kind, among them the one that completes a WebSocket handshake.
#[tokio::test]
async fn header_fields_of_the_application_are_in_every_response() {
    let name = HeaderName::from_static("x-served-by");
    let value = HeaderValue::from_static("node-7");
    let fields = SetResponseHeaderLayer::overriding(name, value);
    let (service, _handle) = echo();
    let (listener, port) = listen().await;
    let site = fields.layer(service.at("/socket.io"));
    tokio::spawn(serve(listener, site, PeerLimits::default(), std::future::pending()));
    let websocket = "GET /socket.io/?EIO=4&transport=websocket";
    for (line, status) in [
        (format!("GET {POLL}"), "200"),
        (format!("GET {POLL}&sid=unknown"), "400"),
        (with_fields(websocket, UPGRADE), "101"),
        (with_fields(&format!("{websocket}&sid=unknown"), UPGRADE), "400"),
        ("GET /elsewhere".to_owned(), "404"),
    ] {
        let line = if line.contains("HTTP/1.1") { line } else { format!("{line} HTTP/1.1\r\nX: ") };
        let (head, _) = split(&until_head(connect(port).await, &line).await);
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        assert!(head.contains("\r\nx-served-by: node-7\r\n"), "{head}");
    }
}

fn sticky_cookie<B>(response: &Response<B>) -> Option<HeaderValue> {
    let session = response.extensions().get::<EngineId>()?;
    let cookie = Cookie::build(("io", session.as_str())).path("/").http_only(true);
    cookie.same_site(SameSite::Lax).to_string().parse().ok()
}

/// As in the reference, the cookie comes with the handshake of polling, and with nothing else.
#[tokio::test]
async fn a_sticky_cookie_names_the_session() {
    let (service, _handle) = echo();
    let (listener, port) = listen().await;
    let sticky = SetResponseHeaderLayer::appending(header::SET_COOKIE, sticky_cookie);
    let routes = Router::new().route_service("/socket.io/", service).layer(sticky);
    tokio::spawn(axum::serve(listener, routes).into_future());

    let opened = request(connect(port).await, &format!("GET {POLL}"), "").await;
    let sid = session_id(&opened);
    let field = format!("\r\nset-cookie: io={sid}; HttpOnly; SameSite=Lax; Path=/\r\n");
    assert!(opened.contains(&field), "{opened}");
    for (line, body, status) in [
        (format!("POST {POLL}&sid={sid}"), "40", "200"),
        (format!("GET {POLL}&sid={sid}"), "", "200"),
        (format!("GET {POLL}&sid=unknown"), "", "400"),
    ] {
        let answer = request(connect(port).await, &line, body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(!answer.contains("set-cookie"), "{answer}");
    }
    let line = with_fields("GET /socket.io/?EIO=4&transport=websocket", UPGRADE);
    let (head, _) = split(&until_head(connect(port).await, &line).await);
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(!head.contains("set-cookie"), "{head}");
}

/// CORS asks no WebSocket, and a browser sends the user's cookies along.
#[tokio::test]
async fn the_origins_of_the_server_keep_foreign_pages_out() {
    let config = ServerConfig::new().origins(Origins::list(["https://app.example"]));
    let mut server = Server::new(config, entropy).unwrap();
    server.at(Timestamp::ZERO).add_namespace("/").unwrap();
    let (service, _handle) = start(server, Echo);
    let port = compressed(service).await;
    let websocket = "GET /socket.io/?EIO=4&transport=websocket";
    for (origin, status) in [("app.example", "101"), ("evil.example", "403")] {
        let fields = format!("Origin: https://{origin}\r\nCookie: user=ann\r\n{UPGRADE}");
        let line = with_fields(websocket, &fields);
        let (head, _) = split(&until_head(connect(port).await, &line).await);
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
    }
}
