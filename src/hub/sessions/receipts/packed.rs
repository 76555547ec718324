//! What a session remembers about its client's events, as few bytes. It is written whenever the session
//! answers an event, with everything that it remembers.
//!
//! ```text
//! msgpack: [ received, [ withdrawn … ], [ offset … ], [ key, answer … ] ]
//!
//! key      a number is the place of an offset, [ id ] the event with this id
//! answer   the JSON text of the arguments, or [ text, attachment … ]
//! ```
//!
//! An offset is there once, and its answer refers to it.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use bytes::Bytes;

use super::{Accepted, Answer, AnswerKey, Receipts, ReceiptsSnapshot};
use crate::{
    cluster::msgpack::{Token, push_array, push_bin, push_str, push_uint, read},
    socket::{Args, ArgsSnapshot},
};

impl Receipts {
    /// What is remembered. With `answered_only`, without the events that the application is handling at
    /// present. Takes no look-up for an event: it runs for every answer.
    pub(in crate::hub::sessions) fn pack(&self, answered_only: bool) -> Bytes {
        let mut out = Vec::new();
        push_array(&mut out, 4);
        push_uint(&mut out, self.received);
        push_array(&mut out, self.withdrawn.len());
        for id in &self.withdrawn {
            push_uint(&mut out, *id);
        }
        let is_kept = |it: &(&Arc<str>, &Accepted)| !answered_only || it.1.is_answered;
        let mut offsets: Vec<(&Arc<str>, &Accepted)> =
            self.offsets.iter().filter(is_kept).collect();
        offsets.sort_unstable_by_key(|(_, accepted)| accepted.order);
        push_array(&mut out, offsets.len());
        for (offset, _) in &offsets {
            push_str(&mut out, offset.as_bytes());
        }
        let of_offsets = offsets.iter().zip(0..).filter_map(|((_, accepted), place)| {
            accepted.answer.as_ref().map(|answer| (answer, Key::Place(place)))
        });
        let of_ids = self.answers.iter().map(|(id, answer)| (answer, Key::Id(*id)));
        let mut answers: Vec<(&Answer, Key)> = of_offsets.chain(of_ids).collect();
        answers.sort_unstable_by_key(|(answer, _)| answer.order);
        push_array(&mut out, answers.len().saturating_mul(2));
        for (answer, key) in answers {
            match key {
                Key::Place(place) => push_uint(&mut out, place),
                Key::Id(id) => {
                    push_array(&mut out, 1);
                    push_uint(&mut out, id);
                }
            }
            push_args(&mut out, &answer.args);
        }
        out.into()
    }
}

/// Which event an answer belongs to.
enum Key {
    /// The place of its offset.
    Place(u64),
    Id(u64),
}

impl ReceiptsSnapshot {
    /// Reads what [`pack`](Receipts::pack) has written. `None` if it is malformed.
    pub(in crate::hub) fn unpack(packed: &[u8]) -> Option<Self> {
        let mut input = packed;
        if array(&mut input)? != 4 {
            return None;
        }
        let received = uint(&mut input)?;
        let (mut withdrawn, mut answers) = (Vec::new(), Vec::new());
        let mut offsets: Vec<Box<str>> = Vec::new();
        // No number is believed: space is taken for what is there.
        for _ in 0..array(&mut input)? {
            withdrawn.push(uint(&mut input)?);
        }
        for _ in 0..array(&mut input)? {
            offsets.push(Box::from(text(&mut input)?));
        }
        let parts = array(&mut input)?;
        if !parts.is_multiple_of(2) {
            return None;
        }
        for _ in 0..parts / 2 {
            let key = match read(&mut input)? {
                Token::Uint(place) => {
                    AnswerKey::Offset(offsets.get(usize::try_from(place).ok()?)?.clone())
                }
                Token::Array(1) => AnswerKey::Id(uint(&mut input)?),
                _ => return None,
            };
            answers.push((key, args(&mut input)?));
        }
        input.is_empty().then_some(Self { received, offsets, answers, withdrawn })
    }
}

fn push_args(out: &mut Vec<u8>, args: &Args) {
    let attachments = args.attachments();
    if !attachments.is_empty() {
        push_array(out, attachments.len().saturating_add(1));
    }
    push_str(out, args.json().as_bytes());
    for bytes in attachments {
        push_bin(out, bytes);
    }
}

fn args(input: &mut &[u8]) -> Option<ArgsSnapshot> {
    let mut attachments = Vec::new();
    let json = match read(input)? {
        Token::Str(text) => core::str::from_utf8(text).ok()?,
        Token::Array(parts) => {
            let json = text(input)?;
            for _ in 1..parts {
                let Token::Bin(bytes) = read(input)? else { return None };
                attachments.push(Bytes::copy_from_slice(bytes));
            }
            json
        }
        _ => return None,
    };
    Some(ArgsSnapshot::new(json, attachments))
}

fn array(input: &mut &[u8]) -> Option<u32> {
    if let Token::Array(len) = read(input)? { Some(len) } else { None }
}

fn uint(input: &mut &[u8]) -> Option<u64> {
    if let Token::Uint(number) = read(input)? { Some(number) } else { None }
}

fn text<'a>(input: &mut &'a [u8]) -> Option<&'a str> {
    if let Token::Str(text) = read(input)? { core::str::from_utf8(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String, vec};

    use super::*;
    use crate::config::Limits;

    fn json(snapshot: &ReceiptsSnapshot) -> String {
        serde_json::to_string(snapshot).unwrap()
    }

    /// Everything that a session can remember, with answers in another order than their events.
    fn everything() -> Receipts {
        let (mut receipts, limits) = (Receipts::default(), Limits::default());
        for _ in 0..300 {
            receipts.count();
        }
        for offset in ["a", "b", "é\"", "not answered"] {
            receipts.accept(offset, None, &limits);
        }
        let bytes = Bytes::from_static(b"\0\xff");
        let binary = Args::new(&("x", bytes.clone(), bytes)).unwrap();
        for key in ["é\"", "a", "b"] {
            receipts.answer(AnswerKey::Offset(key.into()), &binary, true, &limits);
            receipts.answer(AnswerKey::Id(u64::MAX), &Args::empty(), true, &limits);
        }
        receipts.answer(AnswerKey::Id(7), &Args::new(&("\u{1f980}",)).unwrap(), false, &limits);
        receipts.withdraw(Some(299), None, &limits);
        receipts.withdraw(Some(3), None, &limits);
        receipts
    }

    #[test]
    fn it_comes_back_as_it_was() {
        for receipts in [everything(), Receipts::default()] {
            let read = ReceiptsSnapshot::unpack(&receipts.pack(false)).unwrap();
            assert_eq!(json(&read), json(&receipts.snapshot()));
            let answered = ReceiptsSnapshot::unpack(&receipts.pack(true)).unwrap();
            let mut expected = receipts.snapshot();
            expected.offsets.retain(|offset| &**offset != "not answered");
            assert_eq!(json(&answered), json(&expected), "without what is being handled");
        }
    }

    #[test]
    fn an_event_takes_little_more_than_its_offset() {
        let (mut receipts, limits) = (Receipts::default(), Limits::default());
        for number in 0..1_024 {
            let offset = format!("{number:036}");
            receipts.accept(&offset, None, &limits);
            receipts.answer(AnswerKey::Offset(offset.into()), &Args::empty(), true, &limits);
        }
        let len = receipts.pack(true).len();
        assert!(len <= 1_024 * (36 + 8), "{len} bytes");
    }

    /// Whatever comes of it, nothing is too much and nothing panics.
    #[test]
    fn bytes_that_were_changed_are_refused_or_say_something_else() {
        let (packed, limits) = (everything().pack(false), Limits::default());
        let mut read = 0;
        for place in 0..packed.len() {
            for byte in [0, 0x7f, 0x91, 0xa1, 0xc4, 0xcf, 0xdd, 0xff] {
                let mut changed = packed.to_vec();
                changed[place] = byte;
                if let Some(snapshot) = ReceiptsSnapshot::unpack(&changed)
                    && let Ok(receipts) = Receipts::restore(snapshot, &limits)
                {
                    let again = ReceiptsSnapshot::unpack(&receipts.pack(false)).unwrap();
                    assert_eq!(json(&again), json(&receipts.snapshot()));
                    read += 1;
                }
            }
        }
        assert!(read > 0);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let packed = everything().pack(false);
        for len in 0..packed.len() {
            assert!(ReceiptsSnapshot::unpack(&packed[..len]).is_none(), "{len}");
        }
        let table: &[&[u8]] = &[
            b"",
            b"\x00",
            b"\x93\x00\x90\x90",
            b"\x94\x00\x90\x90\x90\x00",
            b"\x94\xff\x90\x90\x90",
            b"\x94\x00\x91\xa1a\x90\x90",
            b"\x94\x00\x90\x91\x00\x90",
            b"\x94\x00\x90\x91\xa1\xff\x90",
            // An answer without arguments, or to no offset, or of no type that there is.
            b"\x94\x00\x90\x90\x91\x00",
            b"\x94\x00\x90\x91\xa1a\x92\x01\xa2[]",
            b"\x94\x00\x90\x90\x92\x92\x01\x01\xa2[]",
            b"\x94\x00\x90\x90\x92\x91\x01\x90",
            b"\x94\x00\x90\x90\x92\x91\x01\x92\xa2[]\x01",
            // Numbers that lie.
            b"\x94\x00\xdd\xff\xff\xff\xff\x90\x90",
            b"\x94\x00\x90\xdd\xff\xff\xff\xff\x90",
            b"\x94\x00\x90\x90\xdd\xff\xff\xff\xfe",
        ];
        for bytes in table {
            assert!(ReceiptsSnapshot::unpack(bytes).is_none(), "{bytes:x?}");
        }
        assert!(ReceiptsSnapshot::unpack(b"\x94\x00\x90\x91\xa1a\x92\x00\xa2[]").is_some());
        assert!(ReceiptsSnapshot::unpack(&[vec![0x91; 1 << 20], vec![0]].concat()).is_none());
    }
}
