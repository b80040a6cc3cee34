//! Variables, capabilities and limits that processes inherit from the server.

use hearth_test_support::process::{self, Process};
use hearth_test_support::{Site, TestServer};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::endless;

#[tokio::test]
async fn no_process_gets_to_see_the_servers_environment() {
    let builder = TestServer::builder()
        .setting("HEARTH_API_KEYS", "team:MARKER-key")
        .setting("MARKER_SECRET", "hush");
    let builder = builder
        .setting("HOME", "/MARKER-home")
        .setting("LANG", "MARKER-lang");
    let server = builder
        .setting("PATH", "/usr/local/bin:/usr/bin:/bin:/MARKER-path")
        .start()
        .await;
    let site = Site::start().await;
    let api = server.with_key("MARKER-key");
    let session = api.session().await;
    session.node("0").await.ok();
    session.python("0").await.ok();
    session.bash("agent-browser get url").await.ok();
    let code = endless(&site, "bash", "running");
    let looking = async {
        site.signalled("running").await;
        let read = assert_unmarked(&server.processes());
        session.delete().await;
        read
    };
    let (_, read) = tokio::join!(session.run("bash", &code), looking);
    assert!(read >= 10, "only {read} environments were readable");
    server.stop().await;
}

/// Asserts that no environment contains a marker and that those of shims are empty. Returns the
/// number of readable environments.
fn assert_unmarked(processes: &[Process]) -> usize {
    let shims = processes.iter().filter(|process| process.is_shim()).count();
    assert!(
        shims >= 5,
        "some processes have no shim:\n{}",
        process::describe(processes)
    );
    let mut read = 0;
    for process in processes {
        let Some(environment) = process.environment() else {
            continue;
        };
        let text = environment.join("\n");
        assert!(
            !text.contains("MARKER") && !text.contains("HEARTH_"),
            "the environment of {} contains a marker:\n{text}",
            process.command
        );
        assert!(
            !process.is_shim() || environment.is_empty(),
            "the environment of a shim is not empty:\n{text}"
        );
        read += 1;
    }
    read
}

/// Checks shims that supervise a process. Prewarmed shims have not dropped their rights yet.
#[tokio::test]
async fn a_supervising_shim_keeps_only_the_kill_capability() {
    const KILL: u64 = 1 << 5;
    let server = TestServer::start().await;
    let session = server.session().await;
    session.node("0").await.ok();
    session.bash("agent-browser get url").await.ok();
    let processes = server.processes();
    // A shim that waits for its program has a child already, which is a copy of it.
    let has_program = |shim: &Process| {
        let mut children = processes
            .iter()
            .filter(|process| process.parent == shim.pid);
        children.any(|process| !process.is_shim())
    };
    let shims: Vec<&Process> = processes
        .iter()
        .filter(|process| process.is_shim() && has_program(process))
        .collect();
    assert!(
        shims.len() >= 3,
        "some processes have no shim:\n{}",
        process::describe(&processes)
    );
    for shim in shims {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", shim.pid)).expect("it runs");
        for set in ["CapInh:", "CapPrm:", "CapEff:"] {
            let rights = status
                .lines()
                .find_map(|line| line.strip_prefix(set))
                .expect("every process has this line");
            let rights = u64::from_str_radix(rights.trim(), 16).expect("a number");
            assert_eq!(rights & !KILL, 0, "{set} is {rights:x} in\n{status}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn code_sees_none_of_the_servers_variables() {
    let builder = TestServer::builder()
        .setting("HEARTH_API_KEYS", "MARKER-key")
        .setting("MARKER_SECRET", "hush");
    let server = builder.start().await;
    let session = server.with_key("MARKER-key").session().await;
    let outputs = [
        session
            .node("JSON.stringify(process.env)")
            .await
            .ok()
            .result,
        session
            .python("import os; str(dict(os.environ))")
            .await
            .ok()
            .result,
        session
            .bash("env; tr '\\0' '\\n' </proc/self/environ")
            .await
            .ok()
            .result,
    ];
    for output in outputs {
        assert!(output.contains("PATH"), "{output}");
        assert!(
            !output.contains("MARKER") && !output.contains("HEARTH_"),
            "{output}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn the_server_raises_its_open_file_limit_and_code_gets_the_configured_one() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let given = 1024.min(hard - 1);
    // The server inherits the limit from this test.
    setrlimit(Resource::RLIMIT_NOFILE, given, hard).expect("lowering a limit is always allowed");
    let server = TestServer::builder()
        .setting("HEARTH_SESSION_OPEN_FILES", "777")
        .start()
        .await;
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("the hard limit is unchanged");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.serving_pid())).unwrap();
    let files: Vec<&str> = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(files[3..5], [hard.to_string(), hard.to_string()]);
    let session = server.session().await;
    assert_eq!(
        session.bash("ulimit -Sn; ulimit -Hn").await.ok().result,
        "777\n777"
    );
    server.stop().await;
}
