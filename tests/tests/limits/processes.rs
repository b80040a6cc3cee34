//! Bombs of processes and threads. They stop by themselves at a few thousand, in case that nothing else stops them.

use crate::stage::Stage;

const LIMIT: &str = "more than 200 processes";
const SETTING: &str = "HEARTH_SESSION_PROCESSES";

async fn bomb(language: &str, code: &str) {
    let stage = Stage::with(&[(SETTING, "200")]).await;
    let execution = stage.run(language, code).await;
    stage.assert_goes_on_after(execution, LIMIT, SETTING).await;
    stage.stop().await;
}

#[tokio::test]
async fn more_processes_than_the_limit_end_the_code_that_started_them() {
    bomb("bash", "for number in {1..2000}; do sleep 20 & done; wait").await;
}

#[tokio::test]
async fn processes_that_start_processes_end_with_all_of_them() {
    // Eleven generations: each process starts another one and goes on itself.
    let code = "import os, time
for generation in range(11):
    os.fork()
time.sleep(20)";
    bomb("python", code).await;
}

#[tokio::test]
async fn more_threads_than_the_limit_end_the_code_that_started_them() {
    let code = "import threading, time
for number in range(2000):
    threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
time.sleep(20)";
    bomb("python", code).await;
}

#[tokio::test]
async fn zombies_count_too() {
    let code = "import os, time
for number in range(2000):
    if os.fork() == 0:
        os._exit(0)
time.sleep(20)";
    bomb("python", code).await;
}
