//! The methods of an application whose hub is one node of a cluster.

use core::time::Duration;

use bytestring::ByteString;

use super::At;
use crate::{
    cluster::message::{Body, BroadcastOptions, ClusterBroadcast, depth_limit, is_shallow},
    hub::{Audience, EmitError, Reach, cluster::Verb, sessions::Member},
    id::{AckId, SocketKey},
    socket,
};

impl<D: Default> At<'_, D> {
    /// See [`At::emit`] and [`At::emit_volatile`].
    pub(super) fn emit_clustered(
        &mut self,
        socket: SocketKey,
        event: &socket::Event,
        is_volatile: bool,
    ) -> Result<(), EmitError> {
        let is_logged = self.hub.config.recovery.is_some() && !is_volatile;
        let checked = self.check_emit(socket, event, is_logged, !is_volatile);
        let emitted = checked.and_then(|room| {
            if !is_logged {
                self.run_in_order(Verb::Emit { socket, event: event.clone(), is_volatile });
                return Ok(());
            }
            check_depth(event, true)?;
            let options = BroadcastOptions::all().to(room);
            let broadcast = ClusterBroadcast::new(options, event.clone());
            self.hub.append(socket.namespace, Body::Broadcast(broadcast), event.wire_len())
        });
        self.finish(emitted)
    }

    /// See [`At::emit_with_ack`].
    pub(super) fn ask_clustered(
        &mut self,
        socket: SocketKey,
        event: &socket::Event,
        timeout: Duration,
    ) -> Result<AckId, EmitError> {
        let now = self.now;
        let checked = self.check_emit(socket, event, false, true);
        let expected = checked.and_then(|_| {
            let expected = self.hub.with_namespace(socket.namespace, |namespace, _| {
                namespace.expect_answer(now, socket, event, timeout)
            });
            expected.unwrap_or(Err(EmitError::NotConnected))
        });
        let asked = expected.map(|ack| {
            self.run_in_order(Verb::Ask { socket, event: event.clone(), ack });
            AckId { namespace: socket.namespace.into(), id: ack }
        });
        self.finish(asked)
    }

    /// See [`At::broadcast`].
    pub(super) fn broadcast_clustered(
        &mut self,
        id: u32,
        audience: &Audience,
        event: &socket::Event,
    ) -> Result<Reach, EmitError> {
        let (is_volatile, is_local) = (audience.is_volatile(), audience.is_local());
        let is_logged = self.hub.config.recovery.is_some() && !is_volatile && !is_local;
        let checked = self.hub.config.check_event(event, is_logged);
        let is_carried = if is_local { Ok(()) } else { check_depth(event, !is_volatile) };
        self.emitted(checked.and(is_carried))?;
        if is_volatile || is_local {
            let (event, audience) = (event.clone(), audience.clone());
            self.run_in_order(Verb::Broadcast { namespace: id, audience, event });
            return Ok(self.carry().unwrap_or_default());
        }
        let options = self.hub.options(id, audience).ok_or(EmitError::UnknownNamespace)?;
        let body = Body::Broadcast(ClusterBroadcast::new(options, event.clone()));
        let appended = self.hub.append(id, body, event.wire_len());
        self.finish(appended).map(|()| Reach::default())
    }

    /// See [`At::broadcast_with_ack`].
    pub(super) fn ask_all_clustered(
        &mut self,
        id: u32,
        audience: &Audience,
        event: &socket::Event,
        timeout: Duration,
    ) -> Result<AckId, EmitError> {
        let now = self.now;
        let is_carried = if audience.is_local() { Ok(()) } else { check_depth(event, false) };
        self.emitted(is_carried)?;
        let expected = self
            .hub
            .with_namespace(id, |namespace, _| namespace.expect_answers(now, event, timeout));
        let asked = expected.unwrap_or(Err(EmitError::UnknownNamespace)).map(|ack| {
            let (audience, event) = (audience.clone(), event.clone());
            self.run_in_order(Verb::AskAll { namespace: id, audience, event, ack });
            AckId { namespace: id.into(), id: ack }
        });
        self.finish(asked)
    }

    /// Changes sockets of all nodes. Their number is not known.
    pub(super) fn change_clustered(
        &mut self,
        namespace: &str,
        audience: &Audience,
        body: impl FnOnce(BroadcastOptions) -> Body,
    ) -> Result<usize, EmitError> {
        let id = self.hub.find_for_all(namespace).ok_or(EmitError::UnknownNamespace)?;
        let options = self.hub.options(id, audience).ok_or(EmitError::UnknownNamespace)?;
        let names = options.rooms().iter().chain(options.excepted());
        let bytes = names.map(|name| name.len()).fold(0, usize::saturating_add);
        let appended = self.hub.append(id, body(options), bytes);
        self.finish(appended).map(|()| 0)
    }

    /// Changes a socket of this node in the order of the calls, also if it is parked and its record
    /// is in the store.
    pub(super) fn change(&mut self, verb: Verb) {
        match self.hub.append_for_parked(verb) {
            Some(verb) => self.run_in_order(verb),
            None => drop(self.carry()),
        }
    }

    /// The data of a socket have changed, or what it remembers of its client's events. If the store
    /// has its session, it is stored again.
    pub(super) fn note_changed(&mut self, socket: SocketKey) {
        if self.hub.is_in_store(socket) {
            self.hub.note_changed(socket);
            self.carry();
        }
    }

    /// Does something on this node, once everything that was emitted before has taken effect.
    pub(super) fn run_in_order(&mut self, verb: Verb) {
        if let Some(verb) = self.hub.defer(verb) {
            self.hub.run(verb);
        }
    }

    /// Checks whether an event can be emitted to one socket. Returns its own room.
    fn check_emit(
        &mut self,
        socket: SocketKey,
        event: &socket::Event,
        is_logged: bool,
        may_wait: bool,
    ) -> Result<ByteString, EmitError> {
        let (now, carrier) = (self.now, &mut self.carrier);
        let checked = self.hub.with_namespace(socket.namespace, |namespace, _| {
            if let Some(carrier) = carrier.as_mut().filter(|_| may_wait)
                && let Some(connection) = namespace.member(socket).and_then(Member::connection)
            {
                carrier.check_room(now, connection, event, is_logged)?;
            }
            let id = namespace.check_emit(socket, event, is_logged)?;
            Ok(ByteString::from(id.as_str()))
        });
        checked.unwrap_or(Err(EmitError::NotConnected))
    }
}

/// Checks whether engines carry an event, stored or not.
pub(super) fn check_depth(event: &socket::Event, is_stored: bool) -> Result<(), EmitError> {
    let limit = depth_limit(event, is_stored);
    if is_shallow(event, limit) { Ok(()) } else { Err(EmitError::TooDeep { limit }) }
}
