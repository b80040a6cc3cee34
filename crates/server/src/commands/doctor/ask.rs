//! Running a small program to hear what it says, below a shim as everything else.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearth_confine::{Exit, Launcher, Program, StartError};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;

/// How long a program may take to answer; loading Playwright from a cold disk takes seconds.
const ANSWER_BOUND: Duration = Duration::from_secs(20);

/// How much of each stream is kept.
const MAX_STREAM_BYTES: u64 = 64 << 10;

/// What a program said.
#[derive(Debug)]
pub(super) struct Answer {
    pub stdout: String,
    pub stderr: String,
    pub exit: Exit,
}

/// Why it said nothing.
#[derive(Debug, Error)]
pub(super) enum AskError {
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("it cannot be read: {0}")]
    Pipe(#[from] io::Error),
    #[error("it did not answer within 20 s")]
    TooSlow,
}

impl Answer {
    /// What went wrong, in a line: a shell and a loader say it last, an interpreter too.
    pub fn complaint(&self) -> String {
        let last = |text: &str| {
            text.lines()
                .map(str::trim)
                .rfind(|line| !line.is_empty())
                .map(str::to_owned)
        };
        let said = last(&self.stderr).or_else(|| last(&self.stdout));
        said.unwrap_or_else(|| {
            format!(
                "it ended with exit code {} and said nothing",
                self.exit.shell_code()
            )
        })
    }
}

/// Runs `program` in the folder `home` with an environment like that of a session, and returns when
/// nothing of it is left.
pub(super) async fn ask(
    launcher: &Launcher,
    home: &Path,
    program: &Path,
    args: &[&str],
) -> Result<Answer, AskError> {
    let (stdout, stdout_theirs) = io::pipe()?;
    let (stderr, stderr_theirs) = io::pipe()?;
    let folder = home.to_string_lossy().into_owned();
    let environment = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("HOME", &folder),
        ("TMPDIR", &folder),
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
        deadline: Some(ANSWER_BOUND),
    };
    let asking = async {
        let tree = launcher.start(program).await?;
        // Both at once, or a program that fills one pipe would wait for ever.
        let (stdout, stderr) = tokio::try_join!(read(stdout), read(stderr))?;
        // Not killed: its exit code counts. The shim kills what it leaves behind.
        Ok(Answer {
            stdout,
            stderr,
            exit: tree.gone().await,
        })
    };
    timeout(ANSWER_BOUND, asking)
        .await
        .unwrap_or(Err(AskError::TooSlow))
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
    fn the_complaint_is_the_last_line_that_says_something() {
        let answer = |stdout: &str, stderr: &str| Answer {
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
            exit: Exit::Code(127),
        };
        assert_eq!(answer("out\n", "first\nlast\n\n").complaint(), "last");
        assert_eq!(answer("out\n", "").complaint(), "out");
        assert_eq!(
            answer("", "").complaint(),
            "it ended with exit code 127 and said nothing"
        );
    }
}
