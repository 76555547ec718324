//! Reads a broadcast in the form in which a node of this crate writes it as JSON, from the end.

use bytes::Bytes;

use super::{
    Body, Message, MessageNames, Stamp,
    decode::official_json,
    raw::{Format, Raw},
};
use crate::{cluster::json, number::digits};

impl Message {
    /// Reads `{"seq":…,"type":3,"data":{…},"uid":"…","nsp":"…","nonce":…}`. `None` for every other form,
    /// and for what is malformed. The event and the rooms share the memory of the payload.
    ///
    /// In valid JSON, unescaped quotes do not occur inside strings, and no bracket is behind the data but the
    /// one that closes the message. So what is there are fields of the message, and the last ones. If there
    /// is more than one value in the place of the data, that is noticed when the packet is read.
    pub(in crate::cluster) fn of_usual_json(
        payload: &Bytes,
        names: &mut MessageNames,
    ) -> Option<Self> {
        let (sequence, rest) = number(payload.strip_prefix(b"{\"seq\":")?)?;
        let rest = rest.strip_prefix(b",\"type\":3,\"data\":")?.strip_suffix(b"}")?;
        let data_end = rest.iter().rposition(|byte| *byte == b'}')?.checked_add(1)?;
        let (data, behind) = rest.split_at_checked(data_end)?;
        let (sender, behind) = string(behind.strip_prefix(b",\"uid\":\"")?)?;
        let (namespace, behind) = string(behind.strip_prefix(b",\"nsp\":\"")?)?;
        let nonce = digits(behind.strip_prefix(b",\"nonce\":")?)?;
        let broadcast = official_json(Raw::new(payload, Format::Json).within(data))?;
        Some(Self {
            sender: names.sender(sender)?,
            namespace: names.namespace(namespace)?,
            stamp: Some(Stamp::new(sequence, nonce)),
            after: None,
            body: Body::Broadcast(broadcast),
        })
    }
}

/// Splits a number off.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let len = text.iter().position(|byte| !byte.is_ascii_digit())?;
    let (number, rest) = text.split_at_checked(len)?;
    Some((digits(number)?, rest))
}

/// Splits the contents of a string without escapes off, whose first quote is before `text`.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (contents, rest) = text.split_at_checked(json::plain_len(text))?;
    Some((contents, rest.strip_prefix(b"\"")?))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::{
        cluster::message::{Addressed, BroadcastOptions, ClusterBroadcast, NodeId},
        socket::{Event, NamespaceName},
    };

    fn written() -> Vec<Vec<u8>> {
        let event = Event::new("news", &("}],\"opts\":{\"", 1, ((), [2.5]))).unwrap();
        let all = BroadcastOptions::all();
        let options = [all.clone(), all.clone().to("a"), all.to("\"a").to("é").except("b")];
        let write = |(options, namespace)| {
            let body = Body::Broadcast(ClusterBroadcast::new(options, event.clone()));
            let sender = NodeId::new("0123456789abcdef").unwrap();
            let message = Message::new(sender, NamespaceName::new(namespace).unwrap(), body);
            message.stamped(Stamp::new(7, u64::MAX)).to_payload(true).unwrap()
        };
        options.into_iter().zip(["/", "/chat", "/é"]).map(write).collect()
    }

    fn read(payload: &Bytes) -> Option<Message> {
        Some(Addressed::read(payload, None).ok()?.message)
    }

    #[test]
    fn what_nodes_write_has_the_usual_form() {
        let mut names = MessageNames::default();
        for payload in written() {
            let payload = payload.into();
            let message = Message::of_usual_json(&payload, &mut names);
            assert!(message.is_some(), "{payload:?}");
            assert_eq!(message, read(&payload));
        }
    }

    #[test]
    fn the_usual_form_means_the_same_as_every_other() {
        let mut names = MessageNames::default();
        for payload in written() {
            for place in 0..payload.len() {
                let others = [b' ', b'"', b'\\', b'{', b'}', b'0', b',', 0xff].map(|byte| {
                    let mut changed = payload.clone();
                    changed[place] = byte;
                    changed
                });
                for changed in others.into_iter().chain([payload[..place].to_vec()]) {
                    let changed = changed.into();
                    let Some(message) = Message::of_usual_json(&changed, &mut names) else {
                        continue;
                    };
                    if let Some(other) = read(&changed) {
                        assert_eq!(message, other, "{changed:?}");
                    } else {
                        // Nobody delivers it.
                        let Body::Broadcast(broadcast) = message.body else { unreachable!() };
                        assert!(broadcast.packet().is_err(), "{changed:?}");
                    }
                }
            }
        }
    }
}
