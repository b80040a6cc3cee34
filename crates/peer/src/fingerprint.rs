//! The fingerprint of a certificate.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The SHA-256 digest of a certificate in DER.
#[derive(Clone, Copy, Hash)]
#[expect(
    clippy::derived_hash_with_manual_eq,
    reason = "both use all bytes of the digest"
)]
pub struct Fingerprint([u8; Fingerprint::BYTES]);

/// Text that is not a fingerprint.
#[derive(Clone, Copy, Debug, Error)]
#[error("a fingerprint has 64 lower-case hexadecimal digits")]
pub struct InvalidFingerprint;

impl Fingerprint {
    /// The length of a digest.
    pub const BYTES: usize = 32;

    /// Returns the fingerprint of a certificate.
    pub(crate) fn of(certificate: &[u8]) -> Fingerprint {
        Fingerprint(Sha256::digest(certificate).into())
    }

    /// Returns the digest.
    pub fn as_bytes(&self) -> &[u8; Fingerprint::BYTES] {
        &self.0
    }
}

impl From<[u8; Fingerprint::BYTES]> for Fingerprint {
    fn from(digest: [u8; Fingerprint::BYTES]) -> Fingerprint {
        Fingerprint(digest)
    }
}

/// Compares in constant time.
impl PartialEq for Fingerprint {
    fn eq(&self, other: &Fingerprint) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Fingerprint {}

/// Writes lower-case hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Parses the format of [`fmt::Display`].
impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Fingerprint, InvalidFingerprint> {
        from_hex(text).map(Fingerprint).ok_or(InvalidFingerprint)
    }
}

/// Returns the lower-case hexadecimal digits of bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// Parses exactly `N` bytes of lower-case hexadecimal digits.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_parsed_from_its_own_text_only() {
        let fingerprint = Fingerprint::of(b"a certificate");
        let text = fingerprint.to_string();
        assert_eq!(text.parse::<Fingerprint>().expect("valid"), fingerprint);
        for wrong in [
            "",
            &text[1..],
            &text.to_uppercase(),
            &format!("{text}00"),
            &text.replace(&text[..1], "g"),
        ] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
        assert_ne!(fingerprint, Fingerprint::of(b"another certificate"));
    }
}
