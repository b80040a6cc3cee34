//! What an executable says it is: `--version`, asked once when the server starts.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearth_sandbox::{Launcher, Program, StartError};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// How long an executable may take to say its version. A cold disk needs seconds for its 200 MB.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// One line is expected, and perhaps warnings.
const MAX_OUTPUT_BYTES: u64 = 4096;

/// Why an executable did not say its version.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// It could not be started at all.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The pipe for its answer could not be made or read.
    #[error("cannot read what {executable} says: {source}")]
    Read {
        /// What was asked.
        executable: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It took longer than ten seconds.
    #[error("{executable} did not say its version within 10 s")]
    TooSlow {
        /// What was asked.
        executable: PathBuf,
    },
    /// It answered something else.
    #[error("{executable} is no Chromium: it says {said:?} when asked for its version")]
    NoVersion {
        /// What was asked.
        executable: PathBuf,
        /// The first line of what it wrote.
        said: String,
    },
}

/// The version of a Chromium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Four numbers, such as `156.0.8078.79`.
    number: String,
}

impl Version {
    /// Finds the number in a line such as `Chromium 156.0.8078.79 built on Debian`.
    fn parse(line: &str) -> Option<Version> {
        let number = line
            .split_whitespace()
            .find(|word| is_version_number(word))?;
        Some(Version {
            number: number.to_owned(),
        })
    }

    /// The four numbers, such as `156.0.8078.79`.
    pub fn number(&self) -> &str {
        &self.number
    }

    /// The user agent of the same version with a window: without "Headless", and reduced to the
    /// major version as Chrome itself does since 101
    /// (<https://www.chromium.org/updates/ua-reduction/>). It names `x86_64` on every Linux
    /// machine, as Chrome's does.
    pub fn default_user_agent(&self) -> String {
        let major = self.number.split('.').next().unwrap_or(&self.number);
        format!(
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.0.0 Safari/537.36"
        )
    }
}

fn is_version_number(word: &str) -> bool {
    let mut parts = 0;
    for part in word.split('.') {
        parts += 1;
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return false;
        }
    }
    parts == 4
}

/// Runs `executable --version`, for ten seconds at the most, and leaves nothing of it.
pub async fn probe(launcher: &Launcher, executable: &Path) -> Result<Version, ProbeError> {
    let unreadable = |source| ProbeError::Read {
        executable: executable.to_owned(),
        source,
    };
    let (ours, theirs) = io::pipe().map_err(unreadable)?;
    // A loader that misses a library says so there.
    let theirs_too = theirs.try_clone().map_err(unreadable)?;
    let program = Program {
        program: executable.to_owned(),
        args: vec!["--version".to_owned()],
        env: Vec::new(),
        cwd: PathBuf::from("/"),
        fds: vec![(1, OwnedFd::from(theirs)), (2, OwnedFd::from(theirs_too))],
        deadline: Some(PROBE_TIMEOUT),
    };
    let asking = async {
        let answer = pipe::Receiver::from_owned_fd(OwnedFd::from(ours)).map_err(unreadable)?;
        let tree = launcher.start(program).await?;
        let mut said = Vec::new();
        answer
            .take(MAX_OUTPUT_BYTES)
            .read_to_end(&mut said)
            .await
            .map_err(unreadable)?;
        tree.kill();
        tree.gone().await;
        Ok::<_, ProbeError>(said)
    };
    let said = tokio::time::timeout(PROBE_TIMEOUT, asking)
        .await
        .map_err(|_| ProbeError::TooSlow {
            executable: executable.to_owned(),
        })??;
    let said = String::from_utf8_lossy(&said);
    said.lines().find_map(Version::parse).ok_or_else(|| {
        let said = said.lines().next().unwrap_or_default().to_owned();
        ProbeError::NoVersion {
            executable: executable.to_owned(),
            said,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_found_in_every_vendors_line() {
        for line in [
            "Chromium 156.0.8078.79 built on Debian GNU/Linux 12 (bookworm)",
            "Google Chrome for Testing 156.0.8078.79 ",
            "HeadlessChrome 156.0.8078.79",
        ] {
            assert_eq!(
                Version::parse(line).expect("a version").number(),
                "156.0.8078.79"
            );
        }
    }

    #[test]
    fn other_programs_have_no_such_number() {
        assert_eq!(Version::parse("GNU bash, version 5.2.15(1)-release"), None);
        assert_eq!(Version::parse(""), None);
    }

    #[test]
    fn the_default_user_agent_is_reduced_and_does_not_say_headless() {
        let version = Version {
            number: "156.0.8078.79".to_owned(),
        };
        let agent = version.default_user_agent();
        assert!(agent.contains("Chrome/156.0.0.0"), "{agent}");
        assert!(!agent.contains("Headless"), "{agent}");
    }
}
