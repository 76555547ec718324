//! The process did not run for a while: it was stopped, its machine was suspended, a handler
//! blocked, or the clock jumped forward. What peers sent meanwhile waits in the sockets of the
//! operating system and is handed in after the timers.

use std::{sync::Arc, time::Duration};

use socketio_proto::{
    AckId, ConnectionId, EngineId, RecoveryConfig, ServerConfig, SocketKey, Timestamp, WireId,
    engine::{CloseReason, EngineInput, Frame, Transport},
    hub::{AckFailure, Hub},
    link::{Link, LinkOutput},
    recovery::RecoveryOutcome,
    server::{ServerEvent, ServerInput},
};

use crate::support::{
    Client, World, counting_entropy, event, get, post, recovering, recovery_config,
};

const PING_INTERVAL: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3_600);

/// The process does not run; then the timers are first.
fn pause(world: &mut World, time: Duration) {
    world.now = world.now.saturating_add(time);
    world.input(ServerInput::Timeout);
    let next = world.server.deadline();
    assert!(next.is_none_or(|next| next > world.now), "the deadline does not move on");
}

fn closed(world: &mut World) -> Vec<CloseReason> {
    world.pick(|event| match event {
        ServerEvent::ConnectionClosed { reason, .. } => Some(*reason),
        _ => None,
    })
}

/// Twenty clients, all of them pinged at different moments.
fn pinged(world: &mut World) -> Vec<Client> {
    let clients = (0..20).map(|_| {
        world.advance(Duration::from_millis(500));
        world.connect().0
    });
    let clients: Vec<Client> = clients.collect();
    world.advance(PING_INTERVAL);
    for client in &clients {
        assert_eq!(world.texts(*client), ["2"]);
    }
    clients
}

#[test]
fn connections_whose_pongs_wait_in_their_sockets_stay() {
    // Also right behind the first deadline, and behind some of them.
    for time in [10_506, 12_000, 12_001, 20_000, 45_000, 3_600_000] {
        let mut world = World::with_recovery();
        let clients = pinged(&mut world);
        pause(&mut world, Duration::from_millis(time));
        for client in &clients {
            world.send(*client, "3");
        }
        world.advance(PING_TIMEOUT);
        assert_eq!(closed(&mut world), [], "{time} ms");
        assert_eq!(world.server.stats().sockets, 20);
    }
}

#[test]
fn who_is_really_gone_is_closed_soon_after_the_pause() {
    for (time, grace) in [(Duration::from_secs(21), 1_000), (HOUR, 20_000)] {
        let mut world = World::with_recovery();
        world.connect();
        world.advance(PING_INTERVAL);
        pause(&mut world, time);
        assert_eq!(closed(&mut world), []);
        world.advance(Duration::from_millis(grace - 1));
        assert_eq!(closed(&mut world), []);
        world.advance(Duration::from_millis(1));
        assert_eq!(closed(&mut world), [CloseReason::PingTimeout]);
    }
}

#[test]
fn a_second_pause_right_after_the_first_is_one_more() {
    let mut world = World::with_recovery();
    let (client, _) = world.connect();
    world.advance(PING_INTERVAL);
    pause(&mut world, HOUR);
    pause(&mut world, HOUR);
    world.send(client, "3");
    world.advance(PING_TIMEOUT);
    assert_eq!(closed(&mut world), []);
}

#[test]
fn nothing_that_a_peer_sends_makes_a_grace_period() {
    let mut world = World::with_recovery();
    let (client, _) = world.connect();
    world.advance(PING_INTERVAL);
    // A packet proves once that the peer is alive; then only its pong does.
    for _ in 0..20 {
        world.advance(Duration::from_secs(1));
        world.send(client, r#"42["x"]"#);
        assert_eq!(closed(&mut world), []);
    }
    world.advance(Duration::from_secs(1));
    assert_eq!(closed(&mut world), [CloseReason::PingTimeout], "1 + 20 s and no more");
}

#[test]
fn a_connect_that_waits_in_its_socket_is_in_time() {
    let mut world = World::with_recovery();
    let client = world.open();
    pause(&mut world, Duration::from_secs(50));
    world.texts(client);
    world.send(client, "3");
    world.send(client, "40");
    world.session(client);
    assert_eq!(closed(&mut world), []);

    let mut world = World::new(recovery_config().ping_interval(HOUR));
    world.open();
    pause(&mut world, Duration::from_secs(50));
    world.advance(Duration::from_secs(5));
    assert_eq!(closed(&mut world), [CloseReason::ConnectTimeout]);
}

#[test]
fn an_attachment_that_waits_in_its_socket_is_in_time() {
    for timers_first in [true, false] {
        let config = recovery_config().attachment_timeout(Duration::from_secs(2));
        let mut world = World::new(config);
        let (client, _) = world.connect();
        world.send(client, r#"451-["x",{"_placeholder":true,"num":0}]"#);
        world.now = world.now.saturating_add(HOUR);
        if timers_first {
            world.input(ServerInput::Timeout);
        }
        // Pongs and requests say nothing about the attachment behind them.
        world.send(client, "3");
        world.send_binary(client, b"late");
        world.advance(Duration::from_secs(5));
        assert_eq!(closed(&mut world), []);
    }
}

#[test]
fn an_upgrade_whose_last_step_waits_in_its_socket_is_completed() {
    let mut world = World::with_recovery();
    let get_wire = world.wire();
    let head = get("EIO=4&transport=polling");
    world.input(ServerInput::Request { wire: get_wire, head, body: None });
    let crate::support::Received::Response(open) = world.take(get_wire).remove(0) else {
        panic!("no answer");
    };
    let open: serde_json::Value = serde_json::from_slice(&open.body[1..]).unwrap();
    let sid = open["sid"].as_str().unwrap();
    let query = format!("EIO=4&transport=polling&sid={sid}");
    let post_wire = world.wire();
    let body = Some("40".into());
    world.input(ServerInput::Request { wire: post_wire, head: post(&query), body });
    let wire = world.wire();
    let query = format!("EIO=4&transport=websocket&sid={sid}");
    world.input(ServerInput::WebSocketOpened { wire, head: get(&query) });
    world.send(Client { wire }, "2probe");
    pause(&mut world, Duration::from_secs(20));
    world.send(Client { wire }, "5");
    world.advance(Duration::from_secs(1));
    assert!(!world.is_closed(Client { wire }));
    let upgraded =
        world.pick(|event| matches!(event, ServerEvent::ConnectionUpgraded { .. }).then_some(()));
    assert_eq!(upgraded.len(), 1);
}

fn parked(max_disconnection: u64) -> (World, crate::support::Session) {
    let mut world = recovering(|recovery| {
        recovery.max_disconnection = Duration::from_secs(max_disconnection);
    });
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    world.cut(client);
    world.server.at(world.now).emit(socket, &event("m", 1)).unwrap();
    (world, session)
}

#[test]
fn a_claim_that_waits_in_its_socket_finds_its_session() {
    for timers_first in [true, false] {
        let (mut world, session) = parked(60);
        world.now = world.now.saturating_add(HOUR);
        if timers_first {
            world.input(ServerInput::Timeout);
        }
        let (client, _) = world.claim(&session, None);
        let (_, outcome) = world.connected();
        assert_eq!(outcome, RecoveryOutcome::Recovered { replayed: 1 });
        assert_eq!(crate::support::numbers(&world.texts(client)).0, [1]);
    }
}

#[test]
fn a_link_that_was_lost_in_the_pause_does_not_end_the_sessions_that_wait() {
    let (mut world, session) = parked(60);
    let (other, _) = world.connect();
    world.now = world.now.saturating_add(HOUR);
    world.cut(other);
    world.claim(&session, None);
    let (_, outcome) = world.connected();
    assert!(outcome.is_recovered(), "{outcome:?}");
}

#[test]
fn a_session_that_nobody_claims_expires_soon_after_the_pause() {
    let (mut world, session) = parked(60);
    pause(&mut world, HOUR);
    world.advance(PING_TIMEOUT);
    let expired =
        world.pick(|event| matches!(event, ServerEvent::SessionExpired { .. }).then_some(()));
    assert_eq!(expired.len(), 1);
    world.claim(&session, None);
    let (_, outcome) = world.connected();
    assert!(!outcome.is_recovered());
}

#[test]
fn an_acknowledgement_that_waits_in_its_socket_is_in_time() {
    let mut world = World::with_recovery();
    let (client, _) = world.connect();
    let (socket, _) = world.connected();
    let timeout = Duration::from_secs(5);
    world.server.at(world.now).emit_with_ack(socket, &event("ask", 1), timeout).unwrap();
    world.server.at(world.now).emit_with_ack(socket, &event("ask", 2), timeout).unwrap();
    world.drain();
    pause(&mut world, Duration::from_secs(20));
    world.send(client, "430[]");
    world.advance(Duration::from_secs(15));
    let settled = world.pick(|event| match event {
        ServerEvent::Acked { .. } => Some(None),
        ServerEvent::AckFailed { cause, .. } => Some(Some(*cause)),
        _ => None,
    });
    assert_eq!(settled, [None, Some(AckFailure::Timeout)]);
}

/// How the acknowledgements were settled since the last call, by number: answered, or not in time.
fn settled(world: &mut World) -> Vec<(AckId, bool)> {
    world.pick(|event| match event {
        ServerEvent::Acked { ack, .. } => Some((*ack, true)),
        ServerEvent::AckFailed { ack, cause: AckFailure::Timeout, .. } => Some((*ack, false)),
        _ => None,
    })
}

/// The grace period is for what the client may have sent before. It delayed the end of every
/// acknowledgement, by up to 20 seconds.
#[test]
fn an_acknowledgement_that_is_asked_for_after_a_pause_has_its_own_time() {
    let mut world = World::new(recovery_config().ping_interval(HOUR));
    let (client, _) = world.connect();
    let (socket, _) = world.connected();
    let ask = |world: &mut World, seconds: u64| {
        let timeout = Duration::from_secs(seconds);
        let asked = world.server.at(world.now).emit_with_ack(socket, &event("ask", 1), timeout);
        world.drain();
        asked.unwrap()
    };
    let before = [ask(&mut world, 10), ask(&mut world, 25)];
    pause(&mut world, Duration::from_secs(20));
    // The grace period takes ten seconds.
    let after = [ask(&mut world, 2), ask(&mut world, 4), ask(&mut world, 30)];
    world.advance(Duration::from_millis(1_999));
    assert_eq!(settled(&mut world), []);
    world.advance(Duration::from_millis(1));
    assert_eq!(settled(&mut world), [(after[0], false)]);
    world.send(client, "433[]");
    assert_eq!(settled(&mut world), [(after[1], true)]);
    world.advance(Duration::from_millis(7_999));
    assert_eq!(settled(&mut world), []);
    world.advance(Duration::from_millis(1));
    assert_eq!(settled(&mut world), [(before[0], false), (before[1], false)]);
    world.advance(Duration::from_secs(20));
    assert_eq!(settled(&mut world), [(after[2], false)]);
    assert_eq!(world.server.stats().pending_acks, 0);
}

/// The answers to what was asked for after the first one may wait in the socket, too.
#[test]
fn an_acknowledgement_waits_for_the_end_of_a_grace_period_if_there_is_another_pause_in_it() {
    for is_answered in [true, false] {
        let mut world = World::new(recovery_config().ping_interval(HOUR));
        let (client, _) = world.connect();
        let (socket, _) = world.connected();
        let ask = |world: &mut World| {
            let timeout = Duration::from_secs(2);
            let asked = world.server.at(world.now).emit_with_ack(socket, &event("ask", 1), timeout);
            world.drain();
            asked.unwrap()
        };
        let before = ask(&mut world);
        pause(&mut world, Duration::from_secs(22));
        let after = ask(&mut world);
        pause(&mut world, Duration::from_secs(5));
        assert_eq!(settled(&mut world), []);
        if is_answered {
            world.send(client, "431[]");
            assert_eq!(settled(&mut world), [(after, true)]);
        }
        world.advance(Duration::from_secs(15));
        let expected = [(before, false), (after, false)];
        assert_eq!(settled(&mut world), expected[..2 - usize::from(is_answered)]);
    }
}

/// Only the timer of a ping was late, by 20 seconds: what the hub waits for is due right behind the pause. It was
/// judged on time, while the answer or the claim was still waiting in its socket.
#[test]
fn what_is_due_right_behind_a_pause_waits_in_its_socket_as_well() {
    for due_after in [1, 50, 6_000, 20_000] {
        let time = Duration::from_millis(45_000 + due_after);
        let mut world = recovering(|recovery| recovery.max_disconnection = time);
        let (client, _) = world.connect();
        let (socket, _) = world.connected();
        let (gone, session) = world.connect();
        world.connected();
        for number in 1..=2 {
            let asked = event("ask", number);
            world.server.at(world.now).emit_with_ack(socket, &asked, time).unwrap();
        }
        world.drain();
        world.cut(gone);
        pause(&mut world, Duration::from_secs(45));
        world.send(client, "3");
        let asked = event("ask", 3);
        let own_time = Duration::from_millis(500);
        let after = world.server.at(world.now).emit_with_ack(socket, &asked, own_time).unwrap();
        world.drain();
        world.advance(own_time);
        assert_eq!(settled(&mut world), [(after, false)], "it was asked for after the pause");
        world.advance(Duration::from_millis(due_after.saturating_sub(500)));
        if due_after == 20_000 {
            // The grace period is as long as the ping was late.
            assert_eq!(settled(&mut world).len(), 2);
            continue;
        }
        world.send(client, "430[]");
        assert!(matches!(settled(&mut world)[..], [(_, true)]), "{due_after}");
        world.claim(&session, None);
        assert!(world.connected().1.is_recovered(), "{due_after}");
        world.advance(PING_TIMEOUT);
        assert!(matches!(settled(&mut world)[..], [(_, false)]), "{due_after}");
    }
}

/// Links and a hub, each with its own timer.
#[test]
fn links_and_a_hub_on_threads_of_their_own_wait_as_well() {
    let mut recovery = RecoveryConfig::default();
    recovery.max_disconnection = Duration::from_secs(60);
    let config = Arc::new(ServerConfig::new().recovery(recovery));
    let mut hub = Hub::<()>::new(config.clone(), counting_entropy()).unwrap();
    hub.at(Timestamp::ZERO).add_namespace("/").unwrap();
    let (id, start) = (EngineId::parse("abcdefghijklmnopqrst").unwrap(), Timestamp::from_millis(1));
    let mut link = Link::new(start, config, id, Transport::WebSocket, WireId(0));
    let text = |text: &'static str| EngineInput::Frame {
        wire: WireId(0),
        frame: Frame::Text(text.into()),
    };
    let mut now = start;
    link.handle_input(now, text("40"));
    carry(&mut hub, &mut link, now);

    now = link.deadline().expect("the ping");
    link.handle_input(now, EngineInput::Timeout);
    carry(&mut hub, &mut link, now);
    now = now.saturating_add(HOUR);
    link.handle_input(now, EngineInput::Timeout);
    assert!(!link.is_closed());
    link.handle_input(now, text("3"));
    now = link.deadline().expect("the next ping");
    link.handle_input(now, EngineInput::Timeout);
    assert!(!link.is_closed());
    link.handle_input(now, EngineInput::WireClosed { wire: WireId(0) });
    carry(&mut hub, &mut link, now);

    now = now.saturating_add(HOUR);
    hub.handle_timeout(now);
    assert_eq!(hub.stats().parked_sessions, 1, "its claim may wait in a mailbox");
    now = hub.deadline().expect("the end of the grace period");
    hub.handle_timeout(now);
    assert_eq!(hub.stats().parked_sessions, 0);
}

fn carry(hub: &mut Hub<()>, link: &mut Link, now: Timestamp) -> Option<SocketKey> {
    let from = ConnectionId::from_raw(0);
    let mut connected = None;
    loop {
        while let Some(output) = link.poll_output() {
            if let LinkOutput::Hub(request) = output {
                hub.handle_request(now, from, request);
            }
        }
        match hub.poll_output() {
            Some(socketio_proto::hub::HubOutput::Reply { reply, .. }) => {
                link.handle_reply(now, reply);
            }
            Some(socketio_proto::hub::HubOutput::Event(ServerEvent::ConnectRequested {
                request,
                ..
            })) => {
                connected = hub.at(now).accept(request);
            }
            Some(_) => {}
            None => return connected,
        }
    }
}
