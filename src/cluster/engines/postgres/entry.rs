//! What goes into the channel, and what is sent beside it.

use alloc::{format, vec::Vec};

use bytes::Bytes;
use bytestring::ByteString;

use super::{Postgres, PostgresStatement, PostgresValue, value::int8};
use crate::{
    cluster::message::{Body, Message, MessageError, NodeId},
    socket::NamespaceName,
};

/// The largest payload of a notification.
pub(super) const PAYLOAD_MAX: usize = 7_999;

/// An entry on its way into the channel, with the copy of it that official nodes receive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresAppend {
    message: Bytes,
    copy: Option<Copy>,
}

impl PostgresAppend {
    /// Returns how many bytes the message has.
    pub const fn bytes(&self) -> usize {
        self.message.len()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Copy {
    channel: ByteString,
    /// How the notification begins and what is attached, if the message is not its payload.
    attached: Option<(ByteString, Bytes)>,
}

/// A message that is not stored, on its way to other nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresNotify {
    channel: ByteString,
    payload: ByteString,
    attachment: Option<Bytes>,
}

/// A message of an official node or an emitter on its way into the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresImport {
    /// Where among the notifications it was heard. All nodes count the same.
    pub place: PostgresPlace,
    message: Bytes,
}

/// The place of a notification among those of its channel of PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct PostgresPlace {
    /// The latest [anchor](super::PostgresNotification::Woken) before it.
    pub anchor: u64,
    /// How many others of this channel were heard since.
    pub number: u64,
    /// The channel.
    pub channel: ByteString,
}

impl PostgresPlace {
    /// Makes a place.
    pub const fn new(anchor: u64, number: u64, channel: ByteString) -> Self {
        Self { anchor, number, channel }
    }

    /// Reads it as an entry tells it.
    pub(super) fn read(origin: &str) -> Option<Self> {
        let mut parts = origin.splitn(3, '/');
        let (anchor, number) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { anchor, number, channel: parts.next()?.into() })
    }
}

impl Postgres {
    /// Prepares an entry for the channel.
    ///
    /// # Errors
    ///
    /// Report each of them to the node with
    /// [`ClusterInput::Rejected`](crate::cluster::ClusterInput::Rejected).
    ///
    /// * [`MessageError::TooDeep`] if a value in it is nested more than 512 deep, or 128 deep with
    ///   attachments or in more than 7,999 bytes for official nodes.
    /// * [`MessageError::TooLarge`] if it is larger than
    ///   [`max_message_bytes`](super::PostgresOptions::max_message_bytes).
    pub fn to_append(&self, message: &Message) -> Result<PostgresAppend, MessageError> {
        let (bytes, fits) = match message.to_json_for(None, true)? {
            Some(text) => (Bytes::from(text), true),
            None => (message.to_msgpack()?, false),
        };
        self.check_len(bytes.len())?;
        let is_copied = self.options.with_node_js && is_for_log(message);
        let copy = if is_copied && self.has_official_channel(&message.namespace) {
            let attached = if fits && bytes.len() <= PAYLOAD_MAX {
                None
            } else {
                let attached = if fits { message.to_msgpack()? } else { bytes.clone() };
                let sequence = message.stamp.map_or(0, |stamp| stamp.sequence);
                let header = header(Some(sequence), message);
                Some((header, attached))
            };
            Some(Copy { channel: self.channel(&message.namespace), attached })
        } else {
            None
        };
        Ok(PostgresAppend { message: bytes, copy })
    }

    /// Appends entries to the channel, in this order, in one transaction, and wakes all nodes. Returns
    /// a row that begins with the number of the last entry, or none if the channel was made anew. Do
    /// not send it again if the answer is lost: the entries may be there, and the reader will tell.
    pub fn append(&self, epoch: u64, entries: &[PostgresAppend]) -> PostgresStatement {
        let copies = || entries.iter().map(|entry| entry.copy.as_ref());
        let attached = || copies().map(|copy| copy.and_then(|copy| copy.attached.as_ref()));
        self.append_statement([
            PostgresValue::number(epoch),
            bytea(entries.iter().map(|entry| Some(entry.message.clone()))),
            text(copies().map(|copy| copy.map(|copy| copy.channel.clone()))),
            text(attached().map(|it| it.map(|(header, _)| header.clone()))),
            bytea(attached().map(|it| it.map(|(_, attached)| attached.clone()))),
            PostgresValue::text(&self.wake_channel()),
        ])
    }

    /// Prepares a message for all nodes, or for one.
    ///
    /// # Errors
    ///
    /// As [`to_append`](Self::to_append). Nobody receives it then.
    pub fn to_notify(
        &self,
        message: &Message,
        to: Option<&NodeId>,
    ) -> Result<PostgresNotify, MessageError> {
        let channel = self.channel(&message.namespace);
        let text = message.to_json_for(to, false)?;
        if let Some(payload) = text.filter(|text| text.len() <= PAYLOAD_MAX) {
            return Ok(PostgresNotify { channel, payload: payload.into(), attachment: None });
        }
        let attached = message.to_msgpack_for(to)?;
        self.check_len(attached.len())?;
        Ok(PostgresNotify { channel, payload: header(None, message), attachment: Some(attached) })
    }

    /// Sends messages that are not stored: a node that does not listen now never gets them.
    pub fn notify(&self, messages: &[PostgresNotify]) -> PostgresStatement {
        self.notify_statement([
            text(messages.iter().map(|it| Some(it.channel.clone()))),
            text(messages.iter().map(|it| Some(it.payload.clone()))),
            bytea(messages.iter().map(|it| it.attachment.clone())),
        ])
    }

    /// Prepares a message of an official node or an emitter for the channel.
    ///
    /// # Errors
    ///
    /// It is malformed, or larger than
    /// [`max_message_bytes`](super::PostgresOptions::max_message_bytes). It has to be skipped.
    pub fn to_import(
        &self,
        place: PostgresPlace,
        message: &Message,
    ) -> Result<PostgresImport, MessageError> {
        let message = match message.to_json_for(None, false)? {
            Some(text) => Bytes::from(text),
            None => message.to_msgpack()?,
        };
        self.check_len(message.len())?;
        Ok(PostgresImport { place, message })
    }

    /// Appends messages of official nodes and emitters to the channel, except those that another node
    /// has appended before. So every node may do this that has heard them, and each message is there
    /// once. Returns no row if there was nothing to append.
    pub fn import(
        &self,
        epoch: u64,
        node: &NodeId,
        messages: &[PostgresImport],
    ) -> PostgresStatement {
        let places = || messages.iter().map(|message| &message.place);
        self.import_statement([
            PostgresValue::number(epoch),
            bytea(messages.iter().map(|it| Some(it.message.clone()))),
            PostgresValue::Int8Array(places().map(|place| int8(place.anchor)).collect()),
            text(places().map(|place| Some(place.channel.clone()))),
            PostgresValue::Int8Array(places().map(|place| int8(place.number)).collect()),
            PostgresValue::text(node.as_str()),
            PostgresValue::text(&self.wake_channel()),
        ])
    }

    fn has_official_channel(&self, namespace: &NamespaceName) -> bool {
        // It is not cut off.
        self.namespace_of(&self.channel(namespace)) == Some(namespace.as_str())
    }
}

/// Whether official nodes do with it what they do with an entry of a log: it takes effect in an order,
/// and nobody answers it.
pub(super) fn is_for_log(message: &Message) -> bool {
    match &message.body {
        Body::Broadcast(broadcast) => {
            broadcast.request.is_none() && broadcast.options.flags.volatile.is_none()
        }
        Body::SocketsJoin { .. } | Body::SocketsLeave { .. } | Body::DisconnectSockets { .. } => {
            true
        }
        _ => false,
    }
}

/// How a notification begins whose message is attached. The number of the attachment completes it.
fn header(sequence: Option<u64>, message: &Message) -> ByteString {
    let (sender, kind) = (message.sender.as_str(), message.body.kind());
    let mut uid = alloc::string::String::new();
    crate::socket::push_string(&mut uid, sender);
    let number = sequence.map_or_else(Default::default, |number| format!("\"seq\":{number},"));
    format!("{{{number}\"uid\":{uid},\"type\":{kind},\"attachmentId\":\"").into()
}

fn text(values: impl Iterator<Item = Option<ByteString>>) -> PostgresValue {
    PostgresValue::TextArray(values.collect::<Vec<_>>())
}

fn bytea(values: impl Iterator<Item = Option<Bytes>>) -> PostgresValue {
    PostgresValue::ByteaArray(values.collect::<Vec<_>>())
}
