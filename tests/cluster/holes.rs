//! Holes of the reference that are about streams and stores.

use socketio_proto::{
    RecoveryConfig, ServerConfig,
    cluster::message::{Body, BroadcastFlags, BroadcastOptions, ClusterBroadcast, Message, NodeId},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    socket::{Event, NamespaceName},
};

use crate::{
    fleet::{Client, Fleet},
    moves::{ids, outcome},
};

/// An event that an official node has put into the channel.
fn official(name: &str, options: BroadcastOptions) -> Message {
    let broadcast = ClusterBroadcast::new(options, Event::new(name, &()).unwrap());
    let node = NodeId::new("f0aebfa2cd17e8df").unwrap();
    Message::new(node, NamespaceName::ROOT, Body::Broadcast(broadcast))
}

/// A client at node 0 that has processed the entry at 7000-0 and is away. Returns its private id.
fn parked(fleet: &mut Fleet) -> String {
    let client = fleet.open(0);
    fleet.at(0, |at| at.all().emit("processed", &()).unwrap());
    fleet.settle();
    fleet.lose(client);
    ids(fleet, client).0
}

fn come_back(fleet: &mut Fleet, namespace: &str, pid: &str) -> Client {
    let claim = format!(r#"40{namespace}{{"pid":"{pid}","offset":"7000-0"}}"#);
    let back = fleet.open_with(1, &claim);
    fleet.settle();
    back
}

/// Nodes of the reference store volatile events, and replay them.
#[test]
fn h30_volatile_events_that_others_have_stored_are_not_replayed() {
    let mut fleet = Fleet::new(2);
    let pid = parked(&mut fleet);
    let mut flags = BroadcastFlags::default();
    flags.volatile = Some(true);
    let volatile = official("volatile", BroadcastOptions::all().flags(flags));
    let missed = official("missed", BroadcastOptions::all());
    fleet.channel.entries.extend([volatile, missed].map(Some));
    fleet.settle();
    let back = come_back(&mut fleet, "", &pid);
    assert_eq!(fleet.got(back), ["missed"]);
}

/// A node of the reference reads 100 pages of a stream at a recovery, and leaves out what follows.
#[test]
fn h34_a_replay_is_as_long_as_what_was_missed() {
    let mut fleet = Fleet::new(2);
    let pid = parked(&mut fleet);
    let events = (0..20_000).map(|_| official("noise", BroadcastOptions::all().to("elsewhere")));
    fleet.channel.entries.extend(events.map(Some));
    fleet.channel.entries.push(Some(official("missed", BroadcastOptions::all())));
    fleet.settle();
    let back = come_back(&mut fleet, "", &pid);
    assert_eq!(fleet.got(back), ["missed"]);
}

/// A node of the reference begins with whatever comes while it reads for the first time, and so can
/// skip the first event.
#[test]
fn h35_the_first_event_after_a_start_is_read() {
    let config = ServerConfig::new().recovery(RecoveryConfig::new());
    let mut fleet = Fleet::disconnected(1, &config);
    fleet.connect(0);
    let client = fleet.open(0);
    fleet.channel.entries.push(Some(official("first", BroadcastOptions::all())));
    fleet.settle();
    assert_eq!(fleet.got(client), ["first"]);
}

/// A private id of the reference works in every namespace.
#[test]
fn h77_a_session_stays_in_its_namespace_at_every_node() {
    let mut fleet = Fleet::new(2);
    let pid = parked(&mut fleet);
    let stranger = come_back(&mut fleet, "/b,", &pid);
    assert!(!fleet.frames(stranger)[0].contains(&pid));
    assert_eq!(outcome(&fleet, 1), RecoveryOutcome::Refused(RecoveryRefusal::OtherNamespace));
    come_back(&mut fleet, "", &pid);
    assert!(outcome(&fleet, 1).is_recovered(), "the refusal has cost nothing");
}

/// Of several lengths of a stream the smallest counts. A node that has read an entry does not need it
/// any more.
#[test]
fn h78_what_others_trim_was_read_before() {
    let mut fleet = Fleet::new(2);
    let pid = parked(&mut fleet);
    fleet.channel.entries.push(Some(official("missed", BroadcastOptions::all())));
    fleet.settle();
    fleet.channel.trimmed = fleet.channel.entries.len();
    let back = come_back(&mut fleet, "", &pid);
    assert_eq!(fleet.got(back), ["missed"]);
}
