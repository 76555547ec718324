//! The namespaces that a client is in.

use alloc::boxed::Box;

use smallvec::SmallVec;

use crate::{hub::Attached, socket::NamespaceName};

/// The namespaces that a client is in, has asked to join, or may still think to be in.
pub(super) type Seats = SmallVec<[Seat; 1]>;

/// The client's place in one namespace.
#[derive(Debug)]
pub(super) struct Seat {
    /// `None` is the main one, which most clients are in, without its name.
    namespace: Option<Box<NamespaceName>>,
    pub(super) stay: Stay,
    /// Whether the client counts its events, so that the hub has to do so as well.
    pub(super) is_counted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    /// The hub was asked to let the client in.
    Asked,
    Joined(Attached),
    /// The server has disconnected the client, which may not know it yet.
    Disconnected,
}

impl Seat {
    pub(super) fn new(namespace: &NamespaceName) -> Self {
        let namespace = (!namespace.is_root()).then(|| Box::new(namespace.clone()));
        Self { namespace, stay: Stay::Asked, is_counted: false }
    }

    pub(super) fn name(&self) -> NamespaceName {
        self.namespace.as_deref().cloned().unwrap_or(NamespaceName::ROOT)
    }

    pub(super) fn is_in(&self, namespace: &NamespaceName) -> bool {
        match &self.namespace {
            Some(name) => **name == *namespace,
            None => namespace.is_root(),
        }
    }

    pub(super) fn socket(&self) -> Option<Attached> {
        match self.stay {
            Stay::Joined(socket) => Some(socket),
            Stay::Asked | Stay::Disconnected => None,
        }
    }

    /// The hub's name for the namespace; `None` unless it has let the client in.
    pub(super) fn namespace_id(&self) -> Option<u32> {
        self.socket().map(|socket| socket.key.namespace)
    }
}
