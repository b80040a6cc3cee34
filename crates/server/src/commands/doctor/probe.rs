//! Runs a small program below a shim and returns its output.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearth_sandbox::{Exit, Launcher, Program, StartError};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;

/// The time limit of a program. Loading Playwright from a cold disk takes seconds.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);

/// The maximum number of bytes of each stream that are kept.
const MAX_STREAM_BYTES: u64 = 64 << 10;

/// The output of a program.
#[derive(Debug)]
pub(super) struct ProbeOutput {
    pub stdout: String,
    pub stderr: String,
    pub exit: Exit,
}

/// The reason why a program has no output.
#[derive(Debug, Error)]
pub(super) enum ProbeError {
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("cannot read its output: {0}")]
    Pipe(#[from] io::Error),
    #[error("it did not end within 20 s")]
    TooSlow,
}

impl ProbeOutput {
    /// Returns the last line of the output, where shells, loaders and interpreters print errors.
    pub fn error_line(&self) -> String {
        let last = |text: &str| {
            text.lines()
                .map(str::trim)
                .rfind(|line| !line.is_empty())
                .map(str::to_owned)
        };
        let said = last(&self.stderr).or_else(|| last(&self.stdout));
        said.unwrap_or_else(|| {
            format!(
                "it ended with exit code {} and no output",
                self.exit.shell_code()
            )
        })
    }
}

/// Runs `program` in the directory `home` with an environment like that of a session. Returns when
/// all its processes have exited.
pub(super) async fn run_probe(
    launcher: &Launcher,
    home: &Path,
    program: &Path,
    args: &[&str],
) -> Result<ProbeOutput, ProbeError> {
    let (stdout, stdout_theirs) = io::pipe()?;
    let (stderr, stderr_theirs) = io::pipe()?;
    let dir = home.to_string_lossy().into_owned();
    let environment = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("HOME", &dir),
        ("TMPDIR", &dir),
        ("LANG", "C.UTF-8"),
    ];
    let program = Program {
        program: program.to_owned(),
        args: args.iter().map(|&argument| argument.to_owned()).collect(),
        env: environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        cwd: PathBuf::from(home),
        fds: vec![
            (1, OwnedFd::from(stdout_theirs)),
            (2, OwnedFd::from(stderr_theirs)),
        ],
        deadline: Some(PROBE_TIMEOUT),
    };
    let running = async {
        let tree = launcher.start(program).await?;
        // Reads both pipes at the same time, because a program that fills an unread pipe would
        // block forever.
        let (stdout, stderr) = tokio::try_join!(read(stdout), read(stderr))?;
        // The shim kills the processes that the program leaves behind.
        Ok(ProbeOutput {
            stdout,
            stderr,
            exit: tree.gone().await,
        })
    };
    timeout(PROBE_TIMEOUT, running)
        .await
        .unwrap_or(Err(ProbeError::TooSlow))
}

async fn read(pipe: PipeReader) -> io::Result<String> {
    let mut pipe = Receiver::from_owned_fd(OwnedFd::from(pipe))?.take(MAX_STREAM_BYTES);
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_line_is_the_last_one_with_text() {
        let answer = |stdout: &str, stderr: &str| ProbeOutput {
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
            exit: Exit::Code(127),
        };
        assert_eq!(answer("out\n", "first\nlast\n\n").error_line(), "last");
        assert_eq!(answer("out\n", "").error_line(), "out");
        assert_eq!(
            answer("", "").error_line(),
            "it ended with exit code 127 and no output"
        );
    }
}
