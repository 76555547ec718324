//! Where the log keeps the texts of packets.

use alloc::{collections::VecDeque, string::String};
use core::{mem, ops::Range};

use bytestring::ByteString;

use crate::shrink::Shrink as _;

/// The texts of the packets in a log, in their order.
///
/// Short ones stand one after the other in blocks. A text of its own would take 32 bytes to refer to, two
/// allocations, and 24 bytes for reference counts: half of a small packet. A block is freed when the last of its
/// packets has left the log and all queues. So a client that does not read what it missed can keep a whole
/// block alive for one packet. This is bounded: blocks are small.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// The blocks that are full, each with at least one text that is in the log.
    blocks: VecDeque<ByteString>,
    /// The number of the first one, which wraps around.
    first: u32,
    /// The block that is being filled. It comes after the others.
    present: String,
}

/// Where a text is: in 8 bytes, so that a long log takes little memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The number of its block.
    block: u32,
    start: u16,
    /// 0 if it is the whole block.
    len: u16,
}

impl Texts {
    const SIZE_MIN: usize = 512;
    const SIZE_MAX: usize = 4_096;

    /// Adds a text. `held` is the number of bytes that the log already holds: a log that holds little must
    /// not reserve much.
    pub(super) fn push(&mut self, text: &ByteString, held: usize) -> Place {
        let size = held.clamp(Self::SIZE_MIN, Self::SIZE_MAX);
        let len = u16::try_from(text.len()).ok().filter(|len| usize::from(*len) <= size / 8);
        let Some(len) = len.filter(|len| *len > 0) else {
            self.close();
            self.blocks.push_back(text.clone());
            return Place { block: self.number().wrapping_sub(1), start: 0, len: 0 };
        };
        let end = self.present.len().saturating_add(text.len());
        if end > self.present.capacity() || end > Self::SIZE_MAX {
            self.close();
            self.present.reserve_exact(size);
        }
        let start = u16::try_from(self.present.len()).unwrap_or(u16::MAX);
        self.present.push_str(text);
        Place { block: self.number(), start, len }
    }

    /// The text at a place. It shares the memory of a full block.
    pub(super) fn get(&self, place: Place) -> ByteString {
        match self.block(place) {
            Some(block) if place.len == 0 => block.clone(),
            Some(block) => {
                block.get(place.range()).map_or_else(ByteString::new, |text| block.slice_ref(text))
            }
            None => self.present.get(place.range()).unwrap_or_default().into(),
        }
    }

    /// The length of the text at a place.
    pub(super) fn len(&self, place: Place) -> usize {
        match place.len {
            0 => self.block(place).map_or(0, |block| block.len()),
            len => len.into(),
        }
    }

    /// The oldest text has left the log. `next` is the one that is the oldest now.
    pub(super) fn evict(&mut self, next: Option<Place>) {
        let Some(next) = next else { return self.clear() };
        while self.first != next.block && self.blocks.pop_front().is_some() {
            self.first = self.first.wrapping_add(1);
            self.blocks.shrink_if_sparse();
        }
    }

    /// All texts have left the log.
    pub(super) fn clear(&mut self) {
        *self = Self { first: self.number(), ..Self::default() };
    }

    fn block(&self, place: Place) -> Option<&ByteString> {
        self.blocks.get(place.block.wrapping_sub(self.first) as usize)
    }

    /// The number of the block that is being filled.
    fn number(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "there are fewer blocks than packets")]
        let full = self.blocks.len() as u32;
        self.first.wrapping_add(full)
    }

    /// The block that is being filled is full.
    fn close(&mut self) {
        if !self.present.is_empty() {
            let mut full = mem::take(&mut self.present);
            full.shrink_to_fit();
            self.blocks.push_back(full.into());
        }
    }
}

impl Place {
    fn range(self) -> Range<usize> {
        let (start, len) = (usize::from(self.start), usize::from(self.len));
        start..start.saturating_add(len)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::{
        collection::vec,
        prelude::*,
        test_runner::{Config, TestRunner},
    };

    use super::*;

    /// A text of this length, which differs from most others. Not all characters have one byte.
    fn text(number: usize, len: usize) -> ByteString {
        let number = number.wrapping_mul(0x9e37_79b9).wrapping_add(len);
        let character = |at: u32| ['a', 'ß', '…', '🦀'][number.wrapping_shr(at) % 4];
        (0..).take(len).map(character).collect::<String>().into()
    }

    /// Adds texts of these lengths, and lets the oldest go when there are more than `most`.
    fn play(lens: &[usize], most: usize, first: u32) -> Result<(), TestCaseError> {
        let mut texts = Texts { first, ..Texts::default() };
        let mut held: VecDeque<(Place, ByteString)> = VecDeque::new();
        let mut bytes = 0;
        for (number, len) in lens.iter().enumerate() {
            let text = text(number, *len);
            held.push_back((texts.push(&text, bytes), text.clone()));
            bytes += text.len();
            while held.len() > most {
                bytes -= held.pop_front().map_or(0, |(_, text)| text.len());
                texts.evict(held.front().map(|(place, _)| *place));
            }
            for (place, text) in &held {
                prop_assert_eq!(&texts.get(*place), text);
                prop_assert_eq!(texts.len(*place), text.len());
            }
            prop_assert!(
                texts.blocks.len() <= held.len(),
                "each block has a text that is in the log"
            );
        }
        Ok(())
    }

    #[test]
    fn texts_come_back_as_they_were() {
        let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new(config);
        let len = prop_oneof![8 => 1..40_usize, 2 => 40..200_usize, 1 => 1_000..3_000_usize, 1 => Just(0)];
        let first = prop_oneof![Just(0), Just(u32::MAX - 2)];
        let tapes = (vec(len, 0..120), 0..60_usize, first);
        if let Err(failure) = runner.run(&tapes, |(lens, most, first)| play(&lens, most, first)) {
            panic!("{failure}\n{runner}");
        }
    }

    #[test]
    fn a_short_text_shares_a_block_and_a_long_one_does_not_copy() {
        let mut texts = Texts::default();
        let (short, long) = (text(1, 20), text(2, 3_000));
        let places: Vec<Place> = (0..1_000).map(|_| texts.push(&short, 100_000)).collect();
        let blocks = texts.blocks.len();
        assert!((1..=1_000 * short.len() / 3_000).contains(&blocks), "{blocks}");
        let place = texts.push(&long, 100_000);
        assert_eq!(texts.get(place).as_ptr(), long.as_ptr());
        assert_eq!(
            texts.get(places[0]).as_ptr(),
            texts.get(places[0]).as_ptr(),
            "its block is full"
        );
    }

    /// However the texts were, nothing is left when they have gone, and a block goes with its last text.
    #[test]
    fn texts_that_have_gone_leave_nothing() {
        let mut texts = Texts::default();
        let places: Vec<Place> =
            (0..10_000).map(|number| texts.push(&text(number, 20), 100_000)).collect();
        for next in &places[1..] {
            texts.evict(Some(*next));
            assert_eq!(texts.first, next.block);
        }
        texts.evict(None);
        assert_eq!((texts.blocks.capacity(), texts.present.capacity()), (0, 0));
    }
}
