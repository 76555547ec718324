//! Exactly once from the client to the server: with official clients by an offset that the
//! application adds, with clients that count their events by their number.

#[cfg(test)]
mod support;

/// Raw packets, as an official client sends them.
#[cfg(test)]
mod raw {
    use socketio_proto::{
        Limits, SocketKey,
        hub::{AckToken, Once, OnceError},
        server::Event,
        socket::Args,
    };

    use crate::support::{Client, World, recovery_config};

    /// Takes the event that was received: the socket, the offset and the token.
    fn received(world: &mut World) -> (SocketKey, String, Option<AckToken>) {
        let found = world.events.drain(..).find_map(|event| match event {
            Event::Received { socket, event, ack } => Some((socket, event.get(1).unwrap(), ack)),
            _ => None,
        });
        found.expect("an event")
    }

    /// What an application does: handles it if it is fresh.
    fn accept(world: &mut World) -> Once {
        let (socket, offset, token) = received(world);
        let once = world.server.accept_once(world.now, socket, &offset, token).unwrap();
        world.drain();
        once
    }

    fn fresh(world: &mut World) -> AckToken {
        match accept(world) {
            Once::Fresh(Some(token)) => token,
            other => panic!("not fresh: {other:?}"),
        }
    }

    fn ack(world: &mut World, token: AckToken, text: &str) -> bool {
        let is_taken = world.server.ack(world.now, token, &Args::new(&(text,)).unwrap());
        world.drain();
        is_taken
    }

    fn sent(world: &mut World, client: Client) -> Vec<String> {
        world.texts(client)
    }

    #[test]
    fn a_duplicate_is_acknowledged_with_the_stored_answer() {
        let mut world = World::with_recovery();
        let (client, session) = world.connect();
        world.send(client, r#"421["m","x","o-1"]"#);
        let token = fresh(&mut world);
        assert!(ack(&mut world, token, "first"));
        world.send(client, r#"422["m","x","o-1"]"#);
        assert_eq!(accept(&mut world), Once::Duplicate);
        assert_eq!(sent(&mut world, client), [r#"431["first"]"#, r#"432["first"]"#]);

        // Recovered, and taken over while the former link is thought to be alive.
        world.cut(client);
        let (client, session) = world.claim(&session, None);
        world.send(client, r#"423["m","x","o-1"]"#);
        assert_eq!(accept(&mut world), Once::Duplicate);
        assert_eq!(sent(&mut world, client), [r#"433["first"]"#]);
        let (client, _) = world.claim(&session, None);
        world.send(client, r#"420["m","x","o-1"]"#);
        assert_eq!(accept(&mut world), Once::Duplicate);
        assert_eq!(sent(&mut world, client), [r#"430["first"]"#]);

        // Another session has a window of its own.
        let (client, _) = world.connect();
        world.send(client, r#"421["m","x","o-1"]"#);
        fresh(&mut world);
    }

    #[test]
    fn a_duplicate_waits_for_the_answer_to_the_first() {
        let mut world = World::with_recovery();
        let (client, session) = world.connect();
        world.send(client, r#"421["m","x","o-1"]"#);
        let token = fresh(&mut world);
        world.cut(client);
        let (client, _) = world.claim(&session, None);
        world.send(client, r#"422["m","x","o-1"]"#);
        assert_eq!(accept(&mut world), Once::Duplicate);
        assert!(sent(&mut world, client).is_empty(), "it is still being handled");
        assert!(ack(&mut world, token, "late"));
        assert_eq!(sent(&mut world, client), [r#"432["late"]"#], "the present try is answered");
    }

    #[test]
    fn an_answer_given_while_parked_is_kept() {
        let mut world = World::with_recovery();
        let (client, session) = world.connect();
        world.send(client, r#"421["m","x","o-1"]"#);
        let token = fresh(&mut world);
        world.cut(client);
        assert!(ack(&mut world, token, "kept"));
        let (client, _) = world.claim(&session, None);
        world.send(client, r#"425["m","x","o-1"]"#);
        assert_eq!(accept(&mut world), Once::Duplicate);
        assert_eq!(sent(&mut world, client), [r#"435["kept"]"#]);
    }

    #[test]
    fn an_event_that_asked_for_nothing_is_once_as_well() {
        let mut world = World::with_recovery();
        let (client, _) = world.connect();
        world.send(client, r#"42["m","x","o-1"]"#);
        assert_eq!(accept(&mut world), Once::Fresh(None));
        world.send(client, r#"421["m","x","o-1"]"#);
        assert_eq!(accept(&mut world), Once::Duplicate);
        assert_eq!(sent(&mut world, client), ["431[]"]);
    }

    #[test]
    fn the_window_is_bounded_as_documented() {
        let mut limits = Limits::default();
        limits.client_offsets = 3;
        let mut world = World::new(recovery_config().limits(limits));
        let (client, _) = world.connect();
        let mut send = |offset: u32| {
            world.send(client, &format!(r#"42["m","x","o-{offset}"]"#));
            accept(&mut world)
        };
        for offset in 0..4 {
            assert_eq!(send(offset), Once::Fresh(None));
        }
        for offset in 1..4 {
            assert_eq!(send(offset), Once::Duplicate);
        }
        assert_eq!(send(0), Once::Fresh(None), "out of the window");
        assert_eq!(Limits::default().client_offsets, 1_024);
    }

    #[test]
    fn offsets_that_cannot_be_remembered_are_refused() {
        let mut world = World::with_recovery();
        let (client, _) = world.connect();
        let (socket, _) = world.connected();
        let long = "x".repeat(256);
        for offset in ["", &long] {
            let result = world.server.accept_once(world.now, socket, offset, None);
            assert_eq!(result, Err(OnceError::OffsetLength { limit: 255 }));
        }
        world.send(client, "41");
        let result = world.server.accept_once(world.now, socket, "a", None);
        assert_eq!(result, Err(OnceError::UnknownSocket));
    }

    #[test]
    fn what_arrives_on_a_former_link_is_not_counted() {
        let mut world = World::with_recovery();
        let (client, session) = world.connect();
        world.send(client, "43[]");
        world.send(client, r#"42["m",1]"#);
        world.send(client, "43[]");
        assert_eq!(sent(&mut world, client), ["43[0]", "43[1]"]);
        let next = world.open();
        world.send(next, &crate::support::claim_packet(&session, None));
        world.events.clear();
        world.send(client, r#"42["m",2]"#);
        assert!(world.events.is_empty(), "the client sends it on the new link");
        let answer = world.text(next);
        assert!(answer.ends_with(r#","received":1}"#), "{answer}");
    }

    #[test]
    fn asking_is_bounded_by_what_is_kept() {
        let mut world = World::with_recovery();
        let (client, _) = world.connect();
        world.send(client, "43[]");
        world.send(client, r#"427["m",1]"#);
        let token = world.token();
        assert!(ack(&mut world, token, "ok"));
        sent(&mut world, client);
        world.send(client, "43[7,7,7,8,9007199254740993]");
        assert_eq!(sent(&mut world, client), ["43[1]", r#"437["ok"]"#], "each once");
        for nonsense in [r#"43["7"]"#, "43[-1]", "43[{}]"] {
            world.send(client, nonsense);
            assert!(sent(&mut world, client).is_empty(), "{nonsense}");
        }
    }

    #[test]
    fn an_answer_is_kept_until_it_has_arrived() {
        let mut world = World::with_recovery();
        let (client, _) = world.connect();
        world.send(client, "43[]");
        world.send(client, r#"421["m",1]"#);
        let token = world.token();
        assert!(ack(&mut world, token, "ok"));
        world.send(client, "43[]");
        world.send(client, "43[1]");
        let kept = ["43[0]", r#"431["ok"]"#, "43[1]", "43[1]", r#"431["ok"]"#];
        assert_eq!(sent(&mut world, client), kept);
        world.send(client, "43[]");
        world.send(client, "43[]");
        world.send(client, "43[1]");
        assert_eq!(sent(&mut world, client), ["43[1]"; 3]);
    }

    #[test]
    fn a_client_that_does_not_count_sees_no_difference() {
        let mut world = World::with_recovery();
        let (client, session) = world.connect();
        world.send(client, r#"421["m",1]"#);
        let token = world.token();
        world.cut(client);
        assert!(!ack(&mut world, token, "lost"), "the reference loses it as well (H40)");
        let (client, _) = world.claim(&session, None);
        assert!(sent(&mut world, client).is_empty());
    }
}
