//! The running server: its listeners, its tasks and its graceful shutdown.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hearth_sandbox::UserIds;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::banner::announce;
use super::descriptors::{DescriptorWatch, watch_descriptors};
use super::drain::{SAME_SIGNAL, wait_for_stop};
use super::listeners::{Listeners, connection_limits, serve_all};
use super::peer_port::PeerPort;
use super::prepare::Prepared;
use super::reload::{Reloader, accept_requests};
use super::retention::run_retention;
use super::services::{Sandbox, Tasks, build_registry, open_store};
use super::signals::{self, Signals};
use crate::api_keys::ApiKeys;
use crate::certificate_authorities::CertificateAuthorities;
use crate::config::{Config, ConfigError, FirecrawlSpec};
use crate::firecrawl::{Firecrawl, watch};
use crate::http::assets::live_view_policy;
use crate::http::connections::Connections;
use crate::http::state::{AppState, Backends, Origins, ServerLoad};
use crate::scrape::Scrapes;
use crate::sessions::{Registry, spawn_member_tasks, spawn_watchers};
use crate::store::Store;

/// The time limit for open requests to finish after the sessions have ended.
const RESPONSES_TIMEOUT: Duration = Duration::from_secs(2);

/// The time limit for a graceful shutdown after its grace period. The shims then end the remaining
/// programs, because their control sockets close.
const STOP_TIMEOUT: Duration = Duration::from_secs(14);

/// The number of sessions whose listener may wait to be served, which takes microseconds.
const SESSION_LISTENERS: usize = 64;

/// Serves until a signal arrives, and returns when the shutdown is complete.
pub(crate) async fn serve(prepared: Prepared) -> anyhow::Result<()> {
    let Prepared {
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
    } = prepared;
    let config = Arc::new(config);
    let (mut signals, reload_signals) = signals::listen()?;
    if let Err(error) = accept_requests(&lock) {
        tracing::warn!(%error, "lock not taken: `hearth reload` does not find this server");
    }
    let uid_count = isolation.user_ids().map(UserIds::max_sessions);
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
    let firecrawl = firecrawl
        .map(|spec| start_firecrawl(spec, authorities.as_ref(), &descriptors, &tasks))
        .transpose()?;
    let (store, past) = tokio::select! {
        biased;
        opened = open_store(&config, &tasks) => opened?,
        // A database may not answer for a minute.
        () = signals.next() => return Ok(()),
    };
    let sandbox = Sandbox {
        isolation,
        runtime,
        authorities: authorities.clone(),
        block_list,
    };
    let building = build_registry(
        &config,
        sandbox,
        &listeners,
        cdp_listeners,
        &tasks,
        &store,
        past,
    );
    let (registry, endpoint) = Box::pin(building).await?;
    let local_host = listeners.public.local_addr()?.to_string();
    let scrapes = Scrapes::new(
        Arc::clone(&registry),
        store.clone(),
        page_source,
        config.scrape.keep,
    );
    let limits = connection_limits(
        config.max_connections,
        descriptors.counted.max(),
        config.server_limits,
    );
    let peer_port = endpoint
        .zip(config.cluster.as_ref())
        .zip(registry.cluster())
        .map(|((endpoint, spec), cluster)| PeerPort::new(endpoint, cluster, spec, limits));
    let forwarding = peer_port.as_ref();
    let backends = Backends {
        registry: Arc::clone(&registry),
        scrapes,
        firecrawl,
        forwarding: forwarding.map(|port| port.forwarding(registry.metrics(), &tasks)),
    };
    let load = ServerLoad {
        connections: Connections::new(limits),
        descriptors: Arc::clone(&descriptors.counted),
        accept_paused: descriptors.pause.clone(),
    };
    let state = build_state(&config, keys, local_host, backends, load)?;
    if let Some(port) = peer_port {
        port.start(&state, &tasks).await?;
    }
    start(&config, listeners, &state, &registry, &tasks, &store)?;
    let (grace, drain) = (
        config.stop_grace,
        config
            .cluster
            .as_ref()
            .map_or(Duration::ZERO, |cluster| cluster.drain),
    );
    let reloader = Reloader::new(config, files, key_files, uid_count, authorities, state);
    let reloading = reloader.run(reload_signals, tasks.stop.clone());
    tasks.tracker.spawn(reloading);

    wait_for_stop(&mut signals, &registry, drain).await;
    stop(grace, &registry, &tasks, &store, &mut signals).await;
    drop(lock);
    Ok(())
}

/// Builds the state that all requests share. `local_host` is the address of the public listener.
fn build_state(
    config: &Config,
    keys: ApiKeys,
    local_host: String,
    backends: Backends,
    load: ServerLoad,
) -> anyhow::Result<AppState> {
    let cors_origins = config.cors_origins.iter();
    Ok(AppState::new(
        keys,
        Origins {
            public_url: config.public_url.clone(),
            local_host,
            allowed: cors_origins.flat_map(|list| list.0.clone()).collect(),
        },
        live_view_policy(&config.frame_ancestors)?,
        config.isolation.level,
        backends,
        load,
    ))
}

/// Creates the client of the Firecrawl server, and starts to probe it.
fn start_firecrawl(
    spec: FirecrawlSpec,
    authorities: Option<&CertificateAuthorities>,
    descriptors: &DescriptorWatch,
    tasks: &Tasks,
) -> Result<Arc<Firecrawl>, ConfigError> {
    let max_descriptors = descriptors.counted.max();
    let (tracker, stop) = (tasks.tracker.clone(), tasks.stop.clone());
    let firecrawl = Firecrawl::new(spec, authorities, max_descriptors, tracker, stop);
    let firecrawl = Arc::new(firecrawl.map_err(|error| {
        ConfigError::new("HEARTH_FIRECRAWL_URL", format!("cannot use HTTPS: {error}")).fixed_by(
            "install the package ca-certificates, or set HEARTH_CA_FILE to Firecrawl's authority",
        )
    })?);
    firecrawl.spawn(watch(Arc::clone(&firecrawl)));
    Ok(firecrawl)
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
    registry.metrics().teams().add(state.keys().teams());
    tracker.spawn(run_retention(store.clone(), config.retention, stop.clone()));
    spawn_watchers(registry, stop).context("cannot start the watchers of limits")?;
    if let Some(cluster) = registry.cluster() {
        spawn_member_tasks(registry, cluster, stop);
    }
    serve_all(listeners, state, servers, stop);
    let is_test = registry.test_mode().is_some();
    announce(address, keyless, registry.max_sessions(), is_test);
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
    if let Some(cluster) = registry.cluster() {
        // Other nodes create new sessions meanwhile.
        cluster.drain();
    }
    let orderly = async {
        registry.stop(grace).await;
        tasks.stop.cancel();
        tasks.servers.close();
        // The servers close keep-alive connections without a request, and finish open responses.
        let _ = timeout(RESPONSES_TIMEOUT, tasks.servers.wait()).await;
        if let Some(cluster) = registry.cluster() {
            cluster.leave();
        }
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
