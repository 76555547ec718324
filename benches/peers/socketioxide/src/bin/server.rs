//! socketioxide under the contract of the benchmarks (see `tests/fixtures/bench_server/app.rs`), on one
//! thread. Usage: `socketioxide-server PORT`.

use std::{env, error::Error, time::Duration};

use axum::serve::ListenerExt as _;
use serde_json::Value;
use socketioxide::{
    SocketIo,
    extract::{AckSender, Data, SocketRef},
};

/// Packets that wait for one client, so that a window of broadcasts fits.
const QUEUE: usize = 1024;

async fn handle_connection(socket: SocketRef) {
    socket.on("join", async |socket: SocketRef, Data::<String>(room), ack: AckSender| {
        socket.join(room);
        ack.send(&()).ok();
    });
    socket.on("echo", async |Data::<Value>(value), ack: AckSender| {
        ack.send(&value).ok();
    });
    socket.on("count", async |io: SocketIo, ack: AckSender| {
        ack.send(&io.sockets().len()).ok();
    });
    socket.on("gc", async |ack: AckSender| {
        ack.send(&()).ok();
    });
    socket.on("bcast", broadcast);
}

async fn broadcast(
    io: SocketIo,
    Data((room, times, payload)): Data<(String, u32, String)>,
    ack: AckSender,
) {
    for _ in 0..times {
        io.to(room.clone()).emit("msg", &payload).await.ok();
    }
    ack.send(&()).ok();
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = env::args().nth(1).ok_or("usage: socketioxide-server PORT")?.parse()?;
    let (layer, io) = SocketIo::builder()
        .ping_interval(Duration::from_secs(25))
        .max_buffer_size(QUEUE)
        .build_layer();
    io.ns("/", handle_connection);
    let app = axum::Router::new().layer(layer);
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    let listener = socket.listen(4096)?.tap_io(|stream| {
        stream.set_nodelay(true).ok();
    });
    println!("listening {port}");
    // In a task of its own: the runtime polls those with less work than its main future.
    tokio::spawn(async { axum::serve(listener, app).await }).await??;
    Ok(())
}
