//! Authorities of the machine and of `HEARTH_CA_FILE`.

use std::path::Path;
use std::time::Duration;

use hearth_test_support::{Session, TestServer, eventually};
use nix::sys::signal::Signal;

use super::https_site::{Authority, append};
use super::{WAYS, assert_gets, assert_rejects};

const GOTO: (&str, &str) = ("node", "await page.goto('URL'); await page.title()");
const CURL: (&str, &str) = ("bash", "curl -sSf URL");

async fn start(file: &Path) -> (TestServer, Session) {
    let server = TestServer::builder()
        .setting("HEARTH_CA_FILE", &file.display().to_string())
        .start()
        .await;
    let session = server.session().await;
    (server, session)
}

#[tokio::test]
async fn browsers_and_code_trust_an_authority_only_if_the_setting_names_it() {
    let authority = Authority::new();
    let site = authority.site();
    // The key is not part of the trusted certificates.
    append(&authority.file(), &authority.file().with_extension("key"));
    let (trusting, session) = start(&authority.file()).await;
    let other = TestServer::start().await;
    let wary = other.session().await;
    for (language, code) in WAYS {
        assert_gets(&session, language, code, &site.url()).await;
        assert_rejects(&wary, language, code, &site.url()).await;
    }
    let bundle = session.bash("cat $SSL_CERT_FILE").await.ok().stdout;
    assert!(!bundle.contains("PRIVATE KEY"), "{bundle}");
    trusting.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn code_trusts_the_authorities_of_the_machine() {
    let authority = Authority::new();
    let (trusting, with_file) = start(&authority.file()).await;
    let other = TestServer::start().await;
    let without = other.session().await;
    let count = "for name in SSL_CERT_FILE NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE CURL_CA_BUNDLE GIT_SSL_CAINFO; do
        grep -c BEGIN \"${!name}\"; done | sort -u";
    let node = "require('tls').getCACertificates('extra').length";
    let mut counts = Vec::new();
    for session in [&with_file, &without] {
        let in_file: usize = session.bash(count).await.ok().result.parse().expect("one");
        let in_node: usize = session.node(node).await.ok().result.parse().expect("one");
        assert_eq!(in_file, in_node);
        counts.push(in_file);
    }
    assert_eq!(counts[0], counts[1] + 1);
    trusting.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_self_signed_certificate_in_the_file_is_trusted_for_its_site() {
    let authority = Authority::new();
    let (site, other_site) = (authority.self_signed_site(), authority.site());
    let (server, session) = start(&authority.self_signed_file()).await;
    for (language, code) in WAYS {
        assert_gets(&session, language, code, &site.url()).await;
    }
    for (language, code) in [GOTO, CURL] {
        assert_rejects(&session, language, code, &other_site.url()).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_file_that_is_no_certificate_ends_the_start_with_one_sentence() {
    let dir = tempfile::tempdir().expect("a dir");
    let path = dir.path().join("ca.pem");
    let block = |content: &str| {
        format!("-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n")
    };
    for (text, reason) in [
        ("nothing".to_owned(), "no certificate in PEM format"),
        (block("not base64"), "certificate 1 is damaged"),
        // The form of a certificate, but not its content.
        (block("MAMCAQE="), "certificate 1 is damaged"),
    ] {
        std::fs::write(&path, &text).expect("written");
        let rejection = TestServer::builder()
            .setting("HEARTH_CA_FILE", &path.display().to_string())
            .refused()
            .await;
        assert_eq!(rejection.code, Some(78), "{text}: {rejection:?}");
        let lines: Vec<&str> = rejection.stderr.trim_end().lines().collect();
        let [.., error, fix] = lines.as_slice() else {
            panic!("{text}: {rejection:?}");
        };
        assert!(
            error.contains("HEARTH_CA_FILE") && error.contains(reason),
            "{text}: {rejection:?}"
        );
        assert!(fix.starts_with("  fix: "), "{text}: {rejection:?}");
    }
}

#[tokio::test]
async fn a_reload_replaces_the_authorities_of_new_sessions() {
    let (first, second) = (Authority::new(), Authority::new());
    let site = second.site();
    let (server, early) = start(&first.file()).await;
    let reload = async |event: &'static str| {
        let before = server.output().matches(event).count();
        server.signal(Signal::SIGHUP);
        eventually(Duration::from_secs(20), event, async || {
            let output = server.output();
            if output.matches(event).count() > before {
                Ok(())
            } else {
                Err(output)
            }
        })
        .await;
    };
    // A damaged file changes nothing.
    let good = std::fs::read(first.file()).expect("readable");
    std::fs::write(first.file(), "nothing").expect("written");
    reload("reload failed: settings kept").await;
    std::fs::write(first.file(), good).expect("written");
    append(&first.file(), &second.file());
    assert_rejects(&early, CURL.0, CURL.1, &site.url()).await;
    reload("certificate authorities trusted").await;
    reload("settings reloaded").await;
    let late = server.session().await;
    for (language, code) in [GOTO, CURL] {
        assert_gets(&late, language, code, &site.url()).await;
    }
    // A browser keeps the authorities that it started with.
    assert_gets(&early, CURL.0, CURL.1, &site.url()).await;
    assert_rejects(&early, GOTO.0, GOTO.1, &site.url()).await;
    server.stop().await;
}
