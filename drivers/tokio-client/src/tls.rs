//! TLS.

#[cfg(feature = "tls")]
pub(crate) use with_rustls::Tls;
#[cfg(not(feature = "tls"))]
pub(crate) use without::Tls;

#[cfg(feature = "tls")]
mod with_rustls {
    use std::{io, sync::Arc};

    use tokio_rustls::{
        TlsConnector,
        rustls::{
            ClientConfig, RootCertStore,
            crypto::ring,
            pki_types::{CertificateDer, ServerName},
        },
    };

    use crate::{OptionsError, WireError, stream::Stream};

    /// Makes TLS connections.
    #[derive(Clone)]
    pub(crate) struct Tls(TlsConnector);

    impl Tls {
        /// Trusts the roots of the enabled features and `extra` ones.
        pub(crate) fn new(extra: &[CertificateDer<'static>]) -> Result<Self, OptionsError> {
            let mut roots = RootCertStore::empty();
            #[cfg(feature = "webpki-roots")]
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            #[cfg(feature = "native-roots")]
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            for root in extra {
                roots.add(root.clone()).map_err(|error| OptionsError::Tls(error.into()))?;
            }
            let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| OptionsError::Tls(error.into()))?
                .with_root_certificates(roots)
                .with_no_client_auth();
            Ok(Self::with_config(config))
        }

        pub(crate) fn with_config(mut config: ClientConfig) -> Self {
            // WebSockets need it.
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Self(TlsConnector::from(Arc::new(config)))
        }

        pub(crate) async fn wrap(&self, host: &str, stream: Stream) -> Result<Stream, WireError> {
            let failed = |source| WireError::Tls { host: host.to_owned(), source };
            let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let name =
                ServerName::try_from(name).map_err(|error| failed(io::Error::other(error)))?;
            let stream = self.0.connect(name, stream).await.map_err(failed)?;
            Ok(Stream::new(stream))
        }
    }
}

#[cfg(not(feature = "tls"))]
mod without {
    use std::io;

    use crate::{WireError, stream::Stream};

    /// There is no TLS. Only the URL of a proxy can lead here.
    #[derive(Clone)]
    pub(crate) struct Tls;

    impl Tls {
        #[expect(clippy::unused_async, reason = "as with TLS")]
        pub(crate) async fn wrap(&self, host: &str, _: Stream) -> Result<Stream, WireError> {
            let source = io::Error::new(io::ErrorKind::Unsupported, "this build has no TLS");
            Err(WireError::Tls { host: host.to_owned(), source })
        }
    }
}
