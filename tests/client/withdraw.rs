//! The client sends an event again if the server had accepted it but could not handle it.

/// Official clients, with an offset of the application's.
#[cfg(test)]
mod offsets {
    use socketio_proto::{
        Limits, SocketKey,
        hub::{AckToken, Once},
        server::ServerEvent,
        socket::Args,
    };

    use crate::support::{Client, World, recovery_config};

    fn accept(world: &mut World) -> Once {
        let (socket, offset, token): (SocketKey, String, _) = world
            .events
            .drain(..)
            .find_map(|event| match event {
                ServerEvent::Received { socket, event, ack, .. } => {
                    Some((socket, event.get(0).unwrap(), ack))
                }
                _ => None,
            })
            .expect("an event");
        let once = world.server.at(world.now).accept_once(socket, &offset, token).unwrap();
        world.drain();
        once
    }

    fn fresh(world: &mut World) -> AckToken {
        match accept(world) {
            Once::Fresh(Some(token)) => token,
            other => panic!("not fresh: {other:?}"),
        }
    }

    fn ack(world: &mut World, token: AckToken) {
        assert!(world.server.at(world.now).ack(token, &Args::empty()));
        world.drain();
    }

    fn send(world: &mut World, client: Client, id: u32) {
        world.send(client, &format!(r#"42{id}["m","o-1"]"#));
    }

    #[test]
    fn a_withdrawn_event_is_fresh_when_it_comes_again() {
        let mut world = World::new(recovery_config());
        let (client, _) = world.connect();
        send(&mut world, client, 1);
        let token = fresh(&mut world);
        assert!(world.server.at(world.now).withdraw(token));
        world.drain();
        assert!(world.texts(client).is_empty(), "nobody is told");
        send(&mut world, client, 2);
        let token = fresh(&mut world);
        ack(&mut world, token);
        send(&mut world, client, 3);
        assert_eq!(accept(&mut world), Once::Duplicate);
        assert_eq!(world.texts(client), ["432[]", "433[]"]);
    }

    #[test]
    fn a_try_that_waits_for_the_answer_gets_none_and_the_next_one_is_fresh() {
        let mut world = World::new(recovery_config());
        let (client, _) = world.connect();
        send(&mut world, client, 1);
        let token = fresh(&mut world);
        send(&mut world, client, 2);
        assert_eq!(accept(&mut world), Once::Duplicate);
        assert!(world.server.at(world.now).withdraw(token));
        send(&mut world, client, 3);
        let token = fresh(&mut world);
        ack(&mut world, token);
        assert_eq!(world.texts(client), ["433[]"], "the earlier tries are over");
    }

    #[test]
    fn a_parked_session_can_be_withdrawn_from_and_one_that_is_over_cannot() {
        let mut world = World::new(recovery_config());
        let (client, session) = world.connect();
        send(&mut world, client, 1);
        let token = fresh(&mut world);
        world.cut(client);
        assert!(world.server.at(world.now).withdraw(token));
        let (client, _) = world.claim(&session, None);
        send(&mut world, client, 1);
        let token = fresh(&mut world);
        world.send(client, "41");
        assert!(!world.server.at(world.now).withdraw(token), "over");
    }

    #[test]
    fn what_was_never_accepted_or_is_out_of_the_window_cannot_be_withdrawn() {
        let mut limits = Limits::default();
        limits.client_offsets = 1;
        let mut world = World::new(recovery_config().limits(limits));
        let (client, _) = world.connect();
        send(&mut world, client, 1);
        let token = world.token();
        assert!(!world.server.at(world.now).withdraw(token));

        send(&mut world, client, 2);
        let token = fresh(&mut world);
        world.send(client, r#"423["m","o-2"]"#);
        let later = fresh(&mut world);
        assert!(!world.server.at(world.now).withdraw(token), "forgotten for the later one");
        assert!(world.server.at(world.now).withdraw(later));
    }
}

/// The client of this crate, whose events are counted.
#[cfg(test)]
mod counted {
    use std::time::Duration;

    use socketio_proto::{
        client::{ClientAckFailure, ClientConfig},
        hub::AckToken,
        server::ServerEvent,
        socket::Args,
    };

    use crate::client_support::{Pair, Scripted, event, recovering, websocket};

    const SECOND: Duration = Duration::from_secs(1);

    fn pair(retries: u32) -> Pair {
        let config = websocket().retries(retries).ack_timeout(SECOND);
        let mut pair = Pair::connected(config, recovering());
        pair.auto_ack = false;
        pair
    }

    /// The numbers and the tokens of the events that the server has received.
    fn received(pair: &mut Pair) -> Vec<(u64, AckToken)> {
        pair.settle();
        let events = pair.server_events.drain(..);
        events
            .filter_map(|event| match event {
                ServerEvent::Received { event, ack, .. } => Some((event.get(0).unwrap(), ack?)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn the_client_sends_it_again_when_it_asks_and_keeps_the_order() {
        let mut pair = pair(3);
        for number in 0..2 {
            pair.client.emit_with_retries(pair.now, "/", &event("m", number)).unwrap();
        }
        let mut order = Vec::new();
        for failures in [2, 0] {
            for _ in 0..failures {
                let (number, token) = received(&mut pair).pop().unwrap();
                order.push(number);
                assert!(pair.server.at(pair.now).withdraw(token));
                assert!(received(&mut pair).is_empty(), "after its ack_timeout only");
                pair.advance(SECOND);
            }
            let (number, token) = received(&mut pair).pop().unwrap();
            order.push(number);
            pair.server.at(pair.now).ack(token, &Args::new(&(number,)).unwrap());
        }
        pair.settle();
        assert_eq!(order, [0, 0, 0, 1]);
        assert_eq!(pair.outcomes(), [Ok("[0]".to_owned()), Ok("[1]".to_owned())]);
    }

    #[test]
    fn it_is_sent_as_often_as_to_any_server() {
        let mut pair = pair(2);
        pair.client.emit_with_retries(pair.now, "/", &event("m", 7)).unwrap();
        let mut times = 0;
        for _ in 0..10 {
            for (_, token) in received(&mut pair) {
                times += 1;
                assert!(pair.server.at(pair.now).withdraw(token));
            }
            pair.advance(SECOND);
        }
        assert_eq!((times, pair.outcomes()), (3, vec![Err(ClientAckFailure::Timeout)]));
    }

    #[test]
    fn it_is_sent_again_as_soon_as_a_parked_session_goes_on() {
        for is_withdrawn_first in [true, false] {
            let mut pair = pair(5);
            pair.client.emit_with_retries(pair.now, "/", &event("m", 7)).unwrap();
            let (_, token) = received(&mut pair).pop().unwrap();
            let mut token = Some(token);
            if is_withdrawn_first {
                pair.server.at(pair.now).withdraw(token.take().unwrap());
            }
            pair.cut();
            if let Some(token) = token {
                assert!(pair.server.at(pair.now).withdraw(token), "parked");
            }
            pair.client.reconnect(pair.now);
            let (_, token) = received(&mut pair).pop().expect("sent again at once");
            assert!(pair.client.is_recovered("/"));
            pair.server.at(pair.now).ack(token, &Args::empty());
            pair.settle();
            assert_eq!(pair.outcomes(), [Ok("[]".to_owned())]);
        }
    }

    #[test]
    fn an_offset_goes_with_it() {
        let mut pair = pair(3);
        pair.client.emit_with_retries(pair.now, "/", &event("m", 7)).unwrap();
        for is_last in [false, true] {
            let (_, token) = received(&mut pair).pop().unwrap();
            let socket = token.socket();
            let once = pair.server.at(pair.now).accept_once(socket, "o-7", Some(token)).unwrap();
            let socketio_proto::hub::Once::Fresh(Some(token)) = once else {
                panic!("{once:?}");
            };
            if is_last {
                pair.server.at(pair.now).ack(token, &Args::empty());
            } else {
                assert!(pair.server.at(pair.now).withdraw(token));
                pair.advance(SECOND);
            }
        }
        pair.settle();
        assert_eq!(pair.outcomes(), [Ok("[]".to_owned())]);
    }

    #[test]
    fn one_emitted_without_retries_times_out() {
        let mut pair = pair(3);
        pair.client.emit_with_ack(pair.now, "/", &event("m", 7), 5 * SECOND).unwrap();
        let (_, token) = received(&mut pair).pop().unwrap();
        assert!(pair.server.at(pair.now).withdraw(token));
        pair.cut();
        pair.reconnect();
        pair.advance(5 * SECOND);
        assert!(received(&mut pair).is_empty());
        assert_eq!(pair.outcomes(), [Err(ClientAckFailure::Timeout)]);
    }

    /// Otherwise a server could have an event sent for ever.
    #[test]
    fn a_server_that_was_not_asked_has_nothing_sent_again() {
        let mut scripted = Scripted::connecting(ClientConfig::new());
        scripted.text(r#"40{"sid":"s1","pid":"p1","received":0}"#);
        scripted.client.emit_with_retries(scripted.now, "/", &event("m", 1)).unwrap();
        // The first event of the session, so its id is 0.
        assert!(scripted.take_sent().contains(&r#"420["m",1]"#.to_owned()));
        for _ in 0..3 {
            scripted.text("43[1,0]");
        }
        assert!(scripted.take_sent().is_empty());
        scripted.expire();
        assert_eq!(scripted.take_sent(), ["43[0]"]);
        for text in ["43[1,0]", "43[1,0]", "43[2,1]", "43[2,1]"] {
            scripted.text(text);
        }
        let sent = scripted.take_sent();
        let events: Vec<&String> = sent.iter().filter(|text| text.starts_with("42")).collect();
        assert_eq!(events, [r#"421["m",1]"#]);
    }
}
