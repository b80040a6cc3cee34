//! Tests of the membership, with a database and the threads of several nodes.

use std::sync::Arc;
use std::time::Duration;

use hearth_peer::Fingerprint;
use hearth_test_support::TestPostgres;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use crate::cluster::{
    Cluster, JoinSpec, Moment, NodeLoad, NodeState, Owner, PeerVerdict, Standing,
};
use crate::config::{ClusterSecrets, DatabaseUrl};
use crate::metrics::Metrics;
use crate::store::cluster::{ClusterSessions, MemberConnection};
use crate::store::{Store, StorePlace};

const DEADLINE: Duration = Duration::from_mins(1);

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A database and the nodes that share it.
struct Fixture {
    server: TestPostgres,
    tracker: TaskTracker,
}

impl Fixture {
    async fn start() -> Fixture {
        Fixture {
            server: TestPostgres::start().await,
            tracker: TaskTracker::new(),
        }
    }

    async fn store(&self, node: &str) -> Store {
        let url = DatabaseUrl::parse(&self.server.url()).expect("valid");
        let place = StorePlace::Database { url: &url, node };
        Store::open(place).await.expect("opened").0
    }

    async fn join(&self, name: &str, secret: &str) -> Arc<Cluster> {
        let store = self.store(name).await;
        let spec = JoinSpec {
            name: name.to_owned(),
            address: ([127, 0, 0, 1], 3011).into(),
            fingerprint: Fingerprint::from([1; 32]),
            secrets: ClusterSecrets::parse(secret).expect("valid"),
            max_sessions: 4,
        };
        let pool = store.postgres().expect("a database").clone();
        let sessions = ClusterSessions::new(pool);
        let metrics = Arc::new(Metrics::new("none"));
        let cluster = Cluster::join(spec, sessions, metrics, &self.tracker).expect("a thread");
        timeout(DEADLINE, cluster.registered())
            .await
            .expect("registered");
        cluster
    }

    /// Ends all nodes and waits for their threads.
    async fn end(self, nodes: &[&Arc<Cluster>]) {
        for node in nodes {
            node.leave();
        }
        self.tracker.close();
        timeout(DEADLINE, self.tracker.wait())
            .await
            .expect("all threads end");
    }
}

/// Reports the load of a node until `condition` is true.
async fn report_until(nodes: &[&Arc<Cluster>], what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        for node in nodes {
            node.report(NodeLoad {
                sessions: 1,
                max_sessions: 4,
                ready: true,
            });
        }
        let mut views = nodes[0].watch_view();
        views.mark_unchanged();
        let _ = timeout(Duration::from_millis(500), views.changed()).await;
    }
}

fn names(cluster: &Cluster) -> Vec<String> {
    let view = cluster.view();
    view.nodes
        .iter()
        .map(|node| node.life.name.clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_see_each_other_and_know_the_owner_of_an_id() {
    let fixture = Fixture::start().await;
    let (one, two) = tokio::join!(fixture.join("one", SECRET), fixture.join("two", SECRET));
    let both = [&one, &two];
    report_until(&both, "both see both", || {
        both.iter().all(|node| names(node) == ["one", "two"])
    })
    .await;
    let (id, life) = two
        .new_session_id()
        .expect("it has its lease")
        .expect("random numbers");
    assert_eq!(two.owner(id), Owner::Local);
    let Owner::Remote(node) = one.owner(id) else {
        panic!("another node has it");
    };
    assert_eq!((&node.life, node.state), (&life, NodeState::Up));
    assert_eq!(one.view().max_sessions(), 8);
    // A node that drains stays alive for the others.
    two.drain();
    report_until(&both, "one sees that two drains", || {
        one.view().count(NodeState::Draining) == 1
    })
    .await;
    assert!(matches!(one.owner(id), Owner::Remote(_)));
    // A node that leaves is gone.
    two.leave();
    report_until(&[&one], "one sees that two has left", || {
        names(&one) == ["one"]
    })
    .await;
    assert_eq!(one.owner(id), Owner::Unknown);
    fixture.end(&[&one]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_responding_is_declared_dead_and_comes_back_with_a_new_life() {
    let fixture = Fixture::start().await;
    let (one, two) = tokio::join!(fixture.join("one", SECRET), fixture.join("two", SECRET));
    report_until(&[&one, &two], "one sees both", || names(&one).len() == 2).await;
    let (id, life) = two
        .new_session_id()
        .expect("it has its lease")
        .expect("random numbers");
    // Two does not report its load any more, so it does not beat.
    report_until(&[&one], "one declares two dead", || names(&one) == ["one"]).await;
    assert_eq!(one.owner(id), Owner::Unknown);
    assert_eq!(one.verdict_on(&life).await, PeerVerdict::Fenced);
    // Two responds again, and finds that its lease is lost.
    report_until(&[&one, &two], "two is fenced", || {
        two.standing() == Standing::Fenced
    })
    .await;
    assert_eq!(two.current(), None);
    assert!(two.new_session_id().is_none());
    two.cleared();
    report_until(&[&one, &two], "two registers again", || {
        two.current().is_some()
    })
    .await;
    let again = two.current().expect("registered").life;
    assert!(again.epoch > life.epoch);
    assert!(!two.is_current(&life));
    report_until(&[&one, &two], "one sees both again", || {
        names(&one).len() == 2
    })
    .await;
    fixture.end(&[&one, &two]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_outlives_the_database_while_a_peer_answers() {
    let mut fixture = Fixture::start().await;
    let (one, two) = tokio::join!(fixture.join("one", SECRET), fixture.join("two", SECRET));
    let both = [&one, &two];
    report_until(&both, "both see both", || {
        both.iter().all(|node| names(node).len() == 2)
    })
    .await;
    let lives = [&one, &two].map(|node| node.current().expect("registered").life);
    fixture.server.stop();
    timeout(DEADLINE, one.verdict_wanted())
        .await
        .expect("the beat fails");
    assert_eq!(two.verdict_on(&lives[0]).await, PeerVerdict::StoreAway);
    // Peers vouch for both, beyond the time of a beat.
    let began = Moment::now();
    report_until(&both, "time passes", || {
        let asked = Moment::now();
        one.hear(&lives[0], PeerVerdict::StoreAway, asked);
        two.hear(&lives[1], PeerVerdict::Alive, asked);
        asked.since(began) > Duration::from_secs(12)
    })
    .await;
    assert_eq!(one.settle().await, Standing::Alive);
    fixture.server.restart().await;
    report_until(&both, "beats continue", || {
        let age = |node: &&Arc<Cluster>| node.counts().beat_age_seconds;
        both.iter().all(|node| age(node) < 3)
    })
    .await;
    let now = [&one, &two].map(|node| node.current().expect("registered").life);
    assert_eq!(now, lives, "nobody has lost a lease");
    fixture.end(&[&one, &two]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_of_a_peer_fences_a_node_at_once() {
    let fixture = Fixture::start().await;
    let one = fixture.join("one", SECRET).await;
    let life = one.current().expect("registered").life;
    let mut other = life.clone();
    other.epoch += 1;
    one.hear(&other, PeerVerdict::Fenced, Moment::now());
    assert_eq!(one.standing(), Standing::Alive, "another life");
    one.hear(&life, PeerVerdict::Fenced, Moment::now());
    assert_eq!(one.standing(), Standing::Fenced);
    one.cleared();
    report_until(&[&one], "it registers again", || one.current().is_some()).await;
    assert!(one.current().expect("registered").life.epoch > life.epoch);
    fixture.end(&[&one]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_the_database_has_forgotten_keeps_its_number_and_its_lease() {
    let fixture = Fixture::start().await;
    let other = fixture.join("other", SECRET).await;
    let one = fixture.join("one", SECRET).await;
    let before = one.current().expect("registered");
    let both = [&one, &other];
    fixture.server.query("postgres", "TRUNCATE nodes");
    report_until(&both, "both register again", || {
        both.iter().all(|node| names(node).len() == 2)
            && one.current().is_some_and(|now| now.life != before.life)
    })
    .await;
    let after = one.current().expect("registered");
    assert!(after.life.epoch > before.life.epoch);
    assert_eq!(after.number, before.number);
    assert_eq!(one.standing(), Standing::Alive);
    fixture.end(&[&one, &other]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_the_secret_is_no_peer() {
    let fixture = Fixture::start().await;
    let one = fixture.join("one", SECRET).await;
    let stranger = fixture.join("stranger", &SECRET.replace('0', "1")).await;
    let store = fixture.store("reader").await;
    let mut reader = MemberConnection::new(store.postgres().expect("a database"));
    let registered = reader.alive().await.expect("answered");
    assert_eq!(registered.len(), 2);
    let seen_at = one.view().seen_at;
    let both = [&one, &stranger];
    report_until(&both, "one looks again", || {
        one.view().seen_at.since(seen_at) > Duration::from_secs(2)
    })
    .await;
    assert_eq!(names(&one), ["one"]);
    assert_eq!(names(&stranger), ["stranger"]);
    fixture.end(&[&one, &stranger]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_drains_when_somebody_tells_it_to_in_the_database() {
    let fixture = Fixture::start().await;
    let one = fixture.join("one", SECRET).await;
    assert!(!one.is_draining());
    let store = fixture.store("command").await;
    let mut command = MemberConnection::new(store.postgres().expect("a database"));
    assert!(command.drain_named("one").await.expect("answered"));
    timeout(DEADLINE, one.draining()).await.expect("it drains");
    assert_eq!(one.counts().state, Some("draining"));
    fixture.end(&[&one]).await;
}
