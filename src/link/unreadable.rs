//! What happens to the sessions of a client that sends something unreadable.
//!
//! The reaction is the mildest one that leaves no doubt. A CONNECT is refused with a message. If an
//! event or an acknowledgement cannot be accepted, the client would not notice the gap, so the
//! connection is closed and its sessions are parked. Sessions end only for what no official client
//! sends.

use super::{Awaited, Link};
use crate::{
    engine::CloseReason,
    hub::{DisconnectReason, RequestKind},
    socket::{DecodeError, Encoded, InvalidConnect, Json, NamespaceName, may_be_honest},
};

impl Link {
    /// `packet` is the message, if it was a text.
    pub(super) fn handle_unreadable(&mut self, error: DecodeError, packet: Option<&str>) {
        if self.is_of_other_parser(error) {
            return self.handle_other_parser();
        }
        let is_alone = error != DecodeError::UnexpectedText;
        if let Some(connect) = packet.filter(|_| is_alone).and_then(InvalidConnect::read) {
            self.refuse_connect(error, &connect);
        } else if may_be_honest(error, packet) {
            self.rest.decoder = None;
            self.connection.close(self.connection.now(), CloseReason::InvalidPacket);
        } else {
            self.handle_violation();
        }
    }

    /// Refuses the CONNECT. An earlier request of the client in the namespace is cancelled, and a
    /// session that it has there is parked, because the client takes the answer for a refusal. But
    /// if it is not certain that this namespace is meant, and the client has joined it or asked to,
    /// the CONNECT is ignored.
    fn refuse_connect(&mut self, error: DecodeError, connect: &InvalidConnect) {
        let namespace = &connect.namespace;
        if !connect.is_certain && self.has_join(namespace) {
            return self.request(RequestKind::Misplaced);
        }
        self.leave(namespace, DisconnectReason::InvalidPacket);
        self.request(RequestKind::InvalidConnect);
        self.refuse(
            namespace,
            match error {
                DecodeError::NamespaceTooLong { .. } => r#"{"message":"Namespace name too long"}"#,
                _ => r#"{"message":"Invalid authentication data"}"#,
            },
        );
    }

    /// Whether no packet of the client could be read so far. The first packet of any client is a
    /// CONNECT, which starts with a digit unless the client uses another parser.
    fn is_of_other_parser(&self, error: DecodeError) -> bool {
        let is_new = matches!(self.rest.awaited, Awaited::Namespace(_));
        let is_foreign = matches!(error, DecodeError::UnexpectedBinary | DecodeError::UnknownType);
        is_new && is_foreign && self.rest.joins.is_empty()
    }

    /// Sends a packet that the client reports: its own parser fails at it, so that it emits
    /// `disconnect` with the reason `parse error` instead of that of a lost connection.
    fn handle_other_parser(&mut self) {
        let error = Json::from_text(r#"{"message":"This server speaks the default parser"}"#);
        let error = error.unwrap_or_else(|_| Json::empty_object());
        self.answer(&Encoded::connect_error(&NamespaceName::root(), &error));
        self.connection.close(self.connection.now(), CloseReason::OtherParser);
    }

    /// The client does not speak the protocol: its sessions end.
    fn handle_violation(&mut self) {
        for join in self.take_joins() {
            self.give_up(&join, DisconnectReason::ProtocolViolation);
        }
        self.rest.decoder = None;
        self.connection.close(self.connection.now(), CloseReason::ProtocolViolation);
    }
}
