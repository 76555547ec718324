//! The quick start of the README: `cargo run --release --example quick_start`.

use socketio_proto::server::{Server, ServerEvent};
use socketio_proto::{RecoveryConfig, ServerConfig, Timestamp};
use socketio_proto_tokio::{App, Context, Listeners, entropy, run};

struct Chat;

impl App for Chat {
    type Data = ();
    fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
        match event {
            ServerEvent::ConnectRequested { request, .. } => {
                cx.at().accept(request); // or `reject`, after a look at `auth`
            }
            ServerEvent::Received { event, .. } if event.name() == "chat message" => {
                let Ok((text,)) = event.parse::<(String,)>() else { return };
                cx.at().all().emit("chat message", &(text,)).ok();
            }
            _ => {}
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut server = Server::new(ServerConfig::new().recovery(RecoveryConfig::new()), entropy)?;
    server.at(Timestamp::ZERO).add_namespace("/")?;
    run(Listeners::bind(3000)?, server, Chat).await;
    Ok(())
}
