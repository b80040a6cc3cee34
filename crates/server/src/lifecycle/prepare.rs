//! Startup steps that need a single-threaded process or root privileges.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::Context;
use hearth_egress::BlockList;
use hearth_sandbox::{
    InitFork, PrivilegedFork, fork_init, fork_privileged, raise_open_file_limit,
    return_freed_memory,
};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::prctl;
use nix::unistd::{Pid, geteuid, getpid};

use super::address::bind;
use super::setting_files::{FileStates, SettingFiles};
use crate::api_keys::ApiKeys;
use crate::backup::{is_interrupted, replaced_dir};
use crate::certificate_authorities::CertificateAuthorities;
use crate::config::{Config, ConfigError, CurrentLimits, FirecrawlSpec, IsolationLevel};
use crate::profiles::profiles_dir;
use crate::sandbox::{
    Isolation, check_traversable, chown_files, prepare_dirs, remove_trust, sessions_dir, sweep,
    trust_dir,
};
use crate::scrape::PageSource;
use crate::store::FILE;
use crate::toolchain::Runtime;

/// The name of the file in the data directory that a server holds locked.
pub(crate) const LOCK: &str = "lock";

/// A server that is ready to start threads. It no longer has root privileges.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub config: Config,
    pub keys: ApiKeys,
    /// The files with settings, which are read again later.
    pub files: SettingFiles,
    /// The states of the key files when they were read.
    pub key_files: FileStates,
    pub isolation: Isolation,
    pub runtime: Runtime,
    /// Read early, because the server's user may not be able to reach the runtime.
    pub page_source: PageSource,
    /// The authorities of `HEARTH_CA_FILE`.
    pub authorities: Option<CertificateAuthorities>,
    /// The hosts that sessions can block.
    pub block_list: BlockList,
    pub firecrawl: Option<FirecrawlSpec>,
    pub listener: std::net::TcpListener,
    /// Locked until the server ends.
    pub lock: Flock<File>,
}

/// The half of the process that returns from [`prepare`].
#[derive(Debug)]
pub(crate) enum Role {
    /// The half that serves.
    Server(Box<Prepared>),
    /// The privileged half, after the server has ended with this exit code.
    Finished(i32),
}

/// Locks the data directory, removes the remains of an earlier server from it, binds the listener
/// and gives up root privileges. As root, and as the first process of a container, it splits the
/// process.
pub(crate) fn prepare(mut config: Config) -> anyhow::Result<Role> {
    return_freed_memory();
    if let Err(error) = raise_open_file_limit() {
        tracing::warn!(%error, "limit of open files not raised");
    }
    // The server's user may not be able to read the keys and the runtime, or to resolve the path.
    let mut files = SettingFiles::of(&config);
    let key_files = files.states(&config.key_files());
    let keys = config.keys()?;
    config.cluster = config.read_cluster(&keys)?;
    let authorities = config.certificates.read(&|path| File::open(path))?;
    let block_list = config.blocking.read(&|path| File::open(path))?;
    let firecrawl = config.firecrawl.read(&|path| File::open(path))?;
    let runtime_dir = config.runtime_dir()?;
    let runtime_dir = runtime_dir.canonicalize().unwrap_or(runtime_dir);
    let runtime = Runtime::find(&runtime_dir)
        .map_err(|error| ConfigError::new("HEARTH_RUNTIME_DIR", error.to_string()))?;
    let page_source = PageSource::read(&runtime_dir)
        .map_err(|error| ConfigError::new("HEARTH_RUNTIME_DIR", error.to_string()))?;
    let level = config.isolation.level;
    if level == IsolationLevel::Default {
        // No process of the same user can read this memory or attach a debugger.
        prctl::set_dumpable(false).context("cannot protect the memory of the server")?;
    }
    let lock = lock_data_dir(&config.data_dir)?;
    if is_interrupted(&config.data_dir) {
        return Err(interrupted_restore(&config.data_dir).into());
    }
    let sessions = sessions_dir(&config.data_dir);
    sweep(&sessions).map_err(|error| {
        let dir = sessions.display();
        bad_data_dir(format!("cannot remove the remains in {dir}: {error}"))
    })?;
    remove_trust(&config.data_dir).map_err(|error| {
        let dir = trust_dir(&config.data_dir);
        let dir = dir.display();
        bad_data_dir(format!("cannot remove the remains in {dir}: {error}"))
    })?;
    let listener = bind(config.listen)?;
    let limits = CurrentLimits::new(config.limits);
    let mut isolation = Isolation::new(level, limits, runtime.interpreters());
    if level == IsolationLevel::Default && geteuid().is_root() {
        give_data_dir(&config, &sessions)?;
        let forked = fork_privileged(config.isolation.uids()?, files.paths().to_vec());
        match forked.context("cannot give up root privileges")? {
            PrivilegedFork::Exited(code) => return Ok(Role::Finished(code)),
            PrivilegedFork::Server(spawner) => {
                files = files.with_spawner(spawner.clone());
                isolation = isolation.with_spawner(spawner);
            }
        }
    } else if getpid() == Pid::from_raw(1)
        && let InitFork::Exited(code) = fork_init().context("cannot fork as process 1")?
    {
        return Ok(Role::Finished(code));
    }
    Ok(Role::Server(Box::new(Prepared {
        config,
        keys,
        files,
        key_files,
        isolation,
        runtime,
        page_source,
        authorities,
        block_list,
        firecrawl,
        listener,
        lock,
    })))
}

/// Gives the data directory to the user that the server becomes.
fn give_data_dir(config: &Config, sessions: &Path) -> anyhow::Result<()> {
    check_traversable(&config.data_dir)
        .map_err(|error| ConfigError::new("HEARTH_DATA_DIR", error.to_string()))?;
    let uids = config.isolation.uids()?;
    let profiles = profiles_dir(&config.data_dir);
    let dirs = [config.data_dir.as_path(), sessions, profiles.as_path()];
    prepare_dirs(&dirs, uids).context("cannot give the data directory to the server's user")?;
    chown_files(&config.data_dir, FILE, uids)
        .context("cannot give the store to the server's user")?;
    chown_files(&profiles, "", uids).context("cannot give the profiles to the server's user")
}

/// Locks the data directory, because two servers on one directory would remove each other's
/// sessions.
pub(crate) fn lock_data_dir(dir: &Path) -> Result<Flock<File>, ConfigError> {
    let bad = |error: std::io::Error| {
        bad_data_dir(format!("{} cannot be used: {error}", dir.display()))
            .fixed_by("set HEARTH_DATA_DIR to a directory that this user can write")
    };
    if let Some(parent) = dir.parent() {
        // The users of sessions must traverse it.
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)
            .map_err(bad)?;
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(bad)?;
    let file = File::options()
        .create(true)
        .append(true)
        .open(dir.join(LOCK))
        .map_err(bad)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
        bad_data_dir(format!("another hearth server uses {}", dir.display()))
            .fixed_by("stop that server, or set HEARTH_DATA_DIR to another directory")
    })
}

/// Returns the error about a data directory whose data is only partly replaced.
pub(crate) fn interrupted_restore(dir: &Path) -> ConfigError {
    let error = bad_data_dir(format!("a restore of {} was interrupted", dir.display()));
    error.fixed_by(format!(
        "run `hearth restore FILE --replace` again; the data from before it is in {}",
        replaced_dir(dir).display()
    ))
}

pub(super) fn bad_data_dir(reason: String) -> ConfigError {
    ConfigError::new("HEARTH_DATA_DIR", reason)
}
