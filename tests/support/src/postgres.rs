//! A private PostgreSQL server.

use std::fs::{File, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};
use tempfile::TempDir;

use crate::eventually::eventually;
use crate::process::{self, Process};

const START_DEADLINE: Duration = Duration::from_mins(1);
/// The database user with all rights.
const SUPERUSER: &str = "postgres";
/// The dirs with the programs of each version, on Debian.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A private PostgreSQL server on a free loopback port and a Unix socket.
///
/// It ends when it is dropped and when the test process ends.
#[derive(Debug)]
pub struct TestPostgres {
    dir: TempDir,
    port: u16,
    databases: AtomicU32,
    /// The certificate and its key, if connections may use TLS.
    tls: Option<[PathBuf; 2]>,
    /// True if commits wait for the disk.
    is_durable: bool,
    running: Option<Running>,
}

/// The main process of a server, and the thread that started it.
#[derive(Debug)]
struct Running {
    pid: i32,
    waiting: JoinHandle<()>,
}

impl TestPostgres {
    /// Creates a server without data and starts it.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Creates a server without data, with a certificate and its key, and starts it.
    pub async fn start_with_tls(certificate: &Path, key: &Path) -> Self {
        Self::start_with(Some([certificate, key])).await
    }

    async fn start_with(tls: Option<[&Path; 2]>) -> Self {
        let dir = crate::server_builder::new_data_dir();
        create_data(&dir.path().join("data"));
        if let Some(user) = unprivileged_user() {
            chown(&dir, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .expect("root may change owners");
        }
        let tls = tls.map(|paths| paths.map(|path| copy_private(path, dir.path())));
        let mut server = Self {
            dir,
            port: free_port(),
            databases: AtomicU32::new(0),
            tls,
            is_durable: false,
            running: None,
        };
        server.launch().await;
        server
    }

    /// Returns the URL of the database that every server has. Tests that share the server use
    /// [`create_database`](Self::create_database).
    pub fn url(&self) -> String {
        self.url_of(SUPERUSER, SUPERUSER)
    }

    /// Returns the URL of a database for a user.
    pub fn url_of(&self, user: &str, database: &str) -> String {
        format!("postgresql://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns the dir with all files of the server.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the port of the server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Creates an empty database and returns its URL.
    pub fn create_database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test{number}");
        self.query(SUPERUSER, &format!("CREATE DATABASE {name}"));
        self.url_of(SUPERUSER, &name)
    }

    /// Runs SQL in a database, which a name or a URL selects. Returns the rows, with `|` between
    /// columns.
    pub fn query(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database).args(["-c", sql]).output();
        let output = output.expect("psql is installed with PostgreSQL");
        text_of(&output).trim().to_owned()
    }

    /// Returns a command that runs the SQL of its standard input in a database, which a name or a
    /// URL selects.
    pub fn psql(&self, database: &str) -> Command {
        let name = database.rsplit('/').next().unwrap_or(database);
        let mut command = Command::new(bin_dir().join("psql"));
        command
            .args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"])
            .args(["-U", SUPERUSER, "-p", &self.port.to_string(), "-h"])
            .arg(self.dir.path())
            .args(["-d", name]);
        command
    }

    /// Returns the processor time that the server has used since its start, in seconds.
    pub fn processor_seconds(&self) -> f64 {
        let Some(running) = &self.running else {
            return 0.0;
        };
        let children = self.processes();
        let others = children.iter().filter(|child| child.pid != running.pid);
        let living: f64 = others.map(|child| child.processor_seconds(false)).sum();
        // Connections that have ended count as children of the main process.
        let main = Process::find(running.pid);
        main.map_or(living, |main| living + main.processor_seconds(true))
    }

    /// Ends the server at once, as a crash does. Its data stays.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            signal(running.pid, Signal::SIGQUIT);
            signal(running.pid, Signal::SIGCONT);
            running.waiting.join().expect("the thread only waits");
        }
    }

    /// Starts the server again on the same port, with the same data.
    pub async fn restart(&mut self) {
        self.stop();
        self.launch().await;
    }

    /// Starts the server again, with commits that wait for the disk, as those of real servers do.
    pub async fn restart_durable(&mut self) {
        self.is_durable = true;
        self.restart().await;
    }

    /// Stops all processes of the server, so that it accepts connections and never responds.
    pub fn pause(&self) {
        for process in self.processes() {
            process.signal(Signal::SIGSTOP);
        }
    }

    /// Continues after [`pause`](Self::pause).
    pub fn resume(&self) {
        for process in self.processes() {
            process.signal(Signal::SIGCONT);
        }
    }

    /// Returns the main process and its children. The main process is the first, because it would
    /// replace a stopped child.
    fn processes(&self) -> Vec<Process> {
        let Some(running) = &self.running else {
            return Vec::new();
        };
        let main = Process::find(running.pid).into_iter();
        main.chain(process::tree(running.pid)).collect()
    }

    async fn launch(&mut self) {
        let log = self.dir.path().join("log");
        let data = self.dir.path().join("data");
        let _ = std::fs::remove_file(data.join("postmaster.pid"));
        let mut command = unprivileged("postgres");
        command
            .arg("-D")
            .arg(&data)
            .args(["-p", &self.port.to_string(), "-k"])
            .arg(self.dir.path())
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "shared_buffers=16MB"])
            // In tests nothing has to survive a power failure.
            .args([
                "-c",
                if self.is_durable {
                    "fsync=on"
                } else {
                    "fsync=off"
                },
            ])
            .args(self.tls.iter().flat_map(tls_arguments))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("the dir belongs to this process"));
        let (started, pid) = mpsc::channel();
        // The server ends with the thread that starts it, so this thread ends with the server.
        let waiting = std::thread::spawn(move || {
            let mut child = command.spawn().expect("util-linux is installed");
            let _ = started.send(child.id());
            let _ = child.wait();
        });
        let pid = pid.recv().expect("the server was started");
        let pid = i32::try_from(pid).expect("ids of processes are positive");
        self.running = Some(Running { pid, waiting });
        eventually(START_DEADLINE, "PostgreSQL accepts connections", || async {
            let state = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
            if state.lines().nth(7).map(str::trim) == Some("ready") {
                return Ok(());
            }
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(Process::find(pid).is_some(), "PostgreSQL ended:\n{log}");
            Err(log)
        })
        .await;
    }
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        self.resume();
        self.stop();
    }
}

fn signal(pid: i32, signal: Signal) {
    if let Some(process) = Process::find(pid) {
        process.signal(signal);
    }
}

/// Returns a port of loopback that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// Creates the files of a server without data. They are copied from those that the first test
/// creates, which takes a tenth of the time.
fn create_data(target: &Path) {
    let program = std::env::current_exe().expect("a running program has a path");
    let template = program.with_file_name("test-postgres");
    let lock = File::create(template.with_extension("lock")).expect("cargo writes there as well");
    let lock = Flock::lock(lock, FlockArg::LockExclusive).expect("files can be locked");
    if !template.exists() {
        let dir = crate::server_builder::new_data_dir();
        let draft = dir.path().join("data");
        if let Some(user) = unprivileged_user() {
            chown(&dir, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .expect("root may change owners");
        }
        let created = unprivileged("initdb")
            .arg("-D")
            .arg(&draft)
            .args(["-U", SUPERUSER, "-A", "trust", "-E", "UTF8"])
            .args(["--no-locale", "--no-sync", "--wal-segsize=1"])
            .output();
        text_of(&created.expect("util-linux is installed"));
        let copied = template.with_extension("draft");
        let _ = std::fs::remove_dir_all(&copied);
        copy(&draft, &copied);
        std::fs::rename(&copied, &template).expect("both are in one dir");
    }
    copy(&template, target);
    drop(lock);
}

/// Copies a file into a dir, where only the server can read it.
fn copy_private(file: &Path, dir: &Path) -> PathBuf {
    let copied = dir.join(file.file_name().expect("a file"));
    std::fs::copy(file, &copied).expect("the dir is writable");
    std::fs::set_permissions(&copied, Permissions::from_mode(0o600)).expect("its owner may");
    if let Some(user) = unprivileged_user() {
        chown(&copied, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
            .expect("root may change owners");
    }
    copied
}

fn tls_arguments([certificate, key]: &[PathBuf; 2]) -> Vec<String> {
    let settings = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", certificate.display()),
        format!("ssl_key_file={}", key.display()),
    ];
    settings
        .into_iter()
        .flat_map(|setting| ["-c".to_owned(), setting])
        .collect()
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).output();
    text_of(&copied.expect("coreutils are installed"));
}

/// Returns the stdout of a command that succeeded.
fn text_of(output: &Output) -> String {
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(output.status.success(), "{stdout}{stderr}");
    stdout
}

/// Returns a command for a program of PostgreSQL, which refuses to run as root. It ends when this
/// thread ends.
fn unprivileged(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(user) = unprivileged_user() {
        command
            .arg(format!("--reuid={}", user.uid))
            .arg(format!("--regid={}", user.gid))
            .arg("--clear-groups");
    }
    command
        .args(["--pdeathsig", "QUIT", "--"])
        .arg(bin_dir().join(program))
        .current_dir("/")
        .env_clear()
        .env("LC_ALL", "C");
    command
}

/// Returns the user for the server, unless this process has no privileges.
fn unprivileged_user() -> Option<User> {
    if !geteuid().is_root() {
        return None;
    }
    let find = |name| User::from_name(name).ok().flatten();
    Some(
        find("postgres")
            .or_else(|| find("nobody"))
            .expect("every machine has the user nobody"),
    )
}

/// Returns the dir with the programs of the newest installed version.
fn bin_dir() -> PathBuf {
    let versions = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let newest = versions
        .map(|entry| entry.path().join("bin"))
        .filter(|dir| dir.join("initdb").exists())
        .max_by_key(|dir| {
            let version = dir.parent().and_then(Path::file_name);
            version.and_then(|version| version.to_str()?.parse::<u32>().ok())
        });
    let path = std::env::var_os("PATH").unwrap_or_default();
    newest
        .or_else(|| std::env::split_paths(&path).find(|dir| dir.join("initdb").exists()))
        .expect("PostgreSQL is not installed: run scripts/setup-tests")
}
