//! The startup self-test of the sandbox, which attacks it from inside, through the launchers of a
//! session.
//!
//! A layer counts as on only if the attacks on it failed. Kernels, containers and seccomp profiles
//! differ, so a version number proves nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearth_sandbox::{Exit, Launcher, Program};
use nix::unistd::geteuid;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::net::{TcpListener, UnixListener};
use tokio::time::timeout;

use super::isolation::Isolation;
use super::report::{LayerState, Row};
use super::session::SessionSandbox;
use crate::config::IsolationLevel;
use crate::toolchain::Runtime;

/// The time limit for the self-test, which takes a tenth of a second on an idle machine.
const SELF_TEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The result of the self-test.
#[derive(Debug)]
pub(crate) struct SelfTestReport {
    pub rows: Vec<Row>,
    /// True if Chromium can set up its own sandbox inside this one.
    pub browser_sandbox: bool,
}

impl SelfTestReport {
    /// Returns true if every layer that the level requires has held.
    pub fn passed(&self) -> bool {
        self.rows.iter().all(|row| row.state != LayerState::Failed)
    }
}

/// A layer of the sandbox and the attacks that it must stop.
struct Layer {
    name: &'static str,
    attacks: &'static [&'static str],
    /// The effect of the layer when it holds.
    effect: &'static str,
    /// A step that turns the layer on.
    fix: &'static str,
    /// True if the level requires the layer.
    is_required: bool,
}

const KERNEL_FIX: &str = "fix: Linux 6.12 or later with `landlock` in /sys/kernel/security/lsm, or start as root for user ids per session";

/// The layers, in the order of the table.
const LAYERS: [Layer; 9] = [
    Layer {
        name: "empty start",
        attacks: &["environment", "descriptors", "locks"],
        effect: "programs inherit no variable, descriptor or capability from the server",
        fix: "this is a bug in Hearth: please report it",
        is_required: true,
    },
    Layer {
        name: "server",
        attacks: &["server", "signals", "limits"],
        effect: "its memory, settings and processes cannot be reached",
        fix: KERNEL_FIX,
        is_required: true,
    },
    Layer {
        name: "files",
        attacks: &["read", "write"],
        effect: "read-only system programs and the session's directory, nothing else (Landlock)",
        fix: "fix: Linux 6.7 or later with `landlock` in /sys/kernel/security/lsm",
        is_required: true,
    },
    Layer {
        name: "file metadata",
        attacks: &["metadata"],
        effect: "modes and times of the server's files cannot be changed",
        fix: "fix: start as root, so that every session gets separate user ids",
        is_required: false,
    },
    Layer {
        name: "TCP ports",
        attacks: &["tcp", "fast-open", "multipath", "listen"],
        effect: "connect to the egress proxy and the browser only, listen on none (Landlock, seccomp)",
        fix: "fix: Linux 6.7 or later with `landlock` in /sys/kernel/security/lsm",
        is_required: true,
    },
    Layer {
        name: "other sockets",
        attacks: &["datagrams", "raw"],
        effect: "no UDP, no raw packets (seccomp)",
        fix: "fix: a kernel and a container that allow seccomp filters",
        is_required: true,
    },
    Layer {
        name: "Unix sockets",
        attacks: &["unix"],
        effect: "no connection to sockets of the machine (seccomp)",
        fix: "fix: a kernel and a container that allow seccomp filters",
        is_required: true,
    },
    Layer {
        name: "kernel",
        attacks: &["kernel"],
        effect: "no ptrace, namespaces, keys, bpf, perf, io_uring (seccomp)",
        fix: "fix: a kernel and a container that allow seccomp filters",
        is_required: true,
    },
    Layer {
        name: "System V IPC",
        attacks: &["ipc"],
        effect: "no shared memory that would outlive a session (seccomp)",
        fix: "fix: a kernel and a container that allow seccomp filters",
        is_required: true,
    },
];

/// Runs the self-test. Returns an error if it could not run.
pub(crate) async fn probe(
    isolation: &Isolation,
    runtime: &Runtime,
    sandbox: &SessionSandbox,
) -> io::Result<SelfTestReport> {
    if isolation.level == IsolationLevel::None {
        return Ok(SelfTestReport {
            rows: Vec::new(),
            browser_sandbox: !geteuid().is_root(),
        });
    }
    let decoys = Decoys::create(sandbox).await?;
    let (results, browser_sandbox, has_private_tmp) = tokio::join!(
        attack(runtime, sandbox, &decoys),
        succeeds(
            &sandbox.browser,
            sandbox,
            "/usr/bin/unshare",
            &["-Upn", "-r", "--fork", "/bin/true"]
        ),
        has_private_tmp(sandbox),
    );
    drop(decoys);
    let results = results?;
    let mut rows = vec![user_ids_row(isolation)];
    rows.extend(LAYERS.iter().map(|layer| evaluate_layer(layer, &results)));
    if isolation.user_ids().is_none() {
        turn_off_metadata(&mut rows);
    }
    rows.push(private_tmp_row(has_private_tmp));
    rows.push(browser_sandbox_row(browser_sandbox));
    Ok(SelfTestReport {
        rows,
        browser_sandbox,
    })
}

/// The targets of the attacks: files and sockets of the server that code must not reach. Dropping
/// it removes them.
struct Decoys {
    dir: PathBuf,
    file: PathBuf,
    socket: PathBuf,
    port: u16,
    _tcp: TcpListener,
    _unix: UnixListener,
}

impl Decoys {
    /// Creates the targets beside the session's directory, where only the server can create
    /// entries.
    async fn create(sandbox: &SessionSandbox) -> io::Result<Decoys> {
        let parent = sandbox.dir.root().parent().unwrap_or(Path::new("/"));
        let dir = parent.join("decoys");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir)?;
        // All users have access, so that only the layers can deny it.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777))?;
        let file = dir.join("file");
        fs::write(&file, "decoy")?;
        let socket = dir.join("socket");
        let unix = UnixListener::bind(&socket)?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666))?;
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Decoys {
            dir,
            file,
            socket,
            port: tcp.local_addr()?.port(),
            _tcp: tcp,
            _unix: unix,
        })
    }
}

impl Drop for Decoys {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The result of each attack: `None` if it failed, or a description of what it reached.
type AttackResults = BTreeMap<String, Option<String>>;

/// Runs the attack script as code of a session.
async fn attack(
    runtime: &Runtime,
    sandbox: &SessionSandbox,
    decoys: &Decoys,
) -> io::Result<AttackResults> {
    let targets = json!({
        "pid": std::process::id(),
        "file": decoys.file,
        "dir": decoys.dir,
        "socket": decoys.socket,
        "port": decoys.port,
    });
    let script = runtime.isolation_probe.to_string_lossy().into_owned();
    let args = ["-I", &script, &targets.to_string()].map(str::to_owned);
    let (exit, stdout, stderr) =
        run(&sandbox.code, sandbox, &runtime.python, args.to_vec()).await?;
    serde_json::from_str(&stdout).map_err(|_| {
        let last = stderr.lines().last().unwrap_or("no output");
        io::Error::other(format!(
            "{} failed in the sandbox: {last} (exit {})",
            runtime.python.display(),
            exit.shell_code()
        ))
    })
}

/// Returns true if the session's programs see a private `/tmp`.
async fn has_private_tmp(sandbox: &SessionSandbox) -> bool {
    let Ok(shared) = fs::metadata("/tmp") else {
        return false;
    };
    let shared = format!("{}:{}", shared.dev(), shared.ino());
    let args = ["-c", "%d:%i", "/tmp"].map(str::to_owned).to_vec();
    let seen = run(&sandbox.code, sandbox, Path::new("/usr/bin/stat"), args).await;
    seen.is_ok_and(|(exit, stdout, _)| exit == Exit::Code(0) && stdout.trim() != shared)
}

/// Returns true if `program` exits with code 0.
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

/// Runs a program to its end and returns its exit, stdout and stderr.
pub(super) async fn run(
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
        cwd: sandbox.dir.work(),
        fds: vec![
            (1, OwnedFd::from(stdout_theirs)),
            (2, OwnedFd::from(stderr_theirs)),
        ],
        deadline: Some(SELF_TEST_TIMEOUT),
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
    timeout(SELF_TEST_TIMEOUT, running)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Turns the results of a layer's attacks into its row.
fn evaluate_layer(layer: &Layer, results: &AttackResults) -> Row {
    let reached = layer
        .attacks
        .iter()
        .find_map(|&name| match results.get(name) {
            Some(None) => None,
            Some(Some(what)) => Some(what.clone()),
            None => Some(format!("{name} was not tested")),
        });
    match reached {
        None => Row {
            state: LayerState::On,
            name: layer.name,
            text: layer.effect.to_owned(),
            fix: None,
        },
        Some(what) => {
            let state = if layer.is_required {
                LayerState::Failed
            } else {
                LayerState::Off
            };
            Row {
                state,
                name: layer.name,
                text: what,
                fix: Some(layer.fix),
            }
        }
    }
}

/// Reports the metadata layer as off for sessions that share the server's user id. The attack may
/// have failed only because code could not find the decoy. Code can find other files of that user.
fn turn_off_metadata(rows: &mut [Row]) {
    let layers = LAYERS
        .iter()
        .filter(|layer| layer.attacks.contains(&"metadata"));
    for layer in layers {
        for row in rows.iter_mut().filter(|row| row.name == layer.name) {
            row.state = LayerState::Off;
            "code that knows the name of a file of the server's user can change its mode and times"
                .clone_into(&mut row.text);
            row.fix = Some(layer.fix);
        }
    }
}

fn user_ids_row(isolation: &Isolation) -> Row {
    let name = "user ids";
    match isolation.user_ids() {
        Some(ids) => {
            let text = format!(
                "two per session from {ids} (HEARTH_UIDS); the server runs as {}",
                ids.server()
            );
            Row {
                state: LayerState::On,
                name,
                text,
                fix: None,
            }
        }
        None => Row {
            state: LayerState::Off,
            name,
            text: "all sessions run as the server's user, separated by Landlock and seccomp only"
                .to_owned(),
            fix: Some("fix: start as root; the server then drops its privileges"),
        },
    }
}

fn private_tmp_row(is_private: bool) -> Row {
    let name = "/tmp, /dev/shm";
    if is_private {
        return Row {
            state: LayerState::On,
            name,
            text: "private to each session".to_owned(),
            fix: None,
        };
    }
    Row {
        state: LayerState::Off,
        name,
        text: "shared by all sessions: names cannot be listed, file modes control access"
            .to_owned(),
        fix: Some(
            "fix: allow mounting (root with CAP_SYS_ADMIN, or user namespaces for other users)",
        ),
    }
}

fn browser_sandbox_row(is_available: bool) -> Row {
    let name = "browser sandbox";
    if is_available {
        return Row {
            state: LayerState::On,
            name,
            text: "Chromium's sandbox, inside these layers".to_owned(),
            fix: None,
        };
    }
    Row {
        state: LayerState::Off,
        name,
        text: "no user namespaces: only these layers stop a page that breaks out of its renderer"
            .to_owned(),
        fix: Some(
            "fix: sysctl kernel.unprivileged_userns_clone=1, or a container profile that allows user namespaces",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_required_layer_fails_with_what_was_reached_and_another_is_off() {
        let results: AttackResults = LAYERS
            .iter()
            .flat_map(|layer| layer.attacks)
            .map(|&name| {
                (
                    name.to_owned(),
                    matches!(name, "tcp" | "metadata").then(|| "reached".to_owned()),
                )
            })
            .collect();
        for layer in &LAYERS {
            let expected = match layer.name {
                "TCP ports" => LayerState::Failed,
                "file metadata" => LayerState::Off,
                _ => LayerState::On,
            };
            assert_eq!(
                evaluate_layer(layer, &results).state,
                expected,
                "{}",
                layer.name
            );
        }
    }

    #[test]
    fn a_layer_whose_attacks_did_not_run_fails() {
        assert_eq!(
            evaluate_layer(&LAYERS[0], &AttackResults::new()).state,
            LayerState::Failed
        );
    }
}
