//! Every row of the report, with its label, its target and its baseline.

use clap::ValueEnum;

/// A group of rows that are measured together, in turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// Memory of the server, its shims, and the processes below them.
    Memory,
    /// Sessions from creation to deletion.
    Starts,
    /// Executions in a session that has already run one.
    Warm,
    /// The execution after a killed one.
    Kill,
    /// Single CDP commands.
    Cdp,
    /// Requests from sessions to the network.
    Egress,
    /// Data that outlives sessions.
    Lasting,
    /// The live view.
    Live,
}

impl Group {
    /// All groups in the order of measurement: memory is first, while the server is fresh.
    pub const ALL: &[Group] = &[
        Group::Memory,
        Group::Starts,
        Group::Warm,
        Group::Kill,
        Group::Cdp,
        Group::Egress,
        Group::Lasting,
        Group::Live,
    ];

    /// Returns the group's name as an option value.
    pub fn name(self) -> &'static str {
        match self {
            Group::Memory => "memory",
            Group::Starts => "starts",
            Group::Warm => "warm",
            Group::Kill => "kill",
            Group::Cdp => "cdp",
            Group::Egress => "egress",
            Group::Lasting => "lasting",
            Group::Live => "live",
        }
    }

    /// Returns the heading of its table.
    pub fn heading(self) -> &'static str {
        match self {
            Group::Memory => "Memory",
            Group::Starts => "Session lifecycle",
            Group::Warm => "Warm executions",
            Group::Kill => "Execution after a kill",
            Group::Cdp => "CDP latency",
            Group::Egress => "Egress",
            Group::Lasting => "Persistence",
            Group::Live => "Live view",
        }
    }

    /// Returns the unit of its values.
    pub fn unit(self) -> &'static str {
        match self {
            Group::Memory => "MiB",
            _ => "ms",
        }
    }

    /// Describes how it is measured.
    pub fn method(self) -> &'static str {
        match self {
            Group::Memory => {
                "PSS (`/proc/PID/smaps_rollup`): a page shared by several processes counts \
                 proportionally, so shims become smaller with their number. Each session has run `1` in node. Samples are processes or sessions; \
                 the server is measured once."
            }
            Group::Starts => {
                "A round creates a new session for each language: raw start, create, first \
                 execute, the scripts, delete. \
                 The raw start uses the flags, environment and directories of a session's \
                 browser and the same kind of pipe, and ends when the page is announced; no \
                 process supervises it. The scripts are timed from start to exit."
            }
            Group::Warm => {
                "One session; a round runs every row once, in alternating order, over one \
                 persistent HTTP/1.1 connection."
            }
            Group::Kill => {
                "`while (true) {}` is killed at its timeout of 1 s. The measured request is the \
                 next one, which is sent as soon as the response arrives and needs a new kernel."
            }
            Group::Cdp => {
                "All rows use the same client; a round sends every row's command once. The \
                 baselines are two raw browsers with the same flags, one on a pipe and one on a \
                 loopback port, which the broker replaces."
            }
            Group::Egress => {
                "Time from the connection to the last byte, in a node program outside the \
                 session that uses node's http module; the file server is a thread of the bench. \
                 A round fetches each file over each of the three paths, in turns; the small \
                 file ten times as often. 1.18 times the time is 85 % of the throughput."
            }
            Group::Lasting => {
                "The profile holds twenty values of a million random bytes in IndexedDB. A round creates and deletes a session without a profile and one that saves it, \
                 in turns. The server records an execution after its response is sent; on the \
                 baseline server, another program holds the store's lock, so nothing is \
                 recorded."
            }
            Group::Live => {
                "A page of 1280x720 changes 60 times a second. A round takes ten screenshots of it with a \
                 viewer and ten without, in turns, timed in the node kernel; then a viewer counts pictures for two seconds. The viewer is the bench, which draws nothing and acknowledges each picture at \
                 once. For keys, the viewer is a real browser of another server on the same \
                 machine, which has the live view open and times a key from its event to the \
                 pixel on its canvas; the page changes its colour with every key."
            }
        }
    }

    /// Returns the number of warm-up rounds, which are not counted.
    pub fn warm_up_rounds(self) -> usize {
        match self {
            Group::Memory | Group::Kill => 0,
            Group::Starts | Group::Live | Group::Lasting => 1,
            Group::Egress => 3,
            Group::Warm => 20,
            Group::Cdp => 50,
        }
    }

    /// Returns the counted rounds for each requested round.
    pub fn rounds_each(self) -> usize {
        match self {
            Group::Memory | Group::Starts | Group::Kill | Group::Lasting | Group::Live => 1,
            Group::Egress => 2,
            Group::Warm => 15,
            Group::Cdp => 50,
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
    /// The row's id in the measuring code.
    pub key: &'static str,
    /// The table that contains it.
    pub group: Group,
    /// The row's text.
    pub label: &'static str,
    /// The target, if there is one.
    pub target: Option<Target>,
    /// True for baselines without Hearth.
    pub is_baseline: bool,
}

const fn row(group: Group, key: &'static str, label: &'static str) -> Row {
    Row {
        key,
        group,
        label,
        target: None,
        is_baseline: false,
    }
}

const fn with_target(group: Group, key: &'static str, label: &'static str, target: Target) -> Row {
    Row {
        key,
        group,
        label,
        target: Some(target),
        is_baseline: false,
    }
}

const fn baseline(group: Group, key: &'static str, label: &'static str) -> Row {
    Row {
        key,
        group,
        label,
        target: None,
        is_baseline: true,
    }
}

const MEMORY: Group = Group::Memory;
const STARTS: Group = Group::Starts;
const WARM: Group = Group::Warm;
const KILL: Group = Group::Kill;
const CDP: Group = Group::Cdp;
const EGRESS: Group = Group::Egress;
const LASTING: Group = Group::Lasting;
const LIVE: Group = Group::Live;

/// All rows in the order of the report.
pub const ROWS: &[Row] = &[
    with_target(
        STARTS,
        "create",
        "create",
        Target::Above("chromium-start", 60.0),
    ),
    baseline(
        STARTS,
        "chromium-start",
        "raw browser start, until its first page",
    ),
    row(
        STARTS,
        "first-node",
        "first execute, node `await page.title()`",
    ),
    baseline(
        STARTS,
        "script-node",
        "cold Playwright script in node: launch, new page, title, close",
    ),
    baseline(
        STARTS,
        "connect-node",
        "cold Playwright script in node: connect to `cdpUrl`, title, close",
    ),
    row(
        STARTS,
        "first-python",
        "first execute, python `await page.title()`",
    ),
    baseline(
        STARTS,
        "script-python",
        "cold Playwright script in python: launch, new page, title, close",
    ),
    baseline(
        STARTS,
        "connect-python",
        "cold Playwright script in python: connect to `cdpUrl`, title, close",
    ),
    row(
        STARTS,
        "first-bash",
        "first execute, bash `:` (starts the agent-browser daemon too)",
    ),
    row(STARTS, "delete", "delete, after an execute"),
    with_target(
        WARM,
        "title-node",
        "node `await page.title()`",
        Target::AtMost(3.0),
    ),
    row(
        WARM,
        "title-inside-node",
        "only `page.title()`, timed in the kernel",
    ),
    with_target(
        WARM,
        "title-python",
        "python `await page.title()`",
        Target::AtMost(3.5),
    ),
    row(
        WARM,
        "title-inside-python",
        "only `page.title()`, timed in the kernel",
    ),
    row(WARM, "one-node", "node `1`"),
    row(WARM, "one-python", "python `1`"),
    with_target(WARM, "colon", "bash `:`", Target::AtMost(6.0)),
    with_target(
        WARM,
        "colon-default",
        "bash `:`, isolation level `default`",
        Target::Above("colon-none", 1.5),
    ),
    baseline(WARM, "colon-none", "bash `:`, isolation level `none`"),
    baseline(WARM, "one-node-none", "node `1`, isolation level `none`"),
    baseline(WARM, "bare-bash", "`bash -c :`, started by the bench"),
    with_target(
        WARM,
        "agent",
        "bash `agent-browser get title`",
        Target::Above("bare-agent", 6.0),
    ),
    baseline(
        WARM,
        "bare-agent",
        "`agent-browser get title`, started by the bench, with its own daemon",
    ),
    baseline(WARM, "health", "trivial HTTP round trip (`GET /health`)"),
    row(KILL, "kill-node", "node `1 + 1`"),
    row(KILL, "kill-python", "python `1 + 1`"),
    with_target(
        CDP,
        "evaluate-broker",
        "`Runtime.evaluate` of `1`, through `cdpUrl`",
        Target::Above("evaluate-port", 0.3),
    ),
    baseline(
        CDP,
        "evaluate-port",
        "same command, WebSocket to a raw browser's port",
    ),
    baseline(CDP, "evaluate-pipe", "same command, pipe to a raw browser"),
    with_target(
        CDP,
        "version-broker",
        "`Browser.getVersion`, through `cdpUrl`",
        Target::Above("version-port", 0.3),
    ),
    baseline(
        CDP,
        "version-port",
        "same command, WebSocket to a raw browser's port",
    ),
    baseline(CDP, "version-pipe", "same command, pipe to a raw browser"),
    with_target(
        EGRESS,
        "large-plain",
        "50 MB, plain HTTP through the proxy",
        Target::Times("large-direct", 1.18),
    ),
    with_target(
        EGRESS,
        "large-tunnel",
        "50 MB, through a tunnel of the proxy",
        Target::Times("large-direct", 1.18),
    ),
    baseline(EGRESS, "large-direct", "50 MB, without a proxy"),
    with_target(
        EGRESS,
        "small-plain",
        "5 bytes, plain HTTP through the proxy",
        Target::Above("small-direct", 2.0),
    ),
    with_target(
        EGRESS,
        "small-tunnel",
        "5 bytes, through a tunnel of the proxy",
        Target::Above("small-direct", 2.0),
    ),
    baseline(EGRESS, "small-direct", "5 bytes, without a proxy"),
    with_target(
        LASTING,
        "create-profile",
        "create, with a profile of 20 MB",
        Target::Above("create-plain", 150.0),
    ),
    baseline(LASTING, "create-plain", "create, without a profile"),
    with_target(
        LASTING,
        "delete-profile",
        "delete, saving that profile",
        Target::Above("delete-plain", 300.0),
    ),
    baseline(LASTING, "delete-plain", "delete, without a profile"),
    with_target(
        LASTING,
        "execute-stored",
        "node `1`",
        Target::Above("execute-held", 0.2),
    ),
    baseline(
        LASTING,
        "execute-held",
        "node `1`, on a server with a blocked store",
    ),
    with_target(
        LIVE,
        "frame",
        "time between two pictures, one viewer (50 ms are 20 pictures per second)",
        Target::AtMost(50.0),
    ),
    with_target(
        LIVE,
        "screenshot-screencast",
        "Playwright screenshot, with a viewer",
        Target::Times("screenshot-alone", 1.12),
    ),
    baseline(
        LIVE,
        "screenshot-alone",
        "Playwright screenshot, without a viewer",
    ),
    with_target(
        LIVE,
        "key",
        "from a viewer's key to the changed pixel",
        Target::AtMost(120.0),
    ),
    row(MEMORY, "server-none", "server, no session"),
    row(MEMORY, "server-one", "server, 1 session"),
    with_target(
        MEMORY,
        "server-eight",
        "server, 8 sessions",
        Target::AtMost(40.0),
    ),
    with_target(
        MEMORY,
        "server-end",
        "server, 8 sessions, after all other rows",
        Target::AtMost(40.0),
    ),
    with_target(MEMORY, "shim-one", "a shim, 1 session", Target::AtMost(1.0)),
    with_target(
        MEMORY,
        "shim-eight",
        "a shim, 8 sessions",
        Target::AtMost(1.0),
    ),
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
];

impl Row {
    /// Finds the row with this key.
    pub fn find(key: &str) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.key == key)
    }
}
