//! The calls with the crates for tokio on the page for migration. The page cannot compile them itself: the
//! package has no dependency on these crates.

use core::time::Duration;
use socketio_proto::SocketKey;
use socketio_proto::client::{Auth, AuthRequest, ClientAckToken};
use socketio_proto::socket::Json;
use socketio_proto_tokio::{App, Handle};
use socketio_proto_tokio_client::{Client, Options, Socket, connect};

async fn serving(
    handle: Handle<impl App<Data = String>>,
    (s, y, t): (SocketKey, u32, Duration),
) -> Result<(), Box<dyn std::error::Error>> {
    handle.all().emit("x", &(y,)).await?;
    handle.to("a").emit("x", &(y,)).await?;
    handle.socket(s).emit_with_ack("x", &(), t).await?;
    handle.hand_over().await?;
    handle.shutdown().await?;
    Ok(())
}

async fn connecting(url: &str) -> Result<(), Box<dyn std::error::Error>> {
    let (socket, _events) = connect(url, Options::new()).await?;
    let client = socket.client().clone();
    client.socket("/admin").connect(Auth::None).await?;
    Ok(())
}

async fn emitting(
    (socket, client): (Socket, Client),
    (token, request, auth): (ClientAckToken, AuthRequest, Json),
    (y, t): (u32, Duration),
) -> Result<(), Box<dyn std::error::Error>> {
    socket.connect(Auth::None).await?;
    client.provide_auth(request, auth).await?;
    client.ack(token, &("yes",)).await?;
    socket.emit("x", &(y,)).await?;
    socket.emit_volatile("x", &()).await?;
    socket.emit_with_ack("x", &(), t).await?;
    socket.emit_with_retries("x", &()).await?;
    println!("{:?}", socket.session().await?);
    println!("{}", client.with(|client, _| client.is_active("/")).await?);
    println!("{}", client.with(|client, _| client.buffered("/").count()).await?);
    client.cut().await?;
    socket.disconnect().await?;
    Ok(())
}
