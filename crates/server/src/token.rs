//! Session tokens, and digests of secrets.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// A secret that grants access to one session's browser or live view.
#[derive(Debug)]
pub(crate) struct Token(String);

impl Token {
    /// Creates a token from 128 bits of the system's random source.
    pub fn new() -> Result<Token, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Token(hex(&bytes)))
    }

    /// Creates a token from 128 bits that others cannot guess.
    pub fn from_bytes(bytes: [u8; 16]) -> Token {
        Token(hex(&bytes))
    }

    /// Returns the token itself, for use in a URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the SHA-256 digest in hexadecimal. Only the digest may be stored.
    pub fn digest(&self) -> String {
        hex(&digest(&self.0))
    }

    /// Returns whether `presented` matches this token. Compares in constant time.
    pub fn matches(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }
}

/// Returns whether any of the stored digests is the digest of the presented token. Compares in
/// constant time.
pub(crate) fn matches_digest(digests: &[String], presented: &str) -> bool {
    let presented = hex(&digest(presented));
    let equal = digests
        .iter()
        .map(|known| known.as_bytes().ct_eq(presented.as_bytes()));
    equal.fold(Choice::from(0), |any, one| any | one).into()
}

/// Returns the SHA-256 digest of a secret.
pub(crate) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Formats bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
