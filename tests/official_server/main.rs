//! The client against the official Node.js server, over real sockets; the server is
//! `tests/official_server/server.mjs`.

#[path = "../interop/example.rs"]
#[expect(dead_code, reason = "there is no example that serves here")]
mod example;
#[path = "official.rs"]
mod host;
#[path = "../interop/npm.rs"]
mod npm;
#[path = "../interop/output.rs"]
mod output;
mod peer;
#[path = "../fixtures/ports.rs"]
mod ports;
mod random;
mod scenarios;
#[path = "../interop/skip.rs"]
mod skip;
#[path = "../interop/terminal.rs"]
mod terminal;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use socketio_proto::client::ClientEvent;
    use socketio_proto_tokio_client::{Options, Proxy, connect};

    use crate::{
        host::Host,
        peer::{config, in_time},
        scenarios::TRANSPORTS,
        terminal::Terminal,
    };

    /// The handles, over `https` and `wss`, with a loss in between.
    #[tokio::test]
    async fn the_official_server_is_reached_over_tls() {
        let names = vec!["localhost".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let key = signing_key.serialize_pem();
        let Some(server) = Host::start_tls(&cert.pem(), &key).await else { return };
        let url = format!("https://localhost:{}", server.port());
        for transports in TRANSPORTS {
            let options = Options::new()
                .config(config(transports))
                .proxy(Proxy::Direct)
                .root_certificate(cert.der().clone());
            let (socket, mut events) = in_time(connect(&url, options)).await.unwrap();
            let answer = socket.emit_with_ack("message-with-ack", &(7,), Duration::from_secs(30));
            assert_eq!(in_time(answer).await.unwrap().get::<u64>(0), Ok(7));
            socket.client().cut().await.unwrap();
            let disconnected =
                |event: &ClientEvent| matches!(event, ClientEvent::Disconnected { .. });
            while !disconnected(&in_time(events.next()).await.unwrap()) {}
            let answer = socket.emit_with_ack("message-with-ack", &(8,), Duration::from_secs(30));
            assert_eq!(in_time(answer).await.unwrap().get::<u64>(0), Ok(8));
        }
    }

    #[tokio::test]
    async fn the_example_chats_over_an_official_server() {
        let Some(mut server) = Host::start().await else { return };
        let url = format!("http://127.0.0.1:{}", server.port());
        let mut ann = Terminal::open(&url, "ann", "websocket");
        let mut bob = Terminal::open(&url, "bob", "both");
        ann.wait_for("connected: recovered false");
        bob.wait_for("connected: recovered false");
        // Between two polls the reference would not notice a loss (H03).
        bob.wait_for("* transport websocket");
        // The reference recovers no session without an event (H01).
        ann.enter("one");
        for reader in [&mut ann, &mut bob] {
            reader.wait_for("> one");
        }
        ann.enter("/drop");
        ann.enter("two");
        bob.wait_for("> two");
        ann.wait_for("connected: recovered true");
        bob.enter("/offline 3600");
        bob.wait_for("disconnected");
        bob.enter("/state");
        bob.wait_for("not connected");
        // Nor would it recover him if he came back before it has noticed the loss (H03).
        server.until_sockets(1).await;
        ann.enter("three");
        ann.wait_for("> three");
        bob.enter("four");
        bob.enter("/offline 0");
        bob.wait_for("connected: recovered true");
        bob.wait_for("> four");
        ann.wait_for("> four");
        for reader in [ann, bob] {
            let mut lines = reader.finish();
            lines.retain(|line| line.starts_with('>'));
            assert_eq!(lines, ["> one", "> two", "> three", "> four"]);
        }
    }
}
