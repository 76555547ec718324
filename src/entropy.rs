//! Randomness as a value: the crate has no random source of its own.

/// A source of random bytes, supplied by the embedder.
///
/// Session ids and private recovery keys are bearer tokens made from it, so in production it must
/// be cryptographically secure (the operating system's, for example through the `getrandom`
/// crate). A test passes a counter and gets the same ids in every run.
///
/// ```
/// use socketio_proto::Entropy;
///
/// let mut state = 0_u8;
/// let mut source = move |dest: &mut [u8]| {
///     for byte in dest {
///         state = state.wrapping_add(1);
///         *byte = state;
///     }
/// };
/// let mut id = [0; 2];
/// source.fill(&mut id);
/// assert_eq!(id, [1, 2]);
/// ```
pub trait Entropy: Send {
    /// Overwrites all of `dest` with random bytes.
    fn fill(&mut self, dest: &mut [u8]);
}

impl<F: FnMut(&mut [u8]) + Send> Entropy for F {
    fn fill(&mut self, dest: &mut [u8]) {
        self(dest);
    }
}
