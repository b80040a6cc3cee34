//! A server under attack, with and without limits.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hearth_test_support::{Api, ServerBuilder, TestServer, eventually};
use serde_json::json;
use tokio::time::timeout;

use super::row::{Attack, Resource, Row};
use super::watch::{Idle, Peaks, Watch};
use super::{KEY, KEYS, OTHER_KEY};
use crate::attacks::level::Level;
use crate::operator::metrics::metrics;

/// The thresholds of every attack, above the values of the idle server.
const MAX_GROWTH_MIB: u64 = 250;
const MAX_THREADS: u64 = 100;
/// One line for each of 2,000 requests with a key takes about half of it.
const MAX_LOG_BYTES: usize = 1_000_000;
const MAX_LIVEZ: Duration = Duration::from_millis(500);
const MAX_CREATE: Duration = Duration::from_secs(1);

/// The time for the end of all processes of a killed server.
const KILL_DEADLINE: Duration = Duration::from_secs(10);

/// The descriptors of the server. They are few, so that the attacks need few connections.
const DESCRIPTORS: u64 = 4096;

/// The time within which the server ends an attack with a time limit of 10 s.
const END_DEADLINE: Duration = Duration::from_secs(30);

/// The time after which an attack without a time limit counts as not ended.
const NO_END: Duration = Duration::from_secs(15);

/// A server with two teams, and its values while it is idle.
pub struct Scenario {
    pub server: TestServer,
    /// A client of the attacking team.
    pub attacker: Api,
    /// A client of the other team.
    other: Api,
    pub has_limits: bool,
    idle: Idle,
    /// The time in which the other team creates a session.
    idle_create: Duration,
}

impl Scenario {
    async fn start(level: Level, has_limits: bool) -> Scenario {
        let builder = level
            .server()
            .max_open_files(DESCRIPTORS)
            .setting("HEARTH_API_KEYS", KEYS)
            .setting("HEARTH_MAX_SESSIONS", "4");
        let builder = if has_limits {
            builder.setting("HEARTH_TEAM_MAX_SESSIONS", "3")
        } else {
            without_limits(builder)
        };
        let server = builder.start().await;
        let mut scenario = Scenario {
            attacker: server.with_key(KEY),
            other: server.with_key(OTHER_KEY),
            server,
            has_limits,
            idle: Idle::default(),
            idle_create: Duration::ZERO,
        };
        for _ in 0..2 {
            let time = scenario.create_as_other().await;
            let time = time.expect("an idle server creates sessions");
            scenario.idle_create = scenario.idle_create.max(time);
        }
        scenario.idle = Idle::of(&scenario.server).await;
        scenario
    }

    /// Creates and deletes a session of the other team. Returns the time of the creation, or `None`
    /// if it failed.
    async fn create_as_other(&self) -> Option<Duration> {
        let start = Instant::now();
        let reply = self.other.create(&json!({})).await;
        let time = start.elapsed();
        if reply.status != 200 {
            eprintln!("the other team got a {}: {}", reply.status, reply.text);
            return None;
        }
        let id = reply.body["id"].as_str().expect("an id").to_owned();
        self.other.delete(&id).await.ok();
        Some(time)
    }

    /// Starts an attack. Returns it with the resources that it exhausts.
    async fn attack(&self, row: &Row) -> (Attack, BTreeSet<Resource>) {
        let watch = Watch::start(&self.server, self.idle);
        let (attack, during) = tokio::join!((row.start)(self), self.create_as_other());
        let later = self.create_as_other().await;
        let peaks = watch.finish(&self.server).await;
        eprintln!(
            "{} with limits: {}: {peaks:?}, creations: {during:?} and {later:?}, idle {:?}",
            row.id, self.has_limits, self.idle_create
        );
        let create = during.zip(later).map(|(first, second)| first.min(second));
        (attack, self.exhausted(&peaks, create))
    }

    /// Compares the peaks with the thresholds. `create` is the faster of two creations, because a
    /// busy machine can delay one.
    fn exhausted(&self, peaks: &Peaks, create: Option<Duration>) -> BTreeSet<Resource> {
        let max_create = self.idle_create * 2 + MAX_CREATE;
        let max_livez = MAX_LIVEZ + self.idle.livez;
        let exceeded = [
            (Resource::Memory, peaks.growth_mib >= MAX_GROWTH_MIB),
            (Resource::Descriptors, peaks.descriptors >= DESCRIPTORS / 2),
            (Resource::Threads, peaks.more_threads >= MAX_THREADS),
            (Resource::Log, peaks.log_bytes >= MAX_LOG_BYTES),
            (Resource::Livez, peaks.livez >= max_livez),
            (
                Resource::OtherTeam,
                create.is_none_or(|time| time >= max_create),
            ),
        ];
        let exceeded = exceeded.into_iter().filter(|(_, exceeded)| *exceeded);
        exceeded.map(|(resource, _)| resource).collect()
    }

    /// Returns the bytes of the server's buffers.
    pub async fn buffer_bytes(&self) -> f64 {
        buffer_bytes(&self.attacker).await
    }
}

/// Returns the bytes of the server's buffers.
pub async fn buffer_bytes(client: &Api) -> f64 {
    metrics(client).await["hearth_buffer_bytes"]
}

/// Waits until the server's buffers hold at least `min` bytes and stop growing.
pub async fn wait_until_filled(client: &Api, min: f64) {
    let last = Cell::new((0.0_f64, 0));
    eventually(
        Duration::from_secs(15),
        "the buffers are filled",
        async || {
            let used = buffer_bytes(client).await;
            let (before, times) = last.get();
            let is_same = used >= min && used.to_bits() == before.to_bits();
            last.set((used, if is_same { times + 1 } else { 0 }));
            if times >= 10 {
                Ok(())
            } else {
                Err(format!("{used} bytes, {before} before, at least {min}"))
            }
        },
    )
    .await;
}

/// Lifts all limits. Settings have large values; a variable of tests lifts the rest.
pub fn without_limits(builder: ServerBuilder) -> ServerBuilder {
    const HUGE: &str = "1048576";
    builder
        .setting("HEARTH_BUFFER_MB", HUGE)
        .setting("HEARTH_SESSION_BUFFER_MB", HUGE)
        .setting("HEARTH_MAX_CONNECTIONS", HUGE)
        .setting("HEARTH_TEST_LIFT_RESOURCE_LIMITS", "true")
}

/// Runs attacks one after the other against one server. None may exhaust a resource.
pub async fn assert_bounded(level: Level, rows: &[Row]) {
    let scenario = Scenario::start(level, true).await;
    let mut wrong = Vec::new();
    let mut ending = Vec::new();
    for row in rows {
        let (attack, exhausted) = scenario.attack(row).await;
        if !exhausted.is_empty() {
            wrong.push(format!("{}, {}: {exhausted:?}", row.id, row.attack));
        }
        match attack {
            Attack::Until(end) => end.await,
            Attack::TimeLimited(end) => ending.push((row.id, end)),
        }
    }
    let ends = ending.into_iter().map(async |(id, end)| {
        let ended = timeout(END_DEADLINE, end).await;
        ended.is_err().then(|| format!("{id}: has not ended"))
    });
    wrong.extend(join_all(ends).await.into_iter().flatten());
    assert_eq!(wrong, Vec::<String>::new(), "at {}", level.title());
    scenario.server.stop().await;
}

/// Runs every attack against its own server without limits. Each must exhaust its resource.
pub async fn assert_unbounded(rows: &[Row]) {
    let mut wrong = Vec::new();
    for row in rows {
        let scenario = Scenario::start(Level::Root, false).await;
        let (attack, exhausted) = scenario.attack(row).await;
        if !exhausted.contains(&row.exhausts) {
            wrong.push(format!(
                "{}, {}: {exhausted:?} instead of {:?}",
                row.id, row.attack, row.exhausts
            ));
        }
        if let Attack::TimeLimited(end) = attack
            && timeout(NO_END, end).await.is_ok()
        {
            wrong.push(format!("{}, {}: was ended", row.id, row.attack));
        }
        // An exhausted server may not stop in time.
        let mut server = scenario.server;
        server.kill_hard().await;
        server.assert_nothing_runs(KILL_DEADLINE).await;
    }
    assert_eq!(wrong, Vec::<String>::new(), "without limits");
}
