//! Tests the shim that is prepared for the next program, and the child in it.

use std::time::{Duration, Instant};

use hearth_sandbox::{Exit, Launcher, SandboxUser, StartError, UserIds, UserRole};
use nix::sys::signal::{Signal, kill};
use nix::unistd::geteuid;
use tokio_util::task::TaskTracker;

use crate::{
    TIMEOUT, bash, children, descendants, gone, launcher, launcher_with, lives, pid, read_proc,
    wait_until,
};

/// Runs one program, and returns the process id of the warm shim for the next one.
async fn ready_shim(launcher: &Launcher) -> u32 {
    let tree = launcher.start(bash(":")).await.expect("bash starts");
    assert_eq!(gone(&tree).await, Exit::Code(0));
    let me = std::process::id();
    let deadline = Instant::now() + TIMEOUT;
    loop {
        // Polls, because the process table sends no notifications.
        let own = children(me);
        // The shim of the first program can exit later than its tree is gone.
        if let [ready] = own[..]
            && ready != tree.shim_pid()
        {
            return ready;
        }
        assert!(Instant::now() < deadline, "no warm shim: {own:?}");
        tokio::task::yield_now().await;
    }
}

/// Waits until a process has ended. Meanwhile the tasks of the launcher can run, because the task
/// that prepares a warm shim owns it until it is ready.
async fn ended(pid: u32) {
    let deadline = Instant::now() + TIMEOUT;
    while lives(pid) {
        assert!(Instant::now() < deadline, "the process still runs");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_warm_shim_starts_the_next_program_and_ends_on_close() {
    let tracker = TaskTracker::new();
    let launcher = launcher_with(tracker.clone()).with_warm_shim();
    let ready = ready_shim(&launcher).await;
    let tree = launcher.start(bash("exit 3")).await.expect("bash starts");
    assert_eq!(tree.shim_pid(), ready);
    assert_eq!(gone(&tree).await, Exit::Code(3));
    launcher.close_warm_shim().await;
    assert_eq!(descendants(std::process::id()), 0);
    // Programs still start without a warm shim.
    let tree = launcher.start(bash(":")).await.expect("bash starts");
    assert_eq!(gone(&tree).await, Exit::Code(0));
    tracker.close();
    tracker.wait().await;
    assert_eq!(descendants(std::process::id()), 0);
}

/// Checks that a program starts in time after the warm shim received a signal. Programs of the same
/// user can send signals to it.
async fn starts_after(signal: Signal) {
    let launcher = launcher().with_warm_shim();
    let ready = ready_shim(&launcher).await;
    kill(pid(ready), signal).expect("the shim runs");
    if signal == Signal::SIGKILL {
        ended(ready).await;
    }
    let start = Instant::now();
    let tree = launcher.start(bash("exit 4")).await.expect("bash starts");
    assert_eq!(gone(&tree).await, Exit::Code(4));
    assert!(
        start.elapsed() < TIMEOUT / 2,
        "{signal} delayed the start by {:?}",
        start.elapsed()
    );
    launcher.close_warm_shim().await;
    assert_eq!(descendants(std::process::id()), 0);
}

#[tokio::test]
async fn a_killed_warm_shim_does_not_delay_the_next_program() {
    starts_after(Signal::SIGKILL).await;
}

#[tokio::test]
async fn a_stopped_warm_shim_does_not_delay_the_next_program() {
    starts_after(Signal::SIGSTOP).await;
}

#[tokio::test]
async fn a_dropped_launcher_ends_its_warm_shim() {
    let launcher = launcher().with_warm_shim();
    let ready = ready_shim(&launcher).await;
    drop(launcher);
    ended(ready).await;
}

#[tokio::test]
async fn the_tracker_waits_for_the_processes_of_a_cancelled_start() {
    let tracker = TaskTracker::new();
    let launcher = launcher_with(tracker.clone()).with_warm_shim();
    loop {
        ready_shim(&launcher).await;
        // The first poll sends the request to the warm shim, and the program usually takes longer
        // to start.
        let start = launcher.start(bash("sleep 1000"));
        match tokio::time::timeout(Duration::ZERO, start).await {
            Err(_) => break,
            Ok(tree) => {
                let tree = tree.expect("bash starts");
                tree.kill();
                gone(&tree).await;
            }
        }
    }
    launcher.close_warm_shim().await;
    tracker.close();
    tokio::time::timeout(TIMEOUT, tracker.wait())
        .await
        .expect("the shim ends");
    assert_eq!(descendants(std::process::id()), 0);
}

/// The kernel resumes a shim when its socket closes, even if the stop is still pending.
#[tokio::test]
async fn a_dropped_launcher_ends_its_warm_shim_although_it_is_stopped() {
    for round in 0..20 {
        let launcher = launcher().with_warm_shim();
        let ready = ready_shim(&launcher).await;
        // The shim takes its name after it has prepared for this.
        wait_until(|| read_proc(ready, "comm") == "hearth-shim\n");
        kill(pid(ready), Signal::SIGSTOP).expect("the shim runs");
        if round % 2 == 0 {
            wait_until(|| read_proc(ready, "stat").contains(") T "));
        }
        drop(launcher);
        ended(ready).await;
    }
}

/// Returns a launcher whose programs have another user id than their shims, or None if this process
/// may not change ids.
fn launcher_of_user(tracker: TaskTracker) -> Option<Launcher> {
    if !geteuid().is_root() {
        eprintln!("not root: programs have the user id of their shims");
        return None;
    }
    let ids = UserIds::new(61_980, 61_982).expect("one session fits");
    let user = SandboxUser {
        index: 0,
        role: UserRole::Code,
    };
    let launcher = launcher_with(tracker).with_ids(ids).as_user(Some(user));
    Some(launcher.with_warm_shim())
}

/// Waits for the child of a warm shim, which becomes the next program. Meanwhile the task can run
/// that tells the shim how to prepare itself.
async fn waiting_child(shim: u32) -> u32 {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let [child] = children(shim)[..] {
            return child;
        }
        assert!(Instant::now() < deadline, "no child");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_child_of_a_warm_shim_is_not_of_the_session_and_becomes_the_program() {
    let Some(launcher) = launcher_of_user(TaskTracker::new()) else {
        return;
    };
    let ready = ready_shim(&launcher).await;
    let child = waiting_child(ready).await;
    let status = read_proc(child, "status");
    assert!(status.contains("\nUid:\t0\t0\t0\t0\n"), "{status}");
    let tree = launcher
        .start(bash("[ \"$(id -u):$(id -G)\" = 61982:61982 ] && exit 5"))
        .await
        .expect("bash starts");
    assert_eq!((tree.shim_pid(), tree.program_pid()), (ready, child));
    assert_eq!(gone(&tree).await, Exit::Code(5));
    launcher.close_warm_shim().await;
    assert_eq!(descendants(std::process::id()), 0);
}

#[tokio::test]
async fn a_stopped_child_of_a_warm_shim_resumes_for_the_next_program() {
    let Some(launcher) = launcher_of_user(TaskTracker::new()) else {
        return;
    };
    let child = waiting_child(ready_shim(&launcher).await).await;
    kill(pid(child), Signal::SIGSTOP).expect("it runs");
    wait_until(|| read_proc(child, "stat").contains(") T "));
    let tree = launcher.start(bash("exit 6")).await.expect("bash starts");
    assert_eq!(tree.program_pid(), child);
    assert_eq!(gone(&tree).await, Exit::Code(6));
    launcher.close_warm_shim().await;
    assert_eq!(descendants(std::process::id()), 0);
}

#[tokio::test]
async fn a_warm_shim_and_its_child_end_together() {
    for kills_shim in [true, false] {
        let Some(launcher) = launcher_of_user(TaskTracker::new()) else {
            return;
        };
        let ready = ready_shim(&launcher).await;
        let child = waiting_child(ready).await;
        let killed = if kills_shim { ready } else { child };
        kill(pid(killed), Signal::SIGKILL).expect("it runs");
        ended(ready).await;
        ended(child).await;
        let tree = launcher.start(bash("exit 7")).await.expect("bash starts");
        assert_eq!(gone(&tree).await, Exit::Code(7));
        launcher.close_warm_shim().await;
        assert_eq!(descendants(std::process::id()), 0);
    }
}

#[tokio::test]
async fn a_program_that_a_warm_shim_cannot_start_is_reported() {
    let tracker = TaskTracker::new();
    let Some(launcher) = launcher_of_user(tracker.clone()) else {
        return;
    };
    let ready = ready_shim(&launcher).await;
    waiting_child(ready).await;
    let mut program = bash("");
    program.program = "/nonexistent/program".into();
    let error = launcher.start(program).await.expect_err("it is missing");
    assert!(matches!(error, StartError::Program { .. }), "{error:?}");
    // The task that waits for the shim's exit is done.
    tracker.close();
    tokio::time::timeout(TIMEOUT, tracker.wait())
        .await
        .expect("the shim ends");
    launcher.close_warm_shim().await;
    assert_eq!(descendants(std::process::id()), 0);
}
