//! Certificates that a test creates, and a website that uses them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hearth_test_support::repository;
use tempfile::TempDir;

/// Arguments of `openssl req` for a new certificate with a new key.
const NEW: [&str; 9] = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
];

/// A certificate authority, with a dir for its certificates.
pub struct Authority {
    dir: TempDir,
}

/// A website on loopback; dropping it stops it.
pub struct HttpsSite {
    child: Child,
    pub port: u16,
}

impl Authority {
    pub fn new() -> Authority {
        let dir = tempfile::tempdir().expect("a dir");
        let authority = Authority { dir };
        authority.create("ca", "CN=Hearth test authority", &["CA:TRUE"], &[]);
        authority
    }

    /// Returns the file with the authority's certificate.
    pub fn file(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Starts a website whose certificate this authority has signed.
    pub fn site(&self) -> HttpsSite {
        self.certificate();
        self.serve("site")
    }

    /// Creates a certificate that this authority has signed. Returns its file and that of its key.
    pub fn certificate(&self) -> (PathBuf, PathBuf) {
        let signed_by = ["-CA", "ca.pem", "-CAkey", "ca.key"];
        self.create("site", "CN=site", &["CA:FALSE"], &signed_by);
        (self.path("site.pem"), self.path("site.key"))
    }

    /// Creates a certificate of another host that this authority has signed. Returns its file and
    /// that of its key.
    pub fn certificate_of_another_host(&self) -> (PathBuf, PathBuf) {
        let signed_by = ["-CA", "ca.pem", "-CAkey", "ca.key"];
        let names = "subjectAltName=DNS:db.example";
        self.create_for(names, "other", "CN=other", &["CA:FALSE"], &signed_by);
        (self.path("other.pem"), self.path("other.key"))
    }

    /// Starts a website whose certificate nobody else has signed.
    pub fn self_signed_site(&self) -> HttpsSite {
        self.create("self", "CN=self", &["CA:FALSE"], &[]);
        self.serve("self")
    }

    /// Returns the file with the certificate of the self-signed website.
    pub fn self_signed_file(&self) -> PathBuf {
        self.path("self.pem")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn create(&self, name: &str, subject: &str, constraints: &[&str], signed_by: &[&str]) {
        let names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
        self.create_for(names, name, subject, constraints, signed_by);
    }

    fn create_for(
        &self,
        names: &str,
        name: &str,
        subject: &str,
        constraints: &[&str],
        signed_by: &[&str],
    ) {
        let constraints = format!("basicConstraints=critical,{}", constraints.join(","));
        let created = Command::new("openssl")
            .current_dir(self.dir.path())
            .args(NEW)
            .args(["-keyout", &format!("{name}.key")])
            .args(["-out", &format!("{name}.pem")])
            .args(["-subj", &format!("/{subject}")])
            .args(["-addext", &constraints])
            .args(["-addext", names])
            .args(signed_by)
            .output()
            .expect("openssl is installed");
        assert!(created.status.success(), "{created:?}");
    }

    fn serve(&self, name: &str) -> HttpsSite {
        let script = repository().join("tests/it/certificates/https_site.py");
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .args([format!("{name}.pem"), format!("{name}.key")])
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python is installed");
        let mut port = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut port)
            .expect("it prints its port");
        HttpsSite {
            port: port.trim().parse().expect("a port"),
            child,
        }
    }
}

impl HttpsSite {
    /// Returns the address of the page.
    pub fn url(&self) -> String {
        self.url_of("127.0.0.1")
    }

    /// Returns the address of the page under another name of this machine.
    pub fn url_of(&self, host: &str) -> String {
        format!("https://{host}:{}/", self.port)
    }

    /// Returns the address without a scheme.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for HttpsSite {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Appends one file to another.
pub fn append(to: &Path, from: &Path) {
    let mut text = std::fs::read_to_string(to).expect("readable");
    text.push_str(&std::fs::read_to_string(from).expect("readable"));
    std::fs::write(to, text).expect("written");
}
