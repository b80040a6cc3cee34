//! The TLS configuration of outgoing connections: which authorities they trust.

use std::fs::File;
use std::io::Read;
use std::sync::{Arc, PoisonError, RwLock};

use thiserror::Error;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::certificate_authorities::{CertificateAuthorities, MACHINE_FILES};

/// The maximum size of the machine's file, several times that of all public authorities.
const MAX_FILE_BYTES: u64 = 8 << 20;

/// The only protocol that requests use.
const PROTOCOL: &[u8] = b"http/1.1";

/// A reason why no TLS connection can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum TrustError {
    #[error("the machine has no file with certificate authorities, and HEARTH_CA_FILE is not set")]
    NoAuthorities,
    #[error("the TLS library rejected its own configuration")]
    Unsupported,
}

/// The authorities that connections to several servers trust. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct TlsTrust(Arc<RwLock<Result<Arc<ClientConfig>, TrustError>>>);

impl TlsTrust {
    /// Trusts the authorities of the machine and `own`. Blocks.
    pub fn new(own: Option<&CertificateAuthorities>) -> TlsTrust {
        TlsTrust(Arc::new(RwLock::new(tls_config(own))))
    }

    /// Makes new connections trust the authorities of the machine and `own`. Blocks.
    pub fn replace(&self, own: Option<&CertificateAuthorities>) -> Result<(), TrustError> {
        let config = tls_config(own)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Ok(config);
        Ok(())
    }

    /// Returns the configuration of new connections.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, TrustError> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns an error if no connection with TLS can be trusted.
    pub fn check(&self) -> Result<(), TrustError> {
        self.config().map(drop)
    }
}

/// Returns a configuration that trusts the authorities of the machine and `own`. Blocks.
fn tls_config(own: Option<&CertificateAuthorities>) -> Result<Arc<ClientConfig>, TrustError> {
    let machine = read_machine();
    let mut roots = RootCertStore::empty();
    for authorities in machine.iter().chain(own) {
        let certificates = authorities
            .certificates()
            .map(|der| CertificateDer::from(der.to_vec()));
        // A machine's file can contain certificates that this library does not support.
        roots.add_parsable_certificates(certificates);
    }
    if roots.is_empty() {
        return Err(TrustError::NoAuthorities);
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| TrustError::Unsupported)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}

/// Returns the machine's authorities, if it has a file with them.
fn read_machine() -> Option<CertificateAuthorities> {
    MACHINE_FILES.iter().find_map(|path| {
        let mut bytes = Vec::new();
        let file = File::open(path).ok()?;
        file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
        CertificateAuthorities::parse(&String::from_utf8_lossy(&bytes)).ok()
    })
}
