//! Damaged and forged snapshots: restoring returns an error, or the server keeps its invariants.

use std::time::Duration;

use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};
use socketio_proto::{
    RecoveryConfig, SocketKey,
    hub::{Audience, RestoreError, Snapshot},
    socket::Args,
};

use crate::support::{Session, World, broadcast, event, recovery_config};

/// One change somewhere in a snapshot.
#[derive(Clone, Debug)]
enum Mutation {
    Number(Index, u64),
    /// By so much more or less.
    Shift(Index, i64),
    Text(Index, String),
    Null(Index),
    /// Of an array or object.
    Remove(Index, Index),
    Repeat(Index, Index),
    Swap(Index, Index, Index),
    /// Puts one value in the place of another.
    Copy(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    let number = prop_oneof![
        0_u64..8,
        Just(u64::MAX),
        Just(u64::MAX / 2),
        Just(u64::MAX / 2 + 1),
        Just(u64::from(u32::MAX)),
        any::<u64>(),
    ];
    let text = prop_oneof![
        Just(String::new()),
        Just("a".to_owned()),
        Just("x".repeat(300)),
        Just("42[\"m\",1,\"7-5\"]".to_owned()),
        any::<String>(),
    ];
    prop_oneof![
        4 => (index(), number).prop_map(|(at, number)| Mutation::Number(at, number)),
        4 => (index(), -3_i64..4).prop_map(|(at, by)| Mutation::Shift(at, by)),
        2 => (index(), text).prop_map(|(at, text)| Mutation::Text(at, text)),
        1 => index().prop_map(Mutation::Null),
        3 => (index(), index()).prop_map(|(at, which)| Mutation::Remove(at, which)),
        3 => (index(), index()).prop_map(|(at, which)| Mutation::Repeat(at, which)),
        2 => (index(), index(), index()).prop_map(|(at, a, b)| Mutation::Swap(at, a, b)),
        3 => (index(), index()).prop_map(|(from, to)| Mutation::Copy(from, to)),
    ]
}

/// Paths of all values that `is_meant`.
fn paths(value: &Value, is_meant: fn(&Value) -> bool) -> Vec<String> {
    let mut paths = Vec::new();
    let mut open = vec![(String::new(), value)];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Array(items) => {
                let items = items.iter().enumerate();
                open.extend(items.map(|(index, item)| (format!("{path}/{index}"), item)));
            }
            Value::Object(fields) => {
                open.extend(fields.iter().map(|(name, field)| (format!("{path}/{name}"), field)));
            }
            _ => {}
        }
        if is_meant(value) {
            paths.push(path);
        }
    }
    paths.sort();
    paths
}

fn pick(value: &mut Value, at: Index, is_meant: fn(&Value) -> bool) -> Option<&mut Value> {
    let paths = paths(value, is_meant);
    let path = (!paths.is_empty()).then(|| at.get(&paths))?;
    value.pointer_mut(path)
}

fn apply(mutation: &Mutation, value: &mut Value) -> Option<()> {
    match mutation {
        Mutation::Number(at, number) => *pick(value, *at, Value::is_number)? = json!(number),
        Mutation::Shift(at, by) => {
            let it = pick(value, *at, Value::is_number)?;
            *it = json!(it.as_u64()?.saturating_add_signed(*by));
        }
        Mutation::Text(at, text) => *pick(value, *at, Value::is_string)? = json!(text),
        Mutation::Null(at) => *pick(value, *at, |_| true)? = Value::Null,
        Mutation::Remove(at, which) => match pick(value, *at, is_parent)? {
            Value::Array(items) => {
                items.remove(which.index(items.len()));
            }
            Value::Object(fields) => {
                let name = fields.keys().nth(which.index(fields.len()))?.clone();
                fields.remove(&name);
            }
            _ => {}
        },
        Mutation::Repeat(at, which) => {
            let items = pick(value, *at, is_list)?.as_array_mut()?;
            let index = which.index(items.len());
            items.insert(index, items[index].clone());
        }
        Mutation::Swap(at, a, b) => {
            let items = pick(value, *at, is_list)?.as_array_mut()?;
            let (a, b) = (a.index(items.len()), b.index(items.len()));
            items.swap(a, b);
        }
        Mutation::Copy(from, to) => {
            let copy = pick(value, *from, |_| true)?.clone();
            let copy_kind = std::mem::discriminant(&copy);
            let alike: Vec<String> = paths(value, |_| true)
                .into_iter()
                .filter(|path| {
                    let other = value.pointer(path);
                    other.is_some_and(|other| std::mem::discriminant(other) == copy_kind)
                })
                .collect();
            let path: &String = to.get(&alike);
            *value.pointer_mut(path)? = copy;
        }
    }
    Some(())
}

fn is_list(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty())
}

fn is_parent(value: &Value) -> bool {
    is_list(value) || value.as_object().is_some_and(|fields| !fields.is_empty())
}

/// A snapshot with something in each place, of a process that was restored itself.
fn base() -> Value {
    let mut world = World::with_recovery();
    world.restore(config(), include_str!("../snapshots/version1.json")).unwrap();
    broadcast(&mut world, &Audience::room("a").to("b"), 6);
    broadcast(&mut world, &Audience::all().except("b"), 7);
    serde_json::to_value(world.server.snapshot(world.now)).unwrap()
}

fn config() -> socketio_proto::ServerConfig {
    let mut recovery = RecoveryConfig::default();
    recovery.buffer_packets = 5;
    recovery.memberships = 2;
    recovery_config().recovery(recovery)
}

/// Whether a snapshot was restored; then everything that a server does is done to it.
fn survives(value: &Value) -> bool {
    let text = value.to_string();
    if serde_json::from_str::<Snapshot<u32>>(&text).is_err() {
        return false;
    }
    let mut world = World::with_recovery();
    match world.restore(config(), &text) {
        Ok(sockets) => exercise(&mut world, value, &sockets),
        Err(RestoreError::Inconsistent { field }) => {
            assert!(!field.is_empty());
            world.connect();
            assert_eq!(world.server.stats().sockets, 1, "the server works without it");
            return false;
        }
        Err(other) => panic!("{other}"),
    }
    true
}

fn exercise(world: &mut World, value: &Value, sockets: &[SocketKey]) {
    check(world);
    // What was restored can be restored once more.
    let again = world.server.snapshot(world.now);
    assert_eq!(again.sessions(), sockets.len());
    let mut third = World::with_recovery();
    third.now = world.now;
    third.restore(config(), &serde_json::to_string(&again).unwrap()).unwrap();
    assert_eq!(third.server.stats().parked_sessions, sockets.len());

    let (_, newcomer) = world.connect();
    let (new, _) = world.connected();
    let rooms: Vec<String> = paths(value, Value::is_string)
        .iter()
        .filter(|path| path.contains("/rooms/"))
        .filter_map(|path| Some(value.pointer(path)?.as_str()?.to_owned()))
        .collect();
    for (number, room) in (0..).zip(&rooms) {
        world.server.at(world.now).join(new, room).ok();
        broadcast(world, &Audience::room(room.clone()).except("b"), number);
        world.server.at(world.now).leave(sockets.first().copied().unwrap_or(new), room);
    }
    check(world);
    for socket in sockets {
        world.server.at(world.now).emit(*socket, &event("m", 9)).unwrap();
        assert!(world.server.at(world.now).accept_once(*socket, "offset", None).is_ok());
    }
    for path in paths(value, Value::is_string) {
        if path.ends_with("/pid") {
            let pid = value.pointer(&path).unwrap().as_str().unwrap().to_owned();
            let session = Session { sid: String::new(), pid };
            for offset in [None, Some("1-1")] {
                let (client, _) = world.claim(&session, offset);
                world.send(client, "43[]");
                world.send(client, r#"421["m",1]"#);
                let token = world.token();
                world.server.at(world.now).ack(token, &Args::empty());
            }
        }
    }
    check(world);
    // Nothing stays behind when the last one has gone.
    world.claim(&newcomer, None);
    world.server.shutdown(world.now);
    world.drain();
    world.advance(Duration::from_secs(600));
    let stats = world.server.stats();
    assert_eq!((stats.parked_sessions, stats.rooms, stats.namespaces), (0, 0, 1));
    assert_eq!((stats.log_packets, stats.log_bytes), (0, 0));
}

fn check(world: &World) {
    let stats = world.server.stats();
    assert!(stats.log_packets <= 5, "{stats:?}");
}

#[test]
fn the_snapshot_itself_is_restored() {
    assert!(survives(&base()));
}

/// Found by the property test below.
#[test]
fn the_largest_number_of_a_session_can_be_restored_again() {
    let mut value = base();
    value["next_generation"] = json!(u64::MAX / 2);
    assert!(survives(&value));
}

/// The positions of a log that follows a stream, for a snapshot of this log.
fn given_positions(log: &Value) -> Value {
    let packets = log["packets"].as_array().unwrap().len();
    let held: Vec<String> = (0..packets).map(|number| format!("1716999999999-{number}")).collect();
    let evicted = json!([[log["evicted"], "1716999999998-7"]]);
    json!({"origin": "0-0", "evicted": evicted, "held": held, "latest": "1717000000000-0"})
}

#[test]
fn positions_that_contradict_the_log_are_refused() {
    let field = |change: &dyn Fn(&mut Value)| {
        let mut value = base();
        let log = &mut value["namespaces"][0]["log"];
        let mut given = given_positions(log);
        let texts = log["packets"].as_array_mut().unwrap().iter_mut();
        for (packet, offset) in texts.zip(given["held"].as_array().unwrap()) {
            packet["packet"] = json!({"attachments": [], "text": format!(r#"42["m",{offset}]"#)});
        }
        change(&mut given);
        log["positions"] = json!({ "given": given });
        match World::with_recovery().restore(config(), &value.to_string()) {
            Err(RestoreError::Inconsistent { field }) => field,
            other => panic!("{other:?}"),
        }
    };
    for latest in ["1716999999999-3", "6774d5c0a1b2c3d4e5f60718"] {
        assert_eq!(field(&|it| it["latest"] = json!(latest)), "log.positions.latest");
    }
    let last = json!("1716999999998-7");
    assert_eq!(field(&|it| it["origin"] = last.clone()), "log.positions.evicted");
    assert_eq!(field(&|it| it["held"][0] = last.clone()), "log.positions.held");
    assert_eq!(field(&|it| it["held"][1] = it["held"][2].clone()), "log.positions.held");
    assert_eq!(field(&|it| it["held"] = json!([])), "log.positions.held");
    assert_eq!(field(&|it| it["held"][4] = json!("1716999999999-5")), "log.packets.packet");
    assert_eq!(field(&|it| it["evicted"] = json!([])), "log.positions.evicted");
    for sequence in [0, 1, u64::MAX] {
        let change = |it: &mut Value| it["evicted"][0][0] = json!(sequence);
        assert_eq!(field(&change), "log.positions.evicted");
    }
    // A server that assigns its positions itself cannot go on with those of a stream.
    assert_eq!(field(&|_| ()), "log.positions");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let field = |change: &dyn Fn(&mut Value)| {
        let mut value = base();
        change(&mut value["namespaces"][0]);
        let mut world = World::with_recovery();
        match world.restore(config(), &value.to_string()) {
            Err(RestoreError::Inconsistent { field }) => field,
            other => panic!("{other:?}"),
        }
    };
    let twice = |value: &mut Value, list: &str| {
        let items = value[list].as_array_mut().unwrap();
        items.insert(0, items[0].clone());
    };
    assert_eq!(field(&|it| twice(it, "rooms")), "rooms");
    assert_eq!(field(&|it| twice(it, "sessions")), "sessions.sid");
    let absent = |it: &mut Value| {
        // An id that keeps the names of the rooms in order.
        it["sessions"][0]["sid"] = json!("bbbbbbbbbbbbbbbbbbbb");
        it["rooms"][1] = it["sessions"][0]["sid"].clone();
        it["sessions"][0]["memberships"]["rooms"] = json!([]);
    };
    assert_eq!(field(&absent), "sessions.memberships.rooms", "not in the room of its name");
    let same_pid = |it: &mut Value| it["sessions"][1]["pid"] = it["sessions"][0]["pid"].clone();
    assert_eq!(field(&same_pid), "sessions.pid");
    assert_eq!(field(&|it| it["sessions"][0]["floor"] = json!(99)), "sessions.floor");
    assert_eq!(field(&|it| it["sessions"][0]["parked_at"] = json!(u64::MAX)), "sessions.parked_at");
    assert_eq!(field(&|it| it["log"]["evicted"] = json!(u64::MAX)), "log.evicted");
    assert_eq!(field(&|it| it["log"]["evicted"] = json!(u64::MAX / 2)), "log.evicted");
    assert_eq!(
        field(&|it| it["log"]["positions"]["assigned"]["current"] = json!(u64::MAX)),
        "log.epochs.current"
    );
    assert_eq!(field(&|it| it["log"]["packets"][0]["at"] = json!(u64::MAX)), "log.packets.at");
    assert_eq!(field(&|it| it["log"]["packets"][1]["at"] = json!(1)), "log.packets.at");
    assert_eq!(field(&|it| it["log"]["packets"][0]["to"] = json!([99])), "log.packets.to");
    assert_eq!(field(&|it| it["log"]["packets"][0]["to"] = json!([2, 2])), "log.packets.to");
    assert_eq!(field(&|it| it["log"]["packets"][0]["except"] = json!([0])), "log.packets.except");
    let swap = |it: &mut Value| it["log"]["packets"].as_array_mut().unwrap().swap(0, 1);
    assert_eq!(field(&swap), "log.packets.packet");
    let evictions = |room: u32, last: u64, except: Value| {
        let eviction = json!([{"room": room, "last": last, "except": except}]);
        field(&|it| it["log"]["evictions"] = eviction.clone())
    };
    assert_eq!(evictions(99, 1, json!([])), "log.evictions.room");
    assert_eq!(evictions(2, 99, json!([])), "log.evictions.last");
    assert_eq!(evictions(2, 1, json!([[[2], 99]])), "log.evictions.last");
    assert_eq!(evictions(2, 1, json!([[[0], 1]])), "log.evictions.except");
    assert_eq!(evictions(2, 1, json!([[[2], 1], [[2], 1]])), "log.evictions.except");
    let memberships = |name: &'static str, to: Value| {
        let change = |it: &mut Value| {
            let memberships = &mut it["sessions"][0]["memberships"];
            *memberships.pointer_mut(name).unwrap() = to.clone();
        };
        field(&change)
    };
    for rooms in [json!([[0, 0]]), json!([[4, 0]]), json!([[2, 99]]), json!([[2, 1], [2, 1]])] {
        assert_eq!(memberships("/rooms", rooms), "sessions.memberships.rooms");
    }
    let past = memberships("/history/past", json!([[2, 3, 3]]));
    assert_eq!(past, "sessions.memberships.past");
    let windows = memberships("/history/windows", json!([[0, 3, 4]]));
    assert_eq!(windows, "sessions.memberships.windows");
    assert_eq!(memberships("/window_from", json!(99)), "sessions.memberships.window_from");
    assert_eq!(memberships("/history/settled", json!(99)), "sessions.memberships.settled");
    let receipts = |name: &'static str, to: Value| {
        field(&|it| it["sessions"][0]["receipts"][name] = to.clone())
    };
    assert_eq!(receipts("offsets", json!(["a", "a"])), "sessions.receipts.offsets");
    assert_eq!(receipts("offsets", json!(["x".repeat(256)])), "sessions.receipts.offsets");
    let not_a_list = json!([[{"id": 1}, {"json": "{}", "attachments": []}]]);
    assert_eq!(receipts("answers", not_a_list), "sessions.receipts.answers");
}

proptest! {
    #![proptest_config(crate::random::cases(500))]

    #[test]
    fn a_damaged_snapshot_is_refused_or_harmless(
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let mut value = base();
        for mutation in &mutations {
            apply(mutation, &mut value);
        }
        survives(&value);
    }

    #[test]
    fn a_torn_file_is_refused(end in any::<Index>()) {
        let text = base().to_string();
        let torn = &text[..end.index(text.len())];
        prop_assert!(serde_json::from_str::<Snapshot<u32>>(torn).is_err());
    }
}

/// The mutations are only worth something if they reach both outcomes.
#[test]
fn mutations_reach_both_outcomes() {
    use proptest::strategy::ValueTree as _;

    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut restored, mut refused) = (0, 0);
    for _ in 0..200 {
        let mut value = base();
        apply(&mutation().new_tree(&mut runner).unwrap().current(), &mut value);
        if survives(&value) { restored += 1 } else { refused += 1 }
    }
    assert!(restored > 20 && refused > 20, "{restored} restored, {refused} refused");
}
