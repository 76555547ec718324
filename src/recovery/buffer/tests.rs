//! Evictions and what is remembered of them.

use alloc::{string::ToString as _, vec::Vec};

use super::*;
use crate::{
    config::RecoveryConfig,
    socket::{Event, NamespaceName},
};

use crate::recovery::evictions::SETS_MAX;

const ROOM: RoomId = RoomId(1);
const OTHER: RoomId = RoomId(2);

fn log(packets: usize) -> RecoveryBuffer {
    let recovery = RecoveryConfig { buffer_packets: packets, ..RecoveryConfig::default() };
    let mut log = RecoveryBuffer::new(&ServerConfig::new().recovery(recovery), 7);
    for room in 1..1_000 {
        let created = log.rooms_mut().find_or_create(&room.to_string());
        assert_eq!(created, RoomId(room));
        log.rooms_mut().enter(created, 0, None);
    }
    log
}

/// The only session in a room leaves it.
fn vacate(log: &mut RecoveryBuffer, room: RoomId) {
    log.rooms_mut().leave(room, (0, false), false);
}

fn append(log: &mut RecoveryBuffer, targets: &[RoomId], except: &[RoomId]) {
    let to = Addressees { targets: targets.into(), except: except.into() };
    log.append(Timestamp::ZERO, &to, None, |offset| {
        let event = Event::new("m", &()).unwrap();
        Encoded::event(&NamespaceName::ROOT, &event, None, Some(&offset.to_string()))
    });
}

#[test]
fn an_eviction_is_remembered_by_room_and_exception() {
    let mut log = log(2);
    append(&mut log, &[ROOM], &[OTHER]);
    append(&mut log, &[ROOM], &[]);
    append(&mut log, &[OTHER], &[]);
    assert_eq!(log.last_evicted(ROOM, |_| false), 1);
    assert_eq!(log.last_evicted(ROOM, |room| room == OTHER), 0, "it was excepted");
    append(&mut log, &[OTHER], &[]);
    assert_eq!(log.last_evicted(ROOM, |room| room == OTHER), 2);
    assert_eq!(log.last_evicted(OTHER, |_| false), 0);
    assert_eq!(log.held(OTHER, 0, u64::MAX).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn exceptions_beyond_the_limit_count_as_none() {
    let mut log = log(1);
    for room in 10..100 {
        append(&mut log, &[ROOM], &[RoomId(room)]);
    }
    let evicted = log.evicted();
    assert_eq!(evicted, 89);
    // The latest sets are distinguished, the oldest are not.
    assert_eq!(log.last_evicted(ROOM, |room| room == RoomId(98)), evicted - 1);
    assert_eq!(log.last_evicted(ROOM, |room| (68..=98).contains(&room.0)), 58);
    let all = log.last_evicted(ROOM, |room| room.0 >= 10);
    assert!((1..=evicted - 32).contains(&all), "conservative, never too low: {all}");
}

/// Each sender in a room, together with the room of muted sockets, is a different set.
#[test]
fn a_room_that_all_sets_have_in_common_is_excepted_however_many_there_are() {
    const MUTED: RoomId = RoomId(3);
    let mut log = log(1);
    append(&mut log, &[ROOM], &[]);
    for sender in 10..1_000 {
        append(&mut log, &[ROOM], &[MUTED, RoomId(sender)]);
    }
    append(&mut log, &[OTHER], &[]);
    let evicted = log.evicted();
    assert_eq!(log.last_evicted(ROOM, |room| room == MUTED), 1);
    assert_eq!(log.last_evicted(ROOM, |room| room == RoomId(999)), evicted - 1);
    assert_eq!(log.last_evicted(ROOM, |room| room.0 >= 999 - 31), evicted - 32);
    assert_eq!(log.last_evicted(ROOM, |_| false), evicted);
    append(&mut log, &[ROOM], &[MUTED]);
    append(&mut log, &[ROOM], &[]);
    let sets = log.rooms.log(ROOM).unwrap().evictions.excepted();
    assert_eq!(sets.count(), 1, "one set that covers all others");
    assert!(log.rooms.log(RoomId(500)).is_none_or(|log| log.excepted_by.is_empty()));
}

/// After sets were narrowed, no answer is too early. The answer is exact for each session that
/// got one of the packets with the latest sets.
#[test]
fn answers_are_never_too_early_and_mostly_exact() {
    let mut random = 1_u32;
    let mut draw = move |below: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) % below
    };
    let (mut exact, mut late) = (0, 0);
    for _ in 0..20 {
        let mut log = log(1);
        let mut packets: Vec<Vec<RoomId>> = Vec::new();
        for _ in 0..400 {
            let count = draw(4);
            let mut except: Vec<RoomId> = (0..count).map(|_| RoomId(10 + draw(60))).collect();
            except.sort_unstable();
            except.dedup();
            append(&mut log, &[ROOM], &except);
            packets.push(except);
            let joined: Vec<RoomId> = (0..draw(50)).map(|_| RoomId(10 + draw(60))).collect();
            let is_in = |room: RoomId| joined.contains(&room);
            let evicted = packets.get(..packets.len() - 1).unwrap_or_default();
            let is_addressed = |set: &Vec<RoomId>| !set.iter().any(|room| is_in(*room));
            let truth = evicted.iter().rposition(is_addressed).map_or(0, |at| at as u64 + 1);
            let told = log.last_evicted(ROOM, is_in);
            assert!(told >= truth, "{told} before {truth}");
            let latest = evicted.len().saturating_sub(32) as u64;
            assert!(truth <= latest || told == truth, "{told} is not {truth}");
            if told == truth { exact += 1 } else { late += 1 }
        }
        let sets = log.rooms.log(ROOM).map_or(0, |log| log.evictions.excepted().count());
        assert!(sets <= SETS_MAX);
    }
    assert!(exact > 100 * late, "{late} of {exact}");
}

#[test]
fn what_is_held_does_not_get_too_old() {
    let mut log = log(2);
    append(&mut log, &[ROOM], &[]);
    append(&mut log, &[ROOM], &[]);
    let due = log.deadline();
    log.hold(1);
    log.hold(1);
    log.release_hold(1);
    assert_eq!(log.deadline(), Timestamp::NEVER);
    log.expire(due);
    assert_eq!(log.len(), 2, "they expire together, and one of them is held");
    append(&mut log, &[ROOM], &[]);
    assert_eq!(log.len(), 2, "the bound on the count goes on");
    log.release_hold(1);
    assert_eq!(log.deadline(), due);
    log.expire(due);
    assert_eq!(log.len(), 0);
}

#[test]
fn evictions_from_a_room_that_nobody_was_in_concern_nobody() {
    let mut log = log(2);
    append(&mut log, &[ROOM], &[OTHER]);
    append(&mut log, &[ROOM], &[]);
    vacate(&mut log, ROOM);
    append(&mut log, &[RoomId::ALL], &[]);
    append(&mut log, &[RoomId::ALL], &[]);
    assert_eq!(log.evicted(), 2);
    assert_eq!(log.last_evicted(ROOM, |_| false), 0);
    assert_eq!(log.rooms().find("1"), None, "nothing refers to it any more");
    assert_eq!(log.rooms().find("2"), Some(OTHER), "a session is in it");
    vacate(&mut log, OTHER);
    assert_eq!(log.rooms().find("2"), None, "the log does not refer to it");
}

#[test]
fn an_exception_for_a_room_that_nobody_was_in_is_none() {
    let mut log = log(1);
    append(&mut log, &[ROOM], &[OTHER]);
    append(&mut log, &[ROOM], &[OTHER]);
    append(&mut log, &[ROOM], &[OTHER]);
    assert_eq!(log.last_evicted(ROOM, |room| room == OTHER), 0);
    vacate(&mut log, OTHER);
    assert_eq!(log.last_evicted(ROOM, |room| room == OTHER), 2, "its id may name another room");
    append(&mut log, &[ROOM], &[]);
    assert_eq!(log.last_evicted(ROOM, |room| room == OTHER), 3);
}
