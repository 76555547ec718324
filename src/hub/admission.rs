//! How a client joins a namespace: with its earlier session, or with a new one.

use alloc::vec::Vec;

use super::{
    Hub,
    event::ServerEvent,
    lookup::Replay,
    message::{Attached, ReplyKind},
    output::HubOutput,
    reason::DisconnectReason,
    request::ConnectRequest,
    sessions::{Birth, Change},
    waiting::WaitingConnect,
};
use crate::{
    config::ReplayOrder,
    engine::CloseReason,
    id::{ConnectionId, SocketKey},
    recovery::{Offset, RecoveryOutcome, RecoveryRefusal},
    socket::Encoded,
    stats::increment,
};

impl<D: Default> Hub<D> {
    /// Makes the client a member of the namespace. The caller must have looked up the replay in the
    /// same call, so that nothing is emitted in between.
    pub(super) fn admit(
        &mut self,
        request: ConnectRequest,
        replay: Option<Result<Replay, RecoveryRefusal>>,
    ) -> Option<SocketKey> {
        let WaitingConnect { auth, asked, claimed, presented, .. } = self.take_waiting(request)?;
        let goes_on = replay.as_ref().and_then(|replay| replay.as_ref().ok()).map(|it| it.socket);
        self.end_replaced(asked.replaced, goes_on);
        let (socket, packets, recovery) = match replay {
            Some(Ok(replay)) => self.recover(request, replay),
            Some(Err(refusal)) => {
                self.totals.refused.count(refusal);
                if let (Some(Ok(held)), RecoveryRefusal::PoisonEvent) = (claimed, refusal) {
                    self.report_poison(held.socket);
                }
                self.open(request, presented, RecoveryOutcome::Refused(refusal))
            }
            None => self.open(request, None, RecoveryOutcome::New),
        };
        let namespace = self.namespaces.get(&request.namespace)?;
        let member = namespace.member(socket)?;
        let (id, attachment) = (member.id, member.attachment);
        let name = namespace.sessions.name().clone();
        let attached = Attached { key: socket, attachment };
        if self.is_clustered() {
            self.note_admitted(socket);
        }
        self.connects.unconfirmed.insert(request.connection, asked.serial, attached);
        self.reply(
            request.connection,
            ReplyKind::Connected {
                namespace: name.clone(),
                serial: asked.serial,
                socket: attached,
                packets,
            },
        );
        self.out.push_back(HubOutput::Event(ServerEvent::Connected {
            socket,
            id,
            connection: request.connection,
            namespace: name,
            auth,
            recovery,
        }));
        self.settle(request.namespace);
        Some(socket)
    }

    fn recover(
        &mut self,
        request: ConnectRequest,
        replay: Replay,
    ) -> (SocketKey, Vec<Encoded>, RecoveryOutcome) {
        let Replay { socket, position, missed } = replay;
        let (replayed, now) = (missed.len(), self.now);
        let namespace = self.namespaces.get(&socket.namespace);
        let is_unproven =
            namespace.is_some_and(|it| it.sessions.is_unproven(socket.index, position));
        let earlier = self.with_namespace(socket.namespace, |namespace, out| {
            let (index, is_empty) = (socket.index, replayed == 0);
            namespace.sessions.apply(now, Change::Replay { index, position, is_empty });
            namespace.attach(now, out, socket, request.connection, request.serial)
        });
        if let Some(Some(earlier)) = earlier {
            increment(&mut self.totals.taken_over);
            self.leave_earlier_link(earlier, socket, request.connection);
        }
        increment(&mut self.totals.recovered);
        self.totals.replayed = self.totals.replayed.wrapping_add(replayed as u64);
        let mut packets = missed;
        let after_connect = self
            .config
            .recovery
            .as_ref()
            .is_none_or(|recovery| recovery.replay_order == ReplayOrder::AfterConnect);
        let position = if after_connect { 0 } else { packets.len() };
        packets.splice(position..position, self.connect_packet(socket));
        let outcome = if is_unproven {
            RecoveryOutcome::BestEffort { replayed }
        } else {
            RecoveryOutcome::Recovered { replayed }
        };
        (socket, packets, outcome)
    }

    /// Tells the application and the old link that the session has moved to another link.
    fn leave_earlier_link(&mut self, earlier: ConnectionId, socket: SocketKey, to: ConnectionId) {
        let Some(namespace) = self.namespaces.get(&socket.namespace) else {
            return;
        };
        let Some(member) = namespace.member(socket) else {
            return;
        };
        let event = ServerEvent::Disconnected {
            socket,
            id: member.id,
            namespace: namespace.sessions.name().clone(),
            reason: DisconnectReason::TakenOver,
            rooms: namespace.sessions.names_of(socket.index, member.id),
            data: None,
        };
        self.out.push_back(HubOutput::Event(event));
        if earlier != to {
            self.reply(earlier, ReplyKind::Close { reason: CloseReason::TakenOver });
        }
    }

    fn open(
        &mut self,
        request: ConnectRequest,
        presented: Option<Offset>,
        outcome: RecoveryOutcome,
    ) -> (SocketKey, Vec<Encoded>, RecoveryOutcome) {
        increment(&mut self.totals.sessions_opened);
        let id = self.draw_id(request.namespace);
        let key = self.config.recovery.is_some().then(|| self.draw_key());
        let generation = self.next_generation.take();
        let birth = Birth {
            id,
            key,
            generation,
            connection: request.connection,
            claimed: request.serial,
            data: D::default(),
            presented,
        };
        let now = self.now;
        let index = self.with_namespace(request.namespace, |namespace, _| {
            namespace.sessions.apply(now, Change::Open(birth)).opened()
        });
        let socket = SocketKey {
            namespace: request.namespace,
            index: index.flatten().unwrap_or_default(),
            generation,
        };
        if let Some(key) = key {
            self.keys.insert(key.index_key(), socket);
        }
        (socket, self.connect_packet(socket).into_iter().collect(), outcome)
    }

    /// The answer to a CONNECT.
    pub(super) fn connect_packet(&self, socket: SocketKey) -> Option<Encoded> {
        let namespace = self.namespaces.get(&socket.namespace)?;
        let member = namespace.member(socket)?;
        let (name, id, pid) = (namespace.sessions.name(), &member.id, member.key.as_ref());
        Some(if self.config.counts_events() {
            Encoded::connect_counted(name, id, pid, member.received())
        } else {
            Encoded::connect(name, id, pid)
        })
    }
}
