//! Memory bombs: every kind of memory that is not backed by a file on disk.

use crate::limits::scenario::{Scenario, assert_ended_by};

const LIMIT: &str = "more than 400 MiB of memory";
const SETTING: &str = "HEARTH_SESSION_MEMORY_MB";

/// The end of a Python program: writes to every page of `memory` and then stays alive.
const FILL: &str = "
import time
for at in range(0, len(memory), 4096):
    memory[at] = 1
time.sleep(20)";

async fn scenario() -> Scenario {
    Scenario::with(&[(SETTING, "400")]).await
}

async fn bomb(taking: &str) {
    let scenario = scenario().await;
    let execution = scenario.run("python", &format!("{taking}{FILL}")).await;
    scenario
        .assert_goes_on_after(execution, LIMIT, SETTING)
        .await;
    scenario.stop().await;
}

#[tokio::test]
async fn private_memory_above_the_limit_ends_the_code_that_took_it() {
    bomb("memory = bytearray(1200 << 20)").await;
}

#[tokio::test]
async fn shared_memory_above_the_limit_ends_the_code_that_took_it() {
    bomb("import mmap; memory = mmap.mmap(-1, 1200 << 20)").await;
}

#[tokio::test]
async fn a_mapped_memory_file_above_the_limit_ends_the_code_that_took_it() {
    let taking = "import mmap, os; fd = os.memfd_create('x'); os.ftruncate(fd, 1200 << 20); memory = mmap.mmap(fd, 0)";
    bomb(taking).await;
}

#[tokio::test]
async fn memory_of_many_processes_counts_together() {
    let scenario = scenario().await;
    let code = "pids=(); for part in 1 2 3 4 5 6 7 8; do python3 -c 'import time; b = bytearray(100 << 20); b[::4096] = \
                b\"x\" * (len(b) // 4096); time.sleep(20)' & done; wait";
    let execution = scenario.run("bash", code).await;
    scenario
        .assert_goes_on_after(execution, LIMIT, SETTING)
        .await;
    scenario.stop().await;
}

/// A program whose first thread has ended looks like a zombie, which uses no memory.
#[tokio::test]
async fn memory_of_a_program_whose_first_thread_has_ended_counts() {
    let scenario = scenario().await;
    let code = "python3 -c \"import ctypes, os, threading, time
def fill():
    memory = bytearray(1200 << 20)
    memory[::4096] = b'x' * (len(memory) // 4096)
    time.sleep(20)
threading.Thread(target=fill).start()
ctypes.CDLL(None).syscall(ctypes.c_long(60 if os.uname().machine == 'x86_64' else 93), 0)\"; echo over";
    let execution = scenario.run("bash", code).await;
    scenario
        .assert_goes_on_after(execution, LIMIT, SETTING)
        .await;
    scenario.stop().await;
}

#[tokio::test]
async fn memory_shared_by_forked_processes_counts_once() {
    let scenario = scenario().await;
    let code = "
import os, time
memory = bytearray(150 << 20)
memory[::4096] = b'x' * (len(memory) // 4096)
pids = []
for part in range(8):
    pid = os.fork()
    if pid == 0:
        time.sleep(3)
        os._exit(0)
    pids.append(pid)
[os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]";
    let execution = scenario.run("python", code).await.ok();
    assert_eq!(
        execution.json(),
        serde_json::json!([0, 0, 0, 0, 0, 0, 0, 0])
    );
    scenario.stop().await;
}

#[tokio::test]
async fn memory_above_the_limit_in_a_page_ends_the_session() {
    let scenario = scenario().await;
    let code = "await page.evaluate(async () => {
        window.held = [];
        for (let part = 0; part < 40; part++) {
            window.held.push(new Uint8Array(32 << 20).fill(1));
            await new Promise(next => setTimeout(next, 10));
        }
        await new Promise(() => {});
    })";
    let execution = scenario.run("node", code).await;
    assert_ended_by(&execution, LIMIT, SETTING);
    scenario.assert_session_ended(LIMIT).await;
    scenario.stop().await;
}

#[tokio::test]
async fn a_kernel_that_grows_between_calls_ends_alone() {
    let scenario = scenario().await;
    scenario
        .guilty
        .node("globalThis.held = []; globalThis.word = 'old'; 1")
        .await
        .ok();
    let code =
        "setInterval(() => { if (held.length < 40) held.push(Buffer.alloc(32 << 20, 1)); }, 20); 1";
    scenario.run("node", code).await.ok();
    hearth_test_support::eventually(
        std::time::Duration::from_secs(10),
        "the kernel is gone",
        || async {
            let log = scenario.server.output();
            if log.contains("limit exceeded") {
                Ok(())
            } else {
                Err(log)
            }
        },
    )
    .await;
    assert_eq!(
        scenario
            .guilty
            .node("typeof globalThis.word")
            .await
            .ok()
            .result,
        "undefined"
    );
    scenario.stop().await;
}

#[tokio::test]
async fn memory_files_count_even_if_they_are_not_mapped() {
    let scenario = scenario().await;
    let code = "import os, time
fd = os.memfd_create('x')
for part in range(120):
    os.write(fd, bytes(10 << 20))
time.sleep(20)";
    let execution = scenario.run("python", code).await;
    scenario
        .assert_goes_on_after(execution, LIMIT, SETTING)
        .await;
    scenario.stop().await;
}
