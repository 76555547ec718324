//! A session moves to another process, whose log contains the packets for all rooms.

mod random;

use alloc::{
    borrow::Cow,
    boxed::Box,
    format,
    string::{String, ToString as _},
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;

use smallvec::SmallVec;

use crate::{
    RecoveryConfig, ServerConfig,
    hub::{
        message::Reliability,
        reason::{EndCause, ExpiryCause},
        sessions::{Birth, Change, Effect, Recipients, SessionRecord, Sessions, SessionsContext},
    },
    id::{ConnectionId, Generation, RecoveryKey, SocketId},
    recovery::{RecoveryRefusal, Resumption},
    socket::{Encoded, Event, NamespaceName},
    time::Timestamp,
};

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn sessions(logs_vacant_rooms: bool, buffer_packets: usize) -> Sessions<u32> {
    let recovery = RecoveryConfig { buffer_packets, memberships: 3, ..RecoveryConfig::default() };
    let config = ServerConfig::new().recovery(recovery);
    let config = ServerConfig { logs_vacant_rooms, ..config };
    Sessions::new(NamespaceName::ROOT, Arc::new(config), 7)
}

fn id(number: u8) -> SocketId {
    SocketId::from_entropy(&mut |dest: &mut [u8]| dest.fill(number))
}

fn open(sessions: &mut Sessions<u32>, number: u8) -> u32 {
    let key = RecoveryKey::from_entropy(&mut |dest: &mut [u8]| dest.fill(number));
    let birth = Birth {
        id: id(number),
        key: Some(key),
        generation: Generation::FIRST,
        connection: ConnectionId::from_raw(number.into()),
        claimed: 0,
        data: number.into(),
        presented: None,
    };
    sessions.apply(NOW, Change::Open(birth)).opened().unwrap()
}

fn join(sessions: &mut Sessions<u32>, index: u32, room: &str) {
    sessions.apply(NOW, Change::Join { index, room: Cow::Borrowed(room) });
}

fn leave(sessions: &mut Sessions<u32>, index: u32, room: &str) {
    sessions.apply(NOW, Change::Leave { index, room: Cow::Borrowed(room) });
}

fn end(sessions: &mut Sessions<u32>, index: u32) {
    let cause = EndCause::Expired(ExpiryCause::TimedOut);
    sessions.apply(NOW, Change::End { index, cause });
}

/// Emits an event to rooms, or to all if there are none.
fn emit(sessions: &mut Sessions<u32>, text: &str, rooms: &[&str], except: &[&str]) -> Effect<u32> {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).into()).collect::<Vec<String>>();
    let to = Recipients::Audience {
        rooms: Cow::Owned(owned(rooms)),
        except: Cow::Owned(owned(except)),
        except_sessions: SmallVec::new(),
    };
    let event = Cow::Owned(Event::new(text, &()).unwrap());
    sessions.apply(
        NOW,
        Change::Publish { to, event, ack: None, reliability: Reliability::Owed, at: None },
    )
}

/// Emits an event to one session alone.
fn emit_to(sessions: &mut Sessions<u32>, index: u32, text: &str) {
    let to = Recipients::Session { id: sessions.members[index as usize].id, index: None };
    let event = Cow::Owned(Event::new(text, &()).unwrap());
    sessions.apply(
        NOW,
        Change::Publish { to, event, ack: None, reliability: Reliability::Owed, at: None },
    );
}

/// The two processes of a cluster. Both read the same channel.
struct Cluster {
    home: Sessions<u32>,
    other: Sessions<u32>,
}

impl Cluster {
    fn new(buffer_packets: usize) -> Self {
        Self { home: sessions(true, buffer_packets), other: sessions(true, buffer_packets) }
    }

    fn emit(&mut self, text: &str, rooms: &[&str], except: &[&str]) {
        emit(&mut self.home, text, rooms, except);
        emit(&mut self.other, text, rooms, except);
        assert_eq!(self.home.log().head_offset(), self.other.log().head_offset());
    }

    /// Moves a session from its home to the other process.
    fn move_session(&mut self, index: u32) -> Effect<u32> {
        let record = record(&self.home, index);
        end(&mut self.home, index);
        import(&mut self.other, record)
    }
}

/// The record of a session as the next process reads it.
fn record(sessions: &Sessions<u32>, index: u32) -> Box<SessionRecord<u32>> {
    let record = sessions.export(NOW, index).unwrap();
    serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap()
}

fn import(sessions: &mut Sessions<u32>, record: Box<SessionRecord<u32>>) -> Effect<u32> {
    let effect = sessions.apply(NOW, Change::Import { record, generation: Generation::FIRST });
    sessions.audit();
    effect
}

/// The names of the events that a client misses which has processed everything up to `position`.
fn missed(
    sessions: &Sessions<u32>,
    index: u32,
    position: u64,
) -> Result<Vec<String>, RecoveryRefusal> {
    let offset = sessions.log().position(position).unwrap().to_string();
    let position = sessions.resume_from(index, Some(&offset))?;
    sessions.check(index, position)?;
    let packets = sessions.missed(index, position)?.into_iter();
    let name =
        |packet: Encoded| -> String { packet.head().split('"').nth(1).unwrap_or_default().into() };
    Ok(packets.map(name).collect())
}

#[test]
fn a_session_of_another_process_gets_what_its_rooms_got() {
    let mut cluster = Cluster::new(100);
    let moved = open(&mut cluster.home, 1);
    let own = id(1).to_string();
    for room in ["a", "b"] {
        join(&mut cluster.home, moved, room);
    }
    cluster.emit("processed", &["a"], &[]);
    cluster.emit("to a room", &["a"], &[]);
    cluster.emit("to two rooms, but not to a third one", &["a", "b"], &["c"]);
    join(&mut cluster.home, moved, "c");
    cluster.emit("not to c", &["a"], &["c"]);
    cluster.emit("to it alone", &[&own], &[]);
    cluster.emit("not to it", &[], &[&own]);
    leave(&mut cluster.home, moved, "b");
    cluster.emit("to a room that it has left", &["b"], &[]);
    cluster.emit("to a room that it never was in", &["d"], &[]);
    cluster.emit("to all", &[], &[]);

    let expected =
        Ok(["to a room", "to two rooms, but not to a third one", "to it alone", "to all"]
            .map(String::from)
            .to_vec());
    assert_eq!(missed(&cluster.home, moved, 1), expected);
    let here = cluster.move_session(moved).opened().unwrap();
    assert_eq!(missed(&cluster.other, here, 1), expected);

    cluster.emit("after it has come", &["c"], &["b"]);
    cluster.other.audit();
    let all = missed(&cluster.other, here, 1).unwrap();
    assert_eq!(all.last().unwrap(), "after it has come");
    assert_eq!(all.len(), 5);
}

/// The session also finds its packets in a process where another session is in the room that is
/// named after it, and the other way round.
#[test]
fn a_room_named_after_a_session_is_the_same_room_everywhere() {
    for (joins_at_home, joins_there) in [(false, true), (true, false), (true, true)] {
        let mut cluster = Cluster::new(100);
        let (moved, own) = (open(&mut cluster.home, 1), id(1).to_string());
        let (at_home, there) = (open(&mut cluster.home, 2), open(&mut cluster.other, 3));
        cluster.emit("before", &[&own], &[]);
        if joins_at_home {
            join(&mut cluster.home, at_home, &own);
        }
        if joins_there {
            join(&mut cluster.other, there, &own);
        }
        cluster.emit("after", &[&own], &[]);
        let expected = Ok(["before", "after"].map(String::from).to_vec());
        assert_eq!(missed(&cluster.home, moved, 0), expected);
        let here = cluster.move_session(moved).opened().unwrap();
        assert_eq!(missed(&cluster.other, here, 0), expected);
    }
}

#[test]
fn a_single_server_logs_nothing_for_rooms_that_nobody_is_in() {
    let mut single = sessions(false, 100);
    open(&mut single, 1);
    assert!(matches!(emit(&mut single, "e", &["a"], &["b"]), Effect::None));
    assert_eq!((single.log().head(), single.room_count()), (0, 1), "its own room");
    emit(&mut single, "e", &[], &["b"]);
    assert_eq!((single.log().head(), single.room_count()), (1, 1));
    single.audit();
}

#[test]
fn a_room_that_only_the_log_names_goes_with_its_last_packet() {
    let mut other = sessions(true, 4);
    for number in 0..1_000 {
        emit(&mut other, "e", &[&format!("to {number}")], &[&format!("not {number}")]);
        assert!(other.room_count() <= 8, "two rooms for each packet in the log");
        other.audit();
    }
    assert_eq!(other.log().rooms().unrecorded(), other.log().evicted());
    other.apply(NOW.saturating_add(Duration::from_secs(3_600)), Change::ExpireLog);
    assert_eq!(other.room_count(), 0);
    other.audit();
}

/// The log does not know whom the packets were for that were evicted from a room while nobody of its
/// process was in it.
#[test]
fn what_was_evicted_before_the_session_came_is_a_gap() {
    let mut cluster = Cluster::new(3);
    let (moved, there) = (open(&mut cluster.home, 1), open(&mut cluster.other, 2));
    join(&mut cluster.home, moved, "a");
    join(&mut cluster.other, there, "b");
    cluster.emit("1", &["a"], &[]);
    cluster.emit("2", &["b"], &[]);
    cluster.emit("3", &["a"], &[]);
    cluster.emit("4", &["b"], &[]);
    cluster.emit("5", &["b"], &[]);
    let here = cluster.move_session(moved).opened().unwrap();
    assert_eq!(cluster.other.log().evicted(), 2);
    assert_eq!(missed(&cluster.other, here, 0), Err(RecoveryRefusal::Gap), "1 is gone");
    let expected = Ok(Vec::from(["3".into()]));
    assert_eq!(missed(&cluster.other, here, 1), expected, "2 is gone, but was not for it");
    cluster.emit("6", &["b"], &[]);
    assert_eq!(missed(&cluster.other, here, 1), Err(RecoveryRefusal::Gap), "3 is gone, too");
    assert_eq!(missed(&cluster.other, here, 3), Ok(Vec::new()));
}

#[test]
fn a_packet_to_the_session_alone_stays_behind() {
    let mut cluster = Cluster::new(100);
    let (moved, there) = (open(&mut cluster.home, 1), open(&mut cluster.other, 2));
    // The session there is the first one to have the index. What is emitted to it is not for the
    // session that gets the index next.
    emit_to(&mut cluster.other, there, "1");
    end(&mut cluster.other, there);
    emit_to(&mut cluster.home, moved, "1");
    cluster.emit("2", &[], &[]);
    let here = cluster.move_session(moved).opened().unwrap();
    assert_eq!(here, there);
    assert_eq!(
        missed(&cluster.other, here, 0),
        Err(RecoveryRefusal::Limit),
        "it has stayed behind"
    );
    assert_eq!(missed(&cluster.other, here, 1), Ok(Vec::from(["2".into()])));
    emit_to(&mut cluster.other, here, "3");
    assert_eq!(missed(&cluster.other, here, 1), Ok(["2", "3"].map(String::from).to_vec()));
}

#[test]
fn a_session_does_not_come_to_a_server_that_logs_its_own_rooms_only() {
    let mut single = sessions(false, 100);
    let mut home = sessions(true, 100);
    let moved = open(&mut home, 1);
    let refused = import(&mut single, record(&home, moved));
    assert!(matches!(refused, Effect::Invalid(wrong) if wrong.0 == "log"), "{refused:?}");
}

/// A snapshot contains the evictions of the rooms that its own sessions were in.
#[test]
fn after_a_restart_what_was_evicted_before_is_a_gap() {
    let mut cluster = Cluster::new(1);
    let (moved, there) = (open(&mut cluster.home, 1), open(&mut cluster.other, 2));
    join(&mut cluster.home, moved, "a");
    join(&mut cluster.other, there, "b");
    cluster.emit("1", &["a"], &[]);
    cluster.emit("2", &["b"], &[]);
    let snapshot = cluster.other.snapshot(NOW).unwrap();
    let resumption = Resumption { taken_at: NOW, now: NOW };
    let context = SessionsContext { config: cluster.other.config.clone(), resumption, jump: 0 };
    let mut restored = Sessions::restore(snapshot, context, &mut { Generation::FIRST }).unwrap();
    let here = import(&mut restored, record(&cluster.home, moved)).opened().unwrap();
    assert_eq!(missed(&restored, here, 0), Err(RecoveryRefusal::Gap));
    assert_eq!(missed(&restored, here, 1), Ok(Vec::new()));
}

#[test]
fn a_record_that_does_not_fit_changes_nothing() {
    let mut cluster = Cluster::new(100);
    let moved = open(&mut cluster.home, 1);
    join(&mut cluster.home, moved, "a");
    emit(&mut cluster.home, "e", &["a"], &[]);
    let ahead = import(&mut cluster.other, record(&cluster.home, moved));
    assert!(matches!(ahead, Effect::Invalid(wrong) if wrong.0 == "at"), "{ahead:?}");
    assert_eq!((cluster.other.room_count(), cluster.other.parked_count()), (0, 0));

    emit(&mut cluster.other, "e", &["a"], &[]);
    let record = record(&cluster.home, moved);
    import(&mut cluster.other, record.clone()).opened().unwrap();
    let twice = import(&mut cluster.other, record);
    assert!(matches!(twice, Effect::Invalid(wrong) if wrong.0 == "session.sid"), "{twice:?}");
    assert_eq!(cluster.other.parked_count(), 1);
}
