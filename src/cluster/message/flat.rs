//! Messages whose fields are stored one by one, as in the entries of a stream and in documents.

use base64::Engine as _;
use bytes::Bytes;
use bytestring::ByteString;

use super::{
    Message, MessageError, Stamp,
    decode::Envelope,
    raw::{Format, Raw},
    session::BASE64,
};

/// The fields of a message. Its data is text, JSON if it begins with `{` or else base64 of msgpack, or it
/// is plain msgpack.
#[derive(Clone, Debug, Default)]
pub(in crate::cluster) struct RawMessage {
    pub(in crate::cluster) kind: Option<u64>,
    pub(in crate::cluster) sender: Option<ByteString>,
    pub(in crate::cluster) namespace: Option<ByteString>,
    pub(in crate::cluster) stamp: Option<Stamp>,
    pub(in crate::cluster) data: Option<Bytes>,
}

impl RawMessage {
    /// Reads a message whose data is plain msgpack.
    pub(in crate::cluster) fn read_msgpack(self) -> Result<Message, MessageError> {
        let Self { kind, sender, namespace, stamp, data } = self;
        let envelope = Envelope::of_texts(sender, namespace, stamp);
        let data = data.as_ref().map(|data| Raw::new(data, Format::Msgpack));
        envelope.open(kind.ok_or(MessageError::Kind)?, data)
    }
}

impl Envelope {
    /// Reads a message whose data is text.
    pub(in crate::cluster) fn read(
        self,
        kind: u64,
        data: Option<&Bytes>,
    ) -> Result<Message, MessageError> {
        match data {
            None => self.open(kind, None),
            Some(text) if text.first() == Some(&b'{') => {
                self.open(kind, Some(Raw::new(text, Format::Json)))
            }
            Some(text) => {
                let bytes = BASE64.decode(text).map_err(|_| MessageError::Malformed)?;
                let bytes = Bytes::from(bytes);
                self.open(kind, Some(Raw::new(&bytes, Format::Msgpack)))
            }
        }
    }
}

impl Message {
    /// Its fields, with its data as plain msgpack.
    pub(in crate::cluster) fn to_raw_msgpack(&self) -> Result<RawMessage, MessageError> {
        Ok(RawMessage {
            kind: Some(self.body.kind()),
            sender: Some(self.sender.text().clone()),
            namespace: Some(self.namespace.as_str().into()),
            stamp: self.stamp,
            data: self.data_msgpack()?,
        })
    }
}
