//! `/metrics`.

#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use std::collections::BTreeMap;
use std::time::Duration;

use hearth_test_support::{Api, Exchange, Site, TestServer, eventually};
use reqwest::Method;
use serde_json::json;

/// Reads every metric, keyed by its name with labels.
pub async fn metrics(api: &Api) -> BTreeMap<String, f64> {
    let answer = Exchange::of(api.request_outside(Method::GET, "/metrics")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.text.ends_with("# EOF\n"), "{}", answer.text);
    let lines = answer.text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.map(|line| line.rsplit_once(' ').expect("a name and a number"));
    pairs
        .map(|(name, number)| (name.to_owned(), number.parse().expect("a number")))
        .collect()
}

#[tokio::test]
async fn events_are_counted() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let before = metrics(server.direct()).await;
    assert_eq!(before["hearth_ready"], 1.0);
    assert_eq!(before["hearth_sessions{state=\"active\"}"], 0.0);
    let session = server.session().await;
    session.node("1 + 1").await.ok();
    session.python("raise ValueError()").await;
    session
        .bash("head -c 11000000 /dev/zero | tr '\\0' x; curl -s http://10.1.2.3/")
        .await;
    session
        .execute(&json!({"language": "bash", "code": "sleep 60", "timeout": 1}))
        .await;
    session
        .node(&format!(
            "await page.goto('{}')",
            site.url("/title/Counted")
        ))
        .await
        .ok();
    let now = metrics(server.direct()).await;
    for (name, count) in [
        ("hearth_sessions{state=\"active\"}", 1.0),
        ("hearth_sessions{state=\"creating\"}", 0.0),
        ("hearth_session_create_seconds_count{outcome=\"made\"}", 1.0),
        (
            "hearth_execute_seconds_count{language=\"node\",outcome=\"succeeded\"}",
            2.0,
        ),
        (
            "hearth_execute_seconds_count{language=\"python\",outcome=\"failed\"}",
            1.0,
        ),
        (
            "hearth_execute_seconds_count{language=\"bash\",outcome=\"succeeded\"}",
            1.0,
        ),
        (
            "hearth_execute_seconds_count{language=\"bash\",outcome=\"timed_out\"}",
            1.0,
        ),
        ("hearth_execute_wait_seconds_count{language=\"bash\"}", 2.0),
        ("hearth_executions{state=\"running\"}", 0.0),
        ("hearth_executions{state=\"waiting\"}", 0.0),
        ("hearth_kills_total{reason=\"deadline\"}", 1.0),
        (
            "hearth_egress_refusals_total{rule=\"a private network\"}",
            1.0,
        ),
        ("hearth_leaked_processes", 0.0),
    ] {
        assert_eq!(now.get(name), Some(&count), "{name}");
    }
    // The server that clients use counts their requests.
    let requests = "hearth_http_requests_total{method=\"POST\",route=\"/v2/interact/{id}/execute\",status=\"200\"}";
    assert_eq!(metrics(&server).await.get(requests), Some(&5.0));
    // Of eleven million bytes, ten times 2²⁰ are kept.
    let dropped = now["hearth_output_bytes_total{kind=\"dropped\"}"];
    assert!(
        (11_000_000.0 - 10_485_760.0..600_000.0).contains(&dropped),
        "{dropped}"
    );
    assert!(now["hearth_egress_bytes_total{direction=\"down\"}"] > 0.0);
    assert!(
        now["hearth_memory_bytes{of=\"available\"}"] > 0.0 && now["hearth_disk_free_bytes"] > 0.0
    );
    session.delete().await;
    let after = metrics(server.direct()).await;
    assert_eq!(after["hearth_sessions{state=\"active\"}"], 0.0);
    assert_eq!(
        after["hearth_sessions_ended_total{reason=\"deleted\"}"],
        1.0
    );
    eventually(
        Duration::from_secs(5),
        "the cleanup ends",
        async || match metrics(server.direct()).await["hearth_sessions{state=\"ending\"}"] {
            0.0 => Ok(()),
            ending => Err(format!("{ending} sessions")),
        },
    )
    .await;
    server.stop().await;
}

#[tokio::test]
async fn running_waiting_and_cancelled_executions_are_counted() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let code = format!(
        "{}; curl -s {}",
        site.bash_signal("begun"),
        site.url("/held/go-on")
    );
    let first = session.run("bash", &code);
    let others = async {
        site.signalled("begun").await;
        let waiting = server.request(Method::POST, &format!("/{}/execute", session.id()));
        let waiting = tokio::spawn(
            waiting
                .json(&json!({"language": "bash", "code": "true"}))
                .send(),
        );
        loop {
            let now = metrics(server.direct()).await;
            let state = |state: &str| now[&format!("hearth_executions{{state=\"{state}\"}}")];
            if (state("running"), state("waiting")) == (1.0, 1.0) {
                break;
            }
            assert!(
                state("running") == 1.0 && state("waiting") <= 1.0,
                "{now:?}"
            );
        }
        waiting.abort();
        loop {
            let now = metrics(server.direct()).await;
            if now["hearth_execute_seconds_count{language=\"bash\",outcome=\"abandoned\"}"] == 1.0 {
                // The execution was still waiting, so nothing was killed.
                assert_eq!(now["hearth_kills_total{reason=\"caller_gone\"}"], 0.0);
                break;
            }
        }
        reqwest::get(site.url("/signal/go-on"))
            .await
            .expect("the site is running");
    };
    tokio::join!(first, others).0.ok();
    server.stop().await;
}

#[tokio::test]
async fn metrics_need_the_operator_key_if_set_and_otherwise_any_key() {
    let server = TestServer::builder()
        .setting("HEARTH_API_KEYS", "team:secret")
        .start()
        .await;
    let status = async |api: &Api| {
        Exchange::of(api.request_outside(Method::GET, "/metrics"))
            .await
            .status
    };
    assert_eq!(status(&server).await, 401);
    assert_eq!(status(&server.with_key("secret")).await, 200);
    server.stop().await;
    let builder = TestServer::builder().setting("HEARTH_API_KEYS", "team:secret");
    let server = builder.setting("HEARTH_OPERATOR_KEY", "boss").start().await;
    assert_eq!(status(&server.with_key("secret")).await, 403);
    assert_eq!(status(&server.with_key("nobody")).await, 401);
    assert_eq!(status(&server.with_key("boss")).await, 200);
    // The operator key does not open the API.
    assert_eq!(server.with_key("boss").list("").await.status, 401);
    server.stop().await;
}

#[tokio::test]
async fn client_input_is_never_a_label_and_every_rule_starts_at_0() {
    let server = TestServer::start().await;
    for number in 0..20 {
        let method = format!("BREW-{number}").parse().expect("a token");
        assert_eq!(
            Exchange::of(server.request_outside(method, "/v2/interact"))
                .await
                .status,
            405
        );
        let path = format!("/made-up/{number}");
        assert_eq!(
            Exchange::of(server.request_outside(Method::GET, &path))
                .await
                .status,
            404
        );
    }
    let now = metrics(&server).await;
    assert_eq!(
        now["hearth_http_requests_total{method=\"other\",route=\"/v2/interact\",status=\"405\"}"],
        20.0
    );
    assert_eq!(
        now["hearth_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"}"],
        20.0
    );
    assert!(
        !now.keys()
            .any(|name| name.contains("BREW") || name.contains("made-up")),
        "{now:?}"
    );
    // Without a zero sample, a rate would miss the first event of a series.
    for rule in ["metadata", "own port", "a private network", "local name"] {
        assert_eq!(
            now[&format!("hearth_egress_refusals_total{{rule=\"{rule}\"}}")],
            0.0
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn executions_that_never_ran_count_as_waiting_too() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let code = format!(
        "{}; curl -s {}",
        site.bash_signal("begun"),
        site.url("/held/go-on")
    );
    let others = async {
        site.signalled("begun").await;
        let busy = session
            .execute(&json!({"language": "bash", "code": "true", "timeout": 1}))
            .await;
        assert_eq!(busy.status, 429);
        reqwest::get(site.url("/signal/go-on"))
            .await
            .expect("the site is running");
    };
    tokio::join!(session.run("bash", &code), others).0.ok();
    let now = metrics(server.direct()).await;
    assert_eq!(
        now["hearth_execute_wait_seconds_count{language=\"bash\"}"],
        2.0
    );
    assert!(
        now["hearth_execute_wait_seconds_sum{language=\"bash\"}"] >= 1.0,
        "{now:?}"
    );
    server.stop().await;
}
