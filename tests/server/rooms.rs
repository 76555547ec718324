//! Rooms, audiences, broadcasts, administrative operations (protocol facts 2.9 to 2.12).

use std::{collections::BTreeSet, time::Duration};

use socketio_proto::{
    ServerConfig, SocketKey,
    hub::{AckFailure, Audience, EmitError, RoomError},
    server::ServerEvent,
    socket,
};

use crate::support::{Client, World};

fn ping() -> socket::Event {
    socket::Event::new("ping", &()).unwrap()
}

fn connect(world: &mut World, count: usize) -> Vec<(Client, SocketKey)> {
    let connect = |_| {
        let (client, _) = world.connect();
        (client, world.connected().0)
    };
    (0..count).map(connect).collect()
}

/// Which clients get how many packets.
fn counts(world: &mut World, peers: &[(Client, SocketKey)]) -> Vec<usize> {
    world.drain();
    peers.iter().map(|(client, _)| world.texts(*client).len()).collect()
}

#[test]
fn an_audience_is_a_union_of_rooms_minus_rooms() {
    for config in [ServerConfig::new(), crate::support::recovery_config()] {
        let mut world = World::new(config);
        let peers = connect(&mut world, 4);
        let keys: Vec<SocketKey> = peers.iter().map(|(_, key)| *key).collect();
        for (room, members) in [("a", [0, 1]), ("b", [1, 2])] {
            for member in members {
                assert_eq!(world.server.at(world.now).join(keys[member], room), Ok(true));
                assert_eq!(world.server.at(world.now).join(keys[member], room), Ok(false));
            }
        }
        let own = |world: &World, index: usize| world.server.socket_id(keys[index]).unwrap();
        let third = own(&world, 3).to_string();
        let cases = [
            (Audience::all(), [1, 1, 1, 1]),
            (Audience::room("a"), [1, 1, 0, 0]),
            (Audience::room("a").to("b"), [1, 1, 1, 0]),
            (Audience::room("a").except("b"), [1, 0, 0, 0]),
            (Audience::all().except("a"), [0, 0, 1, 1]),
            (Audience::all().except("a").except("b"), [0, 0, 0, 1]),
            (Audience::room(third.clone()), [0, 0, 0, 1]),
            (Audience::all().except(third), [1, 1, 1, 0]),
            (Audience::room("nobody"), [0, 0, 0, 0]),
            (Audience::room("nobody").to("a"), [1, 1, 0, 0]),
            (Audience::all().except("nobody").local(), [1, 1, 1, 1]),
            (Audience::room("a").volatile(), [1, 1, 0, 0]),
        ];
        for (audience, expected) in cases {
            let now = world.now;
            let count = world.server.at(now).broadcast("/", &audience, &ping()).unwrap().sockets;
            assert_eq!(counts(&mut world, &peers), expected, "{audience:?}");
            assert_eq!(count, expected.iter().sum::<usize>(), "{audience:?}");
            let fetched = world.server.at(world.now).local_sockets("/", &audience).unwrap();
            assert_eq!(fetched.len(), count, "{audience:?}");
        }
    }
}

#[test]
fn an_audience_tells_what_was_asked_of_it() {
    let plain = Audience::room("a").except("b");
    assert!(!plain.is_volatile() && !plain.is_local());
    assert_eq!(plain.rooms().chain(plain.excepted()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(plain.clone().volatile().is_volatile());
    assert!(!plain.clone().volatile().is_local());
    assert!(plain.local().is_local());
}

#[test]
fn rooms_go_when_the_last_socket_leaves() {
    let mut world = World::new(ServerConfig::new());
    let peers = connect(&mut world, 2);
    for (_, key) in &peers {
        world.server.at(world.now).join(*key, "a").unwrap();
    }
    assert_eq!(world.server.stats().rooms, 3);
    assert!(world.server.at(world.now).leave(peers[0].1, "a"));
    assert!(!world.server.at(world.now).leave(peers[0].1, "a"));
    assert_eq!(world.server.stats().rooms, 3);
    world.cut(peers[1].0);
    assert_eq!(world.server.stats().rooms, 1, "one socket's own");
    let own = world.server.socket_id(peers[0].1).unwrap();
    assert!(!world.server.at(world.now).leave(peers[0].1, own.as_str()), "its own room stays");
    assert_eq!(world.server.at(world.now).join(peers[1].1, "a"), Err(RoomError::UnknownSocket));
}

/// Rooms come and go in every order, and everybody still gets what is meant for them.
#[test]
fn many_sockets_in_many_rooms_are_not_mixed_up() {
    let mut world = World::with_recovery();
    let peers = connect(&mut world, 12);
    let mut members: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); 5];
    let mut state = 1_u32;
    for round in 0..400 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (peer, room) = ((state >> 8) as usize % 12, (state >> 16) as usize % 5);
        let name = format!("room {room}");
        if members[room].contains(&peer) {
            assert!(world.server.at(world.now).leave(peers[peer].1, &name));
            members[room].remove(&peer);
        } else {
            assert_eq!(world.server.at(world.now).join(peers[peer].1, &name), Ok(true));
            members[room].insert(peer);
        }
        let now = world.now;
        world.server.at(now).broadcast("/", &Audience::room(name), &ping()).unwrap();
        let expected: Vec<usize> =
            (0..12).map(|peer| usize::from(members[room].contains(&peer))).collect();
        assert_eq!(counts(&mut world, &peers), expected, "round {round}");
    }
}

#[test]
fn sockets_join_leave_and_go_by_audience() {
    let mut world = World::new(ServerConfig::new());
    let peers = connect(&mut world, 3);
    let own = world.server.socket_id(peers[2].1).unwrap();
    let others = Audience::all().except(own.as_str());
    assert_eq!(world.server.at(world.now).sockets_join("/", &others, "team"), Ok(2));
    assert_eq!(world.server.at(world.now).sockets_join("/", &others, "team"), Ok(0));
    let first = world.server.socket_id(peers[0].1).unwrap();
    let alone = Audience::room(first.as_str());
    assert_eq!(world.server.at(world.now).sockets_leave("/", &alone, "team"), Ok(1));
    let team = Audience::room("team");
    assert_eq!(world.server.at(world.now).local_sockets("/", &team), Ok(vec![peers[1].1]));
    assert_eq!(world.server.at(world.now).disconnect_sockets("/", &team, true), Ok(1));
    world.drain();
    assert!(world.is_closed(peers[1].0));
    assert_eq!(world.server.stats().sockets, 2);
    let nowhere = world.server.at(world.now).sockets_join("/nowhere", &team, "x");
    assert_eq!(nowhere, Err(EmitError::UnknownNamespace));
}

#[test]
fn a_broadcast_with_acknowledgements_collects_them() {
    let mut world = World::new(ServerConfig::new());
    let peers = connect(&mut world, 3);
    let timeout = Duration::from_secs(5);
    let settled = |world: &mut World| {
        world.pick(|event| match event {
            ServerEvent::BroadcastAcked { ack, responses, missing, timed_out, .. } => {
                let sockets: Vec<SocketKey> =
                    responses.iter().filter_map(|(from, _)| from.socket()).collect();
                Some((*ack, sockets, *missing, *timed_out))
            }
            _ => None,
        })
    };
    let ask = |world: &mut World| {
        let now = world.now;
        let everyone = Audience::all();
        let ack =
            world.server.at(now).broadcast_with_ack("/", &everyone, &ping(), timeout).unwrap();
        world.drain();
        ack
    };
    // Everyone answers, each with the same id.
    let ack = ask(&mut world);
    for (client, _) in &peers {
        assert_eq!(world.texts(*client), [r#"420["ping"]"#]);
        assert_eq!(settled(&mut world), []);
        world.send(*client, "430[1]");
        world.send(*client, "430[2]");
    }
    let keys: Vec<SocketKey> = peers.iter().map(|(_, key)| *key).collect();
    assert_eq!(settled(&mut world), [(ack, keys.clone(), 0, false)]);
    // One does not answer in time.
    let ack = ask(&mut world);
    world.send(peers[1].0, "431[]");
    world.advance(timeout);
    assert_eq!(settled(&mut world), [(ack, vec![keys[1]], 2, true)]);
    world.send(peers[0].0, "431[]");
    assert_eq!(settled(&mut world), [], "too late");
    // Who leaves is not waited for.
    let ack = ask(&mut world);
    world.send(peers[0].0, "432[]");
    world.cut(peers[1].0);
    world.send(peers[2].0, "41");
    assert_eq!(settled(&mut world), [(ack, vec![keys[0]], 2, false)]);
    assert_eq!(world.server.stats().pending_acks, 0);
}

#[test]
fn acknowledgements_settle_exactly_once() {
    let mut world = World::new(ServerConfig::new());
    let peers = connect(&mut world, 2);
    let timeout = Duration::from_secs(5);
    let ask = |world: &mut World| {
        let ack = world.server.at(world.now).emit_with_ack(peers[0].1, &ping(), timeout).unwrap();
        world.drain();
        ack
    };
    let settled = |world: &mut World| {
        world.pick(|event| match event {
            ServerEvent::Acked { ack, args, .. } => Some((*ack, Ok(args.json().to_owned()))),
            ServerEvent::AckFailed { ack, cause, .. } => Some((*ack, Err(*cause))),
            _ => None,
        })
    };
    let (answered, late) = (ask(&mut world), ask(&mut world));
    world.send(peers[1].0, "430[\"forged\"]");
    assert_eq!(settled(&mut world), [], "another client's answer does not count");
    world.send(peers[0].0, "430[\"yes\"]");
    world.send(peers[0].0, "430[\"again\"]");
    world.send(peers[0].0, "4399[\"unknown\"]");
    assert_eq!(settled(&mut world), [(answered, Ok("[\"yes\"]".to_owned()))]);
    world.advance(timeout);
    assert_eq!(settled(&mut world), [(late, Err(AckFailure::Timeout))]);
    world.send(peers[0].0, "431[]");
    assert_eq!(settled(&mut world), []);
    let lost = ask(&mut world);
    world.cut(peers[0].0);
    assert_eq!(settled(&mut world), [(lost, Err(AckFailure::Disconnected))]);
    let gone = world.server.at(world.now).emit_with_ack(peers[0].1, &ping(), timeout);
    assert_eq!(gone, Err(EmitError::NotConnected));
    assert_eq!(world.server.stats().pending_acks, 0);
}

#[test]
fn volatile_events_are_for_who_can_take_them() {
    let mut world = World::new(ServerConfig::new());
    let peers = connect(&mut world, 2);
    world.server.pause(peers[0].0.wire);
    let now = world.now;
    world.server.at(now).broadcast("/", &Audience::all().volatile(), &ping()).unwrap();
    world.server.at(now).emit(peers[0].1, &ping()).unwrap();
    world.drain();
    world.server.resume(world.now, peers[0].0.wire);
    assert_eq!(counts(&mut world, &peers), [1, 1], "the paused one got the other event");
    assert_eq!(world.server.stats().total.volatile_dropped, 1);
    world.cut(peers[0].0);
    let gone = world.server.at(now).emit_volatile(peers[0].1, &ping());
    assert_eq!(gone, Err(EmitError::NotConnected));
}
