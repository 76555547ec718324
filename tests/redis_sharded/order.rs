//! One order, in which everything has a place once.

use std::collections::BTreeSet;

use proptest::prelude::*;
use socketio_proto::{
    cluster::message::{Body, BroadcastOptions, Message, NodeId, RequestId},
    recovery::Offset,
};

use crate::redis::{Redis, chat, event, sharded};

#[test]
fn what_an_official_node_emits_has_one_place_for_all_that_hear_it() {
    let mut redis = Redis::default();
    let a = redis.join("a");
    redis.subscribe(a, 1);
    let b = redis.join("b");
    redis.subscribe(b, 2);
    // It reads the log, and nothing else.
    let c = redis.join("c");
    redis.official(&event("official", 1, true));
    redis.call(a, &sharded().append(&event("a", 2, false)).unwrap());
    redis.official(&event("official", 3, true));
    redis.settle();
    let shown = redis.nodes[a].shown();
    let texts: Vec<&str> = shown.iter().map(|(_, text)| text.as_str()).collect();
    // What is emitted by a node of this crate has its place at once.
    assert_eq!(
        texts,
        ["unheard /chat", r#"a ["a",2,"é"]"#, r#"official ["a",1,"é"]"#, r#"official ["a",3,"é"]"#]
    );
    assert_eq!(redis.nodes[b].shown(), shown[1..]);
    assert_eq!(redis.nodes[c].shown(), shown[1..]);
    assert!(redis.nodes[a].is_subscribed && redis.nodes[b].is_subscribed);
    assert!(redis.nodes.iter().all(|node| node.gaps == 0 && node.adopt.is_empty()));
}

/// A node that has read what an official node has emitted and then asked, and has it not in the log yet.
fn asked() -> (Redis, usize, Message) {
    let mut redis = Redis::default();
    let a = redis.join("a");
    redis.subscribe(a, 1);
    redis.settle_reading(a);
    redis.official(&event("official", 1, true));
    let request = RequestId::new("r").unwrap();
    let body = Body::FetchSockets { options: BroadcastOptions::all(), request };
    let fetch = Message::new(NodeId::new("official").unwrap(), chat(), body);
    redis.call(a, &sharded().publish(&fetch, None).unwrap());
    redis.settle_reading(a);
    (redis, a, fetch)
}

#[test]
fn what_an_official_node_asks_is_heard_after_what_it_has_emitted() {
    let (mut redis, a, fetch) = asked();
    assert_eq!((redis.nodes[a].messages.len(), redis.nodes[a].entries.len()), (0, 1));
    redis.settle();
    assert_eq!((&redis.nodes[a].messages[..], redis.nodes[a].entries.len()), (&[fetch][..], 2));
}

#[test]
fn a_node_that_gives_a_namespace_up_waits_for_nothing_of_it() {
    let (mut redis, a, fetch) = asked();
    redis.unsubscribe(a);
    assert_eq!(redis.nodes[a].messages, [fetch]);
}

#[test]
fn a_number_that_is_missing_is_a_gap() {
    for number in [0, 999, 1_001, 5_000] {
        let mut redis = Redis::default();
        let a = redis.join("a");
        redis.settle();
        redis.number = number;
        redis.call(a, &sharded().append(&event("a", 2, false)).unwrap());
        redis.settle();
        assert_eq!((redis.nodes[a].gaps, redis.nodes[a].reader.position()), (1, None), "{number}");
        // It does not go on by itself.
        redis.call(a, &sharded().append(&event("a", 3, false)).unwrap());
        redis.settle();
        assert_eq!((redis.nodes[a].entries.len(), redis.nodes[a].gaps), (0, 1));
    }
}

#[test]
fn a_marker_says_whether_anything_is_missing() {
    let mut redis = Redis::default();
    let a = redis.join("a");
    redis.settle();
    redis.join("b");
    redis.settle();
    assert_eq!(
        (redis.nodes[a].gaps, redis.nodes[a].reader.position()),
        (0, Some(Offset::pair(1_001, 0)))
    );
    redis.number += 1;
    redis.join("c");
    redis.settle();
    assert_eq!(redis.nodes[a].gaps, 1);
}

#[test]
fn it_is_told_that_nobody_was_there_to_hear() {
    let mut redis = Redis::default();
    let (a, b) = (redis.join("a"), redis.join("b"));
    let log = redis.join("log");
    let told = |redis: &mut Redis| {
        redis.settle();
        redis.nodes[log].entries.drain(..).count()
    };
    redis.subscribe(a, 1);
    assert_eq!(told(&mut redis), 1, "the first one");
    redis.subscribe(b, 2);
    redis.unsubscribe(a);
    redis.subscribe(a, 3);
    redis.unsubscribe(b);
    assert_eq!(told(&mut redis), 0, "somebody was always there");
    redis.unsubscribe(a);
    redis.official(&event("official", 1, true));
    redis.subscribe(b, 4);
    redis.settle();
    let shown = redis.nodes[log].shown();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].1, "unheard /chat", "and what was emitted is not in the log");
}

impl Redis {
    /// A node reads everything, and says nothing.
    fn settle_reading(&mut self, node: usize) {
        while self.nodes[node].read_one() {}
    }
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    Join,
    Subscribe(usize),
    Emit(usize),
    Official,
    Read(usize),
    Adopt(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => Just(Step::Join),
        1 => any::<usize>().prop_map(Step::Subscribe),
        3 => any::<usize>().prop_map(Step::Emit),
        4 => Just(Step::Official),
        8 => any::<usize>().prop_map(Step::Read),
        4 => any::<usize>().prop_map(Step::Adopt),
    ];
    prop::collection::vec(step, 0..100)
}

proptest! {
    #[test]
    fn all_nodes_read_the_same_and_everything_once(steps in steps()) {
        let mut redis = Redis::default();
        redis.join("n0");
        redis.subscribe(0, 100);
        redis.settle();
        redis.nodes[0].entries.clear();
        let (mut emitted, mut marker) = (0, 100);
        for step in steps {
            let count = redis.nodes.len();
            let of = |number: usize| number % count;
            match step {
                Step::Join => drop(redis.join(&format!("n{count}"))),
                Step::Subscribe(node) => {
                    marker += 1;
                    redis.subscribe(of(node), marker);
                }
                Step::Emit(node) => {
                    emitted += 1;
                    let node = of(node);
                    redis.call(node, &sharded().append(&event("ours", emitted, false)).unwrap());
                }
                Step::Official => {
                    emitted += 1;
                    redis.official(&event("official", emitted, true));
                }
                Step::Read(node) => drop(redis.nodes[of(node)].read_one()),
                Step::Adopt(node) => redis.adopt_one(of(node)),
            }
        }
        redis.settle();
        let all = redis.nodes[0].shown();
        prop_assert_eq!(all.len() as u64, emitted, "the first node hears everything");
        let texts: BTreeSet<&String> = all.iter().map(|(_, text)| text).collect();
        prop_assert_eq!(texts.len(), all.len(), "once");
        for node in &redis.nodes {
            let shown = node.shown();
            prop_assert_eq!(&all[all.len() - shown.len()..], &shown[..]);
            prop_assert_eq!(node.gaps, 0);
        }
    }
}
