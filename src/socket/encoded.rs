//! Encoded packets.

use alloc::string::String;
use core::fmt;

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    Args, Event, Json, Kind, NamespaceName, Packet,
    list::{self, Attachments},
    text,
};
use crate::{RecoveryKey, SocketId};

/// An encoded packet. It is encoded once for any number of recipients; cloning only counts
/// references.
///
/// It consists of one text and the attachments that follow it. They must be sent in order, with
/// nothing in between.
///
/// ```
/// use bytes::Bytes;
/// use socketio_proto::socket::{Encoded, Event, NamespaceName};
///
/// let event = Event::new("file", &("a.txt", Bytes::from_static(b"hello")))?;
/// let packet = Encoded::event(&NamespaceName::root(), &event, None, None);
/// assert_eq!(packet.head(), r#"451-["file","a.txt",{"_placeholder":true,"num":0}]"#);
/// assert_eq!(packet.attachments(), [Bytes::from_static(b"hello")]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded {
    head: ByteString,
    attachments: Attachments,
}

impl Encoded {
    /// Encodes an event (type 2, or 5 with attachments).
    ///
    /// `ack` asks the recipient for an answer with that id, which must not exceed 2^53 - 1.
    /// `offset`, the position in the recovery log, is appended as one more argument.
    ///
    /// ```
    /// use socketio_proto::socket::{Encoded, Event, NamespaceName};
    ///
    /// let (admin, event) = (NamespaceName::new("/admin")?, Event::new("hello", &(1,))?);
    /// assert_eq!(Encoded::event(&admin, &event, None, None).head(), r#"42/admin,["hello",1]"#);
    /// assert_eq!(Encoded::event(&admin, &event, Some(7), None).head(), r#"42/admin,7["hello",1]"#);
    /// let packet = Encoded::event(&admin, &event, None, Some("3-9"));
    /// assert_eq!(packet.head(), r#"42/admin,["hello",1,"3-9"]"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn event(
        namespace: &NamespaceName,
        event: &Event,
        ack: Option<u64>,
        offset: Option<&str>,
    ) -> Self {
        let attachments = event.share_attachments();
        let prefix = Prefix::new("42", "45", &attachments, namespace, ack);
        // The array contains a name, so a comma is always correct.
        let appended = offset.and_then(|offset| Some((event.json().strip_suffix(']')?, offset)));
        let Some((open, offset)) = appended else {
            return prefix.finish(&[event.json()], attachments);
        };
        let offset_len = text::string_len(offset).saturating_add(2);
        let mut head = prefix.start(open.len().saturating_add(offset_len));
        head.push_str(open);
        head.push(',');
        text::push_string(&mut head, offset);
        head.push(']');
        Self::sized(head, attachments)
    }

    /// As [`Encoded::event`] with the offset `<first>-<second>`. Every event that the log keeps has
    /// one, so the digits are written where they belong, without a text in between.
    pub(crate) fn event_at(
        namespace: &NamespaceName,
        event: &Event,
        ack: Option<u64>,
        offset: Option<(u64, u64)>,
    ) -> Self {
        let appended = offset.and_then(|offset| Some((event.json().strip_suffix(']')?, offset)));
        let Some((open, (first, second))) = appended else {
            return Self::event(namespace, event, ack, None);
        };
        let attachments = event.share_attachments();
        let prefix = Prefix::new("42", "45", &attachments, namespace, ack);
        let (mut one, mut two) = (itoa::Buffer::new(), itoa::Buffer::new());
        let parts = [open, ",\"", one.format(first), "-", two.format(second), "\"]"];
        let len = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
        let mut head = prefix.start(len);
        head.extend(parts);
        Self::sized(head, attachments)
    }

    /// Encodes the answer to the event with that id (type 3, or 6 with attachments).
    ///
    /// ```
    /// use socketio_proto::socket::{Args, Encoded, NamespaceName};
    ///
    /// let packet = Encoded::ack(&NamespaceName::root(), 7, &Args::new(&("ok",))?);
    /// assert_eq!(packet.head(), r#"437["ok"]"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ack(namespace: &NamespaceName, id: u64, args: &Args) -> Self {
        Self::answer(namespace, Some(id), args)
    }

    /// Encodes the answer of a server to a CONNECT: the socket id and, if the session can be
    /// recovered, the private id.
    ///
    /// ```
    /// use socketio_proto::SocketId;
    /// use socketio_proto::socket::{Encoded, NamespaceName};
    ///
    /// let sid = SocketId::parse("AAAAAAAAAAAAAAAAAAAA").ok_or("not an id")?;
    /// let packet = Encoded::connect(&NamespaceName::root(), &sid, None);
    /// assert_eq!(packet.head(), r#"40{"sid":"AAAAAAAAAAAAAAAAAAAA"}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(namespace: &NamespaceName, sid: &SocketId, pid: Option<&RecoveryKey>) -> Self {
        let prefix = Prefix::plain("40", namespace);
        match pid {
            // Ids consist of characters that need no escapes.
            Some(pid) => prefix.finish(
                &[r#"{"sid":""#, sid.as_str(), r#"","pid":""#, pid.expose(), r#""}"#],
                None,
            ),
            None => prefix.finish(&[r#"{"sid":""#, sid.as_str(), r#""}"#], None),
        }
    }

    /// The same, with the number of events received in a session that can be recovered. Official
    /// clients ignore it.
    pub(crate) fn connect_counted(
        namespace: &NamespaceName,
        sid: &SocketId,
        pid: Option<&RecoveryKey>,
        received: u64,
    ) -> Self {
        let Some(pid) = pid else {
            return Self::connect(namespace, sid, None);
        };
        let mut count = String::with_capacity(text::number_len(received));
        text::push_number(&mut count, received);
        let (sid, pid) = (sid.as_str(), pid.expose());
        Prefix::plain("40", namespace).finish(
            &[r#"{"sid":""#, sid, r#"","pid":""#, pid, r#"","received":"#, &count, "}"],
            None,
        )
    }

    /// Encodes the refusal of a CONNECT. In the protocol, `error` is a string or an object, by
    /// convention `{"message":"...","data":...}`. Clients reject everything else.
    ///
    /// ```
    /// use socketio_proto::socket::{Encoded, Json, NamespaceName};
    ///
    /// let error = Json::from_text(r#"{"message":"not you"}"#)?;
    /// let packet = Encoded::connect_error(&NamespaceName::new("/admin")?, &error);
    /// assert_eq!(packet.head(), r#"44/admin,{"message":"not you"}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect_error(namespace: &NamespaceName, error: &Json) -> Self {
        Prefix::plain("44", namespace).finish(&[error.as_str()], None)
    }

    /// Encodes a DISCONNECT.
    ///
    /// ```
    /// use socketio_proto::socket::{Encoded, NamespaceName};
    ///
    /// assert_eq!(Encoded::disconnect(&NamespaceName::root()).head(), "41");
    /// ```
    pub fn disconnect(namespace: &NamespaceName) -> Self {
        Prefix::plain("41", namespace).finish(&[], None)
    }

    /// Encodes any packet, such as the CONNECT of a client, whose `auth` must be an object.
    ///
    /// ```
    /// use socketio_proto::socket::{Encoded, Json, Kind, NamespaceName, Packet};
    ///
    /// let kind = Kind::Connect { auth: Some(Json::from_text(r#"{"token":"t"}"#)?) };
    /// let packet = Packet { namespace: NamespaceName::root(), kind };
    /// assert_eq!(Encoded::packet(&packet).head(), r#"40{"token":"t"}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn packet(packet: &Packet) -> Self {
        let namespace = &packet.namespace;
        match &packet.kind {
            Kind::Connect { auth } => Self::optional("40", namespace, auth.as_ref()),
            Kind::Disconnect => Self::disconnect(namespace),
            Kind::Event { event, ack } => Self::event(namespace, event, *ack, None),
            Kind::Ack { id, args } => Self::answer(namespace, *id, args),
            Kind::ConnectError { error } => Self::optional("44", namespace, error.as_ref()),
        }
    }

    fn optional(kind: &'static str, namespace: &NamespaceName, payload: Option<&Json>) -> Self {
        let payload = payload.map_or("", Json::as_str);
        Prefix::plain(kind, namespace).finish(&[payload], None)
    }

    fn answer(namespace: &NamespaceName, id: Option<u64>, args: &Args) -> Self {
        let attachments = args.share_attachments();
        let prefix = Prefix::new("43", "46", &attachments, namespace, id);
        prefix.finish(&[args.json()], attachments)
    }

    /// Makes a packet from a text whose length was known in advance.
    fn sized(head: String, attachments: Attachments) -> Self {
        debug_assert_eq!(head.len(), head.capacity(), "the length was computed up front");
        Self { head: head.into(), attachments }
    }

    pub(crate) fn from_parts(head: ByteString, attachments: Attachments) -> Self {
        Self { head, attachments }
    }

    pub(crate) const fn parts(&self) -> (&ByteString, &Attachments) {
        (&self.head, &self.attachments)
    }

    /// Returns the text with the Engine.IO message type `4` in front: exactly one WebSocket text
    /// frame.
    pub fn head(&self) -> &ByteString {
        &self.head
    }

    /// Returns the binary messages that follow the text.
    pub fn attachments(&self) -> &[Bytes] {
        self.attachments.as_deref().unwrap_or_default()
    }

    /// Whether it is the answer to a CONNECT.
    pub(crate) fn is_connect(&self) -> bool {
        self.head.starts_with("40")
    }

    /// Returns the bytes of the text and of all attachments.
    pub fn wire_len(&self) -> usize {
        list::wire_len(&self.head, self.attachments())
    }
}

impl fmt::Debug for Encoded {
    /// Does not show the text, because that of a CONNECT answer contains a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded")
            .field("head_len", &self.head.len())
            .field("attachments", &self.attachments().len())
            .finish()
    }
}

/// The part in front of the payload.
struct Prefix<'a> {
    /// That of the message, and that of the packet.
    kinds: &'static str,
    attachments: Option<u64>,
    namespace: Option<&'a str>,
    id: Option<u64>,
}

impl<'a> Prefix<'a> {
    fn new(
        plain: &'static str,
        binary: &'static str,
        attachments: &Attachments,
        namespace: &'a NamespaceName,
        id: Option<u64>,
    ) -> Self {
        let count = attachments.as_ref().and_then(|list| u64::try_from(list.len()).ok());
        Self {
            kinds: if count.is_some() { binary } else { plain },
            attachments: count,
            namespace: (!namespace.is_root()).then(|| namespace.as_str()),
            id,
        }
    }

    fn plain(kind: &'static str, namespace: &'a NamespaceName) -> Self {
        Self::new(kind, kind, &None, namespace, None)
    }

    /// Writes the packet. The payload consists of these parts.
    fn finish(&self, payload: &[&str], attachments: Attachments) -> Encoded {
        let payload_len = payload.iter().map(|part| part.len()).fold(0, usize::saturating_add);
        let mut head = self.start(payload_len);
        head.extend(payload.iter().copied());
        Encoded::sized(head, attachments)
    }

    /// Makes a text with room for exactly `payload_len` more bytes.
    fn start(&self, payload_len: usize) -> String {
        let mut head = String::with_capacity(self.len().saturating_add(payload_len));
        head.push_str(self.kinds);
        if let Some(count) = self.attachments {
            text::push_number(&mut head, count);
            head.push('-');
        }
        if let Some(namespace) = self.namespace {
            head.push_str(namespace);
            head.push(',');
        }
        if let Some(id) = self.id {
            text::push_number(&mut head, id);
        }
        debug_assert_eq!(head.len(), self.len());
        head
    }

    fn len(&self) -> usize {
        let count = self.attachments.map_or(0, |count| text::number_len(count).saturating_add(1));
        let namespace = self.namespace.map_or(0, |name| name.len().saturating_add(1));
        let id = self.id.map_or(0, text::number_len);
        [count, namespace, id].into_iter().fold(2, usize::saturating_add)
    }
}
