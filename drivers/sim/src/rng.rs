//! Random numbers that all come from one seed.

/// A stream of random numbers. The same seed gives the same stream everywhere.
///
/// Things that happen independently draw from streams of their own ([`Rng::keyed`]). So a script
/// from which a step was removed still gives the other steps the same random numbers, and failures
/// shrink.
///
/// ```
/// use socketio_proto_sim::Rng;
///
/// let mut rng = Rng::new(7);
/// assert!(rng.below(6) < 6);
/// assert_eq!(Rng::keyed(7, &[1]).next(), Rng::keyed(7, &[1]).next());
/// ```
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Creates the stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// Creates the stream of `seed` that belongs to `key`.
    pub fn keyed(seed: u64, key: &[u64]) -> Self {
        Self(key.iter().fold(mix(seed), |state, part| mix(state ^ part.wrapping_add(1))))
    }

    /// Draws any number.
    #[expect(clippy::should_implement_trait, reason = "it is not an iterator: it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Draws a number below `count`. Returns 0 if `count` is 0.
    pub fn below(&mut self, count: u64) -> u64 {
        if count == 0 { 0 } else { self.next() % count }
    }

    /// Draws a number from `low` to `high`, both included.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Draws an index of a list of this length.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or_default()
    }

    /// Draws true with this probability, in thousandths.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// Draws one of the choices.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// Turns the stream into bytes, as an [`Entropy`](socketio_proto::Entropy) source. It is not
    /// secure: use it in tests only.
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
