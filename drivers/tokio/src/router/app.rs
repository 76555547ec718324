//! The router as an application: which event goes where.

use std::sync::{Arc, Mutex};

use http::request::Parts;
use socketio_proto::{
    ConnectionId, hub::Rejection, recovery::RecoveryRefusal, server::ServerEvent,
    socket::NamespaceName,
};

use super::{
    Router,
    call::call,
    connecting::Connecting,
    received::Received,
    server_side::ServerSide,
    sockets::{Connected, Disconnecting},
};
use crate::{
    app::{App, Context},
    handle::{Handle, WeakHandle},
};

impl<D: Default + Send + 'static> App for Router<D> {
    type Data = D;

    fn start(&mut self, cx: &mut Context<'_, D>, handle: WeakHandle<Self>) {
        self.handle = Some(handle);
        for name in self.names.keys() {
            // The names are valid, so that only a limit can refuse one.
            cx.at().add_namespace(name.as_str()).ok();
        }
        for (is_match, _) in &self.patterns {
            let is_match = is_match.clone();
            cx.at().add_namespaces_matching(move |name| is_match(name));
        }
    }

    fn handle_handshake(&mut self, connection: ConnectionId, request: &Arc<Parts>) {
        self.clients.insert(connection, request.clone());
    }

    fn handle_event(&mut self, cx: &mut Context<'_, D>, event: ServerEvent<D>) {
        if let ServerEvent::ConnectionClosed { connection, .. } = event {
            self.clients.remove(connection);
        }
        let index = namespace_of(&event).and_then(|namespace| self.find(namespace));
        // There is one as long as there are connections.
        let handle = self.handle.as_ref().and_then(WeakHandle::upgrade);
        match (index, handle) {
            (Some(index), Some(handle)) => self.dispatch(cx, index, handle, event),
            _ => self.handle_other(cx, event),
        }
    }
}

impl<D: Default + Send + 'static> Router<D> {
    /// Gives an event to the namespace at an index.
    fn dispatch(
        &mut self,
        cx: &mut Context<'_, D>,
        index: usize,
        handle: Handle<Self>,
        event: ServerEvent<D>,
    ) {
        let Some(handlers) = self.namespaces.get_mut(index) else { return };
        match event {
            ServerEvent::ConnectRequested { request, connection, namespace, auth, recoverable } => {
                let (id, request, changes) =
                    (request, self.clients.request(connection), Arc::default());
                let connecting = Connecting {
                    connection,
                    namespace,
                    auth,
                    recoverable,
                    request,
                    handle,
                    id,
                    changes,
                };
                self.connect(cx, index, connecting);
            }
            ServerEvent::Received { socket, namespace, event, ack } => {
                let ack = Arc::new(Mutex::new(ack));
                self.receive(cx, index, Received { socket, namespace, event, handle, ack });
            }
            ServerEvent::Connected { socket, id, connection, namespace, recovery, .. } => {
                let connected = Connected { socket, id, connection, namespace, recovery, handle };
                let hook = handlers.on_connect.as_mut();
                hook.map(|hook| call(|| hook(cx, connected)));
            }
            ServerEvent::Disconnected { socket, id, namespace, reason, rooms, data } => {
                let end = Disconnecting { socket, id, namespace, reason, rooms, data };
                let hook = handlers.on_disconnecting.as_mut();
                hook.map(|hook| call(|| hook(cx, end)));
            }
            ServerEvent::ServerSideEvent { namespace, from, event, ack }
                if handlers.server_side.contains_key(event.name()) =>
            {
                let told = ServerSide { namespace, from, event };
                self.receive_server_side(cx, index, &told, ack);
            }
            event => self.handle_other(cx, event),
        }
    }

    fn handle_other(&mut self, cx: &mut Context<'_, D>, event: ServerEvent<D>) {
        match (&mut self.on_other, event) {
            (Some(hook), event) => drop(call(|| hook(cx, event))),
            (None, ServerEvent::ConnectRequested { request, .. }) => {
                cx.at().reject(request, &Rejection::new("Invalid namespace"));
            }
            (None, ServerEvent::LookupRequested { request, .. }) => {
                cx.at().end_lookup(request, RecoveryRefusal::Unknown);
            }
            (None, _) => {}
        }
    }
}

/// The namespace of an event that has a handler there.
fn namespace_of<D>(event: &ServerEvent<D>) -> Option<&NamespaceName> {
    match event {
        ServerEvent::ConnectRequested { namespace, .. }
        | ServerEvent::Connected { namespace, .. }
        | ServerEvent::Received { namespace, .. }
        | ServerEvent::ServerSideEvent { namespace, .. }
        | ServerEvent::Disconnected { namespace, .. } => Some(namespace),
        _ => None,
    }
}
