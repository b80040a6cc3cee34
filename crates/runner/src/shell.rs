//! Runs code in a fresh bash.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use hearth_budget::Budget;
use hearth_sandbox::{Launcher, ProcessTree, Program};
use nix::sys::memfd::{MFdFlags, memfd_create};
use tokio::time::{Instant, sleep_until};

use crate::outcome::{Ended, Outcome, Run, RunError};
use crate::output::{Captured, Output};
use crate::run_end::{evaluate_exit, wait_for_interruption, wait_until_all_ended};

/// Time after the deadline at which the shim kills the shell. The shim acts only if the server
/// hangs, so it must not act before the server.
const SHIM_GRACE: Duration = Duration::from_millis(500);

/// The descriptor of the script.
const SCRIPT_FD: i32 = 3;

/// The name of the link to the script, in [`ShellSpec::script_dir`]. Messages of bash start with
/// it, and it is the value of `$0` and `$BASH_SOURCE`.
pub const SCRIPT_LINK: &str = "bash";

/// The target of the link to the script. Each shell opens its own script.
pub const SCRIPT_TARGET: &str = "/proc/self/fd/3";

/// The line before the source: it changes to the working directory, closes the descriptor and sets
/// the number of the next line to 1.
///
/// The source is a script, and not an argument, because every user of the machine can read the
/// arguments of processes (`proc_pid_cmdline(5)`). With `eval` or `source`, a trace of commands
/// (`set -x`) would show one level too many. An assignment to `LINENO` is only effective in the
/// redirection of a compound command.
const FIRST_LINE: &str =
    "cd \"$HOME\" || exit; exec 3<&-; unset OLDPWD; declare -x OLDPWD; { :; } <&$((LINENO=0))\n";

/// The program and the environment of a shell.
#[derive(Clone, Debug)]
pub struct ShellSpec {
    /// The bash executable.
    pub program: PathBuf,
    /// The complete environment. Code starts in its `HOME`.
    pub env: Vec<(String, String)>,
    /// A directory with a link [`SCRIPT_LINK`] to [`SCRIPT_TARGET`].
    pub script_dir: PathBuf,
}

/// Runs `run.source` in a fresh bash. Every process that the shell started ends with it. Dropping
/// the future kills them all.
pub async fn run_shell(
    launcher: &Launcher,
    shell: ShellSpec,
    mut run: Run,
    budget: &Budget,
) -> Result<Outcome, RunError> {
    let started = Instant::now();
    let (mut output, ends) = Output::new().map_err(RunError::Pipe)?;
    output.begin(run.max_output_bytes, budget, run.live.as_ref());
    let script = write_script(&run.source).map_err(RunError::Pipe)?;
    let fds = vec![(1, ends.stdout), (2, ends.stderr), (SCRIPT_FD, script)];
    let left = run.deadline.saturating_duration_since(started);
    let deadline = Some(left + SHIM_GRACE);
    let program = Program {
        program: shell.program,
        args: vec![SCRIPT_LINK.to_owned()],
        env: shell.env,
        cwd: shell.script_dir,
        fds,
        deadline,
    };
    let tree = launcher.start(program).await?;
    if let Some(live) = &run.live {
        live.start();
    }
    let ended = wait_for_end(&tree, &mut output, &mut run).await;
    wait_until_all_ended(&tree, &mut output).await;
    let Captured {
        stdout,
        stderr,
        dropped_bytes,
        taken_bytes,
        reserved,
        ..
    } = output.finish();
    let truncated = dropped_bytes > 0;
    Ok(Outcome {
        stdout,
        stderr,
        ended,
        truncated,
        dropped_bytes,
        taken_bytes,
        duration: started.elapsed(),
        reserved,
    })
}

/// Waits until the shell ends. No other code decides how a shell ends.
async fn wait_for_end(tree: &ProcessTree, output: &mut Output, run: &mut Run) -> Ended {
    loop {
        tokio::select! {
            exit = tree.exited() => return evaluate_exit(tree, exit),
            () = output.read() => {}
            () = sleep_until(run.deadline) => {
                tree.kill();
                return Ended::Deadline {
                    started: true,
                    pending: None,
                };
            }
            interruption = wait_for_interruption(&mut run.interruption) => {
                tree.kill();
                return Ended::Interrupted(interruption);
            }
        }
    }
}

/// Writes the script of `source` to a memory file.
fn write_script(source: &str) -> io::Result<OwnedFd> {
    let mut file = std::fs::File::from(memfd_create(c"script", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(FIRST_LINE.as_bytes())?;
    file.write_all(normalize(source).as_bytes())?;
    Ok(file.into())
}

/// Removes what editors and programs on Windows add, a byte-order mark and carriage returns, which
/// Node and Python accept. Also removes zero bytes, which bash removes from scripts.
fn normalize(source: &str) -> String {
    let text = source.strip_prefix('\u{feff}').unwrap_or(source);
    text.replace("\r\n", "\n").replace('\0', "")
}
