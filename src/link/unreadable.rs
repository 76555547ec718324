//! What of which no packet could be made means for the sessions of the client.
//!
//! The mildest answer that leaves nobody in doubt: a CONNECT is refused in words. Behind an event or
//! an acknowledgement that is not taken the stream has a hole, which the client would not notice, so
//! the connection ends and its sessions wait for the client. Only what no client sends ends them.

use super::{Link, Patience};
use crate::{
    engine::CloseReason,
    hub::{DisconnectReason, RequestKind},
    socket::{DecodeError, Encoded, InvalidConnect, Json, NamespaceName, may_be_honest},
};

impl Link {
    /// `packet` is the message if that was a text.
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

    /// What the client asked for before in the namespace does not count any more, and a session that
    /// it has there is parked: it takes the answer for the end of its stay. But it is not told on the
    /// mere suspicion that it is meant.
    fn refuse_connect(&mut self, error: DecodeError, connect: &InvalidConnect) {
        let namespace = &connect.namespace;
        if !connect.is_certain && self.has_seat(namespace) {
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

    /// Whether the client has never been understood: the first packet of any client is a CONNECT,
    /// which is text that begins with a digit unless another parser has made it.
    fn is_of_other_parser(&self, error: DecodeError) -> bool {
        let is_new = matches!(self.rest.patience, Patience::Connect(_));
        let is_foreign = matches!(error, DecodeError::UnexpectedBinary | DecodeError::UnknownType);
        is_new && is_foreign && self.rest.seats.is_empty()
    }

    /// Says so in the way that a client reports: its own parser fails at this packet, and it emits
    /// `disconnect` with the reason `parse error` instead of one for a lost link.
    fn handle_other_parser(&mut self) {
        let error = Json::from_text(r#"{"message":"This server speaks the default parser"}"#);
        let error = error.unwrap_or_else(|_| Json::empty_object());
        self.answer(&Encoded::connect_error(&NamespaceName::root(), &error));
        self.connection.close(self.connection.now(), CloseReason::OtherParser);
    }

    /// The client does not speak the protocol: it is not waited for.
    fn handle_violation(&mut self) {
        for seat in self.take_seats() {
            self.give_up(&seat, DisconnectReason::ProtocolViolation);
        }
        self.rest.decoder = None;
        self.connection.close(self.connection.now(), CloseReason::ProtocolViolation);
    }
}
