//! The directory and launchers with which checks run programs, as in a session.
//!
//! The directory is outside the parent of session directories, because a server removes those at
//! startup.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearth_sandbox::UserIds;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::subject::Subject;
use crate::config::{CurrentLimits, IsolationLevel};
use crate::sandbox::dirs::session_dir_name;
use crate::sandbox::{Isolation, Ports, UidPool};
use crate::sandbox::{SandboxSpec, SessionDir, SessionSandbox};
use crate::toolchain::Runtime;

/// The name of the parent of all fixtures in the data directory. It has one letter, like the parent
/// of sessions, so that paths below both have the same length.
const FIXTURES_DIR: &str = "d";

/// The parent of the fixture if the data directory cannot be used.
const FALLBACK: &str = "/tmp";

/// The time limit for killed processes to exit.
const PROCESSES_TIMEOUT: Duration = Duration::from_secs(5);

/// A sandbox for the checks. [`Fixture::remove`] removes it.
#[derive(Debug)]
pub(super) struct Fixture {
    /// The sandbox, with user ids and a private `/tmp` where that is possible.
    pub sandbox: SessionSandbox,
    pub isolation: Isolation,
    /// The tasks that own the started programs.
    pub tasks: TaskTracker,
    /// The error of using the data directory, if there was one.
    pub unusable: Option<io::Error>,
    /// The directories that did not exist before, outermost first, and then the parent of all
    /// fixtures.
    made: Vec<PathBuf>,
    /// Locked if no other doctor uses the same parent.
    _alone: Option<Flock<File>>,
}

impl Fixture {
    /// Creates the fixture, in the data directory if that is usable. Blocks.
    pub fn create(subject: &Subject) -> io::Result<Fixture> {
        let tasks = TaskTracker::new();
        let name = session_dir_name()?;
        let isolation = plan_isolation(subject);
        let mut made = Vec::new();
        // A data directory that cannot be used has a separate finding.
        let usable = subject.error("HEARTH_DATA_DIR").is_none();
        let within = usable.then(|| {
            let (parent, alone) = make_within(&subject.config.data_dir, &isolation, &mut made)?;
            Ok((
                create_sandbox(subject, &isolation, &parent, &name, &tasks)?,
                alone,
            ))
        });
        let fallback = || {
            create_sandbox(
                subject,
                &isolation,
                Path::new(FALLBACK),
                &format!("hearth-doctor-{name}"),
                &tasks,
            )
        };
        let (sandbox, alone, unusable) = match within {
            Some(Ok((sandbox, alone))) => (sandbox, alone, None),
            None => (fallback()?, None, None),
            Some(Err(error)) => {
                remove_made(&mut made);
                (fallback()?, None, Some(error))
            }
        };
        Ok(Fixture {
            sandbox,
            isolation,
            tasks,
            unusable,
            made,
            _alone: alone,
        })
    }

    /// Waits until all started programs have exited, and removes the directory.
    pub async fn remove(mut self) {
        self.tasks.close();
        // Programs that do not exit in time end with this process.
        let _ = timeout(PROCESSES_TIMEOUT, self.tasks.wait()).await;
        let removing = async {
            self.sandbox.remove().await;
            spawn_blocking(move || remove_made(&mut self.made)).await
        };
        let _ = timeout(PROCESSES_TIMEOUT, removing).await;
    }
}

/// Returns the isolation that the server would use, without the spawner, because the doctor keeps
/// the privileges of its user.
fn plan_isolation(subject: &Subject) -> Isolation {
    let config = &subject.config;
    let level = subject.level();
    let runtime = config.runtime_dir();
    let interpreters = runtime.map(|dir| Runtime::at(&dir).interpreters());
    let limits = CurrentLimits::new(config.limits);
    let isolation = Isolation::new(level, limits, interpreters.unwrap_or_default());
    match config.isolation.uids() {
        Ok(ids) if level == IsolationLevel::Default && geteuid().is_root() => {
            isolation.with_ids(ids)
        }
        _ => isolation,
    }
}

fn create_sandbox(
    subject: &Subject,
    isolation: &Isolation,
    parent: &Path,
    name: &str,
    tasks: &TaskTracker,
) -> io::Result<SessionSandbox> {
    // Missing parts have separate findings.
    let browser = &subject.config.browser;
    let browser = browser.find().unwrap_or(Path::new("/usr/bin/false"));
    let runtime = subject.config.runtime_dir();
    let runtime = Runtime::at(runtime.as_deref().unwrap_or(Path::new("/usr")));
    // A server assigns indexes in order from a random one. The doctor takes the last one, which a
    // server rarely uses.
    let uid_count = isolation.user_ids().map(UserIds::max_sessions);
    let uid_lease =
        uid_count.and_then(|count| UidPool::new(count, count.saturating_sub(1)).lease(|_| true));
    let spec = SandboxSpec {
        isolation,
        browser,
        runtime: &runtime,
        ports: Ports {
            cdp: 0,
            egress: Vec::new(),
        },
    };
    SessionSandbox::create(parent, name, spec, uid_lease, tasks)
}

fn make_within(
    data_dir: &Path,
    isolation: &Isolation,
    made: &mut Vec<PathBuf>,
) -> io::Result<(PathBuf, Option<Flock<File>>)> {
    let parent = data_dir.join(FIXTURES_DIR);
    made.extend(
        data_dir
            .ancestors()
            .take_while(|dir| !dir.exists())
            .map(Path::to_owned),
    );
    made.reverse();
    made.push(parent.clone());
    // The users of sessions must traverse it.
    let permissions = if isolation.user_ids().is_some() {
        0o711
    } else {
        0o700
    };
    DirBuilder::new()
        .recursive(true)
        .mode(permissions)
        .create(&parent)?;
    // This removes the remains of a killed doctor.
    let alone = Flock::lock(File::open(&parent)?, FlockArg::LockExclusiveNonblock).ok();
    if alone.is_some() {
        for entry in fs::read_dir(&parent)? {
            SessionDir::at(&entry?.path()).remove();
        }
    }
    Ok((parent, alone))
}

/// Removes the directories that are empty, because another doctor or a server may use the others.
fn remove_made(made: &mut Vec<PathBuf>) {
    while let Some(dir) = made.pop() {
        let _ = fs::remove_dir(dir);
    }
}
