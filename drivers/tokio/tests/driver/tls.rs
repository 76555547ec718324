//! TLS for both ends.

use std::{io, sync::Arc};

use socketio_proto_tokio::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    Accept, TlsAcceptor, TlsConnector,
    rustls::{ClientConfig, RootCertStore, ServerConfig, pki_types::PrivateKeyDer},
    server::TlsStream,
};

pub struct Tls {
    pub listener: TcpListener,
    pub acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Stream = TlsStream<TcpStream>;
    type Opening = Accept<TcpStream>;

    async fn accept(&mut self) -> io::Result<Accept<TcpStream>> {
        let (stream, _) = self.listener.accept().await?;
        Ok(self.acceptor.accept(stream))
    }
}

/// Both ends of TLS, with a certificate of their own.
pub fn tls() -> (TlsAcceptor, TlsConnector) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let certificate = certified.cert.der().clone();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)))
}
