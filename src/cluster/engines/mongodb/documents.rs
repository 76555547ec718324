//! What a node writes, as documents.

use core::time::Duration;

use bytes::Bytes;

use super::{MongodbDocument, MongodbOptions, MongodbValue, convert};
use crate::{
    ConfigError, RecoveryKey,
    cluster::message::{Body, Message, MessageError, NodeId, OwnKind, StoredSession},
};

/// The fields that only nodes of this crate write.
pub(super) mod field {
    pub(crate) const SEQUENCE: &str = "seq";
    pub(crate) const NONCE: &str = "nonce";
    pub(crate) const AFTER: &str = "after";
    /// Whether the message is not in the channel, although it is in the change stream.
    pub(crate) const IS_PUBLISHED: &str = "published";
    pub(crate) const TO: &str = "to";
    pub(crate) const EXPIRES_AT: &str = "expiresAt";
    pub(crate) const VERSION: &str = "version";
    /// The data as msgpack, if BSON does not have all of its numbers.
    pub(crate) const EXACT: &str = "exact";
}

/// The number of a session on the wire. Official adapters on MongoDB do not tell others that they
/// close, so a message without data that has the same number is not mistaken for one.
pub(super) const SESSION: u64 = 13;

/// Makes documents and reads them. Times are milliseconds since 1970, of a clock that all nodes share: that of
/// MongoDB.
#[derive(Clone, Debug)]
pub struct Mongodb {
    pub(super) options: MongodbOptions,
}

impl Mongodb {
    /// Makes it with these options.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if a number is zero or too large.
    pub fn new(options: MongodbOptions) -> Result<Self, ConfigError> {
        options.validate()?;
        Ok(Self { options })
    }

    /// Returns the options.
    pub const fn options(&self) -> &MongodbOptions {
        &self.options
    }

    /// Makes the document of an entry of the channel, to be inserted.
    ///
    /// # Errors
    ///
    /// Report each of them to the node with
    /// [`ClusterInput::Rejected`](crate::cluster::ClusterInput::Rejected).
    ///
    /// * [`MessageError::NotForLog`] if it is a request or an answer. They are
    ///   [published](Self::publish).
    /// * [`MessageError::TooDeep`] if a value in it is nested more than 90 deep.
    /// * [`MessageError::Malformed`] if the name of a field contains a zero, which BSON does not have.
    pub fn append(message: &Message, now: u64) -> Result<MongodbDocument, MessageError> {
        let is_for_log = match &message.body {
            Body::Broadcast(broadcast) => broadcast.request.is_none(),
            Body::SocketsJoin { .. }
            | Body::SocketsLeave { .. }
            | Body::DisconnectSockets { .. }
            | Body::Own { .. } => true,
            _ => false,
        };
        if !is_for_log {
            return Err(MessageError::NotForLog { kind: message.body.kind() });
        }
        document(message, now)
    }

    /// Makes the document of a message that is not in the channel, to be inserted.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append), except that everything may be published.
    pub fn publish(
        message: &Message,
        to: Option<&NodeId>,
        now: u64,
    ) -> Result<MongodbDocument, MessageError> {
        let mut document =
            document(message, now)?.with(field::IS_PUBLISHED, MongodbValue::Bool(true));
        if let Some(to) = to {
            document = document.with(field::TO, MongodbValue::text(to.as_str()));
        }
        if let Some(after) = message.after {
            let after = alloc::format!("{after}");
            document = document.with(field::AFTER, MongodbValue::Text(after.into()));
        }
        Ok(document)
    }

    /// Makes a document that says nothing, and that official nodes ignore. It marks a place in the
    /// change stream.
    pub fn marker(node: &NodeId, now: u64) -> MongodbDocument {
        MongodbDocument::new()
            .with("type", number(OwnKind::Marker.number()))
            .with("uid", MongodbValue::text(node.as_str()))
            .with("nsp", MongodbValue::text("/"))
            .with("createdAt", MongodbValue::date(now))
    }

    /// Makes the document of a session. It replaces the one that
    /// [`to_replace`](Self::to_replace) matches, or is inserted.
    ///
    /// # Errors
    ///
    /// [`MessageError::TooDeep`] and [`MessageError::Malformed`], as with [`append`](Self::append).
    pub fn store(
        node: &NodeId,
        session: &StoredSession,
        expires_in: Duration,
        now: u64,
    ) -> Result<MongodbDocument, MessageError> {
        let mut plain = session.clone();
        plain.version = None;
        let ms = u64::try_from(expires_in.as_millis()).unwrap_or(u64::MAX);
        let document = MongodbDocument::new().with("type", number(SESSION));
        let mut document = with_data(document, &plain.to_msgpack()?)?
            .with("uid", MongodbValue::text(node.as_str()))
            .with("createdAt", MongodbValue::date(now))
            .with(field::EXPIRES_AT, MongodbValue::date(now.saturating_add(ms)));
        if let Some(version) = session.version {
            document = document.with(field::VERSION, bits(version));
        }
        Ok(document)
    }

    /// Makes the filter of a session, to find it: also of one that an official node has stored, and of
    /// one that has expired.
    pub fn of_session(pid: &RecoveryKey) -> MongodbDocument {
        MongodbDocument::new()
            .with("type", number(SESSION))
            .with("data.pid", MongodbValue::text(pid.expose()))
    }

    /// Makes the filter of a session that has this version, to take it. `None` is for one that an
    /// official node has stored.
    pub fn to_take(pid: &RecoveryKey, version: Option<u64>) -> MongodbDocument {
        // What is missing is equal to null.
        let version = version.map_or(MongodbValue::Null, bits);
        Self::of_session(pid).with(field::VERSION, version)
    }

    /// Makes the filter of the document that [`store`](Self::store) replaces. Its id is the private id
    /// of the session, so that there is one of it. With a version, it matches this version only.
    pub fn to_replace(pid: &RecoveryKey, version: Option<u64>) -> MongodbDocument {
        let filter = MongodbDocument::new().with("_id", MongodbValue::text(pid.expose()));
        match version {
            Some(version) => filter.with(field::VERSION, bits(version)),
            None => filter,
        }
    }

    /// Makes the filter of what changes of the collection a node reads: the stage of the pipeline of its
    /// change stream. All nodes must have the same, because they count what they read. Sessions are
    /// left out: they are not for everyone.
    pub fn pipeline() -> MongodbDocument {
        let kinds = ["insert", "drop", "rename", "dropDatabase", "invalidate"];
        let kinds = kinds.into_iter().map(MongodbValue::text).collect();
        let is_one = MongodbDocument::new().with("$in", MongodbValue::Array(kinds));
        let is_no_session = MongodbDocument::new().with("$exists", MongodbValue::Bool(false));
        let all = MongodbDocument::new()
            .with("operationType", MongodbValue::Document(is_one))
            .with("fullDocument.data.pid", MongodbValue::Document(is_no_session));
        MongodbDocument::new().with("$match", MongodbValue::Document(all))
    }
}

fn document(message: &Message, now: u64) -> Result<MongodbDocument, MessageError> {
    let raw = message.to_raw_msgpack()?;
    let mut document = MongodbDocument::new().with("type", number(message.body.kind()));
    if let Some(data) = &raw.data {
        document = with_data(document, data)?;
    }
    document = document
        .with("uid", MongodbValue::text(message.sender.as_str()))
        .with("nsp", MongodbValue::text(message.namespace.as_str()))
        .with("createdAt", MongodbValue::date(now));
    if let Some(stamp) = message.stamp {
        document = document
            .with(field::SEQUENCE, bits(stamp.sequence))
            .with(field::NONCE, bits(stamp.nonce));
    }
    Ok(document)
}

fn with_data(document: MongodbDocument, data: &Bytes) -> Result<MongodbDocument, MessageError> {
    let (value, is_exact) = convert::from_msgpack(data)?;
    let document = document.with("data", value);
    Ok(if is_exact {
        document
    } else {
        document.with(field::EXACT, MongodbValue::Binary(data.clone()))
    })
}

fn number(number: u64) -> MongodbValue {
    MongodbValue::Int32(i32::try_from(number).unwrap_or(i32::MAX))
}

/// 64 bits, as the signed number that MongoDB keeps.
const fn bits(number: u64) -> MongodbValue {
    MongodbValue::Int64(number.cast_signed())
}
