//! One fresh bash for one run.

use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use hearth_confine::{Exit, Launcher, Program, Tree};
use nix::sys::memfd::{MFdFlags, memfd_create};
use tokio::time::{Instant, sleep_until, timeout};

use crate::outcome::{Ended, Interruption, Outcome, Run, RunError};
use crate::output::Output;

/// How much longer than the deadline the shim waits before it kills on its own: it is there for a
/// server that hangs, and must not be the first.
const SHIM_GRACE: Duration = Duration::from_millis(500);

/// How long the end of a killed tree is waited for; the answer has to leave within a second of the
/// deadline.
pub(crate) const KILL_TIMEOUT: Duration = Duration::from_millis(700);

/// Where the source comes in.
const SOURCE_FD: i32 = 3;

/// A shell's arguments can be read by everybody on the machine (`proc_pid_cmdline(5)`), so the
/// source is none of them. Bash reads it and closes the descriptor before it begins; lines, `$0`
/// and messages are as with `bash -c SOURCE`.
const SHELL_ARGS: [&str; 2] = [
    "-c",
    r#"IFS= read -rd "" -u 3; exec 3<&-; eval "unset REPLY; $REPLY""#,
];

/// What a shell is started with.
#[derive(Clone, Debug)]
pub struct ShellProgram {
    /// The bash executable.
    pub program: PathBuf,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// The working directory.
    pub cwd: PathBuf,
}

/// Runs `run.source` in a bash of its own. Whatever the shell started ends with it. Dropping the
/// future kills everything.
pub async fn run_shell(
    launcher: &Launcher,
    shell: ShellProgram,
    mut run: Run,
) -> Result<Outcome, RunError> {
    let started = Instant::now();
    let (mut output, ends) = Output::new().map_err(RunError::Pipe)?;
    output.begin(run.max_output_bytes);
    let source = write_to_memfd(&run.source).map_err(RunError::Pipe)?;
    let fds = vec![(1, ends.stdout), (2, ends.stderr), (SOURCE_FD, source)];
    let args = SHELL_ARGS.map(str::to_owned).to_vec();
    let left = run.deadline.saturating_duration_since(started);
    let deadline = Some(left + SHIM_GRACE);
    let program = Program {
        program: shell.program,
        args,
        env: shell.env,
        cwd: shell.cwd,
        fds,
        deadline,
    };
    let tree = launcher.start(program).await?;
    let ended = watch(&tree, &mut output, &mut run).await;
    wait_until_gone(&tree, &mut output).await;
    let (stdout, stderr, dropped_bytes) = output.finish();
    let truncated = dropped_bytes > 0;
    Ok(Outcome {
        stdout,
        stderr,
        ended,
        truncated,
        dropped_bytes,
        duration: started.elapsed(),
    })
}

/// The one loop that decides how a shell ends.
async fn watch(tree: &Tree, output: &mut Output, run: &mut Run) -> Ended {
    loop {
        tokio::select! {
            exit = tree.exited() => return evaluate_exit(tree, exit),
            () = output.read() => {}
            () = sleep_until(run.deadline) => {
                tree.kill();
                return Ended::Deadline { started: true };
            }
            interruption = wait_for_interruption(&mut run.interruption) => {
                tree.kill();
                return Ended::Interrupted(interruption);
            }
        }
    }
}

/// How a run ended whose process has: by itself, or because its tree was killed for a reason.
pub(crate) fn evaluate_exit(tree: &Tree, exit: Exit) -> Ended {
    match (exit, tree.killed_because()) {
        (Exit::Signal(_) | Exit::Lost, Some(reason)) => Ended::Interrupted(Interruption {
            reason: reason.to_owned(),
            exit_code: Exit::Lost.shell_code(),
        }),
        // It was quicker.
        (exit, _) => Ended::Exited(exit),
    }
}

/// Waits until nothing of the tree is left, reading on meanwhile.
pub(crate) async fn wait_until_gone(tree: &Tree, output: &mut Output) -> Option<Exit> {
    let gone = async {
        loop {
            tokio::select! {
                exit = tree.gone() => return exit,
                () = output.read() => {}
            }
        }
    };
    timeout(KILL_TIMEOUT, gone).await.ok()
}

/// Waits for a reason to end early. Cancel safe.
pub(crate) async fn wait_for_interruption(
    interruption: &mut tokio::sync::watch::Receiver<Option<Interruption>>,
) -> Interruption {
    match interruption
        .wait_for(Option::is_some)
        .await
        .map(|reason| reason.clone())
    {
        Ok(Some(reason)) => reason,
        // Whoever could interrupt is gone: it will not happen.
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

/// Without zero bytes, which bash leaves out of scripts too.
fn write_to_memfd(source: &str) -> io::Result<OwnedFd> {
    let mut file = std::fs::File::from(memfd_create(c"source", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(source.replace('\0', "").as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}
