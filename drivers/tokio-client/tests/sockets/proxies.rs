//! Proxies.

use std::{error::Error as _, sync::Arc};

use hyper::header::PROXY_AUTHORIZATION;
use socketio_proto_tokio_client::{
    ConnectError, OptionsError, Proxy, ProxyError, WireError, connect,
};

use crate::{
    handles::LONG,
    support::{
        TRANSPORTS, certificates::self_signed, in_time, options, proxy::Proxy as ProxyServer,
        server::Server,
    },
};

const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";
/// `user:pass word`.
const CREDENTIALS: &str = "Basic dXNlcjpwYXNzIHdvcmQ=";

/// The name of the server is known to the proxy alone.
#[tokio::test]
async fn a_proxy_leads_to_a_server_without_tls() {
    let server = Server::start().await;
    for transports in TRANSPORTS {
        let proxy = ProxyServer::start(server.address, ESTABLISHED).await;
        let options = options(transports).proxy(Proxy::Url(proxy.url()));
        let (socket, _events) = in_time(connect("http://there.invalid/", options)).await.unwrap();
        in_time(socket.emit_with_ack("echo", &(1,), LONG)).await.unwrap();
        let credentials = CREDENTIALS.to_lowercase();
        for head in proxy.heads() {
            let is_tunnel = head.starts_with("connect there.invalid:80 http/1.1\r\n");
            assert!(is_tunnel || head.contains(" http://there.invalid/socket.io/?eio=4"), "{head}");
            assert!(head.contains(&credentials), "{head}");
        }
    }
    for (is_websocket, headers) in server.seen() {
        let has_credentials = headers.contains_key(PROXY_AUTHORIZATION);
        assert_eq!(has_credentials, !is_websocket, "only what the proxy reads");
    }
}

#[tokio::test]
async fn a_proxy_sees_nothing_of_what_passes_over_tls() {
    let (root, acceptor) = self_signed(&["there.invalid"]);
    let server = Server::with(Some(acceptor), false).await;
    for transports in TRANSPORTS {
        let proxy = ProxyServer::start(server.address, ESTABLISHED).await;
        let options =
            options(transports).proxy(Proxy::Url(proxy.url())).root_certificate(root.clone());
        let url = "https://there.invalid:8443/";
        let (socket, _events) = in_time(connect(url, options)).await.unwrap();
        in_time(socket.emit_with_ack("echo", &(1,), LONG)).await.unwrap();
        for head in proxy.heads() {
            assert!(head.starts_with("connect there.invalid:8443 http/1.1\r\n"), "{head}");
        }
    }
    assert!(server.seen().iter().all(|(_, headers)| !headers.contains_key(PROXY_AUTHORIZATION)));
}

/// TLS to the proxy, and within it TLS to the server, or none.
#[tokio::test]
async fn a_proxy_is_reached_over_tls() {
    let (of_proxy, acceptor) = self_signed(&["localhost"]);
    let (of_server, inner) = self_signed(&["there.invalid"]);
    let servers =
        [("http", Server::start().await), ("https", Server::with(Some(inner), false).await)];
    for (scheme, server) in servers {
        for transports in TRANSPORTS {
            let tls = Some(acceptor.clone());
            let proxy = ProxyServer::with(tls, server.address, ESTABLISHED).await;
            let options = options(transports)
                .proxy(Proxy::Url(format!("https://localhost:{}", proxy.address.port())))
                .root_certificate(of_proxy.clone())
                .root_certificate(of_server.clone());
            let url = format!("{scheme}://there.invalid/");
            let (socket, _events) = in_time(connect(&url, options)).await.unwrap();
            in_time(socket.emit_with_ack("echo", &(1,), LONG)).await.unwrap();
            assert!(!proxy.heads().is_empty());
        }
    }
}

async fn failure(proxy: String, url: &str, index: usize) -> Arc<WireError> {
    let options = options(TRANSPORTS[index]).proxy(Proxy::Url(proxy));
    let error = in_time(connect(url, options)).await.unwrap_err();
    let ConnectError::Connection { cause: Some(cause), .. } = error else { panic!("{error:?}") };
    cause
}

fn of_proxy(error: &WireError) -> &ProxyError {
    let WireError::Proxy { cause, .. } = error else { panic!("{error:?}") };
    assert!(error.source().is_some());
    cause
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_with_its_status() {
    for (answer, expected) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n", 407),
        ("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", 503),
    ] {
        let server = Server::start().await;
        let proxy = ProxyServer::start(server.address, answer).await;
        for (url, index) in [("https://there.invalid/", 0), ("ws://there.invalid/", 1)] {
            let error = failure(proxy.url(), url, index).await;
            let ProxyError::Refused { status } = of_proxy(&error) else { panic!("{error:?}") };
            assert_eq!(*status, expected);
        }
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_told_from_a_server_that_is_not_there() {
    for index in 0..2 {
        let error = failure("http://127.0.0.1:1".into(), "http://there.invalid/", index).await;
        let ProxyError::Unreachable(error) = of_proxy(&error) else { panic!("{error:?}") };
        assert!(matches!(**error, WireError::Connect { .. }), "{error:?}");
        let error = failure("http://proxy.invalid".into(), "http://there.invalid/", index).await;
        let ProxyError::Unreachable(error) = of_proxy(&error) else { panic!("{error:?}") };
        assert!(matches!(**error, WireError::Resolve { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_proxy_of_another_kind_is_an_error() {
    let error = failure("socks5://127.0.0.1:1".into(), "http://there.invalid/", 0).await;
    let ProxyError::UnsupportedScheme { scheme } = of_proxy(&error) else { panic!("{error:?}") };
    assert_eq!(scheme, "socks5");
    let options = options(TRANSPORTS[0]).proxy(Proxy::Url("not a url".into()));
    let error = connect("http://localhost:1", options).await.unwrap_err();
    assert!(matches!(error, ConnectError::Options(OptionsError::Proxy)), "{error:?}");
}

/// Runs `connect_as_the_environment_says` in a process of its own with these variables.
async fn with_environment(variables: &[(&str, String)]) -> bool {
    let test = "proxies::connect_as_the_environment_says";
    let mut process = tokio::process::Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", test, "--ignored", "--nocapture"]).kill_on_drop(true);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"] {
        process.env_remove(name).env_remove(name.to_lowercase());
    }
    process.envs(variables.iter().map(|(name, value)| (name, value)));
    process.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    in_time(process.status()).await.unwrap().success()
}

#[tokio::test]
#[ignore = "other tests run it, with variables"]
async fn connect_as_the_environment_says() {
    let url = std::env::var("URL").unwrap();
    for transports in TRANSPORTS {
        let options = options(transports).proxy(Proxy::default());
        in_time(connect(&url, options)).await.unwrap();
    }
}

#[tokio::test]
async fn the_environment_names_the_proxy() {
    let server = Server::start().await;
    let there = ("URL", "http://there.invalid/".to_owned());
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let proxy = ProxyServer::start(server.address, ESTABLISHED).await;
        assert!(with_environment(&[there.clone(), (variable, proxy.url())]).await);
        assert!(!proxy.heads().is_empty());
    }
    let proxy = ProxyServer::start(server.address, ESTABLISHED).await;
    let variables = [there, ("HTTPS_PROXY", proxy.url())];
    assert!(!with_environment(&variables).await, "it is for TLS");
    let variables = [
        ("URL", server.url()),
        ("HTTP_PROXY", proxy.url()),
        ("NO_PROXY", "localhost,127.0.0.1".to_owned()),
    ];
    assert!(with_environment(&variables).await);
    assert!(proxy.heads().is_empty());
}
