//! The time until all other nodes report that a node was lost. The node that is lost has its own
//! network namespace, so that its network can be cut without a word.

use std::fmt;
use std::fs::Permissions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hearth_test_support::{Session, TestCluster, binary, eventually, netns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The losses of each kind.
const ROUNDS: usize = 10;

/// The time in which all other nodes report a lost session.
const BOUND: Duration = Duration::from_secs(10);

/// The time after which the test gives up.
const DEADLINE: Duration = Duration::from_mins(1);

/// The network between the node that is lost and the others: their ends of the cable.
const NEAR: &str = "10.77.0.1";
const FAR: &str = "10.77.0.2";

/// A way to lose a node.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Killed,
    Stopped,
    Unplugged,
}

/// A network namespace that a cable connects to this one. It ends when it is dropped.
struct Far {
    holder: Child,
    dir: TempDir,
}

impl Far {
    async fn new() -> Far {
        let holder = Command::new("/usr/bin/unshare")
            .args(["--net", "/bin/sleep", "infinity"])
            .stdin(Stdio::null())
            .spawn()
            .expect("util-linux is installed");
        let net = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net"));
        let pid = holder.id().to_string();
        let own = net("self").expect("a process has namespaces");
        eventually(DEADLINE, "the namespace exists", || async {
            match net(&pid) {
                Ok(found) if found != own => Ok(()),
                found => Err(format!("{found:?}")),
            }
        })
        .await;
        let dir = tempfile::tempdir().expect("the dir is writable");
        let far = Far { holder, dir };
        run(
            "ip",
            &[
                "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", &pid,
            ],
        );
        run(
            "ip",
            &["address", "add", &format!("{NEAR}/24"), "dev", "near"],
        );
        run("ip", &["link", "set", "near", "up"]);
        far.run(&["address", "add", &format!("{FAR}/24"), "dev", "far"]);
        far.run(&["link", "set", "lo", "up"]);
        far.run(&["link", "set", "far", "up"]);
        far
    }

    fn namespace(&self) -> String {
        format!("--net=/proc/{}/ns/net", self.holder.id())
    }

    /// Runs `ip` inside.
    fn run(&self, arguments: &[&str]) {
        let namespace = self.namespace();
        let mut inside = vec![namespace.as_str(), "ip"];
        inside.extend(arguments);
        run("nsenter", &inside);
    }

    /// Returns a program that runs the server inside.
    fn binary(&self) -> PathBuf {
        let path = self.dir.path().join("hearth");
        let mut file = std::fs::File::create(&path).expect("the dir is writable");
        let (namespace, server) = (self.namespace(), binary());
        let server = server.display();
        write!(
            file,
            "#!/bin/sh\nexec nsenter {namespace} -- {server} \"$@\"\n"
        )
        .expect("written");
        file.set_permissions(Permissions::from_mode(0o755))
            .expect("changed");
        path
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect("iproute2 is installed");
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
}

/// Passes connections of the far node on to a service on loopback. Returns its own address, and
/// where to send that of the service.
async fn relay() -> (SocketAddr, watch::Sender<Option<SocketAddr>>) {
    let listener = TcpListener::bind((NEAR, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (sender, target) = watch::channel(None);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.expect("it listens");
            let mut target = target.clone();
            tokio::spawn(async move {
                let Ok(target) = target.wait_for(Option::is_some).await.map(|found| *found) else {
                    return;
                };
                if let Ok(mut server) = TcpStream::connect(target.expect("just waited")).await {
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    (address, sender)
}

/// Starts three nodes, of which only node 1 creates sessions. It is behind the cable.
async fn cluster_with(far: &Far) -> TestCluster {
    let (near_database, database) = relay().await;
    let binary = far.binary();
    TestCluster::start_with(3, move |number, node| {
        if number != 1 {
            return node
                .setting("HEARTH_MAX_SESSIONS", "0")
                .setting("HEARTH_PEER_LISTEN", &format!("{NEAR}:0"));
        }
        let url = node
            .value("HEARTH_DATABASE_URL")
            .expect("every node has one");
        let (user, rest) = url.split_once('@').expect("a user");
        let (address, name) = rest.split_once('/').expect("a database");
        database.send_replace(Some(address.parse().expect("an address")));
        let url = format!("{user}@{near_database}/{name}?sslmode=disable");
        node.binary(&binary)
            .setting("HEARTH_DATABASE_URL", &url)
            .setting("HEARTH_LISTEN", &format!("{FAR}:0"))
            .setting("HEARTH_PEER_LISTEN", &format!("{FAR}:0"))
    })
    .await
}

/// Waits until a node reports that a session was lost. Returns the time since `began`.
async fn reported(
    cluster: &TestCluster,
    number: usize,
    session: &Session,
    began: Instant,
) -> Duration {
    let api = cluster.api(number);
    eventually(DEADLINE, "the session is lost", || async {
        let reply = api.execute(session.id(), &json!({"code": "1"})).await;
        match reply.status {
            410 => Ok(()),
            // A stopped process may have received the request.
            200 if reply.body["exitCode"] == 137 => Err(reply.text),
            503 => Err(reply.text),
            status => panic!("{status}: {}", reply.text),
        }
    })
    .await;
    let elapsed = began.elapsed();
    let status = api.status(session.id()).await.ok();
    assert_eq!(status["destroyedReason"], "node_lost", "{status}");
    elapsed
}

/// Loses node 1, and returns the time until the other two have reported it. Then it is back.
async fn lose(cluster: &mut TestCluster, far: &Far, loss: Loss) -> Duration {
    let session = cluster.api(0).session().await;
    let pids = [cluster.node(1).serving_pid(), cluster.node(1).pid()];
    let signal = |signal| {
        for pid in pids {
            kill(Pid::from_raw(pid), signal).expect("the process exists");
        }
    };
    let began = Instant::now();
    let mut killed = None;
    match loss {
        Loss::Killed => {
            let mut node = cluster.take(1);
            node.kill_hard().await;
            killed = Some(node);
        }
        Loss::Stopped => signal(Signal::SIGSTOP),
        Loss::Unplugged => far.run(&["link", "set", "far", "down"]),
    }
    let nodes = &*cluster;
    let reports = [0, 2].map(|number| reported(nodes, number, &session, began));
    let slowest = join_all(reports).await.into_iter().max();
    match loss {
        Loss::Killed => {
            let mut node = killed.expect("it was killed");
            node.assert_nothing_runs(DEADLINE).await;
            cluster.start_node(1).await;
        }
        Loss::Stopped => signal(Signal::SIGCONT),
        Loss::Unplugged => far.run(&["link", "set", "far", "up"]),
    }
    eventually(DEADLINE, "nothing of the session is left", || async {
        let dirs = cluster.node(1).session_dirs();
        dirs.is_empty().then_some(()).ok_or(format!("{dirs:?}"))
    })
    .await;
    cluster.wait_for_nodes(3).await;
    slowest.expect("two nodes")
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Loss::Killed => "SIGKILL",
            Loss::Stopped => "SIGSTOP",
            Loss::Unplugged => "network lost",
        })
    }
}

#[tokio::test]
#[ignore = "takes minutes: make soak"]
async fn every_other_node_reports_a_lost_node_within_ten_seconds() {
    let name = "soak::node_lost::every_other_node_reports_a_lost_node_within_ten_seconds";
    if !netns::is_possible() {
        eprintln!("skipped: needs root for network namespaces");
        return;
    }
    if !netns::enter(name, Duration::from_mins(19)).await {
        return;
    }
    let far = Far::new().await;
    let mut cluster = cluster_with(&far).await;
    let mut summary = Vec::new();
    for loss in [Loss::Killed, Loss::Stopped, Loss::Unplugged] {
        let mut times = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let time = lose(&mut cluster, &far, loss).await;
            eprintln!("{loss}: {:.1} s", time.as_secs_f64());
            times.push(time);
        }
        times.sort_unstable();
        let (median, max) = (times[ROUNDS / 2], times[ROUNDS - 1]);
        summary.push(format!(
            "{loss}: median {median:.1?}, max {max:.1?} of {ROUNDS}"
        ));
        assert!(max < BOUND, "{loss}: {times:?}");
    }
    cluster.stop().await;
    eprintln!("{}", summary.join("\n"));
}
