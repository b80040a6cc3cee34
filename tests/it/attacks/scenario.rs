//! The target of the attacks: a server with secrets, two sessions, and a listener of another
//! program on the machine.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hearth_test_support::netns::{METADATA_ADDRESS, PRIVATE_ADDRESS};
use hearth_test_support::process::{self, Process};
use hearth_test_support::{ExternalListener, Session, TestServer, plain_user, repository};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::attacks::level::Level;
use crate::attacks::row::ProbeResults;

/// The client's API key, which is a secret of the server.
pub const KEY: &str = "HEARTH-CANARY-KEY";
/// A secret in the server's environment that the server does not use.
const FOREIGN_SECRET: &str = "HEARTH-CANARY-FOREIGN";
/// A secret in a file of the other session.
const NEIGHBOURS_SECRET: &str = "HEARTH-CANARY-NEIGHBOUR";

/// The name of the abstract Unix socket.
const ABSTRACT: &str = "hearth-test-listener";

/// The name of a trace that a session leaves behind.
const TRACE: &str = "hearth-trace";

/// A server, its sessions, and every resource that an attack may target.
pub struct Scenario {
    pub level: Level,
    pub server: TestServer,
    /// The attacking session.
    pub own: Session,
    pub neighbour: Session,
    pub own_dir: PathBuf,
    pub neighbour_dir: PathBuf,
    /// A dir that belongs to no session.
    pub outside: TempDir,
    /// A dir outside `/tmp`, because files in `/tmp` are hidden even without isolation.
    _data_dir: TempDir,
    pub listener: ExternalListener,
    /// The listener's port for TCP and UDP.
    pub port: u16,
    /// An address that the settings permit.
    pub permitted: SocketAddr,
    /// The address of the session's browser in the environment of the session's code.
    pub cdp: String,
}

impl Scenario {
    /// Starts the scenario, with a browser that runs attack scripts
    /// (`tests/fixtures/attacks/browser.py`) or with the usual one.
    pub async fn setup(level: Level, has_own_browser: bool) -> Self {
        let outside = create_outside();
        let mut listener = ExternalListener::default();
        let there = listener.on_tcp("0.0.0.0:0", None).await;
        let loopback = SocketAddr::from(([127, 0, 0, 1], there.port()));
        listener
            .on_tcp(&format!("[::1]:{}", there.port()), None)
            .await;
        listener
            .on_udp(SocketAddr::from(([0, 0, 0, 0], there.port())))
            .await;
        listener
            .on_tcp(&format!("{METADATA_ADDRESS}:80"), None)
            .await;
        listener
            .on_tcp(&format!("{PRIVATE_ADDRESS}:80"), None)
            .await;
        listener
            .on_udp(SocketAddr::from(([127, 0, 0, 1], 53)))
            .await;
        listener.on_unix(&outside.path().join("stream.sock"));
        listener.on_unix_datagrams(&outside.path().join("dgram.sock"));
        listener.on_abstract(ABSTRACT);
        let permitted = listener.on_tcp("127.0.0.1:0", Some(loopback)).await;

        let builder = level
            .server()
            .setting("HEARTH_API_KEYS", KEY)
            .setting("AWS_SECRET_ACCESS_KEY", FOREIGN_SECRET);
        let builder = builder.setting("HEARTH_LOG", "debug");
        let builder = builder.setting("HEARTH_EGRESS_ALLOW", &permitted.to_string());
        let data_dir = new_dir("hd-");
        let builder = if has_own_browser {
            builder.setting("HEARTH_BROWSER", &own_browser(&outside))
        } else {
            builder
        };
        let server = builder.data_dir(data_dir.path()).start().await;
        if level == Level::Plain {
            for path in [outside.path().join("tree"), outside.path().join("own.txt")] {
                chown_all(&path);
            }
        }
        let client = server.with_key(KEY);
        // Deleting the session leaves a profile.
        client
            .session_with(&json!({"profile": {"name": "logins"}}))
            .await
            .delete()
            .await;
        let (neighbour, neighbour_dir) = with_dir(&server, client.session().await);
        let inhabit = format!(
            "umask 000; echo {NEIGHBOURS_SECRET} > secret.txt; agent-browser get url; chmod 644 secret.txt
             for dir in /tmp /dev/shm /var/tmp; do echo {NEIGHBOURS_SECRET} > $dir/neighbour || true; done"
        );
        neighbour.bash(&inhabit).await;
        neighbour.python("kept = 1").await.ok();
        let (own, own_dir) = with_dir(&server, client.session().await);
        let cdp = own
            .bash("agent-browser get url >/dev/null; echo $CDP_URL")
            .await
            .ok()
            .result;
        let port = there.port();
        Self {
            level,
            server,
            own,
            neighbour,
            own_dir,
            neighbour_dir,
            outside,
            _data_dir: data_dir,
            listener,
            port,
            permitted,
            cdp,
        }
    }

    /// Lists the processes of a session, its interpreters before its browser.
    fn processes_of(&self, dir: &Path) -> Vec<Process> {
        self.server.processes();
        let mut found = process::belonging(-1, &dir.to_string_lossy());
        found.retain(|process| !process.is_shim());
        found.sort_by_key(|process| {
            (
                process.command.contains("--type="),
                process.is_browser(),
                process.pid,
            )
        });
        found
    }

    /// Returns the parameters of the attack scripts.
    pub fn parameters(&self) -> Value {
        let pids = |processes: Vec<Process>| {
            processes
                .into_iter()
                .map(|process| process.pid)
                .collect::<Vec<_>>()
        };
        let server_port = port_of(self.server.origin()).unwrap();
        let own_browsers = self
            .processes_of(&self.own_dir)
            .into_iter()
            .filter(Process::is_browser)
            .collect();
        let shims = self
            .server
            .processes()
            .into_iter()
            .filter(Process::is_shim)
            .collect();
        let neighbours = self.processes_of(&self.neighbour_dir);
        let servers = self.server.own_pids();
        let maps = servers
            .iter()
            .chain(neighbours.iter().map(|process| &process.pid))
            .filter_map(|pid| {
                let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
                let start = u64::from_str_radix(maps.split('-').next()?, 16).ok()?;
                Some((pid.to_string(), json!(start)))
            });
        let canaries = [KEY, FOREIGN_SECRET].map(|secret| secret.chars().rev().collect::<String>());
        let mut writable = ["work", "tmp", "a"]
            .map(|part| self.own_dir.join(part))
            .to_vec();
        writable.push("/tmp".into());
        let given_ports = [port_of(&self.cdp), self.proxy_port(&self.own_dir)];
        json!({
            "canaries": canaries,
            "maps": maps.collect::<serde_json::Map<_, _>>(),
            "servers": servers,
            "shims": pids(shims),
            "server_ports": [server_port],
            "neighbours": pids(neighbours),
            "neighbour_id": self.neighbour.id(),
            "neighbour_dir": self.neighbour_dir,
            "neighbour_proxy": self.proxy_port(&self.neighbour_dir),
            "neighbour_tmp": "/tmp/neighbour",
            "neighbour_shm": "/dev/shm/neighbour",
            "neighbour_var_tmp": "/var/tmp/neighbour",
            "own_dir": self.own_dir,
            "compile_cache": self.runtime().join(".installed/compile-cache"),
            "has_compile_cache": self.level != Level::None,
            "own_browsers": pids(own_browsers),
            "outside": self.outside.path(),
            "data_dir": self.server.data_dir(),
            "profile": only_entry(&self.server.data_dir().join("profiles")),
            "abstract": ABSTRACT,
            "cdp": self.cdp,
            "port": self.port,
            "permitted_port": self.permitted.port(),
            "private_address": PRIVATE_ADDRESS,
            "ports": if self.level == Level::None { [self.port, self.port] } else { [1, 65535] },
            "given_ports": given_ports,
            // Without isolation every file can be opened, so the test opens only a few.
            "walk_root": if self.level == Level::None { self.outside.path() } else { Path::new("/") },
            "readable": self.readable(),
            "writable": writable,
            "trace": TRACE,
            "key": 0x4845_4152,
        })
    }

    /// Returns the port of the proxy in the environment of a session's programs, if there is one.
    fn proxy_port(&self, dir: &Path) -> Option<u16> {
        let environments = self
            .processes_of(dir)
            .into_iter()
            .filter_map(|process| process.environment());
        let mut variables = environments.flatten();
        variables.find_map(|variable| port_of(variable.strip_prefix("http_proxy=")?))
    }

    /// Lists the paths that code may read: the system's programs, the few settings that they need,
    /// and its own files.
    fn readable(&self) -> Vec<PathBuf> {
        let system = [
            "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/tmp",
        ];
        let settings = "alternatives ca-certificates ca-certificates.conf chromium fonts gai.conf gitconfig group host.conf \
                        hosts inputrc ld.so.cache ld.so.conf ld.so.conf.d localtime mime.types nsswitch.conf os-release \
                        passwd protocols resolv.conf services ssl timezone wgetrc";
        let devices = ["null", "zero", "full", "random", "urandom"];
        let own = ["work", "tmp", "a", "c"].map(|part| self.own_dir.join(part));
        let paths = system.iter().map(PathBuf::from);
        let paths = paths.chain(settings.split(' ').map(|name| Path::new("/etc").join(name)));
        let paths = paths
            .chain(devices.iter().map(|name| Path::new("/dev").join(name)))
            .chain(own);
        paths
            .chain([self.runtime(), "/sys/devices/system/cpu".into()])
            .collect()
    }

    /// Returns the server's runtime dir.
    fn runtime(&self) -> PathBuf {
        let environment = Process::find(self.server.pid())
            .and_then(|server| server.environment())
            .unwrap_or_default();
        let given = environment
            .iter()
            .find_map(|variable| variable.strip_prefix("HEARTH_RUNTIME_DIR="));
        given.map_or_else(|| repository().join("runtime"), PathBuf::from)
    }

    /// Changes the result to reached for every message that the listener received, regardless of
    /// the script's report.
    pub fn record(&self, results: &mut ProbeResults) {
        for (name, result) in results {
            if !result.starts_with("reached") && self.has_received(name) {
                *result =
                    format!("reached: the listener received it, but the code reported: {result}");
            }
        }
    }

    fn has_received(&self, name: &str) -> bool {
        let (path, line) = (format!(" /{name} "), format!("{name}\r\n"));
        self.listener.has_received(|message| {
            message == name || message.contains(&path) || message.contains(&line)
        })
    }

    /// Finds secrets in the server's log, which must contain none. The server logs as much as
    /// possible without the option to log bodies.
    pub fn leaks(&self) -> Vec<String> {
        let tokens =
            [&self.own, &self.neighbour].map(|session| token_of(session.cdp_url()).to_owned());
        let log = self.server.output();
        let secrets = [
            KEY,
            FOREIGN_SECRET,
            NEIGHBOURS_SECRET,
            hearth_test_support::ANSWER,
            "PARAMETERS",
            token_of(&self.cdp),
        ];
        let secrets = secrets.into_iter().map(str::to_owned).chain(tokens);
        secrets.filter(|secret| log.contains(secret)).collect()
    }

    /// Returns a client of the server with a key.
    pub fn client(&self) -> hearth_test_support::Api {
        self.server.with_key(KEY)
    }

    /// Stops everything, and removes files that code may have left in shared dirs.
    pub async fn teardown(self) {
        self.server.stop().await;
        for name in ["neighbour", TRACE] {
            // If the session had a private /tmp, this file does not exist.
            let _ = fs::remove_file(Path::new("/tmp").join(name));
        }
    }
}

fn port_of(address: &str) -> Option<u16> {
    let rest = address.split_once("://")?.1;
    rest.split('/').next()?.rsplit(':').next()?.parse().ok()
}

/// Returns the token in a URL.
fn token_of(address: &str) -> &str {
    address
        .split_once("token=")
        .map(|(_, token)| token)
        .filter(|token| token.len() > 16)
        .expect("the URL has a token")
}

/// Finds the dir of the session that was created last.
fn with_dir(server: &TestServer, session: Session) -> (Session, PathBuf) {
    let mut dirs: Vec<_> = server
        .session_dirs()
        .into_iter()
        .filter(|dir| dir.is_dir())
        .collect();
    dirs.sort_by_key(|dir| {
        fs::metadata(dir)
            .and_then(|metadata| metadata.modified())
            .ok()
    });
    // If there are two dirs, the older one belongs to the first session.
    let dir = dirs.pop().expect("a session has a dir");
    (session, dir)
}

fn new_dir(prefix: &str) -> TempDir {
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in("/var/tmp")
        .expect("every user may create dirs there")
}

/// Installs the attacking browser where every browser may read it, and returns its path.
fn own_browser(outside: &TempDir) -> String {
    let dir = outside.path().join("bin");
    fs::create_dir(&dir).unwrap();
    let path = dir.join("chromium-headless-shell");
    fs::write(&path, include_str!("../../fixtures/attacks/browser.py")).unwrap();
    for path in [&dir, &path] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    path.to_str().unwrap().to_owned()
}

/// Creates a dir with files that every user may read, that every user may write, and that only the
/// owner may read.
fn create_outside() -> TempDir {
    let outside = new_dir("ho-");
    let at = |name: &str| outside.path().join(name);
    let mode = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(outside.path(), 0o777);
    let write = |name: &str, bits: u32| {
        fs::write(at(name), "HEARTH-CANARY-FILE\n").unwrap();
        mode(&at(name), bits);
    };
    write("secret.txt", 0o644);
    write("own.txt", 0o600);
    for (dir, bits) in [("shared", 0o777), ("tree", 0o755)] {
        fs::create_dir(at(dir)).unwrap();
        mode(&at(dir), bits);
    }
    for name in ["truncate", "append", "rename", "unlink", "link"] {
        write(&format!("shared/{name}"), 0o666);
    }
    for name in ["mode", "times", "owner", "attributes"] {
        write(&format!("tree/{name}"), 0o644);
    }
    outside
}

fn chown_all(path: &Path) {
    plain_user::give(path);
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        plain_user::give(&entry.path());
    }
}

/// Returns the only entry of a dir.
fn only_entry(dir: &Path) -> PathBuf {
    let mut entries = fs::read_dir(dir)
        .expect("a dir")
        .map(|entry| entry.expect("an entry").path());
    let entry = entries.next().expect("an entry");
    assert_eq!(entries.next(), None);
    entry
}
