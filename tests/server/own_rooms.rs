//! The rooms that are named after sockets. Each contains only its own socket, until another socket
//! joins it.

use socketio_proto::{
    Limits, SocketKey,
    hub::{Audience, RoomError},
};

use crate::support::{
    Client, Session, World, broadcast, event, numbers, recovering, recovery_config,
};

fn connect(world: &mut World) -> (Client, Session, SocketKey) {
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    (client, session, socket)
}

fn received(world: &mut World, client: Client) -> Vec<u64> {
    numbers(&world.texts(client)).0
}

#[test]
fn somebody_else_can_join_it() {
    let mut world = World::with_recovery();
    let (owner, session, key) = connect(&mut world);
    let (guest, _, guest_key) = connect(&mut world);
    let own = Audience::room(session.sid.as_str());
    let rooms = world.server.stats().rooms;
    broadcast(&mut world, &own, 1);
    assert_eq!(world.server.at(world.now).join(guest_key, session.sid.as_str()), Ok(true));
    assert_eq!(world.server.at(world.now).join(guest_key, session.sid.as_str()), Ok(false));
    assert_eq!(
        world.server.at(world.now).join(key, session.sid.as_str()),
        Ok(false),
        "it is its own"
    );
    assert_eq!(world.server.stats().rooms, rooms, "the same room");
    broadcast(&mut world, &own, 2);
    world.server.at(world.now).emit(key, &event("m", 3)).unwrap();
    broadcast(&mut world, &Audience::all().except(session.sid.as_str()), 4);
    assert_eq!(received(&mut world, owner), [1, 2, 3]);
    assert_eq!(received(&mut world, guest), [2], "an event to one socket goes to that alone");
    assert!(
        !world.server.at(world.now).leave(key, session.sid.as_str()),
        "one's own room cannot be left"
    );
    assert!(world.server.at(world.now).leave(guest_key, session.sid.as_str()));
    broadcast(&mut world, &own, 5);
    assert_eq!((received(&mut world, owner), received(&mut world, guest)), (vec![5], vec![]));
}

#[test]
fn who_is_away_while_somebody_joins_it_misses_nothing() {
    let mut world = World::with_recovery();
    let (owner, session, key) = connect(&mut world);
    let (guest, guest_session, guest_key) = connect(&mut world);
    let own = Audience::room(session.sid.as_str());
    world.cut(owner);
    broadcast(&mut world, &own, 1);
    world.server.at(world.now).emit(key, &event("m", 2)).unwrap();
    assert_eq!(world.server.at(world.now).join(guest_key, session.sid.as_str()), Ok(true));
    broadcast(&mut world, &own, 3);
    world.cut(guest);
    broadcast(&mut world, &own, 4);
    world.server.at(world.now).emit(key, &event("m", 5)).unwrap();
    broadcast(&mut world, &Audience::all().except(session.sid.as_str()), 6);
    let (owner, again) = world.claim(&session, None);
    assert_eq!(again, session);
    assert_eq!(received(&mut world, owner), [1, 2, 3, 4, 5]);
    let (guest, _) = world.claim(&guest_session, None);
    assert_eq!(
        received(&mut world, guest),
        [3, 4],
        "what is emitted to one socket is for that alone"
    );
}

/// Found by the simulator: the room of a socket's name counted twice for its owner.
#[test]
fn a_guest_takes_no_room_from_its_owner() {
    let mut limits = Limits::default();
    limits.rooms_per_socket = 3;
    let mut world = World::new(recovery_config().limits(limits));
    let (_, session, key) = connect(&mut world);
    let (_, _, guest_key) = connect(&mut world);
    world.server.at(world.now).join(guest_key, session.sid.as_str()).unwrap();
    assert_eq!(world.server.at(world.now).join(key, "red"), Ok(true));
    assert_eq!(world.server.at(world.now).join(key, "green"), Ok(true));
    assert_eq!(
        world.server.at(world.now).join(key, "blue"),
        Err(RoomError::TooManyRooms { limit: 3 })
    );
}

#[test]
fn it_outlives_its_owner_while_somebody_is_in_it() {
    let mut world = World::with_recovery();
    let (_, session, key) = connect(&mut world);
    let (guest, _, guest_key) = connect(&mut world);
    world.server.at(world.now).join(guest_key, session.sid.as_str()).unwrap();
    assert!(world.server.at(world.now).disconnect(key, true));
    broadcast(&mut world, &Audience::room(session.sid.as_str()), 1);
    assert_eq!(received(&mut world, guest), [1]);
}

/// A session's place is given to another one while the log still holds what the first was sent.
#[test]
fn what_was_for_the_former_session_of_a_place_is_not_for_the_next() {
    let mut world = recovering(|recovery| recovery.buffer_packets = 4);
    let (_, _, first) = connect(&mut world);
    let (other, other_session, _) = connect(&mut world);
    let first_id = world.server.socket_id(first).unwrap();
    world.server.at(world.now).emit(first, &event("m", 1)).unwrap();
    broadcast(&mut world, &Audience::all().except(first_id.as_str()), 2);
    assert!(world.server.at(world.now).disconnect(first, true));
    let (next, next_session, key) = connect(&mut world);
    world.cut(next);
    world.cut(other);
    world.server.at(world.now).emit(key, &event("m", 3)).unwrap();
    broadcast(&mut world, &Audience::room(first_id.as_str()), 9);
    // Evicts what the first one was sent.
    broadcast(&mut world, &Audience::all(), 4);
    broadcast(&mut world, &Audience::all(), 5);
    let (next, again) = world.claim(&next_session, None);
    assert_eq!(again, next_session, "nothing that it missed is gone");
    assert_eq!(received(&mut world, next), [3, 4, 5]);
    let (other, _) = world.claim(&other_session, None);
    assert_eq!(received(&mut world, other), [2, 4, 5]);
}
