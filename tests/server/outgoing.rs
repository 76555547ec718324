//! A packet that clients are known to refuse is refused when it is emitted, before anything is
//! logged or sent.

use std::time::Duration;

use bytes::Bytes;
use socketio_proto::{
    Limits, RecoveryConfig,
    engine::Frame,
    hub::{Audience, EmitError, Rejection},
    server::{ServerEvent, ServerInput},
    socket,
};

use crate::support::{World, bystander::Bystander, recovering, recovery_config};

fn limited(change: impl FnOnce(&mut Limits)) -> World {
    let mut limits = Limits::default();
    change(&mut limits);
    World::new(recovery_config().limits(limits))
}

fn text(bytes: usize) -> socket::Event {
    socket::Event::new("m", &("x".repeat(bytes), 0)).unwrap()
}

/// An event with `count` attachments.
fn attached(count: usize, bytes: usize) -> socket::Event {
    socket::Event::new("m", &vec![Bytes::from(vec![7; bytes]); count]).unwrap()
}

#[test]
fn outgoing_attachments() {
    let mut world = World::with_recovery();
    let mut bystander = Bystander::new(&mut world);
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    let (now, everyone, timeout) = (world.now, Audience::all(), Duration::from_secs(5));
    let (few, many) = (attached(10, 1), attached(11, 1));
    let refused = EmitError::TooManyAttachments { limit: 10 };
    let server = &mut world.server;
    assert_eq!(server.at(now).emit(socket, &many), Err(refused.clone()));
    assert_eq!(server.at(now).emit_volatile(socket, &many), Err(refused.clone()));
    assert_eq!(server.at(now).emit_with_ack(socket, &many, timeout), Err(refused.clone()));
    assert_eq!(server.at(now).broadcast("/", &everyone, &many), Err(refused.clone()));
    assert_eq!(
        server.at(now).broadcast("/", &everyone.clone().volatile(), &many),
        Err(refused.clone())
    );
    assert_eq!(
        server.at(now).broadcast("/", &Audience::room("nobody"), &many),
        Err(refused.clone())
    );
    assert_eq!(server.at(now).broadcast_with_ack("/", &everyone, &many, timeout), Err(refused));
    let stats = server.stats();
    assert_eq!((stats.total.emits_refused, stats.log_packets, stats.pending_acks), (7, 0, 0));
    world.drain();
    assert_eq!(world.take(client.wire), [], "nothing was sent");
    world.server.at(now).emit(socket, &few).unwrap();
    world.drain();
    assert_eq!(world.take(client.wire).len(), 11, "what clients take is sent");
    // Nothing of it is replayed.
    world.cut(client);
    let (client, again) = world.claim(&session, None);
    assert_eq!((again, world.take(client.wire).len()), (session, 11));
    bystander.check(&mut world);
}

#[test]
fn outgoing_bytes() {
    let mut world = limited(|limits| limits.outgoing_bytes = 1_000);
    let mut bystander = Bystander::new(&mut world);
    let (client, _) = world.connect();
    let (socket, _) = world.connected();
    let now = world.now;
    let refused = Err(EmitError::TooLarge { limit: 1_000 });
    let largest = 1_000 - text(0).json().len();
    assert_eq!(world.server.at(now).emit(socket, &text(largest)), Ok(()));
    assert_eq!(world.server.at(now).emit(socket, &text(largest + 1)), refused);
    assert_eq!(world.server.at(now).emit_volatile(socket, &text(largest + 1)), refused);
    let everyone = Audience::all();
    let broadcast = world.server.at(now).broadcast("/", &everyone, &text(largest + 1));
    assert_eq!(broadcast, Err(EmitError::TooLarge { limit: 1_000 }));
    assert_eq!(world.server.at(now).emit(socket, &attached(2, 500)), refused, "together");
    world.drain();
    assert_eq!(world.texts(client).len(), 1);
    bystander.check(&mut world);
}

/// What neither the log nor a replay can hold could never be recovered.
#[test]
fn outgoing_bytes_of_what_is_to_be_replayed() {
    let small = |recovery: &mut RecoveryConfig| recovery.replay_bytes = 1_000;
    let shallow = |recovery: &mut RecoveryConfig| recovery.buffer_bytes = 1_000;
    for mut world in [recovering(small), recovering(shallow)] {
        let (client, session) = world.connect();
        let (socket, _) = world.connected();
        let (now, large) = (world.now, text(1_000));
        let refused = Err(EmitError::TooLarge { limit: 1_000 });
        assert_eq!(world.server.at(now).emit(socket, &large), refused);
        assert_eq!(world.server.at(now).emit_volatile(socket, &large), Ok(()), "it is not logged");
        world.server.at(now).emit(socket, &text(100)).unwrap();
        world.cut(client);
        assert_eq!(world.claim(&session, None).1, session, "the log was not emptied for it");
    }
}

#[test]
fn outgoing_answers() {
    let mut world = World::with_recovery();
    let (client, _) = world.connect();
    let (socket, _) = world.connected();
    let args = |count: usize| socket::Args::new(&vec![Bytes::from_static(&[7]); count]).unwrap();
    world.send(client, r#"427["ask"]"#);
    let token = world.token();
    let refused = world.server.at(world.now).try_ack(token, &args(11)).unwrap_err();
    assert_eq!(refused.cause, EmitError::TooManyAttachments { limit: 10 });
    assert_eq!(refused.token.socket(), socket);
    assert_eq!(world.server.at(world.now).try_ack(refused.token, &args(10)), Ok(true));
    world.drain();
    assert_eq!(world.take(client.wire).len(), 11);
    world.send(client, r#"428["ask"]"#);
    let token = world.token();
    assert!(!world.server.at(world.now).ack(token, &args(11)));
    world.drain();
    assert_eq!(world.take(client.wire), []);
    assert_eq!(world.server.stats().total.emits_refused, 2);
}

/// The client still gets a rejection, but a shorter one.
#[test]
fn outgoing_bytes_of_a_rejection() {
    let mut world = limited(|limits| limits.outgoing_bytes = 100);
    world.auto_accept = false;
    let client = world.open();
    for (message, answer) in [
        ("no".to_owned(), r#"44{"message":"no"}"#),
        ("no".repeat(100), r#"44{"message":"Rejected"}"#),
    ] {
        world.send(client, "40");
        let (request, ..) = world.requested();
        assert!(world.server.at(world.now).reject(request, &Rejection::new(message)));
        world.drain();
        assert_eq!(world.text(client), answer);
    }
}

/// What a client may send can be sent back.
#[test]
fn whatever_is_accepted_can_be_echoed() {
    let mut world = World::with_recovery();
    let (client, _) = world.connect();
    let (socket, _) = world.connected();
    let placeholders: Vec<String> =
        (0..10).map(|num| format!(r#"{{"_placeholder":true,"num":{num}}}"#)).collect();
    let name = "x".repeat(990_000);
    world.send(client, &format!(r#"4510-["{name}",{}]"#, placeholders.join(",")));
    for _ in 0..10 {
        let frame = Frame::Binary(Bytes::from(vec![7; 1_000_000]));
        world.input(ServerInput::Frame { wire: client.wire, frame });
    }
    let events = world.pick(|event| match event {
        ServerEvent::Received { event, .. } => Some(event.clone()),
        _ => None,
    });
    assert_eq!(events[0].attachments().len(), 10);
    assert_eq!(world.server.at(world.now).emit(socket, &events[0]), Ok(()));
}
