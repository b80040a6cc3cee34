//! Blocked hosts of advertisements and trackers.

use hearth_test_support::{ServerBuilder, Session, TestServer};
use serde_json::{Value, json};

use super::hosts_file;
use crate::egress::web::Web;
use crate::reload::hang_up;

const PAGE: &str = "http://page.example/";
const BANNER: &str = "http://cdn.ads.example/banner.png";

/// Builds a server whose sessions reach every name through `web`.
fn builder(web: &Web) -> ServerBuilder {
    TestServer::builder().setting("HEARTH_EGRESS_PROXY", &format!("http://{}", web.address))
}

/// Returns the names of `[PAGE, BANNER]` that the browser and curl reach.
async fn reached(session: &Session) -> [bool; 4] {
    let fetch = |url: &str| {
        format!(
            "await page.evaluate(() => fetch('{url}', {{ mode: 'no-cors' }}).then(() => 1, () => 0))"
        )
    };
    let code = format!(
        "await page.goto('{PAGE}'); [{}, {}]",
        fetch("/own"),
        fetch(BANNER)
    );
    let browser = session.node(&code).await.ok().json();
    let code = format!(
        "for url in {PAGE} {BANNER}; do curl -s -o /dev/null -w '%{{http_code}} ' $url; done"
    );
    let curl = session.bash(&code).await.ok().stdout;
    let curl: Vec<&str> = curl.split_whitespace().collect();
    [
        browser[0] == 1,
        browser[1] == 1,
        curl[0] == "200",
        curl[1] == "200",
    ]
}

const ALL: [bool; 4] = [true; 4];
const BLOCKED: [bool; 4] = [true, false, true, false];

#[tokio::test]
async fn hosts_are_blocked_unless_the_request_declines_it() {
    let (web, hosts) = (Web::start().await, hosts_file("0.0.0.0 ads.example\n"));
    let file = hosts.path().join("hosts");
    let server = builder(&web)
        .setting("HEARTH_BLOCK_HOSTS_FILE", &file.to_string_lossy())
        .start()
        .await;
    for (options, expected) in [
        (json!({}), BLOCKED),
        (json!({"blockAds": true}), BLOCKED),
        (json!({"blockAds": false}), ALL),
    ] {
        let created = server.create(&options).await.ok();
        assert_eq!(created.get("warning"), None, "{options}");
        let session = server.session_of(created);
        assert_eq!(reached(&session).await, expected, "{options}");
        session.delete().await;
    }
    assert!(
        !server.output().contains("egress denied"),
        "{}",
        server.output()
    );
    server.stop().await;
}

#[tokio::test]
async fn a_blocked_page_says_how_to_reach_it() {
    let web = Web::start().await;
    let server = builder(&web).start().await;
    let session = server.session().await;
    // The list is built in.
    let failed = session
        .node("await page.goto('http://ad.doubleclick.net/'); 0")
        .await
        .failed(1);
    assert!(
        failed.error().contains("blockAds: false"),
        "{}",
        failed.error()
    );
    let text = session
        .bash("curl -s http://www.google-analytics.com/")
        .await
        .ok()
        .stdout;
    assert!(
        text.contains("blocks advertisements and trackers"),
        "{text}"
    );
    assert!(web.asked().iter().all(|line| !line.contains("doubleclick")));
    server.stop().await;
}

#[tokio::test]
async fn the_setting_decides_which_sessions_block() {
    let (web, hosts) = (Web::start().await, hosts_file("ads.example\n"));
    for (mode, usual, asked, has_warning) in
        [("asked", ALL, BLOCKED, false), ("never", ALL, ALL, true)]
    {
        let file = hosts.path().join("hosts");
        let server = builder(&web)
            .setting("HEARTH_BLOCK_ADS", mode)
            .setting("HEARTH_BLOCK_HOSTS_FILE", &file.to_string_lossy())
            .start()
            .await;
        let session = server.session().await;
        assert_eq!(reached(&session).await, usual, "{mode}");
        let created = server.create(&json!({"blockAds": true})).await.ok();
        let warning = created.get("warning").and_then(Value::as_str);
        assert_eq!(
            warning.is_some_and(|text| text.contains("HEARTH_BLOCK_ADS")),
            has_warning,
            "{mode}: {warning:?}"
        );
        assert_eq!(reached(&server.session_of(created)).await, asked, "{mode}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_reload_reads_the_file_again() {
    let (web, hosts) = (Web::start().await, hosts_file("other.example\n"));
    let file = hosts.path().join("hosts");
    let server = builder(&web)
        .setting("HEARTH_BLOCK_HOSTS_FILE", &file.to_string_lossy())
        .start()
        .await;
    let session = server.session().await;
    assert_eq!(reached(&session).await, ALL);
    std::fs::write(&file, "0.0.0.0 ads.example\n").expect("written");
    hang_up(&server, "blocked hosts changed").await;
    assert_eq!(reached(&session).await, BLOCKED);
    // A file that cannot be used changes nothing.
    std::fs::write(&file, "||ads.example^\n").expect("written");
    hang_up(&server, "reload failed: settings kept").await;
    assert!(server.output().contains("line 1"), "{}", server.output());
    assert_eq!(reached(&session).await, BLOCKED);
    std::fs::write(&file, "").expect("written");
    hang_up(&server, "blocked hosts changed").await;
    assert_eq!(reached(&session).await, ALL);
    hang_up(&server, "settings reloaded").await;
    server.stop().await;
}

#[tokio::test]
async fn a_file_that_is_no_list_of_hosts_is_a_setting_to_fix() {
    let hosts = hosts_file("0.0.0.0 a.example\n||ads.example^\n");
    let file = hosts.path().join("hosts");
    let rejection = TestServer::builder()
        .setting("HEARTH_BLOCK_HOSTS_FILE", &file.to_string_lossy())
        .refused()
        .await;
    assert_eq!(rejection.code, Some(78), "{rejection:?}");
    assert!(rejection.stderr.contains("line 2"), "{}", rejection.stderr);
}
