//! A whole Socket.IO server, which sends everything back: `cargo run --release --example echo`.
//! The sockets, HTTP and the clock are in `socketio-proto-tokio`; this is what is left to write.

use std::error::Error;

use socketio_proto::server::{Server, ServerEvent};
use socketio_proto::{RecoveryConfig, ServerConfig, Timestamp};
use socketio_proto_tokio::{App, Context, Listeners, entropy, run};

struct Echo;
impl App for Echo {
    type Data = ();

    fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
        match event {
            // Check `auth` here, and `reject` unknown users.
            ServerEvent::ConnectRequested { request, .. } => {
                cx.at().accept(request);
            }
            // socket.emit("name", 1, 2, callback)
            ServerEvent::Received { event, ack: Some(token), .. } => {
                cx.at().ack(token, &event.args());
            }
            // socket.emit("name", 1, 2)
            ServerEvent::Received { socket, event, ack: None, .. } => {
                cx.at().emit(socket, &event).ok();
            }
            _ => {}
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let config = ServerConfig::new().recovery(RecoveryConfig::new());
    let mut server = Server::new(config, entropy)?;
    server.at(Timestamp::ZERO).add_namespace("/")?;
    let listeners = Listeners::bind(port)?;
    println!("listening {}", listeners.port());
    run(listeners, server, Echo).await;
    Ok(())
}
