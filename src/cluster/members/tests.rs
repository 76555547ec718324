use alloc::{format, vec::Vec};

use super::*;

const NAMESPACE: u32 = 3;

fn node(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

const fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_000 * seconds)
}

fn members() -> Members {
    let mut members = Members::new(&ClusterConfig::new(node("here")).members(2));
    members.subscribe(at(0), NAMESPACE);
    members
}

fn names(members: &Members) -> Vec<&str> {
    members.nodes(NAMESPACE).map(NodeId::as_str).collect()
}

#[test]
fn a_member_is_one_as_long_as_it_is_heard_of() {
    let mut members = members();
    assert_eq!(members.note(at(0), NAMESPACE, &node("a"), true), Noted::New);
    assert_eq!(members.note(at(4), NAMESPACE, &node("b"), false), Noted::New);
    assert_eq!(members.note(at(8), NAMESPACE, &node("a"), true), Noted::Known);
    assert_eq!(members.next_overdue(at(13)), None);
    members.refresh(at(13), NAMESPACE, &node("b"));
    members.refresh(at(13), NAMESPACE, &node("c"));
    assert_eq!(names(&members), ["a", "b"], "only heartbeats make a member");
    assert_eq!(members.next_overdue(at(18)), Some((NAMESPACE, node("a"))));
    assert_eq!(members.next_overdue(at(22)), None);
    assert_eq!(members.ours().count(), 0);
    assert!(members.leave(NAMESPACE, &node("b")) && !members.leave(NAMESPACE, &node("b")));
    assert_eq!((members.checks_at(), names(&members).len()), (Timestamp::NEVER, 0));
}

#[test]
fn their_number_is_bounded_and_an_emitter_is_none() {
    let mut members = members();
    for name in ["emitter", "a", "b", "c"] {
        members.note(at(0), NAMESPACE, &node(name), false);
    }
    assert_eq!(names(&members), ["a", "b"]);
    assert_eq!(members.note(at(1), NAMESPACE, &node("c"), false), Noted::Refused);
}

#[test]
fn nobody_is_overdue_while_this_node_hears_nothing() {
    let mut members = members();
    members.note(at(0), NAMESPACE, &node("a"), true);
    members.unsubscribe_all();
    assert!(!members.is_subscribed(NAMESPACE));
    assert_eq!((members.next_overdue(at(100)), members.next_heartbeat(at(100))), (None, None));
    members.subscribe(at(100), NAMESPACE);
    assert_eq!(members.introduced_at(NAMESPACE), Some(at(101)));
    assert_eq!(members.next_overdue(at(109)), None);
    assert_eq!(members.next_overdue(at(110)), Some((NAMESPACE, node("a"))));
}

#[test]
fn heartbeats_are_due_at_intervals_in_each_namespace() {
    let mut members = members();
    members.subscribe(at(2), 4);
    let due: Vec<_> = (0..=12)
        .flat_map(|second| {
            let due = core::iter::from_fn(|| members.next_heartbeat(at(second)));
            due.map(move |namespace| format!("{second} s: {namespace}")).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(due, ["5 s: 3", "7 s: 4", "10 s: 3", "12 s: 4"]);
    members.forget(3);
    assert_eq!(members.heartbeat_at(), at(17));
    members.forget(4);
    assert_eq!((members.heartbeat_at(), members.rosters.len()), (Timestamp::NEVER, 0));
}

#[test]
fn a_node_is_known_as_long_as_it_has_any_namespace() {
    let mut members = members();
    members.subscribe(at(0), 4);
    for namespace in [NAMESPACE, 4] {
        members.note(at(0), namespace, &node("a"), false);
        members.note(at(0), namespace, &node("a"), true);
        members.note(at(0), namespace, &node("official"), false);
    }
    assert_eq!(members.ours().map(NodeId::as_str).collect::<Vec<_>>(), ["a"]);
    assert!(members.has(&node("a")) && !members.has(&node("official")));
    members.leave(NAMESPACE, &node("a"));
    assert!(members.has(&node("a")));
    members.forget(4);
    assert!(!members.has(&node("a")));
    members.note(at(1), NAMESPACE, &node("a"), true);
    assert!(members.has(&node("a")));
    while members.next_overdue(at(100)).is_some() {}
    assert!(!members.has(&node("a")));
}
