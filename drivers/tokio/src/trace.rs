//! What the driver reports to `tracing`.
//!
//! No payload, no authentication data and no secret id is in a field. What happens for each packet has
//! level TRACE.

use std::time::Duration;

use socketio_proto::{
    WireId,
    recovery::RecoveryOutcome,
    server::{ConnectRefusals, RequestRefusals, Server, ServerEvent},
};
use tracing::{Span, debug, debug_span, info, span::EnteredSpan, trace, trace_span, warn};

/// Reports an event before the application handles it, and enters the span in which it does.
pub(crate) fn event<D>(event: &ServerEvent<D>) -> EnteredSpan {
    let span = span(event).entered();
    report(event);
    span
}

fn span<D>(event: &ServerEvent<D>) -> Span {
    match event {
        ServerEvent::ConnectionOpened { connection, .. }
        | ServerEvent::ConnectionUpgraded { connection }
        | ServerEvent::ConnectionClosed { connection, .. }
        | ServerEvent::ConnectRequested { connection, .. }
        | ServerEvent::LookupRequested { connection, .. } => {
            debug_span!("connection", ?connection)
        }
        ServerEvent::Connected { socket, connection, .. } => {
            debug_span!("socket", ?socket, ?connection)
        }
        ServerEvent::ReplayRefused { socket, .. }
        | ServerEvent::Disconnected { socket, .. }
        | ServerEvent::SessionExpired { socket, .. } => debug_span!("socket", ?socket),
        ServerEvent::Received { socket, .. }
        | ServerEvent::Acked { socket, .. }
        | ServerEvent::AckFailed { socket, .. } => trace_span!("socket", ?socket),
        _ => Span::none(),
    }
}

fn report<D>(event: &ServerEvent<D>) {
    match event {
        ServerEvent::ConnectionOpened { wire, .. } => debug!(wire = wire.0, "connection opened"),
        ServerEvent::ConnectionUpgraded { .. } => debug!("connection upgraded to WebSocket"),
        ServerEvent::ConnectionClosed { reason, .. } => debug!(%reason, "connection closed"),
        ServerEvent::ConnectRequested { namespace, recoverable, .. } => {
            let recoverable = recoverable.is_some();
            debug!(namespace = namespace.as_str(), recoverable, "CONNECT");
        }
        ServerEvent::LookupRequested { namespace, .. } => {
            debug!(namespace = namespace.as_str(), "an unknown session is looked up elsewhere");
        }
        ServerEvent::Connected { namespace, recovery, .. } => {
            let namespace = namespace.as_str();
            match recovery {
                RecoveryOutcome::New => debug!(namespace, "connected"),
                RecoveryOutcome::Recovered { replayed } => {
                    debug!(namespace, replayed, "recovered");
                }
                RecoveryOutcome::BestEffort { replayed } => {
                    debug!(namespace, replayed, "recovered as well as possible");
                }
                RecoveryOutcome::Refused(refusal) => {
                    debug!(namespace, ?refusal, "connected, and not recovered");
                }
            }
        }
        ServerEvent::ReplayRefused { namespace, .. } => {
            let namespace = namespace.as_str();
            warn!(
                namespace,
                "a client has refused the same replay repeatedly: its session is over"
            );
        }
        ServerEvent::Disconnected { namespace, reason, data, .. } => {
            let parked = data.is_none();
            debug!(namespace = namespace.as_str(), ?reason, parked, "disconnected");
        }
        ServerEvent::SessionExpired { namespace, cause, .. } => {
            debug!(namespace = namespace.as_str(), ?cause, "session expired");
        }
        ServerEvent::Received { namespace, ack, .. } => {
            trace!(namespace = namespace.as_str(), ack = ack.is_some(), "event received");
        }
        ServerEvent::Acked { namespace, .. } => {
            trace!(namespace = namespace.as_str(), "acknowledged");
        }
        ServerEvent::AckFailed { namespace, cause, .. } => {
            trace!(namespace = namespace.as_str(), ?cause, "not acknowledged");
        }
        ServerEvent::BroadcastAcked { namespace, missing, timed_out, .. } => {
            let namespace = namespace.as_str();
            trace!(namespace, missing, timed_out, "broadcast acknowledged");
        }
        _ => {}
    }
}

/// What was refused up to now. No event tells of it, so the counters do.
#[derive(Default)]
pub(crate) struct Refusals {
    requests: RequestRefusals,
    connects: ConnectRefusals,
}

impl Refusals {
    /// Reports what was refused since the last call.
    pub(crate) fn report<D: Default>(&mut self, server: &Server<D>, wire: Option<WireId>) {
        let wire = wire.map(|wire| wire.0);
        let requests = server.requests_refused();
        if requests != self.requests {
            for (cause, count) in causes(&self.requests, &requests, request_causes) {
                debug!(wire, cause, count, "request refused");
            }
            self.requests = requests;
        }
        let connects = server.connects_refused();
        if connects != self.connects {
            for (cause, count) in causes(&self.connects, &connects, connect_causes) {
                debug!(wire, cause, count, "CONNECT refused");
            }
            self.connects = connects;
        }
    }
}

type Cause = (&'static str, u64);

/// The counters that have changed, and by how much.
fn causes<T, const N: usize>(
    before: &T,
    now: &T,
    list: fn(&T) -> [Cause; N],
) -> impl Iterator<Item = Cause> {
    let changes = list(now).into_iter().zip(list(before));
    changes
        .map(|((cause, now), (_, before))| (cause, now.wrapping_sub(before)))
        .filter(|(_, count)| *count > 0)
}

fn request_causes(refused: &RequestRefusals) -> [Cause; 9] {
    [
        ("unknown_transport", refused.unknown_transport),
        ("unknown_session", refused.unknown_session),
        ("bad_handshake_method", refused.bad_handshake_method),
        ("bad_request", refused.bad_request),
        ("unsupported_version", refused.unsupported_version),
        ("origin_not_allowed", refused.origin_not_allowed),
        ("websocket_handshake", refused.websocket_handshake),
        ("too_many_connections", refused.too_many_connections),
        ("too_many_handshakes", refused.too_many_handshakes),
    ]
}

fn connect_causes(refused: &ConnectRefusals) -> [Cause; 6] {
    [
        ("invalid_namespace", refused.invalid_namespace),
        ("too_many_namespaces", refused.too_many_namespaces),
        ("too_many_on_connection", refused.too_many_on_connection),
        ("too_much_auth", refused.too_much_auth),
        ("invalid_packet", refused.invalid_packet),
        ("rejected", refused.rejected),
    ]
}

/// The task of a machine runs.
pub(crate) fn started() {
    info!("started");
}

/// The connections have to end.
pub(crate) fn closing() {
    info!("all connections are closed");
}

/// The task of a machine ends.
pub(crate) fn ended() {
    info!("ended");
}

/// The engine of a cluster could not connect, or has lost its connection.
pub(crate) fn engine_failed(failure: &str) {
    warn!(failure, "the engine of the cluster has no connection");
}

/// A timer is late because the process or its thread did not run.
pub(crate) fn late(by: Duration) {
    trace!(milliseconds = by.as_millis(), "a timer is late");
}

/// A peer is gone: its stream has ended or failed.
pub(crate) fn lost(wire: WireId) {
    debug!(wire = wire.0, "wire lost");
}

/// A stream takes nothing more at the moment.
pub(crate) fn stalled(wire: WireId) {
    trace!(wire = wire.0, "the peer does not read");
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::{Cause, ConnectRefusals, RequestRefusals, connect_causes, request_causes};

    #[test]
    fn every_counter_of_refusals_is_a_cause() {
        assert_all_named(&RequestRefusals::default(), request_causes);
        assert_all_named(&ConnectRefusals::default(), connect_causes);
    }

    fn assert_all_named<T: Serialize, const N: usize>(counters: &T, list: fn(&T) -> [Cause; N]) {
        let expected = serde_json::to_value(counters).unwrap();
        let named = list(counters).map(|(cause, count)| (cause.to_owned(), count.into()));
        assert_eq!(serde_json::Value::Object(named.into_iter().collect()), expected);
    }
}
