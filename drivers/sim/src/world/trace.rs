//! What has happened, in words.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

/// The latest lines of a run. Shared, so that they survive a run that breaks off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace(Rc<RefCell<VecDeque<String>>>);

/// The number of lines that are kept.
const LINES: usize = 1_000;

impl Trace {
    pub(crate) fn note(&self, micros: u64, words: &str) {
        let (millis, rest) = (micros / 1_000, micros % 1_000);
        let mut lines = self.0.borrow_mut();
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(format!("{millis:>9}.{rest:03} ms  {words}"));
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.borrow().iter().cloned().collect()
    }
}
