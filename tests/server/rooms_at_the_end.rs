//! When a socket is gone, the application can still notify the rooms that it was in.

use socketio_proto::{SocketKey, server::ServerEvent};

use std::time::Duration;

use crate::support::{Client, World, recovery_config};

/// A client in two named rooms and in the own room of another socket. Returns the names that the
/// end event must report.
fn member(world: &mut World) -> (Client, SocketKey, Vec<String>) {
    let (client, _) = world.connect();
    let (socket, _) = world.connected();
    let (_, other) = world.connect();
    for room in ["lobby", "left", "42", &other.sid] {
        world.server.at(world.now).join(socket, room).unwrap();
    }
    world.server.at(world.now).leave(socket, "left");
    let rooms: Vec<String> = world.server.rooms(socket).map(str::to_owned).collect();
    assert_eq!(rooms.len(), 4, "its own, too");
    world.events.clear();
    (client, socket, rooms)
}

/// The rooms that the events since then tell, and whether the session was over.
fn told(world: &mut World, of: SocketKey) -> Vec<(bool, Vec<String>)> {
    world.pick(|event| match event {
        ServerEvent::Disconnected { socket, rooms, data, .. } if *socket == of => {
            Some((data.is_some(), rooms.iter().map(str::to_owned).collect()))
        }
        ServerEvent::SessionExpired { socket, rooms, .. } if *socket == of => {
            Some((true, rooms.iter().map(str::to_owned).collect()))
        }
        _ => None,
    })
}

#[test]
fn a_socket_that_has_gone_for_good_tells_its_rooms() {
    type End = fn(&mut World, Client, SocketKey);
    let ends: [(&str, End); 3] = [
        ("link lost", |world, client, _| world.cut(client)),
        ("client disconnect", |world, client, _| world.send(client, "41")),
        ("server disconnect", |world, _, socket| {
            world.server.at(world.now).disconnect(socket, true);
            world.drain();
        }),
    ];
    for (name, end) in ends {
        let mut world = World::new(socketio_proto::ServerConfig::new());
        let (client, socket, rooms) = member(&mut world);
        end(&mut world, client, socket);
        assert_eq!(world.server.rooms(socket).count(), 0, "{name}: the key is a miss");
        assert_eq!(told(&mut world, socket), [(true, rooms)], "{name}");
    }
}

#[test]
fn a_parked_socket_tells_its_rooms_when_it_is_parked_and_when_it_ends() {
    let mut world = World::new(recovery_config());
    let (client, socket, mut rooms) = member(&mut world);
    world.cut(client);
    assert_eq!(told(&mut world, socket), [(false, rooms.clone())]);
    assert!(world.server.rooms(socket).eq(rooms.iter()), "it is in them still");
    world.server.at(world.now).leave(socket, "lobby");
    rooms.retain(|room| room != "lobby");
    world.advance(Duration::from_secs(120));
    assert_eq!(told(&mut world, socket), [(true, rooms)]);
}

#[test]
fn a_socket_that_is_taken_over_tells_its_rooms_and_stays_in_them() {
    let mut world = World::new(recovery_config());
    let (_first, session) = world.connect();
    let (socket, _) = world.connected();
    world.server.at(world.now).join(socket, "lobby").unwrap();
    let _second = world.claim(&session, None);
    let rooms = vec![session.sid, "lobby".to_owned()];
    assert!(world.server.rooms(socket).eq(rooms.iter()));
    assert_eq!(told(&mut world, socket), [(false, rooms)]);
}
