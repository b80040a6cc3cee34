//! Deadlines. They are met, and a run that ends exactly at its deadline has one outcome.

use std::time::Duration;

use futures_util::future::join_all;
use hearth_test_support::{Execution, Session, TestServer};

/// Returns code that does nothing until it is killed.
fn endless(language: &str) -> &'static str {
    match language {
        "node" => "await new Promise(() => {})",
        "python" => "import time\nwhile True: time.sleep(1)",
        _ => "while :; do sleep 1; done",
    }
}

/// Max delay of a kill after the deadline.
const LATE: Duration = Duration::from_millis(500);

async fn assert_kept(session: &Session, language: &str, timeout: u64) {
    let execution = session
        .run_for(language, endless(language), timeout)
        .await
        .killed_at(timeout);
    let late = execution
        .elapsed
        .saturating_sub(Duration::from_secs(timeout));
    assert!(
        late < LATE,
        "{language} with {timeout} s: the response was {late:?} late"
    );
}

#[tokio::test]
#[ignore = "takes five minutes: make soak"]
async fn deadlines_are_met() {
    let server = TestServer::start().await;
    let (short, long) = (
        server.session().await,
        server.session_with(&serde_json::json!({"ttl": 900})).await,
    );
    let shorts = async {
        for round in 0..20 {
            assert_kept(&short, ["bash", "python", "node"][round % 3], 1).await;
        }
    };
    // The response to the longest run takes longer than the usual client timeout.
    let long = long.with_long_timeout();
    let longest = long.run_for("bash", endless("bash"), 300);
    let (longest, ()) = tokio::join!(longest, shorts);
    let late = longest
        .killed_at(300)
        .elapsed
        .saturating_sub(Duration::from_mins(5));
    assert!(late < LATE, "the run of five minutes ended {late:?} late");
    server.stop().await;
}

/// Runs code that ends some milliseconds before or after its deadline.
async fn close_calls(session: &Session, count: u32) -> Vec<Execution> {
    let mut executions = Vec::new();
    for index in 0..count {
        // From 0.90 s to 1.02 s; a shell needs some tens of milliseconds to start.
        let seconds = 0.90 + f64::from(index % 25) * 0.005;
        executions.push(
            session
                .run_for("bash", &format!("echo begun; sleep {seconds:.3}"), 1)
                .await,
        );
    }
    executions
}

#[tokio::test]
#[ignore = "takes three minutes: make soak"]
async fn a_run_that_ends_at_its_deadline_has_one_outcome() {
    let server = TestServer::start().await;
    let sessions = join_all((0..8).map(|_| server.session())).await;
    let executions = join_all(sessions.iter().map(|session| close_calls(session, 125)))
        .await
        .concat();
    let mut killed = 0;
    for execution in &executions {
        assert_eq!(execution.stdout, "begun\n", "{execution:?}");
        let outcome = (
            execution.exit_code,
            execution.killed,
            execution.error.is_some(),
        );
        assert!(
            [(0, false, false), (137, true, true)].contains(&outcome),
            "neither a clean end nor a kill: {execution:?}"
        );
        killed += u32::from(execution.killed);
    }
    eprintln!("of {} runs {killed} were killed", executions.len());
    assert!(
        (50..950).contains(&killed),
        "too few runs ended on one side of the deadline: {killed} were killed"
    );
    server.stop().await;
}
