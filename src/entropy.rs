//! Randomness as a value: the crate contains no random source.

/// A source of random bytes, supplied by the embedder.
///
/// Session ids and private ids are secrets made from it. So in production it must be
/// cryptographically secure: use the source of the operating system, for example through the crate
/// `getrandom`. A test can pass a counter, and gets the same ids in every run.
///
/// ```
/// use socketio_proto::Entropy;
/// use socketio_proto::server::Server;
///
/// // In production.
/// let entropy = |dest: &mut [u8]| getrandom::fill(dest).expect("the system's random source");
/// let server = Server::<()>::new(Default::default(), entropy)?;
///
/// // In a test.
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
/// # Ok::<(), socketio_proto::ConfigError>(())
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
