//! O: runs that are hard to end. The results are the same at every level. At levels that switch
//! users, the processes belong to another user than the server.

use std::time::Duration;

use futures_util::future::join_all;
use hearth_test_support::{Session, TestServer, eventually, process};

use crate::attacks::level::Level;

/// A run with its expected exit code, whether it is killed, and its duration in seconds.
struct Run {
    attack: &'static str,
    language: &'static str,
    code: &'static str,
    exit_code: i64,
    killed: bool,
    seconds: std::ops::Range<f64>,
}

/// Timeout of each run in seconds.
const TIMEOUT: u64 = 3;
/// Allowed duration of a killed run. The server must respond within a second of the deadline.
const KILLED: std::ops::Range<f64> = 3.0..4.0;
const AT_ONCE: std::ops::Range<f64> = 0.0..2.0;

const fn run(
    attack: &'static str,
    language: &'static str,
    code: &'static str,
    exit_code: i64,
) -> Run {
    Run {
        attack,
        language,
        code,
        exit_code,
        killed: false,
        seconds: AT_ONCE,
    }
}

const fn killed(attack: &'static str, language: &'static str, code: &'static str) -> Run {
    Run {
        attack,
        language,
        code,
        exit_code: 137,
        killed: true,
        seconds: KILLED,
    }
}

const RUNS: &[Run] = &[
    run("O4: reads its input", "bash", "read line; exit 4", 4),
    run(
        "O4: reads its input in python",
        "bash",
        "python3 -c 'import sys; sys.exit(len(sys.stdin.read()))'",
        0,
    ),
    run(
        "O4: reads its input in node",
        "bash",
        "node -e 'process.stdin.resume().on(\"end\", () => process.exit(5))'",
        5,
    ),
    Run {
        attack: "O5: closes its own output and goes on",
        language: "bash",
        code: "exec 1>&- 2>&-; sleep 1; exit 3",
        exit_code: 3,
        killed: false,
        seconds: 1.0..2.0,
    },
    run(
        "O6: leaves a daemon that holds the output",
        "bash",
        "setsid sh -c 'sleep 4321' & exit 0",
        0,
    ),
    run(
        "O6: leaves an orphan daemon",
        "bash",
        "(setsid sh -c 'sleep 4321 & exec sleep 4322' &); exit 6",
        6,
    ),
    killed(
        "O7: ignores every signal that can be ignored",
        "bash",
        "trap '' TERM INT HUP QUIT USR1 PIPE; while :; do sleep 1; done",
    ),
    killed(
        "O7: ignores them in python",
        "python",
        "import signal, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\nwhile True: time.sleep(1)",
    ),
    killed("O8: stops itself", "bash", "kill -STOP $$"),
    killed(
        "O8: stops its whole tree",
        "bash",
        "sleep 4323 & sh -c 'kill -STOP $$' & kill -STOP $! $$",
    ),
    killed(
        "O8: stops the kernel",
        "node",
        "process.kill(process.pid, 'SIGSTOP'); await new Promise(() => {})",
    ),
    run(
        "O9: has child processes that are never reaped",
        "bash",
        "for i in $(seq 200); do (true &) ; done; exit 9",
        9,
    ),
    run("O14: is ended by a signal", "bash", "kill -SEGV $$", 139),
    run("O14: kills itself", "bash", "kill -KILL $$", 137),
    run("O14: aborts", "bash", "kill -ABRT $$", 134),
    run("O14: ends with the highest code", "bash", "exit 255", 255),
    run(
        "O14: ends with a code that looks like a signal",
        "bash",
        "exit 130",
        130,
    ),
];

async fn try_on(session: &Session, run: &Run) -> Option<String> {
    let execution = session.run_for(run.language, run.code, TIMEOUT).await;
    let seconds = execution.elapsed.as_secs_f64();
    let is_right = (execution.exit_code, execution.killed) == (run.exit_code, run.killed)
        && run.seconds.contains(&seconds);
    (!is_right).then(|| format!("{} took {seconds:.2} s: {execution:?}", run.attack))
}

/// Runs all of them, three sessions at a time, and asserts that they leave nothing behind.
pub async fn every_run_ends(level: Level) {
    let server: TestServer = level.server().start().await;
    let sessions = join_all((0..3).map(|_| server.session())).await;
    let mut wrong = Vec::new();
    for runs in RUNS.chunks(sessions.len()) {
        let tried = sessions
            .iter()
            .zip(runs)
            .map(|(session, run)| try_on(session, run));
        wrong.extend(join_all(tried).await.into_iter().flatten());
    }
    assert!(
        wrong.is_empty(),
        "{} runs ended unexpectedly at {}\n{}",
        wrong.len(),
        level.title(),
        wrong.join("\n")
    );
    eventually(
        Duration::from_secs(3),
        "no process of the run is left",
        || {
            // Other tests run on the same machine, so a process outside of this server's tree only
            // counts if this test named it.
            let tree = process::tree(server.pid());
            let own = tree
                .into_iter()
                .filter(|process| process.command.starts_with("sleep ") || process.state == 'Z');
            let left = own.chain(
                process::all()
                    .into_iter()
                    .filter(|process| process.command.starts_with("sleep 432")),
            );
            let left: Vec<_> = left.collect();
            std::future::ready(if left.is_empty() {
                Ok(())
            } else {
                Err(process::describe(&left))
            })
        },
    )
    .await;
    server.stop().await;
}
