//! Randomness of tests over real sockets.

use super::peer::entropy;

/// A generator whose seed is printed when a test fails; `SEED` repeats it.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| {
            let mut seed = [0; 8];
            entropy(&mut seed);
            u64::from_le_bytes(seed)
        });
        println!("SEED={seed}");
        Self(seed | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
