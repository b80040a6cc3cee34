//! Names whose server never answers.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hearth_test_support::{Site, TestServer, eventually, netns};
use nix::mount::{MsFlags, mount};
use serde_json::json;

use super::watch::{Idle, Watch, threads};

const TEST: &str = "bounded::dns::lookups_that_hang_delay_no_other_session";

/// The number of attacking sessions. They have more lookups at once than the server has threads for
/// those that sessions share.
const SESSIONS: u64 = 18;

/// Looks up six names at a time for 20 s.
const LOOK_UP: &str = "end=$((SECONDS + 20))
while [ $SECONDS -lt $end ]; do
    for number in 1 2 3 4 5 6; do curl -s -m 15 \"http://$RANDOM$number.silent.test/\" >/dev/null & done
    wait
done";

/// Replaces a file of the machine, inside the test's namespaces.
fn replace(path: &str, content: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), content).expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(file.path(), mode).expect("the test owns it");
    let none = None::<&str>;
    mount(Some(file.path()), path, none, MsFlags::MS_BIND, none).expect("root can mount");
    file
}

async fn time_of_creation(server: &TestServer) -> Duration {
    let start = Instant::now();
    let session = server.session().await;
    let time = start.elapsed();
    session.delete().await;
    time
}

#[tokio::test]
async fn lookups_that_hang_delay_no_other_session() {
    if !netns::is_possible() {
        eprintln!("{TEST} is skipped: only root can create namespaces");
        return;
    }
    if !netns::enter(TEST, Duration::from_secs(150)).await {
        return;
    }
    let silent = UdpSocket::bind("127.0.0.1:53").expect("the address is free inside");
    let _files = [
        replace("/etc/resolv.conf", "nameserver 127.0.0.1\n"),
        replace("/etc/hosts", "127.0.0.1 localhost quick.test\n"),
    ];
    let site = Site::start().await;
    let server = TestServer::builder()
        .setting("HEARTH_MAX_SESSIONS", "32")
        .setting("HEARTH_EGRESS_ALLOW", "quick.test:*")
        .start()
        .await;
    let other = server.session().await;
    let url = site.url("/title/quick").replace("127.0.0.1", "quick.test");
    let look_up = format!("curl -s -m 5 {url}");
    assert!(other.bash(&look_up).await.ok().result.contains("quick"));
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(server.session().await);
    }
    let mut idle = time_of_creation(&server).await;
    for _ in 0..2 {
        idle = idle.max(time_of_creation(&server).await);
    }
    let pid = server.serving_pid();
    let watch = Watch::start(&server, Idle::of(&server).await);
    let before = threads(pid);
    let body = json!({"language": "bash", "code": LOOK_UP, "timeout": 60});
    let attack = tokio::spawn(async move {
        join_all(sessions.iter().map(|session| session.execute(&body))).await
    });
    eventually(
        Duration::from_secs(15),
        "lookups hang",
        async || match threads(pid) {
            now if now >= before + SESSIONS => Ok(()),
            now => Err(format!("{now} threads, {before} before")),
        },
    )
    .await;
    for _ in 0..3 {
        assert!(other.bash(&look_up).await.ok().result.contains("quick"));
    }
    let mut best = time_of_creation(&server).await;
    for _ in 0..2 {
        best = best.min(time_of_creation(&server).await);
    }
    assert!(
        best < idle * 2 + Duration::from_secs(1),
        "{best:?}, {idle:?} before"
    );
    let peaks = watch.finish(&server).await;
    // One lookup of each session, 32 shared ones, and the threads of other work.
    assert!(
        peaks.more_threads < SESSIONS + 32 + 32,
        "{before} before, {peaks:?}"
    );
    silent.set_nonblocking(true).expect("a socket");
    silent
        .recv(&mut [0; 512])
        .expect("the name server was asked");
    server.stop().await;
    attack.await.expect("no panic");
}
