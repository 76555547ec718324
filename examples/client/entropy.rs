//! Random bits.

/// Fills `dest` from the operating system's random source. Reconnections are spread with it, which
/// needs no secret: if there is none, the bits stay as they are.
pub fn entropy(dest: &mut [u8]) {
    getrandom::fill(dest).ok();
}
