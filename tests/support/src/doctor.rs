//! Runs `hearth doctor` as a separate process and parses its report.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;

use crate::eventually::eventually;
use crate::installation::{binary, given_runtime};
use crate::output::Output;
use crate::process;

/// All checks together take about a second.
const DEADLINE: Duration = Duration::from_mins(1);

/// Time for the process table to empty; same as for a server.
const TABLE_DEADLINE: Duration = Duration::from_secs(1);

/// A builder for one `hearth doctor` run.
#[derive(Debug)]
pub struct Doctor {
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    /// `prlimit` with its arguments, or nothing.
    prefix: Vec<String>,
    data_dir: String,
}

/// Output and exit code of a `hearth doctor` run.
#[derive(Debug)]
pub struct Diagnosis {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// The content of stdout.
    pub stdout: String,
    /// The content of stderr.
    pub stderr: String,
}

/// One line of the report with its fixes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the report")]
pub struct Finding {
    pub severity: String,
    pub check: String,
    pub text: String,
    pub fixes: Vec<String>,
}

impl Doctor {
    /// Creates a builder with this data dir, any free port, and the defaults for the rest.
    pub fn with_data_dir(data_dir: &Path) -> Self {
        let data_dir = data_dir.to_string_lossy().into_owned();
        Self {
            environment: Vec::new(),
            arguments: Vec::new(),
            prefix: Vec::new(),
            data_dir,
        }
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets the soft and hard limits on open files.
    #[must_use]
    pub fn open_files(mut self, soft: u32, hard: u32) -> Self {
        self.prefix = vec![
            "/usr/bin/prlimit".to_owned(),
            format!("--nofile={soft}:{hard}"),
        ];
        self
    }

    /// Runs it to completion and asserts that no process remains.
    pub async fn run(self) -> Diagnosis {
        self.run_until(|_| None::<()>, None).await
    }

    /// Runs it and sends it a signal as soon as it has printed its first finding.
    pub async fn interrupted_by(self, signal: Signal) -> Diagnosis {
        self.run_until(|line| line.contains("system").then_some(()), Some(signal))
            .await
    }

    async fn run_until<T: Send + 'static>(
        self,
        find: impl Fn(&str) -> Option<T> + Send + 'static,
        signal: Option<Signal>,
    ) -> Diagnosis {
        // Each program execs the next one, so the pid stays the same and is also the id of a
        // session.
        let words = self
            .prefix
            .into_iter()
            .chain([binary().to_string_lossy().into_owned(), "doctor".to_owned()]);
        let mut command = Command::new("/usr/bin/setsid");
        let (stdout, stdout_writer) = std::io::pipe().expect("a pipe can be created");
        let (stderr, stderr_writer) = std::io::pipe().expect("a pipe can be created");
        command
            .args(words)
            .args(&self.arguments)
            .current_dir(crate::repository())
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HEARTH_LISTEN", "127.0.0.1:0")
            .env("HEARTH_DATA_DIR", &self.data_dir)
            .envs(given_runtime().map(|dir| ("HEARTH_RUNTIME_DIR", dir)))
            .envs(self.environment)
            .stdin(Stdio::null())
            .stdout(stdout_writer)
            .stderr(stderr_writer)
            .kill_on_drop(true);
        let mut child = command.spawn().expect("the doctor can be started");
        drop(command);
        let pid: i32 = child
            .id()
            .and_then(|pid| pid.try_into().ok())
            .expect("the doctor was just started");
        let (stdout, found) = Output::waiting_for(stdout, find);
        let stderr = Output::of(stderr);
        // The doctor's child processes work in this dir; a server with the same data dir never uses
        // it.
        let trials = format!("{}/d/", self.data_dir);
        if let Some(signal) = signal {
            found.await.unwrap_or_else(|_| {
                panic!(
                    "the expected line is missing:\n{}{}",
                    stdout.text(),
                    stderr.text()
                )
            });
            kill(Pid::from_raw(pid), signal).expect("it has not been reaped");
        }
        let ended = tokio::time::timeout(DEADLINE, child.wait()).await;
        let status = ended.unwrap_or_else(|_| {
            panic!(
                "the doctor did not end:\n{}{}",
                stdout.text(),
                stderr.text()
            )
        });
        eventually(
            TABLE_DEADLINE,
            "no process of the doctor is left",
            || async {
                match process::belonging(pid, &trials) {
                    left if left.is_empty() => Ok(()),
                    left => Err(process::describe(&left)),
                }
            },
        )
        .await;
        for output in [&stdout, &stderr] {
            output
                .wait_for_end(TABLE_DEADLINE)
                .unwrap_or_else(|error| panic!("{error}"));
        }
        let code = status.expect("it is a child of this process").code();
        Diagnosis {
            code,
            stdout: stdout.text(),
            stderr: stderr.text(),
        }
    }
}

impl Diagnosis {
    /// Returns all findings in order.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::new();
        for line in self.stdout.lines() {
            let (severity, rest) = line.split_at_checked(6).unwrap_or((line, ""));
            if ["ok", "note", "FAIL"].contains(&severity.trim_end()) {
                let (check, text) = rest.split_at_checked(15).unwrap_or((rest, ""));
                let [severity, check, text] =
                    [severity, check, text].map(|part| part.trim().to_owned());
                findings.push(Finding {
                    severity,
                    check,
                    text,
                    fixes: Vec::new(),
                });
            } else if line.starts_with(' ')
                && let Some(last) = findings.last_mut()
            {
                last.fixes.push(line.trim().to_owned());
            }
        }
        findings
    }

    /// Returns the first finding of a check; panics if there is none.
    #[track_caller]
    pub fn finding(&self, check: &str) -> Finding {
        let found = self
            .findings()
            .into_iter()
            .find(|finding| finding.check == check);
        found.unwrap_or_else(|| panic!("no finding for {check}:\n{}{}", self.stdout, self.stderr))
    }

    /// Returns the findings that failed.
    pub fn failures(&self) -> Vec<Finding> {
        self.findings()
            .into_iter()
            .filter(|finding| finding.severity == "FAIL")
            .collect()
    }
}
