//! One server whose records are in a PostgreSQL database.

use std::time::Duration;

use hearth_test_support::{
    Api, CLUSTER_KEY, Doctor, Exchange, ServerBuilder, Site, TestPostgres, TestServer, eventually,
    new_data_dir,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::certificates::https_site::Authority;

fn node(postgres: &TestPostgres) -> ServerBuilder {
    TestServer::builder().in_cluster(&postgres.url(), "node-a")
}

async fn list(api: &Api, path: &str) -> Value {
    api.send(api.request(Method::GET, path)).await.ok()
}

#[tokio::test]
async fn records_are_in_the_database_and_survive_the_server() {
    let postgres = TestPostgres::start().await;
    let (dir, site) = (new_data_dir(), Site::start().await);
    let server = node(&postgres).data_dir(dir.path()).start().await;
    let api = server.with_key(CLUSTER_KEY);
    let profile = json!({"profile": {"name": "shop", "saveChanges": true}});
    let session = api.session_with(&profile).await;
    assert_eq!(session.bash("echo 7").await.ok().stdout, "7\n");
    let listed = list(&api, "?status=active").await;
    assert_eq!(listed["sessions"][0]["id"], session.id(), "{listed}");
    session.delete().await;

    let url = site.url("/title/page");
    let scrape = api.request_outside(Method::POST, "/v2/scrape");
    let scrape = scrape.header("content-type", "application/json");
    let scraped = Exchange::of(scrape.body(json!({"url": url}).to_string())).await;
    let job = scraped.json()["data"]["metadata"]["scrapeId"].clone();
    let path = format!("/v2/scrape/{}/interact", job.as_str().expect("an id"));
    let interaction = api.request_outside(Method::POST, &path);
    let interaction = interaction.header("content-type", "application/json");
    let body = json!({"code": "await page.title()"}).to_string();
    let reply = Exchange::of(interaction.body(body)).await.json();
    assert_eq!(reply["result"], "page", "{reply}");
    server.stop().await;

    let count = "SELECT COUNT(*), COUNT(destroyed_reason) FROM sessions WHERE node = 'node-a'";
    assert_eq!(postgres.query("postgres", count), "2|2");
    let executions = postgres.query("postgres", "SELECT COUNT(*) FROM executions");
    assert_eq!(executions, "2");
    assert!(!dir.path().join("hearth.db").exists());

    let server = node(&postgres).data_dir(dir.path()).start().await;
    let api = server.with_key(CLUSTER_KEY);
    let status = api.status(session.id()).await.ok();
    assert_eq!(status["destroyedReason"], "deleted", "{status}");
    let profiles = list(&api, "/profiles").await;
    assert_eq!(profiles["profiles"][0]["name"], "shop", "{profiles}");
    server.stop().await;
}

#[tokio::test]
async fn the_sessions_of_a_killed_server_ended_with_it() {
    let postgres = TestPostgres::start().await;
    let dir = new_data_dir();
    let mut killed = node(&postgres).data_dir(dir.path()).start().await;
    let session = killed.with_key(CLUSTER_KEY).session().await;
    killed.kill_hard().await;
    killed.assert_nothing_runs(Duration::from_secs(10)).await;
    let server = node(&postgres).data_dir(dir.path()).start().await;
    let api = server.with_key(CLUSTER_KEY);
    eventually(Duration::from_secs(20), "the session has ended", || async {
        let reply = api.status(session.id()).await;
        // Until the first look at the nodes.
        match (reply.status, &reply.body["destroyedReason"]) {
            (200, reason) if reason == "node_lost" => Ok(()),
            _ => Err(reply.text),
        }
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn old_records_are_removed() {
    let postgres = TestPostgres::start().await;
    node(&postgres).without_browser().start().await.stop().await;
    let insert = "INSERT INTO sessions (id, team, created_at_ms, expires_at_ms, last_activity_ms,
            destroyed_reason, destroyed_at_ms, duration_ms)
        VALUES ('01920000-0000-7000-8000-00000000000a', 'name:test', 1, 2, 1, 'deleted', 2, 1)";
    postgres.query("postgres", insert);
    let server = node(&postgres).without_browser().start().await;
    eventually(Duration::from_secs(20), "the record is removed", || async {
        match &*postgres.query("postgres", "SELECT COUNT(*) FROM sessions") {
            "0" => Ok(()),
            left => Err(format!("{left} are left")),
        }
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn sessions_go_on_while_the_database_is_away() {
    let mut postgres = TestPostgres::start().await;
    let server = node(&postgres).start().await;
    let api = server.with_key(CLUSTER_KEY);
    let (kept, deleted) = (api.session().await, api.session().await);
    postgres.stop();
    assert_eq!(kept.node("1 + 1").await.ok().result, "2");
    let rejected = api.create(&json!({})).await;
    assert_eq!(rejected.status, 503, "{}", rejected.body);
    let unread = api.send(api.request(Method::GET, "/profiles")).await;
    assert_eq!(unread.status, 503, "{}", unread.body);
    deleted.delete().await;
    assert_eq!(kept.node("1 + 1").await.ok().result, "2");
    postgres.restart().await;
    let ended = format!(
        "SELECT destroyed_reason FROM sessions WHERE id = '{}'",
        deleted.id()
    );
    eventually(Duration::from_secs(30), "the end is recorded", || async {
        match &*postgres.query("postgres", &ended) {
            "deleted" => Ok(()),
            reason => Err(format!("the reason is {reason:?}")),
        }
    })
    .await;
    api.session().await.delete().await;
    kept.delete().await;
    server.stop().await;
}

#[tokio::test]
async fn a_server_waits_for_a_database_that_starts_later() {
    let mut postgres = TestPostgres::start().await;
    postgres.stop();
    let address = ("127.0.0.1", postgres.port());
    let listener = TcpListener::bind(address).await.expect("the port is free");
    let starting = node(&postgres).without_browser().start();
    let (server, ()) = tokio::join!(starting, async {
        // The first attempt fails, because nothing here speaks the protocol.
        drop(listener.accept().await.expect("a connection"));
        drop(listener);
        postgres.restart().await;
    });
    let output = server.output();
    assert!(output.contains("database not reached"), "{output}");
    server.stop().await;
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_one_clear_error() {
    let postgres = TestPostgres::start().await;
    postgres.query("postgres", "CREATE ROLE guest LOGIN");
    let url = postgres.url_of("guest", "postgres");
    let builder = TestServer::builder().in_cluster(&url, "node-a");
    let rejection = builder.refused().await;
    let expected = format!(
        "hearth: HEARTH_DATABASE_URL: cannot use 127.0.0.1:{}/postgres: permission denied for schema public
  fix: run `ALTER DATABASE postgres OWNER TO guest` as a superuser
",
        postgres.port()
    );
    assert_eq!(rejection.code, Some(78), "{rejection:?}");
    assert!(rejection.stderr.ends_with(&expected), "{rejection:?}");

    let builder = TestServer::builder().in_cluster("mysql://localhost/hearth", "node-a");
    let rejection = builder.refused().await;
    assert_eq!(rejection.code, Some(78), "{rejection:?}");
    let expected = "HEARTH_DATABASE_URL: the URL does not start with postgresql://\n  fix: set ";
    assert!(rejection.stderr.contains(expected), "{rejection:?}");
}

#[tokio::test]
async fn the_certificate_of_the_database_is_verified() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (certificate, key) = authority.certificate();
    let postgres = TestPostgres::start_with_tls(&certificate, &key).await;
    let verified_by = |postgres: &TestPostgres, authority: &Authority| {
        let (url, file) = (postgres.url(), authority.file());
        format!("{url}?sslmode=verify-full&sslrootcert={}", file.display())
    };
    let url = verified_by(&postgres, &authority);
    let builder = TestServer::builder().in_cluster(&url, "node-a");
    let server = builder.start().await;
    let session = server.with_key(CLUSTER_KEY).session().await;
    assert_eq!(session.node("6 * 7").await.ok().result, "42");
    let connections = "SELECT COUNT(*) > 0, BOOL_AND(ssl) FROM pg_stat_ssl
        JOIN pg_stat_activity USING (pid) WHERE application_name = 'hearth'";
    assert_eq!(postgres.query("postgres", connections), "t|t");
    session.delete().await;
    server.stop().await;

    let (certificate, key) = authority.certificate_of_another_host();
    let other = TestPostgres::start_with_tls(&certificate, &key).await;
    let plain = TestPostgres::start().await;
    for url in [
        verified_by(&postgres, &stranger),
        // The authorities of the machine.
        format!("{}?sslmode=verify-full", postgres.url()),
        verified_by(&other, &authority),
        verified_by(&plain, &authority),
    ] {
        let builder = TestServer::builder().in_cluster(&url, "node-a");
        let rejection = builder.refused().await;
        assert_eq!(rejection.code, Some(78), "{url}: {rejection:?}");
        assert!(rejection.stderr.contains("TLS"), "{url}: {rejection:?}");
    }
}

#[tokio::test]
async fn the_doctor_checks_the_database() {
    let postgres = TestPostgres::start().await;
    let dir = new_data_dir();
    let doctor = |url: &str| {
        Doctor::with_data_dir(dir.path())
            .setting("HEARTH_DATABASE_URL", url)
            .setting("HEARTH_CLUSTER_SECRET", &"test-secret".repeat(3))
            .setting("HEARTH_API_KEYS", CLUSTER_KEY)
            .setting("HEARTH_PUBLIC_URL", "http://127.0.0.1:3010")
    };
    let diagnosis = doctor(&postgres.url()).run().await;
    let text = format!(
        "127.0.0.1:{}/postgres is empty and can be used",
        postgres.port()
    );
    let findings = diagnosis.findings();
    let found = findings.iter().find(|finding| finding.text == text);
    assert!(found.is_some(), "{findings:#?}");
    postgres.query("postgres", "CREATE ROLE guest LOGIN");
    let diagnosis = doctor(&postgres.url_of("guest", "postgres")).run().await;
    let finding = diagnosis.finding("store");
    assert!(
        finding
            .fixes
            .iter()
            .any(|fix| fix.contains("ALTER DATABASE postgres OWNER TO guest")),
        "{finding:#?}"
    );
}
