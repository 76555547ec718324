//! If the recorded changes of a hub are applied again, they produce the same sessions and the same
//! logs, byte for byte.
//!
//! They are also applied to sessions whose rooms and places have other numbers. There they have the
//! same results, and everything that can be observed is the same. So no change contains the number
//! of a room, and only the index of a session has to be translated, in the changes that have one.

mod tape;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;

use proptest::{
    collection::vec,
    prelude::any,
    test_runner::{Config, TestRunner},
};

use self::tape::{Step, Tape};
use super::{
    Hub,
    sessions::{Change, Effect, Entries, Entry, Journal, Sessions},
};
use crate::{
    Limits, RecoveryConfig, ServerConfig, SocketKey, Timestamp,
    cluster::{ClusterConfig, ClusterInput, message::NodeId},
    recovery::Offset,
    socket::NamespaceName,
};

fn config(flags: u8) -> Arc<ServerConfig> {
    let is_set = |bit: u8| flags & (1 << bit) != 0;
    let recovery = RecoveryConfig {
        skip_authorization: is_set(0),
        replay_ack_events: is_set(1),
        count_events: is_set(2),
        buffer_packets: 8,
        parked_sessions: 3,
        memberships: 3,
        replay_attempts: 1,
        claim_burst: 2,
        claims_per_second: 1,
        lookup_timeout: is_set(6).then_some(Duration::from_secs(1)),
        ..RecoveryConfig::default()
    };
    let limits = Limits { client_offsets: 3, pending_acks: 8, ..Limits::default() };
    let config = ServerConfig::new().limits(limits);
    let config = ServerConfig { logs_vacant_rooms: is_set(5), ..config };
    Arc::new(if is_set(3) && is_set(4) { config } else { config.recovery(recovery) })
}

fn hub(config: &Arc<ServerConfig>) -> Hub<u32> {
    alone_or_clustered(config, None)
}

fn alone_or_clustered(config: &Arc<ServerConfig>, cluster: Option<ClusterConfig>) -> Hub<u32> {
    let mut state = 0_u32;
    let entropy = move |dest: &mut [u8]| {
        for byte in dest {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = state.to_be_bytes()[0];
        }
    };
    let hub = match cluster {
        Some(cluster) => Hub::clustered(config.clone(), cluster, entropy),
        None => Hub::new(config.clone(), entropy),
    };
    let mut hub = hub.unwrap();
    hub.at(Timestamp::ZERO).add_namespaces_matching(|name| name.starts_with("/dynamic"));
    hub
}

/// Records everything from now on.
fn record(hub: &mut Hub<u32>) -> Entries<u32> {
    let entries = Entries::default();
    hub.journal = Journal::new(entries.clone());
    for namespace in hub.namespaces.values_mut() {
        namespace.sessions.journal = hub.journal.clone();
    }
    entries
}

type Rebuilt = BTreeMap<NamespaceName, Twins>;

/// The sessions of one namespace, rebuilt twice.
struct Twins {
    same: Sessions<u32>,
    /// Rooms and sessions have other numbers here.
    renumbered: Sessions<u32>,
    /// The indices of the sessions here, by their recorded indices.
    indices: BTreeMap<u32, u32>,
}

impl Twins {
    fn new(same: Sessions<u32>, other: Sessions<u32>) -> Self {
        let indices = same.with_keys().map(|(index, _)| (index, index)).collect();
        Self { same, renumbered: other.renumbered(), indices }
    }

    fn apply(&mut self, now: Timestamp, change: Change<'static, u32>) {
        let mut renumbered = change.clone();
        if let Some(index) = renumbered.index_mut() {
            *index = self.indices[index];
        }
        let shown = format!("{change:?}");
        let effect = self.same.apply(now, change);
        let twin_effect = self.renumbered.apply(now, renumbered);
        if let (Effect::Opened(index), Effect::Opened(twin)) = (&effect, &twin_effect) {
            self.indices.insert(*index, *twin);
        }
        let observed = self.same.observe_effect(&effect);
        assert_eq!(self.renumbered.observe_effect(&twin_effect), observed, "{shown}");
    }
}

/// Applies the recorded changes again.
fn replay(rebuilt: &mut Rebuilt, config: &Arc<ServerConfig>, entries: &Entries<u32>) {
    for entry in entries.lock().unwrap().iter().cloned() {
        match entry {
            Entry::Made { name, epoch, next_ack } => {
                let make = || {
                    let made = Sessions::new(name.clone(), config.clone(), epoch);
                    made.asking_from(next_ack)
                };
                let twins = Twins::new(make(), make());
                rebuilt.insert(name, twins);
            }
            Entry::Gone { name } => {
                let Twins { same, renumbered, .. } = rebuilt.remove(&name).unwrap();
                let is_empty = same.is_empty() && renumbered.is_empty();
                assert!(is_empty, "{name} went while there were sessions");
            }
            Entry::Changed { name, now, change } => {
                rebuilt.get_mut(&name).unwrap().apply(now, change);
            }
        }
    }
}

/// Dumps the whole state of sessions and logs.
fn dump<'a>(all: impl Iterator<Item = &'a Sessions<u32>>, now: Timestamp) -> Vec<[String; 2]> {
    let mut dumps: Vec<[String; 2]> = all
        .map(|sessions| {
            let snapshot = serde_json::to_string(&sessions.snapshot(now)).unwrap();
            [sessions.dump(), snapshot]
        })
        .collect();
    dumps.sort();
    dumps
}

fn assert_rebuilt(tape: &Tape, rebuilt: &Rebuilt) {
    let hub = &tape.hub;
    let sessions = hub.namespaces.values().map(|namespace| &namespace.sessions);
    let same = rebuilt.values().map(|twins| &twins.same);
    assert_eq!(dump(same, tape.now), dump(sessions, tape.now));
    for (name, Twins { same, renumbered, .. }) in rebuilt {
        assert_eq!(renumbered.observe(), same.observe(), "{name}");
    }
    let indexed: BTreeSet<SocketKey> = hub.keys.values().copied().collect();
    let with_keys = rebuilt.values().flat_map(|Twins { same: sessions, .. }| {
        let namespace = hub.names[sessions.name()];
        let keys = sessions.with_keys();
        keys.map(move |(index, generation)| SocketKey { namespace, index, generation })
    });
    assert_eq!(with_keys.collect::<BTreeSet<_>>(), indexed, "the index of private ids");
}

/// Plays a tape, restarts, plays a second tape, and applies the recorded changes of both again.
/// Returns the kinds of changes.
fn play(flags: u8, steps: &[Step], after_restart: &[Step]) -> BTreeSet<&'static str> {
    let config = config(flags);
    let mut tape = Tape::new(hub(&config));
    let before = record(&mut tape.hub);
    tape.hub.at(Timestamp::ZERO).add_namespace("/").unwrap();
    tape.hub.at(Timestamp::ZERO).add_namespace("/static").unwrap();
    tape.play(steps);
    let mut rebuilt = Rebuilt::new();
    replay(&mut rebuilt, &config, &before);
    assert_rebuilt(&tape, &rebuilt);

    let (snapshot, restored_at) = (tape.hub.snapshot(tape.now), tape.now);
    let restored = || {
        let mut hub = hub(&config);
        hub.at(Timestamp::ZERO).add_namespace("/").unwrap();
        hub.at(restored_at).restore(snapshot.clone()).unwrap();
        hub
    };
    let namespaces = restored().namespaces.into_values().zip(restored().namespaces.into_values());
    let mut rebuilt: Rebuilt = namespaces
        .map(|(same, other)| {
            let name = same.sessions.name().clone();
            (name, Twins::new(same.sessions, other.sessions))
        })
        .collect();
    let mut tape = tape.restarted(restored());
    let after = record(&mut tape.hub);
    tape.play(after_restart);
    replay(&mut rebuilt, &config, &after);
    assert_rebuilt(&tape, &rebuilt);

    let kinds = [before, after].into_iter().flat_map(|entries| {
        let entries = entries.lock().unwrap();
        entries.iter().map(Entry::kind).collect::<Vec<_>>()
    });
    kinds.collect()
}

/// Plays a tape on the node of a cluster, and applies the recorded changes again. Returns the kinds
/// of changes.
fn play_clustered(flags: u8, steps: &[Step]) -> BTreeSet<&'static str> {
    let config = Arc::unwrap_or_clone(config(flags & !2));
    let config = Arc::new(ServerConfig { logs_vacant_rooms: true, ..config });
    let cluster = ClusterConfig::new(NodeId::new("node").unwrap()).append_queue(8);
    let mut tape = Tape::new(alone_or_clustered(&config, Some(cluster)));
    let entries = record(&mut tape.hub);
    tape.hub.at(Timestamp::ZERO).add_namespace("/").unwrap();
    let connected = ClusterInput::Connected {
        channel: 0,
        oldest: Offset::pair(0, 0),
        head: Offset::pair(0, 0),
    };
    tape.hub.handle_cluster(tape.now, connected);
    tape.hub.at(Timestamp::ZERO).add_namespace("/static").unwrap();
    tape.play(steps);
    let mut rebuilt = Rebuilt::new();
    replay(&mut rebuilt, &config, &entries);
    assert_rebuilt(&tape, &rebuilt);
    let entries = entries.lock().unwrap();
    entries.iter().map(Entry::kind).collect()
}

#[test]
fn changes_made_again_give_the_same_sessions() {
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let tapes = (any::<u8>(), vec(any::<Step>(), 0..200), vec(any::<Step>(), 0..60));
    let kinds = core::cell::RefCell::new(BTreeSet::new());
    let mut runner = TestRunner::new(config);
    let played = runner.run(&tapes, |(flags, before, after)| {
        kinds.borrow_mut().extend(play(flags, &before, &after));
        kinds.borrow_mut().extend(play_clustered(flags, &before));
        Ok(())
    });
    if let Err(failure) = played {
        panic!("{failure}\n{runner}");
    }
    let missing: Vec<&str> =
        Entry::<u32>::KINDS.into_iter().filter(|kind| !kinds.borrow().contains(*kind)).collect();
    assert!(missing.is_empty(), "no tape has {missing:?}");
}
