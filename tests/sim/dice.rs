//! Randomness that is all drawn from the seed of a run.

/// A stream of random numbers. What happens to an operation or on a wire is drawn from a stream of
/// its own, so that it stays the same when other operations are taken out of the list.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// The stream of `seed` that belongs to `key`.
    pub fn keyed(seed: u64, key: &[u64]) -> Self {
        Self(key.iter().fold(mix(seed), |state, part| mix(state ^ part.wrapping_add(1))))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 0 to below `count`; 0 if that is 0.
    pub fn below(&mut self, count: u64) -> u64 {
        if count == 0 { 0 } else { self.next() % count }
    }

    /// From `low` to `high`, both included.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    pub fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap()
    }

    /// True with this probability, in thousandths.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// The same stream as bytes, as a source of entropy.
    pub fn entropy(mut self) -> impl FnMut(&mut [u8]) + Send {
        move |dest: &mut [u8]| {
            for chunk in dest.chunks_mut(8) {
                let bytes = self.next().to_le_bytes();
                chunk.copy_from_slice(&bytes[..chunk.len()]);
            }
        }
    }
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A running hash of everything that has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transcript(u64);

impl Transcript {
    pub fn new() -> Self {
        Self(0x243f_6a88_85a3_08d3)
    }

    pub fn value(self) -> u64 {
        self.0
    }

    pub fn note(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }

    pub fn note_bytes(&mut self, bytes: &[u8]) {
        self.note(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.note(u64::from_le_bytes(word));
        }
    }
}
