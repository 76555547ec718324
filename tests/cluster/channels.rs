//! Namespaces that are spread over two channels: `/` is in the first one, `/b` in the second one.

use socketio_proto::{
    ConfigError, RecoveryConfig, ServerConfig,
    cluster::{
        Channels, ClusterConfig, ClusterInput,
        message::{Body, BroadcastOptions, ClusterBroadcast, Message},
    },
    hub::DisconnectReason,
    recovery::Offset,
    server::{Server, ServerEvent},
    socket::{Event, NamespaceName},
};

use crate::{
    fleet::{Client, Fleet, Flight, name},
    moves::ids,
};

fn layout() -> Channels {
    Channels::new(2, |namespace, _| u32::from(namespace.as_str() == "/b"))
}

fn disconnected(nodes: usize) -> Fleet {
    let config = ServerConfig::new().recovery(RecoveryConfig::new());
    Fleet::with_channels(nodes, &config, layout())
}

fn connected(nodes: usize) -> Fleet {
    let mut fleet = disconnected(nodes);
    for node in 0..nodes {
        fleet.connect(node);
    }
    fleet
}

fn emit(fleet: &mut Fleet, node: usize, namespace: &str, name: &str) {
    let event = Event::new(name, &()).unwrap();
    let all = socketio_proto::hub::Audience::all();
    fleet.at(node, |at| at.broadcast(namespace, &all, &event).unwrap());
}

fn is_answered(fleet: &Fleet, client: Client) -> bool {
    fleet.frames(client).iter().any(|frame| frame.starts_with("40"))
}

#[test]
fn each_namespace_is_in_its_channel() {
    let mut fleet = connected(2);
    let clients = [fleet.open(0), fleet.open(1)];
    let others = [fleet.open_with(0, "40/b,"), fleet.open_with(1, "40/b,")];
    emit(&mut fleet, 0, "/", "first");
    emit(&mut fleet, 1, "/b", "second");
    fleet.settle();
    for client in clients {
        assert_eq!(fleet.frames(client)[1..], [r#"42["first","7000-0"]"#]);
    }
    for client in others {
        assert_eq!(fleet.frames(client)[1..], [r#"42/b,["second","7000-0"]"#]);
    }
    assert_eq!((fleet.channel.entries.len(), fleet.second.entries.len()), (1, 1));
}

/// What a node does in one namespace waits for the entries of its channel only.
#[test]
fn a_channel_that_is_behind_holds_up_only_its_own_namespaces() {
    let mut fleet = connected(1);
    let (here, there) = (fleet.open(0), fleet.open_with(0, "40/b,"));
    let sockets = [here, there].map(|client| fleet.socket(client));
    emit(&mut fleet, 0, "/", "first");
    fleet.at(0, |at| {
        assert!(at.join(sockets[0], "room").unwrap());
        assert!(at.join(sockets[1], "room").unwrap());
    });
    let server = &fleet.nodes[0].server;
    assert_eq!(sockets.map(|socket| server.rooms(socket).count()), [1, 2]);
    assert_eq!(server.stats().channel_waiting, 2);
    emit(&mut fleet, 0, "/b", "second");
    fleet.at(0, |at| assert!(at.disconnect(sockets[1], false)));
    fleet.take(0, 2);
    fleet.read_second(0, 1);
    assert_eq!(fleet.frames(there)[1..], [r#"42/b,["second","7000-0"]"#, "41/b,"]);
    assert!(fleet.got(here).is_empty());
    fleet.settle();
    assert_eq!(fleet.got(here), ["first"]);
    assert_eq!(fleet.nodes[0].server.stats().channel_waiting, 0);
}

#[test]
fn clients_wait_only_for_the_channel_of_their_namespace() {
    let mut fleet = disconnected(2);
    fleet.connect(0);
    emit(&mut fleet, 0, "/", "old");
    fleet.settle();
    let (early, late) = (fleet.open_with(1, "40/b,"), fleet.open(1));
    fleet.connect_second(1);
    assert!(is_answered(&fleet, early), "its channel was empty");
    assert!(!is_answered(&fleet, late));
    fleet.connect(1);
    assert!(!is_answered(&fleet, late), "the node has not read the old entry");
    fleet.read(1, 1);
    assert!(is_answered(&fleet, late));
}

/// The application and the clients of other namespaces notice nothing but a lost link.
#[test]
fn a_gap_ends_only_the_sessions_of_its_channel() {
    let mut fleet = connected(2);
    let (here, there) = (fleet.open(0), fleet.open_with(0, "40/b,"));
    let both = fleet.open(0);
    fleet.send(both, "40/b,");
    emit(&mut fleet, 1, "/b", "seen");
    fleet.settle();
    let answer = fleet.frames(both).iter().find(|frame| frame.starts_with("40/b,")).unwrap();
    let pid = answer.split('"').nth(7).unwrap().to_owned();
    fleet.cut(0, 0);
    emit(&mut fleet, 1, "/", "trimmed");
    emit(&mut fleet, 1, "/b", "missed");
    fleet.settle();
    fleet.channel.trimmed = 1;
    fleet.nodes[0].events.clear();
    fleet.connect(0);
    fleet.settle();
    assert_eq!(fleet.got(here), ["closed"]);
    assert_eq!(fleet.frames(there).last().unwrap(), r#"42/b,["missed","7000-1"]"#);
    let reasons = fleet.nodes[0].events.iter().filter_map(|event| match event {
        ServerEvent::Disconnected { namespace, reason, .. } => Some((namespace.as_str(), *reason)),
        _ => None,
    });
    let mut reasons: Vec<_> = reasons.map(|it| format!("{it:?}")).collect();
    reasons.sort();
    let expected = [
        ("/", DisconnectReason::ChannelGap),
        ("/", DisconnectReason::ChannelGap),
        ("/b", DisconnectReason::ForcedClose),
    ];
    assert_eq!(reasons, expected.map(|it| format!("{it:?}")));
    assert_eq!(fleet.frames(both).last().unwrap(), "closed");
    let claim = format!(r#"40/b,{{"pid":"{pid}","offset":"7000-0"}}"#);
    let back = fleet.open_with(0, &claim);
    fleet.settle();
    assert_eq!(fleet.frames(back)[0], *answer_of(&pid, &fleet, both));
    assert_eq!(fleet.frames(back)[1..], [r#"42/b,["missed","7000-1"]"#]);
}

fn answer_of<'a>(pid: &str, fleet: &'a Fleet, client: Client) -> &'a String {
    fleet.frames(client).iter().find(|frame| frame.contains(pid)).unwrap()
}

/// The reader of one stream may fail alone.
#[test]
fn one_channel_is_connected_again() {
    let mut fleet = connected(1);
    let (here, there) = (fleet.open(0), fleet.open_with(0, "40/b,"));
    emit(&mut fleet, 0, "/b", "taken");
    emit(&mut fleet, 0, "/b", "lost on the way");
    fleet.take(0, 1);
    fleet.nodes[0].in_flight.clear();
    fleet.connect_second(0);
    emit(&mut fleet, 0, "/", "m");
    fleet.settle();
    let got = [r#"42/b,["taken","7000-0"]"#, r#"42/b,["lost on the way","7000-1"]"#];
    assert_eq!(fleet.frames(there)[1..], got);
    assert_eq!(fleet.got(here), ["m"]);
}

#[test]
fn an_entry_that_the_engine_refuses_holds_up_nothing_in_any_channel() {
    let mut fleet = connected(1);
    let (here, there) = (fleet.open(0), fleet.open_with(0, "40/b,"));
    let sockets = [here, there].map(|client| fleet.socket(client));
    for (namespace, socket) in [("/", sockets[0]), ("/b", sockets[1])] {
        emit(&mut fleet, 0, namespace, "refused");
        fleet.at(0, |at| assert!(at.join(socket, "room").unwrap()));
    }
    let refused: Vec<_> = fleet.nodes[0].in_flight.drain(..).collect();
    for message in refused {
        let Flight::Append(message) = message else { panic!("{message:?}") };
        fleet.input(0, ClusterInput::Rejected { sequence: message.stamp.unwrap().sequence });
    }
    let server = &fleet.nodes[0].server;
    assert_eq!(sockets.map(|socket| server.rooms(socket).count()), [2, 2]);
    assert_eq!(server.stats().total.appends_lost, 2);
}

/// The emitter of the reference knows only one stream. Its entries stop nothing, and are counted.
#[test]
fn h74_an_entry_in_the_channel_of_other_namespaces_is_skipped() {
    let mut fleet = connected(1);
    let (here, there) = (fleet.open(0), fleet.open_with(0, "40/b,"));
    let event = Event::new("misplaced", &()).unwrap();
    let broadcast = ClusterBroadcast::new(BroadcastOptions::all(), event);
    let namespace = NamespaceName::new("/b").unwrap();
    let message = Message::new(name(9), namespace, Body::Broadcast(broadcast));
    fleet.channel.entries.push(Some(message.clone()));
    emit(&mut fleet, 0, "/", "m");
    fleet.settle();
    assert_eq!(fleet.got(here), ["m"]);
    assert_eq!(fleet.frames(there).len(), 1);
    assert_eq!(fleet.nodes[0].server.stats().total.entries_skipped, 1);
    let position = Offset::pair(9_000, 0);
    let message = Some(message);
    fleet.input(0, ClusterInput::Entry { channel: 2, position, message });
    assert_eq!(fleet.frames(there).len(), 1, "there is no such channel");
}

#[test]
fn a_session_of_the_second_channel_moves() {
    let mut fleet = connected(2);
    let client = fleet.open_with(0, "40/b,");
    emit(&mut fleet, 0, "/b", "processed");
    fleet.settle();
    let answer = fleet.frames(client)[0].clone();
    let (pid, _) = ids(&fleet, client);
    // Positions of the first channel are larger.
    for _ in 0..9 {
        emit(&mut fleet, 0, "/", "noise");
    }
    emit(&mut fleet, 0, "/b", "missed");
    fleet.settle();
    fleet.lose(client);
    let claim = format!(r#"40/b,{{"pid":"{pid}","offset":"7000-0"}}"#);
    let back = fleet.open_with(1, &claim);
    fleet.settle();
    assert_eq!(fleet.frames(back)[0], answer);
    assert_eq!(fleet.frames(back)[1..], [r#"42/b,["missed","7000-1"]"#]);
    assert_eq!(fleet.nodes[1].server.stats().total.sessions_arrived, 1);
}

#[test]
fn the_number_of_channels_is_bounded() {
    let made = |count| {
        let config = ClusterConfig::new(name(0)).channels(Channels::new(count, |_, _| u32::MAX));
        Server::<u32>::clustered(ServerConfig::new(), config, |dest: &mut [u8]| dest.fill(7))
    };
    let refused = ConfigError::OutOfRange { field: "cluster.channels" };
    for count in [0, Channels::MAX + 1, u32::MAX] {
        assert_eq!(made(count).map(|_| ()), Err(refused));
    }
    assert!(made(Channels::MAX).is_ok());
    let channels = Channels::new(3, |_, _| 5);
    assert_eq!(channels.of(&NamespaceName::ROOT), 2, "it is always one that exists");
}
