//! The calls of Socket.IO's emit cheat sheet, written with `server.at(now)`: which sockets get the
//! event. A hub whose links run on other threads has the same methods.

use std::{sync::Arc, time::Duration};

use socketio_proto::{
    SocketKey, Timestamp,
    hub::{AckFailure, Audience, EmitError, Hub, Reach},
    server::ServerEvent,
    socket::EncodeError,
};

use crate::support::{Client, World, counting_config, counting_entropy, event, numbers};

/// Four clients in the main namespace: the first two in room `a`, the second and third in `b`.
fn world() -> (World, [Client; 4], [SocketKey; 4]) {
    let mut world = World::with_recovery();
    let peers = [(); 4].map(|()| {
        let (client, _) = world.connect();
        (client, world.connected().0)
    });
    let sockets = peers.map(|(_, socket)| socket);
    for (socket, room) in [(0, "a"), (1, "a"), (1, "b"), (2, "b")] {
        assert_eq!(world.server.at(world.now).join(sockets[socket], room), Ok(true));
    }
    (world, peers.map(|(client, _)| client), sockets)
}

/// Who has got an event, and that no one has got more than one.
fn got(world: &mut World, clients: &[Client; 4]) -> [usize; 4] {
    world.drain();
    clients.map(|client| world.texts(client).len())
}

#[test]
fn to_one_client() {
    let (mut world, clients, [first, ..]) = world();
    world.server.at(world.now).socket(first).emit("hello", &("world", 1)).unwrap();
    world.drain();
    assert!(world.text(clients[0]).starts_with(r#"42["hello","world",1"#));
    assert_eq!(got(&mut world, &clients), [0, 0, 0, 0]);
}

#[test]
fn to_everyone_and_to_everyone_else() {
    let (mut world, clients, [_, second, ..]) = world();
    let reach = world.server.at(world.now).all().emit("hello", &()).unwrap();
    assert_eq!((reach.sockets, got(&mut world, &clients)), (4, [1, 1, 1, 1]));
    let reach = world.server.at(world.now).socket(second).broadcast().emit("hello", &()).unwrap();
    assert_eq!((reach.sockets, got(&mut world, &clients)), (3, [1, 0, 1, 1]));
}

#[test]
fn to_rooms_and_except() {
    let (mut world, clients, [_, second, third, _]) = world();
    let now = world.now;
    world.server.at(now).to("a").to("b").emit("hello", &()).unwrap();
    assert_eq!(got(&mut world, &clients), [1, 1, 1, 0], "each once");
    world.server.at(now).to("a").except("b").emit("hello", &()).unwrap();
    assert_eq!(got(&mut world, &clients), [1, 0, 0, 0]);
    world.server.at(now).except("b").emit("hello", &()).unwrap();
    assert_eq!(got(&mut world, &clients), [1, 0, 0, 1]);
    world.server.at(now).to("b").except_socket(third).emit("hello", &()).unwrap();
    assert_eq!(got(&mut world, &clients), [0, 1, 0, 0]);
    world.server.at(now).socket(second).to("b").emit("hello", &()).unwrap();
    assert_eq!(got(&mut world, &clients), [0, 0, 1, 0]);
}

#[test]
fn volatile_and_local() {
    let (mut world, clients, [first, ..]) = world();
    world.server.pause(clients[0].wire);
    let now = world.now;
    let reach = world.server.at(now).to("a").volatile().emit("hello", &()).unwrap();
    assert_eq!((reach.sockets, reach.dropped), (2, 1));
    world.server.at(now).socket(first).volatile().emit("hello", &()).unwrap();
    world.server.resume(world.now, clients[0].wire);
    assert_eq!(got(&mut world, &clients), [0, 1, 0, 0]);
    world.server.at(now).all().local().emit("hello", &()).unwrap();
    assert_eq!(got(&mut world, &clients), [1, 1, 1, 1]);
}

#[test]
fn with_an_acknowledgement_and_a_timeout() {
    let (mut world, clients, [first, ..]) = world();
    let (now, second) = (world.now, Duration::from_secs(1));
    let one = world.server.at(now).socket(first).emit_with_ack("ready?", &(), second).unwrap();
    let many = world.server.at(now).to("b").emit_with_ack("ready?", &(), second).unwrap();
    assert_eq!(got(&mut world, &clients), [1, 1, 1, 0]);
    world.send(clients[1], r#"431["yes"]"#);
    world.advance(Duration::from_secs(2));
    let settled = world.pick(|event| match event {
        ServerEvent::AckFailed { ack, cause, .. } => {
            Some((*ack, None, *cause == AckFailure::Timeout))
        }
        ServerEvent::BroadcastAcked { ack, responses, timed_out, .. } => {
            Some((*ack, Some(responses.len()), *timed_out))
        }
        _ => None,
    });
    assert_eq!(settled, [(one, None, true), (many, Some(1), true)]);
}

#[test]
fn to_another_namespace() {
    let (mut world, clients, _) = world();
    let now = world.now;
    world.server.at(now).add_namespace("/admin").unwrap();
    world.send(clients[3], "40/admin,");
    world.session(clients[3]);
    let (admin, _) = world.connected();
    let reach = world.server.at(now).of("/admin").emit("hello", &()).unwrap();
    assert_eq!((reach.sockets, got(&mut world, &clients)), (1, [0, 0, 0, 1]));
    let others = world.server.at(now).socket(admin).broadcast().emit("hello", &()).unwrap();
    assert_eq!(others.sockets, 0, "the namespace is the socket's");
    let nowhere = world.server.at(now).of("/nowhere").emit("hello", &());
    assert_eq!(nowhere, Err(EmitError::UnknownNamespace));
}

/// The room named after a socket's id may have guests; the socket alone is left out by its key.
#[test]
fn a_socket_is_left_out_without_its_guests() {
    let (mut world, clients, [first, second, ..]) = world();
    let now = world.now;
    let id = world.server.socket_id(first).unwrap().to_string();
    world.server.at(now).join(second, &id).unwrap();
    world.server.at(now).except(id).emit("hello", &()).unwrap();
    assert_eq!(got(&mut world, &clients), [0, 0, 1, 1]);
    world.server.at(now).all().except_socket(first).emit("hello", &()).unwrap();
    assert_eq!(got(&mut world, &clients), [0, 1, 1, 1]);
}

/// What a socket was left out of is not what it has missed; one that has ended leaves out no one.
#[test]
fn a_socket_that_is_away_is_left_out_too() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    world.cut(client);
    let audience = Audience::all().except_socket(socket);
    let now = world.now;
    world.server.at(now).broadcast("/", &audience, &event("m", 1)).unwrap();
    world.server.at(now).broadcast("/", &Audience::all(), &event("m", 2)).unwrap();
    let (client, again) = world.claim(&session, None);
    assert_eq!(again, session);
    assert_eq!(numbers(&world.texts(client)).0, [2]);
    assert!(world.server.at(now).disconnect(socket, false));
    let (other, _) = world.connect();
    world.server.at(now).broadcast("/", &audience, &event("m", 3)).unwrap();
    world.drain();
    assert_eq!(numbers(&world.texts(other)).0, [3], "its place is someone else's now");
}

#[test]
fn what_cannot_be_sent_is_told() {
    let (mut world, clients, [first, ..]) = world();
    let now = world.now;
    let reserved = Err(EmitError::Encode(EncodeError::ReservedName));
    assert_eq!(world.server.at(now).socket(first).emit("disconnect", &()), reserved);
    let no_list = world.server.at(now).all().emit("hello", &1);
    assert_eq!(no_list, Err(EmitError::Encode(EncodeError::NotAList)));
    assert_eq!(got(&mut world, &clients), [0, 0, 0, 0]);
}

/// A hub without its links knows only how many sockets an event is addressed to.
#[test]
fn a_hub_has_the_same_verbs() {
    let mut hub = Hub::<()>::new(Arc::default(), counting_entropy()).unwrap();
    let now = Timestamp::from_millis(5);
    hub.at(now).add_namespace("/").unwrap();
    assert_eq!(hub.at(now).to("a").emit("hello", &()), Ok(Reach::default()));
    assert_eq!(hub.at(Timestamp::ZERO).now(), now, "time does not go back");
    assert!(hub.poll_output().is_none());
}

/// A handler for several namespaces needs no look-up, whether the link reports the event or, for a
/// client that counts its events, the hub.
#[test]
fn events_and_acknowledgements_name_their_namespace() {
    let mut world = World::new(counting_config());
    let (now, second) = (world.now, Duration::from_secs(1));
    world.server.at(now).add_namespace("/admin").unwrap();
    let (client, _) = world.connect();
    world.connected();
    world.send(client, "40/admin,");
    let (admin, _) = world.connected();
    world.send(client, r#"42/admin,["by the link"]"#);
    world.send(client, "43/admin,[]");
    world.send(client, r#"42/admin,["by the hub"]"#);
    world.send(client, r#"42["elsewhere"]"#);
    world.server.at(now).socket(admin).emit_with_ack("answered", &(), second).unwrap();
    world.server.at(now).socket(admin).emit_with_ack("ignored", &(), second).unwrap();
    world.server.at(now).of("/admin").emit_with_ack("to everyone", &(), second).unwrap();
    world.drain();
    let answered = world.texts(client).into_iter().find(|text| text.contains("answered")).unwrap();
    let id = answered.trim_start_matches("42/admin,").split('[').next().unwrap();
    world.send(client, &format!("43/admin,{id}[]"));
    world.advance(Duration::from_secs(2));
    let named = world.pick(|event| match event {
        ServerEvent::Received { namespace, event, .. } => {
            Some((event.name().to_owned(), namespace.to_string()))
        }
        ServerEvent::Acked { namespace, .. } => Some(("acked".into(), namespace.to_string())),
        ServerEvent::AckFailed { namespace, .. } => Some(("failed".into(), namespace.to_string())),
        ServerEvent::BroadcastAcked { namespace, .. } => {
            Some(("broadcast".into(), namespace.to_string()))
        }
        _ => None,
    });
    let named: Vec<_> = named.iter().map(|(what, name)| (what.as_str(), name.as_str())).collect();
    let admin = ["by the link", "by the hub"].map(|what| (what, "/admin"));
    assert_eq!(named[..2], admin);
    assert_eq!(named[2], ("elsewhere", "/"));
    assert_eq!(named[3..], ["acked", "failed", "broadcast"].map(|what| (what, "/admin")));
}
