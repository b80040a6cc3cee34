//! Processes that an administrator has stopped with SIGSTOP. They end with their session and with
//! the server, like all others.

use std::os::unix::process::CommandExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hearth_test_support::process::{self, Process};
use hearth_test_support::{TestServer, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::time::timeout;

use crate::lifetime::busy_session;

/// Time from the death of the server to the end of its last process.
const DEADLINE: Duration = Duration::from_secs(2);

/// Stops processes and waits until they are stopped. Otherwise one could stop only later, for
/// example after the server's death.
pub async fn stop(mut processes: Vec<Process>) {
    for process in &processes {
        process.signal(Signal::SIGSTOP);
    }
    eventually(Duration::from_secs(5), "all of them are stopped", || {
        let running: Vec<&Process> = processes
            .iter_mut()
            .filter_map(|process| (process.refresh() && process.state != 'T').then_some(&*process))
            .collect();
        std::future::ready(if running.is_empty() {
            Ok(())
        } else {
            Err(process::describe(running))
        })
    })
    .await;
}

/// Lists all processes of the server, its own included.
fn everything(server: &TestServer) -> Vec<Process> {
    let mut processes = process::tree(server.pid());
    processes.extend(Process::find(server.pid()));
    processes
}

/// Kills one of the server's own processes, and asserts that everything ends within the deadline.
async fn leaves_nothing_when_killed(mut server: TestServer, pid: i32) {
    let start = Instant::now();
    timeout(DEADLINE, server.kill_own(pid))
        .await
        .expect("the server ends in time");
    let rest = DEADLINE.saturating_sub(start.elapsed());
    server.assert_nothing_runs(rest).await;
}

/// The user ids are those of one session, so that each session gets those of the previous one.
#[tokio::test]
async fn a_deleted_session_whose_shims_are_stopped_ends_before_its_user_ids_are_reused() {
    let server = TestServer::builder()
        .setting("HEARTH_UIDS", "61983-61985")
        .start()
        .await;
    for _ in 0..3 {
        let session = busy_session(&server).await;
        let mut old = server.processes();
        let shims = old.iter().filter(|process| process.is_shim());
        stop(shims.cloned().collect()).await;
        session.delete().await;
        // Waits for the user ids of the deleted session.
        let next = server.session().await;
        old.retain_mut(Process::refresh);
        assert!(
            old.is_empty(),
            "left by a deleted session:\n{}",
            process::describe(&old)
        );
        next.delete().await;
    }
    server.session().await.delete().await;
    server.stop().await;
}

#[tokio::test]
async fn no_session_gets_user_ids_that_a_process_has() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can start programs under other users");
        return;
    }
    // The ids of the server, and of the browser and the code of one session.
    let server = TestServer::builder()
        .setting("HEARTH_UIDS", "61986-61988")
        .start()
        .await;
    server.session().await.delete().await;
    let mut sleeping = std::process::Command::new("/bin/sleep")
        .arg("1000")
        .uid(61988)
        .spawn()
        .expect("root starts programs under any user");
    let refused = server.create(&json!({})).await;
    sleeping.kill().expect("it runs");
    sleeping.wait().expect("it is a child of this process");
    assert_eq!(refused.status, 429, "{refused:?}");
    server.session().await.delete().await;
    server.stop().await;
}

/// Kills the process that serves requests. Nothing that the server started can run code then, so
/// only the kernel can resume it.
#[tokio::test]
async fn a_server_that_is_killed_while_all_its_processes_are_stopped_leaves_nothing() {
    let server = TestServer::start().await;
    busy_session(&server).await;
    server.processes();
    let serving = server.serving_pid();
    stop(everything(&server)).await;
    leaves_nothing_when_killed(server, serving).await;
}

#[tokio::test]
async fn a_server_that_is_killed_right_after_a_third_of_its_processes_was_stopped_leaves_nothing() {
    for round in 0..2 {
        stopped_and_killed(TestServer::start().await, round, false).await;
    }
}

/// Stops a third of all processes of the server, itself included, and kills it at once, while most
/// of these stops are pending. `round` selects the processes. It also selects which of the server's
/// own processes is killed: the one that was started, or the one that serves requests.
pub async fn stopped_and_killed(server: TestServer, round: u64, with_load: bool) {
    tokio::join!(busy_session(&server), busy_session(&server));
    server.processes();
    let own = [server.serving_pid(), server.pid()];
    let killed = if round.is_multiple_of(2) {
        own[0]
    } else {
        own[1]
    };
    let processes = everything(&server);
    let load = with_load.then(Load::start);
    let mut noise = round;
    for process in &processes {
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        if (noise >> 33).is_multiple_of(3) {
            // It may have ended meanwhile. A check would give the others time to stop.
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGSTOP);
        }
    }
    leaves_nothing_when_killed(server, killed).await;
    drop(load);
}

/// Threads that use all processors, until it is dropped.
struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn start() -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let spin = || {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        };
        Load {
            threads: (0..2 * processors).map(|_| spin()).collect(),
            stop,
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that only counts cannot panic.
            let _ = thread.join();
        }
    }
}
