//! What notifications say.

use alloc::{borrow::ToOwned, format, string::String};

use bytes::Bytes;
use bytestring::ByteString;

use super::{Postgres, PostgresValue, entry::is_for_log, options::NAME_MAX};
use crate::{
    cluster::{
        json,
        message::{Addressed, Message, MessageError, NodeId},
    },
    socket::NamespaceName,
};

/// What a notification says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostgresNotification {
    /// There are new entries, or a node has set an anchor.
    Woken {
        /// The first number of all positions.
        epoch: u64,
        /// The number of this anchor. They ascend, and every node hears them at the same places among
        /// all notifications.
        anchor: u64,
    },
    /// It is the copy of an entry for official nodes, or of this node, or for another one.
    NotForHere,
    /// A message that is not in the channel.
    Message(Message),
    /// A message of an official node or an emitter that is to be [imported](Postgres::import).
    Foreign(Message),
    /// Its message is [attached](Postgres::attachment).
    Attached {
        /// The number of the attachment.
        id: u64,
    },
}

impl Postgres {
    /// Returns the name of the channel of PostgreSQL that every node listens to.
    pub fn wake_channel(&self) -> String {
        format!("{}#", self.options.channel_prefix)
    }

    /// Returns the name of the channel of PostgreSQL in which official nodes send what is about a
    /// namespace. If the whole name is longer than 63 bytes, it is cut off, as PostgreSQL does: then
    /// only nodes of this crate use it.
    pub fn channel(&self, namespace: &NamespaceName) -> ByteString {
        let mut name = format!("{}#{namespace}", self.options.channel_prefix).replace('\0', "_");
        if name.len() > NAME_MAX {
            let end = (0..NAME_MAX).rev().find(|end| name.is_char_boundary(*end));
            name.truncate(end.unwrap_or_default());
            // No other namespace has this name.
            name.push('#');
        }
        name.into()
    }

    /// The namespace of a channel whose name is whole.
    pub(super) fn namespace_of<'a>(&self, channel: &'a str) -> Option<&'a str> {
        channel.strip_prefix(&self.options.channel_prefix)?.strip_prefix('#')
    }

    /// Reads a notification that this node has received.
    ///
    /// # Errors
    ///
    /// It is malformed. It has to be skipped.
    pub fn notification(
        &self,
        node: &NodeId,
        channel: &str,
        payload: &Bytes,
    ) -> Result<PostgresNotification, MessageError> {
        if channel == self.wake_channel() {
            return woken(payload).ok_or(MessageError::Malformed);
        }
        if payload.starts_with(br#"{"seq":"#) {
            return Ok(PostgresNotification::NotForHere);
        }
        let (mut attachment, mut sender) = (None, None);
        let text = |value: &[u8]| {
            let contents = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
            core::str::from_utf8(contents).ok().map(ToOwned::to_owned)
        };
        // An attachment has no data, so it is short.
        if !payload.windows(DATA.len()).take(64).any(|part| part == DATA) {
            json::fields(payload, |name, value| {
                match name {
                    br#""attachmentId""# => attachment = text(value),
                    br#""uid""# => sender = text(value),
                    _ => {}
                }
                Some(())
            })
            .ok_or(MessageError::Malformed)?;
        }
        if let Some(id) = attachment {
            if sender.as_deref() == Some(node.as_str()) {
                return Ok(PostgresNotification::NotForHere);
            }
            let id = id.parse().map_err(|_| MessageError::Field { field: "attachmentId" })?;
            return Ok(PostgresNotification::Attached { id });
        }
        self.sent(node, channel, payload)
    }

    /// Reads the row of [`attachment`](Self::attachment).
    ///
    /// # Errors
    ///
    /// It is malformed, or too large. It has to be skipped.
    pub fn attached(
        &self,
        node: &NodeId,
        channel: &str,
        row: &[PostgresValue],
    ) -> Result<PostgresNotification, MessageError> {
        let payload = row.first().and_then(PostgresValue::as_bytes);
        let payload = payload.ok_or(MessageError::Malformed)?;
        self.check_len(payload.len())?;
        self.sent(node, channel, payload)
    }

    fn sent(
        &self,
        node: &NodeId,
        channel: &str,
        payload: &Bytes,
    ) -> Result<PostgresNotification, MessageError> {
        // Emitters leave the namespace out.
        let Addressed { message, to } = Addressed::read(payload, self.namespace_of(channel))?;
        if message.sender == *node || !Self::is_for(to.as_ref(), node) {
            return Ok(PostgresNotification::NotForHere);
        }
        let is_foreign = message.stamp.is_none() && is_for_log(&message);
        Ok(if is_foreign {
            PostgresNotification::Foreign(message)
        } else {
            PostgresNotification::Message(message)
        })
    }
}

const DATA: &[u8] = br#""data":"#;

fn woken(payload: &[u8]) -> Option<PostgresNotification> {
    let (epoch, anchor) = core::str::from_utf8(payload).ok()?.split_once(':')?;
    let (epoch, anchor) = (epoch.parse().ok()?, anchor.parse().ok()?);
    Some(PostgresNotification::Woken { epoch, anchor })
}
