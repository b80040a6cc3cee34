//! A Firecrawl that does not answer.

use std::time::Duration;

use hearth_test_support::{Doctor, TestServer, eventually, new_data_dir};
use reqwest::Method;
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};

use super::stand_in::Firecrawl;
use super::{builder, get, get_json};

#[tokio::test]
async fn an_unreachable_firecrawl_is_a_503_with_one_sentence() {
    let firecrawl = Firecrawl::start().await;
    let builder = builder(&firecrawl);
    let address = firecrawl.address();
    drop(firecrawl);
    let server = builder.start().await;
    let api = server.with_key("key");
    for (method, path) in [
        (Method::GET, "/v2/crawl/1"),
        (Method::POST, "/v2/scrape"),
        (Method::POST, "/v1/scrape"),
    ] {
        let request = api
            .request_outside(method, path)
            .header("content-type", "application/json")
            .body(r#"{"url":"http://site.test/plain"}"#);
        let response = request.send().await.expect("the server answers");
        assert_eq!(response.status(), 503, "{path}");
        assert_eq!(response.headers()[RETRY_AFTER], "5");
        let body: Value = response.json().await.expect("JSON");
        let error = body["error"].as_str().expect("a text");
        assert!(
            error.starts_with("Firecrawl did not answer this request: cannot connect: ")
                && error.contains("refused"),
            "{body}"
        );
    }
    // Sessions do not need Firecrawl.
    let unreachable = json!({"ready": true, "reasons": [], "firecrawl": false});
    let readiness = async |expected: &Value| {
        eventually(
            Duration::from_secs(40),
            "readiness",
            async || match get_json(&api, "/readyz").await {
                (200, body) if body == *expected => Ok(()),
                other => Err(format!("{other:?}")),
            },
        )
        .await;
    };
    readiness(&unreachable).await;
    let (_, metrics) = get(&api, "/metrics").await;
    for line in [
        "hearth_firecrawl_up 0",
        "hearth_firecrawl_failures_total{reason=\"silent\"} 3",
        "hearth_firecrawl_failures_total{reason=\"busy\"} 0",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} is not in\n{metrics}"
        );
    }
    let firecrawl = Firecrawl::start_at(address, None).await;
    let (status, _) = get(&api, "/v2/echo/x").await;
    assert_eq!(status, 203);
    readiness(&json!({"ready": true, "reasons": [], "firecrawl": true})).await;
    drop(firecrawl);
    let log = server.output();
    assert!(
        log.contains("firecrawl not reached") && log.contains("firecrawl reached"),
        "{log}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_response_that_breaks_off_breaks_off_for_the_client() {
    let firecrawl = Firecrawl::start().await;
    let server = builder(&firecrawl).start().await;
    let api = server.with_key("key");
    let request = api.request_outside(Method::GET, "/v2/broken");
    let mut response = request.send().await.expect("a head");
    assert_eq!(response.status(), 200);
    assert!(response.chunk().await.expect("a part").is_some());
    firecrawl.release();
    assert!(response.chunk().await.is_err());
    server.stop().await;
}

#[tokio::test]
async fn readiness_does_not_name_firecrawl_without_one() {
    let server = TestServer::builder().without_browser().start().await;
    let (_, body) = get_json(&server, "/readyz").await;
    assert_eq!(body, json!({"ready": true, "reasons": []}));
    let (_, body) = get_json(&server, "/v2/crawl/1").await;
    assert_eq!(body["success"], false);
    server.stop().await;
}

#[tokio::test]
async fn doctor_reports_whether_firecrawl_answers() {
    let data_dir = new_data_dir();
    let firecrawl = Firecrawl::start().await;
    let url = firecrawl.url();
    let finding = async || {
        let doctor = Doctor::with_data_dir(data_dir.path()).setting("HEARTH_FIRECRAWL_URL", &url);
        let found = doctor.run().await.findings();
        let mut found = found
            .into_iter()
            .filter(|finding| finding.check == "firecrawl");
        found.next().expect("a finding")
    };
    let answering = finding().await;
    assert_eq!(
        (answering.severity.as_str(), answering.text),
        ("ok", format!("{url} answers"))
    );
    drop(firecrawl);
    let silent = finding().await;
    assert_eq!(silent.severity, "FAIL");
    assert!(silent.text.contains("does not answer"), "{}", silent.text);
}

#[tokio::test]
async fn settings_that_cannot_work_end_the_start() {
    for (name, value, error) in [
        (
            "HEARTH_FIRECRAWL_URL",
            "http://api/v2",
            "has a path or a query",
        ),
        ("HEARTH_FIRECRAWL_URL", "api:3002", "does not start with"),
        (
            "HEARTH_FIRECRAWL_KEY",
            "key",
            "HEARTH_FIRECRAWL_URL is not set",
        ),
        (
            "HEARTH_SCRAPE",
            "firecrawl",
            "HEARTH_FIRECRAWL_URL is not set",
        ),
        ("HEARTH_SCRAPE", "other", "HEARTH_SCRAPE"),
    ] {
        let failure = TestServer::builder()
            .without_browser()
            .setting(name, value)
            .refused()
            .await;
        assert_eq!(failure.code, Some(78), "{failure:?}");
        assert!(failure.stderr.contains(error), "{failure:?}");
    }
}
