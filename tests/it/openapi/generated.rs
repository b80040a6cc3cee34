//! Clients that widely used generators create from the OpenAPI file. Programs that use them work
//! against a server, and the types of the one in TypeScript are checked.

use std::path::Path;
use std::process::Stdio;

use hearth_test_support::description::TEXT;
use hearth_test_support::{TestServer, repository};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

const KEY: &str = "generated-client-key";

/// Runs a program in `dir` to its end, and returns its output.
async fn run(
    dir: &Path,
    program: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", dir)
        .env("NO_COLOR", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("make setup-tests has installed it");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{arguments:?}: {}\n{stdout}{stderr}",
        output.status
    );
    format!("{stdout}{stderr}")
}

/// Returns a dir with the OpenAPI file and the files of tests/generated.
fn project() -> TempDir {
    let dir = tempfile::tempdir().expect("a dir can be created");
    let sources = repository().join("tests/generated");
    for entry in std::fs::read_dir(&sources).expect("it exists").flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file {
            let copy = dir.path().join(entry.file_name());
            std::fs::copy(entry.path(), copy).expect("it can be copied");
        }
    }
    std::fs::write(dir.path().join("openapi.json"), TEXT).expect("it can be written");
    dir
}

/// Runs a program that uses a generated client, and checks what it got.
async fn check(dir: &Path, interpreter: &Path, program: &str) {
    let server = TestServer::builder()
        .setting("HEARTH_API_KEYS", KEY)
        .start()
        .await;
    let environment = [
        ("HEARTH_URL", server.origin()),
        ("HEARTH_API_KEY", KEY),
        ("PYTHONPATH", "."),
    ];
    let printed = run(dir, interpreter, &[program], &environment).await;
    let printed: Value = serde_json::from_str(&printed).expect("a line of JSON");
    let expected = json!({
        "exitCode": 0,
        "listed": [true],
        "status": "active",
        "rejected": [400, false],
        "deleted": true,
        "gone": [410, "Browser session has been destroyed."],
    });
    assert_eq!(printed, expected);
    server.stop().await;
}

#[tokio::test]
async fn a_generated_client_in_typescript_works_and_has_correct_types() {
    let project = project();
    let dir = project.path();
    let node = repository().join("runtime/.installed/bin/node");
    let modules = repository().join("tests/generated/node_modules");
    let module = |name: &str| modules.join(name).to_string_lossy().into_owned();
    let paths = [("INPUT", "openapi.json"), ("OUTPUT", "hearth")];
    let generator = module("@hey-api/openapi-ts/bin/run.js");
    // The configuration imports the generator.
    std::os::unix::fs::symlink(&modules, dir.join("node_modules")).expect("it can be linked");
    run(
        dir,
        &node,
        &[&generator, "-f", "openapi-ts.config.mjs"],
        &paths,
    )
    .await;
    run(dir, &node, &[&module("typescript/bin/tsc"), "-p", "."], &[]).await;
    check(dir, &node, "program.mts").await;
}

#[tokio::test]
async fn a_generated_client_in_python_works() {
    let project = project();
    let dir = project.path();
    let python = repository().join("tests/.venv/bin/python");
    let generator = "from openapi_python_client.cli import app; app()";
    let options = "generate --meta none --path openapi.json --output-path hearth_client \
                   --config openapi-python-client.yaml";
    let arguments: Vec<&str> = ["-c", generator]
        .into_iter()
        .chain(options.split_ascii_whitespace())
        .collect();
    let printed = run(dir, &python, &arguments, &[("COLUMNS", "200")]).await;
    // It knows no types for files, metrics and pictures.
    let untyped = ["/files/{path} within", "/metrics within", "/picture within"];
    let warnings = printed.lines().filter(|line| line.contains("WARNING"));
    let unexpected: Vec<&str> = warnings
        .filter(|line| !untyped.iter().any(|route| line.contains(route)))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}\n{printed}");
    check(dir, &python, "program.py").await;
}
