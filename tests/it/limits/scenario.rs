//! A server with low limits, a session that exceeds one, and a neighbour session that must not be
//! affected.

use hearth_test_support::process::Process;
use hearth_test_support::{Execution, Session, TestServer};
use tokio::task::JoinHandle;

/// Max memory of the server at the end. It starts with a few MiB, and the sessions' memory does not
/// count.
const MAX_SERVER_KIB: u64 = 64 * 1024;

/// Code of the neighbour: two seconds of small steps, with a variable that only this kernel has.
const STEPS: &str = "let steps = 0; const from = Date.now(); \
                     while (Date.now() - from < 2000) { await new Promise(next => setTimeout(next, 20)); steps++; } \
                     await page.evaluate(n => n > 10 ? word : 'slow', steps)";

pub(crate) struct Scenario {
    pub(crate) server: TestServer,
    /// The session that exceeds a limit.
    pub(crate) guilty: Session,
    neighbour: Session,
}

impl Scenario {
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Scenario {
        let builder = settings
            .iter()
            .fold(TestServer::builder(), |builder, (name, value)| {
                builder.setting(name, value)
            });
        let server = builder.start().await;
        let (guilty, neighbour) = (server.session().await, server.session().await);
        neighbour
            .node(
                "const word = 'unharmed'; await page.evaluate(() => { window.word = 'unharmed' })",
            )
            .await
            .ok();
        Scenario {
            server,
            guilty,
            neighbour,
        }
    }

    /// Runs code in the guilty session while the neighbour works, and asserts that the neighbour is
    /// not affected.
    pub(crate) async fn run(&self, language: &str, code: &str) -> Execution {
        let neighbour = self.neighbour();
        let execution = self.guilty.run(language, code).await;
        assert_eq!(
            neighbour
                .await
                .expect("the task does not panic")
                .ok()
                .result,
            "unharmed"
        );
        execution
    }

    /// Starts the neighbour's code.
    pub(crate) fn neighbour(&self) -> JoinHandle<Execution> {
        let neighbour = self.neighbour.clone();
        tokio::spawn(async move { neighbour.node(STEPS).await })
    }

    /// Asserts that code was ended at a limit, and that its session continues.
    pub(crate) async fn assert_goes_on_after(
        &self,
        execution: Execution,
        limit: &str,
        setting: &str,
    ) {
        assert_ended_by(&execution, limit, setting);
        assert_eq!(self.guilty.status().await["status"], "active");
        let again = self
            .guilty
            .run("python", "await page.evaluate('6 * 7')")
            .await
            .ok();
        assert_eq!(again.result, "42");
    }

    /// Asserts that the guilty session ended at a limit and left nothing behind.
    pub(crate) async fn assert_session_ended(&self, limit: &str) {
        self.guilty.assert_destroyed("limit").await;
        let is_logged = |line: &str| {
            line.contains("session ended")
                && line.contains(limit)
                && line.contains(self.guilty.id())
        };
        hearth_test_support::eventually(
            std::time::Duration::from_secs(10),
            "the log names the limit",
            || async {
                let output = self.server.output();
                if output.lines().any(is_logged) {
                    Ok(())
                } else {
                    Err(format!("{limit:?} is not in\n{output}"))
                }
            },
        )
        .await;
        // The remaining processes are the neighbour's.
        hearth_test_support::eventually(
            std::time::Duration::from_secs(10),
            "the session dir is removed",
            || async {
                match self.server.session_dirs() {
                    dirs if dirs.len() == 1 => Ok(()),
                    dirs => Err(format!("{dirs:?}")),
                }
            },
        )
        .await;
    }

    /// Asserts that the server is as small as before, and stops it.
    pub(crate) async fn stop(self) {
        let server = Process::find(self.server.serving_pid()).expect("it runs");
        let memory = server.memory().expect("it runs");
        assert!(
            memory.private_kib < MAX_SERVER_KIB,
            "the server uses {memory:?}"
        );
        self.server.stop().await;
    }
}

/// Asserts that the server killed the code at a limit, and not at its timeout.
#[track_caller]
pub(crate) fn assert_ended_by(execution: &Execution, limit: &str, setting: &str) {
    assert_eq!(
        (execution.exit_code, execution.killed),
        (137, false),
        "{execution:?}"
    );
    let error = execution.error();
    assert!(
        error.contains(limit) && error.contains(setting),
        "the error names no limit: {error}"
    );
}
