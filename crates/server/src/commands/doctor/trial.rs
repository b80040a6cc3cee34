//! Where the checks try things out: a folder like a session's, and a launcher like a session's.
//! Both go when the doctor does.
//!
//! The folder is beside those of the sessions and not among them, since a server that starts sweeps
//! those away.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearth_confine::UserIds;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::Subject;
use crate::sandbox::{Enclosure, Folder, Site};
use crate::sandbox::{Isolation, Level, Ports, Slots};
use crate::sessions::folder_name;
use crate::toolchain::Runtime;

/// The folder of all trials below the data directory: a letter, as that of the sessions, so that
/// what is below it has paths of the same length.
const TRIALS: &str = "d";

/// Where a trial takes place when the data directory cannot be used.
const FALLBACK: &str = "/tmp";

/// How long what was killed may take to be gone.
const PROCESSES_BOUND: Duration = Duration::from_secs(5);

/// Where things are tried out. To be ended with [`Trial::end`].
#[derive(Debug)]
pub(super) struct Trial {
    /// As sessions have it: with user ids and a `/tmp` of its own where that is possible, and
    /// confined.
    pub enclosure: Enclosure,
    pub isolation: Isolation,
    /// The owners of everything that was started.
    pub tasks: TaskTracker,
    /// Why the data directory is not used.
    pub refused: Option<io::Error>,
    /// Folders that were not there before, outermost first, and that of all trials.
    made: Vec<PathBuf>,
    /// Held when no other doctor tries anything in the same place.
    _alone: Option<Flock<File>>,
}

impl Trial {
    /// Makes the folder, below the data directory if that can be used. Blocks.
    pub fn begin(subject: &Subject) -> io::Result<Trial> {
        let tasks = TaskTracker::new();
        let name = folder_name(Uuid::now_v7());
        let isolation = plan_isolation(subject);
        let mut made = Vec::new();
        // A data directory that cannot be used has a finding of its own.
        let usable = subject.error("HEARTH_DATA_DIR").is_none();
        let within = usable.then(|| {
            let (trials, alone) = make_within(&subject.config.data_dir, &isolation, &mut made)?;
            Ok((enclose(subject, &isolation, &trials, &name, &tasks)?, alone))
        });
        let fallback = || {
            enclose(
                subject,
                &isolation,
                Path::new(FALLBACK),
                &format!("hearth-doctor-{name}"),
                &tasks,
            )
        };
        let (enclosure, alone, refused) = match within {
            Some(Ok((enclosure, alone))) => (enclosure, alone, None),
            None => (fallback()?, None, None),
            Some(Err(error)) => {
                remove_made(&mut made);
                (fallback()?, None, Some(error))
            }
        };
        Ok(Trial {
            enclosure,
            isolation,
            tasks,
            refused,
            made,
            _alone: alone,
        })
    }

    /// Waits until nothing runs any more of what was started and killed, and removes the folder.
    pub async fn end(mut self) {
        self.tasks.close();
        // What does not go away in time ends with this process.
        let _ = timeout(PROCESSES_BOUND, self.tasks.wait()).await;
        let removing = async {
            self.enclosure.remove().await;
            spawn_blocking(move || remove_made(&mut self.made)).await
        };
        let _ = timeout(PROCESSES_BOUND, removing).await;
    }
}

/// As the server would have it, but for the spawner: whoever asks for a diagnosis has what rights
/// there are.
fn plan_isolation(subject: &Subject) -> Isolation {
    let config = &subject.config;
    let level = subject.level();
    let runtime = config.runtime_dir();
    let interpreters = runtime.map(|dir| Runtime::at(&dir).interpreters());
    let isolation = Isolation::new(level, config.limits, interpreters.unwrap_or_default());
    match config.isolation.uids() {
        Ok(ids) if level == Level::Default && geteuid().is_root() => isolation.with_ids(ids),
        _ => isolation,
    }
}

fn enclose(
    subject: &Subject,
    isolation: &Isolation,
    parent: &Path,
    name: &str,
    tasks: &TaskTracker,
) -> io::Result<Enclosure> {
    // Missing parts have findings of their own.
    let browser = &subject.config.browser;
    let browser = browser.find().unwrap_or(Path::new("/usr/bin/false"));
    let runtime = subject.config.runtime_dir();
    let runtime = Runtime::at(runtime.as_deref().unwrap_or(Path::new("/usr")));
    // A server gives its slots out from a random one on; this is the last.
    let slots = isolation.user_ids().map(UserIds::slots);
    let slot = slots.and_then(|count| Slots::new(count, count.saturating_sub(1)).take());
    let site = Site {
        isolation,
        browser,
        runtime: &runtime,
        ports: Ports {
            cdp: 0,
            egress: Vec::new(),
        },
    };
    Enclosure::create(parent, name, site, slot, tasks)
}

fn make_within(
    data_dir: &Path,
    isolation: &Isolation,
    made: &mut Vec<PathBuf>,
) -> io::Result<(PathBuf, Option<Flock<File>>)> {
    let trials = data_dir.join(TRIALS);
    made.extend(
        data_dir
            .ancestors()
            .take_while(|folder| !folder.exists())
            .map(Path::to_owned),
    );
    made.reverse();
    made.push(trials.clone());
    // Where sessions have users of their own, these have to come through.
    let rights = if isolation.user_ids().is_some() {
        0o711
    } else {
        0o700
    };
    DirBuilder::new()
        .recursive(true)
        .mode(rights)
        .create(&trials)?;
    // A doctor that was killed leaves its folder; the next one that is alone removes it.
    let alone = Flock::lock(File::open(&trials)?, FlockArg::LockExclusiveNonblock).ok();
    if alone.is_some() {
        for entry in fs::read_dir(&trials)? {
            Folder::at(&entry?.path()).remove();
        }
    }
    Ok((trials, alone))
}

/// Removes what is empty; another doctor or a server may have put something there.
fn remove_made(made: &mut Vec<PathBuf>) {
    while let Some(folder) = made.pop() {
        let _ = fs::remove_dir(folder);
    }
}
