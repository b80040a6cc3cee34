//! Starts a browser: creates its directories, environment and descriptors, and waits for the first
//! page.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hearth_budget::Budget;
use hearth_sandbox::{Launcher, Program, StartError};
use thiserror::Error;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::broker::Broker;
use crate::broker::certificates::IgnoredCertificates;
use crate::broker::commands::BrowserError;
use crate::broker::file_access::FileAccess;
use crate::broker::limits::BrowserLimits;
use crate::broker::navigation_hint::NavigationErrorHint;
use crate::cdp::pipe::{self, PipeWriter};
use crate::chromium::browser::Browser;
use crate::chromium::cookies::PROFILE_DIR;
use crate::chromium::flags::{BrowserKind, FlagsFor, build_flags};
use crate::chromium::stderr::{self, LastLines};
use crate::chromium::supervise::{DeathReason, supervise};
use crate::locale::Locale;
use crate::viewport::Viewport;

/// The time limit from a browser's start to its first page.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(15);

/// The time to wait for the end of standard error, which a dying browser closes before it is gone.
const STDERR_TIMEOUT: Duration = Duration::from_millis(500);

/// The minimum size of `/dev/shm`. With less, Chromium is started with `--disable-dev-shm-usage`.
/// Tabs need some hundred megabytes of shared memory; Docker's default of 64 MB crashes them.
pub const MIN_SHARED_MEMORY_BYTES: u64 = 512 * 1024 * 1024;

/// The description of a browser to launch.
#[derive(Clone, Debug)]
pub struct LaunchSpec {
    /// `chromium-headless-shell` or a full Chromium, distinguished by the file's name. Not a
    /// wrapper script.
    pub executable: PathBuf,
    /// The session's directory for its browser. It must exist and be private (0700). `user-data`,
    /// `downloads` and `tmp` are created in it. If its path is too long, Chromium aborts with
    /// "Socket path too long".
    pub dir: PathBuf,
    /// The session's whole directory, including `dir`. Clients may name files in it.
    pub session_dir: PathBuf,
    /// The size of every page.
    pub viewport: Viewport,
    /// The user agent that pages and servers see; see
    /// [`Version::default_user_agent`](crate::Version::default_user_agent).
    pub user_agent: String,
    /// The time zone and languages. `None` means the machine's time zone and English.
    pub locale: Option<Locale>,
    /// True if Chromium can create its own sandbox: not as root (crbug.com/638180), and not where
    /// user namespaces are forbidden.
    pub sandbox: bool,
    /// The port on 127.0.0.1 of the proxy for all traffic. `None` means no proxy.
    pub proxy_port: Option<u16>,
    /// Explains why the proxy denied a connection of the browser.
    pub navigation_hint: Option<NavigationErrorHint>,
    /// The sites whose certificates are not checked.
    pub ignored_certificates: IgnoredCertificates,
    /// The limits of the browser.
    pub limits: BrowserLimits,
    /// Counts the messages that wait for the browser and its clients.
    pub budget: Budget,
}

/// The reason why a browser was not launched. None of its processes is left.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// A directory could not be created.
    #[error("cannot create the browser's directory {dir}: {source}")]
    Dir {
        /// The path of the directory.
        dir: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The pipes could not be created.
    #[error("cannot create the browser's pipes: {0}")]
    Pipes(io::Error),
    /// The program could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The browser ended before its first page was open.
    #[error("the browser ended at start ({reason}); last output: {stderr}")]
    Died {
        /// The reason why it ended.
        reason: DeathReason,
        /// The last lines of its standard error.
        stderr: String,
    },
    /// The browser rejected one of the first commands.
    #[error("cannot set up the browser: {source}; last output: {stderr}")]
    Setup {
        /// The failed command.
        source: BrowserError,
        /// The last lines of its standard error.
        stderr: String,
    },
    /// The browser runs but shows no page.
    #[error("the browser showed no page within 15 s; last output: {stderr}")]
    TooSlow {
        /// The last lines of its standard error.
        stderr: String,
    },
}

impl LaunchError {
    /// Returns the number of browsers that failed, one after the other. A browser that dies is
    /// launched once more.
    pub fn starts(&self) -> u32 {
        match self {
            LaunchError::Died { .. } => 2,
            _ => 1,
        }
    }

    /// Returns the reason without the browser's output.
    pub fn cause(&self) -> String {
        match self {
            LaunchError::Died { reason, .. } => format!("the browser ended at start ({reason})"),
            LaunchError::Setup { source, .. } => format!("cannot set up the browser: {source}"),
            LaunchError::TooSlow { .. } => "the browser showed no page within 15 s".to_owned(),
            LaunchError::Dir { .. } | LaunchError::Pipes(_) | LaunchError::Start(_) => {
                self.to_string()
            }
        }
    }
}

/// The directories in a session's browser directory.
struct BrowserDirs {
    user_data: PathBuf,
    downloads: PathBuf,
    tmp: PathBuf,
}

impl BrowserDirs {
    fn make(dir: &Path) -> Result<BrowserDirs, LaunchError> {
        let make = |name| {
            let dir = dir.join(name);
            match DirBuilder::new().mode(0o700).create(&dir) {
                // A restored profile has created the directory already.
                Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                    Err(LaunchError::Dir { dir, source })
                }
                _ => Ok(dir),
            }
        };
        Ok(BrowserDirs {
            user_data: make(PROFILE_DIR)?,
            downloads: make("downloads")?,
            tmp: make("tmp")?,
        })
    }

    /// Removes the files of a dead browser. Its user data stay: they may be a profile, and Chromium
    /// recovers them as after any crash.
    async fn clear(&self, launcher: &Launcher) -> Result<(), LaunchError> {
        let dirs = vec![self.downloads.clone(), self.tmp.clone()];
        let cleared = launcher.files().empty_dirs(dirs).await;
        cleared.map_err(|source| LaunchError::Dir {
            dir: self.tmp.clone(),
            source,
        })
    }
}

impl Browser {
    /// Launches a browser and waits until its first page has the right size. A browser that dies
    /// before that is launched once more. Dropping the future kills what was started.
    pub async fn launch(
        launcher: &Launcher,
        tracker: &TaskTracker,
        spec: LaunchSpec,
    ) -> Result<Browser, LaunchError> {
        let dirs = BrowserDirs::make(&spec.dir)?;
        match Browser::launch_once(launcher, tracker, spec.clone(), &dirs).await {
            Err(LaunchError::Died { reason, stderr }) => {
                tracing::warn!(%reason, stderr, "browser died at start, retrying");
                dirs.clear(launcher).await?;
                Browser::launch_once(launcher, tracker, spec, &dirs).await
            }
            outcome => outcome,
        }
    }

    /// Launches a browser. After an error none of its processes is left.
    async fn launch_once(
        launcher: &Launcher,
        tracker: &TaskTracker,
        spec: LaunchSpec,
        dirs: &BrowserDirs,
    ) -> Result<Browser, LaunchError> {
        let kind = BrowserKind::of(&spec.executable);
        let viewport = spec.viewport;
        let (browser, stderr) = Browser::start(launcher, tracker, spec, dirs).await?;
        let Err(failed) = browser.wait_until_ready(kind, viewport).await else {
            return Ok(browser);
        };
        browser.kill().await;
        let stderr = stderr.joined().await;
        Err(match failed {
            Failed::Setup(source) => LaunchError::Setup { source, stderr },
            Failed::TooSlow => LaunchError::TooSlow { stderr },
            Failed::Died(reason) => LaunchError::Died { reason, stderr },
        })
    }

    /// Starts the program and the tasks that serve its pipes.
    async fn start(
        launcher: &Launcher,
        tracker: &TaskTracker,
        spec: LaunchSpec,
        dirs: &BrowserDirs,
    ) -> Result<(Browser, DrainedStderr), LaunchError> {
        let pipes = pipe::open().map_err(LaunchError::Pipes)?;
        let (stderr_ours, stderr_theirs) = io::pipe().map_err(LaunchError::Pipes)?;
        let stderr_ours =
            Receiver::from_owned_fd(OwnedFd::from(stderr_ours)).map_err(LaunchError::Pipes)?;
        let fds = vec![
            (2, OwnedFd::from(stderr_theirs)),
            (3, pipes.browser_reads),
            (4, pipes.browser_writes),
        ];
        let tree = launcher.start(build_program(&spec, dirs, fds)).await?;
        let program_pid = tree.program_pid();
        let stderr = DrainedStderr::start(tracker, stderr_ours);
        let file_access = FileAccess {
            session: spec.session_dir,
            downloads: dirs.downloads.clone(),
        };
        let broker = Broker::new(
            PipeWriter::new(pipes.to_browser, &spec.budget),
            spec.budget.clone(),
            file_access,
            spec.limits,
            spec.navigation_hint,
        );
        let broker = broker.with_ignored_certificates(spec.ignored_certificates);
        let broker = Arc::new(broker.with_locale(spec.locale));
        let supervised = supervise(
            tracker,
            tree,
            Arc::clone(&broker),
            pipes.from_browser,
            &spec.budget,
        );
        Ok((Browser::new(broker, supervised, program_pid), stderr))
    }

    /// Waits until the first page has the right size.
    async fn wait_until_ready(&self, kind: BrowserKind, viewport: Viewport) -> Result<(), Failed> {
        let failed = tokio::select! {
            ready = timeout(LAUNCH_TIMEOUT, self.make_ready(kind, viewport)) => match ready {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => Failed::Setup(error),
                Err(_) => Failed::TooSlow,
            },
            reason = self.died() => Failed::Died(reason),
        };
        // If a command failed because the browser is ending, the reason for the end is more
        // informative.
        Err(match failed {
            Failed::Setup(BrowserError::Gone) => Failed::Died(self.died().await),
            failed => failed,
        })
    }

    async fn make_ready(&self, kind: BrowserKind, viewport: Viewport) -> Result<(), BrowserError> {
        let broker = self.broker();
        broker.save_downloads();
        broker.decide_certificate_errors().await?;
        broker.discover_targets().await?;
        let mut current = broker.current_tab();
        let first = current
            .wait_for(Option::is_some)
            .await
            .map_err(|_| BrowserError::Gone)?
            .clone();
        // The shell's pages have the size of its window, so there is nothing to measure.
        if kind == BrowserKind::Chromium
            && let Some(first) = first
        {
            match broker.fit_page(&first, viewport).await {
                // A page of another size is better than none.
                Err(error @ BrowserError::Rejected { .. }) => {
                    tracing::warn!(%error, "first page not resized");
                }
                fitted => fitted?,
            }
        }
        Ok(())
    }
}

enum Failed {
    Setup(BrowserError),
    TooSlow,
    Died(DeathReason),
}

/// The standard error of a browser, which a task reads.
struct DrainedStderr {
    last_lines: LastLines,
    draining: JoinHandle<()>,
}

impl DrainedStderr {
    fn start(tracker: &TaskTracker, stderr: Receiver) -> DrainedStderr {
        let last_lines = LastLines::default();
        let draining = stderr::drain(stderr, last_lines.clone());
        DrainedStderr {
            last_lines,
            draining: tracker.spawn(draining.in_current_span()),
        }
    }

    /// Returns the last lines of a browser that has ended.
    async fn joined(mut self) -> String {
        let _ = timeout(STDERR_TIMEOUT, &mut self.draining).await;
        self.last_lines.joined()
    }
}

/// Returns the program of a browser with its descriptors.
fn build_program(spec: &LaunchSpec, dirs: &BrowserDirs, fds: Vec<(RawFd, OwnedFd)>) -> Program {
    let flags = build_flags(&FlagsFor {
        kind: BrowserKind::of(&spec.executable),
        user_data: &dirs.user_data,
        viewport: spec.viewport,
        user_agent: &spec.user_agent,
        languages: spec.locale.as_ref().map(|locale| &*locale.languages),
        sandbox: spec.sandbox,
        proxy_port: spec.proxy_port,
        small_shared_memory: is_shared_memory_small(),
    });
    Program {
        program: spec.executable.clone(),
        args: flags,
        env: build_environment(&spec.dir, &dirs.tmp, spec.locale.as_ref()),
        cwd: spec.dir.clone(),
        fds,
        deadline: None,
    }
}

/// Returns the whole environment of Chromium.
///
/// While a thread of Chromium's D-Bus client calls `getenv`, its main thread sets
/// `DBUS_SESSION_BUS_ADDRESS` and `FC_FONTATIONS`. `setenv` of a new variable may move the
/// environment, and the thread then reads freed memory: with Chromium 148, one start in about 300
/// crashed because of it. Variables that exist are replaced in place. `disabled:` is the value that
/// Chromium sets itself.
fn build_environment(dir: &Path, tmp: &Path, locale: Option<&Locale>) -> Vec<(String, String)> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let time_zone = locale.map(|locale| ("TZ", locale.time_zone.clone()));
    [
        ("HOME", text(dir)),
        ("TMPDIR", text(tmp)),
        ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("FC_FONTATIONS", "1".to_owned()),
        ("DBUS_SESSION_BUS_ADDRESS", "disabled:".to_owned()),
    ]
    .into_iter()
    .chain(time_zone)
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Returns the size of `/dev/shm`, or `None` if it does not exist.
pub fn shared_memory_bytes() -> Option<u64> {
    let shm = nix::sys::statvfs::statvfs("/dev/shm").ok()?;
    Some(shm.blocks().saturating_mul(shm.fragment_size()))
}

fn is_shared_memory_small() -> bool {
    // Without `/dev/shm`, Chromium needs its files elsewhere in any case.
    shared_memory_bytes().is_none_or(|bytes| bytes < MIN_SHARED_MEMORY_BYTES)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn dirs_are_private_and_may_exist() {
        let session = tempfile::tempdir().expect("a directory");
        for _ in 0..2 {
            let dirs = BrowserDirs::make(session.path()).expect("made");
            for dir in [dirs.user_data, dirs.downloads, dirs.tmp] {
                let mode = dir.metadata().expect("there").permissions().mode();
                assert_eq!(mode & 0o777, 0o700, "{}", dir.display());
            }
        }
    }

    #[test]
    fn error_names_the_dir_that_cannot_be_created() {
        let error = BrowserDirs::make(Path::new("/nowhere/session"))
            .err()
            .expect("an error")
            .to_string();
        assert!(error.contains("/nowhere/session/user-data"), "{error}");
    }

    #[test]
    fn environment_is_an_allow_list() {
        let names: Vec<String> = build_environment(Path::new("/s"), Path::new("/s/tmp"), None)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(
            names,
            [
                "HOME",
                "TMPDIR",
                "PATH",
                "LANG",
                "FC_FONTATIONS",
                "DBUS_SESSION_BUS_ADDRESS"
            ]
        );
    }
}
