//! schemathesis against a live server: it makes requests up from the file alone, good ones and bad
//! ones, follows links from one operation to the next, and holds every answer against the file.
//! tests/schemathesis has its settings.
//!
//! `make test` has it do the same every time; `make fuzz` lets it loose with another seed for as
//! long as one likes.

use std::process::{Output, Stdio};
use std::time::Duration;

use hearth_test_support::description::TEXT;
use hearth_test_support::{TestServer, repository};
use tokio::process::Command;

const KEY: &str = "fuzz-key";
const OTHER_KEY: &str = "other-key";

/// It takes half a minute on an idle machine.
const DEADLINE: Duration = Duration::from_secs(150);

async fn server() -> TestServer {
    let builder =
        TestServer::builder().setting("HEARTH_API_KEYS", &format!("fuzz:{KEY},other:{OTHER_KEY}"));
    // The hooks keep fewer alive. It is the shrinking of a finding that may come near.
    builder.setting("HEARTH_MAX_SESSIONS", "6").start().await
}

/// Runs schemathesis on a file to its end, for `seconds` if a number is given.
async fn examine(
    server: &TestServer,
    file: &str,
    seconds: Option<u64>,
    arguments: &[&str],
) -> Output {
    let own = tempfile::tempdir().expect("there is room for a folder");
    std::fs::write(own.path().join("openapi.json"), file).expect("it can be written");
    let tests = repository().join("tests");
    let mut command = Command::new(tests.join(".venv/bin/python"));
    command
        .args(["-P", "-m", "schemathesis.cli", "--config-file"])
        .arg(tests.join("schemathesis/schemathesis.toml"))
        .args(["run", "openapi.json", "--url", server.origin()])
        .args(arguments)
        // What it learns of a server it keeps in its working folder.
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
async fn schemathesis_finds_nothing_that_is_not_as_the_file_says() {
    let server = server().await;
    let seconds = std::env::var("FUZZ_SECONDS")
        .ok()
        .map(|seconds| seconds.parse().expect("FUZZ_SECONDS is a number"));
    let output = examine(&server, TEXT, seconds, &[]).await;
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    // Requests that are all refused would find nothing either.
    let log = server.output();
    let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert!(
        count("session created") >= 30 && count("session ended") >= 30,
        "{said}{log}"
    );
    for language in ["node", "python", "bash"] {
        assert!(
            count(&format!("language=\"{language}\"")) >= 3,
            "little {language} ran\n{said}{log}"
        );
    }
    eprintln!("{said}");
    server.stop().await;
}

/// The test above is worth what schemathesis notices.
#[tokio::test]
async fn schemathesis_finds_a_rule_that_the_file_does_not_tell_as_it_is() {
    let server = server().await;
    let wrong = TEXT.replacen("\"maximum\": 3600", "\"maximum\": 3601", 1);
    assert_ne!(wrong, TEXT);
    let only = [
        "--phases",
        "coverage",
        "--include-operation-id",
        "createSession",
    ];
    let output = examine(&server, &wrong, None, &only).await;
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("Too big: expected number to be <=3600"),
        "{said}"
    );
    server.stop().await;
}
