//! Tests process trees that resist being killed. The shim is the built `hearth`, as in production.

#![expect(
    clippy::disallowed_methods,
    reason = "a test may start programs and read its environment, because it ends with its process"
)]

mod warm_shim;

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hearth_sandbox::{Exit, Launcher, ProcessTree, Program, StartError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_util::task::TaskTracker;

const TIMEOUT: Duration = Duration::from_secs(10);

fn launcher() -> Launcher {
    launcher_with(TaskTracker::new())
}

/// Returns a launcher whose trees each have one task in `tracker`.
fn launcher_with(tracker: TaskTracker) -> Launcher {
    let test = std::env::current_exe().expect("the test has a path");
    let shim = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("tests live in target/<profile>/deps")
        .join("hearth");
    assert!(
        shim.exists(),
        "{} is missing: cargo build --release -p hearth-server",
        shim.display()
    );
    Launcher::new(shim, tracker)
}

fn bash(script: &str) -> Program {
    Program {
        program: PathBuf::from("/bin/bash"),
        args: vec!["-c".into(), script.into()],
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: PathBuf::from("/"),
        fds: Vec::new(),
        deadline: None,
    }
}

/// Starts `script`. Returns its tree and a task that reads its output to the end.
async fn start(script: &str) -> (ProcessTree, tokio::task::JoinHandle<String>) {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut program = bash(script);
    program.fds.push((1, OwnedFd::from(writer)));
    let tree = launcher().start(program).await.expect("bash starts");
    let output = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("UTF-8");
        text
    });
    (tree, output)
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).expect("a small number"))
}

fn lives(pid: u32) -> bool {
    let Ok(mut stat) = File::open(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let mut text = String::new();
    stat.read_to_string(&mut text).is_ok() && !text.contains(") Z ")
}

/// Returns all processes with their parents.
fn parents() -> Vec<(u32, u32)> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let stats = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    let pairs = stats.filter_map(|stat| {
        let (head, tail) = stat.rsplit_once(')')?;
        let pid = head.split(' ').next()?.parse().ok()?;
        Some((pid, tail.split_ascii_whitespace().nth(1)?.parse().ok()?))
    });
    pairs.collect()
}

fn children(of: u32) -> Vec<u32> {
    parents()
        .into_iter()
        .filter(|&(_, parent)| parent == of)
        .map(|(pid, _)| pid)
        .collect()
}

/// Returns the number of processes below `root`.
fn descendants(root: u32) -> usize {
    let parents = parents();
    let mut below = vec![root];
    let mut next = 0;
    while let Some(&parent) = below.get(next) {
        below.extend(
            parents
                .iter()
                .filter(|&&(_, of)| of == parent)
                .map(|&(pid, _)| pid),
        );
        next += 1;
    }
    below.len() - 1
}

async fn gone(tree: &ProcessTree) -> Exit {
    tokio::time::timeout(TIMEOUT, tree.gone())
        .await
        .expect("the tree ends")
}

#[tokio::test]
async fn an_exit_code_and_the_output_come_back() {
    let (tree, output) = start("echo hello; exit 7").await;
    assert_eq!(gone(&tree).await, Exit::Code(7));
    assert_eq!(output.await.expect("read"), "hello\n");
}

#[tokio::test]
async fn a_signal_is_reported() {
    let (tree, _output) = start("kill -TERM $$; sleep 100").await;
    assert_eq!(gone(&tree).await, Exit::Signal(15));
}

#[tokio::test]
async fn a_missing_program_is_reported_as_one_error() {
    let mut program = bash("");
    program.program = PathBuf::from("/nonexistent/program");
    let error = launcher()
        .start(program)
        .await
        .expect_err("the program is missing");
    assert!(matches!(error, StartError::Program { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "cannot start /nonexistent/program: No such file or directory (os error 2)"
    );
}

#[tokio::test]
async fn descendants_end_with_the_program() {
    let script = "exec 5< <(setsid bash -c 'echo $$; exec sleep 1000'); read pid <&5; echo $pid; (setsid sleep 1001 &)";
    let (tree, output) = start(script).await;
    assert_eq!(gone(&tree).await, Exit::Code(0));
    let daemon: u32 = output
        .await
        .expect("the pipe closes")
        .trim()
        .parse()
        .expect("a pid");
    assert!(!lives(daemon));
}

#[tokio::test]
async fn stopped_and_double_forked_processes_are_killed() {
    let script = "(setsid bash -c 'echo $$; kill -STOP $$' &) ; echo $$; kill -STOP $$";
    let (tree, output) = start(script).await;
    tree.kill();
    gone(&tree).await;
    for pid in output.await.expect("the pipe closes").split_whitespace() {
        assert!(!lives(pid.parse().expect("a pid")));
    }
}

/// Such a process looks like a zombie in the process table, but runs.
#[tokio::test]
async fn a_process_whose_first_thread_has_ended_is_killed() {
    let python = "import ctypes, os, threading, time\n\
                  threading.Thread(target=time.sleep, args=(1000,)).start()\n\
                  print(os.getpid(), flush=True)\n\
                  ctypes.CDLL(None).syscall(ctypes.c_long(60 if os.uname().machine == 'x86_64' else 93), 0)";
    let script = format!("exec 5< <(setsid python3 -c \"{python}\"); read pid <&5; echo $pid");
    let (tree, output) = start(&script).await;
    assert_eq!(gone(&tree).await, Exit::Code(0));
    let daemon: u32 = output
        .await
        .expect("the pipe closes")
        .trim()
        .parse()
        .expect("a pid");
    assert!(!std::path::Path::new(&format!("/proc/{daemon}")).exists());
}

#[tokio::test]
async fn a_fork_bomb_is_killed() {
    // Eight generations of two processes each. The last one starts processes until it is killed.
    let script = "f() { [ $1 -gt 0 ] || while :; do sleep 0.01 & wait; done; f $(($1-1)) & f $(($1-1)) & wait; }; f 7";
    let (tree, output) = start(script).await;
    let program = tree.program_pid();
    let started = Instant::now();
    while descendants(program) < 200 {
        assert!(started.elapsed() < TIMEOUT, "the fork bomb does not grow");
        tokio::task::yield_now().await;
    }
    tree.kill();
    gone(&tree).await;
    tokio::time::timeout(TIMEOUT, output)
        .await
        .expect("no process holds the pipe")
        .expect("read");
}

#[tokio::test]
async fn the_shim_enforces_the_deadline() {
    let mut program = bash("trap '' TERM INT HUP; while :; do :; done");
    program.deadline = Some(Duration::from_millis(300));
    let tree = launcher().start(program).await.expect("bash starts");
    assert_eq!(gone(&tree).await, Exit::Signal(9));
}

#[tokio::test]
async fn a_stopped_shim_is_resumed_to_kill() {
    let (tree, _output) = start("sleep 1000").await;
    let shim = Pid::from_raw(i32::try_from(tree.shim_pid()).expect("a pid"));
    kill(shim, Signal::SIGSTOP).expect("the shim is our child");
    tree.kill();
    gone(&tree).await;
    assert!(!lives(tree.program_pid()));
}

#[tokio::test]
async fn a_killed_shim_takes_the_program_with_it() {
    let (tree, output) = start("exec sleep 1000").await;
    let shim = Pid::from_raw(i32::try_from(tree.shim_pid()).expect("a pid"));
    kill(shim, Signal::SIGKILL).expect("the shim is our child");
    assert_eq!(gone(&tree).await, Exit::Lost);
    tokio::time::timeout(TIMEOUT, output)
        .await
        .expect("the pipe closes with the program")
        .expect("read");
}

#[tokio::test]
async fn a_dropped_tree_is_killed() {
    let tracker = TaskTracker::new();
    let tree = launcher_with(tracker.clone())
        .start(bash("sleep 1000"))
        .await
        .expect("bash starts");
    let pid = tree.program_pid();
    drop(tree);
    tracker.close();
    tokio::time::timeout(TIMEOUT, tracker.wait())
        .await
        .expect("the owner task ends");
    assert!(!lives(pid));
}

#[tokio::test]
async fn the_environment_is_the_given_one_for_the_program_and_empty_for_the_shim() {
    let (tree, output) =
        start("env; cat /proc/$PPID/environ | wc -c; ls /proc/self/fd | wc -l").await;
    gone(&tree).await;
    let output = output.await.expect("read");
    let mut lines: Vec<&str> = output
        .lines()
        .filter(|line| !line.starts_with("_="))
        .collect();
    lines.sort_unstable();
    // ls has 0, 1, 2 and the directory that it reads.
    assert_eq!(lines, ["0", "4", "PATH=/usr/bin:/bin", "PWD=/", "SHLVL=1"]);
}

#[tokio::test]
async fn given_descriptors_arrive_at_their_numbers() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut program = bash("echo three >&3; echo five >&5");
    program
        .fds
        .push((3, OwnedFd::from(writer.try_clone().expect("a duplicate"))));
    program.fds.push((5, OwnedFd::from(writer)));
    let tree = launcher().start(program).await.expect("bash starts");
    assert_eq!(gone(&tree).await, Exit::Code(0));
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("UTF-8");
    assert_eq!(text, "three\nfive\n");
}

fn read_proc(pid: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).expect("the process exists")
}

/// Polls, because the process table sends no notifications.
fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "the shim does not get ready");
        std::thread::yield_now();
    }
}
