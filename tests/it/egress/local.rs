//! Servers on one's own machine: the ways to allow them, and the default without a sandbox.

use hearth_test_support::TestServer;
use tokio::net::TcpListener;

use super::web::Web;
use super::{allowing, ask};

/// Requests for `URL` that print `ok` if they get the page.
const WAYS: [(&str, &str); 3] = [
    (
        "node",
        "await page.goto('URL'); await page.innerText('body')",
    ),
    (
        "python",
        "import urllib.request; urllib.request.urlopen('URL').read().decode()",
    ),
    ("bash", "curl -sSf URL"),
];

#[tokio::test]
async fn the_names_of_ones_own_machine_are_equivalent() {
    let web = Web::start().await;
    let v6 = Web::on("[::1]:0").await;
    let other = Web::start().await;
    for host in ["localhost", "127.0.0.1", "[::1]", ""] {
        let [port, port_v6] = [&web, &v6].map(|web| web.address.port());
        let server = allowing(&format!("{host}:{port},{host}:{port_v6}")).await;
        let session = server.session().await;
        for url in [
            format!("http://localhost:{port}/"),
            format!("http://127.0.0.1:{port}/"),
            format!("http://localhost:{port_v6}/"),
            format!("http://[::1]:{port_v6}/"),
        ] {
            for way in WAYS {
                let (exit_code, shown) = ask(&session, way, &url).await;
                assert!(
                    exit_code == 0 && shown.contains("ok"),
                    "{host} {url} {way:?}: {shown}"
                );
            }
        }
        let goto = format!("await page.goto('{}')", other.url("/"));
        let denied = session.node(&goto).await.failed(1);
        assert!(
            denied.error().contains("the server's own machine"),
            "{host}: {denied:?}"
        );
        server.stop().await;
    }
    assert_eq!(other.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn without_a_sandbox_all_but_the_server_and_metadata_is_allowed_by_default() {
    let web = Web::start().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed_port = closed.local_addr().expect("an address").port();
    drop(closed);
    let start = |mode: &str| {
        TestServer::builder()
            .setting("HEARTH_ISOLATION", "none")
            .setting("HEARTH_EGRESS_ALLOW", "")
            .setting("HEARTH_EGRESS", mode)
            .start()
    };
    let server = start("").await;
    let session = server.session().await;
    for host in ["127.0.0.1", "localhost", "app.localhost"] {
        let url = format!("http://{host}:{}/", web.address.port());
        for way in WAYS {
            let (exit_code, shown) = ask(&session, way, &url).await;
            assert!(
                exit_code == 0 && shown.contains("ok"),
                "{url} {way:?}: {shown}"
            );
        }
    }
    let own_port = server
        .direct()
        .address()
        .rsplit(':')
        .next()
        .expect("a port")
        .to_owned();
    for (url, reason) in [
        (
            format!("http://127.0.0.1:{closed_port}/"),
            "the connection failed",
        ),
        (
            format!("http://localhost:{own_port}/health"),
            "a port of this Hearth server",
        ),
        (
            format!("http://[::1]:{own_port}/health"),
            "a port of this Hearth server",
        ),
        (
            "http://169.254.169.254/latest/".to_owned(),
            "metadata service",
        ),
    ] {
        let failed = session
            .node(&format!("await page.goto('{url}')"))
            .await
            .failed(1);
        assert!(failed.error().contains(reason), "{url}: {failed:?}");
    }
    server.stop().await;

    let filtered = start("filtered").await;
    let session = filtered.session().await;
    let goto = format!("await page.goto('{}')", web.url("/"));
    let failed = session.node(&goto).await.failed(1);
    assert!(
        failed.error().contains("HEARTH_EGRESS_ALLOW="),
        "{failed:?}"
    );
    filtered.stop().await;
}

#[tokio::test]
async fn a_malformed_entry_is_corrected_in_the_error() {
    for (given, corrected) in [
        ("3000", ":3000"),
        ("http://localhost:5173/app", "localhost:5173"),
        (
            "localhost:3000 127.0.0.1:4000",
            "localhost:3000,127.0.0.1:4000",
        ),
        ("host.docker.internal", "host.docker.internal:3000"),
        ("::1:3000", "[::1]:3000"),
    ] {
        let failure = TestServer::builder()
            .setting("HEARTH_EGRESS_ALLOW", given)
            .refused()
            .await;
        assert_eq!(failure.code, Some(78), "{given}: {}", failure.stderr);
        let fix = format!("fix: set HEARTH_EGRESS_ALLOW={corrected}");
        assert!(
            failure.stderr.lines().any(|line| line
                .trim()
                .strip_prefix(&fix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))),
            "{given}: {}",
            failure.stderr
        );
    }
}
