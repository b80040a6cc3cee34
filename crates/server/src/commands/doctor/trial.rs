//! Where the checks try things out: a folder like a session's, and a launcher like a session's. Both go when the
//! doctor does.
//!
//! The folder is beside those of the sessions and not among them, since a server that starts sweeps those away.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearth_confine::Launcher;
use nix::fcntl::{Flock, FlockArg};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::config::Judged;
use crate::lifecycle::SHIM;
use crate::runtime::Runtime;
use crate::sessions::{Folder, folder_name, prepare_launcher};

/// The folder of all trials below the data directory: a letter, as that of the sessions, so that what is below it has
/// paths of the same length.
const TRIALS: &str = "d";

/// Where a trial takes place when the data directory cannot be used.
const FALLBACK: &str = "/tmp";

/// How long what was killed may take to be gone.
const PROCESSES_BOUND: Duration = Duration::from_secs(5);

/// Where things are tried out. To be ended with [`Trial::end`].
#[derive(Debug)]
pub(super) struct Trial {
    pub folder: Folder,
    /// As sessions have it: with a `/tmp` of its own where that is possible.
    pub launcher: Launcher,
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
    pub fn begin(judged: &Judged) -> io::Result<Trial> {
        let tasks = TaskTracker::new();
        let name = folder_name(Uuid::now_v7());
        let mut made = Vec::new();
        let within = judged.data_dir.as_ref().map(|folder| make_within(folder, &name, &mut made));
        let (folder, alone, refused) = match within {
            Ok(Ok((folder, alone))) => (folder, alone, None),
            // A setting that is wrong has a finding of its own.
            Err(_) => (make_fallback(&name)?, None, None),
            Ok(Err(error)) => {
                remove_made(&mut made);
                (make_fallback(&name)?, None, Some(error))
            }
        };
        let launcher = plan_launcher(judged, &folder, &tasks);
        Ok(Trial { folder, launcher, tasks, refused, made, _alone: alone })
    }

    /// Waits until nothing runs any more of what was started and killed, and removes the folder.
    pub async fn end(mut self) {
        self.tasks.close();
        // What does not go away in time ends with this process.
        let _ = timeout(PROCESSES_BOUND, self.tasks.wait()).await;
        let removing = spawn_blocking(move || {
            self.folder.remove();
            remove_made(&mut self.made);
        });
        let _ = timeout(PROCESSES_BOUND, removing).await;
    }
}

fn make_within(data_dir: &Path, name: &str, made: &mut Vec<PathBuf>) -> io::Result<(Folder, Option<Flock<File>>)> {
    let trials = data_dir.join(TRIALS);
    made.extend(data_dir.ancestors().take_while(|folder| !folder.exists()).map(Path::to_owned));
    made.reverse();
    made.push(trials.clone());
    DirBuilder::new().recursive(true).mode(0o700).create(&trials)?;
    // A doctor that was killed leaves its folder; the next one that is alone removes it.
    let alone = Flock::lock(File::open(&trials)?, FlockArg::LockExclusiveNonblock).ok();
    if alone.is_some() {
        for entry in fs::read_dir(&trials)? {
            Folder::at(&entry?.path()).remove();
        }
    }
    Ok((Folder::create(&trials, name)?, alone))
}

fn make_fallback(name: &str) -> io::Result<Folder> {
    Folder::create(Path::new(FALLBACK), &format!("hearth-doctor-{name}"))
}

/// Removes what is empty; another doctor or a server may have put something there.
fn remove_made(made: &mut Vec<PathBuf>) {
    while let Some(folder) = made.pop() {
        let _ = fs::remove_dir(folder);
    }
}

/// What is missing cannot be seen below a private `/tmp` either; it has a finding of its own.
fn plan_launcher(judged: &Judged, folder: &Folder, tasks: &TaskTracker) -> Launcher {
    let shim = Path::new(SHIM);
    let browser = judged.browser.as_deref().unwrap_or(folder.root());
    let runtime = judged.runtime_dir.as_deref().unwrap_or(folder.root());
    prepare_launcher(shim, browser, &Runtime::at(runtime), folder, tasks)
        .unwrap_or_else(|_| Launcher::new(shim.to_owned(), tasks.clone()))
}
