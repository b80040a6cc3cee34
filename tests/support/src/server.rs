//! Starts and stops a real server in a separate process.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::api::Api;
use crate::browser_wrapper::BrowserWrapper;
use crate::eventually::eventually;
use crate::installation::{binary, given_runtime};
use crate::output::Output;
use crate::plain_user::{self, PlainUser};
use crate::process::{self, Process};
use crate::terminal::Terminal;

/// The API key of test servers in a cluster.
pub const CLUSTER_KEY: &str = "cluster-key";

const START_DEADLINE: Duration = Duration::from_secs(20);
const STOP_DEADLINE: Duration = Duration::from_secs(15);
/// Time for the kernel to empty the process table after the last response.
const TABLE_DEADLINE: Duration = Duration::from_secs(1);

/// A builder for a test server.
#[derive(Debug)]
pub struct ServerBuilder {
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    data_dir: Option<PathBuf>,
    is_log_read: bool,
    plain_user: Option<PlainUser>,
    /// The program that replaces the browser.
    browser: Option<BrowserWrapper>,
    max_open_files: Option<u64>,
    terminal: Option<File>,
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

/// A running server. It derefs to an [`Api`] without a key, under the first prefix.
///
/// A test ends it with [`TestServer::stop`]. When a test panics, dropping the server kills it and
/// every process it started.
#[derive(Debug)]
pub struct TestServer {
    api: Api,
    child: Child,
    pid: i32,
    stdout: Output,
    stderr: Output,
    data_dir: PathBuf,
    /// Removed with the server; absent when a test supplied its own dir.
    _own_data_dir: Option<TempDir>,
    /// The copy for an unprivileged user; absent if the server runs from the repository.
    _plain_user: Option<PlainUser>,
    _browser: Option<BrowserWrapper>,
    /// Every process seen below the server, by id and start time.
    seen: Mutex<BTreeMap<(i32, u64), Process>>,
    has_ended: bool,
}

impl Deref for TestServer {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
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
    pub fn without_browser(mut self) -> Self {
        let browser = BrowserWrapper::without_browser();
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
        self.setting("HEARTH_DATABASE_URL", database_url)
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
                    .map_or_else(binary, PlainUser::binary),
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
    /// than 20 s.
    pub async fn start(self) -> TestServer {
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
        TestServer {
            api: Api::new(origin),
            pid: child
                .id()
                .and_then(|pid| pid.try_into().ok())
                .expect("a ready server has a pid"),
            child,
            stdout,
            stderr,
            data_dir,
            _own_data_dir: own_data_dir,
            _plain_user: self.plain_user,
            _browser: self.browser,
            seen: Mutex::default(),
            has_ended: false,
        }
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

/// Returns true for the processes of the server itself, and false for those that it started.
fn is_server(process: &Process) -> bool {
    process.command.contains("hearth serve")
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

/// Parses the origin from a line of server output, replacing the wildcard address with loopback.
fn origin_in(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("http://")?;
    let (_, rest) = rest.split_once(':')?;
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!port.is_empty()).then(|| format!("http://127.0.0.1:{port}"))
}

impl TestServer {
    /// Starts a server with the defaults.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Returns a builder for a server.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            environment: Vec::new(),
            arguments: Vec::new(),
            data_dir: None,
            is_log_read: true,
            plain_user: None,
            browser: None,
            max_open_files: None,
            terminal: None,
        }
    }

    /// Returns the server's process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Returns the pid of the process that serves requests. It differs from [`TestServer::pid`]
    /// when the server has split off a process with the right to change user ids.
    pub fn serving_pid(&self) -> i32 {
        let tree = process::tree(self.pid);
        let serving = tree
            .iter()
            .find(|process| process.parent == self.pid && is_server(process));
        serving.map_or(self.pid, |process| process.pid)
    }

    /// Returns the server's data dir.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Returns all output so far, stdout first.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout.text(), self.stderr.text())
    }

    /// Lists the processes that the server started, and records them for the check at its end.
    pub fn processes(&self) -> Vec<Process> {
        let mut tree = process::tree(self.pid);
        tree.retain(|process| process.parent != self.pid || !is_server(process));
        let keyed = tree.iter().map(|process| (process.key(), process.clone()));
        self.seen
            .lock()
            .expect("the lock is not poisoned")
            .extend(keyed);
        tree
    }

    /// Returns the listening sockets of the server and of every process below it.
    pub fn listening_sockets(&self) -> BTreeSet<u64> {
        let own = [self.pid, self.serving_pid()];
        process::listening_sockets(
            self.processes()
                .iter()
                .map(|process| process.pid)
                .chain(own),
        )
    }

    /// Returns the pids of the server itself: the process that was started and any that it split
    /// off.
    pub fn own_pids(&self) -> Vec<i32> {
        let exe = |pid: i32| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        let own = exe(self.pid);
        let split = self
            .processes()
            .into_iter()
            .filter(|process| !process.is_shim() && exe(process.pid) == own);
        split.map(|process| process.pid).chain([self.pid]).collect()
    }

    /// Lists the session dirs, below `s` in the data dir (short because of the max length of socket
    /// paths).
    pub fn session_dirs(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.data_dir.join("s"));
        entries
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default()
    }

    /// Sends a signal to the server itself.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid), signal).expect("the server runs");
    }

    /// Stops it with SIGTERM; asserts that it exits with 0 within 15 s and leaves nothing behind.
    pub async fn stop(mut self) {
        self.processes();
        self.signal(Signal::SIGTERM);
        self.ended_by_itself().await;
    }

    /// Waits for a server that received a stop signal, and makes the same assertions as
    /// [`TestServer::stop`].
    pub async fn ended_by_itself(&mut self) {
        let start = Instant::now();
        let ended = tokio::time::timeout(STOP_DEADLINE, self.child.wait()).await;
        let Ok(status) = ended else {
            panic!(
                "still running {:?} after SIGTERM:\n{}",
                start.elapsed(),
                self.output()
            )
        };
        assert_eq!(
            status.expect("it is a child of this process").code(),
            Some(0),
            "{}",
            self.output()
        );
        self.assert_nothing_runs(TABLE_DEADLINE).await;
        assert_eq!(self.session_dirs(), Vec::<PathBuf>::new());
        self.has_ended = true;
    }

    /// Kills it with SIGKILL. Its child processes remain for [`TestServer::assert_nothing_runs`].
    pub async fn kill_hard(&mut self) {
        self.processes();
        self.kill_own(self.pid).await;
    }

    /// Kills one of the server's own processes with SIGKILL, and waits until the server has ended.
    pub async fn kill_own(&mut self, pid: i32) {
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("the server runs");
        self.child
            .wait()
            .await
            .expect("it is a child of this process");
    }

    /// Asserts that within `deadline` no process remains that was seen below the server, belongs to
    /// its process session or mentions its data dir. Afterwards the server counts as ended.
    pub async fn assert_nothing_runs(&mut self, deadline: Duration) {
        eventually(deadline, "no process of the server is left", || async {
            match self.remaining_processes() {
                left if left.is_empty() => Ok(()),
                left => Err(process::describe(&left)),
            }
        })
        .await;
        for output in [&self.stdout, &self.stderr] {
            output
                .wait_for_end(TABLE_DEADLINE)
                .unwrap_or_else(|error| panic!("{error}"));
        }
        self.has_ended = true;
    }

    /// Lists the processes that the server started and that still run.
    fn remaining_processes(&self) -> Vec<Process> {
        let mut left = self.seen.lock().expect("the lock is not poisoned").clone();
        left.retain(|_, process| process.refresh());
        let belonging = process::belonging(self.pid, &self.data_dir.to_string_lossy());
        left.extend(
            belonging
                .into_iter()
                .map(|process| (process.key(), process)),
        );
        left.into_values()
            .filter(|process| process.pid != self.pid)
            .collect()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        eprintln!("--- output of the server\n{}", self.output());
        self.processes();
        // A process tree that keeps forking needs more than one round.
        for _ in 0..20 {
            drop(self.child.start_kill());
            self.processes();
            let left = self.remaining_processes();
            for process in &left {
                process.signal(Signal::SIGKILL);
            }
            if left.is_empty() {
                break;
            }
        }
        assert!(
            std::thread::panicking(),
            "a test must end its server with stop()"
        );
    }
}
