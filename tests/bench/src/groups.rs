//! The groups of rows: their tables, their methods and their rounds.

use clap::ValueEnum;

/// A group of rows that are measured together, in turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// Memory of the server, its shims, and the processes below them.
    Memory,
    /// The start of the server.
    Server,
    /// Sessions from the request that creates them to their first result.
    First,
    /// Sessions from creation to deletion.
    Starts,
    /// Executions in a session that has already run one.
    Warm,
    /// Executions in several sessions at the same time.
    Rate,
    /// Sessions that are created, used once and deleted.
    Churn,
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
    /// Scrapes and interactions with their pages.
    Scrape,
    /// Requests through a node that does not own the session.
    Cluster,
}

impl Group {
    /// All groups in the order of measurement: memory is first, while the server is fresh.
    pub const ALL: &[Group] = &[
        Group::Memory,
        Group::Server,
        Group::First,
        Group::Starts,
        Group::Warm,
        Group::Rate,
        Group::Churn,
        Group::Kill,
        Group::Cdp,
        Group::Egress,
        Group::Lasting,
        Group::Live,
        Group::Scrape,
        Group::Cluster,
    ];

    /// Returns the group's name as an option value.
    pub fn name(self) -> &'static str {
        match self {
            Group::Memory => "memory",
            Group::Server => "server",
            Group::First => "first",
            Group::Starts => "starts",
            Group::Warm => "warm",
            Group::Rate => "rate",
            Group::Churn => "churn",
            Group::Kill => "kill",
            Group::Cdp => "cdp",
            Group::Egress => "egress",
            Group::Lasting => "lasting",
            Group::Live => "live",
            Group::Scrape => "scrape",
            Group::Cluster => "cluster",
        }
    }

    /// Returns the heading of its table.
    pub fn heading(self) -> &'static str {
        match self {
            Group::Memory => "Memory",
            Group::Server => "Server start",
            Group::First => "Creation and first result",
            Group::Starts => "Session lifecycle",
            Group::Warm => "Warm executions",
            Group::Rate => "Executions per second",
            Group::Churn => "Sessions per second",
            Group::Kill => "Execution after a kill",
            Group::Cdp => "CDP latency",
            Group::Egress => "Egress",
            Group::Lasting => "Persistence",
            Group::Live => "Live view",
            Group::Scrape => "Scrapes",
            Group::Cluster => "Cluster",
        }
    }

    /// Describes how it is measured.
    pub fn method(self) -> &'static str {
        match self {
            Group::Memory => {
                "PSS (`/proc/PID/smaps_rollup`): a page shared by several processes counts \
                 proportionally, so shims become smaller with their number. Each session has run `1` in node. Samples are processes or sessions; \
                 the server is measured once. A whole session is the sum of all processes of all sessions, divided by their number. \
                 The processor time of a warm session is measured for ten seconds, five seconds after it was ready."
            }
            Group::Server => {
                "From the start of the program, with an empty data directory, until `/readyz` \
                 answers 200. It includes the self-test of the sandbox."
            }
            Group::First => {
                "From the request that creates a session to the result of `await page.title()` \
                 in it. A round runs every row once, in alternating order. Two servers run at \
                 the same time: one keeps a warm session, which is ready before each \
                 measurement, and one keeps none. For a burst, all clients start at the same time; its time \
                 is that of the whole burst. Bursts have a quarter of the rounds. \
                 Scripts are timed from start to exit."
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
                 persistent HTTP/1.1 connection. Rows in bash have separate rounds, because the \
                 server prepares the next shell after each of them."
            }
            Group::Rate => {
                "Each session has one client, which runs `1` in node for ten seconds and sends \
                 the next request when the response has arrived. The clients are one thread of the bench, which shares the machine's processors with \
                 the server."
            }
            Group::Churn => {
                "For a minute, each of four clients creates a session, runs `await page.title()` in node and \
                 deletes it, then starts again. The server keeps one warm session. Leftovers \
                 are processes and session directories that exist when all sessions are deleted and outlive the next \
                 session."
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
            Group::Scrape => {
                "A scrape of a small page in Markdown; the page comes from the thread of the \
                 bench. The server keeps one warm session, which is ready before each \
                 measurement except the second interaction. An interaction runs `await page.title()` in node. A round scrapes the page, interacts twice and ends the \
                 session. Before or after that, in turns, it opens the page in a new session with Playwright's `page.goto`, \
                 timed in the node kernel until the page is loaded. Interactions by replay have \
                 separate rounds on a second server, which keeps no session of a scrape."
            }
            Group::Cluster => {
                "Two nodes and a PostgreSQL database on the same machine, with pinned TLS between the \
                 nodes. One session; a round sends every request to its owner and through the other \
                 node, in turns, over persistent connections. Creations have separate rounds and \
                 servers, a node and a server alone, in turns. Each has a warm session before each \
                 of them. Commits of PostgreSQL wait for the disk; those of SQLite do not. Creations \
                 with a profile have no warm session. The bucket is a server in Python (moto) on the \
                 same machine; nodes keep no copy of a profile, so every creation downloads it."
            }
        }
    }

    /// Returns the number of warm-up rounds, which are not counted.
    pub fn warm_up_rounds(self) -> usize {
        match self {
            Group::Memory | Group::Server | Group::Rate | Group::Churn | Group::Kill => 0,
            Group::First | Group::Starts | Group::Live | Group::Lasting | Group::Scrape => 1,
            Group::Egress => 3,
            Group::Warm => 20,
            Group::Cdp | Group::Cluster => 50,
        }
    }

    /// Returns the counted rounds for each requested round.
    pub fn rounds_each(self) -> usize {
        match self {
            Group::Egress => 2,
            Group::Warm => 15,
            Group::Cdp | Group::Cluster => 50,
            _ => 1,
        }
    }
}
