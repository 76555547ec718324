//! Connections with TLS.

use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::PostgresEngineError;

/// What connects with TLS, with the certificates of the operating system.
pub(crate) fn connector() -> Result<MakeRustlsConnect, PostgresEngineError> {
    let error = |text: String| PostgresEngineError::Tls(text.into());
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if let Some(first) = found.errors.first().filter(|_| roots.is_empty()) {
        return Err(error(first.to_string()));
    }
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|cause| error(cause.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
