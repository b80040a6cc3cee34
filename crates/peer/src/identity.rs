//! The key and the certificate of this process.

use std::fmt;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::error::IdentityError;
use crate::fingerprint::Fingerprint;
use crate::provider::provider;

/// The key and the certificate of this process. The key exists only in its memory.
#[derive(Clone)]
pub struct Identity {
    provider: Arc<CryptoProvider>,
    key: Arc<SingleCertAndKey>,
    fingerprint: Fingerprint,
}

impl Identity {
    /// Creates a key and a certificate that it signs itself. The name in the certificate is only
    /// for people: peers compare the fingerprint.
    pub fn generate(name: &str) -> Result<Identity, IdentityError> {
        let provider = provider();
        let pair = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&pair)?;
        let certificate = certificate.der().clone();
        let fingerprint = Fingerprint::of(&certificate);
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        let key = CertifiedKey::from_der(vec![certificate], key, &provider)?;
        Ok(Identity {
            provider,
            key: Arc::new(SingleCertAndKey::from(key)),
            fingerprint,
        })
    }

    /// Returns the fingerprint of the certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(crate) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    pub(crate) fn key(&self) -> &Arc<SingleCertAndKey> {
        &self.key
    }
}

/// Shows no key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.fingerprint).finish()
    }
}
