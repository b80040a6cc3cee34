//! The running server: its services, its listeners and its graceful shutdown.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hearth_budget::Budget;
use hearth_contract::DestroyedReason;
use hearth_egress::Egress;
use hearth_sandbox::UserIds;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::banner::announce;
use super::descriptors::watch_descriptors;
use super::listeners::{Listeners, connection_limits, serve_all};
use super::prepare::{Prepared, bad_data_dir};
use super::self_test::run_self_test;
use super::signals::Signals;
use crate::clock;
use crate::config::{Config, ConfigError, IsolationLevel, Retention};
use crate::http::assets::live_view_policy;
use crate::http::connections::Connections;
use crate::http::state::{AppState, ServerLoad};
use crate::metrics::Metrics;
use crate::profiles::{Profiles, profiles_dir};
use crate::sandbox::{Isolation, Ports, SandboxSpec, UidPool, sessions_dir};
use crate::sessions::{
    CdpListeners, ENDED_KEPT_COUNT, Registry, RegistrySpec, Services, spawn_watchers,
};
use crate::store::{FILE, SessionRecord, Store, StoreError};
use crate::toolchain::Runtime;

/// The time limit for open requests to finish after the sessions have ended.
const RESPONSES_TIMEOUT: Duration = Duration::from_secs(2);

/// The time limit for a graceful shutdown after its grace period. The shims then end the remaining
/// programs, because their control sockets close.
const STOP_TIMEOUT: Duration = Duration::from_secs(14);

/// The time within which signals count as one. A signal that is sent to a process and to its group
/// arrives twice.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// The number of sessions whose listener may wait to be served, which takes microseconds.
const SESSION_LISTENERS: usize = 64;

/// The interval between removals of old records.
const RETENTION_INTERVAL: Duration = Duration::from_hours(1);

/// The isolation and the programs of sessions.
struct Sandbox {
    isolation: Isolation,
    runtime: Runtime,
}

/// Sessions of earlier servers.
struct StoredSessions {
    sessions: Vec<SessionRecord>,
    /// The number of sessions that an earlier server left open.
    lost: u64,
}

/// The tasks that end together when the server stops.
struct Tasks {
    tracker: TaskTracker,
    /// Stops the tasks of `tracker`.
    stop: CancellationToken,
    /// The tasks that answer requests.
    servers: TaskTracker,
}

/// Serves until a signal arrives, and returns when the shutdown is complete.
pub(crate) async fn serve(prepared: Prepared) -> anyhow::Result<()> {
    let Prepared {
        config,
        keys,
        isolation,
        runtime,
        listener,
        lock: _lock,
    } = prepared;
    let mut signals = Signals::listen()?;
    let descriptors = watch_descriptors()?;
    let (cdp_listeners, session_listeners) = mpsc::channel(SESSION_LISTENERS);
    let listeners = Listeners {
        public: TcpListener::from_std(listener)?,
        sessions: session_listeners,
    };
    let tasks = Tasks {
        tracker: TaskTracker::new(),
        stop: CancellationToken::new(),
        servers: TaskTracker::new(),
    };
    let (store, past) = open_store(&config, &tasks).await?;
    let sandbox = Sandbox { isolation, runtime };
    let registry = build_registry(
        &config,
        sandbox,
        &listeners,
        cdp_listeners,
        &tasks,
        &store,
        past,
    )
    .await?;
    let connections = Connections::new(connection_limits(
        config.max_connections,
        descriptors.counted.max(),
    ));
    let state = AppState::new(
        keys,
        config.public_url.clone(),
        listeners.public.local_addr()?.to_string(),
        live_view_policy(&config.frame_ancestors)?,
        config.isolation.level,
        Arc::clone(&registry),
        ServerLoad {
            connections,
            descriptors: Arc::clone(&descriptors.counted),
            accept_paused: descriptors.pause.clone(),
        },
    );
    start(&config, listeners, &state, &registry, &tasks, &store)?;

    signals.next().await;
    stop(config.stop_grace, &registry, &tasks, &store, &mut signals).await;
    Ok(())
}

/// Opens the store, and records the end of the sessions that an earlier server left open. Returns
/// the ended sessions, and the number of sessions that were left open.
async fn open_store(config: &Config, tasks: &Tasks) -> anyhow::Result<(Store, StoredSessions)> {
    let dir = &config.data_dir;
    let bad = |error| store_error(dir, &error);
    let (store, writer) = Store::open(dir).await.map_err(bad)?;
    tasks.tracker.spawn(writer.run(tasks.stop.clone()));
    let now = clock::now();
    let lost = store.end_lost_sessions(now).await.map_err(bad)?;
    if lost > 0 {
        tracing::warn!(lost, "sessions of an earlier server ended");
    }
    let oldest = now - config.retention.sessions;
    let sessions = store
        .ended_sessions(oldest, ENDED_KEPT_COUNT)
        .await
        .map_err(bad)?;
    Ok((store, StoredSessions { sessions, lost }))
}

fn store_error(dir: &Path, error: &StoreError) -> ConfigError {
    let file = dir.join(FILE);
    bad_data_dir(match error {
        StoreError::Newer { .. } => format!("cannot use the store: {error}"),
        error => format!(
            "cannot use the store: {error}. If it is damaged, move {} away: profiles stay, and the records of earlier sessions are lost",
            file.display()
        ),
    })
}

/// Runs the self-test, and builds the registry with everything that sessions need.
async fn build_registry(
    config: &Config,
    sandbox: Sandbox,
    listeners: &Listeners,
    cdp_listeners: CdpListeners,
    tasks: &Tasks,
    store: &Store,
    past: StoredSessions,
) -> anyhow::Result<Arc<Registry>> {
    let Sandbox { isolation, runtime } = sandbox;
    // The self-test connects to it as programs connect to their session's listener.
    let trial = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("cannot listen on loopback")?;
    let uid_count = isolation.user_ids().map(UserIds::max_sessions);
    let uid_pool = UidPool::new(uid_count.unwrap_or(0), random_index());
    let sandbox_spec = SandboxSpec {
        isolation: &isolation,
        browser: &config.browser.path,
        runtime: &runtime,
        ports: Ports {
            cdp: trial.local_addr()?.port(),
            egress: Vec::new(),
        },
    };
    let self_test = run_self_test(config, sandbox_spec, &uid_pool).await?;
    warn_about(config, uid_count);
    let profiles = Profiles::open(profiles_dir(&config.data_dir), store.clone())
        .await
        .map_err(|error| bad_data_dir(format!("cannot use the profiles: {error}")))?;
    let egress = Egress::new(config.egress.policy());
    egress.add_self_port(listeners.public.local_addr()?.port());
    let spec = RegistrySpec {
        sessions_dir: sessions_dir(&config.data_dir),
        browser: config.browser.path.clone(),
        user_agent: self_test.user_agent,
        browser_sandbox: self_test.browser_sandbox,
        viewport: config.viewport,
        runtime,
        isolation,
        cdp_listeners,
        egress,
        max_sessions: max_sessions(config, uid_count),
        team_max_sessions: config.team_max_sessions,
        max_output_bytes: config.max_output_bytes,
        limits: config.limits,
        buffers: Budget::new("the server", config.limits.buffer_mb << 20),
        keep_ended: config.retention.sessions,
        profiles,
        checkpoint_every: config.profiles.checkpoint_every(),
    };
    let services = Services::new(
        store.clone(),
        Arc::new(Metrics::new(config.isolation.level.as_str())),
    );
    for _ in 0..past.lost {
        services.metrics.session_ended(DestroyedReason::ServerLost);
    }
    let tracker = tasks.tracker.clone();
    let registry = Registry::new(spec, uid_pool, tracker, services, past.sessions);
    Ok(Arc::new(registry))
}

/// Starts the tasks and listeners of the server, and announces it.
fn start(
    config: &Config,
    listeners: Listeners,
    state: &AppState,
    registry: &Arc<Registry>,
    tasks: &Tasks,
    store: &Store,
) -> anyhow::Result<()> {
    let Tasks {
        tracker,
        stop,
        servers,
    } = tasks;
    let address = listeners.public.local_addr()?;
    let keyless = state.keys().is_empty();
    tracker.spawn(run_retention(store.clone(), config.retention, stop.clone()));
    spawn_watchers(registry, stop);
    serve_all(listeners, state, servers, stop);
    announce(address, keyless, registry.max_sessions());
    Ok(())
}

/// Ends running code after the grace period, then sessions, then tasks. A second signal skips the
/// rest.
async fn stop(
    grace: Duration,
    registry: &Registry,
    tasks: &Tasks,
    store: &Store,
    signals: &mut Signals,
) {
    tracing::info!(grace_seconds = grace.as_secs(), "stop requested");
    let orderly = async {
        registry.stop(grace).await;
        tasks.stop.cancel();
        tasks.servers.close();
        // The servers close keep-alive connections without a request, and finish open responses.
        let _ = timeout(RESPONSES_TIMEOUT, tasks.servers.wait()).await;
        tasks.tracker.close();
        tasks.tracker.wait().await;
        store.close().await;
    };
    tokio::select! {
        outcome = timeout(grace + STOP_TIMEOUT, orderly) => {
            if outcome.is_ok() {
                tracing::info!("server stopped");
            } else {
                tracing::error!("server stopped before everything ended");
            }
        }
        // The shims end the remaining programs when their control sockets close with this process.
        () = signals.next_after(SAME_SIGNAL) => {
            tracing::warn!("server stopped at once by a second signal");
        }
    }
}

fn warn_about(config: &Config, uid_count: Option<u16>) {
    if config.isolation.level == IsolationLevel::None {
        tracing::warn!(
            "sandbox disabled (HEARTH_ISOLATION=none): session code has every right of the server's user"
        );
    }
    if uid_count.is_some_and(|count| usize::from(count) < config.max_sessions()) {
        tracing::warn!(
            sessions = uid_count,
            "session limit lowered: HEARTH_UIDS has user ids for fewer sessions than HEARTH_MAX_SESSIONS"
        );
    }
}

/// Returns the maximum number of concurrent sessions. The number of user ids can limit it.
fn max_sessions(config: &Config, uid_count: Option<u16>) -> usize {
    let wanted = config.max_sessions();
    uid_count.map_or(wanted, |count| wanted.min(count.into()))
}

/// Returns a random first index, so that two servers with the same range rarely use the same user
/// ids.
fn random_index() -> u16 {
    getrandom::u32().map_or(0, |number| (number & 0xffff) as u16)
}

/// Removes old records every hour until `stop`.
async fn run_retention(store: Store, retention: Retention, stop: CancellationToken) {
    let mut hours = interval(RETENTION_INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = hours.tick() => {}
        }
        let now = clock::now();
        let pruned = store.prune(now - retention.sessions, now - retention.executions);
        if let Err(error) = pruned.await {
            tracing::warn!(%error, "retention prune failed");
        }
    }
}
