//! `https` and `wss`.

use socketio_proto::engine::Transport;
use socketio_proto_tokio_client::{ConnectError, Options, WireError, connect, rustls};

use crate::support::{TRANSPORTS, certificates::self_signed, in_time, options, server::Server};

#[tokio::test]
async fn events_pass_over_tls_with_every_transport() {
    let (root, acceptor) = self_signed(&["localhost"]);
    let server = Server::with(Some(acceptor), false).await;
    for transports in TRANSPORTS {
        for scheme in ["https", "wss"] {
            let url = format!("{scheme}://localhost:{}", server.address.port());
            let options = options(transports).root_certificate(root.clone());
            let (socket, _events) = in_time(connect(&url, options)).await.unwrap();
            let answer = socket.emit_with_ack("echo", &("é",), crate::handles::LONG);
            assert_eq!(in_time(answer).await.unwrap().get::<String>(0).unwrap(), "é");
        }
    }
}

/// Over both transports, and both are named.
async fn tls_error(url: &str, options: impl Fn(&[Transport]) -> Options) -> Vec<rustls::Error> {
    let mut errors = Vec::new();
    for transports in &TRANSPORTS[..2] {
        let error = in_time(connect(url, options(transports))).await.unwrap_err();
        let ConnectError::Connection { cause: Some(cause), .. } = error else {
            panic!("{error:?}");
        };
        let WireError::Tls { host, source } = &*cause else { panic!("{cause:?}") };
        assert!(url.contains(host.as_str()), "{host}");
        let source = source.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        errors.push(source.expect("rustls says why").clone());
    }
    errors
}

#[tokio::test]
async fn a_certificate_of_an_unknown_issuer_is_an_error() {
    let (_, acceptor) = self_signed(&["localhost"]);
    let server = Server::with(Some(acceptor), false).await;
    let url = format!("https://localhost:{}", server.address.port());
    for error in tls_error(&url, options).await {
        let unknown = rustls::CertificateError::UnknownIssuer;
        assert_eq!(error, rustls::Error::InvalidCertificate(unknown));
    }
    assert!(server.seen().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn a_certificate_for_another_host_is_an_error() {
    let (root, acceptor) = self_signed(&["example.com"]);
    let server = Server::with(Some(acceptor), false).await;
    let url = format!("https://localhost:{}", server.address.port());
    let trusting = |transports: &[_]| options(transports).root_certificate(root.clone());
    for error in tls_error(&url, trusting).await {
        assert!(matches!(error, rustls::Error::InvalidCertificate(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_an_error_of_tls() {
    let server = Server::start().await;
    let url = format!("https://localhost:{}", server.address.port());
    for transports in &TRANSPORTS[..2] {
        let error = in_time(connect(&url, options(transports))).await.unwrap_err();
        let ConnectError::Connection { cause: Some(cause), .. } = error else {
            panic!("{error:?}");
        };
        assert!(matches!(&*cause, WireError::Tls { .. }), "{cause:?}");
    }
}

/// The settings of the application count instead: here, they trust nothing but the server.
#[tokio::test]
async fn tls_settings_can_be_replaced() {
    let (root, acceptor) = self_signed(&["localhost"]);
    let server = Server::with(Some(acceptor), false).await;
    let url = format!("https://localhost:{}", server.address.port());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    for transports in TRANSPORTS {
        let options = options(transports).tls(config.clone());
        in_time(connect(&url, options)).await.unwrap();
    }
}
