//! What messages mean, however they are written.

use socketio_proto::cluster::message::{Body, Message, MessageError, StoredSession};

/// All that a message says, in one form.
pub(super) fn said(message: &Message) -> Result<String, MessageError> {
    let body = match &message.body {
        Body::Broadcast(broadcast) => {
            let packet = broadcast.packet()?;
            let bytes = packet.event.attachments();
            let id = packet.ack;
            format!(
                "{} {bytes:?} {id:?} {:?} {:?}",
                packet.event.json(),
                broadcast.options,
                broadcast.request
            )
        }
        other => format!("{other:?}"),
    };
    Ok(format!("{:?} {} {:?} {body}", message.sender, message.namespace, message.stamp))
}

/// What was written of a message is for the same clients and has the same bytes. Numbers and texts
/// are the same from the second time on: the first time, JavaScript's way to write them is adopted.
pub(super) fn check(message: &Message, again: Result<Message, MessageError>) {
    let again = again.expect("what was written is read");
    assert_eq!(again.sender, message.sender);
    assert_eq!(again.stamp, message.stamp);
    assert_eq!(again.body.kind(), message.body.kind());
    if let (Body::Broadcast(first), Body::Broadcast(second)) = (&message.body, &again.body) {
        assert_eq!((&second.options, &second.request), (&first.options, &first.request));
        let (first, second) = (first.packet().expect("written"), second.packet().expect("read"));
        assert_eq!(second.event.name(), first.event.name());
        assert_eq!(second.event.attachments(), first.event.attachments());
        assert_eq!(second.ack, first.ack);
    }
    let Ok(payload) = again.to_msgpack() else { return };
    let third = Message::from_msgpack(&payload).expect("what was written is read");
    let payload = third.to_msgpack().expect("it was written before");
    let fourth = Message::from_msgpack(&payload).expect("what was written is read");
    assert_eq!(said(&fourth), said(&third));
}

/// A session that was written and read is the same.
pub(super) fn same_session(session: &StoredSession, mut again: StoredSession) {
    if session.data.json() == "null" {
        assert_eq!(again.data.json(), "{}");
        again.data = session.data.clone();
    }
    assert_eq!(again.sid, session.sid);
    assert_eq!(again.pid, session.pid);
    assert_eq!(again.rooms, session.rooms);
    assert_eq!(again.data.json(), session.data.json());
    assert_eq!(again.data.attachments(), session.data.attachments());
    assert_eq!(again.extension, session.extension);
}
