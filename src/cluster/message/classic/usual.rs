//! Reads a broadcast in the form in which nodes write it, in one pass.

use bytes::Bytes;

use crate::{
    cluster::{
        message::{
            Body, BroadcastOptions, ClusterBroadcast, Message, MessageNames, Stamp,
            broadcast::RawPacket,
            raw::{Format, Raw},
        },
        msgpack::{self, Token},
    },
    number::digits,
};

/// Reads `[sender, packet, opts]`, which an official node writes, or what a node of this crate adds to it:
/// `{seq, nonce, pos}`, where the last one is the number of the entry. `None` for every other form. The event
/// and the rooms share the memory of the payload.
pub(super) fn broadcast(
    payload: &Bytes,
    names: &mut MessageNames,
) -> Option<(Option<u64>, Message)> {
    let (whole, mut rest) = (Raw::new(payload, Format::Msgpack), &payload[..]);
    let Token::Array(len @ 3..=4) = msgpack::read(&mut rest)? else { return None };
    let sender = names.sender(text(&mut rest)?)?;
    rest = rest.strip_prefix(b"\x83\xa4type\x02\xa4data")?;
    let packet = RawPacket::of_event(whole.msgpack(&mut rest)?);
    rest = rest.strip_prefix(b"\xa3nsp")?;
    let namespace = names.namespace(text(&mut rest)?)?;
    let options = BroadcastOptions::take_usual(whole, &mut rest)?;
    let (mut stamp, mut number) = (None, None);
    if len == 4 {
        let sequence = field(&mut rest, b"\x83\xa3seq")?;
        stamp = Some(Stamp::new(sequence, field(&mut rest, b"\xa5nonce")?));
        number = Some(field(&mut rest, b"\xa3pos")?);
    }
    if !rest.is_empty() {
        return None;
    }
    let body = Body::Broadcast(ClusterBroadcast::received(options, None, packet));
    Some((number, Message { sender, namespace, stamp, after: None, body }))
}

/// A number as text, behind the name of its field.
fn field(input: &mut &[u8], name: &[u8]) -> Option<u64> {
    *input = input.strip_prefix(name)?;
    digits(text(input)?)
}

fn text<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    match msgpack::read(input)? {
        Token::Str(text) => Some(text),
        _ => None,
    }
}
