//! The namespaces that a client is in.

use alloc::boxed::Box;
#[expect(
    deprecated,
    reason = "the one hash in `core`; a peer that finds a collision deceives only itself"
)]
use core::hash::{Hasher as _, SipHasher};

use smallvec::SmallVec;

use crate::{
    hub::{Attached, ConnectSerial},
    socket::{Json, NamespaceName},
};

/// The namespaces that a client is in or has asked to join.
pub(super) type Joins = SmallVec<[Join; 1]>;

/// The state of the client in one namespace.
#[derive(Debug)]
pub(super) struct Join {
    /// `None` is the main namespace. Most clients are in it, so its name is not stored.
    namespace: Option<Box<NamespaceName>>,
    /// The session that the client has there.
    pub(super) socket: Option<Attached>,
    /// The latest CONNECT, while it matters. Boxed, because it does not for long.
    pub(super) attempt: Option<Box<Attempt>>,
    /// Whether the client counts its events, so that the hub has to count them as well.
    pub(super) is_counted: bool,
}

/// A CONNECT.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) payload: Payload,
    pub(super) stage: Stage,
}

/// A hash of the payload of a CONNECT, to recognise a repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Payload(u64);

#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// The hub was asked, and has not answered yet.
    Asked(ConnectSerial),
    /// The client has joined, and the hub was asked to answer again.
    Repeating {
        serial: ConnectSerial,
        /// Whether packets were queued since then.
        has_more: bool,
    },
    /// The client has joined.
    Answered {
        /// The position of the answer in the send queue.
        answer: u64,
        /// Whether packets were queued behind it.
        has_more: bool,
    },
}

impl Payload {
    pub(super) fn new(auth: Option<&Json>) -> Self {
        #[expect(deprecated, reason = "as above")]
        let mut hasher = SipHasher::new();
        hasher.write(auth.map_or("{}", Json::as_str).as_bytes());
        Self(hasher.finish())
    }
}

impl Join {
    pub(super) fn new(namespace: &NamespaceName) -> Self {
        let namespace = (!namespace.is_root()).then(|| Box::new(namespace.clone()));
        Self { namespace, socket: None, attempt: None, is_counted: false }
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

    /// The number of the namespace at the hub; `None` unless the client has joined.
    pub(super) fn namespace_id(&self) -> Option<u32> {
        self.socket.map(|socket| socket.key.namespace)
    }

    /// The CONNECT that the hub was asked about, if it is pending.
    pub(super) fn asked(&self) -> Option<ConnectSerial> {
        match self.attempt.as_ref()?.stage {
            Stage::Asked(serial) => Some(serial),
            Stage::Repeating { .. } | Stage::Answered { .. } => None,
        }
    }

    /// Whether the client has joined and its CONNECT is still remembered: nothing else was sent to
    /// it yet.
    pub(super) fn is_fresh(&self) -> bool {
        let stage = self.attempt.as_ref().map(|attempt| attempt.stage);
        matches!(stage, Some(Stage::Answered { .. } | Stage::Repeating { .. }))
    }
}
