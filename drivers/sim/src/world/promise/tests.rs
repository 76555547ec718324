//! Each way to break the promise is noticed.

use super::*;

const CLIENT: usize = 3;

fn event(number: u64, position: u64) -> (Event, Event) {
    let offset = format!("7-{position}");
    (Event::new("m", &(number,)).unwrap(), Event::new("m", &(number, offset)).unwrap())
}

fn emitted(to: Target, except: Option<Target>, number: u64, is_owed: bool) -> Recorded {
    let (event, sent) = event(number, number);
    Recorded::Emitted(Emission {
        namespace: NamespaceName::ROOT,
        to: vec![to],
        except: except.into_iter().collect(),
        event,
        sent,
        is_owed,
        asks: false,
    })
}

fn room(name: &str) -> Target {
    Target::Room(name.to_owned())
}

/// A client in a session `a`, which is in the room `red`.
fn connected() -> Promise {
    let mut promise = Promise::default();
    promise.note(Recorded::Opened { namespace: NamespaceName::ROOT, socket: "a".to_owned() });
    promise.note(Recorded::Joined { socket: "a".to_owned(), room: "red".to_owned() });
    promise.connected(CLIENT, &NamespaceName::ROOT, "a", false).unwrap();
    promise
}

fn receive(promise: &mut Promise, number: u64) -> Result<Option<Event>, String> {
    promise.received(CLIENT, &NamespaceName::ROOT, &event(number, number).1, false)
}

#[test]
fn events_arrive_once_and_in_order() {
    let mut promise = connected();
    for number in 1..=3 {
        promise.note(emitted(room("red"), None, number, true));
    }
    assert_eq!(receive(&mut promise, 1), Ok(Some(event(1, 1).0)), "without its offset");
    assert!(receive(&mut promise, 1).unwrap_err().contains("again"));
    assert!(receive(&mut promise, 3).unwrap_err().contains("has missed [\"m\",2]"));
    assert_eq!(promise.owed(CLIENT, "/"), Some(&event(2, 2).0));
    receive(&mut promise, 2).unwrap();
    receive(&mut promise, 3).unwrap();
    assert_eq!(promise.owed(CLIENT, "/"), None);
}

#[test]
fn the_rooms_at_the_moment_of_the_emit_decide() {
    let mut promise = connected();
    promise.note(emitted(room("green"), None, 1, true));
    promise.note(emitted(Target::Everyone, Some(room("red")), 2, true));
    promise.note(emitted(Target::Socket("b".to_owned()), None, 3, true));
    promise.note(Recorded::Joined { socket: "a".to_owned(), room: "green".to_owned() });
    promise.note(Recorded::Left { socket: "a".to_owned(), room: "red".to_owned() });
    promise.note(emitted(room("red"), None, 4, true));
    for number in 1..=4 {
        let told = receive(&mut promise, number).unwrap_err();
        assert!(told.contains("not meant for it"), "{told}");
    }
    promise.note(emitted(room("green"), None, 5, true));
    promise.note(emitted(Target::Everyone, Some(room("red")), 6, true));
    promise.note(emitted(room("a"), None, 7, true));
    for number in 5..=7 {
        assert!(receive(&mut promise, number).unwrap().is_some(), "{number}");
    }
}

#[test]
fn what_is_not_recoverable_may_be_missed() {
    let mut promise = connected();
    promise.note(emitted(room("red"), None, 1, false));
    promise.note(emitted(room("red"), None, 2, true));
    promise.note(emitted(room("red"), None, 3, false));
    assert!(receive(&mut promise, 2).is_ok());
    assert!(receive(&mut promise, 1).is_err(), "it is too late");
    assert_eq!(promise.owed(CLIENT, "/"), None);
    assert!(receive(&mut promise, 3).is_ok());
}

#[test]
fn a_new_session_owes_nothing_of_the_one_before() {
    let mut promise = connected();
    promise.note(emitted(room("red"), None, 1, true));
    promise.note(Recorded::Opened { namespace: NamespaceName::ROOT, socket: "b".to_owned() });
    assert!(promise.connected(CLIENT, &NamespaceName::ROOT, "b", true).is_err(), "it is new");
    promise.connected(CLIENT, &NamespaceName::ROOT, "a", false).unwrap();
    promise.connected(CLIENT, &NamespaceName::ROOT, "b", false).unwrap();
    assert_eq!(promise.owed(CLIENT, "/"), None);
    assert!(receive(&mut promise, 1).is_err());
}

#[test]
fn an_answer_to_connect_may_be_repeated() {
    let mut promise = connected();
    promise.connected(CLIENT, &NamespaceName::ROOT, "a", true).unwrap();
    let told = promise.connected(CLIENT, &NamespaceName::ROOT, "a", false).unwrap_err();
    assert!(told.contains("recovered: false"), "{told}");
    // Without recovery it has no private id.
    promise.decided("a", RecoveryOutcome::New, 0, false);
    promise.connected(CLIENT, &NamespaceName::ROOT, "a", false).unwrap();
}

#[test]
fn a_session_that_goes_on_is_not_unknown() {
    let mut promise = connected();
    promise.note(Recorded::Opened { namespace: NamespaceName::ROOT, socket: "b".to_owned() });
    promise.decided("b", RecoveryOutcome::Refused(RecoveryRefusal::Unknown), 0, false);
    let told = promise.connected(CLIENT, &NamespaceName::ROOT, "b", false).unwrap_err();
    assert!(told.contains("is unknown"), "{told}");

    let mut promise = connected();
    promise.note(Recorded::Ended { socket: "a".to_owned() });
    promise.note(Recorded::Opened { namespace: NamespaceName::ROOT, socket: "b".to_owned() });
    promise.decided("b", RecoveryOutcome::Refused(RecoveryRefusal::Unknown), 0, false);
    promise.connected(CLIENT, &NamespaceName::ROOT, "b", false).unwrap();
}
