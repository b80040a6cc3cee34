//! Reads the version of an executable: `--version`, run once when the server starts.

use std::io;
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearth_sandbox::{Launcher, Program, StartError};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// The time limit for an executable to print its version. On a cold disk, loading its 200 MB takes
/// seconds.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum size of the output. One line is expected, possibly with warnings.
const MAX_OUTPUT_BYTES: u64 = 4096;

/// The major versions of Chromium with which the broker's rules (docs/broker.md) were verified: all
/// tests passed with the first and with the last one. The rules depend on undocumented behavior, so
/// other versions may break them.
///
/// Extend the range after `make test` has passed with the new version, and change it in
/// docs/broker.md and docs/deployment.md, too.
pub const VERIFIED_MAJORS: RangeInclusive<u32> = 148..=156;

/// The reason why an executable did not print its version.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// The executable could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The pipe for its output could not be created or read.
    #[error("cannot read the output of {executable}: {source}")]
    Read {
        /// The path of the executable.
        executable: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The executable took longer than ten seconds.
    #[error("{executable} did not print its version within 10 s")]
    TooSlow {
        /// The path of the executable.
        executable: PathBuf,
    },
    /// The output has no version.
    #[error("{executable} is not a Chromium: --version printed {output:?}")]
    NoVersion {
        /// The path of the executable.
        executable: PathBuf,
        /// The first line of the output.
        output: String,
    },
}

/// The version of a Chromium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Four numbers, such as `156.0.8078.79`.
    number: String,
    /// The first number.
    major: u32,
}

impl Version {
    /// Finds the number in a line such as `Chromium 156.0.8078.79 built on Debian`.
    fn parse(line: &str) -> Option<Version> {
        let number = line
            .split_whitespace()
            .find(|word| is_version_number(word))?;
        Some(Version {
            number: number.to_owned(),
            major: number.split('.').next()?.parse().ok()?,
        })
    }

    /// Returns the four numbers, such as `156.0.8078.79`.
    pub fn number(&self) -> &str {
        &self.number
    }

    /// Returns the first of the four numbers, such as 156.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Returns true if the broker's rules were verified with this version ([`VERIFIED_MAJORS`]).
    pub fn is_verified(&self) -> bool {
        VERIFIED_MAJORS.contains(&self.major)
    }

    /// Returns the step that leads to a verified version.
    pub fn verified_by(&self) -> &'static str {
        if self.major < *VERIFIED_MAJORS.start() {
            "update Chromium"
        } else {
            // An older browser would have known vulnerabilities.
            "update Hearth, and keep this Chromium"
        }
    }

    /// Returns the user agent of the same version with a window: without "Headless", and reduced to
    /// the major version as in Chrome since 101 (<https://www.chromium.org/updates/ua-reduction/>).
    /// It contains `x86_64` on every Linux machine, as Chrome's does.
    pub fn default_user_agent(&self) -> String {
        let major = self.major;
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

/// Runs `executable --version` for at most ten seconds. Leaves no process behind.
pub async fn probe(launcher: &Launcher, executable: &Path) -> Result<Version, ProbeError> {
    let unreadable = |source| ProbeError::Read {
        executable: executable.to_owned(),
        source,
    };
    let (server_end, program_end) = io::pipe().map_err(unreadable)?;
    // A loader that misses a library reports it on standard error.
    let program_end_2 = program_end.try_clone().map_err(unreadable)?;
    let program = Program {
        program: executable.to_owned(),
        args: vec!["--version".to_owned()],
        env: Vec::new(),
        cwd: PathBuf::from("/"),
        fds: vec![
            (1, OwnedFd::from(program_end)),
            (2, OwnedFd::from(program_end_2)),
        ],
        deadline: Some(PROBE_TIMEOUT),
    };
    let run = async {
        let from_program =
            pipe::Receiver::from_owned_fd(OwnedFd::from(server_end)).map_err(unreadable)?;
        let tree = launcher.start(program).await?;
        let mut output = Vec::new();
        from_program
            .take(MAX_OUTPUT_BYTES)
            .read_to_end(&mut output)
            .await
            .map_err(unreadable)?;
        tree.kill();
        tree.gone().await;
        Ok::<_, ProbeError>(output)
    };
    let output = tokio::time::timeout(PROBE_TIMEOUT, run)
        .await
        .map_err(|_| ProbeError::TooSlow {
            executable: executable.to_owned(),
        })??;
    let output = String::from_utf8_lossy(&output);
    output.lines().find_map(Version::parse).ok_or_else(|| {
        let output = output.lines().next().unwrap_or_default().to_owned();
        ProbeError::NoVersion {
            executable: executable.to_owned(),
            output,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_parsed_for_every_vendor() {
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
    fn other_programs_have_no_version() {
        assert_eq!(Version::parse("GNU bash, version 5.2.15(1)-release"), None);
        assert_eq!(Version::parse(""), None);
    }

    fn version(number: &str) -> Version {
        Version::parse(number).expect("a version")
    }

    #[test]
    fn versions_in_the_range_are_verified() {
        for number in ["148.0.7778.167", "156.0.8078.79"] {
            assert!(version(number).is_verified(), "{number}");
        }
        let (older, newer) = (version("147.9.9.9"), version("157.0.0.0"));
        assert!(!older.is_verified() && !newer.is_verified());
        assert!(older.verified_by().contains("update Chromium"));
        assert!(newer.verified_by().contains("update Hearth"));
    }

    #[test]
    fn documents_state_the_verified_range() {
        let range = format!(
            "Chromium {} to {}",
            VERIFIED_MAJORS.start(),
            VERIFIED_MAJORS.end()
        );
        for (name, text) in [
            ("broker.md", include_str!("../../../../docs/broker.md")),
            (
                "deployment.md",
                include_str!("../../../../docs/deployment.md"),
            ),
        ] {
            assert!(text.contains(&range), "docs/{name} contains {range:?}");
        }
    }

    #[test]
    fn default_user_agent_is_reduced_and_not_headless() {
        let version = version("156.0.8078.79");
        let agent = version.default_user_agent();
        assert!(agent.contains("Chrome/156.0.0.0"), "{agent}");
        assert!(!agent.contains("Headless"), "{agent}");
    }
}
