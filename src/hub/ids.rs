//! Ids of new sessions.

use super::Hub;
use crate::id::{RecoveryKey, SocketId};

impl<D> Hub<D> {
    /// Draws a public id that names no room yet, and so no session.
    pub(super) fn draw_id(&mut self, namespace: u32) -> SocketId {
        let sessions = self.namespaces.get(&namespace).map(|namespace| &namespace.sessions);
        let is_free =
            |id: &SocketId| sessions.is_none_or(|sessions| !sessions.has_room(id.as_str()));
        let entropy = &mut *self.entropy;
        draw(|| SocketId::from_entropy(entropy), is_free)
    }

    /// Draws a private id that no session has.
    pub(super) fn draw_key(&mut self) -> RecoveryKey {
        let (entropy, keys) = (&mut *self.entropy, &self.keys);
        draw(|| RecoveryKey::from_entropy(entropy), |key| keys.get(&key.index_key()).is_none())
    }
}

/// Ids have 120 random bits, so that one that is taken is never drawn, unless the embedder's
/// entropy repeats itself: after a restart with the same seed, or in a virtual machine that was
/// started from an image twice.
fn draw<T>(mut source: impl FnMut() -> T, is_free: impl Fn(&T) -> bool) -> T {
    let first = source();
    if is_free(&first) {
        return first;
    }
    (0..DRAWS_MAX).map(|_| source()).find(|id| is_free(id)).unwrap_or(first)
}

/// Beyond it the entropy is a constant.
const DRAWS_MAX: u32 = 1_000;

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use super::*;
    use crate::{
        ConnectionId, RecoveryConfig, ServerConfig, SocketKey, Timestamp,
        hub::{Attached, ConnectSerial, DisconnectReason, Event, Output, Request, RequestKind},
        socket::NamespaceName,
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
        hub.add_namespace("/").unwrap();
        hub
    }

    fn connect(hub: &mut Hub<u8>) -> SocketKey {
        let kind = RequestKind::Connect {
            namespace: NamespaceName::ROOT,
            serial: ConnectSerial::default(),
            auth: None,
            replaced: None,
        };
        hub.handle_request(NOW, LINK, Request(kind));
        while let Some(output) = hub.poll_output() {
            match output {
                Output::Event(Event::ConnectRequested { request, .. }) => {
                    hub.accept(NOW, request).unwrap();
                }
                Output::Event(Event::Connected { socket, .. }) => return socket,
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
            |hub, socket| assert!(hub.disconnect(NOW, socket, false)),
            |hub, socket| {
                detach(hub, socket, DisconnectReason::PingTimeout);
                assert!(hub.disconnect(NOW, socket, false));
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
}
