//! A session moves from one hub to another, whose log has the same positions.

use alloc::{format, string::ToString as _, sync::Arc, vec::Vec};

use crate::{
    ConnectionId, RecoveryConfig, ServerConfig, SocketKey, Timestamp,
    hub::{
        Attached, ConnectRequest, ConnectSerial, DisconnectReason, Hub, HubOutput, ReplyKind,
        Request, RequestKind, ServerEvent,
    },
    recovery::{Inconsistent, RecoveryOutcome, RecoveryRefusal},
    socket::{Json, NamespaceName},
};

const NOW: Timestamp = Timestamp::from_millis(1_000);
const LINK: ConnectionId = ConnectionId::from_raw(1);

fn hub() -> Hub<u32> {
    let mut state = 0;
    let entropy = move |dest: &mut [u8]| {
        state += 1;
        dest.fill(state);
    };
    let lookup_timeout = Some(core::time::Duration::from_secs(1));
    let config = ServerConfig::new().recovery(RecoveryConfig::new().lookup_timeout(lookup_timeout));
    let config = ServerConfig { logs_vacant_rooms: true, ..config };
    let mut hub = Hub::new(Arc::new(config), entropy).unwrap();
    hub.at(NOW).add_namespace("/").unwrap();
    hub
}

fn connect(hub: &mut Hub<u32>, auth: Option<&str>) {
    let kind = RequestKind::Connect {
        namespace: NamespaceName::ROOT,
        serial: ConnectSerial::default(),
        auth: auth.map(|auth| Json::from_text(auth).unwrap()),
        earlier: None,
        replaced: None,
    };
    hub.handle_request(NOW, LINK, Request(kind));
}

/// Both hubs read the same channel.
fn emit(hubs: [&mut Hub<u32>; 2], room: &str, name: &str) {
    for hub in hubs {
        hub.at(NOW).to(room).emit(name, &()).unwrap();
    }
}

/// A session in a room, whose client is gone, and a claim of it at another hub.
fn moved() -> (Hub<u32>, SocketKey, Hub<u32>, ConnectRequest) {
    let (mut home, mut other) = (hub(), hub());
    connect(&mut home, None);
    let socket = accept(&mut home).0;
    home.at(NOW).join(socket, "room").unwrap();
    emit([&mut home, &mut other], "room", "processed");
    let offset = home.namespaces[&socket.namespace].sessions.log().head_offset();
    let lost = Attached { key: socket, attachment: 0 };
    let reason = DisconnectReason::PingTimeout;
    home.handle_request(NOW, LINK, Request(RequestKind::Detach { socket: lost, reason }));
    emit([&mut home, &mut other], "room", "missed");
    emit([&mut home, &mut other], "another room", "for others");

    let key = home.namespaces[&socket.namespace].member(socket).unwrap().key.unwrap();
    let auth = format!(r#"{{"pid":"{}","offset":"{offset}"}}"#, key.expose());
    while other.poll_output().is_some() {}
    connect(&mut other, Some(&auth));
    let Some(HubOutput::Event(ServerEvent::LookupRequested { request, key: asked, .. })) =
        other.poll_output()
    else {
        panic!("the session is unknown there");
    };
    assert_eq!(asked, key);
    (home, socket, other, request)
}

/// Accepts the client that asks. Returns its socket, the outcome, and the packets that it gets.
fn accept(hub: &mut Hub<u32>) -> (SocketKey, RecoveryOutcome, Vec<alloc::string::String>) {
    let mut sent = Vec::new();
    while let Some(output) = hub.poll_output() {
        match output {
            HubOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                hub.at(NOW).accept(request).unwrap();
            }
            HubOutput::Reply { reply, .. } => {
                if let ReplyKind::Connected { packets, .. } = reply.0 {
                    sent = packets.iter().map(|packet| packet.head().to_string()).collect();
                }
            }
            HubOutput::Event(ServerEvent::Connected { socket, recovery, .. }) => {
                return (socket, recovery, sent);
            }
            _ => {}
        }
    }
    panic!("nobody asks");
}

#[test]
fn a_claim_continues_with_a_session_that_was_brought_in() {
    let (home, socket, mut other, request) = moved();
    let id = home.socket_id(socket).unwrap();
    let record = home.namespaces[&socket.namespace].sessions.export(NOW, socket.index).unwrap();
    let imported = other.import(NOW, socket.namespace, record.clone()).unwrap();
    let again = other.import(NOW, socket.namespace, record);
    assert_eq!(again, Err(Inconsistent("session.pid")), "it is there already");
    assert!(other.at(NOW).end_lookup(request, RecoveryRefusal::Unknown));
    let (recovered, outcome, packets) = accept(&mut other);
    assert_eq!((recovered, outcome), (imported, RecoveryOutcome::Recovered { replayed: 1 }));
    assert_eq!(other.socket_id(recovered), Some(id));
    assert_eq!(other.rooms(recovered).collect::<Vec<_>>(), [id.as_str(), "room"]);
    assert!(packets.len() == 2 && packets[1].contains("missed"), "{packets:?}");
    emit([&mut hub(), &mut other], "room", "live");
    assert!(matches!(other.poll_output(), Some(HubOutput::Deliver(_))));
}

#[test]
fn a_client_that_goes_before_its_session_comes_finds_it_later() {
    let (home, socket, mut other, request) = moved();
    let reason = DisconnectReason::TransportClose;
    let (namespace, serial) = (NamespaceName::ROOT, ConnectSerial::default());
    let cancel = RequestKind::Cancel { namespace, serial, reason };
    other.handle_request(NOW, LINK, Request(cancel));
    let record = home.namespaces[&socket.namespace].sessions.export(NOW, socket.index).unwrap();
    let key = *record.key();
    other.import(NOW, socket.namespace, record).unwrap();
    assert!(!other.at(NOW).end_lookup(request, RecoveryRefusal::Unknown));
    connect(&mut other, Some(&format!(r#"{{"pid":"{}"}}"#, key.expose())));
    let (_, outcome, packets) = accept(&mut other);
    assert_eq!(outcome, RecoveryOutcome::Recovered { replayed: 2 }, "{packets:?}");
}
