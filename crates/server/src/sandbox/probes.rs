//! Tries, through the launchers of a session, what sessions must not be able to do. What is said to
//! be in force was seen to be in force: kernels, containers and filters differ, and a version
//! number is no lock.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearth_confine::{Exit, Launcher, Program};
use nix::unistd::geteuid;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::net::{TcpListener, UnixListener};
use tokio::time::timeout;

use super::SessionSandbox;
use super::report::{Row, State};
use super::{Isolation, Level};
use crate::toolchain::Runtime;

/// How long the attempts may take; a tenth of a second on a machine at rest.
const BOUND: Duration = Duration::from_secs(30);

/// What came out of it.
#[derive(Debug)]
pub(crate) struct Findings {
    pub rows: Vec<Row>,
    /// Whether Chromium can make a sandbox of its own inside ours.
    pub sandbox: bool,
}

impl Findings {
    /// Whether everything that the level promises holds.
    pub fn hold(&self) -> bool {
        self.rows.iter().all(|row| row.state != State::Failed)
    }
}

/// A layer and the attempts that it stands or falls with.
struct Layer {
    name: &'static str,
    attempts: &'static [&'static str],
    /// What it means when it holds.
    meaning: &'static str,
    /// What would bring it.
    mend: &'static str,
    /// When it does not hold: does the level?
    is_needed: bool,
}

const KERNEL: &str = "mend: Linux 6.12 or later with `landlock` in /sys/kernel/security/lsm, or start as root for user ids per session";

/// In the order of the table.
const LAYERS: [Layer; 9] = [
    Layer {
        name: "empty start",
        attempts: &["environment", "descriptors", "locks"],
        meaning: "no variable, descriptor or right of the server's comes along",
        mend: "this is a fault of Hearth's: please report it",
        is_needed: true,
    },
    Layer {
        name: "server",
        attempts: &["server", "signals", "limits"],
        meaning: "its memory, settings and processes are out of reach",
        mend: KERNEL,
        is_needed: true,
    },
    Layer {
        name: "files",
        attempts: &["read", "write"],
        meaning: "the system's programs read-only, the session's folder, nothing else (Landlock)",
        mend: "mend: Linux 6.7 or later with `landlock` in /sys/kernel/security/lsm",
        is_needed: true,
    },
    Layer {
        name: "file metadata",
        attempts: &["metadata"],
        meaning: "modes and times of the server's files cannot be changed",
        mend: "mend: start as root, which gives every session user ids of its own",
        is_needed: false,
    },
    Layer {
        name: "TCP ports",
        attempts: &["tcp", "fast-open", "multipath", "listen"],
        meaning: "the way out and the browser, no other port, and none to listen on (Landlock, seccomp)",
        mend: "mend: Linux 6.7 or later with `landlock` in /sys/kernel/security/lsm",
        is_needed: true,
    },
    Layer {
        name: "other sockets",
        attempts: &["datagrams", "raw"],
        meaning: "no UDP, no raw packets (seccomp)",
        mend: "mend: a kernel and a container that allow seccomp filters",
        is_needed: true,
    },
    Layer {
        name: "Unix sockets",
        attempts: &["unix"],
        meaning: "none of the machine's can be reached (seccomp)",
        mend: "mend: a kernel and a container that allow seccomp filters",
        is_needed: true,
    },
    Layer {
        name: "kernel",
        attempts: &["kernel"],
        meaning: "no ptrace, namespaces, keys, bpf, perf, io_uring (seccomp)",
        mend: "mend: a kernel and a container that allow seccomp filters",
        is_needed: true,
    },
    Layer {
        name: "leftovers",
        attempts: &["ipc"],
        meaning: "no System V shared memory, which would outlive a session (seccomp)",
        mend: "mend: a kernel and a container that allow seccomp filters",
        is_needed: true,
    },
];

/// Tries everything. An error means that it could not even be tried.
pub(crate) async fn probe(
    isolation: &Isolation,
    runtime: &Runtime,
    sandbox: &SessionSandbox,
) -> io::Result<Findings> {
    if isolation.level == Level::None {
        return Ok(Findings {
            rows: Vec::new(),
            sandbox: !geteuid().is_root(),
        });
    }
    let bait = Bait::lay(sandbox).await?;
    let (attempts, sandbox, has_own_tmp) = tokio::join!(
        attempts(runtime, sandbox, &bait),
        succeeds(
            &sandbox.browser,
            sandbox,
            "/usr/bin/unshare",
            &["-Upn", "-r", "--fork", "/bin/true"]
        ),
        has_own_tmp(sandbox),
    );
    drop(bait);
    let attempts = attempts?;
    let mut rows = vec![own_ids(isolation)];
    rows.extend(LAYERS.iter().map(|layer| judge(layer, &attempts)));
    if isolation.user_ids().is_none() {
        admit_metadata(&mut rows);
    }
    rows.push(own_tmp(has_own_tmp));
    rows.push(own_sandbox(sandbox));
    Ok(Findings { rows, sandbox })
}

/// What the attempts are about: things of the server's that code must not reach. Gone when it is
/// dropped.
struct Bait {
    folder: PathBuf,
    file: PathBuf,
    socket: PathBuf,
    port: u16,
    _tcp: TcpListener,
    _unix: UnixListener,
}

impl Bait {
    /// In the folder above the session's, where only the server may make anything.
    async fn lay(sandbox: &SessionSandbox) -> io::Result<Bait> {
        let parent = sandbox.folder.root().parent().unwrap_or(Path::new("/"));
        let folder = parent.join("bait");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder)?;
        // Open to everybody: what keeps code out is to be the layers alone.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777))?;
        let file = folder.join("file");
        fs::write(&file, "bait")?;
        let socket = folder.join("socket");
        let unix = UnixListener::bind(&socket)?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666))?;
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Bait {
            folder,
            file,
            socket,
            port: tcp.local_addr()?.port(),
            _tcp: tcp,
            _unix: unix,
        })
    }
}

impl Drop for Bait {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// For every attempt none, or what it came to.
type Attempts = BTreeMap<String, Option<String>>;

async fn attempts(
    runtime: &Runtime,
    sandbox: &SessionSandbox,
    bait: &Bait,
) -> io::Result<Attempts> {
    let given = json!({
        "pid": std::process::id(),
        "file": bait.file,
        "folder": bait.folder,
        "socket": bait.socket,
        "port": bait.port,
    });
    let script = runtime.isolation_probe.to_string_lossy().into_owned();
    let args = ["-I", &script, &given.to_string()].map(str::to_owned);
    let (exit, stdout, stderr) =
        run(&sandbox.code, sandbox, &runtime.python, args.to_vec()).await?;
    serde_json::from_str(&stdout).map_err(|_| {
        let last = stderr.lines().last().unwrap_or("it said nothing");
        io::Error::other(format!(
            "{} under confinement: {last} (exit {})",
            runtime.python.display(),
            exit.shell_code()
        ))
    })
}

/// Whether what a session has in its own `/tmp` is what its programs see there.
async fn has_own_tmp(sandbox: &SessionSandbox) -> bool {
    let Ok(shared) = fs::metadata("/tmp") else {
        return false;
    };
    let shared = format!("{}:{}", shared.dev(), shared.ino());
    let args = ["-c", "%d:%i", "/tmp"].map(str::to_owned).to_vec();
    let seen = run(&sandbox.code, sandbox, Path::new("/usr/bin/stat"), args).await;
    seen.is_ok_and(|(exit, stdout, _)| exit == Exit::Code(0) && stdout.trim() != shared)
}

async fn succeeds(
    launcher: &Launcher,
    sandbox: &SessionSandbox,
    program: &str,
    args: &[&str],
) -> bool {
    let args = args.iter().map(|&arg| arg.to_owned()).collect();
    let outcome = run(launcher, sandbox, Path::new(program), args).await;
    outcome.is_ok_and(|(exit, _, _)| exit == Exit::Code(0))
}

/// Runs a program to its end, and gives back how it ended and what it wrote.
async fn run(
    launcher: &Launcher,
    sandbox: &SessionSandbox,
    program: &Path,
    args: Vec<String>,
) -> io::Result<(Exit, String, String)> {
    let (stdout, stdout_theirs) = io::pipe()?;
    let (stderr, stderr_theirs) = io::pipe()?;
    let program = Program {
        program: program.to_owned(),
        args,
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        cwd: sandbox.folder.work(),
        fds: vec![
            (1, OwnedFd::from(stdout_theirs)),
            (2, OwnedFd::from(stderr_theirs)),
        ],
        deadline: Some(BOUND),
    };
    let mut stdout = Receiver::from_owned_fd(OwnedFd::from(stdout))?;
    let mut stderr = Receiver::from_owned_fd(OwnedFd::from(stderr))?;
    let running = async {
        let tree = launcher.start(program).await.map_err(io::Error::other)?;
        let (mut out, mut err) = (String::new(), String::new());
        let (_, _) = tokio::try_join!(
            stdout.read_to_string(&mut out),
            stderr.read_to_string(&mut err)
        )?;
        Ok((tree.gone().await, out, err))
    };
    timeout(BOUND, running)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

fn judge(layer: &Layer, attempts: &Attempts) -> Row {
    let reached = layer
        .attempts
        .iter()
        .find_map(|&name| match attempts.get(name) {
            Some(None) => None,
            Some(Some(what)) => Some(what.clone()),
            None => Some(format!("{name} was not tried")),
        });
    match reached {
        None => Row {
            state: State::On,
            name: layer.name,
            text: layer.meaning.to_owned(),
            mend: None,
        },
        Some(what) => {
            let state = if layer.is_needed {
                State::Failed
            } else {
                State::Off
            };
            Row {
                state,
                name: layer.name,
                text: what,
                mend: Some(layer.mend),
            }
        }
    }
}

/// The bait may lie where code cannot find it; other files of the same user do not.
fn admit_metadata(rows: &mut [Row]) {
    let layers = LAYERS
        .iter()
        .filter(|layer| layer.attempts.contains(&"metadata"));
    for layer in layers {
        for row in rows.iter_mut().filter(|row| row.name == layer.name) {
            row.state = State::Off;
            "modes and times of the user's files can be changed by whoever knows their names"
                .clone_into(&mut row.text);
            row.mend = Some(layer.mend);
        }
    }
}

fn own_ids(isolation: &Isolation) -> Row {
    let name = "user ids";
    match isolation.user_ids() {
        Some(ids) => {
            let text = format!(
                "two for every session, of {ids} (HEARTH_UIDS); the server is {}",
                ids.server()
            );
            Row {
                state: State::On,
                name,
                text,
                mend: None,
            }
        }
        None => Row {
            state: State::Off,
            name,
            text: "all sessions share the server's: Landlock and seccomp alone keep them apart"
                .to_owned(),
            mend: Some("mend: start as root, which the server then gives up"),
        },
    }
}

fn own_tmp(has_own: bool) -> Row {
    let name = "/tmp, /dev/shm";
    if has_own {
        return Row {
            state: State::On,
            name,
            text: "a session has its own".to_owned(),
            mend: None,
        };
    }
    Row {
        state: State::Off,
        name,
        text: "shared: names cannot be listed, and files are open to whom their modes say"
            .to_owned(),
        mend: Some(
            "mend: allow mounting (root with CAP_SYS_ADMIN, or user namespaces for plain users)",
        ),
    }
}

fn own_sandbox(has_own: bool) -> Row {
    let name = "browser sandbox";
    if has_own {
        return Row {
            state: State::On,
            name,
            text: "Chromium's own, inside these layers".to_owned(),
            mend: None,
        };
    }
    Row {
        state: State::Off,
        name,
        text: "no user namespaces here: a page that breaks out of its renderer meets these layers next".to_owned(),
        mend: Some("mend: sysctl kernel.unprivileged_userns_clone=1, or a container profile that allows them"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_needed_layer_fails_with_what_was_reached_and_another_is_off() {
        let attempts: Attempts = LAYERS
            .iter()
            .flat_map(|layer| layer.attempts)
            .map(|&name| {
                (
                    name.to_owned(),
                    matches!(name, "tcp" | "metadata").then(|| "reached".to_owned()),
                )
            })
            .collect();
        for layer in &LAYERS {
            let expected = match layer.name {
                "TCP ports" => State::Failed,
                "file metadata" => State::Off,
                _ => State::On,
            };
            assert_eq!(judge(layer, &attempts).state, expected, "{}", layer.name);
        }
    }

    #[test]
    fn what_was_not_tried_does_not_hold() {
        assert_eq!(judge(&LAYERS[0], &Attempts::new()).state, State::Failed);
    }
}
