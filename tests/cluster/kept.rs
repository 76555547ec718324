//! The official client keeps its last offset when it gets a new session. A node that has read less than
//! the client begins the new session before that offset.

use socketio_proto::{
    hub::Audience,
    recovery::{RecoveryOutcome, RecoveryRefusal},
    socket::Event,
};

use crate::{
    ahead::offset_of,
    fleet::{Client, Fleet},
    moves::{claim, ids, outcome},
};

/// Two nodes, and a client that has a new session at node 1, but has processed two events at node 0
/// which node 1 has not read yet.
struct Kept {
    fleet: Fleet,
    client: Client,
    /// The ids of the new session.
    ids: (String, String),
    /// The offset of the earlier one.
    offset: String,
}

impl Kept {
    fn new(second: &Audience) -> Self {
        let mut fleet = Fleet::new(2);
        let client = fleet.open(0);
        fleet.settle();
        fleet.cut(1, 0);
        let socket = fleet.socket(client);
        fleet.at(0, |at| at.join(socket, "room").unwrap());
        for (name, to) in [("first", &Audience::all()), ("second", second)] {
            let event = Event::new(name, &()).unwrap();
            fleet.at(0, |at| at.broadcast("/", to, &event).unwrap());
        }
        fleet.settle();
        let offset = offset_of(&fleet, client, "second");
        let pid = ids(&fleet, client).0;
        fleet.lose(client);
        let client = fleet.open_with(1, &claim(&pid, &offset));
        fleet.wait(1_000);
        let refused = RecoveryOutcome::Refused(RecoveryRefusal::EngineAway);
        assert_eq!(outcome(&fleet, 1), refused);
        let ids = ids(&fleet, client);
        Self { fleet, client, ids, offset }
    }

    /// The engine is back.
    fn connect(&mut self) {
        self.fleet.connect(1);
        self.fleet.settle();
    }

    /// The client comes back to a node, with this offset.
    fn come(&mut self, node: usize, offset: &str) -> Result<Vec<String>, RecoveryOutcome> {
        self.fleet.lose(self.client);
        self.fleet.settle();
        self.come_to(node, offset)
    }

    fn come_to(&mut self, node: usize, offset: &str) -> Result<Vec<String>, RecoveryOutcome> {
        self.client = self.fleet.open_with(node, &claim(&self.ids.0, offset));
        self.fleet.settle();
        match outcome(&self.fleet, node) {
            RecoveryOutcome::Recovered { .. } => {
                assert_eq!(ids(&self.fleet, self.client), self.ids);
                Ok(self.fleet.got(self.client))
            }
            refused => Err(refused),
        }
    }
}

const AMBIGUOUS: RecoveryOutcome = RecoveryOutcome::Refused(RecoveryRefusal::Gap);

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The session was parked before its node had read the packet at the offset. So the client has processed
/// nothing of it, wherever it comes back, and also if it comes back twice.
#[test]
fn a_kept_offset_is_not_taken_for_progress_in_the_new_session() {
    for node in [0, 1] {
        let mut kept = Kept::new(&Audience::all());
        let offset = kept.offset.clone();
        kept.fleet.lose(kept.client);
        kept.connect();
        assert_eq!(kept.come_to(node, &offset), Ok(names(&["first", "second"])), "at node {node}");
        kept.fleet.lose(kept.client);
        kept.fleet.settle();
        let again = kept.come(node, &offset);
        assert_eq!(again, Err(AMBIGUOUS), "it may have processed the replay");
    }
}

/// The same after a crash of the node that has stored the session.
#[test]
fn a_record_tells_that_its_client_may_have_kept_an_offset() {
    let mut kept = Kept::new(&Audience::all());
    let offset = kept.offset.clone();
    kept.fleet.lose(kept.client);
    kept.connect();
    assert!(kept.fleet.store.sessions.contains_key(&kept.ids.0));
    kept.fleet.crash(1);
    assert_eq!(kept.come_to(0, &offset), Ok(names(&["first", "second"])));
}

/// The client comes back before its node has read more.
#[test]
fn a_kept_offset_that_a_node_has_not_read_yet_is_no_wrong_offset() {
    let mut kept = Kept::new(&Audience::all());
    let offset = kept.offset.clone();
    kept.fleet.lose(kept.client);
    assert_eq!(kept.come_to(1, &offset), Ok(names(&[])));
    kept.connect();
    assert_eq!(kept.fleet.got(kept.client), ["first", "second"]);
}

/// The session had a link when its node read the packet at the offset. So nobody knows whether the client
/// has processed it in this session.
#[test]
fn an_offset_that_may_be_kept_or_not_is_refused() {
    for node in [0, 1] {
        let mut kept = Kept::new(&Audience::all());
        let offset = kept.offset.clone();
        kept.connect();
        assert_eq!(kept.fleet.got(kept.client), ["first", "second"]);
        assert_eq!(kept.come(node, &offset), Err(AMBIGUOUS), "at node {node}");
    }
}

/// The packet at the offset was not addressed to the new session. So the client has it from its earlier
/// one.
#[test]
fn a_packet_to_others_shows_that_an_offset_was_kept() {
    for node in [0, 1] {
        let mut kept = Kept::new(&Audience::room("room"));
        let offset = kept.offset.clone();
        kept.connect();
        assert_eq!(kept.fleet.got(kept.client), ["first"]);
        assert_eq!(kept.come(node, &offset), Ok(names(&["first"])), "at node {node}");
    }
}

/// A client that has presented an offset of the new session has none of an earlier one any more.
#[test]
fn a_client_that_has_processed_something_has_kept_nothing() {
    for node in [0, 1] {
        let mut kept = Kept::new(&Audience::all());
        let offset = kept.offset.clone();
        kept.connect();
        let first = offset_of(&kept.fleet, kept.client, "first");
        assert_eq!(kept.come(node, &first), Ok(names(&["second"])), "at node {node}");
        assert_eq!(kept.come(1 - node, &offset), Ok(names(&[])), "it has processed the replay");
    }
}
