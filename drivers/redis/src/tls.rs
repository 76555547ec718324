//! What TLS needs before the first connection.

/// Chooses what encrypts, unless the program has chosen. `rustls` cannot choose by itself if several are
/// compiled in.
pub(crate) fn prepare() {
    use rustls::crypto::{CryptoProvider, ring};

    if CryptoProvider::get_default().is_none() {
        // If somebody else was faster, theirs is as good.
        ring::default_provider().install_default().ok();
    }
}
