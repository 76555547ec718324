//! The namespaces that a client is in.

use alloc::boxed::Box;

use smallvec::SmallVec;

use crate::{hub::Attached, socket::NamespaceName};

/// The namespaces that a client is in or has asked to join.
pub(super) type Seats = SmallVec<[Seat; 1]>;

/// The client's place in one namespace.
#[derive(Debug)]
pub(super) struct Seat {
    /// `None` is the main one, which most clients are in, without its name.
    namespace: Option<Box<NamespaceName>>,
    /// `None` until the hub has let the client in.
    pub(super) socket: Option<Attached>,
    /// Whether the client counts its events, so that the hub has to do so as well.
    pub(super) is_counted: bool,
}

impl Seat {
    pub(super) fn new(namespace: &NamespaceName) -> Self {
        let namespace = (!namespace.is_root()).then(|| Box::new(namespace.clone()));
        Self { namespace, socket: None, is_counted: false }
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

    /// The hub's name for the namespace; `None` until it has let the client in.
    pub(super) fn namespace_id(&self) -> Option<u32> {
        self.socket.map(|socket| socket.key.namespace)
    }
}
