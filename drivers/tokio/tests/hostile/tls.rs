//! The same over TLS, where it is not the same: a stream has buffers and an end of its own.

use std::{io, time::Duration};

use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::pki_types::ServerName};

use crate::{
    listener::{Tls, tls},
    raw::{Raw, TEXT, frame, get, in_time, narrow, post},
    site::{Attacked, MAX_PAYLOAD, Site, narrow_listener},
};

const SHORT: Duration = Duration::from_millis(100);

struct Secure {
    site: Site,
    connector: TlsConnector,
}

impl Secure {
    async fn start(attacked: Attacked) -> Self {
        let (acceptor, connector) = tls();
        let listener = narrow_listener();
        let port = listener.local_addr().unwrap().port();
        let site = attacked.start_on(Tls { listener, acceptor }, port).await;
        Self { site, connector }
    }

    async fn connect(&self) -> Raw<TlsStream<TcpStream>> {
        connect(&self.connector, TcpStream::connect(("127.0.0.1", self.site.port())).await.unwrap())
            .await
    }

    async fn connect_narrow(&self) -> Raw<TlsStream<TcpStream>> {
        connect(&self.connector, narrow(self.site.port()).await).await
    }

    async fn assert_unharmed(self) {
        let Self { site, connector } = self;
        let (port, is_hasty) = (site.port(), site.is_hasty());
        let connect = async || {
            loop {
                let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                match try_connect(&connector, stream).await {
                    Ok(client) => return client,
                    Err(error) => assert!(is_hasty, "{error}"),
                }
            }
        };
        Box::pin(site.assert_unharmed_over(connect)).await;
    }
}

async fn connect(connector: &TlsConnector, stream: TcpStream) -> Raw<TlsStream<TcpStream>> {
    try_connect(connector, stream).await.unwrap()
}

async fn try_connect(
    connector: &TlsConnector,
    stream: TcpStream,
) -> io::Result<Raw<TlsStream<TcpStream>>> {
    let name = ServerName::try_from("localhost").unwrap();
    in_time(connector.connect(name, stream)).await.map(Raw::new)
}

/// A handshake of TLS that never completes | driver: `PeerLimits::head` | dropped | -
#[tokio::test]
async fn tls_handshakes_that_never_complete() {
    let mut attacked = Attacked::default();
    attacked.limits.head = SHORT;
    let mut secure = Secure::start(attacked).await;
    let begin: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    for part in [&b""[..], &begin[..1], begin] {
        let mut client = secure.site.connect().await;
        client.try_send(part).await;
        assert!(client.is_dropped().await);
        secure.site.serves().await;
    }
    secure.assert_unharmed().await;
}

/// HTTP in plain text, garbage, and a version that nobody speaks any more: an alert at most.
#[tokio::test]
async fn what_is_no_tls() {
    let mut secure = Secure::start(Attacked::default()).await;
    for bytes in [
        &b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0; 100],
        &[0xff; 100],
        &[0x16, 3, 0, 0, 4, 1, 0, 0, 0],
        &[0x15, 3, 3, 0, 2, 2, 40],
    ] {
        let mut client = secure.site.connect().await;
        client.send(bytes).await;
        let answer = client.rest().await;
        assert!(!answer.contains("HTTP"), "{answer}");
        secure.site.serves().await;
    }
    secure.assert_unharmed().await;
}

/// TLS takes a whole response into a buffer of its own, and waits for the client only when it is
/// flushed.
///
/// A response over TLS that is not read | driver: `PeerLimits::write` | dropped | -
#[tokio::test]
async fn a_response_over_tls_that_is_not_read() {
    let mut attacked = Attacked::default();
    (attacked.limits.connections, attacked.limits.write) = (1, SHORT);
    let mut secure = Secure::start(attacked).await;
    let mut client = secure.connect_narrow().await;
    let path = client.open_polling().await;
    client.ask(post(&path, "40")).await;
    client.ask(get(&path)).await;
    // Two acknowledgements are more than the system takes, and less than TLS does.
    let event = format!("421[\"echo\",\"{}\"]", "x".repeat(MAX_PAYLOAD - 100));
    for _ in 0..2 {
        assert_eq!(client.ask(post(&path, &event)).await.body, "ok");
    }
    client.send(get(&path)).await;
    secure.site.serves().await;
    // Its place is free again, though it is still connected.
    let mut other = secure.connect().await;
    other.close_polling(&path).await;
    drop((client, other));
    secure.assert_unharmed().await;
}

#[tokio::test]
async fn a_websocket_over_tls_that_is_not_read() {
    let mut secure = Secure::start(Attacked::default()).await;
    let mut client = secure.connect_narrow().await;
    client.join().await;
    for _ in 0..3 {
        client.try_send(frame(TEXT, b"42[\"burst\",40]")).await;
        secure.site.serves().await;
    }
    secure.site.holds_nothing().await;
    assert_eq!(secure.site.stats().await.total.connections_closed.overflow, 1);
    drop(client);
    secure.assert_unharmed().await;
}

/// FIN without the end of TLS (truncation), and the end of TLS without FIN.
#[tokio::test]
async fn streams_that_end_without_their_end() {
    let mut secure = Secure::start(Attacked::default()).await;
    let message = frame(TEXT, b"421[\"echo\",7]");
    for part in [&b""[..], &message[..5], &message] {
        let mut client = secure.connect().await;
        client.join().await;
        client.send(part).await;
        client.finish_sending().await;
        client.rest().await;
        let mut client = secure.connect().await;
        client.join().await;
        client.send(part).await;
        drop(client);
        secure.site.serves().await;
    }
    secure.assert_unharmed().await;
}
