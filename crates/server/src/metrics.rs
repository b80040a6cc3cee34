//! What is counted, as Prometheus reads it. Names, meanings and what to be woken for are in
//! docs/OPERATIONS.md.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use hearth_contract::{DestroyedReason, Language};
use hearth_egress::Traffic;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The content type of what is rendered.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of histograms, in seconds: from what a warm browser takes to what nobody waits for.
const CREATE_SECONDS: [f64; 11] = [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 30.0];

/// The same of code: from a warm kernel's millisecond to the longest timeout.
const EXECUTE_SECONDS: [f64; 15] = [
    0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 120.0, 300.0,
];

const LANGUAGES: [Language; 3] = [Language::Node, Language::Python, Language::Bash];

const REASONS: [DestroyedReason; 7] = [
    DestroyedReason::Deleted,
    DestroyedReason::Ttl,
    DestroyedReason::Idle,
    DestroyedReason::BrowserCrashed,
    DestroyedReason::Limit,
    DestroyedReason::ServerStopped,
    DestroyedReason::ServerLost,
];

/// What became of a request for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Creation {
    Made,
    /// Full, stopping, short of disk or memory, or its profile is in use.
    Refused,
    Failed,
    /// Whoever wanted it went away.
    Abandoned,
}

/// What became of a request to run code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Execution {
    /// Exit code 0.
    Succeeded,
    /// Another exit code: the code's own affair.
    Failed,
    /// Its time was over.
    TimedOut,
    /// Its session ended, or it took too much.
    Interrupted,
    /// Whoever wanted it went away.
    Abandoned,
    /// Another one ran for too long.
    Busy,
    /// It could not be started.
    NotStarted,
    /// Its session had ended.
    Gone,
}

const EXECUTIONS: [Execution; 8] = [
    Execution::Succeeded,
    Execution::Failed,
    Execution::TimedOut,
    Execution::Interrupted,
    Execution::Abandoned,
    Execution::Busy,
    Execution::NotStarted,
    Execution::Gone,
];

impl Creation {
    fn word(self) -> &'static str {
        match self {
            Creation::Made => "made",
            Creation::Refused => "refused",
            Creation::Failed => "failed",
            Creation::Abandoned => "abandoned",
        }
    }
}

impl Execution {
    fn word(self) -> &'static str {
        match self {
            Execution::Succeeded => "succeeded",
            Execution::Failed => "failed",
            Execution::TimedOut => "timed_out",
            Execution::Interrupted => "interrupted",
            Execution::Abandoned => "abandoned",
            Execution::Busy => "busy",
            Execution::NotStarted => "not_started",
            Execution::Gone => "gone",
        }
    }
}

/// Why code was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kill {
    Deadline,
    /// It took too much.
    Limit,
    SessionEnd,
    CallerGone,
}

const KILLS: [Kill; 4] = [
    Kill::Deadline,
    Kill::Limit,
    Kill::SessionEnd,
    Kill::CallerGone,
];

impl Kill {
    fn word(self) -> &'static str {
        match self {
            Kill::Deadline => "deadline",
            Kill::Limit => "limit",
            Kill::SessionEnd => "session_end",
            Kill::CallerGone => "caller_gone",
        }
    }
}

/// What is read at the moment of being asked, instead of counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub ready: bool,
    pub creating: usize,
    pub active: usize,
    pub ending: usize,
    pub max_sessions: usize,
    pub running: usize,
    pub waiting: usize,
    pub leaked_processes: usize,
    pub sessions_memory_bytes: u64,
    pub server_memory_bytes: Option<u64>,
    pub available_memory_bytes: Option<u64>,
    pub free_disk_bytes: Option<u64>,
    pub total_disk_bytes: Option<u64>,
    pub traffic: Traffic,
    /// What the way out has refused, by the rule.
    pub denials: Vec<(&'static str, u64)>,
}

/// One label and its value.
type One = [(&'static str, &'static str); 1];
type Two = [(&'static str, &'static str); 2];
type Count = Counter<u64, AtomicU64>;
type Level = Gauge<i64, AtomicI64>;

/// Everything that is counted.
pub(crate) struct Metrics {
    registry: Registry,
    ready: Level,
    sessions: Family<One, Level>,
    max_sessions: Level,
    ended: Family<One, Count>,
    create: Family<One, Histogram>,
    execute: Family<Two, Histogram>,
    wait: Family<One, Histogram>,
    executions: Family<One, Level>,
    kills: Family<One, Count>,
    browser_crashes: Count,
    output: Family<One, Count>,
    egress_bytes: Family<One, Count>,
    egress_refusals: Family<One, Count>,
    profile_saves: Family<One, Count>,
    requests: Family<[(&'static str, String); 3], Count>,
    leaked_processes: Level,
    memory: Family<One, Level>,
    free_disk: Level,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// All of them at nothing. `isolation` is the level.
    pub fn new(isolation: &'static str) -> Metrics {
        let create = || Histogram::new(CREATE_SECONDS);
        let execute = || Histogram::new(EXECUTE_SECONDS);
        let mut metrics = Metrics {
            registry: Registry::with_prefix("hearth"),
            ready: Level::default(),
            sessions: Family::default(),
            max_sessions: Level::default(),
            ended: Family::default(),
            create: Family::new_with_constructor(create),
            execute: Family::new_with_constructor(execute),
            wait: Family::new_with_constructor(execute),
            executions: Family::default(),
            kills: Family::default(),
            browser_crashes: Count::default(),
            output: Family::default(),
            egress_bytes: Family::default(),
            egress_refusals: Family::default(),
            profile_saves: Family::default(),
            requests: Family::default(),
            leaked_processes: Level::default(),
            memory: Family::default(),
            free_disk: Level::default(),
        };
        metrics.register(isolation);
        metrics.begin_at_nothing();
        metrics
    }

    fn register(&mut self, isolation: &'static str) {
        let all = &mut self.registry;
        let build = Family::<Two, Level>::default();
        build
            .get_or_create(&[
                ("version", env!("CARGO_PKG_VERSION")),
                ("isolation", isolation),
            ])
            .set(1);
        all.register(
            "build_info",
            "The server's version and isolation level, always 1",
            build,
        );
        all.register(
            "ready",
            "1 when new sessions would be made, as at /readyz",
            self.ready.clone(),
        );
        all.register("sessions", "Sessions, by state", self.sessions.clone());
        all.register(
            "sessions_max",
            "How many there may be",
            self.max_sessions.clone(),
        );
        all.register(
            "sessions_ended",
            "Sessions that have ended, by reason",
            self.ended.clone(),
        );
        let seconds = Unit::Seconds;
        all.register_with_unit(
            "session_create",
            "Making a session, by outcome",
            seconds.clone(),
            self.create.clone(),
        );
        let execute = self.execute.clone();
        all.register_with_unit(
            "execute",
            "Running code from its request to its answer",
            seconds.clone(),
            execute,
        );
        let wait = self.wait.clone();
        all.register_with_unit(
            "execute_wait",
            "Of that, until the code's turn came",
            seconds,
            wait,
        );
        all.register(
            "executions",
            "Executions that run or wait for their turn",
            self.executions.clone(),
        );
        all.register(
            "kills",
            "Executions that were killed, by reason",
            self.kills.clone(),
        );
        all.register(
            "browser_crashes",
            "Browsers that ended by themselves",
            self.browser_crashes.clone(),
        );
        all.register(
            "output_bytes",
            "What code has printed, kept or dropped",
            self.output.clone(),
        );
        all.register(
            "egress_bytes",
            "What sessions have sent and got",
            self.egress_bytes.clone(),
        );
        all.register(
            "egress_refusals",
            "What the way out has refused, by rule",
            self.egress_refusals.clone(),
        );
        all.register(
            "profile_saves",
            "Profiles that were to be saved, by outcome",
            self.profile_saves.clone(),
        );
        all.register(
            "http_requests",
            "Requests, by method, route and status",
            self.requests.clone(),
        );
        let leaked = self.leaked_processes.clone();
        all.register(
            "leaked_processes",
            "Processes that outlived their sessions; must be 0",
            leaked,
        );
        all.register(
            "memory_bytes",
            "Memory of all sessions and of the server, and what is left",
            self.memory.clone(),
        );
        all.register(
            "disk_free_bytes",
            "What is free of the disk with the data folder",
            self.free_disk.clone(),
        );
    }

    /// What was never counted is there as 0, or a rate would miss the first one.
    fn begin_at_nothing(&self) {
        for creation in [
            Creation::Made,
            Creation::Refused,
            Creation::Failed,
            Creation::Abandoned,
        ] {
            drop(self.create.get_or_create(&[("outcome", creation.word())]));
        }
        for language in LANGUAGES.map(Language::as_str) {
            drop(self.wait.get_or_create(&[("language", language)]));
            for execution in EXECUTIONS {
                drop(
                    self.execute
                        .get_or_create(&[("language", language), ("outcome", execution.word())]),
                );
            }
        }
        let counts = [
            (
                &self.ended,
                "reason",
                REASONS.map(DestroyedReason::as_str).to_vec(),
            ),
            (&self.kills, "reason", KILLS.map(Kill::word).to_vec()),
            (&self.output, "kind", vec!["kept", "dropped"]),
            (&self.profile_saves, "outcome", vec!["saved", "failed"]),
        ];
        for (family, label, values) in counts {
            for value in values {
                drop(family.get_or_create(&[(label, value)]));
            }
        }
    }

    pub fn session_created(&self, creation: Creation, took: Duration) {
        self.create
            .get_or_create(&[("outcome", creation.word())])
            .observe(took.as_secs_f64());
    }

    pub fn session_ended(&self, reason: DestroyedReason) {
        self.ended
            .get_or_create(&[("reason", reason.as_str())])
            .inc();
        if reason == DestroyedReason::BrowserCrashed {
            self.browser_crashes.inc();
        }
    }

    pub fn executed(&self, language: Language, execution: Execution, took: Duration) {
        let labels = [
            ("language", language.as_str()),
            ("outcome", execution.word()),
        ];
        self.execute
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// An execution's turn has come.
    pub fn waited(&self, language: Language, took: Duration) {
        self.wait
            .get_or_create(&[("language", language.as_str())])
            .observe(took.as_secs_f64());
    }

    pub fn killed(&self, kill: Kill) {
        self.kills.get_or_create(&[("reason", kill.word())]).inc();
    }

    pub fn printed(&self, kept_bytes: usize, dropped_bytes: usize) {
        self.output
            .get_or_create(&[("kind", "kept")])
            .inc_by(kept_bytes as u64);
        self.output
            .get_or_create(&[("kind", "dropped")])
            .inc_by(dropped_bytes as u64);
    }

    pub fn profile_was_to_be_saved(&self, is_saved: bool) {
        self.profile_saves
            .get_or_create(&[("outcome", if is_saved { "saved" } else { "failed" })])
            .inc();
    }

    /// What callers choose is no label: `method` and `route` are of a fixed set.
    pub fn requested(&self, method: &str, route: &str, status: &str) {
        let labels = [
            ("method", method.to_owned()),
            ("route", route.to_owned()),
            ("status", status.to_owned()),
        ];
        self.requests.get_or_create(&labels).inc();
    }

    /// All of them as text.
    pub fn render(&self, reading: &Reading) -> String {
        self.ready.set(i64::from(reading.ready));
        for (state, count) in [
            ("creating", reading.creating),
            ("active", reading.active),
            ("ending", reading.ending),
        ] {
            self.sessions
                .get_or_create(&[("state", state)])
                .set(level(count as u64));
        }
        self.max_sessions.set(level(reading.max_sessions as u64));
        for (state, count) in [("running", reading.running), ("waiting", reading.waiting)] {
            self.executions
                .get_or_create(&[("state", state)])
                .set(level(count as u64));
        }
        self.leaked_processes
            .set(level(reading.leaked_processes as u64));
        let memory = [
            ("sessions", Some(reading.sessions_memory_bytes)),
            ("server", reading.server_memory_bytes),
            ("available", reading.available_memory_bytes),
        ];
        for (of, bytes) in memory {
            if let Some(bytes) = bytes {
                self.memory.get_or_create(&[("of", of)]).set(level(bytes));
            }
        }
        if let Some(bytes) = reading.free_disk_bytes {
            self.free_disk.set(level(bytes));
        }
        for (direction, bytes) in [
            ("up", reading.traffic.up_bytes),
            ("down", reading.traffic.down_bytes),
        ] {
            raise(
                &self.egress_bytes.get_or_create(&[("direction", direction)]),
                bytes,
            );
        }
        for (rule, count) in &reading.denials {
            raise(
                &self.egress_refusals.get_or_create(&[("rule", *rule)]),
                *count,
            );
        }
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Brings a counter to what somebody else has counted.
fn raise(counter: &Count, to: u64) {
    counter
        .inner()
        .fetch_max(to, std::sync::atomic::Ordering::Relaxed);
}

fn level(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_and_read_is_rendered_and_what_was_not_is_0() {
        let metrics = Metrics::new("default");
        metrics.session_ended(DestroyedReason::Idle);
        metrics.executed(
            Language::Python,
            Execution::TimedOut,
            Duration::from_secs(2),
        );
        let denials = vec![("metadata", 3)];
        let reading = Reading {
            ready: true,
            active: 2,
            free_disk_bytes: Some(7),
            denials,
            ..Reading::default()
        };
        let text = metrics.render(&reading);
        for line in [
            "hearth_ready 1",
            "hearth_sessions{state=\"active\"} 2",
            "hearth_sessions_ended_total{reason=\"idle\"} 1",
            "hearth_sessions_ended_total{reason=\"browser_crashed\"} 0",
            "hearth_execute_seconds_count{language=\"python\",outcome=\"timed_out\"} 1",
            "hearth_execute_seconds_bucket{le=\"1.0\",language=\"python\",outcome=\"timed_out\"} 0",
            "hearth_kills_total{reason=\"deadline\"} 0",
            "hearth_egress_refusals_total{rule=\"metadata\"} 3",
            "hearth_leaked_processes 0",
            "hearth_disk_free_bytes 7",
            "# EOF",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in\n{text}"
            );
        }
    }
}
