//! A Firecrawl with HTTPS, whose certificate a private authority has signed.

use std::sync::Arc;

use reqwest::Method;
use serde_json::Value;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::stand_in::Firecrawl;
use super::{builder, get_json};
use crate::certificates::https_site::Authority;

fn acceptor(authority: &Authority) -> TlsAcceptor {
    let (certificate, key) = authority.certificate();
    let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a usable certificate");
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn only_a_trusted_certificate_is_accepted() {
    let authority = Authority::new();
    let firecrawl = Firecrawl::start_with_tls(acceptor(&authority)).await;
    let file = authority.file().display().to_string();
    let trusting = builder(&firecrawl)
        .setting("HEARTH_CA_FILE", &file)
        .setting("HEARTH_FIRECRAWL_KEY", "fc-inner")
        .start()
        .await;
    let api = trusting.with_key("key");
    let (status, echo) = get_json(&api, "/v2/echo/x").await;
    assert_eq!(status, 203, "{echo}");
    let has = |name: &str, value: &str| {
        let headers = echo["headers"].as_array().expect("a list");
        assert!(
            headers.contains(&serde_json::json!([name, value])),
            "{name}: {echo}"
        );
    };
    // A server with HTTPS usually shares its address with others, and so gets its own name.
    has("host", &firecrawl.address().to_string());
    has("x-forwarded-host", trusting.address());
    has("authorization", "Bearer fc-inner");
    let large = api.request_outside(Method::GET, "/v2/bytes/20000000");
    let body = large.send().await.expect("an answer").bytes().await;
    assert_eq!(body.expect("a body").len(), 20_000_000);
    trusting.stop().await;

    let wary = builder(&firecrawl).start().await;
    let (status, body) = get_json(&wary.with_key("key"), "/v2/echo/x").await;
    assert_eq!(status, 503);
    let error = body["error"].as_str().expect("a text");
    assert!(error.contains("the TLS handshake failed: "), "{error}");
    wary.stop().await;
    let paths: Vec<String> = firecrawl.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/v2/echo/x", "/v2/bytes/20000000"]);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_rejected() {
    let authority = Authority::new();
    // The certificate names 127.0.0.1 and localhost.
    let other = ([127, 0, 0, 2], 0).into();
    let firecrawl = Firecrawl::start_at(other, Some(acceptor(&authority))).await;
    let file = authority.file().display().to_string();
    let server = builder(&firecrawl)
        .setting("HEARTH_CA_FILE", &file)
        .start()
        .await;
    let (status, body): (u16, Value) = get_json(&server.with_key("key"), "/v2/echo/x").await;
    assert_eq!(status, 503, "{body}");
    assert!(firecrawl.seen().is_empty());
    server.stop().await;
}
