//! Where the sessions of a cluster are.

use std::collections::BTreeMap;

/// The node of each session, by its public id, and its socket `S` there.
#[derive(Debug)]
pub(super) struct Places<S>(BTreeMap<String, Place<S>>);

#[derive(Debug)]
struct Place<S> {
    latest: (usize, S),
    /// Where it was before, until its client knows of the latest place.
    earlier: Option<(usize, S)>,
    /// Whether a node that has crashed since had taken it from there.
    was_taken: bool,
}

impl<S> Default for Places<S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S: Copy> Places<S> {
    /// A session begins or goes on at a node.
    pub(super) fn came(&mut self, session: &str, node: usize, socket: S) {
        let latest = (node, socket);
        if let Some(place) = self.0.get_mut(session) {
            if place.latest.0 != node {
                place.earlier = Some(place.latest);
            }
            place.latest = latest;
            place.was_taken = false;
        } else {
            let place = Place { latest, earlier: None, was_taken: false };
            self.0.insert(session.to_owned(), place);
        }
    }

    /// This node has told a client that its session goes on there.
    pub(super) fn told(&mut self, session: &str, node: usize) {
        if let Some(place) = self.0.get_mut(session).filter(|place| place.latest.0 == node) {
            place.earlier = None;
        }
    }

    /// A node has learnt that a session is elsewhere, or has lost it. If its client was not told that it had come to
    /// this node, it is where it was before. Otherwise it goes on at a third one, which is not known yet.
    pub(super) fn moved(&mut self, session: &str, node: usize) {
        if let Some(place) = self.0.get_mut(session).filter(|place| place.latest.0 == node)
            && let Some(earlier) = place.earlier.take()
        {
            place.latest = earlier;
        }
    }

    /// The process of a node has ended. Sessions whose clients were not told that they had come to this node
    /// are where they were before.
    pub(super) fn crashed(&mut self, node: usize) {
        for place in self.0.values_mut().filter(|place| place.latest.0 == node) {
            if let Some(earlier) = place.earlier.take() {
                place.latest = earlier;
                place.was_taken = true;
            }
        }
    }

    /// Whether another node has, or had, the session later than this one.
    pub(super) fn is_old(&self, session: &str, node: usize) -> bool {
        self.0.get(session).is_some_and(|place| place.latest.0 != node || place.was_taken)
    }

    /// Where a session was last.
    pub(super) fn latest(&self, session: &str) -> Option<(usize, S)> {
        self.0.get(session).map(|place| place.latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session that is at node 0, and has come to node 1.
    fn moved_to_1() -> Places<&'static str> {
        let mut places = Places::default();
        places.came("a", 0, "at 0");
        places.told("a", 0);
        places.came("a", 1, "at 1");
        places
    }

    #[test]
    fn a_session_that_its_client_did_not_follow_is_where_it_was() {
        let mut places = moved_to_1();
        assert_eq!(places.latest("a"), Some((1, "at 1")));
        places.moved("a", 1);
        assert_eq!(places.latest("a"), Some((0, "at 0")));
    }

    #[test]
    fn a_session_that_goes_on_to_a_third_node_does_not_go_back() {
        let mut places = moved_to_1();
        places.told("a", 1);
        places.moved("a", 1);
        assert_eq!(places.latest("a"), Some((1, "at 1")), "nobody knows yet where it goes");
        places.came("a", 2, "at 2");
        places.moved("a", 2);
        assert_eq!(places.latest("a"), Some((1, "at 1")), "its client knows of node 1");
    }

    #[test]
    fn what_an_earlier_node_has_told_says_nothing_of_a_later_one() {
        let mut places = moved_to_1();
        places.told("a", 0);
        places.moved("a", 1);
        assert_eq!(places.latest("a"), Some((0, "at 0")));
    }

    #[test]
    fn a_session_that_has_gone_from_an_earlier_node_is_at_the_latest() {
        let mut places = moved_to_1();
        places.moved("a", 0);
        assert_eq!(places.latest("a"), Some((1, "at 1")));
    }

    #[test]
    fn a_crash_leaves_a_session_where_its_client_is() {
        let mut places = moved_to_1();
        places.came("b", 0, "b at 0");
        places.crashed(1);
        assert_eq!(places.latest("a"), Some((0, "at 0")));
        assert_eq!(places.latest("b"), Some((0, "b at 0")));
        assert!(places.is_old("a", 0), "the node that has crashed may have received something");
        assert!(!places.is_old("b", 0));
        places.came("a", 0, "again at 0");
        assert!(!places.is_old("a", 0));
    }

    #[test]
    fn a_session_that_its_client_knows_of_is_at_the_node_that_has_crashed() {
        let mut places = moved_to_1();
        places.told("a", 1);
        places.crashed(1);
        assert_eq!(places.latest("a"), Some((1, "at 1")));
    }
}
