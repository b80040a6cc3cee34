//! Settings of certificates: whom sessions trust, and which sites they do not check.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use hearth_browser::IgnoredCertificates;

use super::error::ConfigError;
use super::keys::OpenFile;
use super::text::parse_trimmed;
use crate::certificate_authorities::CertificateAuthorities;

const CA_FILE: &str = "HEARTH_CA_FILE";

/// The maximum size of the file, which is enough for all public authorities.
const MAX_FILE_BYTES: u64 = 1 << 20;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Certificates")]
pub(crate) struct CertificateSettings {
    /// File with certificate authorities in PEM format that sessions trust besides the public
    /// ones, such as the authority of a proxy that inspects TLS. Applies to browsers and code
    #[arg(long = "ca-file", env = "HEARTH_CA_FILE", value_name = "PATH",
          value_parser = parse_trimmed::<PathBuf>)]
    ca_file: Option<PathBuf>,

    /// Sites whose certificates browsers do not check, as a comma-separated list of host:port, such
    /// as dev.internal:8443 or 127.0.0.1:8443. Does not apply to code
    #[arg(long = "ignore-certificate-errors", env = "HEARTH_IGNORE_CERTIFICATE_ERRORS",
          value_name = "LIST", value_parser = parse_trimmed::<IgnoredCertificates>)]
    ignored: Option<IgnoredCertificates>,
}

impl CertificateSettings {
    /// Creates the settings that a client on the machine of the server has.
    pub(super) fn of_clients(ca_file: Option<PathBuf>) -> Self {
        CertificateSettings {
            ca_file,
            ignored: None,
        }
    }

    /// Returns the sites whose certificates are not checked.
    pub fn ignored(&self) -> IgnoredCertificates {
        self.ignored.clone().unwrap_or_default()
    }

    /// Returns the path of the file with authorities.
    pub fn file(&self) -> Option<&PathBuf> {
        self.ca_file.as_ref()
    }

    /// Reads the file with authorities, if there is one. Opens it with `open`.
    pub fn read(&self, open: OpenFile<'_>) -> Result<Option<CertificateAuthorities>, ConfigError> {
        let Some(path) = &self.ca_file else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let read = open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes));
        let path = path.display();
        read.map_err(|error| {
            ConfigError::new(CA_FILE, format!("cannot read {path}: {error}")).fixed_by(format!(
                "run `ls -l {path}`: the file must exist, and the user who starts the server must be able to read it"
            ))
        })?;
        // Comments may have any encoding.
        let text = String::from_utf8_lossy(&bytes);
        CertificateAuthorities::parse(&text)
            .map(Some)
            .map_err(|error| {
                ConfigError::new(CA_FILE, format!("cannot use {path}: {error}")).fixed_by(format!(
                    "check it with `openssl x509 -in {path} -noout -subject`; a file in DER format needs `openssl x509 -inform der -in {path} -out ca.pem` first"
                ))
            })
    }
}
