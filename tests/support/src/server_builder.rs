//! Builds and starts a real server in a separate process.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::behind_entry;
use crate::browser_wrapper::BrowserWrapper;
use crate::installation::{binary, given_runtime};
use crate::output::Output;
use crate::plain_user::{self, PlainUser};
use crate::server::{Started, TestServer};
use crate::terminal::Terminal;

/// The API key of test servers in a cluster.
pub const CLUSTER_KEY: &str = "cluster-key";

const START_DEADLINE: Duration = Duration::from_secs(20);
/// Time for the kernel to empty the process table after the last response.
const TABLE_DEADLINE: Duration = Duration::from_secs(1);

/// A builder for a test server.
#[derive(Debug)]
pub struct ServerBuilder {
    pub(crate) environment: Vec<(String, String)>,
    arguments: Vec<String>,
    data_dir: Option<PathBuf>,
    is_log_read: bool,
    plain_user: Option<PlainUser>,
    /// The program that replaces the browser.
    browser: Option<BrowserWrapper>,
    max_open_files: Option<u64>,
    terminal: Option<File>,
    is_single: bool,
    /// The executable, unless it is the one under test.
    binary: Option<PathBuf>,
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Self {
            environment: Vec::new(),
            arguments: Vec::new(),
            data_dir: None,
            is_log_read: true,
            plain_user: None,
            browser: None,
            max_open_files: None,
            terminal: None,
            is_single: false,
            binary: None,
        }
    }
}

/// The output of a server that failed to start.
#[derive(Debug)]
pub struct StartFailure {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// The content of stdout.
    pub stdout: String,
    /// The content of stderr.
    pub stderr: String,
}

/// Creates a data dir in `/tmp` or in `HEARTH_TEST_DIR`. Its path is short because Chromium creates
/// sockets below it, and socket paths have a max length.
pub fn new_data_dir() -> TempDir {
    let parent = std::env::var_os("HEARTH_TEST_DIR").unwrap_or_else(|| "/tmp".into());
    tempfile::Builder::new()
        .prefix("ht-")
        .tempdir_in(parent)
        .expect("the parent dir is writable")
}

impl ServerBuilder {
    /// Sets an environment variable of the server.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(existing, _)| existing != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the browser with a program that only prints a version, so that every session fails.
    /// Tests that need only HTTP use it.
    #[must_use]
    pub fn without_browser(self) -> Self {
        self.browser(BrowserWrapper::without_browser())
    }

    /// Uses this executable as the browser.
    #[must_use]
    pub fn browser(mut self, browser: BrowserWrapper) -> Self {
        let path = browser.path();
        self.browser = Some(browser);
        self.setting("HEARTH_BROWSER", &path)
    }

    /// Makes the server a node of the cluster with this database. Its clients need
    /// [`CLUSTER_KEY`](crate::CLUSTER_KEY).
    #[must_use]
    pub fn in_cluster(self, database_url: &str, node_name: &str) -> Self {
        // Links in responses need the port before the server has it.
        let address = format!("127.0.0.1:{}", crate::postgres::free_port());
        self.single()
            .setting("HEARTH_DATABASE_URL", database_url)
            .setting("HEARTH_NODE_NAME", node_name)
            .setting("HEARTH_PEER_LISTEN", "127.0.0.1:0")
            .setting("HEARTH_CLUSTER_SECRET", &"test-secret".repeat(3))
            .setting("HEARTH_API_KEYS", &format!("test:{CLUSTER_KEY}"))
            .setting("HEARTH_LISTEN", &address)
            .setting("HEARTH_PUBLIC_URL", &format!("http://{address}"))
    }

    /// Adds an argument after `serve`.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Closes the read end of the server's stderr, so every log write fails.
    #[must_use]
    pub fn without_log_reader(mut self) -> Self {
        self.is_log_read = false;
        self
    }

    /// Uses a dir that the test owns, instead of one that is removed with the server.
    #[must_use]
    pub fn data_dir(mut self, path: &Path) -> Self {
        self.data_dir = Some(path.to_owned());
        self
    }

    /// Runs the server as an unprivileged user; requires root.
    #[must_use]
    pub fn as_plain_user(mut self) -> Self {
        // The nodes of a test share a directory of one user.
        self.is_single = true;
        self.plain_user = Some(PlainUser::new(
            &binary(),
            &given_runtime().unwrap_or_else(|| crate::repository().join("runtime")),
        ));
        self
    }

    /// Limits the open files of the server and of its programs.
    #[must_use]
    pub fn max_open_files(mut self, max: u64) -> Self {
        self.max_open_files = Some(max);
        self
    }

    /// Starts the server in a terminal, as a shell does.
    #[must_use]
    pub fn in_terminal(mut self, terminal: &Terminal) -> Self {
        self.terminal = Some(terminal.file());
        self
    }

    /// Runs another executable, such as that of an earlier version.
    #[must_use]
    pub fn binary(mut self, path: &Path) -> Self {
        self.binary = Some(path.to_owned());
        self
    }

    /// Runs this server alone also if `HEARTH_TEST_CLUSTER` is set.
    #[must_use]
    pub fn single(mut self) -> Self {
        self.is_single = true;
        self
    }

    /// Returns the value of a setting.
    pub fn value(&self, name: &str) -> Option<&str> {
        let setting = self.environment.iter().find(|(other, _)| other == name);
        setting.map(|(_, value)| value.as_str())
    }

    /// Returns true if the server runs as an unprivileged user.
    pub(crate) fn runs_as_plain_user(&self) -> bool {
        self.plain_user.is_some()
    }

    /// Returns the dir that the test owns.
    pub(crate) fn given_data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    fn command(&self, data_dir: &Path) -> Command {
        // A separate process session identifies every shim, because shims have no environment to
        // search. The server also ends if the test is killed. setsid, setpriv and prlimit exec the
        // next program, so the pid stays the same.
        let mut command = Command::new("/usr/bin/setsid");
        let stdin = self.terminal.as_ref().map_or_else(Stdio::null, |terminal| {
            command.arg("--ctty");
            terminal.try_clone().expect("a descriptor is free").into()
        });
        command.args(["/usr/bin/setpriv", "--pdeathsig", "TERM"]);
        if let Some(max) = self.max_open_files {
            command.args(["/usr/bin/prlimit", &format!("--nofile={max}:{max}")]);
        }
        command
            .arg(
                self.plain_user
                    .as_ref()
                    .map(PlainUser::binary)
                    .or_else(|| self.binary.clone())
                    .unwrap_or_else(binary),
            )
            .arg("serve")
            .args(&self.arguments)
            .current_dir(crate::repository())
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HEARTH_LISTEN", "127.0.0.1:0")
            .env("HEARTH_DATA_DIR", data_dir)
            .envs(given_runtime().map(|dir| ("HEARTH_RUNTIME_DIR", dir)))
            // Tests count the processes of their sessions.
            .env("HEARTH_WARM_SESSIONS", "0")
            // The test sites listen on loopback.
            .env("HEARTH_EGRESS_ALLOW", "127.0.0.1:*,localhost:*,[::1]:*")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(stdin)
            .kill_on_drop(true);
        if let Some(plain) = &self.plain_user {
            plain_user::give(data_dir);
            command
                .uid(plain_user::UID)
                .gid(plain_user::UID)
                .current_dir(plain.dir());
            command.env("HEARTH_RUNTIME_DIR", plain.runtime());
        }
        command
    }

    /// Starts the server and waits until it is ready; panics with its output if that takes longer
    /// than 20 s. With `HEARTH_TEST_CLUSTER`, clients reach it through another node.
    pub async fn start(self) -> TestServer {
        if self.is_single || !behind_entry::is_wanted() {
            return self.start_alone().await;
        }
        behind_entry::start(self).await
    }

    pub(crate) async fn start_alone(self) -> TestServer {
        let own_data_dir = self.data_dir.is_none().then(new_data_dir);
        let data_dir = self
            .data_dir
            .clone()
            .or_else(|| Some(own_data_dir.as_ref()?.path().to_owned()));
        let data_dir = data_dir.expect("the builder has a data dir");
        let (child, stdout, stderr) = spawn(self.command(&data_dir));
        let (stdout, ready) = Output::waiting_for(stdout, origin_in);
        let stderr = if self.is_log_read {
            Output::of(stderr)
        } else {
            drop(stderr);
            Output::of(std::io::pipe().expect("a pipe can be created").0)
        };
        let Ok(Ok(origin)) = tokio::time::timeout(START_DEADLINE, ready).await else {
            panic!(
                "the server did not start:\n{}\n{}",
                stdout.text(),
                stderr.text()
            );
        };
        TestServer::new(Started {
            origin,
            child,
            stdout,
            stderr,
            data_dir,
            own_data_dir,
            plain_user: self.plain_user,
            browser: self.browser,
        })
    }

    /// Starts a server that is expected to exit with an error; panics if it does not within 20 s.
    pub async fn refused(self) -> StartFailure {
        let own_data_dir = new_data_dir();
        let data_dir = self
            .data_dir
            .clone()
            .unwrap_or_else(|| own_data_dir.path().to_owned());
        let (mut child, stdout, stderr) = spawn(self.command(&data_dir));
        let (stdout, stderr) = (Output::of(stdout), Output::of(stderr));
        let ended = tokio::time::timeout(START_DEADLINE, child.wait()).await;
        let status = ended
            .unwrap_or_else(|_| panic!("the server started:\n{}{}", stdout.text(), stderr.text()));
        for output in [&stdout, &stderr] {
            output
                .wait_for_end(TABLE_DEADLINE)
                .expect("a server that fails to start leaves no process running");
        }
        StartFailure {
            code: status.expect("it is a child of this process").code(),
            stdout: stdout.text(),
            stderr: stderr.text(),
        }
    }
}

fn spawn(mut command: Command) -> (Child, std::io::PipeReader, std::io::PipeReader) {
    let (stdout, stdout_writer) = std::io::pipe().expect("a pipe can be created");
    let (stderr, stderr_writer) = std::io::pipe().expect("a pipe can be created");
    let child = command
        .stdout(stdout_writer)
        .stderr(stderr_writer)
        .spawn()
        .expect("the server can be started");
    (child, stdout, stderr)
}

/// Parses the origin from a line of server output, replacing names and the wildcard address with
/// loopback.
fn origin_in(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("http://")?;
    let (host, rest) = rest.split_once(':')?;
    let host = host
        .parse::<Ipv4Addr>()
        .ok()
        .filter(|host| !host.is_unspecified());
    let host = host.unwrap_or(Ipv4Addr::LOCALHOST);
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!port.is_empty()).then(|| format!("http://{host}:{port}"))
}
