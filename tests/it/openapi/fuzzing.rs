//! Runs schemathesis against a live server. It generates valid and invalid requests only from the
//! OpenAPI file, follows links between operations, and checks every response against the file.
//! tests/schemathesis has its settings.
//!
//! `make test` uses a fixed seed; `make fuzz` uses a new seed and runs for as long as you choose.

use std::process::{Output, Stdio};
use std::time::Duration;

use hearth_test_support::description::TEXT;
use hearth_test_support::{Site, TestServer, repository};
use tokio::process::Command;

const KEY: &str = "fuzz-key";
const OTHER_KEY: &str = "other-key";

/// A run takes less than three minutes on an idle machine with two processors.
const DEADLINE: Duration = Duration::from_mins(9);

async fn server() -> TestServer {
    let builder =
        TestServer::builder().setting("HEARTH_API_KEYS", &format!("fuzz:{KEY},other:{OTHER_KEY}"));
    // The hooks keep fewer sessions alive. Only the shrinking of a finding, and interactions whose
    // page opens too late, may approach this limit.
    builder.setting("HEARTH_MAX_SESSIONS", "8").start().await
}

/// Runs schemathesis on a file until it exits, for `seconds` if a number is given. It scrapes a
/// page of the site.
async fn examine(
    server: &TestServer,
    site: &Site,
    file: &str,
    seconds: Option<u64>,
    arguments: &[&str],
) -> Output {
    let own = tempfile::tempdir().expect("a dir can be created");
    std::fs::write(own.path().join("openapi.json"), file).expect("it can be written");
    let tests = repository().join("tests");
    let mut command = Command::new(tests.join(".venv/bin/python"));
    command
        .args(["-P", "-m", "schemathesis.cli", "--config-file"])
        .arg(tests.join("schemathesis/schemathesis.toml"))
        .args(["run", "openapi.json", "--url", server.origin()])
        .args(arguments)
        // Schemathesis stores data about the server in its working dir.
        .current_dir(&own)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", own.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("COLUMNS", "120")
        .env("FUZZ_HOOKS", tests.join("schemathesis/hooks.py"))
        .envs([
            ("FUZZ_URL", server.origin()),
            ("FUZZ_KEY", KEY),
            ("FUZZ_OTHER_KEY", OTHER_KEY),
        ])
        .env("FUZZ_PAGE", site.url("/title/scraped?"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    match seconds {
        Some(seconds) => command.args(["--max-time", &seconds.to_string()]),
        None => command.arg("--generation-deterministic"),
    };
    let deadline = DEADLINE + Duration::from_secs(seconds.unwrap_or(0));
    let ended = tokio::time::timeout(deadline, command.output()).await;
    ended
        .expect("schemathesis ends")
        .expect("`make setup-tests` makes the venv")
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test]
async fn schemathesis_finds_no_difference_between_server_and_file() {
    let (server, site) = tokio::join!(server(), Site::start());
    let seconds = std::env::var("FUZZ_SECONDS")
        .ok()
        .map(|seconds| seconds.parse().expect("FUZZ_SECONDS is a number"));
    let output = examine(&server, &site, TEXT, seconds, &[]).await;
    let printed = text(&output);
    assert!(output.status.success(), "{printed}");
    // A run whose requests are all rejected would also find nothing.
    let log = server.output();
    let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert!(
        count("session created") >= 30 && count("session ended") >= 30,
        "{printed}{log}"
    );
    assert!(
        count("scrape finished outcome=\"succeeded\"") >= 20,
        "few scrapes succeeded\n{printed}{log}"
    );
    for language in ["node", "python", "bash"] {
        assert!(
            count(&format!("language=\"{language}\"")) >= 3,
            "little {language} ran\n{printed}{log}"
        );
    }
    eprintln!("{printed}");
    server.stop().await;
}

/// Checks that schemathesis detects errors in the file, so that the test above is meaningful.
#[tokio::test]
async fn schemathesis_detects_a_wrong_rule_in_the_file() {
    let (server, site) = tokio::join!(server(), Site::start());
    let wrong = TEXT.replacen("\"maximum\": 3600", "\"maximum\": 3601", 1);
    assert_ne!(wrong, TEXT);
    let only = [
        "--phases",
        "coverage",
        "--include-operation-id",
        "createSession",
    ];
    let output = examine(&server, &site, &wrong, None, &only).await;
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(
        printed.contains("Too big: expected number to be <=3600"),
        "{printed}"
    );
    server.stop().await;
}
