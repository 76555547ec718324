//! The JSON array that events and acknowledgements share, and typed access to it.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::{fmt, marker::PhantomData};

use bytes::Bytes;
use bytestring::ByteString;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, SeqAccess, Visitor},
    forward_to_deserialize_any,
};

use super::{ArgsError, EncodeError, binary, placeholder, ser, text};

/// The attachments of a packet. The event and everything made from it share them.
pub(crate) type Attachments = Option<Arc<[Bytes]>>;

/// Makes shared attachments. An empty list needs no allocation.
pub(super) fn share(attachments: Vec<Bytes>) -> Attachments {
    (!attachments.is_empty()).then(|| attachments.into())
}

/// The bytes of a text and of the attachments that follow it.
pub(super) fn wire_len(text: &str, attachments: &[Bytes]) -> usize {
    attachments.iter().map(Bytes::len).fold(text.len(), usize::saturating_add)
}

/// A valid JSON array, without white space around it, and the attachments of its placeholders.
#[derive(Clone)]
pub(super) struct List {
    text: ByteString,
    /// The start of the array in the text of a packet. It is cheaper than a slice.
    start: usize,
    attachments: Attachments,
}

impl List {
    /// Uses the end of the text of a packet, which has been validated.
    pub(super) fn within(text: ByteString, start: usize) -> Self {
        let list = Self { text, start, attachments: None };
        list.debug_check();
        list
    }

    /// Uses a whole text that is a valid array.
    pub(super) fn whole(text: String, attachments: Attachments) -> Self {
        let list = Self { text: text.into_boxed_str().into(), start: 0, attachments };
        list.debug_check();
        list
    }

    /// The array without elements.
    pub(super) const fn empty() -> Self {
        Self::constant("[]")
    }

    /// An array without attachments.
    pub(super) const fn constant(array: &'static str) -> Self {
        Self { text: ByteString::from_static(array), start: 0, attachments: None }
    }

    /// Copies the list.
    pub(super) fn detached(&self) -> Self {
        // Only the text of a packet has something in front of the array.
        if self.start == 0 {
            return self.clone();
        }
        Self::whole(self.json().into(), self.attachments.clone())
    }

    pub(super) fn attach(&mut self, attachments: Vec<Bytes>) {
        self.attachments = share(attachments);
    }

    pub(super) fn json(&self) -> &str {
        self.text.get(self.start..).unwrap_or_default()
    }

    pub(super) fn attachments(&self) -> &[Bytes] {
        self.attachments.as_deref().unwrap_or_default()
    }

    pub(super) fn wire_len(&self) -> usize {
        wire_len(self.json(), self.attachments())
    }

    pub(super) fn share_attachments(&self) -> Attachments {
        self.attachments.clone()
    }

    /// Counts the elements.
    pub(super) fn len(&self) -> usize {
        self.visit(Counter).unwrap_or_default()
    }

    /// Reads one element.
    pub(super) fn get<'a, T: Deserialize<'a>>(
        &'a self,
        index: usize,
    ) -> Result<Option<T>, ArgsError> {
        let Some(at) = placeholder::after(self.json(), index) else { return Ok(None) };
        // What follows the element was checked before, and reading it would cost more than the element.
        let mut rest =
            serde_json::Deserializer::from_str(self.json().get(at..).unwrap_or_default());
        match T::deserialize(&mut rest) {
            Ok(element) => Ok(Some(element)),
            // There is none, or it is something else. This says where.
            Err(_) => self.visit(Nth { index, of: PhantomData }),
        }
    }

    /// Reads all elements except the first `skip` as one value. Surplus elements are ignored,
    /// because JavaScript peers append arguments freely.
    pub(super) fn parse<'a, T: Deserialize<'a>>(&'a self, skip: usize) -> Result<T, ArgsError> {
        self.visit(Tail { skip, of: PhantomData })
    }

    /// Returns the elements behind the first `count`, with the attachments that they use.
    pub(super) fn skip(&self, count: usize) -> Self {
        if count == 0 {
            return self.clone();
        }
        let Some(rest) =
            placeholder::after(self.json(), count).and_then(|at| self.json().get(at..))
        else {
            return Self::empty();
        };
        let mut array = String::with_capacity(rest.len().saturating_add(1));
        array.push('[');
        array.push_str(rest.trim_start_matches(text::is_space));
        self.part(array)
    }

    /// Returns the first element as the only one, with the attachments that it uses.
    pub(super) fn first(&self) -> Option<Self> {
        elements(self.json())?;
        let Some(rest) = placeholder::after(self.json(), 1) else {
            return Some(self.clone());
        };
        // The rest begins behind a comma.
        let mut array = String::from(self.json().get(..rest.checked_sub(1)?)?);
        array.push(']');
        Some(self.part(array))
    }

    /// Makes a list from a part of this one, with the attachments that the part uses.
    fn part(&self, array: String) -> Self {
        if self.attachments.is_none() { Self::whole(array, None) } else { self.renumbered(&array) }
    }

    fn renumbered(&self, array: &str) -> Self {
        let (mut text, mut copied) = (String::with_capacity(array.len()), 0);
        let mut kept: Vec<usize> = Vec::new();
        // Lists that are nested too deeply were refused before they got attachments.
        for placeholder::Found { range, num } in placeholder::find(array).unwrap_or_default() {
            let Some(num) = num else { continue };
            let index = kept.iter().position(|other| *other == num).unwrap_or(kept.len());
            if index == kept.len() {
                kept.push(num);
            }
            text.push_str(array.get(copied..range.start).unwrap_or_default());
            binary::push_placeholder(&mut text, index);
            copied = range.end;
        }
        text.push_str(array.get(copied..).unwrap_or_default());
        let attachments = kept.iter().filter_map(|num| self.attachments().get(*num).cloned());
        Self::whole(text, share(attachments.collect()))
    }

    fn visit<'a, V: Visitor<'a>>(&'a self, visitor: V) -> Result<V::Value, ArgsError> {
        serde_json::Deserializer::from_str(self.json())
            .deserialize_seq(visitor)
            .map_err(ArgsError::mismatch)
    }

    fn debug_check(&self) {
        debug_assert!(
            self.json().starts_with('[') && self.json().ends_with(']'),
            "validated and trimmed when it was made"
        );
    }
}

impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json() && self.attachments() == other.attachments()
    }
}

impl Eq for List {}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.json())?;
        match self.attachments().len() {
            0 => Ok(()),
            1 => f.write_str(" + 1 attachment"),
            count => write!(f, " + {count} attachments"),
        }
    }
}

/// Serializes arguments: the text of an array, and the bytes that were in it.
pub(super) fn to_array<T: Serialize + ?Sized>(
    args: &T,
) -> Result<(String, Vec<Bytes>), EncodeError> {
    let (text, attachments) = ser::to_text(args).map_err(EncodeError::serialize)?;
    if text == "null" {
        return Ok(("[]".into(), attachments));
    }
    if !text.starts_with('[') {
        return Err(EncodeError::NotAList);
    }
    check_placeholders(&text, attachments.len())?;
    Ok((text, attachments))
}

/// Refuses foreign placeholders in arguments with attachments.
///
/// A foreign placeholder is plain data that a peer sent in a packet without attachments, and that
/// the application forwards. In a packet with attachments it would refer to an attachment of
/// something else, or to none, and then every recipient closes its connection. In a packet without
/// attachments, nobody looks for placeholders.
pub(super) fn check_placeholders(text: &str, attachments: usize) -> Result<(), EncodeError> {
    if attachments == 0 {
        return Ok(());
    }
    let tally = placeholder::walk(text, attachments).map_err(|_| EncodeError::TooDeep)?;
    if tally.illegal || tally.placeholders != attachments {
        return Err(EncodeError::Placeholder);
    }
    Ok(())
}

/// Returns what follows the opening bracket of an array, or `None` if it has no elements.
pub(super) fn elements(array: &str) -> Option<&str> {
    let inner = array.strip_prefix('[')?.trim_start_matches(text::is_space);
    (!inner.starts_with(']')).then_some(inner)
}

struct Counter;

impl<'de> Visitor<'de> for Counter {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<usize, A::Error> {
        drain(&mut seq)
    }
}

struct Nth<T> {
    index: usize,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Nth<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<T>, A::Error> {
        if !skip(&mut seq, self.index)? {
            return Ok(None);
        }
        let element = seq.next_element()?;
        if element.is_some() {
            drain(&mut seq)?;
        }
        Ok(element)
    }
}

struct Tail<T> {
    skip: usize,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Tail<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        skip(&mut seq, self.skip)?;
        let mut rest = Rest { seq, ended: false };
        let value = T::deserialize(Elements(&mut rest))?;
        drain(&mut rest)?;
        Ok(value)
    }
}

/// The elements of a list. They can be asked for again after the last one.
struct Rest<A> {
    seq: A,
    ended: bool,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Rest<A> {
    type Error = A::Error;

    fn next_element_seed<T: serde::de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        if self.ended {
            return Ok(None);
        }
        let element = self.seq.next_element_seed(seed)?;
        self.ended = element.is_none();
        Ok(element)
    }
}

/// Presents elements as one value. Without elements, that may also be `()`.
struct Elements<'a, A>(&'a mut Rest<A>);

impl<'de, A: SeqAccess<'de>> Deserializer<'de> for Elements<'_, A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_seq(self.0)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Skips elements; false if there are fewer.
fn skip<'de, A: SeqAccess<'de>>(seq: &mut A, count: usize) -> Result<bool, A::Error> {
    for _ in 0..count {
        if seq.next_element::<IgnoredAny>()?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Skips and counts the elements that are left.
fn drain<'de, A: SeqAccess<'de>>(seq: &mut A) -> Result<usize, A::Error> {
    let mut count: usize = 0;
    while seq.next_element::<IgnoredAny>()?.is_some() {
        count = count.saturating_add(1);
    }
    Ok(count)
}
