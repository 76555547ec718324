//! Poison events: if a client refuses the same event each time it is replayed, its session is given
//! up after several attempts. A bad network never causes this.

use std::time::Duration;

use bytes::Bytes;
use socketio_proto::{
    RecoveryConfig,
    hub::Audience,
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::{ServerEvent, ServerInput},
    socket,
};

use crate::support::{
    Client, Received, Session, World, broadcast, bystander::Bystander, event, get, numbers,
    parse_event, post, recovering,
};

/// The default of `replay_attempts`.
const ATTEMPTS: usize = 5;

/// The client closes its WebSocket, as the official one does when it cannot take a packet.
fn refuse(world: &mut World, client: Client) {
    world.input(ServerInput::CloseFrame { wire: client.wire });
    world.cut(client);
}

/// Claims the session from `offset` and refuses the replay, `times` times.
fn refuse_replays(world: &mut World, session: &Session, offset: Option<&str>, times: usize) {
    for attempt in 0..times {
        let (client, again) = world.claim(session, offset);
        assert_eq!(&again, session, "attempt {attempt}");
        refuse(world, client);
    }
}

fn is_recovered(world: &mut World, session: &Session, offset: Option<&str>) -> bool {
    let (client, again) = world.claim(session, offset);
    world.cut(client);
    again == *session
}

/// A session that has missed one event.
fn away(world: &mut World) -> Session {
    let (client, session) = world.connect();
    world.cut(client);
    broadcast(world, &Audience::all(), 1);
    session
}

#[test]
fn a_client_that_refuses_its_replay_is_given_up() {
    let mut world = World::with_recovery();
    let mut bystander = Bystander::new(&mut world);
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    let poison = socket::Event::new("many", &vec![Bytes::from_static(&[7]); 3]).unwrap();
    world.server.at(world.now).emit(socket, &poison).unwrap();
    world.drain();
    refuse(&mut world, client);
    refuse_replays(&mut world, &session, None, ATTEMPTS);
    world.events.clear();
    let (client, other) = world.claim(&session, None);
    assert_ne!(other.sid, session.sid);
    let events: Vec<_> = world.events.drain(..).collect();
    let [
        ServerEvent::ConnectionOpened { .. },
        ServerEvent::ReplayRefused { socket: given_up, id, event, .. },
        ServerEvent::Connected { recovery, .. },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!((*given_up, id.as_str()), (socket, &*session.sid));
    assert_eq!((event.name(), event.attachments().len()), ("many", 3));
    assert_eq!(*recovery, RecoveryOutcome::Refused(RecoveryRefusal::PoisonEvent));
    let stats = world.server.stats();
    assert_eq!((stats.total.refused.poison_event, stats.parked_sessions), (1, 1));
    // The new session begins behind the event.
    broadcast(&mut world, &Audience::all(), 2);
    assert_eq!(numbers(&world.texts(client)).0, [2]);
    world.texts(bystander.client);
    world.events.clear();
    bystander.check(&mut world);
}

#[test]
fn a_network_that_is_lost_again_and_again_costs_nothing() {
    let mut world = World::with_recovery();
    let session = away(&mut world);
    for _ in 0..50 {
        assert!(is_recovered(&mut world, &session, None));
    }
    // Nor does it make the client that refuses look innocent.
    for _ in 0..ATTEMPTS {
        refuse_replays(&mut world, &session, None, 1);
        if world.server.stats().total.refused.poison_event == 0 {
            let (client, _) = world.claim(&session, None);
            world.cut(client);
        }
    }
    assert!(!is_recovered(&mut world, &session, None));
}

#[test]
fn whoever_gets_on_is_not_given_up() {
    let mut world = World::with_recovery();
    let session = away(&mut world);
    let mut offset = None;
    for number in 2..10 {
        refuse_replays(&mut world, &session, offset.as_deref(), ATTEMPTS - 1);
        let (client, again) = world.claim(&session, offset.as_deref());
        assert_eq!(again, session);
        offset = numbers(&world.texts(client)).1;
        refuse(&mut world, client);
        broadcast(&mut world, &Audience::all(), number);
    }
}

#[test]
fn closing_when_nothing_was_replayed_costs_nothing() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    refuse(&mut world, client);
    for number in 0..30 {
        let (client, again) = world.claim(&session, None);
        assert_eq!(again, session);
        // What is not replayed moves no offset.
        world.server.at(world.now).emit_volatile(socket, &event("m", number)).unwrap();
        world.drain();
        refuse(&mut world, client);
    }
}

#[test]
fn what_has_not_left_was_not_refused() {
    let mut world = World::with_recovery();
    let session = away(&mut world);
    for _ in 0..30 {
        let client = world.open();
        world.server.pause(client.wire);
        world.send(client, &crate::support::claim_packet(&session, None));
        assert!(world.texts(client).is_empty());
        refuse(&mut world, client);
    }
    assert!(is_recovered(&mut world, &session, None));
}

#[test]
fn the_first_of_many_packets_suffices() {
    let mut world = World::with_recovery();
    let session = away(&mut world);
    for number in 2..2_000 {
        broadcast(&mut world, &Audience::all(), number);
    }
    refuse_replays(&mut world, &session, None, ATTEMPTS);
    assert!(!is_recovered(&mut world, &session, None));
}

#[test]
fn a_client_that_misses_pings_is_not_given_up() {
    let mut world = recovering(|recovery| {
        recovery.max_disconnection = Duration::from_secs(3_600);
    });
    let session = away(&mut world);
    for _ in 0..10 {
        let (client, again) = world.claim(&session, None);
        assert_eq!(again, session);
        // The ping is on its way, behind a replay that takes long on a slow link.
        world.advance(Duration::from_secs(40));
        world.send(client, "3");
        world.advance(Duration::from_secs(5));
        refuse(&mut world, client);
    }
    assert!(is_recovered(&mut world, &session, None));
}

#[test]
fn a_live_event_right_after_a_recovery_is_refused() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    world.server.at(world.now).join(socket, "room").unwrap();
    world.cut(client);
    let (client, _) = world.claim(&session, None);
    broadcast(&mut world, &Audience::room("room"), 1);
    refuse(&mut world, client);
    refuse_replays(&mut world, &session, None, ATTEMPTS);
    assert!(!is_recovered(&mut world, &session, None));
}

#[test]
fn what_stands_before_the_event_is_processed() {
    let mut world = World::with_recovery();
    let session = away(&mut world);
    for number in 2..=4 {
        broadcast(&mut world, &Audience::all(), number);
    }
    // The client takes two and refuses the third.
    let (client, _) = world.claim(&session, None);
    let (_, _, offset) = parse_event(&world.texts(client)[1]);
    refuse(&mut world, client);
    refuse_replays(&mut world, &session, offset.as_deref(), ATTEMPTS);
    world.claim(&session, offset.as_deref());
    let told = world.pick(|event| match event {
        ServerEvent::ReplayRefused { event, .. } => Some(event.get::<u64>(0).unwrap()),
        _ => None,
    });
    assert_eq!(told, [3]);
}

#[test]
fn questions_that_nobody_answers_are_no_poison() {
    let mut world = recovering(|recovery| recovery.replay_ack_events = true);
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    let timeout = Duration::from_secs(600);
    world.server.at(world.now).emit_with_ack(socket, &event("ask", 1), timeout).unwrap();
    refuse(&mut world, client);
    // They have no offset that the client could show.
    refuse_replays(&mut world, &session, None, 30);
    broadcast(&mut world, &Audience::all(), 2);
    refuse_replays(&mut world, &session, None, ATTEMPTS);
    assert!(!is_recovered(&mut world, &session, None), "this one has");
}

#[test]
fn in_the_order_of_the_reference_too() {
    let mut world = recovering(|recovery| {
        recovery.replay_order = socketio_proto::ReplayOrder::BeforeConnect;
        recovery.replay_attempts = 1;
    });
    let session = away(&mut world);
    let client = world.open();
    world.send(client, &crate::support::claim_packet(&session, None));
    refuse(&mut world, client);
    let (_, other) = world.claim(&session, None);
    assert_ne!(other.sid, session.sid);
}

/// The attempts are the session's, in each namespace.
#[test]
fn other_sessions_of_the_connection_go_on() {
    let mut world = World::with_recovery();
    world.server.at(world.now).add_namespace("/other").unwrap();
    let session = away(&mut world);
    let elsewhere = world.open();
    world.send(elsewhere, "40/other,");
    let pid = pid(&world.text(elsewhere));
    world.cut(elsewhere);
    for _ in 0..ATTEMPTS {
        let (client, again) = world.claim(&session, None);
        assert_eq!(again, session);
        world.send(client, &format!(r#"40/other,{{"pid":"{pid}"}}"#));
        refuse(&mut world, client);
    }
    assert!(!is_recovered(&mut world, &session, None));
    world.events.clear();
    let client = world.open();
    world.send(client, &format!(r#"40/other,{{"pid":"{pid}"}}"#));
    assert!(world.connected().1.is_recovered());
}

#[test]
fn over_polling_a_close_packet_says_so() {
    let mut world = World::with_recovery();
    let session = away(&mut world);
    for attempt in 0..=ATTEMPTS {
        let sid = handshake(&mut world);
        let query = format!("EIO=4&transport=polling&sid={sid}");
        let connect = crate::support::claim_packet(&session, None);
        request(&mut world, post(&query), Some(connect.into()));
        world.events.retain(|event| matches!(event, ServerEvent::Connected { .. }));
        let answer = request(&mut world, get(&query), None);
        let is_recovered = world.connected().1.is_recovered();
        assert_eq!(is_recovered, attempt < ATTEMPTS, "attempt {attempt}: {answer}");
        request(&mut world, post(&query), Some("1".into()));
    }
}

#[test]
fn over_polling_an_aborted_request_says_nothing() {
    let mut world = World::with_recovery();
    let session = away(&mut world);
    for _ in 0..30 {
        let sid = handshake(&mut world);
        let query = format!("EIO=4&transport=polling&sid={sid}");
        let connect = crate::support::claim_packet(&session, None);
        request(&mut world, post(&query), Some(connect.into()));
        request(&mut world, get(&query), None);
        assert!(world.connected().1.is_recovered());
        let wire = world.wire();
        world.input(ServerInput::Request { wire, head: get(&query), body: None });
        world.input(ServerInput::WireClosed { wire });
    }
}

#[test]
fn the_number_of_attempts_is_a_setting() {
    let mut world = recovering(|recovery: &mut RecoveryConfig| recovery.replay_attempts = 2);
    let session = away(&mut world);
    refuse_replays(&mut world, &session, None, 2);
    assert!(!is_recovered(&mut world, &session, None));
    assert!(!is_recovered(&mut world, &session, None), "it stays given up");
}

fn pid(packet: &str) -> String {
    let json: serde_json::Value =
        serde_json::from_str(&packet[packet.find('{').unwrap()..]).unwrap();
    json["pid"].as_str().unwrap().to_owned()
}

fn handshake(world: &mut World) -> String {
    let open = request(world, get("EIO=4&transport=polling"), None);
    let json: serde_json::Value = serde_json::from_str(&open[1..]).unwrap();
    json["sid"].as_str().unwrap().to_owned()
}

fn request(
    world: &mut World,
    head: socketio_proto::engine::RequestHead<'_>,
    body: Option<Bytes>,
) -> String {
    let wire = world.wire();
    world.input(ServerInput::Request { wire, head, body });
    match &world.take(wire)[..] {
        [Received::Response(response)] => String::from_utf8(response.body.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}
