//! Quotas of teams and keys: one team does not take what belongs to others.

#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hearth_test_support::{Exchange, Reply, ServerBuilder, TestServer, eventually};
use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::keyless::dense_body;
use super::load::{connect_and_send, post_head, read_status};
use crate::operator::metrics::metrics;

const ALL_SESSIONS: &str = "You have reached the maximum number of active browser sessions.";

/// Returns the metrics of a team with these labels, such as `team="alpha"`.
fn team_metric(metrics: &BTreeMap<String, f64>, name: &str, labels: &str) -> f64 {
    let name = format!("hearth_team_{name}{{{labels}}}");
    let value = metrics.get(&name).copied();
    value.unwrap_or_else(|| panic!("{name} is not in {metrics:?}"))
}

fn rejected(replies: &[Reply]) -> Vec<&Reply> {
    replies.iter().filter(|reply| reply.status != 200).collect()
}

#[tokio::test]
async fn a_team_with_all_its_sessions_leaves_the_others_to_other_teams() {
    let server = TestServer::builder()
        .setting("HEARTH_API_KEYS", "alpha:key-a,alpha:key-a2,beta:key-b")
        .setting("HEARTH_OPERATOR_KEY", "boss")
        .setting("HEARTH_MAX_SESSIONS", "3")
        .setting("HEARTH_TEAM_MAX_SESSIONS", "2")
        .start()
        .await;
    let (alpha, beta) = (server.with_key("key-a"), server.with_key("key-b"));
    let also_alpha = server.with_key("key-a2");
    let empty = json!({});
    let clients = [&alpha, &also_alpha, &alpha, &also_alpha];
    let replies = join_all(clients.map(|client| client.create(&empty))).await;
    let of_alpha = rejected(&replies);
    assert_eq!(of_alpha.len(), 2, "{replies:?}");
    for reply in of_alpha {
        reply.assert_error(
            429,
            "You have reached the maximum number of active browser sessions of your team (2, HEARTH_TEAM_MAX_SESSIONS).",
        );
        reply.assert_retry_after();
    }
    let session = beta.session().await;
    session.bash("true").await.ok();
    let full = beta.create(&empty).await;
    full.assert_error(429, ALL_SESSIONS);
    full.assert_retry_after();
    let all = metrics(&server.with_key("boss")).await;
    for (name, labels, count) in [
        ("sessions", "team=\"alpha\"", 2.0),
        ("sessions", "team=\"beta\"", 1.0),
        ("executions_total", "team=\"alpha\"", 0.0),
        ("executions_total", "team=\"beta\"", 1.0),
        (
            "rejected_total",
            "team=\"alpha\",reason=\"team_sessions\"",
            2.0,
        ),
        (
            "rejected_total",
            "team=\"alpha\",reason=\"server_sessions\"",
            0.0,
        ),
        (
            "rejected_total",
            "team=\"beta\",reason=\"server_sessions\"",
            1.0,
        ),
    ] {
        assert_eq!(team_metric(&all, name, labels), count, "{name} {labels}");
    }
    session.delete().await;
    let all = metrics(&server.with_key("boss")).await;
    assert_eq!(team_metric(&all, "sessions", "team=\"beta\""), 0.0);
    server.stop().await;
}

#[tokio::test]
async fn by_default_one_team_may_have_all_sessions() {
    let server = TestServer::builder()
        .setting("HEARTH_API_KEYS", "alpha:key-a,beta:key-b")
        .setting("HEARTH_MAX_SESSIONS", "1")
        .start()
        .await;
    let session = server.with_key("key-a").session().await;
    let full = server.with_key("key-b").create(&json!({})).await;
    full.assert_error(429, ALL_SESSIONS);
    session.delete().await;
    server.with_key("key-b").session().await;
    server.stop().await;
}

#[tokio::test]
async fn requests_above_the_rate_of_a_key_are_rejected() {
    const MAX: u64 = 5;
    let server = TestServer::builder()
        .without_browser()
        .setting("HEARTH_API_KEYS", "alpha:key-a,alpha:key-a2")
        .setting("HEARTH_KEY_MAX_REQUESTS_PER_MINUTE", "5")
        .start()
        .await;
    let client = server.with_key("key-a");
    let start = Instant::now();
    let replies = join_all((0..60).map(|_| client.list(""))).await;
    let rejected = rejected(&replies);
    let admitted = (replies.len() - rejected.len()) as u64;
    // The maximum at once, and one more for each twelfth second that the requests took.
    let most = MAX + start.elapsed().as_secs() / 12 + 1;
    assert!(
        (MAX..=most).contains(&admitted),
        "{admitted}, at most {most}"
    );
    for reply in &rejected {
        reply.assert_error(
            429,
            "Your API key has reached its maximum of 5 requests per minute (HEARTH_KEY_MAX_REQUESTS_PER_MINUTE). \
             Nothing was done; try again.",
        );
        let seconds = reply
            .header("retry-after")
            .and_then(|text| text.parse().ok());
        assert!(matches!(seconds, Some(1..=12_u32)), "{reply:?}");
    }
    // Another key of the team, an unknown key, and everything outside of the API.
    assert_eq!(server.with_key("key-a2").list("").await.status, 200);
    assert_eq!(server.with_key("nobody").list("").await.status, 401);
    for path in ["/livez", "/health", "/metrics", "/operator/state"] {
        for _ in 0..2 * MAX {
            let answer = Exchange::of(client.request_outside(Method::GET, path)).await;
            assert_eq!(answer.status, 200, "{path}");
        }
    }
    let counted = team_metric(
        &metrics(&client).await,
        "rejected_total",
        "team=\"alpha\",reason=\"key_rate\"",
    );
    let expected = u32::try_from(rejected.len()).expect("at most sixty");
    assert_eq!(counted, f64::from(expected));
    server.stop().await;
}

#[tokio::test]
async fn a_large_body_above_the_rate_is_rejected_before_it_is_read() {
    let server = TestServer::builder()
        .without_browser()
        .setting("HEARTH_API_KEYS", "key-a")
        .setting("HEARTH_KEY_MAX_REQUESTS_PER_MINUTE", "1")
        .start()
        .await;
    let head = post_head("/v2/interact", Some("key-a"), 9_000_000);
    // The server waits ten seconds for the body of an admitted request. The next minute permits
    // one.
    let requests = (0..4).map(async |_| {
        let mut stream = connect_and_send(server.address(), head.as_bytes()).await;
        read_status(&mut stream).await
    });
    let mut statuses = join_all(requests).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [400, 429, 429, 429].map(Some));
    server.stop().await;
}

#[tokio::test]
async fn a_team_sees_only_its_own_metrics() {
    let server = TestServer::builder()
        .without_browser()
        .setting("HEARTH_API_KEYS", "alpha:key-a,key-b")
        .start()
        .await;
    let of_alpha = metrics(&server.with_key("key-a")).await;
    assert_eq!(team_metric(&of_alpha, "sessions", "team=\"alpha\""), 0.0);
    // The first digits of the digest identify a key without a name.
    let of_other = metrics(&server.with_key("key-b")).await;
    let teams = |metrics: &BTreeMap<String, f64>, text: &str| {
        let of_teams = metrics.keys().filter(|name| name.contains("team="));
        of_teams.filter(|name| name.contains(text)).count()
    };
    assert!(teams(&of_alpha, "alpha") > 0 && teams(&of_other, "team=\"key ") > 0);
    assert_eq!(
        (teams(&of_alpha, "team=\"key "), teams(&of_other, "alpha")),
        (0, 0)
    );
    server.stop().await;
}

/// Counts the finished requests in a log whose ids start with `prefix`.
fn finished(log: &str, prefix: &str) -> usize {
    let finished = log.lines().filter(|line| line.contains("request finished"));
    finished.filter(|line| line.contains(prefix)).count()
}

/// Sends `count` times the same request of a team, completely, and then one of another team.
/// Asserts that the server finishes that one before most of the others. A request consists of two
/// parts, of which the second one is not empty. Before their ends are sent, the server must have
/// buffered this many bytes.
async fn assert_overtakes(
    server: &TestServer,
    crowd: [&str; 2],
    count: u32,
    single: [&str; 2],
    buffered: f64,
) {
    // The server gets the last byte of each when it has all others, so that many wait at a time.
    let send_most = async |[head, body]: [&str; 2], id: String| {
        let head = head.replacen("\r\n", &format!("\r\nX-Request-Id: {id}\r\n"), 1);
        let mut stream = connect_and_send(server.address(), head.as_bytes()).await;
        let most = &body.as_bytes()[..body.len() - 1];
        stream.write_all(most).await.expect("sent");
        stream
    };
    let send_last = async |stream: &mut TcpStream, [_, body]: [&str; 2]| {
        let last = &body.as_bytes()[body.len() - 1..];
        stream.write_all(last).await.expect("sent");
    };
    let sending = (0..count).map(|number| send_most(crowd, format!("crowd-{number}")));
    let mut streams = join_all(sending).await;
    let count = streams.len();
    let mut last = send_most(single, "single".to_owned()).await;
    let client = server.with_key("key-a");
    eventually(
        Duration::from_mins(1),
        "the server has read them",
        async || match metrics(&client).await["hearth_buffer_bytes"] {
            read if read >= buffered => Ok(()),
            read => Err(format!("{read} of {buffered} bytes")),
        },
    )
    .await;
    for stream in &mut streams {
        send_last(stream, crowd).await;
    }
    // When the first one is finished, the others wait.
    eventually(
        Duration::from_mins(1),
        "one is finished",
        async || match finished(&server.output(), "crowd-") {
            0 => Err("none is".to_owned()),
            _ => Ok(()),
        },
    )
    .await;
    let before = finished(&server.output(), "crowd-");
    send_last(&mut last, single).await;
    streams.push(last);
    for stream in &mut streams {
        assert!(read_status(stream).await.is_some());
    }
    let log = || server.output();
    eventually(Duration::from_secs(10), "all are logged", async || {
        match (finished(&log(), "crowd-"), finished(&log(), "single")) {
            (all, 1) if all == count => Ok(()),
            counts => Err(format!("{counts:?}")),
        }
    })
    .await;
    let log = log();
    let of_single = |line: &&str| line.contains("request finished") && line.contains("single");
    let earlier = log.lines().take_while(|line| !of_single(line));
    let earlier = earlier.map(|line| finished(line, "crowd-")).sum::<usize>();
    assert!(
        earlier < before + count * 2 / 5,
        "{before} of {count} were finished when the request was sent, and {earlier} before it was"
    );
}

fn two_teams() -> ServerBuilder {
    TestServer::builder()
        .without_browser()
        .setting("HEARTH_API_KEYS", "alpha:key-a,beta:key-b")
}

#[tokio::test]
async fn large_bodies_of_one_team_do_not_delay_those_of_another() {
    // The setting has room for twenty of the bodies.
    let server = two_teams().setting("HEARTH_BUFFER_MB", "256").start().await;
    let (dense, small) = (dense_body(), format!("[\"{}\"]", "x".repeat(70_000)));
    let crowd = post_head("/v2/interact", Some("key-a"), dense.len());
    let single = post_head("/v2/interact", Some("key-b"), small.len());
    let buffered = u32::try_from(20 * (dense.len() - 1)).expect("less than four gigabytes");
    let buffered = f64::from(buffered);
    assert_overtakes(&server, [&crowd, &dense], 20, [&single, &small], buffered).await;
    server.stop().await;
}

#[tokio::test]
async fn lists_of_profiles_of_one_team_do_not_delay_those_of_another() {
    let server = two_teams().start().await;
    // Creating as many profiles with sessions would take an hour.
    let code = "import sqlite3, sys
store = sqlite3.connect(sys.argv[1], timeout=30)
rows = ((f'{n:064x}', 'name:alpha', f'\"{n}\"', 1, 1) for n in range(2000))
columns = 'id, team, name_json, size_bytes, saved_at_ms'
store.executemany(f'INSERT INTO profiles ({columns}) VALUES (?, ?, ?, ?, ?)', rows)
store.commit()";
    let store = server.data_dir().join("hearth.db");
    let filled = Command::new("python3")
        .args(["-c", code])
        .arg(store)
        .output();
    let filled = filled.expect("python3 is installed");
    assert!(filled.status.success(), "{filled:?}");
    let get = |key: &str| {
        format!(
            "GET /v2/interact/profiles HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        )
    };
    let (crowd, single) = (get("key-a"), get("key-b"));
    assert_overtakes(&server, [&crowd, "\r\n"], 100, [&single, "\r\n"], 0.0).await;
    server.stop().await;
}
