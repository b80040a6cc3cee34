//! Process and thread bombs. Each stops at a few thousand processes or threads, in case no limit
//! stops it.

use hearth_test_support::TestServer;

use crate::limits::scenario::Scenario;

const LIMIT: &str = "more than 200 processes";
const SETTING: &str = "HEARTH_SESSION_PROCESSES";

async fn bomb(language: &str, code: &str) {
    let scenario = Scenario::with(&[(SETTING, "200")]).await;
    let execution = scenario.run(language, code).await;
    scenario
        .assert_goes_on_after(execution, LIMIT, SETTING)
        .await;
    scenario.stop().await;
}

/// The kernel limits a user's descriptors in flight (`unix(7)`), and all sessions of an
/// unprivileged server have the same user.
#[tokio::test]
async fn unreceived_descriptors_do_not_break_another_sessions_browser_and_shell() {
    let server = TestServer::builder().as_plain_user().start().await;
    let (guilty, neighbour) = (server.session().await, server.session().await);
    let taking = "
import array, os, socket
file, kept, sent = os.open('/dev/null', os.O_RDONLY), [], 0
try:
    while sent < 20000:
        pair = socket.socketpair()
        kept.append(pair)
        pair[0].sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [file] * 200))])
        sent += 200
except OSError as error:
    print(error.errno)
sent > 4000";
    assert_eq!(guilty.python(taking).await.ok().result, "true");
    let page = "const tab = await context.newPage(); await tab.setContent('<title>well</title>'); await tab.title()";
    assert_eq!(neighbour.node(page).await.ok().result, "well");
    assert_eq!(
        neighbour.bash("agent-browser get title").await.ok().result,
        "well"
    );
    server.session().await.node("await page.title()").await.ok();
    server.stop().await;
}

#[tokio::test]
async fn more_processes_than_the_limit_end_the_code_that_started_them() {
    bomb("bash", "for number in {1..2000}; do sleep 20 & done; wait").await;
}

#[tokio::test]
async fn processes_that_start_processes_end_with_all_of_them() {
    // Eleven generations: each process forks and continues.
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
