//! The country that a session appears to be in.

use hearth_test_support::{Session, Site, TestServer};
use serde_json::{Value, json};

use crate::egress::web::Web;

/// Returns what a page sees of its place: the zone, its languages, and how it writes numbers.
const SEEN: &str = "await page.evaluate(() => [
    Intl.DateTimeFormat().resolvedOptions().timeZone, navigator.languages.join(),
    new Intl.NumberFormat().resolvedOptions().locale, (1234.5).toLocaleString(),
    new Date(0).getHours()])";

async fn seen(session: &Session) -> Value {
    session.node(SEEN).await.ok().json()
}

#[tokio::test]
async fn the_browser_and_code_have_time_zone_and_language_of_the_country() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let created = server
        .create(&json!({"location": {"country": "DE"}}))
        .await
        .ok();
    let warning = created["warning"].as_str().unwrap_or_default();
    assert!(warning.contains("HEARTH_EGRESS_PROXIES"), "{created}");
    let session = server.session_of(created);
    let german = json!(["Europe/Berlin", "de-DE,de,en", "de-DE", "1.234,5", 1]);
    let open = format!(
        "await page.goto('{}'); await page.innerText('body')",
        site.url("/headers")
    );
    let headers = session.node(&open).await.ok().result;
    assert!(headers.contains("ccept-Language: de-DE,de"), "{headers}");
    assert_eq!(seen(&session).await, german);
    // Another process renders this page.
    let other = site.url("/title/other").replace("127.0.0.1", "localhost");
    session
        .node(&format!("await page.goto('{other}'); 0"))
        .await
        .ok();
    assert_eq!(seen(&session).await, german);
    let tab = format!(
        "const tab = await context.newPage(); await tab.goto('{}'); await tab.evaluate(() => (1234.5).toLocaleString())",
        site.url("/title/tab")
    );
    assert_eq!(session.node(&tab).await.ok().result, "1.234,5");
    // A context of a client's own has the language that the client chooses.
    let own = "const own = await browser.newContext({ locale: 'fr-FR' }); const its = await own.newPage(); await its.evaluate(() => (1234.5).toLocaleString())";
    assert_eq!(session.node(own).await.ok().result, "1\u{202f}234,5");
    let node = "[new Date(0).getHours(), process.env.TZ]";
    assert_eq!(
        session.node(node).await.ok().json(),
        json!([1, "Europe/Berlin"])
    );
    let python = "from datetime import datetime; datetime.fromtimestamp(0).hour";
    assert_eq!(session.python(python).await.ok().result, "1");
    assert_eq!(session.bash("date -d @0 +%H").await.ok().result, "01");
    server.stop().await;
}

#[tokio::test]
async fn a_session_without_a_location_is_english() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let seen = seen(&session).await;
    assert_eq!(
        [&seen[1], &seen[2], &seen[3]],
        [&json!("en-US,en"), &json!("en-US"), &json!("1,234.5")]
    );
    assert_eq!(
        session.node("'TZ' in process.env").await.ok().result,
        "false"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_country_with_a_proxy_is_reached_from_there() {
    let (usual, british) = (Web::start().await, Web::start().await);
    let server = TestServer::builder()
        .setting("HEARTH_EGRESS_PROXY", &format!("http://{}", usual.address))
        .setting(
            "HEARTH_EGRESS_PROXIES",
            &format!("gb=http://user:pass@{}", british.address),
        )
        .start()
        .await;
    let requests = |web: &Web| {
        web.asked()
            .iter()
            .filter(|line| line.contains("a.example"))
            .count()
    };
    for (country, expected) in [("GB", [0, 2]), ("FR", [2, 2])] {
        let created = server
            .create(&json!({"location": {"country": country}}))
            .await
            .ok();
        assert_eq!(
            created.get("warning").is_some(),
            country == "FR",
            "{created}"
        );
        let session = server.session_of(created);
        session
            .node("await page.goto('http://a.example/page'); 0")
            .await
            .ok();
        session.bash("curl -s http://a.example/").await.ok();
        assert_eq!(
            [requests(&usual), requests(&british)],
            expected,
            "{country}"
        );
        session.delete().await;
    }
    server.stop().await;
}
