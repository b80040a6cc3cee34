//! Every row of the report, with its label, its unit, its target and its baseline.

pub use crate::groups::Group;

/// The unit of a row's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Ms,
    /// Mebibytes.
    Mib,
    /// Events per second, of which more are better.
    PerSecond,
    /// Processor time, as a percentage of one processor.
    CpuPercent,
    /// A number of things.
    Count,
}

impl Unit {
    /// Returns the unit as the report writes it.
    pub fn label(self) -> &'static str {
        match self {
            Unit::Ms => "ms",
            Unit::Mib => "MiB",
            Unit::PerSecond => "per second",
            Unit::CpuPercent => "% of a CPU",
            Unit::Count => "number",
        }
    }

    /// Returns the unit as the end of a key in JSON.
    pub fn suffix(self) -> &'static str {
        match self {
            Unit::Ms => "ms",
            Unit::Mib => "mib",
            Unit::PerSecond => "per_second",
            Unit::CpuPercent => "cpu_percent",
            Unit::Count => "count",
        }
    }
}

/// An upper limit for a median.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// A fixed value.
    AtMost(f64),
    /// The median of the row with this key, plus this value.
    Above(&'static str, f64),
    /// The median of the row with this key, times this factor.
    Times(&'static str, f64),
}

/// A row of the report.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The row's id in the measuring code and in JSON.
    pub key: &'static str,
    /// The table that contains it.
    pub group: Group,
    /// The row's text.
    pub label: &'static str,
    /// The unit of its values.
    pub unit: Unit,
    /// The target, if there is one.
    pub target: Option<Target>,
    /// An upper limit for the 95th percentile, which is a part of the target.
    pub p95_limit: Option<f64>,
    /// True for baselines without Hearth.
    pub is_baseline: bool,
}

/// Returns a row without a target. Its unit is that of most rows of its group.
const fn row(group: Group, key: &'static str, label: &'static str) -> Row {
    Row {
        key,
        group,
        label,
        unit: match group {
            Group::Memory => Unit::Mib,
            _ => Unit::Ms,
        },
        target: None,
        p95_limit: None,
        is_baseline: false,
    }
}

impl Row {
    /// Finds the row with this key.
    pub fn find(key: &str) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.key == key)
    }

    const fn unit(self, unit: Unit) -> Row {
        Row { unit, ..self }
    }

    const fn baseline(self) -> Row {
        Row {
            is_baseline: true,
            ..self
        }
    }

    const fn with_target(self, target: Target) -> Row {
        Row {
            target: Some(target),
            ..self
        }
    }

    const fn at_most(self, limit: f64) -> Row {
        self.with_target(Target::AtMost(limit))
    }

    const fn above(self, other: &'static str, extra: f64) -> Row {
        self.with_target(Target::Above(other, extra))
    }

    const fn times(self, other: &'static str, factor: f64) -> Row {
        self.with_target(Target::Times(other, factor))
    }

    const fn p95_at_most(self, limit: f64) -> Row {
        Row {
            p95_limit: Some(limit),
            ..self
        }
    }
}

const MEMORY: Group = Group::Memory;
const SERVER: Group = Group::Server;
const FIRST: Group = Group::First;
const STARTS: Group = Group::Starts;
const WARM: Group = Group::Warm;
const RATE: Group = Group::Rate;
const CHURN: Group = Group::Churn;
const KILL: Group = Group::Kill;
const CDP: Group = Group::Cdp;
const EGRESS: Group = Group::Egress;
const LASTING: Group = Group::Lasting;
const LIVE: Group = Group::Live;
const SCRAPE: Group = Group::Scrape;
const CLUSTER: Group = Group::Cluster;

/// All rows by group, in the order of the report.
pub const ROWS: &[Row] = &[
    row(MEMORY, "server-none", "server, no session"),
    row(MEMORY, "server-one", "server, 1 session"),
    row(MEMORY, "server-eight", "server, 8 sessions").at_most(40.0),
    row(
        MEMORY,
        "server-end",
        "server, 8 sessions, after all other rows",
    )
    .at_most(40.0),
    row(MEMORY, "shim-one", "a shim, 1 session").at_most(1.0),
    row(MEMORY, "shim-eight", "a shim, 8 sessions").at_most(1.0),
    row(
        MEMORY,
        "browser-one",
        "a session's browser, all processes, 1 session",
    ),
    row(
        MEMORY,
        "browser-eight",
        "a session's browser, all processes, 8 sessions",
    ),
    row(MEMORY, "kernel-one", "a node kernel, 1 session"),
    row(MEMORY, "kernel-eight", "a node kernel, 8 sessions"),
    row(MEMORY, "session-one", "a whole session, 1 session"),
    row(MEMORY, "session-eight", "a whole session, 8 sessions"),
    row(MEMORY, "session-thirty", "a whole session, 30 sessions"),
    row(MEMORY, "session-warm", "a warm session, no other session"),
    row(MEMORY, "cpu-warm", "processor time of a warm session").unit(Unit::CpuPercent),
    row(
        SERVER,
        "server-ready",
        "server ready (`HEARTH_WARM_SESSIONS=0`)",
    ),
    row(
        SERVER,
        "server-warm",
        "first warm session ready (`HEARTH_WARM_SESSIONS=1`)",
    ),
    row(FIRST, "result-node-warm", "node, with a warm session")
        .at_most(15.0)
        .p95_at_most(40.0),
    row(
        FIRST,
        "result-node-cold",
        "node, without one (`HEARTH_WARM_SESSIONS=0`)",
    )
    .times("launch-node", 0.5),
    row(
        FIRST,
        "result-node-profile",
        "node, with a profile of one cookie",
    ),
    row(
        FIRST,
        "launch-node",
        "cold Playwright script in node: launch, new page, title, close",
    )
    .baseline(),
    row(
        FIRST,
        "raw-node",
        "cold script in node: start headless-shell, connect with Playwright, title, kill",
    )
    .baseline(),
    row(FIRST, "result-python-warm", "python, with a warm session"),
    row(
        FIRST,
        "result-python-cold",
        "python, without one (`HEARTH_WARM_SESSIONS=0`)",
    ),
    row(
        FIRST,
        "launch-python",
        "cold Playwright script in python: launch, new page, title, close",
    )
    .baseline(),
    row(
        FIRST,
        "burst-8-warm",
        "burst of 8 in node, one warm session",
    ),
    row(FIRST, "burst-8-cold", "burst of 8 in node, no warm session").times("burst-8-launch", 0.5),
    row(
        FIRST,
        "burst-8-launch",
        "8 cold Playwright scripts in node at the same time",
    )
    .baseline(),
    row(
        FIRST,
        "burst-8-raw",
        "8 cold scripts in node at the same time: start headless-shell, connect, title, kill",
    )
    .baseline(),
    row(
        FIRST,
        "burst-30-warm",
        "burst of 30 in node, one warm session",
    ),
    row(
        FIRST,
        "burst-30-cold",
        "burst of 30 in node, no warm session",
    ),
    row(STARTS, "create", "create").above("chromium-start", 60.0),
    row(
        STARTS,
        "chromium-start",
        "raw browser start, until its first page",
    )
    .baseline(),
    row(
        STARTS,
        "first-node",
        "first execute, node `await page.title()`",
    ),
    row(
        STARTS,
        "script-node",
        "cold Playwright script in node: launch, new page, title, close",
    )
    .baseline(),
    row(
        STARTS,
        "connect-node",
        "cold Playwright script in node: connect to `cdpUrl`, title, close",
    )
    .baseline(),
    row(
        STARTS,
        "first-python",
        "first execute, python `await page.title()`",
    ),
    row(
        STARTS,
        "script-python",
        "cold Playwright script in python: launch, new page, title, close",
    )
    .baseline(),
    row(
        STARTS,
        "connect-python",
        "cold Playwright script in python: connect to `cdpUrl`, title, close",
    )
    .baseline(),
    row(
        STARTS,
        "first-bash",
        "first execute, bash `:` (starts the agent-browser daemon too)",
    ),
    row(STARTS, "delete", "delete, after an execute").at_most(5.0),
    row(WARM, "title-node", "node `await page.title()`").at_most(2.0),
    row(
        WARM,
        "title-inside-node",
        "only `page.title()`, timed in the kernel",
    ),
    row(WARM, "title-python", "python `await page.title()`").at_most(2.5),
    row(
        WARM,
        "title-inside-python",
        "only `page.title()`, timed in the kernel",
    ),
    row(WARM, "one-node", "node `1`").at_most(0.7),
    row(WARM, "one-python", "python `1`"),
    row(WARM, "colon", "bash `:`").above("bare-bash", 1.5),
    row(WARM, "colon-default", "bash `:`, isolation level `default`").above("colon-none", 1.5),
    row(WARM, "colon-none", "bash `:`, isolation level `none`").baseline(),
    row(WARM, "one-node-none", "node `1`, isolation level `none`").baseline(),
    row(WARM, "bare-bash", "`bash -c :`, started by the bench").baseline(),
    row(WARM, "agent", "bash `agent-browser get title`").above("bare-agent", 3.0),
    row(
        WARM,
        "bare-agent",
        "`agent-browser get title`, started by the bench, with its own daemon",
    )
    .baseline(),
    row(WARM, "health", "trivial HTTP round trip (`GET /health`)").baseline(),
    row(RATE, "rate-1", "executions per second, 1 session").unit(Unit::PerSecond),
    row(RATE, "rate-4", "executions per second, 4 sessions").unit(Unit::PerSecond),
    row(RATE, "rate-16", "executions per second, 16 sessions").unit(Unit::PerSecond),
    row(RATE, "rate-1-time", "one of these executions, 1 session"),
    row(RATE, "rate-4-time", "one of these executions, 4 sessions"),
    row(RATE, "rate-16-time", "one of these executions, 16 sessions"),
    row(
        CHURN,
        "churn-rate",
        "sessions created, used once and deleted per second",
    )
    .unit(Unit::PerSecond),
    row(
        CHURN,
        "churn-time",
        "one of these sessions, from create to deleted",
    ),
    row(CHURN, "left-processes", "processes left")
        .unit(Unit::Count)
        .at_most(0.0),
    row(CHURN, "left-directories", "session directories left")
        .unit(Unit::Count)
        .at_most(0.0),
    row(KILL, "kill-node", "node `1 + 1`").at_most(250.0),
    row(KILL, "kill-python", "python `1 + 1`"),
    row(
        CDP,
        "evaluate-broker",
        "`Runtime.evaluate` of `1`, through `cdpUrl`",
    )
    .above("evaluate-port", 0.3),
    row(
        CDP,
        "evaluate-port",
        "same command, WebSocket to a raw browser's port",
    )
    .baseline(),
    row(CDP, "evaluate-pipe", "same command, pipe to a raw browser").baseline(),
    row(
        CDP,
        "version-broker",
        "`Browser.getVersion`, through `cdpUrl`",
    )
    .above("version-port", 0.3),
    row(
        CDP,
        "version-port",
        "same command, WebSocket to a raw browser's port",
    )
    .baseline(),
    row(CDP, "version-pipe", "same command, pipe to a raw browser").baseline(),
    row(EGRESS, "large-plain", "50 MB, plain HTTP through the proxy").times("large-direct", 1.18),
    row(
        EGRESS,
        "large-tunnel",
        "50 MB, through a tunnel of the proxy",
    )
    .times("large-direct", 1.18),
    row(EGRESS, "large-direct", "50 MB, without a proxy").baseline(),
    row(
        EGRESS,
        "small-plain",
        "5 bytes, plain HTTP through the proxy",
    )
    .above("small-direct", 2.0),
    row(
        EGRESS,
        "small-tunnel",
        "5 bytes, through a tunnel of the proxy",
    )
    .above("small-direct", 2.0),
    row(EGRESS, "small-direct", "5 bytes, without a proxy").baseline(),
    row(LASTING, "create-profile", "create, with a profile of 20 MB").above("create-plain", 150.0),
    row(LASTING, "create-plain", "create, without a profile").baseline(),
    row(LASTING, "delete-profile", "delete, saving that profile").above("delete-plain", 300.0),
    row(LASTING, "delete-plain", "delete, without a profile").baseline(),
    row(LASTING, "execute-stored", "node `1`").above("execute-held", 0.2),
    row(
        LASTING,
        "execute-held",
        "node `1`, on a server with a blocked store",
    )
    .baseline(),
    row(
        LIVE,
        "frame",
        "time between two pictures, one viewer (50 ms are 20 pictures per second)",
    )
    .at_most(50.0),
    row(
        LIVE,
        "screenshot-screencast",
        "Playwright screenshot, with a viewer",
    )
    .times("screenshot-alone", 1.12),
    row(
        LIVE,
        "screenshot-alone",
        "Playwright screenshot, without a viewer",
    )
    .baseline(),
    row(LIVE, "key", "from a viewer's key to the changed pixel").at_most(120.0),
    row(SCRAPE, "scrape", "scrape, with a warm session").above("page-load", 60.0),
    row(
        SCRAPE,
        "page-load",
        "same page in a session's browser, until it is loaded",
    )
    .baseline(),
    row(
        SCRAPE,
        "interact-adopted",
        "first interaction, in the kept session of the scrape",
    )
    .at_most(15.0),
    row(SCRAPE, "interact-again", "second interaction"),
    row(
        SCRAPE,
        "interact-replayed",
        "first interaction, by replay (`HEARTH_SCRAPE_KEEP_SECONDS=0`)",
    ),
    row(CLUSTER, "execute-hop", "node `1`, through another node").above("execute-owner", 0.5),
    row(CLUSTER, "execute-owner", "same request, to the owner").baseline(),
    row(
        CLUSTER,
        "evaluate-hop",
        "`Runtime.evaluate` of `1`, through another node",
    )
    .above("evaluate-owner", 0.3),
    row(CLUSTER, "evaluate-owner", "same command, to the owner").baseline(),
    row(
        CLUSTER,
        "version-hop",
        "`Browser.getVersion`, through another node",
    )
    .above("version-owner", 0.3),
    row(CLUSTER, "version-owner", "same command, to the owner").baseline(),
    row(
        CLUSTER,
        "create-node",
        "create with a warm session, on a node (PostgreSQL)",
    )
    .above("create-alone", 10.0),
    row(
        CLUSTER,
        "create-alone",
        "same request, to a server alone (SQLite)",
    )
    .baseline(),
    row(
        CLUSTER,
        "create-bucket",
        "create with a profile of 50 MB, from a bucket",
    )
    .times("create-files", 1.5),
    row(
        CLUSTER,
        "create-files",
        "same request, to a server alone (files)",
    )
    .baseline(),
];

#[cfg(test)]
mod tests;
