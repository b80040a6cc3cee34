//! Signals to random processes below the server.
//!
//! SIGKILL goes to every kind of process except the two of the server itself. The spawner and the
//! server end together, and all sessions with them, which `restart` tests. They are only stopped
//! for a moment, and so are all other kinds.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use hearth_test_support::process::Process;
use nix::sys::signal::Signal;

use super::dice::Dice;
use super::soak::Soak;

/// A kind of process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Browser,
    Renderer,
    BrowserPart,
    NodeKernel,
    PythonKernel,
    Shell,
    AgentBrowser,
    /// A shim with a program.
    Shim,
    /// A shim that waits for a program or works on files.
    IdleShim,
    /// A program that code has started.
    Child,
}

/// A process of a session.
struct Target {
    process: Process,
    /// The name of the session's dir.
    dir: String,
}

/// Returns the session dirs by the user ids that own their parts.
fn dirs_by_uid(soak: &Soak<'_>, server_uid: u32) -> BTreeMap<u32, String> {
    let mut dirs = BTreeMap::new();
    for dir in soak.server.session_dirs() {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        for part in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            if let Ok(metadata) = part.metadata()
                && metadata.uid() != server_uid
            {
                dirs.insert(metadata.uid(), name.clone().into_owned());
            }
        }
    }
    dirs
}

/// Returns the processes of all sessions by kind.
fn targets(soak: &Soak<'_>) -> BTreeMap<Kind, Vec<Target>> {
    let server = soak.server;
    let all = server.processes();
    let server_uid = std::fs::metadata(server.data_dir().join("s")).map_or(0, |it| it.uid());
    let dirs = dirs_by_uid(soak, server_uid);
    let by_pid: BTreeMap<i32, &Process> = all.iter().map(|it| (it.pid, it)).collect();
    let mut targets: BTreeMap<Kind, Vec<Target>> = BTreeMap::new();
    for process in all.iter().filter(|process| process.state != 'Z') {
        let mut shim = Some(process);
        while let Some(it) = shim.filter(|it| !it.is_shim()) {
            shim = by_pid.get(&it.parent).copied();
        }
        let Some(shim) = shim else { continue };
        // The arguments of a shim are the ids of its program.
        let uid = shim
            .command
            .split(' ')
            .nth(2)
            .and_then(|it| it.parse().ok());
        let Some(dir) = uid.and_then(|uid: u32| dirs.get(&uid)) else {
            continue;
        };
        let has_children = all.iter().any(|it| it.parent == process.pid);
        let kind = kind_of(process, shim, has_children);
        targets.entry(kind).or_default().push(Target {
            process: process.clone(),
            dir: dir.clone(),
        });
    }
    targets
}

fn kind_of(process: &Process, shim: &Process, has_children: bool) -> Kind {
    let command = process.command.as_str();
    let is_program = process.parent == shim.pid;
    if process.pid == shim.pid {
        if has_children {
            Kind::Shim
        } else {
            Kind::IdleShim
        }
    } else if process.is_browser() {
        Kind::Browser
    } else if command.contains("--type=renderer") {
        Kind::Renderer
    } else if command.contains("--type=") {
        Kind::BrowserPart
    } else if command.contains("kernel.mjs") {
        Kind::NodeKernel
    } else if command.contains("kernel.py") {
        Kind::PythonKernel
    } else if command.contains("agent-browser") {
        Kind::AgentBrowser
    } else if is_program {
        Kind::Shell
    } else {
        Kind::Child
    }
}

/// Kills or stops a random process of a random kind.
async fn hit_process(soak: &Soak<'_>, mut dice: Dice) {
    let mut targets = targets(soak);
    let kinds: Vec<Kind> = targets.keys().copied().collect();
    if kinds.is_empty() {
        return;
    }
    let kind = *dice.pick(&kinds);
    let of_kind = targets.remove(&kind).unwrap_or_default();
    let Target { process, dir } = dice.pick(&of_kind);
    let (kills, stopped) = (dice.chance(50), dice.millis(50, 4000));
    let name = if kills { "killed" } else { "stopped" };
    let what = format!("{kind:?} {} {name}", process.pid);
    soak.hits.on_session(dir, what.clone());
    soak.journal.count(&format!("fault: {kind:?} {name}"));
    if kills {
        process.signal(Signal::SIGKILL);
    } else {
        process.signal(Signal::SIGSTOP);
        tokio::time::sleep(stopped).await;
        process.signal(Signal::SIGCONT);
    }
}

/// Stops the server or its spawner for a moment.
async fn stop_server(soak: &Soak<'_>, mut dice: Dice) {
    let (name, pid) = if dice.chance(50) {
        ("spawner", soak.server.pid())
    } else {
        ("server", soak.server.serving_pid())
    };
    let Some(process) = Process::find(pid) else {
        return;
    };
    let stopped = dice.millis(50, 1500);
    let what = format!("fault: {name} stopped");
    soak.journal.count(&what);
    soak.hits
        .on_server(what, async {
            process.signal(Signal::SIGSTOP);
            tokio::time::sleep(stopped).await;
            process.signal(Signal::SIGCONT);
        })
        .await;
}

/// Sends signals until the round is over. Every stopped process is resumed by then.
pub async fn send_signals(soak: &Soak<'_>, mut dice: Dice) {
    while !soak.is_over() {
        let mut action = dice.fork();
        soak.pause(action.millis(200, 2200)).await;
        if soak.is_over() {
            return;
        }
        if action.chance(6) {
            stop_server(soak, action).await;
        } else {
            hit_process(soak, action).await;
        }
    }
}
