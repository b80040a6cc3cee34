//! Pages that cannot be scraped.

use hearth_test_support::TestServer;
use serde_json::json;
use tokio::net::TcpListener;

use super::{Scenario, assert_failure, send, text};
use crate::certificates::https_site::Authority;

#[tokio::test]
async fn an_unknown_host_is_a_200_without_success() {
    let scenario = Scenario::start().await;
    for url in ["nowhere.invalid", "https://nowhere.invalid/x"] {
        let exchange = send(&scenario.server, &json!({"url": url})).await;
        let error = assert_failure(&exchange, 200, "SCRAPE_DNS_RESOLUTION_ERROR");
        assert!(error.contains("nowhere.invalid"), "{error}");
    }
    scenario.server.stop().await;
}

#[tokio::test]
async fn a_site_that_refuses_connections_is_an_error_of_the_site() {
    let scenario = Scenario::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    for scheme in ["http", "https"] {
        let body = json!({"url": format!("{scheme}://{address}/")});
        let exchange = send(&scenario.server, &body).await;
        let error = assert_failure(&exchange, 500, "SCRAPE_SITE_ERROR");
        assert!(error.contains("the connection failed"), "{error}");
    }
    scenario.server.stop().await;
}

#[tokio::test]
async fn a_denied_address_is_forbidden() {
    let scenario = Scenario::start().await;
    let strict = TestServer::builder()
        .setting("HEARTH_EGRESS_ALLOW", "")
        .start()
        .await;
    for url in [
        scenario.site.url("/title/x"),
        scenario.site.url("/title/x").replace("http:", "https:"),
        "http://169.254.169.254/latest".to_owned(),
    ] {
        let exchange = send(&strict, &json!({"url": url})).await;
        let body = exchange.json();
        assert_eq!(exchange.status, 403, "{body}");
        assert!(text(&body["error"]).contains("was denied"), "{body}");
        assert!(body.get("code").is_none(), "{body}");
    }
    strict.stop().await;
    scenario.server.stop().await;
}

#[tokio::test]
async fn a_slow_page_is_a_timeout() {
    let scenario = Scenario::start().await;
    let code = (408, "SCRAPE_TIMEOUT");
    let options = json!({"timeout": 1500});
    let error = scenario.failure("/hang", &options, code).await;
    assert!(error.contains("1500 ms"), "{error}");
    let busy = json!({"type": "executeJavascript", "script": "for (;;);"});
    let options = json!({"timeout": 3000, "actions": [busy]});
    scenario.failure("/steps", &options, code).await;
    let missing = json!({"type": "wait", "selector": "#missing"});
    let scroll = json!({"type": "scroll"});
    let options = json!({"timeout": 3000, "actions": [scroll, missing]});
    let error = scenario.failure("/steps", &options, code).await;
    assert!(error.contains("action 2 did not end"), "{error}");
    scenario.server.stop().await;
}

#[tokio::test]
async fn an_invalid_certificate_is_accepted_on_request() {
    let scenario = Scenario::start().await;
    let authority = Authority::new();
    let site = authority.self_signed_site();
    let url = format!("https://127.0.0.1:{}/", site.port);
    let exchange = send(&scenario.server, &json!({"url": url})).await;
    let error = assert_failure(&exchange, 500, "SCRAPE_SSL_ERROR");
    assert!(error.contains("ERR_CERT_AUTHORITY_INVALID"), "{error}");
    let body = json!({"url": url, "skipTlsVerification": true});
    let exchange = send(&scenario.server, &body).await;
    assert_eq!(exchange.status, 200, "{}", exchange.text);
    scenario.server.stop().await;
}
