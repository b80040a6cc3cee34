//! A test case for one agent-browser command: the script to run and the expected result.

/// The reason for a session's only daemon at the isolation level `default`.
pub const ONE_DAEMON: &str = "a session has one daemon, which the server starts and, if \
                              necessary, restarts before the next execute; works with \
                              `HEARTH_ISOLATION=none`";

/// The commands under one heading of `agent-browser --help`.
#[derive(Debug)]
pub struct Group {
    pub title: &'static str,
    pub cases: &'static [Case],
}

/// A command with its test.
#[derive(Debug)]
pub struct Case {
    /// The command as the help text shows it.
    pub command: &'static str,
    pub expectation: Expectation,
}

/// The last line expected from one major version of Chromium.
#[derive(Debug)]
pub struct Expected {
    /// The oldest version where the command works, or the newest one where it fails.
    pub chromium: u32,
    pub last_line: &'static str,
}

/// The expected behaviour of a command.
#[derive(Debug)]
pub enum Expectation {
    /// Works. The script runs on a fresh `/elements` page and prints this last line, which shows
    /// the command's effect and not only its output.
    Works {
        script: &'static str,
        last_line: &'static str,
    },
    /// Works on a page with the permissions that a headless browser denies. A standalone
    /// agent-browser needs them too.
    WorksWhenPermitted {
        script: &'static str,
        last_line: &'static str,
    },
    /// Depends on the browser: works from one major version of Chromium on, and fails with older
    /// ones. Versions between the two are untested, so they may print either last line.
    WorksFrom {
        script: &'static str,
        works: Expected,
        fails: Expected,
        reason: &'static str,
    },
    /// Fails for this reason; the script prints this last line.
    Fails {
        script: &'static str,
        last_line: &'static str,
        reason: &'static str,
    },
    /// Skipped, because it needs a browser, a service or a machine outside the session.
    Elsewhere { reason: &'static str },
}

impl Expectation {
    /// Returns the last lines that are accepted from this major version of Chromium.
    pub fn accepted(&self, chromium: u32) -> Vec<&'static str> {
        match self {
            Expectation::Works { last_line, .. }
            | Expectation::WorksWhenPermitted { last_line, .. }
            | Expectation::Fails { last_line, .. } => vec![*last_line],
            Expectation::WorksFrom { works, .. } if chromium >= works.chromium => {
                vec![works.last_line]
            }
            Expectation::WorksFrom { fails, .. } if chromium <= fails.chromium => {
                vec![fails.last_line]
            }
            Expectation::WorksFrom { works, fails, .. } => vec![works.last_line, fails.last_line],
            Expectation::Elsewhere { .. } => Vec::new(),
        }
    }
}

pub const fn works(command: &'static str, script: &'static str, last_line: &'static str) -> Case {
    Case {
        command,
        expectation: Expectation::Works { script, last_line },
    }
}

pub const fn works_when_permitted(
    command: &'static str,
    script: &'static str,
    last_line: &'static str,
) -> Case {
    Case {
        command,
        expectation: Expectation::WorksWhenPermitted { script, last_line },
    }
}

pub const fn works_from(
    command: &'static str,
    script: &'static str,
    works: Expected,
    fails: Expected,
    reason: &'static str,
) -> Case {
    Case {
        command,
        expectation: Expectation::WorksFrom {
            script,
            works,
            fails,
            reason,
        },
    }
}

pub const fn fails(
    command: &'static str,
    script: &'static str,
    last_line: &'static str,
    reason: &'static str,
) -> Case {
    Case {
        command,
        expectation: Expectation::Fails {
            script,
            last_line,
            reason,
        },
    }
}

pub const fn elsewhere(command: &'static str, reason: &'static str) -> Case {
    Case {
        command,
        expectation: Expectation::Elsewhere { reason },
    }
}
