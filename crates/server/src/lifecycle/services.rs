//! The store and the registry of a server, with everything that sessions need.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Context;
use hearth_budget::Budget;
use hearth_contract::DestroyedReason;
use hearth_egress::{BlockList, Egress};
use hearth_sandbox::UserIds;
use nix::sys::resource::{Resource, getrlimit};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::join::{PeerEndpoint, join};
use super::listeners::{Listeners, egress_connections};
use super::open_profiles::{OpenProfiles, open_profiles, start_profiles};
use super::open_store::{open, statement_error};
use super::self_test::run_self_test;
use crate::certificate_authorities::CertificateAuthorities;
use crate::clock;
use crate::config::{Config, IsolationLevel};
use crate::metrics::Metrics;
use crate::sandbox::{Isolation, Ports, SandboxSpec, UidPool, sessions_dir};
use crate::sessions::{CdpListeners, ENDED_KEPT_COUNT, QuotaMax, Registry, RegistrySpec, Services};
use crate::store::{SessionRecord, Store};
use crate::test_mode::TestMode;
use crate::toolchain::Runtime;

/// The isolation and the programs of sessions, and the content of files about sessions.
pub(super) struct Sandbox {
    pub isolation: Isolation,
    pub runtime: Runtime,
    /// The authorities of `HEARTH_CA_FILE`.
    pub authorities: Option<CertificateAuthorities>,
    /// The hosts that sessions can block.
    pub block_list: BlockList,
}

/// Sessions of earlier servers.
#[derive(Default)]
pub(super) struct StoredSessions {
    sessions: Vec<SessionRecord>,
    /// The number of sessions that an earlier server left open.
    lost: u64,
}

/// The tasks that end together when the server stops.
pub(super) struct Tasks {
    pub tracker: TaskTracker,
    /// Stops the tasks of `tracker`.
    pub stop: CancellationToken,
    /// The tasks that answer requests.
    pub servers: TaskTracker,
}

/// Opens the store, and records the end of the sessions that an earlier server left open. Returns
/// the ended sessions, and the number of sessions that were left open.
pub(super) async fn open_store(
    config: &Config,
    tasks: &Tasks,
) -> anyhow::Result<(Store, StoredSessions)> {
    let bad = |error| statement_error(config, &error);
    let (store, writer) = open(config).await?;
    tasks.tracker.spawn(writer.run(tasks.stop.clone()));
    if store.postgres().is_some() {
        // The registration ends the sessions of an earlier life, and lists come from the database.
        return Ok((store, StoredSessions::default()));
    }
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

/// Runs the self-test, joins the cluster, and builds the registry with everything that sessions
/// need.
pub(super) async fn build_registry(
    config: &Arc<Config>,
    sandbox: Sandbox,
    listeners: &Listeners,
    cdp_listeners: CdpListeners,
    tasks: &Tasks,
    store: &Store,
    past: StoredSessions,
) -> anyhow::Result<(Arc<Registry>, Option<PeerEndpoint>)> {
    let Sandbox {
        isolation,
        runtime,
        authorities,
        block_list,
    } = sandbox;
    // The self-test connects to it as programs connect to their session's listener.
    let probed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("cannot listen on loopback")?;
    let uid_count = isolation.user_ids().map(UserIds::max_sessions);
    let uid_pool = UidPool::new(uid_count.unwrap_or(0), random_index());
    let sandbox_spec = SandboxSpec {
        isolation: &isolation,
        browser: &config.browser.path,
        runtime: &runtime,
        ports: Ports {
            cdp: probed.local_addr()?.port(),
            egress: Vec::new(),
        },
    };
    let self_test = run_self_test(config, sandbox_spec, &uid_pool).await?;
    warn_about(config, uid_count);
    let metrics = Arc::new(Metrics::with_store(
        config.isolation.level.as_str(),
        store.metrics().clone(),
    ));
    let limits = isolation.limits.clone();
    let profiles = open_profiles(OpenProfiles {
        config,
        store,
        authorities: authorities.as_ref(),
        limits: &limits,
        metrics: &metrics,
        tasks: &tasks.tracker,
        stop: &tasks.stop,
    })
    .await?;
    let max_sessions = quota_max(config, uid_count);
    let (descriptors, _) =
        getrlimit(Resource::RLIMIT_NOFILE).context("cannot read the limit of open files")?;
    let egress = Egress::new(config.egress_policy())
        .with_max_connections(egress_connections(descriptors, max_sessions.server))
        .with_lookup_limits(config.server_limits.lookups)
        .with_block_list(block_list);
    egress.add_self_port(listeners.public.local_addr()?.port());
    let spec = RegistrySpec {
        config: Arc::clone(config),
        limits,
        max_sessions,
        sessions_dir: sessions_dir(&config.data_dir),
        user_agent: self_test.user_agent,
        browser_sandbox: self_test.browser_sandbox,
        runtime,
        isolation,
        cdp_listeners,
        egress,
        buffers: Budget::new("the server", config.limits.buffer_mb << 20),
        profiles: Arc::clone(&profiles),
    };
    let joined = match &config.cluster {
        Some(cluster) => {
            let max = max_sessions.server;
            let joined = join(cluster, store, &metrics, max, &tasks.tracker).await?;
            if let Some(registered) = joined.cluster.current() {
                start_profiles(&profiles, &registered.life).await;
            }
            Some(joined)
        }
        None => None,
    };
    let (cluster, endpoint) = joined
        .map(|joined| (joined.cluster, joined.endpoint))
        .unzip();
    let known = past.sessions.iter().map(|record| record.id);
    let test_mode = config.test_mode.is_on();
    let test_mode = test_mode.then(|| Arc::new(TestMode::new(known)));
    let services = Services::new(store.clone(), metrics, cluster, test_mode);
    for _ in 0..past.lost {
        services.metrics.session_ended(DestroyedReason::ServerLost);
    }
    let tracker = tasks.tracker.clone();
    let past = past.sessions;
    let registry = Arc::new(Registry::new(spec, uid_pool, tracker, services, past));
    registry
        .trust(&config.data_dir, authorities.as_ref())
        .await?;
    Ok((registry, endpoint))
}

fn warn_about(config: &Config, uid_count: Option<u16>) {
    if config.server_limits.are_lifted() {
        tracing::warn!("limits of the server lifted for a test");
    }
    if config.test_mode.is_on() {
        tracing::warn!("test mode (HEARTH_TEST_MODE): clients can make sessions and requests fail");
    }
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

/// Returns the maximum numbers of concurrent sessions. The number of user ids can limit them.
pub(super) fn quota_max(config: &Config, uid_count: Option<u16>) -> QuotaMax {
    let wanted = config.max_sessions();
    QuotaMax {
        server: uid_count.map_or(wanted, |count| wanted.min(count.into())),
        team: config.team_max_sessions,
    }
}

/// Returns a random first index, so that two servers with the same range rarely use the same user
/// ids.
fn random_index() -> u16 {
    getrandom::u32().map_or(0, |number| (number & 0xffff) as u16)
}
