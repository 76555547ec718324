//! The messages of both sides of one Engine.IO session: in order, none lost, none made up.

use std::collections::VecDeque;

use bytestring::ByteString;
use socketio_proto::engine::{EnginePacket, Frame, Payload};

#[derive(Debug, Default)]
pub(super) struct Messages {
    /// Messages of the peer that the session has not passed on.
    incoming: VecDeque<Payload>,
    /// Messages that the session took and the peer has not got.
    outgoing: VecDeque<Payload>,
}

impl Messages {
    /// The session has taken a message.
    pub(super) fn take(&mut self, payload: Payload) {
        self.outgoing.push_back(payload);
    }

    /// A packet of the session has arrived.
    pub(super) fn arrive(&mut self, packet: EnginePacket) {
        if let EnginePacket::Message(payload) = packet {
            assert_eq!(self.outgoing.pop_front(), Some(payload), "in order, none lost");
        }
    }

    /// The peer has sent a packet.
    pub(super) fn note(&mut self, packet: Option<EnginePacket>) {
        if let Some(EnginePacket::Message(payload)) = packet {
            self.incoming.push_back(payload);
        }
    }

    /// The peer has sent a polling body.
    pub(super) fn note_body(&mut self, body: &[u8]) {
        for record in body.split(|byte| *byte == 0x1e) {
            let text = ByteString::try_from(record).ok();
            self.note(text.and_then(|text| EnginePacket::decode(Frame::Text(text)).ok()));
        }
    }

    /// The session passes a message on.
    pub(super) fn pass_on(&mut self, payload: &Payload) {
        let position = self.incoming.iter().position(|sent| sent == payload);
        assert!(position.is_some(), "{payload:?} was not sent, or came out of order");
        self.incoming.drain(..=position.unwrap_or_default());
    }
}
