//! The ports between nodes, and who reaches them.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hearth_test_support::{CLUSTER_KEY, Session, TestBucket, TestCluster};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BOUND: Duration = Duration::from_secs(10);

/// Starts two nodes, of which the first owns no session, with these settings.
async fn cluster_with(settings: &'static [(&'static str, &'static str)]) -> TestCluster {
    TestCluster::start_with(2, move |number, mut node| {
        for (name, value) in settings {
            node = node.setting(name, value);
        }
        match number {
            0 => node.setting("HEARTH_MAX_SESSIONS", "0"),
            _ => node,
        }
    })
    .await
}

/// Returns the address of a node for other nodes.
fn peer_address(cluster: &TestCluster, number: usize) -> SocketAddr {
    let sql = format!("SELECT address FROM nodes WHERE name = 'node-{number}'");
    let address = cluster.query(&sql);
    address.parse().expect("an address")
}

/// Sends bytes to a port, and returns everything that comes back.
async fn answer_to(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    let mut answer = Vec::new();
    // A reset is an answer, too.
    let reading = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(BOUND, reading)
        .await
        .expect("it closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Creates a certificate that no node knows, with its key. Returns the file with both.
fn foreign_certificate(dir: &TempDir) -> PathBuf {
    let path = dir.path().join("both.pem");
    let created = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "1", "-subj", "/CN=node-0", "-keyout"])
        .arg(&path)
        .arg("-out")
        .arg(dir.path().join("certificate.pem"))
        .output()
        .expect("openssl is installed");
    assert!(created.status.success(), "{created:?}");
    let mut both = std::fs::read(&path).expect("a key");
    both.extend(std::fs::read(dir.path().join("certificate.pem")).expect("a certificate"));
    std::fs::write(&path, both).expect("written");
    path
}

/// Sends bytes to a port over TLS, with or without a certificate, and returns everything that comes
/// back.
fn answer_over_tls(address: SocketAddr, request: &str, certificate: Option<&Path>) -> String {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-quiet", "-connect", &address.to_string()]);
    if let Some(path) = certificate {
        client.arg("-cert").arg(path).arg("-key").arg(path);
    }
    client
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut client = client.spawn().expect("openssl is installed");
    let mut input = client.stdin.take().expect("a pipe");
    // The other end may close the connection before it has read the request.
    let _ = input.write_all(request.as_bytes());
    let output = client
        .wait_with_output()
        .expect("it ends with the connection");
    drop(input);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("depth="), "no TLS connection: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn request_for(session: &Session) -> String {
    format!(
        "GET /v2/interact/{} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {CLUSTER_KEY}\r\nConnection: close\r\n\r\n",
        session.id()
    )
}

#[tokio::test]
async fn strangers_get_no_answer_of_a_peer_port() {
    let cluster = cluster_with(&[]).await;
    let session = cluster.api(0).session().await;
    for number in [0, 1] {
        let answer = answer_to(peer_address(&cluster, number), &request_for(&session)).await;
        assert!(!answer.contains("HTTP/"), "{answer}");
    }
    let dir = tempfile::tempdir().expect("the dir is writable");
    let certificate = foreign_certificate(&dir);
    let (address, request) = (peer_address(&cluster, 1), request_for(&session));
    for certificate in [None, Some(certificate.as_path())] {
        let answer = answer_over_tls(address, &request, certificate);
        assert!(!answer.contains("HTTP/"), "{answer}");
    }
    cluster.stop().await;
}

#[tokio::test]
async fn without_tls_requests_need_a_signature() {
    let cluster = cluster_with(&[("HEARTH_PEER_TLS", "off")]).await;
    let session = cluster.api(0).session().await;
    assert_eq!(session.node("6 * 7").await.ok().result, "42");
    let answer = answer_to(peer_address(&cluster, 1), &request_for(&session)).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(!answer.contains(session.id()), "{answer}");
    cluster.stop().await;
}

#[tokio::test]
async fn a_node_with_another_secret_is_no_peer() {
    let cluster = TestCluster::start_with(2, |number, node| match number {
        0 => node
            .setting("HEARTH_MAX_SESSIONS", "0")
            .setting("HEARTH_CLUSTER_SECRET", &"another-secret".repeat(3)),
        _ => node,
    });
    // Each sees only itself.
    let cluster = cluster.await;
    let reply = cluster.api(0).create(&json!({})).await;
    assert_eq!(reply.status, 429, "{}", reply.text);
    let session = cluster.api(1).session().await;
    let reply = cluster.api(0).status(session.id()).await;
    assert_eq!(reply.status, 503, "{}", reply.text);
    cluster.stop().await;
}

#[tokio::test]
async fn sessions_reach_no_port_of_the_cluster() {
    let bucket = TestBucket::start().await;
    let settings = bucket.settings();
    let mut cluster = TestCluster::start_with(2, move |number, node| {
        let node = node
            .setting("HEARTH_EGRESS", "open")
            .setting("HEARTH_EGRESS_ALLOW", "0.0.0.0/0:*")
            .setting("HEARTH_MAX_SESSIONS", if number == 0 { "0" } else { "2" });
        settings.iter().fold(node, |node, (variable, value)| {
            node.setting(variable, value)
        })
    })
    .await;
    let session = cluster.api(0).session().await;
    let endpoint = bucket.endpoint();
    let endpoint = endpoint.strip_prefix("http://").expect("an address");
    let ports = [
        peer_address(&cluster, 0).port(),
        peer_address(&cluster, 1).port(),
        cluster.postgres().port(),
        endpoint.parse::<SocketAddr>().expect("an address").port(),
    ];
    for port in ports {
        TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("it listens");
        let direct = session
            .bash(&format!(
                "exec 3<>/dev/tcp/127.0.0.1/{port} && echo reached"
            ))
            .await;
        assert!(
            direct.stderr.contains("Permission denied"),
            "{port}: {direct:?}"
        );
        assert_eq!(direct.stdout, "", "{port}");
        let code =
            format!("await page.goto('http://127.0.0.1:{port}/').catch((error) => error.message)");
        let page = session.node(&code).await;
        assert!(page.result.contains("was denied"), "{port}: {page:?}");
        for host in ["127.0.0.1", "127.0.0.2", "localhost"] {
            let plain = session
                .bash(&format!("curl -s http://{host}:{port}/"))
                .await;
            assert!(
                plain.stdout.contains("No setting allows this"),
                "{host}:{port}: {plain:?}"
            );
            let tunnel = session
                .bash(&format!(
                    "curl -s -o /dev/null -w '%{{http_connect}}' -p http://{host}:{port}/"
                ))
                .await;
            assert_eq!(tunnel.stdout, "403", "{host}:{port}: {tunnel:?}");
        }
    }
    cluster.stop().await;
}
