//! The sandbox of one session: its directory, its user ids and the launchers of its programs. It
//! exists before the first process of the session and outlives the last.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hearth_sandbox::{
    DiskUsage, Launcher, PrivateTmp, SandboxUser, Snapshot, UserRole, is_shortage,
};
use nix::unistd::{getegid, geteuid};
use tokio::task::spawn_blocking;
use tokio::time::interval;
use tokio_util::task::TaskTracker;

use super::compile_cache::CompileCache;
use super::dirs::SessionDir;
use super::isolation::Isolation;
use super::plan::{Ports, SandboxPaths, plan_agent, plan_browser, plan_code};
use super::programs::agent_socket;
use super::python_env::PythonEnv;
use super::uid_pool::UidLease;
use crate::config::IsolationLevel;
use crate::toolchain::Runtime;

/// The interval between attempts to remove a session's files while descriptors are short, and the
/// maximum number of attempts.
const REMOVAL_INTERVAL: Duration = Duration::from_secs(1);
const MAX_REMOVALS: u32 = 60;

/// The settings of a session's sandbox.
#[derive(Debug)]
pub(crate) struct SandboxSpec<'a> {
    pub isolation: &'a Isolation,
    pub browser: &'a Path,
    pub runtime: &'a Runtime,
    pub ports: Ports,
}

/// The directory of one session and a launcher for each kind of program.
#[derive(Debug)]
pub(crate) struct SessionSandbox {
    pub dir: SessionDir,
    /// The name of the user that code runs as.
    pub user_name: String,
    /// The file with the certificate authorities that code trusts.
    pub ca_bundle: Option<PathBuf>,
    /// The directory in which kernels find Node's compile cache.
    pub compile_cache: Option<PathBuf>,
    /// Launches the browser.
    pub browser: Launcher,
    /// Launches kernels.
    pub code: Launcher,
    /// Launches shells.
    pub shell: Launcher,
    /// Launches the agent-browser daemon.
    pub agent: Launcher,
    /// Held until nothing of the session remains.
    _uid_lease: Option<UidLease>,
}

impl SessionSandbox {
    /// Creates the directory `name` below `parent`, and the launchers. Blocks. Leaves nothing
    /// behind on failure. If descriptors are short, `tasks` contains the removal.
    pub fn create(
        parent: &Path,
        name: &str,
        spec: SandboxSpec<'_>,
        uid_lease: Option<UidLease>,
        tasks: &TaskTracker,
    ) -> io::Result<SessionSandbox> {
        let dir = SessionDir::at(&parent.join(name));
        let created = dir
            .create()
            .and_then(|()| SessionSandbox::around(dir.clone(), spec, uid_lease, tasks));
        let (sandbox, new_dirs) = created.inspect_err(|_| {
            // The server still owns all of it.
            match dir.try_remove() {
                Err(error) if is_shortage(&error) => drop(tasks.spawn(remove_dir(dir.clone()))),
                Err(error) => dir.log_removal_failure(&error),
                Ok(()) => {}
            }
        })?;
        match new_dirs.chown() {
            Ok(()) => Ok(sandbox),
            Err(error) => {
                // Some directories belong to the session's users, who have to remove them.
                tasks.spawn(async move { sandbox.remove().await });
                Err(error)
            }
        }
    }

    /// Creates the sandbox around a directory that still belongs to the server.
    fn around(
        dir: SessionDir,
        spec: SandboxSpec<'_>,
        uid_lease: Option<UidLease>,
        tasks: &TaskTracker,
    ) -> io::Result<(SessionSandbox, NewDirs)> {
        let SandboxSpec {
            isolation,
            browser,
            runtime,
            ports,
        } = spec;
        let trust = isolation.trust.get();
        trust.install(&dir.browser())?;
        let python_env = PythonEnv::create(dir.python_env(), runtime)?;
        let certificates = trust.dir();
        let mut needed = vec![
            dir.root(),
            &runtime.dir,
            browser.parent().unwrap_or(browser),
        ];
        needed.extend(certificates.as_deref());
        let private_tmp = PrivateTmp::prepare(dir.tmp(), &needed)?;
        let private_tmp = if uid_lease.is_some() {
            private_tmp.for_other_users()
        } else {
            private_tmp
        };
        let index = uid_lease.as_ref().map(UidLease::index);
        let own_id = || isolation.user_ids()?.code(index?);
        let (uid, gid) = match own_id() {
            Some(id) => (id, id),
            None => (geteuid().as_raw(), getegid().as_raw()),
        };
        let compile_cache = link_compile_cache(isolation, runtime, &dir, uid)?;
        let account = isolation.accounts.account(uid, gid);
        let private_tmp = account.add_to(private_tmp, dir.root(), &dir.work())?;
        let launcher = isolation.launcher(tasks).with_private_tmp(private_tmp);
        let paths = SandboxPaths {
            runtime: runtime.dir.clone(),
            interpreters: isolation.interpreters.clone(),
            browser_program: browser.to_owned(),
            agent_program: runtime.agent_browser.clone(),
            browser: dir.browser(),
            downloads: dir.downloads(),
            work: dir.work(),
            agent: dir.agent(),
            agent_socket: dir.agent().join(agent_socket()),
            certificates,
            compile_cache: compile_cache.clone(),
        };
        let user = |role| index.map(|index| SandboxUser { index, role });
        let for_code = launcher.as_user(user(UserRole::Code));
        let for_browser = launcher.as_user(user(UserRole::Browser));
        let sandboxed = |launcher: &Launcher, plan: fn(&SandboxPaths, &Ports, _, bool) -> _| {
            isolation.sandboxed(launcher, || {
                plan(&paths, &ports, isolation.limits.get(), index.is_some())
            })
        };
        debug_assert!(isolation.level == IsolationLevel::Default || index.is_none());
        let sandbox = SessionSandbox {
            browser: sandboxed(&for_browser, plan_browser),
            code: sandboxed(&for_code, plan_code),
            shell: sandboxed(&for_code, plan_code).with_warm_shim(),
            agent: sandboxed(&for_code, plan_agent),
            user_name: account.name().to_owned(),
            ca_bundle: trust.bundle.clone(),
            compile_cache,
            dir: dir.clone(),
            _uid_lease: uid_lease,
        };
        let new_dirs = NewDirs {
            launcher,
            dir,
            python_env,
            index,
        };
        Ok((sandbox, new_dirs))
    }

    /// Measures the session's files, and stops a little above `max`. `snapshot` contains the
    /// processes that hold files open. Without it, deleted files that are still open do not count.
    pub async fn measure(
        &self,
        max: DiskUsage,
        snapshot: Option<&Arc<Snapshot>>,
    ) -> io::Result<DiskUsage> {
        let dir = &self.dir;
        let snapshot = || snapshot.map(Arc::clone);
        if self.code.user_ids().is_none() {
            return self
                .code
                .files()
                .measure_dirs(vec![dir.root().to_owned()], max, snapshot())
                .await;
        }
        // Each of the two users can read only its own directories.
        let code_dirs = vec![dir.work(), dir.agent(), dir.tmp()];
        let (code, browser) = tokio::join!(
            self.code.files().measure_dirs(code_dirs, max, snapshot()),
            self.browser
                .files()
                .measure_dirs(vec![dir.browser()], max, snapshot()),
        );
        let (code, browser) = (code?, browser?);
        Ok(DiskUsage {
            bytes: code.bytes + browser.bytes,
            files: code.files + browser.files,
        })
    }

    /// Removes everything. Call this only when no process of the session remains. If descriptors
    /// are short, waits for them, because the files would otherwise stay until the next start.
    pub async fn remove(&self) {
        self.shell.close_warm_shim().await;
        let removed = retry_while_short(|| self.try_remove()).await;
        if let Err(error) = removed {
            self.dir.log_removal_failure(&error);
        }
    }

    async fn try_remove(&self) -> io::Result<()> {
        // The session's users remove their own files. If they cannot remove a file, the removal
        // below fails.
        if self.code.user_ids().is_some() {
            let dir = &self.dir;
            let of_code = vec![dir.work(), dir.agent(), dir.tmp(), dir.downloads()];
            let mut of_browser = vec![dir.browser(), dir.work(), dir.tmp()];
            // The directory above them belongs to the server if the creation has failed.
            of_browser.extend(dir.browser_dirs());
            for emptied in [
                self.code.files().empty_dirs(of_code).await,
                self.browser.files().empty_dirs(of_browser).await,
            ] {
                emptied.or_else(|error| {
                    if is_shortage(&error) {
                        Err(error)
                    } else {
                        Ok(())
                    }
                })?;
            }
        }
        let dir = self.dir.clone();
        let removing = spawn_blocking(move || dir.try_remove());
        removing.await.map_err(io::Error::other)?
    }
}

/// Makes Node's compile cache available to programs that run as `uid`, and returns its directory.
/// Without isolation, programs of root could change any cache.
fn link_compile_cache(
    isolation: &Isolation,
    runtime: &Runtime,
    dir: &SessionDir,
    uid: u32,
) -> io::Result<Option<PathBuf>> {
    if isolation.level == IsolationLevel::None {
        return Ok(None);
    }
    let is_of_session = |uid| isolation.is_of_session(uid);
    let Some(cache) = CompileCache::find(&runtime.compile_cache, is_of_session) else {
        return Ok(None);
    };
    let path = dir.compile_cache();
    cache.link(&path, uid)?;
    Ok(Some(path))
}

/// Calls `remove` until it succeeds or fails for another reason than a shortage, at most 60 times.
async fn retry_while_short<F>(remove: impl Fn() -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>>,
{
    let mut attempts = interval(REMOVAL_INTERVAL);
    let mut removed = Ok(());
    for _ in 0..MAX_REMOVALS {
        attempts.tick().await;
        removed = remove().await;
        if !removed.as_ref().is_err_and(is_shortage) {
            break;
        }
    }
    removed
}

/// Removes a directory that belongs to the server.
async fn remove_dir(dir: SessionDir) {
    let removed = retry_while_short(|| {
        let dir = dir.clone();
        let removing = spawn_blocking(move || dir.try_remove());
        async { removing.await.map_err(io::Error::other)? }
    });
    if let Err(error) = removed.await {
        dir.log_removal_failure(&error);
    }
}

/// The directories of a new session, which belong to the server.
struct NewDirs {
    launcher: Launcher,
    dir: SessionDir,
    python_env: PythonEnv,
    /// The user ids of the session, if it has its own.
    index: Option<u16>,
}

impl NewDirs {
    /// Gives the parts of the directory to the session's users. The server keeps the directory
    /// itself, so that no part can be replaced.
    fn chown(&self) -> io::Result<()> {
        let Some(index) = self.index else {
            return Ok(());
        };
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        };
        let dir = &self.dir;
        set(dir.root(), 0o750)?;
        // The server must traverse it. Other users cannot, because they cannot traverse its parent.
        set(&dir.browser(), 0o711)?;
        let code_dirs = [self.python_env.dirs(), dir.code_dirs()].concat();
        for shared in [dir.downloads()].iter().chain(&code_dirs) {
            if *shared != dir.tmp() {
                set(shared, 0o2770)?;
            }
        }
        let give = |role, parts: &[PathBuf]| {
            let parts: Vec<&Path> = parts.iter().map(PathBuf::as_path).collect();
            self.launcher
                .chown_dirs(SandboxUser { index, role }, &parts)
        };
        // This lets the users enter it. It comes first, because each user removes its own files if
        // a later step fails.
        give(UserRole::Server, &[dir.root().to_owned()])?;
        // Inner directories first, because the server cannot reach below a directory after changing
        // its owner.
        give(UserRole::Browser, &dir.browser_dirs())?;
        give(UserRole::Browser, &[dir.browser()])?;
        give(UserRole::Code, &code_dirs)
    }
}
