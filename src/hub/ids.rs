//! Ids of new sessions and namespaces.

use super::Hub;
use crate::id::{RecoveryKey, SocketId};

impl<D> Hub<D> {
    /// Draws a public id that is not the name of a room, and so not the id of a session.
    pub(super) fn draw_id(&mut self, namespace: u32) -> SocketId {
        let sessions = self.namespaces.get(&namespace).map(|namespace| &namespace.sessions);
        let is_free =
            |id: &SocketId| sessions.is_none_or(|sessions| !sessions.has_room(id.as_str()));
        let entropy = &mut *self.entropy;
        draw(|| SocketId::from_entropy(entropy), is_free)
    }

    /// Draws a private id that no session uses.
    pub(super) fn draw_key(&mut self) -> RecoveryKey {
        let (entropy, keys) = (&mut *self.entropy, &self.keys);
        draw(|| RecoveryKey::from_entropy(entropy), |key| keys.get(&key.index_key()).is_none())
    }
}

/// Assigns ids to namespaces.
///
/// A namespace that a predicate has accepted is removed when no session is left in it. Clients can
/// create such namespaces without end, so ids are reused, each only after all others. References
/// that can outlive a namespace have another part that is never reused: sockets have a generation,
/// requests have a serial number, and the ids of acknowledgements continue.
#[derive(Debug, Default)]
pub(super) struct NamespaceIds {
    next: u32,
    next_ack: u64,
}

impl NamespaceIds {
    /// Links use this id for "no namespace".
    const NONE: u32 = u32::MAX;

    /// Draws an id that no namespace has. Takes amortised O(1) lookups: all ids in use are below
    /// `next` until all ids were drawn once.
    pub(super) fn draw(&mut self, is_taken: impl Fn(u32) -> bool) -> u32 {
        loop {
            let id = self.next;
            self.next = if id == Self::NONE { 0 } else { id + 1 };
            if id != Self::NONE && !is_taken(id) {
                return id;
            }
        }
    }

    /// Records that a namespace is removed. `next_ack` is the id of its next acknowledgement.
    pub(super) fn note_end(&mut self, next_ack: u64) {
        self.next_ack = self.next_ack.max(next_ack);
    }

    /// The first acknowledgement id of a new namespace. It was not used by an earlier namespace of
    /// the same name, whose clients may still answer late.
    pub(super) const fn next_ack(&self) -> u64 {
        self.next_ack
    }
}

/// Draws until an id is free. Ids have 120 random bits, so an id in use is drawn only if the
/// embedder's entropy repeats itself: after a restart with the same seed, or in a virtual machine
/// that was started twice from the same image.
fn draw<T>(mut source: impl FnMut() -> T, is_free: impl Fn(&T) -> bool) -> T {
    let first = source();
    if is_free(&first) {
        return first;
    }
    (0..DRAWS_MAX).map(|_| source()).find(|id| is_free(id)).unwrap_or(first)
}

/// The maximum number of draws. If none is free after that, the entropy is a constant.
const DRAWS_MAX: u32 = 1_000;

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeMap, format, sync::Arc, vec::Vec};
    use core::time::Duration;

    use super::*;
    use crate::{
        ConnectionId, RecoveryConfig, ServerConfig, SocketKey, Timestamp,
        hub::{
            Attached, ConnectSerial, DisconnectReason, HubOutput, Request, RequestKind, ServerEvent,
        },
        id::Generation,
        recovery::{RecoveryOutcome, RecoveryRefusal},
        socket::{self, Json, NamespaceName},
    };

    const NOW: Timestamp = Timestamp::from_millis(1_000);
    const LINK: ConnectionId = ConnectionId::from_raw(1);

    fn hub() -> Hub<u8> {
        let mut state = 0;
        let entropy = move |dest: &mut [u8]| {
            state += 1;
            dest.fill(state);
        };
        let config = ServerConfig::new().recovery(RecoveryConfig::default());
        let mut hub = Hub::new(Arc::new(config), entropy).unwrap();
        hub.at(Timestamp::ZERO).add_namespace("/").unwrap();
        hub
    }

    fn connect(hub: &mut Hub<u8>) -> SocketKey {
        connect_to(hub, "/", None).0
    }

    fn connect_to(
        hub: &mut Hub<u8>,
        name: &str,
        claimed: Option<SocketKey>,
    ) -> (SocketKey, RecoveryOutcome) {
        let pid = claimed.map(|it| hub.namespaces[&it.namespace].member(it).unwrap().key.unwrap());
        let auth = pid.map(|pid| Json::new(&BTreeMap::from([("pid", pid.expose())])).unwrap());
        let kind = RequestKind::Connect {
            namespace: NamespaceName::new(name).unwrap(),
            serial: ConnectSerial::default(),
            auth,
            earlier: None,
            replaced: None,
        };
        hub.handle_request(NOW, LINK, Request(kind));
        while let Some(output) = hub.poll_output() {
            match output {
                HubOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                    hub.at(NOW).accept(request).unwrap();
                }
                HubOutput::Event(ServerEvent::Connected { socket, recovery, .. }) => {
                    return (socket, recovery);
                }
                _ => {}
            }
        }
        panic!("not let in");
    }

    fn detach(hub: &mut Hub<u8>, key: SocketKey, reason: DisconnectReason) {
        let socket = Attached { key, attachment: 0 };
        hub.handle_request(NOW, LINK, Request(RequestKind::Detach { socket, reason }));
    }

    #[test]
    fn no_private_id_outlives_its_session() {
        let ends: [fn(&mut Hub<u8>, SocketKey); 4] = [
            |hub, socket| assert!(hub.at(NOW).disconnect(socket, false)),
            |hub, socket| {
                detach(hub, socket, DisconnectReason::PingTimeout);
                assert!(hub.at(NOW).disconnect(socket, false));
            },
            |hub, socket| detach(hub, socket, DisconnectReason::ClientNamespaceDisconnect),
            |hub, socket| {
                detach(hub, socket, DisconnectReason::PingTimeout);
                assert_eq!(hub.keys.values().count(), 1, "it may come back");
                while hub.poll_output().is_some() {}
                hub.handle_timeout(hub.deadline().unwrap());
            },
        ];
        let mut hub = hub();
        for end in ends {
            let socket = connect(&mut hub);
            assert_eq!(hub.keys.values().count(), 1);
            end(&mut hub, socket);
            while hub.poll_output().is_some() {}
            assert_eq!(hub.keys.values().count(), 0, "nothing is left of it");
        }
    }

    const LEFT: DisconnectReason = DisconnectReason::ClientNamespaceDisconnect;

    #[test]
    fn namespaces_that_come_and_go_never_use_up_the_ids() {
        let mut hub = hub();
        hub.at(Timestamp::ZERO).add_namespaces_matching(|_| true);
        hub.namespace_ids.next = NamespaceIds::NONE - 2;
        let stays = connect_to(&mut hub, "/stays", None).0;
        let ids: Vec<u32> = (0..4)
            .map(|number| {
                let socket = connect_to(&mut hub, &format!("/{number}"), None).0;
                detach(&mut hub, socket, LEFT);
                assert_eq!(hub.namespaces.len(), 2, "it has gone");
                socket.namespace
            })
            .collect();
        assert_eq!(stays.namespace, NamespaceIds::NONE - 2);
        assert_eq!(ids, [NamespaceIds::NONE - 1, 1, 2, 3], "0 is that of the main namespace");
    }

    #[test]
    fn a_namespace_with_the_id_of_another_one_has_nothing_of_it() {
        let mut hub = hub();
        hub.at(Timestamp::ZERO).add_namespaces_matching(|_| true);
        let earlier = connect_to(&mut hub, "/a", None).0;
        let event = socket::Event::new("ask", &()).unwrap();
        let ask = |hub: &mut Hub<u8>, socket| {
            hub.at(NOW).emit_with_ack(socket, &event, Duration::from_secs(1)).unwrap()
        };
        let asked = ask(&mut hub, earlier);
        detach(&mut hub, earlier, LEFT);
        hub.namespace_ids.next = earlier.namespace;
        let present = connect_to(&mut hub, "/b", None).0;
        assert_eq!((present.namespace, present.index), (earlier.namespace, earlier.index));
        assert!(hub.socket_id(earlier).is_none());
        assert_ne!(ask(&mut hub, present), asked, "a name of what was settled");
    }

    #[test]
    fn handles_of_sessions_are_wider_than_32_bits() {
        let mut hub = hub();
        let earlier = connect(&mut hub);
        detach(&mut hub, earlier, LEFT);
        hub.next_generation =
            Generation::from_raw(earlier.generation.as_raw() + (1 << 32)).unwrap();
        let present = connect(&mut hub);
        assert_eq!(present.index, earlier.index);
        assert!(hub.socket_id(present).is_some() && hub.socket_id(earlier).is_none());
    }

    #[test]
    fn a_session_that_was_given_to_all_the_links_it_can_have_moves_no_more() {
        let mut hub = hub();
        let socket = connect(&mut hub);
        let namespace = hub.namespaces.get_mut(&socket.namespace).unwrap();
        namespace.sessions.member_mut(socket.index).unwrap().attachment = u32::MAX - 1;
        let recovered = RecoveryOutcome::Recovered { replayed: 0 };
        assert_eq!(connect_to(&mut hub, "/", Some(socket)), (socket, recovered));
        let refused = RecoveryOutcome::Refused(RecoveryRefusal::Limit);
        let (another, outcome) = connect_to(&mut hub, "/", Some(socket));
        assert_eq!(outcome, refused);
        assert!(another != socket && hub.is_connected(another));
    }

    #[test]
    fn a_place_that_may_name_a_session_takes_no_more_than_one_that_does() {
        assert_eq!(size_of::<Option<Attached>>(), size_of::<SocketKey>() + 4);
    }
}
