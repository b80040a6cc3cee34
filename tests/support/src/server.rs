//! A real server in a separate process.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::Child;

use crate::api::Api;
use crate::browser_wrapper::BrowserWrapper;
use crate::eventually::eventually;
use crate::output::Output;
use crate::plain_user::PlainUser;
use crate::process::{self, Process};
use crate::server_builder::ServerBuilder;

const STOP_DEADLINE: Duration = Duration::from_secs(15);
/// Time for the kernel to empty the process table after the last response.
const TABLE_DEADLINE: Duration = Duration::from_secs(1);

/// A running server. It derefs to an [`Api`] without a key, under the first prefix.
///
/// A test ends it with [`TestServer::stop`]. When a test panics, dropping the server kills it and
/// every process it started.
#[derive(Debug)]
pub struct TestServer {
    /// A client of the node that takes requests.
    api: Api,
    /// A client of this server itself.
    direct: Api,
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
    /// The node that takes this server's requests, in tests that run behind one.
    entry: Option<Box<Entry>>,
    has_ended: bool,
}

/// A node in front of a server.
#[derive(Debug)]
pub(crate) struct Entry {
    pub node: TestServer,
    /// The key of clients, unless the test has set keys.
    pub key: Option<String>,
    /// The dir with the profiles of both nodes.
    pub profiles: PathBuf,
}

/// The parts of a server that has started.
pub(crate) struct Started {
    pub origin: String,
    pub child: Child,
    pub stdout: Output,
    pub stderr: Output,
    pub data_dir: PathBuf,
    pub own_data_dir: Option<TempDir>,
    pub plain_user: Option<PlainUser>,
    pub browser: Option<BrowserWrapper>,
}

impl Deref for TestServer {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// Returns true for the processes of the server itself, and false for those that it started.
fn is_server(process: &Process) -> bool {
    process.command.contains("hearth serve")
}

impl TestServer {
    /// Starts a server with the defaults.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Returns a builder for a server.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    pub(crate) fn new(started: Started) -> Self {
        let Started {
            origin,
            child,
            stdout,
            stderr,
            data_dir,
            own_data_dir,
            plain_user,
            browser,
        } = started;
        let api = Api::new(origin);
        Self {
            direct: api.clone(),
            api,
            pid: child
                .id()
                .and_then(|pid| pid.try_into().ok())
                .expect("a ready server has a pid"),
            child,
            stdout,
            stderr,
            data_dir,
            _own_data_dir: own_data_dir,
            _plain_user: plain_user,
            _browser: browser,
            seen: Mutex::default(),
            entry: None,
            has_ended: false,
        }
    }

    /// Makes clients use another node, which ends with this server.
    #[must_use]
    pub(crate) fn behind(mut self, entry: Entry) -> Self {
        let keyed = |api: &Api| match &entry.key {
            Some(key) => api.with_key(key),
            None => api.clone(),
        };
        self.api = keyed(&entry.node);
        self.direct = keyed(&self.direct);
        self.entry = Some(Box::new(entry));
        self
    }

    async fn stop_entry(&mut self) {
        if let Some(entry) = self.entry.take() {
            Box::pin(entry.node.stop()).await;
        }
    }

    /// Returns a client of this server itself. Clients use another node if this server is behind
    /// one, whose metrics and readiness are not those of this server.
    pub fn direct(&self) -> &Api {
        &self.direct
    }

    /// Returns the key that clients need although the test has set none.
    pub fn key(&self) -> Option<&str> {
        self.entry.as_ref()?.key.as_deref()
    }

    /// Returns the dir with saved profiles. The format is private to the server, and that of a
    /// cluster also has the previous versions of profiles.
    pub fn profiles_dir(&self) -> PathBuf {
        let shared = self.entry.as_ref().map(|entry| &entry.profiles);
        let parent = shared.unwrap_or(&self.data_dir);
        parent.join("profiles")
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
        let entry = self.entry.as_ref().map(|entry| entry.node.output());
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        format!("{stdout}{stderr}{}", entry.unwrap_or_default())
    }

    /// Returns the last line of the log that contains all of `parts`.
    pub fn last_log_line(&self, parts: &[&str]) -> Option<String> {
        self.stderr.last_line_with(parts)
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
        self.stop_entry().await;
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
