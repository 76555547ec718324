//! Decisions out of bytes.

use arbitrary::{Arbitrary, Unstructured};

/// Draws the decisions of a run. When its bytes are used up every further one is the first choice,
/// so that no run is given up half-way and each prefix of an input is an input.
pub(super) struct Source<'a> {
    bytes: Unstructured<'a>,
}

impl<'a> Source<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { bytes: Unstructured::new(data) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Any value of a plain type.
    pub(super) fn any<T: Arbitrary<'a> + Default>(&mut self) -> T {
        self.bytes.arbitrary().unwrap_or_default()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.any()
    }

    pub(super) fn flag(&mut self) -> bool {
        self.any()
    }

    /// A number below `end`, which is not zero.
    pub(super) fn below(&mut self, end: u8) -> u8 {
        self.bytes.int_in_range(0..=end.saturating_sub(1)).unwrap_or_default()
    }

    /// One of the items, unless there is none. It takes a byte in any case, so that what follows in
    /// an input keeps its meaning.
    pub(super) fn pick<'b, T>(&mut self, items: &'b [T]) -> Option<&'b T> {
        let index = usize::from(self.byte()).checked_rem(items.len())?;
        items.get(index)
    }

    /// Up to 255 bytes, their number first.
    pub(super) fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.bytes.len());
        self.bytes.bytes(len).unwrap_or_default()
    }

    /// Up to 255 bytes as text; what is not UTF-8 in them is replaced.
    pub(super) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// All that is left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.bytes.take_rest()
    }
}
