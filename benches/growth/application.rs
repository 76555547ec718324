//! What an application does, beside a crowd.

use std::time::Duration;

use socketio_proto::{
    hub::{Audience, Once},
    server::{ServerEvent, ServerOutput},
    socket::Args,
};

use crate::{
    count::Meter,
    support::fleet::Fleet,
    world::{HOUR, Steps, crowd, event},
};

pub fn run(count: usize, meter: &mut Meter) {
    let mut fleet = crowd(count);
    for round in meter.rounds() {
        rooms(&mut fleet, meter, round);
        emits(&mut fleet, meter);
        offsets(&mut fleet, meter);
        ends(&mut fleet, meter);
    }
}

fn rooms(fleet: &mut Fleet, meter: &mut Meter, round: usize) {
    let client = fleet.connect();
    let (socket, room) = (client.socket, format!("new {round}"));
    meter.count("join a new room", || Steps::join(fleet, socket, &room));
    meter.count("join a room of two", || Steps::join(fleet, socket, "room 1"));
    meter.count("join a room of everybody", || Steps::join(fleet, socket, "lobby"));
    fleet.broadcast(&Audience::room("room 1"));
    fleet.drain();
    meter.count("leave a room of everybody", || {
        assert!(fleet.server.at(fleet.now).leave(socket, "lobby"));
    });
    meter.count("leave a room that goes", || {
        assert!(fleet.server.at(fleet.now).leave(socket, &room));
    });
    let audience = Audience::room("room 1");
    meter.count("sockets_join", || {
        assert_eq!(fleet.server.at(fleet.now).sockets_join("/", &audience, "hall"), Ok(3));
    });
    meter.count("sockets_leave", || {
        assert_eq!(fleet.server.at(fleet.now).sockets_leave("/", &audience, "hall"), Ok(3));
    });
    meter.count("local_sockets", || {
        assert_eq!(
            fleet.server.at(fleet.now).local_sockets("/", &audience).map(|it| it.len()),
            Ok(2)
        );
    });
    fleet.remove(&client);
}

fn emits(fleet: &mut Fleet, meter: &mut Meter) {
    let client = fleet.connect_in("room 1");
    let socket = client.socket;
    meter.count("emit", || {
        fleet.emit(socket);
        assert_eq!(fleet.drain().frames, 1);
    });
    meter.count("emit_volatile", || {
        assert_eq!(fleet.server.at(fleet.now).emit_volatile(socket, &event()), Ok(()));
        assert_eq!(fleet.drain().frames, 1);
    });
    let mut broadcast = |step: &str, audience: Audience, count| {
        meter.count(step, || {
            assert_eq!(fleet.broadcast(&audience), count);
            assert_eq!(fleet.drain().frames, count);
        });
    };
    broadcast("broadcast to a room", Audience::room("room 1"), 2);
    broadcast("broadcast to two rooms", Audience::room("room 1").to("room 2"), 3);
    broadcast("broadcast except a room", Audience::room("room 1").except("room 2"), 2);
    broadcast("broadcast except a room of everybody", Audience::room("room 1").except("lobby"), 1);
    meter.count("broadcast_with_ack", || {
        let room = Audience::room("room 1");
        let sent = fleet.server.at(fleet.now).broadcast_with_ack("/", &room, &event(), HOUR);
        assert!(sent.is_ok());
        assert_eq!(fleet.drain().frames, 2);
    });
    meter.count("emit_with_ack, which times out", || {
        let timeout = Duration::from_secs(1);
        let sent = fleet.server.at(fleet.now).emit_with_ack(socket, &event(), timeout);
        assert!(sent.is_ok());
        fleet.drain();
        fleet.now = fleet.now.saturating_add(timeout);
        fleet.time_out();
    });
    fleet.remove(&client);
}

fn offsets(fleet: &mut Fleet, meter: &mut Meter) {
    let client = fleet.connect_in("room 1");
    let socket = client.socket;
    for _ in 0..2 {
        let token = fleet.ask(client.wire, 1);
        let once = meter.count("accept_once", || {
            fleet.server.at(fleet.now).accept_once(socket, "a", Some(token)).expect("legal")
        });
        let Once::Fresh(Some(token)) = once else { panic!("{once:?}") };
        meter.count("withdraw", || assert!(fleet.server.at(fleet.now).withdraw(token)));
    }
    fleet.remove(&client);
}

fn ends(fleet: &mut Fleet, meter: &mut Meter) {
    let client = fleet.connect_in("room 1");
    meter.count("disconnect", || {
        assert!(fleet.server.at(fleet.now).disconnect(client.socket, false));
        fleet.drain();
    });
    fleet.lose(client.wire);
    let clients = [fleet.connect_in("stage"), fleet.connect_in("stage")];
    meter.count("disconnect_sockets", || {
        let room = Audience::room("stage");
        assert_eq!(fleet.server.at(fleet.now).disconnect_sockets("/", &room, true), Ok(2));
        fleet.drain();
    });
    for client in clients {
        fleet.lose(client.wire);
    }
    let client = fleet.connect_in("room 1");
    let token = fleet.ask(client.wire, 1);
    meter.count("ack to a client that has gone", || {
        fleet.lose(client.wire);
        assert!(!fleet.server.at(fleet.now).ack(token, &Args::empty()));
        while let Some(output) = fleet.server.poll_output() {
            assert!(!matches!(output, ServerOutput::Event(ServerEvent::Acked { .. })));
        }
    });
    fleet.remove(&client);
    meter.count("close_connection", || {
        let client = fleet.connect();
        let connection = fleet.server.at(fleet.now).connection(client.socket).expect("connected");
        assert!(fleet.server.close_connection(fleet.now, connection));
        fleet.drain();
        fleet.lose(client.wire);
    });
    fleet.drain();
}
