//! From the settings to a server that listens, and from a signal to nothing left.

use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::HeaderValue;
use axum::serve::ListenerExt;
use hearth_confine::{Split, SplitFromInit, UserIds, raise_open_files, split, split_from_init};
use hearth_contract::DestroyedReason;
use hearth_egress::Egress;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::prctl;
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::{Pid, geteuid, getpid};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::config::{Config, ConfigError};
use crate::http::router;
use crate::http::state::AppState;
use crate::metrics::Metrics;
use crate::profiles::{Profiles, profiles_folder};
use crate::sandbox::{
    self, Isolation, Level, Ports, Slots, check_reach, give_files, prepare_folders,
};
use crate::sandbox::{Enclosure, Site, sessions_folder, sweep};
use crate::sessions::{Books, ENDED_KEPT_COUNT, Registry, RegistrySpec, watch, watch_disk};
use crate::store::{FILE, Retention, SessionRecord, Store, StoreError};
use crate::toolchain::Runtime;

/// How long open requests may take to be answered after the sessions have ended.
const ANSWERS_BOUND: Duration = Duration::from_secs(2);

/// How long an orderly stop may take after its grace period; what is left then ends by its
/// lifelines.
const STOP_BOUND: Duration = Duration::from_secs(14);

/// How long a peer may take nothing of what is sent to it, in milliseconds.
const NO_PROGRESS_MS: u32 = 10_000;

/// Whoever signals a process and its group signals it twice; that is one wish.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// Our own executable, also after its file was replaced by a newer one.
pub(crate) const SHIM: &str = "/proc/self/exe";

/// How often what is old is forgotten.
const HOUSEKEEPING: Duration = Duration::from_hours(1);

/// The name of the folder in which things are tried out before the first session.
const TRIAL: &str = "trial";

/// The file in the data directory that a server holds locked.
pub(crate) const LOCK: &str = "lock";

/// What has been made ready while this process had one thread, and may have been root.
#[derive(Debug)]
pub(crate) struct Ready {
    config: Config,
    isolation: Isolation,
    runtime: Runtime,
    listener: std::net::TcpListener,
    _lock: Flock<File>,
}

/// Which half of the process this is.
#[derive(Debug)]
pub(crate) enum Role {
    /// The one that serves.
    Server(Box<Ready>),
    /// What was the spawner until the server had ended, with its exit code.
    Over(i32),
}

/// Everything up to the first thread. As root it splits the process, so that what serves has no
/// rights to lose.
pub(crate) fn prepare(config: Config) -> anyhow::Result<Role> {
    if let Err(error) = raise_open_files() {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    // While everything can be looked up: the server's user may not come there.
    let runtime_dir = config
        .runtime_dir
        .canonicalize()
        .unwrap_or_else(|_| config.runtime_dir.clone());
    let runtime = Runtime::find(&runtime_dir)?;
    if config.isolation == Level::Default {
        // Nobody of the same user reads our memory, or hangs on to us with a debugger.
        prctl::set_dumpable(false).context("the server's memory cannot be closed to others")?;
    }
    let switches = config.isolation == Level::Default && geteuid().is_root();
    let lock = lock_data_dir(&config.data_dir)?;
    let sessions = sessions_folder(&config.data_dir);
    sweep(&sessions).map_err(|error| {
        ConfigError(format!(
            "HEARTH_DATA_DIR: leftovers in {} cannot be removed: {error}",
            sessions.display()
        ))
    })?;
    let listener =
        bind(config.listen).with_context(|| format!("cannot listen on {}", config.listen))?;
    let mut isolation = Isolation::new(config.isolation, config.limits, runtime.interpreters());
    if switches {
        check_reach("HEARTH_DATA_DIR", &config.data_dir)?;
        let profiles = profiles_folder(&config.data_dir);
        let folders = [
            config.data_dir.as_path(),
            sessions.as_path(),
            profiles.as_path(),
        ];
        prepare_folders(&folders, config.uids)
            .context("the data folder cannot be given to the server's user")?;
        give_files(&config.data_dir, FILE, config.uids)
            .context("the store cannot be given to the server's user")?;
        give_files(&profiles, "", config.uids)
            .context("the profiles cannot be given to the server's user")?;
        match split(config.uids).context("cannot give up the rights of root")? {
            Split::Over(code) => return Ok(Role::Over(code)),
            Split::Server(spawner) => isolation = isolation.with_spawner(spawner),
        }
    } else if getpid() == Pid::from_raw(1)
        && let SplitFromInit::Over(code) =
            split_from_init().context("cannot reap as the first process")?
    {
        return Ok(Role::Over(code));
    }
    Ok(Role::Server(Box::new(Ready {
        config,
        isolation,
        runtime,
        listener,
        _lock: lock,
    })))
}

fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until a signal, and returns when nothing is left.
pub(crate) async fn serve(ready: Ready) -> anyhow::Result<()> {
    let Ready {
        config,
        isolation,
        runtime,
        listener,
        _lock,
    } = ready;
    let mut signals = Signals::listen()?;
    let stop_grace = config.stop_grace;
    let sessions = sessions_folder(&config.data_dir);
    let tracker = TaskTracker::new();
    let internal = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("cannot listen on loopback")?;
    let internal_port = internal.local_addr()?.port();
    let isolation_slots = isolation.user_ids().map(UserIds::slots);
    let slots = Slots::new(isolation_slots.unwrap_or(0), random_slot());
    let site = Site {
        isolation: &isolation,
        browser: &config.browser,
        runtime: &runtime,
        ports: Ports {
            cdp: internal_port,
            egress: Vec::new(),
        },
    };
    let tried = try_out(&config, site, &slots).await?;
    let listener = TcpListener::from_std(listener)?;
    let level = isolation.level;
    if level == Level::None {
        tracing::warn!(
            "HEARTH_ISOLATION=none: whatever runs in a session can do what the server's user can"
        );
    }
    if isolation_slots.is_some_and(|slots| usize::from(slots) < config.max_sessions) {
        tracing::warn!(
            sessions = isolation_slots,
            "HEARTH_UIDS has ids for fewer sessions than HEARTH_MAX_SESSIONS allows"
        );
    }
    let stop = CancellationToken::new();
    let retention = config.retention;
    let (store, past, lost) = open_store(&config.data_dir, retention, &tracker, &stop).await?;
    let profiles = Profiles::open(profiles_folder(&config.data_dir), store.clone()).await;
    let profiles = profiles.map_err(|error| {
        ConfigError(format!(
            "HEARTH_DATA_DIR: the profiles cannot be used: {error}"
        ))
    })?;
    let egress = Egress::new(config.egress);
    for own in [listener.local_addr()?, internal.local_addr()?] {
        egress.add_own_port(own.port());
    }
    let spec = RegistrySpec {
        sessions_folder: sessions,
        browser: config.browser,
        user_agent: tried.user_agent,
        sandbox: tried.sandbox,
        viewport: config.viewport,
        runtime,
        isolation,
        internal_port,
        egress,
        max_sessions: fitting_sessions(config.max_sessions, isolation_slots),
        max_output_bytes: config.max_output_bytes,
        limits: config.limits,
        keep_ended: config.retention.sessions,
        profiles,
        checkpoint_every: config.checkpoint_every,
    };
    let max_sessions = fitting_sessions(config.max_sessions, isolation_slots);
    let books = Books::new(store.clone(), Arc::new(Metrics::new(level.as_str())));
    for _ in 0..lost {
        books.metrics.session_ended(DestroyedReason::ServerLost);
    }
    let registry = Arc::new(Registry::new(spec, slots, tracker.clone(), books, past));
    let address = listener.local_addr()?;
    let keyless = config.keys.is_empty();
    let page_policy = page_policy(&config.frame_ancestors)?;
    let state = AppState::new(
        config.keys,
        config.public_url,
        address.to_string(),
        page_policy,
        level,
        Arc::clone(&registry),
    );
    tracker.spawn(keep_house(store.clone(), retention, stop.clone()));
    tracker.spawn(watch(Arc::clone(&registry), stop.clone()));
    tracker.spawn(watch_disk(Arc::clone(&registry), stop.clone()));
    let servers = TaskTracker::new();
    servers.spawn(listen(
        listener,
        router::public(state.clone()),
        stop.clone(),
    ));
    servers.spawn(listen(internal, router::internal(state), stop.clone()));
    announce(address, keyless, max_sessions);

    signals.next().await;
    tracing::info!(
        grace_seconds = stop_grace.as_secs(),
        "stopping: code that runs may go on for a moment, then sessions end"
    );
    let orderly = async {
        registry.stop(stop_grace).await;
        stop.cancel();
        servers.close();
        // Keep-alive connections without a request are closed by the servers, answers are waited
        // for.
        let _ = timeout(ANSWERS_BOUND, servers.wait()).await;
        tracker.close();
        tracker.wait().await;
        store.close().await;
    };
    tokio::select! {
        outcome = timeout(stop_grace + STOP_BOUND, orderly) => {
            if outcome.is_ok() {
                tracing::info!("stopped");
            } else {
                tracing::error!("stopped, and something did not end in time");
            }
        }
        // What is left ends with us: every shim sees its lifeline close.
        () = signals.next_after(SAME_SIGNAL) => tracing::warn!("stopped at once by a second signal"),
    }
    Ok(())
}

/// Opens what outlives the server, and ends the sessions of a server before us that did not come to
/// it. Gives back how many those were, too.
async fn open_store(
    folder: &Path,
    retention: Retention,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<(Store, Vec<SessionRecord>, u64)> {
    let cannot = |error| match error {
        StoreError::Newer { .. } => ConfigError(format!(
            "HEARTH_DATA_DIR: the store cannot be used: {error}"
        )),
        error => ConfigError(format!(
            "HEARTH_DATA_DIR: the store cannot be used: {error}. If it is damaged, move {} out of the way: profiles stay, and what is known of earlier sessions goes",
            folder.join(FILE).display()
        )),
    };
    let (store, writer) = Store::open(folder).await.map_err(cannot)?;
    tracker.spawn(writer.run(stop.clone()));
    let now = clock::now();
    let lost = store.end_lost_sessions(now).await.map_err(cannot)?;
    if lost > 0 {
        tracing::warn!(
            lost,
            "sessions of an earlier server had not come to their end"
        );
    }
    let past = store
        .ended_sessions(now - retention.sessions, ENDED_KEPT_COUNT)
        .await
        .map_err(cannot)?;
    Ok((store, past, lost))
}

/// Forgets what is old, every hour until `stop`.
async fn keep_house(store: Store, retention: Retention, stop: CancellationToken) {
    let mut hours = interval(HOUSEKEEPING);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = hours.tick() => {}
        }
        let now = clock::now();
        if let Err(error) = store
            .forget(now - retention.sessions, now - retention.executions)
            .await
        {
            tracing::warn!(%error, "what is old is not forgotten");
        }
    }
}

/// What the live view's page may do, which is to be itself, and who may show it in a frame.
fn page_policy(frame_ancestors: &str) -> anyhow::Result<HeaderValue> {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors {frame_ancestors}"
    );
    HeaderValue::try_from(policy).context("HEARTH_FRAME_ANCESTORS does not fit into a header")
}

async fn listen(listener: TcpListener, router: Router, stop: CancellationToken) {
    // Answers and CDP messages are small and must not wait for each other (Nagle's algorithm).
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
        // Whoever takes nothing of what is sent to him for so long is gone, or never comes back
        // (`tcp(7)`).
        let _ = setsockopt(stream, sockopt::TcpUserTimeout, &NO_PROGRESS_MS);
    });
    let server = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = server.await {
        tracing::error!(%error, "a listener failed");
    }
}

/// One server a data directory: it would sweep away the other's sessions.
fn lock_data_dir(folder: &Path) -> anyhow::Result<Flock<File>> {
    let cannot = |error: &dyn std::fmt::Display| {
        ConfigError(format!(
            "HEARTH_DATA_DIR: {} cannot be used: {error}",
            folder.display()
        ))
    };
    if let Some(parent) = folder.parent() {
        // The users of sessions pass through them.
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)
            .map_err(|error| cannot(&error))?;
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| cannot(&error))?;
    let file = File::options()
        .create(true)
        .append(true)
        .open(folder.join(LOCK))
        .map_err(|error| cannot(&error))?;
    let locked = Flock::lock(file, FlockArg::LockExclusiveNonblock);
    Ok(locked.map_err(|_| {
        ConfigError(format!(
            "HEARTH_DATA_DIR: another hearth server uses {}",
            folder.display()
        ))
    })?)
}

/// What trying things out has told.
struct Tried {
    user_agent: String,
    sandbox: bool,
}

/// Has programs started as for a session: the browser says who it is, and code shows that it is
/// confined. Ends with the reason and what mends it when it is not.
async fn try_out(config: &Config, site: Site<'_>, slots: &Slots) -> anyhow::Result<Tried> {
    let tasks = TaskTracker::new();
    let (isolation, runtime) = (site.isolation, site.runtime);
    let slot = isolation.user_ids().and_then(|_| slots.take());
    let sessions = sessions_folder(&config.data_dir);
    let enclosure = Enclosure::create(&sessions, TRIAL, site, slot, &tasks).map_err(|error| {
        ConfigError(format!(
            "HEARTH_DATA_DIR: no folder can be made in {}: {error}",
            sessions.display()
        ))
    })?;
    let (version, findings) = tokio::join!(
        hearth_browser::probe(&enclosure.browser, &config.browser),
        sandbox::probe(isolation, runtime, &enclosure),
    );
    tasks.close();
    tasks.wait().await;
    enclosure.remove().await;
    let findings = findings.map_err(|error| match error.kind() {
        ErrorKind::StorageFull => ConfigError(format!(
            "HEARTH_DATA_DIR: the disk of {} is full: make room, or choose another place",
            config.data_dir.display()
        )),
        _ => ConfigError(format!("HEARTH_ISOLATION: it cannot be tried out: {error}")),
    })?;
    if isolation.level == Level::Default {
        print(&sandbox::render(
            &sandbox::headline(isolation.level),
            &findings.rows,
        ));
    }
    if !findings.hold() {
        return Err(ConfigError(format!(
            "HEARTH_ISOLATION: the level {} does not hold on this machine: mend what the table says, or set HEARTH_ISOLATION=none if you trust all code that you run",
            isolation.level
        ))
        .into());
    }
    let version = version.map_err(|error| {
        ConfigError(format!(
            "HEARTH_BROWSER: {} cannot be used: {error}",
            config.browser.display()
        ))
    })?;
    tracing::info!(browser = version.number(), isolation = %isolation.level, "the browser is there");
    let user_agent = config
        .user_agent
        .clone()
        .unwrap_or_else(|| version.default_user_agent());
    Ok(Tried {
        user_agent,
        sandbox: findings.sandbox,
    })
}

/// How many sessions there may be: each needs user ids of its own, where there are any.
fn fitting_sessions(wanted: usize, slots: Option<u16>) -> usize {
    slots.map_or(wanted, |slots| wanted.min(slots.into()))
}

/// Where to begin with user ids, so that servers beside each other use different ones most of the
/// time.
fn random_slot() -> u16 {
    getrandom::u32().map_or(0, |number| (number & 0xffff) as u16)
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // A closed stdout is no reason not to serve.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Tells people, and tests, where the server is.
fn announce(address: SocketAddr, keyless: bool, max_sessions: usize) {
    let version = env!("CARGO_PKG_VERSION");
    let key = if keyless {
        ""
    } else {
        " -H \"Authorization: Bearer $API_KEY\""
    };
    let hint = if keyless {
        ""
    } else {
        ", with a key of yours in $API_KEY"
    };
    let host = if address.ip().is_unspecified() {
        SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()))
    } else {
        address
    };
    let text = format!(
        r#"Hearth {version} is ready at http://{host} (up to {max_sessions} sessions). Try it{hint}:

  ID=$(curl -s{key} -X POST http://{host}/v2/interact | sed 's/.*"id":"\([^"]*\)".*/\1/')
  curl -s{key} http://{host}/v2/interact/$ID/execute -H 'Content-Type: application/json' \
    -d '{{"code": "await page.goto(\"data:text/html,<title>Hello</title>\"); await page.title()"}}'
  curl -s{key} -X DELETE http://{host}/v2/interact/$ID

"#
    );
    print(&text);
}

/// The two signals that mean: stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Signals> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// The next one that does not come within `pause` from now.
    async fn next_after(&mut self, pause: Duration) {
        let from = Instant::now() + pause;
        while Instant::now() < from {
            self.next().await;
        }
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
