//! Snapshots that nobody knows the origin of.

use socketio_proto::{
    RecoveryConfig, ServerConfig, SocketKey, Timestamp,
    hub::{Audience, RestoreError, Snapshot},
    server::{Server, ServerEvent, ServerInput, ServerOutput},
    socket,
};

/// Packets that the log holds at the most.
const PACKETS: usize = 4;
/// More than there can be in a world of this size.
const DEADLINES: usize = 10_000;

/// The JSON of a snapshot is refused, by serde or with the path of what is wrong, or it makes a
/// server that keeps its limits, works, can be restored again, and holds nothing in the end.
pub fn restore(data: &[u8]) {
    let Ok(snapshot) = serde_json::from_slice::<Snapshot<u8>>(data) else {
        return;
    };
    let sessions = snapshot.sessions();
    let now = Timestamp::from_millis(2_000_000);
    let mut server = new_server();
    match server.at(now).restore(snapshot) {
        Ok(sockets) => {
            assert!(sockets.len() <= sessions, "the rest have expired");
            exercise(server, now, &sockets);
        }
        Err(RestoreError::Inconsistent { field }) => {
            assert!(!field.is_empty());
            assert!(server.poll_output().is_none(), "nothing has changed");
            assert_eq!(server.stats(), new_server().stats());
        }
        Err(other) => unreachable!("the server is a new one: {other}"),
    }
}

fn exercise(mut server: Server<u8>, now: Timestamp, sockets: &[SocketKey]) {
    let expired = drain(&mut server);
    let stats = server.stats();
    assert_eq!(stats.parked_sessions, sockets.len());
    assert_eq!(stats.total.sessions_restored, (sockets.len() + expired) as u64);
    assert!(stats.log_packets <= PACKETS * stats.namespaces);

    let Ok(text) = serde_json::to_vec(&server.snapshot(now)) else {
        unreachable!("a snapshot is plain data");
    };
    let Ok(snapshot) = serde_json::from_slice::<Snapshot<u8>>(&text) else {
        unreachable!("what was written is read");
    };
    let again = new_server().at(now).restore(snapshot).map(|sockets| sockets.len());
    assert_eq!(again, Ok(sockets.len()), "what was restored can be restored");

    let Ok(event) = socket::Event::new("m", &(1,)) else {
        unreachable!("a number is JSON");
    };
    for socket in sockets {
        assert!(!server.is_connected(*socket) && server.socket_id(*socket).is_some());
        let rooms: Vec<String> = server.rooms(*socket).map(String::from).collect();
        for room in &rooms {
            assert_eq!(server.at(now).join(*socket, room), Ok(false), "it is in it");
            let audience = Audience::room(room.clone()).to("a").except("b");
            server.at(now).broadcast("/", &audience, &event).ok();
            server.at(now).leave(*socket, room);
            server.at(now).join(*socket, room).ok();
        }
        assert_eq!(server.at(now).emit(*socket, &event), Ok(()));
        assert!(server.at(now).accept_once(*socket, "offset", None).is_ok());
    }
    server.at(now).broadcast("/", &Audience::all(), &event).ok();
    drain(&mut server);
    assert!(server.stats().log_packets <= PACKETS * stats.namespaces);

    // First the sessions end, and then the packets that were emitted later.
    let mut ended = 0;
    for _ in 0..DEADLINES {
        let Some(due) = server.deadline() else {
            break;
        };
        server.handle_input(due, ServerInput::Timeout);
        ended += drain(&mut server);
    }
    assert_eq!(ended, sockets.len(), "every session has an end");
    let stats = server.stats();
    assert_eq!((stats.parked_sessions, stats.rooms), (0, 0));
    assert_eq!((stats.log_packets, stats.log_bytes), (0, 0));
    assert_eq!(stats.namespaces, 1, "the others went with their sessions");
    assert_eq!(server.deadline(), None, "there is nothing left to wait for");
}

/// Takes all output, and counts the sessions that have ended.
fn drain(server: &mut Server<u8>) -> usize {
    let mut ended = 0;
    while let Some(output) = server.poll_output() {
        assert!(
            matches!(output, ServerOutput::Event(ServerEvent::SessionExpired { .. })),
            "nobody is connected: {output:?}"
        );
        ended += 1;
    }
    ended
}

fn new_server() -> Server<u8> {
    let mut state = 0_u8;
    let entropy = move |dest: &mut [u8]| {
        state = state.wrapping_add(1);
        dest.fill(state);
    };
    let recovery = RecoveryConfig::new().buffer_packets(PACKETS).memberships(2).parked_sessions(5);
    let Ok(mut server) = Server::new(ServerConfig::new().recovery(recovery), entropy) else {
        unreachable!("the configuration is valid");
    };
    assert_eq!(server.at(Timestamp::ZERO).add_namespace("/"), Ok(()));
    server.at(Timestamp::ZERO).add_namespaces_matching(|name| name.starts_with("/room"));
    server
}
