//! Events that a client refuses each time they are replayed.
//!
//! A client that cannot accept a packet closes its connection, comes back, and is sent the packet
//! again. It differs from a client with a bad network: it *closes* the connection in an orderly
//! way, and it has processed nothing of the replay.

use super::{Hub, HubOutput, event::ServerEvent, message::Attached, sessions::Change};
use crate::{
    id::SocketKey,
    socket::{self, Decoder, DecoderLimits, Encoded, Kind},
    time::Timestamp,
};

impl<D: Default> Hub<D> {
    /// A client has closed its link after the replay had begun to leave.
    pub(super) fn note_left(&mut self, now: Timestamp, socket: Attached) {
        if let Some(namespace) = self.namespaces.get_mut(&socket.key.namespace)
            && namespace.attached(socket).is_some()
        {
            namespace.sessions.apply(now, Change::Refuse { index: socket.key.index });
        }
    }

    /// Reports which event the client of a session refuses.
    pub(super) fn report_poison(&mut self, socket: SocketKey) {
        let Some(namespace) = self.namespaces.get(&socket.namespace) else {
            return;
        };
        let packet = namespace.sessions.first_refused(socket.index);
        let member = namespace.member(socket);
        if let (Some(event), Some(member)) = (packet.and_then(|it| decode(&it)), member) {
            let (id, namespace) = (member.id, namespace.sessions.name().clone());
            self.out.push_back(HubOutput::Event(ServerEvent::ReplayRefused {
                socket,
                id,
                namespace,
                event,
            }));
        }
    }
}

/// Decodes the event of a packet. No size limit applies, because this server encoded the packet.
fn decode(encoded: &Encoded) -> Option<socket::Event> {
    let mut decoder = Decoder::new(DecoderLimits {
        attachments: usize::MAX,
        attachment_bytes: usize::MAX,
        namespace_name_bytes: usize::MAX,
    });
    let text = encoded.head().slice_ref(encoded.head().get(1..)?);
    let mut packet = decoder.push_text(text).ok()?;
    for attachment in encoded.attachments() {
        packet = decoder.push_binary(attachment.clone()).ok()?;
    }
    match packet?.kind {
        Kind::Event { event, .. } => Some(event),
        _ => None,
    }
}
