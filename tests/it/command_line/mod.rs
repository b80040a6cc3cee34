//! The commands that use a running server: `hearth new`, `ls`, `exec`, `files`, `open` and `rm`.

mod errors;
mod exec;
mod files;
mod keys;
mod sessions;
mod streaming;

use std::process::Stdio;

use hearth_test_support::{TestServer, binary};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The output of a command, and its exit code.
#[derive(Debug)]
struct Ran {
    /// `None` after a signal.
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    /// Returns what a successful command printed to stdout, without the last newline.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        let text = self.stdout.strip_suffix('\n');
        text.unwrap_or(&self.stdout).to_owned()
    }

    /// Asserts that the command failed with this code, a first line that contains `error`, and a
    /// fix that contains `fix`.
    #[track_caller]
    fn failed(&self, code: i32, error: &str, fix: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        let (first, rest) = self.stderr.split_once('\n').expect("a line");
        assert!(
            first.starts_with("hearth: ") && first.contains(error),
            "{self:?}"
        );
        let is_fixed = fix.is_empty() || (rest.starts_with("  fix: ") && rest.contains(fix));
        assert!(is_fixed, "{self:?}");
    }
}

/// Returns a command of the client, without the environment of the test.
fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs a command with this environment.
async fn run_with(arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let output = command(arguments, environment).output().await;
    let output = output.expect("the program can be started");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Returns the variables with which a command finds a server, and the key that the server needs.
fn environment(server: &TestServer) -> Vec<(&'static str, &str)> {
    let key = server.key().map(|key| ("HEARTH_API_KEY", key));
    let url = ("HEARTH_URL", server.origin());
    [url].into_iter().chain(key).collect()
}

/// Runs a command against a server whose test has set no keys.
async fn run(server: &TestServer, arguments: &[&str]) -> Ran {
    run_with(arguments, &environment(server)).await
}

/// Runs a command that reads `input`.
async fn run_reading(server: &TestServer, arguments: &[&str], input: &str) -> Ran {
    let mut child = command(arguments, &environment(server))
        .stdin(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut stdin = child.stdin.take().expect("a pipe");
    let written = stdin.write_all(input.as_bytes()).await;
    written.expect("the program reads its input");
    drop(stdin);
    let output = child.wait_with_output().await.expect("it ends");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
