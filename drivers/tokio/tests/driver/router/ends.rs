//! What handlers are told when sockets end.

use std::time::Duration;

use socketio_proto::{
    RecoveryConfig, ServerConfig,
    hub::{DisconnectReason, ExpiryCause},
    server::ServerEvent,
};
use socketio_proto_tokio::router::{Namespace, Router};

use super::{Notes, Site};

fn noting(notes: &Notes) -> Namespace<u32> {
    let gone = notes.clone();
    Namespace::new()
        .on("join", |cx, received, (room,): (String,)| {
            cx.at().join(received.socket, &room).unwrap();
            cx.at().set_data(received.socket, 7);
        })
        .on_disconnecting(move |cx, end| {
            let rooms = end.rooms.iter().filter(|room| *room != end.id.as_str());
            let rooms: Vec<&str> = rooms.collect();
            gone.add(format!("{} {rooms:?} {:?}", end.reason.as_str(), end.data));
            cx.at().to("lobby").except_socket(end.socket).emit("left", &()).ok();
        })
}

#[tokio::test]
async fn without_recovery_they_have_the_rooms_the_reason_and_the_data() {
    let notes = Notes::default();
    let site = Site::main(noting(&notes)).await;
    let mut other = site.connect().await;
    other.send("421[\"join\",\"lobby\"]").await;
    other.packet().await;
    let mut client = site.connect().await;
    client.send("421[\"join\",\"lobby\"]").await;
    client.packet().await;
    client.close().await;
    assert_eq!(other.packet().await, "42[\"left\"]");
    let reason = DisconnectReason::TransportClose.as_str();
    assert_eq!(notes.all(), [format!("{reason} [\"lobby\"] Some(7)")]);
    other.send("41").await;
    let all = notes.until(2).await;
    assert_eq!(all[1], "client namespace disconnect [\"lobby\"] Some(7)");
}

#[tokio::test]
async fn with_recovery_the_data_comes_at_the_end_of_the_session() {
    let notes = Notes::default();
    let recovery = RecoveryConfig::new().max_disconnection(Duration::from_millis(200));
    let config = ServerConfig::new().recovery(recovery);
    let expired = notes.clone();
    let router = Router::new().namespace("/", noting(&notes)).on_other(move |_, event| {
        if let ServerEvent::SessionExpired { rooms, data, cause, .. } = event {
            assert!(rooms.contains("lobby"));
            assert_eq!(cause, ExpiryCause::TimedOut);
            expired.add(format!("expired {data}"));
        }
    });
    let site = Site::start(config, router).await;
    let mut client = site.connect().await;
    client.send("421[\"join\",\"lobby\"]").await;
    client.packet().await;
    client.close().await;
    let parked = "transport close [\"lobby\"] None";
    assert_eq!(notes.until(2).await, [parked, "expired 7"]);
}
