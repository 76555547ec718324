//! Queues that are small while they are almost empty.

use alloc::{boxed::Box, collections::VecDeque};

/// A queue that is almost always empty. It takes 8 bytes for as long as there is nothing, and one
/// allocation for a single entry.
#[derive(Debug)]
pub(crate) struct Rare<T>(Option<Box<Filled<T>>>);

#[derive(Debug)]
struct Filled<T> {
    /// The oldest entry, unless it was taken.
    first: Option<T>,
    rest: VecDeque<T>,
}

impl<T> Rare<T> {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    pub(crate) fn push(&mut self, value: T) {
        match &mut self.0 {
            Some(filled) => filled.rest.push_back(value),
            None => self.0 = Some(Box::new(Filled { first: Some(value), rest: VecDeque::new() })),
        }
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let filled = self.0.as_mut()?;
        let value = filled.first.take().or_else(|| filled.rest.pop_front());
        if filled.rest.is_empty() {
            self.0 = None;
        }
        value
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

/// A queue that needs no allocation for its first entry: most entries are polled before the next
/// one is pushed.
#[derive(Debug)]
pub(super) struct Fifo<T> {
    first: Option<T>,
    rest: Rare<T>,
}

impl<T> Fifo<T> {
    pub(super) const fn new() -> Self {
        Self { first: None, rest: Rare::new() }
    }

    pub(super) fn push(&mut self, value: T) {
        if self.first.is_none() {
            self.first = Some(value);
        } else {
            self.rest.push(value);
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let value = self.first.take()?;
        self.first = self.rest.pop();
        Some(value)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifo_keeps_the_order_and_frees_its_memory() {
        let mut fifo = Fifo::new();
        for value in 0..4 {
            fifo.push(value);
        }
        assert_eq!(fifo.pop(), Some(0));
        fifo.push(4);
        assert!(core::iter::from_fn(|| fifo.pop()).eq(1..5));
        assert!(fifo.is_empty());
        assert!(fifo.rest.is_empty());
    }
}
