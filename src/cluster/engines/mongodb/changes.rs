//! What documents mean.

use core::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    Mongodb, MongodbDocument, MongodbValue, convert,
    documents::{SESSION, field},
};
use crate::{
    cluster::message::{Body, Message, MessageError, OwnKind, RawMessage, Stamp, StoredSession},
    recovery::Offset,
};

/// What a document says that was inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MongodbChange {
    /// An entry of the channel, or why nobody can read it. Its position counts all the same.
    Entry(Result<Message, MessageError>),
    /// A message that is not in the channel.
    Published {
        /// The node that it is for; `None` if it is for all.
        to: Option<ByteString>,
        /// The message.
        message: Message,
    },
    /// Nothing that concerns a node that reads, such as a session.
    Other,
}

/// A session as it is in the collection, or was until it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MongodbSession {
    /// The session, or why nobody can read it.
    pub session: Result<StoredSession, MessageError>,
    /// How long it would have been kept. `None` if without a limit, as official nodes do.
    pub expires_in: Option<Duration>,
}

/// A place in a change stream.
///
/// The time of the cluster ascends over all that a replica set does. Only what was written in one step
/// has the same time. So the place within that step completes it. Every reader counts the same,
/// wherever it has begun, because a change stream begins with all of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct MongodbPosition {
    /// The seconds of the cluster time.
    pub seconds: u32,
    /// What the cluster time counts within a second.
    pub increment: u32,
    /// How many changes with the same cluster time were before it.
    pub index: u32,
}

impl MongodbPosition {
    /// Makes the place of the first change with this cluster time.
    pub const fn new(seconds: u32, increment: u32) -> Self {
        Self { seconds, increment, index: 0 }
    }

    /// Returns the place of the next change, which has this cluster time.
    #[must_use]
    pub const fn next(self, seconds: u32, increment: u32) -> Self {
        let is_same = self.seconds == seconds && self.increment == increment;
        let index = if is_same { self.index.saturating_add(1) } else { 0 };
        Self { seconds, increment, index }
    }

    /// Returns it as an offset, in the form of the id of a document.
    ///
    /// ```
    /// use socketio_proto::cluster::engines::mongodb::MongodbPosition;
    ///
    /// let position = MongodbPosition::new(0x6774_d5c0, 3).next(0x6774_d5c0, 3);
    /// assert_eq!(position.offset().to_string(), "6774d5c00000000300000001");
    /// ```
    pub fn offset(self) -> Offset {
        let parts = [self.seconds, self.increment, self.index].map(u32::to_be_bytes);
        let mut id = [0; 12];
        for (place, byte) in id.iter_mut().zip(parts.as_flattened()) {
            *place = *byte;
        }
        Offset::object_id(id)
    }
}

impl Mongodb {
    /// Reads a document that was inserted.
    pub fn change(&self, document: &MongodbDocument, len: usize) -> MongodbChange {
        let kind = document.get("type").and_then(MongodbValue::as_number);
        let is_published =
            matches!(document.get(field::IS_PUBLISHED), Some(MongodbValue::Bool(true)));
        if kind == Some(SESSION) && !is_published {
            return MongodbChange::Other;
        }
        let limit = self.options.max_message_bytes;
        let message = if len > limit {
            Err(MessageError::TooLarge { limit })
        } else {
            message(document, kind)
        };
        match message {
            Ok(message) if is_published || !is_entry(&message) => {
                let to = document.get(field::TO).and_then(MongodbValue::as_text).cloned();
                let after = document.get(field::AFTER).and_then(MongodbValue::as_text);
                let after = after.and_then(|after| after.parse().ok());
                MongodbChange::Published { to, message: message.after(after) }
            }
            Err(_) if is_published => MongodbChange::Other,
            message => MongodbChange::Entry(message),
        }
    }

    /// Reads the document of a session. `None` if it has expired.
    pub fn session(document: &MongodbDocument, now: u64) -> Option<MongodbSession> {
        let expires_in = match document.get(field::EXPIRES_AT) {
            Some(MongodbValue::DateTime(at)) => {
                let left = u64::try_from(*at).ok()?.checked_sub(now).filter(|left| *left > 0)?;
                Some(Duration::from_millis(left))
            }
            _ => None,
        };
        let version = document.get(field::VERSION).and_then(MongodbValue::as_bits);
        let session = data(document).and_then(|data| {
            let data = data.ok_or(MessageError::Field { field: "data" })?;
            let mut session = StoredSession::from_msgpack(&data)?;
            session.version = version;
            Ok(session)
        });
        Some(MongodbSession { session, expires_in })
    }
}

fn message(document: &MongodbDocument, kind: Option<u64>) -> Result<Message, MessageError> {
    let text = |name| document.get(name).and_then(MongodbValue::as_text).cloned();
    let bits = |name| document.get(name).and_then(MongodbValue::as_bits);
    let stamp = bits(field::SEQUENCE).zip(bits(field::NONCE));
    RawMessage {
        kind,
        sender: text("uid"),
        namespace: text("nsp"),
        stamp: stamp.map(|(sequence, nonce)| Stamp::new(sequence, nonce)),
        data: data(document)?,
    }
    .read_msgpack()
}

fn data(document: &MongodbDocument) -> Result<Option<Bytes>, MessageError> {
    match document.get(field::EXACT) {
        Some(MongodbValue::Binary(exact)) => Ok(Some(exact.clone())),
        _ => document.get("data").map(convert::to_msgpack).transpose(),
    }
}

/// Whether a message takes effect at its place in the channel, if nothing says otherwise.
const fn is_entry(message: &Message) -> bool {
    match &message.body {
        Body::Broadcast(broadcast) => broadcast.request.is_none(),
        Body::SocketsJoin { .. }
        | Body::SocketsLeave { .. }
        | Body::DisconnectSockets { .. }
        | Body::Own { .. } => true,
        // A marker has no data.
        Body::Unknown { kind } => *kind == OwnKind::Marker.number(),
        _ => false,
    }
}
