//! Identifiers on the wire, and identifiers of the API.
//!
//! # Counts that identify
//!
//! A server runs for a long time, and peers make it count: they connect, join, leave and come back.
//! No counter may reach its end because of that, and no identifier may come to mean something else.
//! "Never" means 2^64 at any rate that one process can reach.
//!
//! | what is counted | width | at the end |
//! | --- | --- | --- |
//! | connections ([`ConnectionId`] of a server) | 32 bits for the place in the table, 32 for the number of connections it has had | the place is not used again: 150 bytes for at least 2^31 connections |
//! | sessions ([`SocketKey`]) | 64 bits, continued by the next process | never; a snapshot beyond 2^63 is refused as damaged |
//! | links that one session has had | 32 bits | the session keeps its link, and the next claim is refused with [`Limit`](crate::recovery::RecoveryRefusal::Limit). That takes 2^32 recoveries of one session: 12 days at the default `claims_per_second`, if nobody else recovers |
//! | namespaces | 32 bits | ids are used again, after all others. Sockets, requests and acknowledgements of an earlier namespace are not mistaken for those of a later one, because their own numbers continue |
//! | requests to join ([`ConnectRequest`](crate::hub::ConnectRequest)); CONNECTs of one connection | 64 bits | never |
//! | acknowledgements ([`AckId`], ids on the wire), of the server and of the client | 53 bits, exact in JavaScript; they continue in a namespace that is made again | start again at 0, after 285 years of a million per second |
//! | positions in a log, events received | 64 bits | never. The log stores the low halves of the sequences of its packets, which are fewer than 2^32 |
//! | epochs of a log | 64 bits; each restart adds at most 2^32 | never |
//! | rooms, places of sessions | 32 bits (rooms 31) | used again when nothing refers to them; that many at a time would need more memory than there is |
//! | marks of a broadcast (the sockets that it has visited) | 32 bits | all marks are cleared |
//! | namespaces that a client has joined, its sessions there (`ClientAckToken`) | 64 bits | never |
//! | WebSockets and requests of a client ([`WireId`]) | 64 bits | never |
//! | counters of [`Stats`](crate::server::Stats) | 64 bits | wrap; nothing depends on them |

use core::{
    fmt,
    hash::{Hash, Hasher},
    num::NonZeroU64,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use subtle::ConstantTimeEq as _;

use crate::entropy::Entropy;

/// Characters of an id on the wire: URL-safe base64 of 15 bytes, as the reference's.
const ID_LEN: usize = 20;
/// Bytes of entropy in an id: 120 bits.
const ID_ENTROPY: usize = 15;

pub(crate) type IdBytes = [u8; ID_LEN];

fn generate(entropy: &mut dyn Entropy) -> IdBytes {
    let mut random = [0; ID_ENTROPY];
    entropy.fill(&mut random);
    let mut text = [b'A'; ID_LEN];
    let written = URL_SAFE_NO_PAD.encode_slice(random, &mut text);
    debug_assert_eq!(written, Ok(ID_LEN), "15 bytes are 20 characters");
    text
}

fn parse(text: &str) -> Option<IdBytes> {
    let is_id = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let bytes: IdBytes = text.as_bytes().try_into().ok()?;
    bytes.iter().all(is_id).then_some(bytes)
}

macro_rules! wire_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, PartialOrd, Ord)]
        pub struct $name(IdBytes);

        impl $name {
            /// Draws a new id of 120 random bits.
            pub fn from_entropy(entropy: &mut dyn Entropy) -> Self {
                Self(generate(entropy))
            }

            /// Reads an id; `None` unless it is 20 characters of the URL-safe base64 alphabet.
            pub fn parse(text: &str) -> Option<Self> {
                parse(text).map(Self)
            }

            /// Returns the 20 characters as they appear on the wire.
            pub fn as_str(&self) -> &str {
                core::str::from_utf8(&self.0).unwrap_or_default()
            }
        }

        /// Takes the same time wherever two ids differ.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.ct_eq(&other.0).into()
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = alloc::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| D::Error::custom("not an id of 20 characters"))
            }
        }
    };
}

macro_rules! visible_debug {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.as_str())
            }
        }
    };
}

wire_id! {
    /// The Engine.IO session id (`sid` of the open packet).
    ///
    /// It is a secret: anyone who knows it can send on a polling session. So it never equals the
    /// public socket id, its `Debug` does not show it, and comparing two takes the same time
    /// wherever they differ. A look-up in an ordered map does not: use an
    /// [`EngineIdMap`](crate::EngineIdMap) to find the session of a request.
    EngineId
}

impl EngineId {
    /// The form under which sessions are indexed.
    pub(crate) fn index_key(&self) -> IdBytes {
        self.0
    }
}

impl fmt::Debug for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineId(..)")
    }
}

wire_id! {
    /// The public Socket.IO id (`sid` of the CONNECT answer). It stays the same across recoveries.
    SocketId
}
visible_debug!(SocketId);

/// The private id of a session (`pid` of the CONNECT answer): the secret that recovers it.
///
/// Its `Debug` does not show it, and comparing two takes the same time wherever they differ.
///
/// ```
/// use socketio_proto::RecoveryKey;
///
/// let mut entropy = |dest: &mut [u8]| dest.fill(7); // Random bytes, in production.
/// let key = RecoveryKey::from_entropy(&mut entropy);
/// assert_eq!(format!("{key:?}"), "RecoveryKey(..)");
/// assert_eq!(key.expose().len(), 20);
/// ```
#[derive(Clone, Copy)]
pub struct RecoveryKey(IdBytes);

impl RecoveryKey {
    /// Draws a new key of 120 random bits.
    pub fn from_entropy(entropy: &mut dyn Entropy) -> Self {
        Self(generate(entropy))
    }

    /// Reads a key; `None` unless it is 20 characters of the URL-safe base64 alphabet.
    pub fn parse(text: &str) -> Option<Self> {
        parse(text).map(Self)
    }

    /// Returns the secret as it appears on the wire. Do not log it.
    pub fn expose(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The form under which sessions are indexed.
    pub(crate) fn index_key(&self) -> IdBytes {
        self.0
    }
}

impl PartialEq for RecoveryKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for RecoveryKey {}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey(..)")
    }
}

/// Names one HTTP exchange or one WebSocket. On a server the embedder chooses it; a client chooses
/// it itself.
///
/// Do not reuse it while its exchange or WebSocket is open. A counter is enough.
///
/// ```
/// use socketio_proto::WireId;
///
/// let mut names = (1..).map(WireId);
/// assert_ne!(names.next(), names.next());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WireId(pub u64);

/// Names an Engine.IO session.
///
/// [`Server`](crate::server::Server) and [`Pool`](crate::pool::Pool) never give an id to two sessions:
/// after the end of the session, its id refers to nothing. If you drive
/// [`Link`](crate::link::Link)s without a pool, you choose the ids, for example so that an id says on
/// which thread the link is. Do not reuse an id for another link.
///
/// ```
/// use socketio_proto::ConnectionId;
///
/// // Links on several threads: the number says on which one the link is.
/// let (thread, place) = (3, 17);
/// let id = ConnectionId::from_raw(thread << 32 | place);
/// assert_eq!(id.as_raw() >> 32, thread);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// Makes an id from a number of the embedder.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// Returns the number of the id.
    pub const fn as_raw(self) -> u64 {
        self.0
    }
}

/// Names a socket: one client in one namespace, connected or parked.
///
/// It stays the same across recoveries, and it is never given to another session: after the end of
/// its session it refers to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketKey {
    pub(crate) namespace: u32,
    pub(crate) index: u32,
    pub(crate) generation: Generation,
}

/// The number of a session, over all sessions of a hub and of the processes before it. It is
/// unique.
///
/// It is packed, because every reference to a socket contains one. It is not zero, because most of
/// these references are optional.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(Rust, packed(4))]
pub(crate) struct Generation(NonZeroU64);

impl Generation {
    pub(crate) const FIRST: Self = Self(NonZeroU64::MIN);
    /// The largest one in a snapshot. It leaves room for more than can ever be used.
    const RESTORED_MAX: u64 = u64::MAX / 2;

    /// Returns the current one and advances to the next.
    pub(crate) fn take(&mut self) -> Self {
        let present = *self;
        self.0 = { self.0 }.saturating_add(1);
        present
    }

    /// The number of sessions before it, at most what [`Generation::from_raw`] reads: a damaged
    /// snapshot can put a process close to that bound.
    pub(crate) fn as_raw(self) -> u64 {
        { self.0 }.get().saturating_sub(1).min(Self::RESTORED_MAX)
    }

    /// Reads the number in a snapshot. `None` if no server can have written it.
    pub(crate) fn from_raw(raw: u64) -> Option<Self> {
        if raw > Self::RESTORED_MAX { None } else { NonZeroU64::new(raw + 1).map(Self) }
    }
}

/// Names an acknowledgement that the application has asked for. The method that emits returns it, and
/// the event that completes the acknowledgement has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AckId {
    pub(crate) namespace: u64,
    pub(crate) id: u64,
}
