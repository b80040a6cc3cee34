//! The certificate authorities of a file in PEM format.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The places of a file with the machine's authorities: Debian and Alpine, Fedora, SUSE, others.
pub(crate) const MACHINE_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The length of the lines of base64 (RFC 7468, section 2).
const LINE_BYTES: usize = 64;

/// The first byte of a certificate: an ASN.1 sequence.
const SEQUENCE: u8 = 0x30;

/// The certificates of a file, without anything else that it contains, such as a private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateAuthorities {
    certificates: Vec<Vec<u8>>,
}

/// A reason why a file contains no usable certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum ParseAuthoritiesError {
    #[error("no certificate in PEM format (-----BEGIN CERTIFICATE-----)")]
    Empty,
    #[error("certificate {0} is damaged")]
    Damaged(usize),
}

impl CertificateAuthorities {
    /// Parses the content of a file. The certificates are only split, not checked.
    pub fn parse(text: &str) -> Result<CertificateAuthorities, ParseAuthoritiesError> {
        let mut certificates = Vec::new();
        for block in text.split(BEGIN).skip(1) {
            let damaged = ParseAuthoritiesError::Damaged(certificates.len() + 1);
            let (encoded, _) = block.split_once(END).ok_or(damaged)?;
            let encoded: String = encoded.split_ascii_whitespace().collect();
            let decoded = STANDARD.decode(encoded).map_err(|_| damaged)?;
            if decoded.first() != Some(&SEQUENCE) {
                return Err(damaged);
            }
            certificates.push(decoded);
        }
        if certificates.is_empty() {
            return Err(ParseAuthoritiesError::Empty);
        }
        Ok(CertificateAuthorities { certificates })
    }

    /// Returns the number of certificates.
    pub fn len(&self) -> usize {
        self.certificates.len()
    }

    /// Returns the certificates in DER format.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.certificates.iter().map(Vec::as_slice)
    }

    /// Returns the certificates in PEM format.
    pub fn to_pem(&self) -> String {
        let mut pem = String::new();
        for certificate in &self.certificates {
            let encoded = STANDARD.encode(certificate);
            let lines: Vec<&str> = encoded
                .as_bytes()
                .chunks(LINE_BYTES)
                .filter_map(|line| str::from_utf8(line).ok())
                .collect();
            // Writing to a string cannot fail.
            let _ = writeln!(pem, "{BEGIN}\n{}\n{END}", lines.join("\n"));
        }
        pem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not a certificate, but it looks like one to this parser.
    fn block(bytes: usize) -> String {
        let der: Vec<u8> = std::iter::repeat_n(SEQUENCE, bytes).collect();
        format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der))
    }

    #[test]
    fn only_certificates_are_kept() {
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        let text = format!(
            "# Our authority\n{}{key}{}trailing",
            block(100),
            block(7).replace('\n', "\r\n")
        );
        let parsed = CertificateAuthorities::parse(&text).expect("two certificates");
        assert_eq!(parsed.len(), 2);
        let pem = parsed.to_pem();
        assert!(!pem.contains("PRIVATE") && !pem.contains('#'), "{pem}");
        assert!(pem.lines().all(|line| line.len() <= LINE_BYTES), "{pem}");
        assert_eq!(CertificateAuthorities::parse(&pem), Ok(parsed));
    }

    #[test]
    fn a_file_without_usable_certificates_is_rejected() {
        use ParseAuthoritiesError::{Damaged, Empty};

        let key = "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n";
        let good = block(10);
        for (text, error) in [
            (String::new(), Empty),
            (key.to_owned(), Empty),
            (format!("{BEGIN}\n{END}\n"), Damaged(1)),
            (format!("{BEGIN}\nMA==\n"), Damaged(1)),
            (format!("{BEGIN}\nnot base64!\n{END}\n"), Damaged(1)),
            (format!("{good}{BEGIN}\nc2VjcmV0\n{END}\n"), Damaged(2)),
        ] {
            assert_eq!(CertificateAuthorities::parse(&text), Err(error), "{text}");
        }
    }
}
