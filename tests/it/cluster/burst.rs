//! Many requests at the same time through a node that owns no session.

use futures_util::future::join_all;
use hearth_test_support::Session;
use serde_json::json;

use super::cluster_of;

/// The executions of each language in each session, one of which runs while the others wait. More
/// would be rejected.
const EACH: usize = 33;

/// Runs code in a session many times at once. Returns the responses that are none of that code.
async fn burst(session: &Session) -> Vec<String> {
    let languages = [
        ("node", "console.log(6 * 7)"),
        ("python", "print(6 * 7)"),
        ("bash", "echo 42"),
    ];
    let runs = languages.into_iter().flat_map(|(language, code)| {
        let body = json!({"language": language, "code": code, "timeout": 120});
        (0..EACH).map(move |_| (language, body.clone()))
    });
    let replies = runs.map(async |(language, body)| {
        let reply = session.execute(&body).await;
        let is_right = reply.status == 200 && reply.body["stdout"] == "42\n";
        (!is_right).then(|| format!("{language}: {} {}", reply.status, reply.text))
    });
    join_all(replies).await.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_burst_of_executions_reaches_the_owner() {
    let cluster = cluster_of(1).await;
    let first = cluster.api(0).session().await;
    let second = cluster.api(0).session().await;
    let (first, second) = tokio::join!(burst(&first), burst(&second));
    let wrong = [first, second].concat();
    assert!(
        wrong.is_empty(),
        "{} of {}: {wrong:#?}",
        wrong.len(),
        6 * EACH
    );
    cluster.stop().await;
}
