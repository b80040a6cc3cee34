//! A raw browser: Chromium with the flags, the environment and the dirs of a session's browser, but
//! without Hearth.

use std::io::PipeReader;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use hearth_test_support::process::{self, Process};
use hearth_test_support::{eventually, new_data_dir, plain_user};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};

use crate::cdp::Connection;

const START_DEADLINE: Duration = Duration::from_secs(20);
const END_DEADLINE: Duration = Duration::from_secs(10);

/// The command line and environment of a session's browser.
#[derive(Debug, Clone)]
pub struct Recipe {
    arguments: Vec<String>,
    environment: Vec<String>,
    /// The session's dir, which occurs in the two fields above.
    dir: String,
}

impl Recipe {
    /// Reads the recipe from a running browser.
    pub fn of(browser: &Process) -> Self {
        let arguments = std::fs::read(format!("/proc/{}/cmdline", browser.pid))
            .expect("the session's browser runs");
        let arguments = split_arguments(&String::from_utf8_lossy(&arguments));
        let user_data = arguments
            .iter()
            .find_map(|argument| argument.strip_prefix("--user-data-dir="))
            .expect("a session's browser has its own user data");
        let dir = user_data
            .strip_suffix("/user-data")
            .expect("the user data is in the session's dir")
            .to_owned();
        // `/proc` does not always show the environment, because Chromium overwrites it with process
        // titles.
        let environment = [
            format!("HOME={dir}"),
            format!("TMPDIR={dir}/tmp"),
            "PATH=/usr/local/bin:/usr/bin:/bin".to_owned(),
            "LANG=C.UTF-8".to_owned(),
            "FC_FONTATIONS=1".to_owned(),
            "DBUS_SESSION_BUS_ADDRESS=disabled:".to_owned(),
        ]
        .to_vec();
        Self {
            arguments,
            environment,
            dir,
        }
    }

    /// Returns the executable's path.
    pub fn executable(&self) -> &str {
        &self.arguments[0]
    }

    fn placed(&self, words: &[String], dir: &Path) -> Vec<String> {
        words
            .iter()
            .map(|word| word.replace(&self.dir, &dir.to_string_lossy()))
            .collect()
    }
}

/// Splits a command line from `/proc`. Chromium replaces its command line with a process title, in
/// which spaces separate the arguments. The user agent contains spaces as well.
fn split_arguments(command_line: &str) -> Vec<String> {
    let text = command_line.trim_end_matches('\0');
    if text.contains('\0') {
        return text.split('\0').map(str::to_owned).collect();
    }
    let (flags, page) = text
        .rsplit_once(' ')
        .expect("the last argument is the page to open");
    let mut arguments: Vec<String> = flags
        .split(" --")
        .enumerate()
        .map(|(at, part)| match at {
            0 => part.to_owned(),
            _ => format!("--{part}"),
        })
        .collect();
    arguments.push(page.to_owned());
    arguments
}

/// A running raw browser. Dropping it kills it.
#[derive(Debug)]
pub struct RawChromium {
    child: Child,
    group: Pid,
    dir: TempDir,
    /// Kept open because the browser writes to them.
    _outputs: (Option<BufReader<ChildStderr>>, Option<PipeReader>),
}

impl RawChromium {
    /// Starts a browser on a pipe and waits until its first page is announced.
    pub async fn start_on_pipe(recipe: &Recipe) -> (Self, Connection) {
        let dir = new_data_dir();
        let (commands, ours_to_write) = std::io::pipe().expect("a pipe can be created");
        let (ours_to_read, answers) = std::io::pipe().expect("a pipe can be created");
        let (held, errors) = std::io::pipe().expect("a pipe can be created");
        // No safe call puts a descriptor at 3. This shell execs the browser, and starts in less
        // than a millisecond.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>&0"]);
        command.args(recipe.placed(&recipe.arguments, dir.path()));
        command.stdin(commands).stdout(answers).stderr(errors);
        let child = Self::spawn(&mut command, recipe, dir.path());
        drop(command);
        let raw = Self::own(child, dir, (None, Some(held)));
        let mut connection = Connection::over_pipes(ours_to_write, ours_to_read);
        let waiting = async {
            connection
                .send(None, "Target.setDiscoverTargets", json!({"discover": true}))
                .await;
            let is_page =
                |event: &serde_json::Value| event["params"]["targetInfo"]["type"] == "page";
            connection.event("Target.targetCreated", is_page).await
        };
        tokio::time::timeout(START_DEADLINE, waiting)
            .await
            .expect("a raw browser has a page");
        (raw, connection)
    }

    /// Starts a browser that listens on a loopback port, and connects to it.
    pub async fn start_on_port(recipe: &Recipe) -> (Self, Connection) {
        let dir = new_data_dir();
        let mut command = Command::new(recipe.executable());
        let arguments = recipe.placed(&recipe.arguments[1..], dir.path());
        command.args(arguments.iter().map(|argument| match argument.as_str() {
            "--remote-debugging-pipe" => "--remote-debugging-port=0",
            argument => argument,
        }));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = Self::spawn(&mut command, recipe, dir.path());
        let mut errors = BufReader::new(child.stderr.take().expect("it is a pipe"));
        let waiting = async {
            let mut line = String::new();
            loop {
                line.clear();
                let count = errors
                    .read_line(&mut line)
                    .await
                    .expect("a raw browser writes text");
                assert!(count > 0, "the raw browser ended while it started");
                if let Some((_, url)) = line.split_once("listening on ") {
                    return url.trim().to_owned();
                }
            }
        };
        let url = tokio::time::timeout(START_DEADLINE, waiting)
            .await
            .expect("a raw browser prints the address that it listens on");
        (
            Self::own(child, dir, (Some(errors), None)),
            Connection::over_socket(&url).await,
        )
    }

    fn spawn(command: &mut Command, recipe: &Recipe, dir: &Path) -> Child {
        // A session's browser does not run as root, so it uses Chromium's sandbox, which is off for
        // root. The sandbox adds 35 ms to the first page.
        let is_root = nix::unistd::geteuid().is_root();
        for name in ["user-data", "downloads", "tmp"] {
            std::fs::create_dir(dir.join(name)).expect("a new dir can be written");
        }
        if is_root {
            for name in ["user-data", "downloads", "tmp", ""] {
                plain_user::give(&dir.join(name));
            }
            command.uid(plain_user::UID).gid(plain_user::UID);
        }
        command.env_clear();
        for variable in recipe.placed(&recipe.environment, dir) {
            if let Some((name, value)) = variable.split_once('=') {
                command.env(name, value);
            }
        }
        command
            .current_dir(dir)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .expect("a raw browser can be started")
    }

    fn own(
        child: Child,
        dir: TempDir,
        outputs: (Option<BufReader<ChildStderr>>, Option<PipeReader>),
    ) -> Self {
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .expect("it was just started");
        Self {
            child,
            group: Pid::from_raw(pid),
            dir,
            _outputs: outputs,
        }
    }

    /// Kills it and waits until none of its processes remain.
    pub async fn end(mut self) {
        // All processes of the browser are in its process group.
        let _ = killpg(self.group, Signal::SIGKILL);
        self.child
            .wait()
            .await
            .expect("it is a child of this process");
        let dir = self.dir.path().to_string_lossy().into_owned();
        eventually(
            END_DEADLINE,
            "no process of the raw browser is left",
            || async {
                match process::belonging(-1, &dir) {
                    left if left.is_empty() => Ok(()),
                    left => Err(process::describe(&left)),
                }
            },
        )
        .await;
    }
}

impl Drop for RawChromium {
    fn drop(&mut self) {
        // The pid cannot be reused until it is waited for.
        if self.child.id().is_some() {
            let _ = killpg(self.group, Signal::SIGKILL);
        }
    }
}
