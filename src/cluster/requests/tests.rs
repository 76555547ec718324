use super::*;

type Table = Requests<&'static str>;

const NAMESPACE: u32 = 3;

fn node(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

fn request(name: &str) -> RequestId {
    RequestId::new(name).unwrap()
}

const fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_000 * seconds)
}

/// A request that these members have to answer, and the question to the engine.
fn published(members: &[&str]) -> (Table, RequestId, u64) {
    let mut table = Table::new();
    let request = request("r");
    table.add(NAMESPACE, &request, at(5), "collected");
    let question = table.publish(&request, members.iter().map(|name| node(name)), at(1));
    (table, request, question)
}

fn settled(mut table: Table, request: &RequestId) -> (Missing, usize) {
    let settled = table.settle(at(5), request).unwrap();
    assert_eq!((settled.namespace, settled.collected), (NAMESPACE, "collected"));
    assert!(table.pending.is_empty() && table.by_namespace.is_empty() && table.by_node.is_empty());
    assert!(table.checks.is_empty() && table.questions.is_empty());
    (settled.missing, settled.others)
}

#[test]
fn a_node_that_answers_twice_counts_once() {
    let (mut table, request, question) = published(&[]);
    table.note_counted(at(0), question, Some(3));
    for _ in 0..2 {
        table.note_answered(&request, &node("a"));
        assert!(!table.is_complete(at(0), &request));
    }
    table.note_answered(&request, &node("b"));
    assert!(table.is_complete(at(0), &request));
    assert_eq!(settled(table, &request), (Missing::default(), 2));
}

#[test]
fn members_are_waited_for_although_as_many_nodes_as_counted_have_answered() {
    let (mut table, request, question) = published(&["a"]);
    table.note_counted(at(0), question, Some(2));
    table.note_answered(&request, &node("new"));
    assert!(!table.is_complete(at(0), &request));
    table.note_answered(&request, &node("a"));
    assert!(table.is_complete(at(0), &request));
}

/// A process that has just crashed is a member until its heartbeat is overdue, but the engine does not
/// count it any more.
#[test]
fn the_number_of_nodes_is_that_of_the_engine() {
    let (mut table, request, question) = published(&["a", "crashed", "started in its place"]);
    table.only_count(&request);
    table.note_counted(at(0), question, Some(3));
    assert!(table.is_complete(at(0), &request), "nobody answers");
    assert_eq!(settled(table, &request).1, 2);
    let (mut table, request, question) = published(&["a", "b"]);
    table.only_count(&request);
    table.note_counted(at(0), question, None);
    assert_eq!(settled(table, &request).1, 2, "the engine cannot count");
}

#[test]
fn without_an_engine_that_counts_others_have_time_to_introduce_themselves() {
    let (mut table, request, question) = published(&["a"]);
    table.note_counted(at(0), question, None);
    table.note_answered(&request, &node("a"));
    assert!(!table.is_complete(at(0), &request));
    assert_eq!(table.next_due(at(1)), Some((request.clone(), false)));
    table.await_members(&request, [node("a"), node("b")].into_iter());
    assert!(!table.is_complete(at(1), &request));
    table.note_answered(&request, &node("b"));
    assert!(table.is_complete(at(1), &request));
    assert_eq!(table.next_due(at(4)), None);
    assert_eq!(table.next_due(at(5)), Some((request, true)));
}

/// A timer in the past gave all timers of the node a grace period, as long as it was in the past.
#[test]
fn after_all_have_introduced_themselves_a_request_has_no_timer_in_the_past() {
    let (mut table, request, question) = published(&["a"]);
    assert_eq!(table.note_counted(at(2), question, None), Some(request.clone()));
    assert_eq!(table.deadline(), at(5));
    assert!(!table.is_complete(at(2), &request), "a member has not answered");
    table.note_answered(&request, &node("a"));
    assert!(table.is_complete(at(2), &request));
}

#[test]
fn a_node_that_has_gone_is_missing_and_the_others_are_counted_again() {
    let (mut table, request, question) = published(&["a", "b"]);
    table.note_counted(at(0), question, Some(4));
    table.note_answered(&request, &node("b"));
    let [(of, Some(again))] = &table.note_gone(NAMESPACE, &node("a"))[..] else { panic!() };
    assert_eq!(*of, request);
    assert!(table.note_gone(NAMESPACE, &node("a")).is_empty());
    assert!(table.note_gone(NAMESPACE, &node("b")).is_empty(), "it has answered");
    table.note_counted(at(0), *again, Some(3));
    assert!(!table.is_complete(at(0), &request), "one of them has no name");
    table.note_answered(&request, &node("c"));
    assert!(table.is_complete(at(0), &request));
    let (missing, others) = settled(table, &request);
    assert_eq!((missing.nodes, missing.others, others), (alloc::vec![node("a")], 0, 3));
}

#[test]
fn who_has_not_answered_at_the_end_is_missing() {
    let (mut table, request, question) = published(&["a", "b"]);
    table.note_counted(at(0), question, Some(5));
    table.note_dropped(&request, &node("b"));
    let (missing, others) = settled(table, &request);
    assert_eq!((missing.nodes.len(), missing.others, others), (2, 2, 4));

    let mut table = Table::new();
    table.add(NAMESPACE, &request, at(5), "collected");
    let (missing, _) = settled(table, &request);
    assert!(missing.was_away && !missing.is_empty());
}
