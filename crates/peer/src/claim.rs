//! The proof that a node with the cluster secret published a fingerprint.

use std::net::SocketAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::fingerprint::{Fingerprint, from_hex, hex};

/// Separates these authentication codes from others with the same secret.
const DOMAIN: &[u8] = b"hearth peer v1";

/// A node's statement about itself in the store.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The name of the node.
    pub name: &'a str,
    /// The number of this life of the node.
    pub epoch: i64,
    /// The address at which other nodes reach it.
    pub address: SocketAddr,
    /// The fingerprint of its certificate.
    pub fingerprint: Fingerprint,
}

impl Claim<'_> {
    /// Returns the proof, as hexadecimal digits.
    ///
    /// A writer of the store that does not know the secret cannot become a node, because no other
    /// node accepts the fingerprint.
    pub fn prove(&self, secret: &[u8]) -> String {
        hex(&self.code(secret).finalize().into_bytes())
    }

    /// Returns true if one of the secrets made the proof. Compares in constant time.
    pub fn is_proved_by(&self, secrets: &[impl AsRef<[u8]>], proof: &str) -> bool {
        let Some(proof) = from_hex::<32>(proof) else {
            return false;
        };
        secrets
            .iter()
            .any(|secret| self.code(secret.as_ref()).verify_slice(&proof).is_ok())
    }

    /// Returns the authentication code of all fields. Each has its length before it, so that two
    /// different claims never have the same bytes.
    fn code(&self, secret: &[u8]) -> Hmac<Sha256> {
        let epoch = self.epoch.to_be_bytes();
        let address = self.address.to_string();
        let fields = [
            self.name.as_bytes(),
            &epoch,
            address.as_bytes(),
            self.fingerprint.as_bytes(),
        ];
        authenticate(secret, DOMAIN, &fields)
    }
}

/// Returns the authentication code of fields. Each has its length before it, so that two different
/// lists never have the same bytes.
pub(crate) fn authenticate(secret: &[u8], domain: &[u8], fields: &[&[u8]]) -> Hmac<Sha256> {
    let mut code = Hmac::<Sha256>::new_from_slice(secret).expect("a key may have any length");
    for field in [domain].iter().chain(fields) {
        code.update(&(field.len() as u64).to_be_bytes());
        code.update(field);
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "fedcba9876543210fedcba9876543210";

    fn claim() -> Claim<'static> {
        Claim {
            name: "a",
            epoch: 1,
            address: SocketAddr::from(([10, 0, 0, 1], 3011)),
            fingerprint: Fingerprint::from([7; 32]),
        }
    }

    #[test]
    fn a_proof_is_valid_for_its_secret_and_each_of_its_fields_only() {
        let proof = claim().prove(SECRET.as_bytes());
        assert!(claim().is_proved_by(&[SECRET], &proof));
        assert!(claim().is_proved_by(&[OTHER, SECRET], &proof));
        assert!(!claim().is_proved_by(&[OTHER], &proof));
        assert!(!claim().is_proved_by(&[] as &[&str], &proof));
        let others = [
            Claim {
                name: "b",
                ..claim()
            },
            Claim {
                epoch: 2,
                ..claim()
            },
            Claim {
                address: SocketAddr::from(([10, 0, 0, 2], 3011)),
                ..claim()
            },
            Claim {
                fingerprint: Fingerprint::from([8; 32]),
                ..claim()
            },
        ];
        for other in others {
            assert!(!other.is_proved_by(&[SECRET], &proof), "{other:?}");
        }
        for broken in ["", "00", &proof[2..], &format!("{proof}00")] {
            assert!(!claim().is_proved_by(&[SECRET], broken), "{broken}");
        }
    }
}
