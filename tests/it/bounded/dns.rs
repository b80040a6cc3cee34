//! Names whose server never answers.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hearth_test_support::{Reply, Session, Site, TestServer, eventually, netns};
use nix::mount::{MsFlags, mount};
use serde_json::json;
use tokio::task::JoinHandle;

use super::scenario::without_limits;

/// The number of attacking sessions. They have more lookups at once than the server has threads for
/// those that sessions share.
const SESSIONS: u64 = 18;

/// The maximum number of lookups of all attacking sessions and another one: one of each, and those
/// that they share.
const MAX_LOOKUPS: u64 = SESSIONS + 1 + 32;

/// The number of times that the other session is created during the attack, if it takes long.
/// Other work on the machine can delay some.
const CREATIONS: usize = 6;

/// Looks up six names at a time until the server stops.
const LOOK_UP: &str = "while true; do
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

/// Returns the number of threads for lookups. One more belongs to their runtime.
fn lookups(pid: i32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let threads = names.filter(|name| name.trim_end() == "dns").count() as u64;
    threads.saturating_sub(1)
}

async fn time_of_creation(server: &TestServer) -> Duration {
    let start = Instant::now();
    let session = server.session().await;
    let time = start.elapsed();
    session.delete().await;
    time
}

/// The other session and the others whose lookups hang.
struct Attack {
    server: TestServer,
    other: Session,
    /// Looks up a name that has an address.
    look_up: String,
    /// The time of a creation before the attack.
    idle: Duration,
    executions: JoinHandle<Vec<Reply>>,
    silent: UdpSocket,
    _site: Site,
    _files: [tempfile::NamedTempFile; 2],
}

impl Attack {
    async fn start(has_limits: bool) -> Attack {
        let silent = UdpSocket::bind("127.0.0.1:53").expect("the address is free inside");
        let files = [
            replace("/etc/resolv.conf", "nameserver 127.0.0.1\n"),
            replace("/etc/hosts", "127.0.0.1 localhost quick.test\n"),
        ];
        let site = Site::start().await;
        let builder = TestServer::builder()
            .setting("HEARTH_MAX_SESSIONS", "32")
            .setting("HEARTH_EGRESS_ALLOW", "quick.test:*");
        let builder = if has_limits {
            builder
        } else {
            without_limits(builder)
        };
        let server = builder.start().await;
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
        let body = json!({"language": "bash", "code": LOOK_UP, "timeout": 120});
        let executions = tokio::spawn(async move {
            join_all(sessions.iter().map(|session| session.execute(&body))).await
        });
        Attack {
            server,
            other,
            look_up,
            idle,
            executions,
            silent,
            _site: site,
            _files: files,
        }
    }

    /// Waits until this many lookups hang.
    async fn hang(&self, min: u64) {
        let pid = self.server.serving_pid();
        eventually(
            Duration::from_secs(30),
            "lookups hang",
            async || match lookups(pid) {
                now if now >= min => Ok(()),
                now => Err(format!("{now} of {min} lookups")),
            },
        )
        .await;
    }

    async fn end(self) {
        self.silent.set_nonblocking(true).expect("a socket");
        self.silent
            .recv(&mut [0; 512])
            .expect("the name server was asked");
        self.server.stop().await;
        self.executions.await.expect("no panic");
    }
}

/// Returns true in a process that has its own network, in which the test `name` runs.
async fn is_inside(name: &str) -> bool {
    if !netns::is_possible() {
        eprintln!("{name} is skipped: only root can create namespaces");
        return false;
    }
    netns::enter(name, Duration::from_secs(170)).await
}

#[tokio::test]
async fn lookups_that_hang_delay_no_other_session() {
    if !is_inside("bounded::dns::lookups_that_hang_delay_no_other_session").await {
        return;
    }
    let attack = Attack::start(true).await;
    // Each session has at least one.
    attack.hang(SESSIONS).await;
    for _ in 0..3 {
        let found = attack.other.bash(&attack.look_up).await.ok();
        assert!(found.result.contains("quick"));
    }
    let max = attack.idle * 2 + Duration::from_secs(1);
    let mut times = BTreeSet::new();
    while times.first().is_none_or(|best| *best >= max) && times.len() < CREATIONS {
        times.insert(time_of_creation(&attack.server).await);
    }
    assert!(
        times.first().is_some_and(|best| *best < max),
        "{times:?}, {:?} before",
        attack.idle
    );
    // Threads that are no longer needed wait ten seconds for other lookups, so none are missed.
    let now = lookups(attack.server.serving_pid());
    assert!(now <= MAX_LOOKUPS, "{now} lookups");
    attack.end().await;
}

#[tokio::test]
#[ignore = "needs the whole machine for a minute; for make soak"]
async fn without_limits_lookups_that_hang_fill_the_server_with_threads() {
    let name = "bounded::dns::without_limits_lookups_that_hang_fill_the_server_with_threads";
    if !is_inside(name).await {
        return;
    }
    let attack = Attack::start(false).await;
    attack.hang(MAX_LOOKUPS + 20).await;
    attack.end().await;
}
