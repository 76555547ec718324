use alloc::{format, vec::Vec};

use super::{senders::SENDERS_MAX, *};
use crate::cluster::message::{Body, NodeId};

type Steps = Channel<&'static str>;

fn at(position: u64) -> Offset {
    Offset::pair(0, position)
}

fn node(name: &'static str) -> NodeId {
    NodeId::new(name).unwrap()
}

fn channel() -> Steps {
    Channel::new(&ClusterConfig::new(node("here")).append_queue(4), 0, 7)
}

fn connected() -> Steps {
    let mut channel = channel();
    assert_eq!(channel.connect(at(0), at(0)), Continuation::Anew(at(0)));
    assert!(channel.catch_up(), "it is ready");
    assert_eq!(commands(&mut channel), ["read after 0-0"]);
    channel
}

fn append(channel: &mut Steps) -> Result<(), Full> {
    channel.append(channel.appended + 1, NamespaceName::ROOT, Body::Heartbeat, 10)
}

fn commands(channel: &mut Steps) -> Vec<alloc::string::String> {
    let commands = core::iter::from_fn(|| channel.poll_output());
    let shown = commands.map(|command| match command {
        ClusterOutput::Read { after, .. } => format!("read after {after}"),
        ClusterOutput::Append(message) => format!("append {}", message.stamp.unwrap().sequence),
        ClusterOutput::Publish { .. } => "publish".into(),
        other => format!("{other:?}"),
    });
    shown.collect()
}

/// The entry of a node with this number.
fn entry(from: &'static str, nonce: u64, sequence: u64) -> Message {
    let message = Message::new(node(from), NamespaceName::ROOT, Body::Heartbeat);
    message.stamped(Stamp::new(sequence, nonce))
}

/// Reads an own entry. Returns what came before it and what came after it.
fn read_own(channel: &mut Steps, position: u64, sequence: u64) -> Vec<&'static str> {
    let own = entry("here", 7, sequence);
    assert_eq!(channel.read(at(position), Some(&own)), Reading::Own(sequence));
    let mut done = Vec::new();
    loop {
        match channel.reach(sequence) {
            Reached::Entry => break done.push("entry"),
            Reached::Local(local) => done.push(local),
            Reached::Lost => done.push("lost"),
        }
    }
    done.extend(core::iter::from_fn(|| channel.next_local()));
    channel.catch_up();
    done
}

#[test]
fn what_is_done_after_an_append_waits_until_it_is_read() {
    let mut channel = connected();
    assert_eq!(channel.defer("at once", 0), Some("at once"), "nothing is waited for");
    append(&mut channel).unwrap();
    assert_eq!(channel.defer("after 1", 0), None);
    append(&mut channel).unwrap();
    assert_eq!(channel.defer("after 2", 0), None);
    assert_eq!(commands(&mut channel), ["append 1", "append 2"]);
    assert_eq!(channel.read(at(1), Some(&entry("there", 1, 9))), Reading::First);
    assert_eq!(channel.next_local(), None, "an entry of another node changes nothing");
    assert_eq!(read_own(&mut channel, 2, 1), ["entry", "after 1"]);
    assert_eq!(read_own(&mut channel, 3, 2), ["entry", "after 2"]);
    assert!(!channel.is_behind());
}

/// H71: an append whose outcome is not known is repeated only if it has not taken effect.
#[test]
fn an_append_is_repeated_only_if_it_is_not_in_the_channel() {
    let mut channel = connected();
    append(&mut channel).unwrap();
    append(&mut channel).unwrap();
    assert_eq!(commands(&mut channel), ["append 1", "append 2"]);
    channel.disconnect();
    append(&mut channel).unwrap();
    assert!(commands(&mut channel).is_empty(), "the engine is away");
    assert_eq!(channel.connect(at(0), at(5)), Continuation::Seamless);
    channel.catch_up();
    assert_eq!(commands(&mut channel), ["read after 0-0"]);
    assert_eq!(read_own(&mut channel, 4, 1), ["entry"]);
    assert!(commands(&mut channel).is_empty(), "the second one may still come");
    assert_eq!(channel.read(at(5), None), Reading::New);
    assert!(!channel.catch_up(), "it was ready before");
    assert_eq!(commands(&mut channel), ["append 2", "append 3"]);
}

/// H71: an entry that is there twice takes effect once.
#[test]
fn an_entry_that_is_there_twice_is_recognised() {
    let mut channel = connected();
    let first = entry("there", 1, 1);
    assert_eq!(channel.read(at(1), Some(&first)), Reading::First);
    assert_eq!(channel.read(at(2), Some(&first)), Reading::Repeated);
    assert_eq!(channel.read(at(3), Some(&entry("there", 1, 3))), Reading::New);
    assert_eq!(channel.read(at(4), Some(&entry("there", 1, 2))), Reading::Repeated);
    assert_eq!(
        channel.read(at(5), Some(&entry("there", 2, 1))),
        Reading::First,
        "it was restarted"
    );
    assert_eq!(channel.read(at(5), Some(&entry("there", 2, 2))), Reading::OutOfOrder);
    assert_eq!(channel.position(), Some(at(5)));
}

#[test]
fn after_a_gap_what_was_sent_is_given_up() {
    let mut channel = connected();
    append(&mut channel).unwrap();
    assert_eq!(channel.defer("after 1", 0), None);
    channel.disconnect();
    append(&mut channel).unwrap();
    assert_eq!(channel.defer("after 2", 0), None);
    assert_eq!(channel.connect(at(100), at(200)), Continuation::Anew(at(100)));
    assert_eq!(channel.give_up_sent(), Some(Reached::Lost));
    assert_eq!(channel.give_up_sent(), Some(Reached::Local("after 1")));
    assert_eq!(channel.give_up_sent(), None);
    channel.catch_up();
    assert_eq!(commands(&mut channel), ["read after 0-100"]);
    assert_eq!(channel.read(at(200), None), Reading::New);
    channel.catch_up();
    assert_eq!(commands(&mut channel), ["append 2"]);
    assert_eq!(read_own(&mut channel, 201, 2), ["entry", "after 2"]);
}

/// It cannot have been in the gap.
#[test]
fn after_a_gap_what_was_not_sent_is_appended() {
    let mut channel = connected();
    append(&mut channel).unwrap();
    append(&mut channel).unwrap();
    assert_eq!(channel.defer("after 2", 0), None);
    append(&mut channel).unwrap();
    assert_eq!(commands(&mut channel), ["append 1", "append 2", "append 3"]);
    channel.disconnect();
    for sequence in [2, 3] {
        channel.note_not_sent(sequence);
    }
    assert_eq!(channel.connect(at(100), at(100)), Continuation::Anew(at(100)));
    assert_eq!(channel.give_up_sent(), Some(Reached::Lost));
    assert_eq!(channel.give_up_sent(), None);
    channel.catch_up();
    assert_eq!(commands(&mut channel), ["read after 0-100", "append 2", "append 3"]);
    assert_eq!(read_own(&mut channel, 101, 2), ["entry", "after 2"]);
    // The connection is there, so it says nothing of this one.
    channel.note_not_sent(3);
    channel.disconnect();
    assert_eq!(channel.connect(at(200), at(200)), Continuation::Anew(at(200)));
    assert_eq!(channel.give_up_sent(), Some(Reached::Lost));
}

/// The engine has lost its latest entries, as a failover may.
#[test]
fn a_channel_that_has_gone_back_is_read_anew() {
    let mut channel = connected();
    assert_eq!(channel.read(at(7), None), Reading::New);
    assert_eq!(channel.connect(at(0), at(6)), Continuation::Anew(at(0)));
}

#[test]
fn an_entry_that_the_engine_has_lost_holds_nothing_up() {
    let mut channel = connected();
    append(&mut channel).unwrap();
    assert_eq!(channel.defer("after 1", 0), None);
    append(&mut channel).unwrap();
    assert_eq!(read_own(&mut channel, 1, 2), ["lost", "after 1", "entry"]);
    assert!(!channel.is_behind());
}

#[test]
fn what_waits_is_bounded() {
    let mut channel = channel();
    for _ in 0..3 {
        append(&mut channel).unwrap();
    }
    assert_eq!(channel.defer("fourth", 0), None);
    assert_eq!(append(&mut channel), Err(Full { limit: 4 }));
    assert_eq!(channel.defer("at once", 0), Some("at once"));
    let config = ClusterConfig::new(node("here")).append_queue_bytes(25);
    let mut channel = Steps::new(&config, 0, 7);
    append(&mut channel).unwrap();
    append(&mut channel).unwrap();
    assert_eq!(append(&mut channel), Err(Full { limit: 25 }));
    assert_eq!(channel.defer("small", 5), None);
    assert_eq!(channel.defer("at once", 1), Some("at once"));
}

#[test]
fn nodes_that_are_gone_are_forgotten() {
    let mut channel = connected();
    for nonce in 0..2 * SENDERS_MAX as u64 {
        assert_eq!(channel.read(at(nonce + 1), Some(&entry("there", nonce, 1))), Reading::First);
    }
    assert_eq!(channel.senders.0.len(), SENDERS_MAX);
    let latest = entry("there", 2 * SENDERS_MAX as u64 - 1, 1);
    assert_eq!(channel.read(at(10_000), Some(&latest)), Reading::Repeated);
}
