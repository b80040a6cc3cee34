//! Which connections are refused.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hearth_peer::{Client, Fingerprint, Identity, Remote, SendError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::harness::{LIMITS, Node, Seen, fetch, get, stop};

#[tokio::test]
async fn a_node_with_another_certificate_gets_no_request() {
    let node = Node::start().await;
    let client = node.client(LIMITS);
    let pinned = Remote {
        fingerprint: Fingerprint::from([1; 32]),
        ..node.remote
    };
    let sent = fetch(&client, pinned, get("/known")).await;
    let Err(SendError::NotSent(reason)) = sent else {
        panic!("{sent:?}");
    };
    assert!(reason.starts_with("the TLS handshake failed"), "{reason}");
    node.wait_for(|seen| seen.refused == 1).await;
    assert_eq!(node.seen().requests, 0);
}

#[tokio::test]
async fn a_process_that_has_replaced_a_node_gets_no_request() {
    let node = Node::start().await;
    let client = node.client(LIMITS);
    let remote = node.remote;
    fetch(&client, remote, get("/known"))
        .await
        .expect("it is the pinned one");
    stop(node).await;
    let next = Node::start_at(remote.address).await;
    let sent = fetch(&client, remote, get("/known")).await;
    assert!(matches!(sent, Err(SendError::NotSent(_))), "{sent:?}");
    next.wait_for(|seen| seen.refused == 1).await;
    assert_eq!(next.seen().requests, 0);
}

#[tokio::test]
async fn a_client_with_an_unknown_certificate_is_refused() {
    let node = Node::start().await;
    let stranger = Identity::generate("node").expect("a certificate");
    let client = Client::pinned(stranger, LIMITS);
    let sent = fetch(&client, node.remote, get("/known")).await;
    let Err(SendError::NotSent(reason)) = sent else {
        panic!("{sent:?}");
    };
    assert_eq!(reason, "it does not accept this node");
    node.wait_for(|seen| seen.refused == 1).await;
    assert_eq!(node.seen().requests, 0);
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let node = Node::start().await;
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting))
        .with_no_client_auth();
    let stream = connect(node.remote.address).await;
    let name = ServerName::IpAddress(node.remote.address.ip().into());
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    // The client learns of the refusal when it reads.
    if let Ok(mut stream) = handshake.await {
        let _ = stream
            .write_all(b"GET /known HTTP/1.1\r\nhost: node\r\n\r\n")
            .await;
        let mut received = Vec::new();
        let read = stream.read_to_end(&mut received).await;
        assert!(read.is_err(), "an alert ends the connection");
        assert_eq!(received, b"");
    }
    node.wait_for(|seen| seen.refused == 1).await;
    let expected = Seen {
        refused: 1,
        ..Seen::default()
    };
    assert_eq!(node.seen(), expected);
}

#[tokio::test]
async fn a_client_without_tls_is_refused() {
    let node = Node::start().await;
    let mut stream = connect(node.remote.address).await;
    let request = b"GET /known HTTP/1.1\r\nhost: node\r\n\r\n";
    stream.write_all(request).await.expect("a request");
    node.wait_for(|seen| seen.refused == 1).await;
    assert_eq!(node.seen().requests, 0);
}

#[tokio::test]
async fn a_node_that_has_just_registered_is_found() {
    let node = Node::start().await;
    let identity = Identity::generate("new").expect("a certificate");
    node.known.register(identity.fingerprint());
    let client = Client::pinned(identity, LIMITS);
    let body = fetch(&client, node.remote, get("/known")).await;
    assert_eq!(body.expect("it is known after a refresh"), "four");
    assert_eq!(node.known.refreshes.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn strangers_share_refreshes() {
    let node = Node::start().await;
    let strangers = (0..6).map(|_| async {
        let stranger = Identity::generate("stranger").expect("a certificate");
        let client = Client::pinned(stranger, LIMITS);
        fetch(&client, node.remote, get("/known"))
            .await
            .expect_err("a refusal");
    });
    futures_util::future::join_all(strangers).await;
    node.wait_for(|seen| seen.refused == 6).await;
    let refreshes = node.known.refreshes.load(Ordering::Relaxed);
    assert!((1..6).contains(&refreshes), "{refreshes} refreshes");
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("the node listens")
}

/// Accepts every certificate.
#[derive(Debug)]
struct Trusting;

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
