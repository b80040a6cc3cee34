//! Prometheus metrics. docs/OPERATIONS.md lists them, with useful alerts.

mod cluster;
mod descriptors;
mod egress;
mod firecrawl;
mod forwarding;
mod gauges;
mod limits;
mod outcomes;
mod primitives;
mod profile_store;
mod scrapes;
mod store;
mod teams;
mod warm;

use std::fmt;
use std::time::Duration;

use hearth_contract::{DestroyedReason, Language};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

pub(crate) use self::cluster::{ClusterMetrics, FencedBy};
pub(crate) use self::descriptors::Descriptors;
use self::egress::EgressMetrics;
pub(crate) use self::firecrawl::{FirecrawlFailure, FirecrawlMetrics};
pub(crate) use self::forwarding::{ForwardOutcome, ForwardingMetrics};
pub(crate) use self::gauges::{ClusterCounts, ConnectionCounts, FirecrawlCounts, Gauges};
pub(crate) use self::outcomes::{CreateOutcome, ExecuteOutcome, KillReason, Rejection};
use self::primitives::{CREATE_SECONDS, Count, IntGauge, OneLabel, TwoLabels, raise, saturate};
pub(crate) use self::profile_store::{ObjectOperation, ProfileStoreMetrics};
pub(crate) use self::scrapes::{ScrapeMetrics, ScrapeOutcome};
pub(crate) use self::store::{StoreMetrics, StoreStatement};
pub(crate) use self::teams::TeamMetrics;
pub(crate) use self::warm::{ColdReason, WarmMetrics};
use crate::team::Team;

/// The content type of the text that [`Metrics::render`] returns.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The histogram buckets for executing code, in seconds. They range from a warm kernel's two
/// milliseconds to the maximum timeout.
const EXECUTE_SECONDS: [f64; 15] = [
    0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 120.0, 300.0,
];

const LANGUAGES: [Language; 3] = [Language::Node, Language::Python, Language::Bash];

const REASONS: [DestroyedReason; 8] = [
    DestroyedReason::Deleted,
    DestroyedReason::Ttl,
    DestroyedReason::Idle,
    DestroyedReason::BrowserCrashed,
    DestroyedReason::Limit,
    DestroyedReason::ServerStopped,
    DestroyedReason::ServerLost,
    DestroyedReason::NodeLost,
];

/// All metrics of the server.
pub(crate) struct Metrics {
    registry: Registry,
    ready: IntGauge,
    sessions: Family<OneLabel, IntGauge>,
    max_sessions: IntGauge,
    ended: Family<OneLabel, Count>,
    create: Family<OneLabel, Histogram>,
    execute: Family<TwoLabels, Histogram>,
    wait: Family<OneLabel, Histogram>,
    executions: Family<OneLabel, IntGauge>,
    kills: Family<OneLabel, Count>,
    browser_crashes: Count,
    output: Family<OneLabel, Count>,
    egress: EgressMetrics,
    profile_saves: Family<OneLabel, Count>,
    requests: Family<[(&'static str, String); 3], Count>,
    leaked_processes: IntGauge,
    delayed_ends: IntGauge,
    memory: Family<OneLabel, IntGauge>,
    min_memory: IntGauge,
    free_disk: IntGauge,
    min_disk: IntGauge,
    buffers: IntGauge,
    max_buffers: IntGauge,
    buffers_denied: Count,
    session_buffers_denied: Count,
    connections: IntGauge,
    max_connections: IntGauge,
    connections_closed: Family<OneLabel, Count>,
    descriptors: Family<OneLabel, IntGauge>,
    accept_paused: IntGauge,
    teams: TeamMetrics,
    warm: WarmMetrics,
    firecrawl: FirecrawlMetrics,
    forwarding: ForwardingMetrics,
    scrapes: ScrapeMetrics,
    cluster: ClusterMetrics,
    profile_store: ProfileStoreMetrics,
    store: StoreMetrics,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Creates all metrics at zero.
    pub fn new(isolation: &'static str) -> Metrics {
        Metrics::with_store(isolation, StoreMetrics::default())
    }

    /// Creates all metrics at zero, except for those of an open store.
    pub fn with_store(isolation: &'static str, store: StoreMetrics) -> Metrics {
        let create = || Histogram::new(CREATE_SECONDS);
        let execute = || Histogram::new(EXECUTE_SECONDS);
        let mut metrics = Metrics {
            registry: Registry::with_prefix("hearth"),
            ready: IntGauge::default(),
            sessions: Family::default(),
            max_sessions: IntGauge::default(),
            ended: Family::default(),
            create: Family::new_with_constructor(create),
            execute: Family::new_with_constructor(execute),
            wait: Family::new_with_constructor(execute),
            executions: Family::default(),
            kills: Family::default(),
            browser_crashes: Count::default(),
            output: Family::default(),
            egress: EgressMetrics::default(),
            profile_saves: Family::default(),
            requests: Family::default(),
            leaked_processes: IntGauge::default(),
            delayed_ends: IntGauge::default(),
            memory: Family::default(),
            min_memory: IntGauge::default(),
            free_disk: IntGauge::default(),
            min_disk: IntGauge::default(),
            buffers: IntGauge::default(),
            max_buffers: IntGauge::default(),
            buffers_denied: Count::default(),
            session_buffers_denied: Count::default(),
            connections: IntGauge::default(),
            max_connections: IntGauge::default(),
            connections_closed: Family::default(),
            descriptors: Family::default(),
            accept_paused: IntGauge::default(),
            teams: TeamMetrics::default(),
            warm: WarmMetrics::new(),
            firecrawl: FirecrawlMetrics::new(),
            forwarding: ForwardingMetrics::new(),
            scrapes: ScrapeMetrics::new(),
            cluster: ClusterMetrics::new(),
            profile_store: ProfileStoreMetrics::new(),
            store,
        };
        metrics.register(isolation);
        metrics.initialize();
        metrics
    }

    fn register(&mut self, isolation: &'static str) {
        self.register_sessions(isolation);
        self.register_executions();
        self.register_host();
        self.register_limits();
        self.warm.register(&mut self.registry);
        self.firecrawl.register(&mut self.registry);
        self.forwarding.register(&mut self.registry);
        self.scrapes.register(&mut self.registry);
        self.cluster.register(&mut self.registry);
        self.profile_store.register(&mut self.registry);
        self.store.register(&mut self.registry);
    }

    fn register_sessions(&mut self, isolation: &'static str) {
        let all = &mut self.registry;
        let build = Family::<TwoLabels, IntGauge>::default();
        build
            .get_or_create(&[
                ("version", env!("CARGO_PKG_VERSION")),
                ("isolation", isolation),
            ])
            .set(1);
        all.register(
            "build_info",
            "The server's version and isolation level; always 1",
            build,
        );
        all.register(
            "ready",
            "1 when the server accepts new sessions, as at /readyz",
            self.ready.clone(),
        );
        all.register("sessions", "Sessions, by state", self.sessions.clone());
        all.register(
            "sessions_max",
            "The maximum number of sessions",
            self.max_sessions.clone(),
        );
        all.register(
            "sessions_ended",
            "Ended sessions, by reason",
            self.ended.clone(),
        );
        all.register_with_unit(
            "session_create",
            "Time to create a session, by outcome",
            Unit::Seconds,
            self.create.clone(),
        );
    }

    fn register_executions(&mut self) {
        let all = &mut self.registry;
        all.register_with_unit(
            "execute",
            "Time to execute code, from request to response",
            Unit::Seconds,
            self.execute.clone(),
        );
        all.register_with_unit(
            "execute_wait",
            "Time that executions waited for their turn",
            Unit::Seconds,
            self.wait.clone(),
        );
        all.register(
            "executions",
            "Executions that are running or waiting for their turn",
            self.executions.clone(),
        );
        all.register("kills", "Killed executions, by reason", self.kills.clone());
        all.register(
            "browser_crashes",
            "Browsers that ended unexpectedly",
            self.browser_crashes.clone(),
        );
        all.register(
            "output_bytes",
            "Output of executed code, kept or dropped",
            self.output.clone(),
        );
    }

    fn register_host(&mut self) {
        let all = &mut self.registry;
        self.egress.register(all);
        all.register(
            "profile_saves",
            "Attempts to save a profile, by outcome",
            self.profile_saves.clone(),
        );
        all.register(
            "http_requests",
            "HTTP requests, by method, route and status",
            self.requests.clone(),
        );
        all.register(
            "leaked_processes",
            "Processes that outlived their sessions; must be 0",
            self.leaked_processes.clone(),
        );
        all.register(
            "session_ends_delayed",
            "Ends of sessions that the store has not recorded yet",
            self.delayed_ends.clone(),
        );
        all.register(
            "memory_bytes",
            "Memory of all sessions and of the server, and available memory",
            self.memory.clone(),
        );
        all.register(
            "disk_free_bytes",
            "Free space on the disk with the data directory",
            self.free_disk.clone(),
        );
    }

    /// Creates every known combination of labels at 0, so that rates include the first event.
    fn initialize(&self) {
        for outcome in CreateOutcome::ALL {
            drop(self.create.get_or_create(&[("outcome", outcome.label())]));
        }
        for language in LANGUAGES.map(Language::as_str) {
            drop(self.wait.get_or_create(&[("language", language)]));
            for outcome in ExecuteOutcome::ALL {
                drop(
                    self.execute
                        .get_or_create(&[("language", language), ("outcome", outcome.label())]),
                );
            }
        }
        let counts = [
            (
                &self.ended,
                "reason",
                REASONS.map(DestroyedReason::as_str).to_vec(),
            ),
            (
                &self.kills,
                "reason",
                KillReason::ALL.map(KillReason::label).to_vec(),
            ),
            (&self.output, "kind", vec!["kept", "dropped"]),
            (&self.profile_saves, "outcome", vec!["saved", "failed"]),
        ];
        for (family, label, values) in counts {
            for value in values {
                drop(family.get_or_create(&[(label, value)]));
            }
        }
    }

    /// The metrics of scrapes.
    pub fn scrapes(&self) -> &ScrapeMetrics {
        &self.scrapes
    }

    pub fn session_created(&self, outcome: CreateOutcome, duration: Duration) {
        self.create
            .get_or_create(&[("outcome", outcome.label())])
            .observe(duration.as_secs_f64());
    }

    pub fn session_ended(&self, reason: DestroyedReason) {
        self.ended
            .get_or_create(&[("reason", reason.as_str())])
            .inc();
        if reason == DestroyedReason::BrowserCrashed {
            self.browser_crashes.inc();
        }
    }

    pub fn execution_finished(
        &self,
        language: Language,
        outcome: ExecuteOutcome,
        duration: Duration,
    ) {
        let labels = [
            ("language", language.as_str()),
            ("outcome", outcome.label()),
        ];
        self.execute
            .get_or_create(&labels)
            .observe(duration.as_secs_f64());
    }

    /// Records the time that an execution waited for its turn.
    pub fn execution_waited(&self, language: Language, duration: Duration) {
        self.wait
            .get_or_create(&[("language", language.as_str())])
            .observe(duration.as_secs_f64());
    }

    pub fn execution_killed(&self, reason: KillReason) {
        self.kills
            .get_or_create(&[("reason", reason.label())])
            .inc();
    }

    /// Records the size of an execution's output.
    pub fn output_captured(&self, kept_bytes: usize, dropped_bytes: usize) {
        self.output
            .get_or_create(&[("kind", "kept")])
            .inc_by(kept_bytes as u64);
        self.output
            .get_or_create(&[("kind", "dropped")])
            .inc_by(dropped_bytes as u64);
    }

    pub fn profile_save_finished(&self, is_saved: bool) {
        self.profile_saves
            .get_or_create(&[("outcome", if is_saved { "saved" } else { "failed" })])
            .inc();
    }

    /// Counts a request. `method` and `route` must come from a fixed set, because every distinct
    /// value creates a time series.
    pub fn request_finished(&self, method: &str, route: &str, status: &str) {
        let labels = [
            ("method", method.to_owned()),
            ("route", route.to_owned()),
            ("status", status.to_owned()),
        ];
        self.requests.get_or_create(&labels).inc();
    }

    /// Returns the metrics on warm sessions.
    pub fn warm(&self) -> &WarmMetrics {
        &self.warm
    }

    /// Returns the metrics on requests to a Firecrawl server.
    pub fn firecrawl(&self) -> &FirecrawlMetrics {
        &self.firecrawl
    }

    /// Returns the metrics on requests that were forwarded to other nodes.
    pub fn forwarding(&self) -> &ForwardingMetrics {
        &self.forwarding
    }

    /// Returns the metrics of a node of a cluster.
    pub fn cluster(&self) -> &ClusterMetrics {
        &self.cluster
    }

    /// Returns the metrics on profiles in object storage.
    pub fn profile_store(&self) -> &ProfileStoreMetrics {
        &self.profile_store
    }

    /// Returns the metrics per team.
    pub fn teams(&self) -> &TeamMetrics {
        &self.teams
    }

    /// Renders all metrics in `OpenMetrics` text format. Of the metrics per team, renders those of
    /// the visible teams.
    pub fn render(&self, gauges: &Gauges, is_visible: impl Fn(&Team) -> bool) -> String {
        self.set_gauges(gauges);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode_registry(&mut text, &self.registry);
        self.teams
            .encode(&mut text, &gauges.team_sessions, is_visible);
        let _ = encode_eof(&mut text);
        text
    }

    fn set_gauges(&self, gauges: &Gauges) {
        self.ready.set(i64::from(gauges.ready));
        for (state, count) in [
            ("creating", gauges.creating),
            ("active", gauges.active),
            ("ending", gauges.ending),
            ("kept", gauges.kept),
        ] {
            self.sessions
                .get_or_create(&[("state", state)])
                .set(saturate(count as u64));
        }
        self.max_sessions.set(saturate(gauges.max_sessions as u64));
        for (state, count) in [("running", gauges.running), ("waiting", gauges.waiting)] {
            self.executions
                .get_or_create(&[("state", state)])
                .set(saturate(count as u64));
        }
        self.leaked_processes
            .set(saturate(gauges.leaked_processes as u64));
        self.delayed_ends.set(saturate(gauges.delayed_ends as u64));
        let memory = [
            ("sessions", Some(gauges.sessions_memory_bytes)),
            ("server", gauges.server_memory_bytes),
            ("available", gauges.available_memory_bytes),
        ];
        for (of, bytes) in memory {
            if let Some(bytes) = bytes {
                self.memory
                    .get_or_create(&[("of", of)])
                    .set(saturate(bytes));
            }
        }
        self.set_limits(gauges);
        self.warm.set(gauges);
        self.firecrawl.set(gauges);
        self.cluster.set(gauges);
        if let Some(bytes) = gauges.free_disk_bytes {
            self.free_disk.set(saturate(bytes));
        }
        self.egress.set(gauges);
    }
}

#[cfg(test)]
mod tests;
