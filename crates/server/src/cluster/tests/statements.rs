//! Tests of the statements of nodes and sessions.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join_all;
use hearth_contract::DestroyedReason;
use hearth_test_support::TestPostgres;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::clock;
use crate::cluster::{Life, NodeLoad, NodeState};
use crate::config::DatabaseUrl;
use crate::ending::Ending;
use crate::store::cluster::{
    ClusterSessions, LeaseOwner, MemberConnection, ProfileLeases, Registration, Reservation,
    Reserved,
};
use crate::store::{SessionRecord, Store, StorePlace};
use crate::team::Team;

/// A database with its statements.
struct Database {
    server: TestPostgres,
    store: Store,
    sessions: ClusterSessions,
    leases: ProfileLeases,
    member: MemberConnection,
}

impl Database {
    async fn start() -> Database {
        let server = TestPostgres::start().await;
        let url = DatabaseUrl::parse(&server.url()).expect("valid");
        let place = StorePlace::Database {
            url: &url,
            node: "a",
        };
        let (store, _writer) = Store::open(place).await.expect("opened");
        let pool = store.postgres().expect("a database").clone();
        Database {
            sessions: ClusterSessions::new(pool.clone()),
            leases: ProfileLeases::new(pool.clone()),
            member: MemberConnection::new(&pool),
            store,
            server,
        }
    }

    fn query(&self, sql: &str) -> String {
        self.server.query("postgres", sql)
    }

    /// Begins a new life of a node, and returns it with its number.
    async fn register(&mut self, name: &str) -> (Life, u16) {
        self.register_again(name, None).await
    }

    async fn register_again(&mut self, name: &str, earlier: Option<(i64, u16)>) -> (Life, u16) {
        let registration = Registration {
            name: name.to_owned(),
            address: ([127, 0, 0, 1], 1).into(),
            fingerprint: "f".to_owned(),
            version: "1".to_owned(),
            protocol: 1,
            max_sessions: 8,
            earlier,
        };
        let registered = self
            .member
            .register(&registration, |epoch| epoch.to_string());
        let (epoch, number) = registered.await.expect("registered");
        let name = name.to_owned();
        (Life { name, epoch }, number)
    }

    async fn beat(&mut self, life: &Life) -> bool {
        let beaten = self.member.beat(life, NodeLoad::default()).await;
        beaten.expect("the database answers")
    }

    /// Reserves and activates a session.
    async fn create(&self, owner: &Life, team: &str) -> SessionRecord {
        let reservation = reservation(owner, team, None);
        let reserved = self.sessions.reserve(&reservation).await;
        assert_eq!(reserved.expect("answered"), Reserved::Granted(None));
        let record = record(&reservation);
        let activated = self.sessions.activate(&record, 7).await;
        assert!(activated.expect("answered"));
        record
    }

    /// Returns the reason of a session's end.
    async fn ended_as(&self, id: Uuid) -> Option<DestroyedReason> {
        let found = self.sessions.find(id).await.expect("answered");
        let ending = found.expect("it is known").record.ending;
        ending.map(|ending| ending.reason)
    }
}

fn reservation(owner: &Life, team: &str, profile: Option<&str>) -> Reservation {
    // The store keeps milliseconds.
    let now = clock::now().as_millisecond();
    let created_at = Timestamp::from_millisecond(now).expect("in range");
    Reservation {
        id: Uuid::now_v7(),
        team: Team::from(team.to_owned()),
        owner: owner.clone(),
        created_at,
        expires_at: created_at + SignedDuration::from_mins(10),
        max_of_team: Some(7),
        profile: profile.map(str::to_owned),
    }
}

fn record(reservation: &Reservation) -> SessionRecord {
    SessionRecord {
        id: reservation.id,
        team: Team::clone(&reservation.team),
        created_at: reservation.created_at,
        expires_at: reservation.expires_at,
        last_activity: reservation.created_at,
        links: Some(["watch".to_owned(), "control".to_owned()]),
        ending: None,
    }
}

#[tokio::test]
async fn every_life_of_a_node_has_a_larger_epoch_and_every_node_its_own_number() {
    let mut database = Database::start().await;
    let (first, one) = database.register("a").await;
    let (_, two) = database.register("b").await;
    assert_eq!((one, two), (1, 2));
    let (second, number) = database.register("a").await;
    assert!(second.epoch > first.epoch);
    assert_eq!(number, 1, "a node that is alive keeps its number");
    assert!(!database.beat(&first).await, "the first life is over");
    assert!(database.beat(&second).await);
    let records = database.member.alive().await.expect("answered");
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].proof, second.epoch.to_string());
    // The number of a node that has left is free.
    database.member.leave(&second).await.expect("answered");
    assert_eq!(database.register("c").await.1, 1);
    let (third, number) = database.register("a").await;
    assert!(third.epoch > second.epoch);
    assert_eq!(number, 3);
}

#[tokio::test]
async fn the_epoch_grows_although_the_clock_is_set_back() {
    let mut database = Database::start().await;
    let (first, _) = database.register("a").await;
    let later = first.epoch + 1_000_000_000;
    database.query(&format!("UPDATE nodes SET epoch = {later}"));
    assert_eq!(database.register("a").await.0.epoch, later + 1);
    // The store was emptied, and the process remembers its epoch and number.
    database.query("TRUNCATE nodes");
    database.register("b").await;
    let (again, number) = database.register_again("a", Some((later + 5, 9))).await;
    assert_eq!((again.epoch, number), (later + 6, 9));
    // Another node has the number now.
    let (_, number) = database.register_again("c", Some((1, 9))).await;
    assert_eq!(number, 2);
}

#[tokio::test]
async fn nodes_that_register_at_once_get_different_numbers() {
    let mut database = Database::start().await;
    let pool = database.store.postgres().expect("a database").clone();
    let registering = (0..12).map(|index| {
        let mut member = MemberConnection::new(&pool);
        async move {
            let registration = Registration {
                name: format!("n{index}"),
                address: ([127, 0, 0, 1], 1).into(),
                fingerprint: String::new(),
                version: String::new(),
                protocol: 1,
                max_sessions: 1,
                earlier: None,
            };
            // A number that another node has got meanwhile is an error, and the next one is free.
            for _ in 0..50 {
                let registered = member.register(&registration, |_| String::new()).await;
                if let Ok((_, number)) = registered {
                    return number;
                }
            }
            panic!("{} was never registered", registration.name);
        }
    });
    let numbers: HashSet<u16> = join_all(registering).await.into_iter().collect();
    assert_eq!(numbers.len(), 12);
    assert_eq!(database.member.alive().await.expect("answered").len(), 12);
}

#[tokio::test]
async fn a_verdict_counts_only_for_the_observed_beat() {
    let mut database = Database::start().await;
    let (life, _) = database.register("a").await;
    let session = database.create(&life, "team").await;
    assert!(database.beat(&life).await);
    let declare = async |database: &mut Database, life: &Life, beat| {
        let declared = database.member.declare_dead(life, beat, "b").await;
        declared.expect("answered")
    };
    assert!(!declare(&mut database, &life, 0).await, "it has moved");
    let other = Life {
        epoch: life.epoch - 1,
        ..life.clone()
    };
    assert!(!declare(&mut database, &other, 1).await, "another life");
    assert!(
        database
            .member
            .sweep_sessions(clock::now())
            .await
            .expect("answered")
            .is_empty()
    );
    assert!(declare(&mut database, &life, 1).await);
    assert!(!declare(&mut database, &life, 1).await, "it is over");
    assert!(!database.beat(&life).await);
    let latest = database.member.latest_life("a").await.expect("answered");
    assert_eq!(latest, Some((life.epoch, NodeState::Dead)));
    let swept = database
        .member
        .sweep_sessions(clock::now())
        .await
        .expect("answered");
    assert_eq!(swept.len(), 1);
    assert_eq!(swept[0].owner, life);
    assert_eq!(
        database.ended_as(session.id).await,
        Some(DestroyedReason::NodeLost)
    );
    let reserved = database
        .sessions
        .reserve(&reservation(&life, "team", None))
        .await;
    assert_eq!(reserved.expect("answered"), Reserved::OwnerIsLost);
}

#[tokio::test]
async fn a_new_life_ends_the_sessions_of_the_one_before() {
    let mut database = Database::start().await;
    let (first, _) = database.register("a").await;
    let session = database.create(&first, "team").await;
    let reserved = reservation(&first, "team", None);
    database
        .sessions
        .reserve(&reserved)
        .await
        .expect("answered");
    let (second, _) = database.register("a").await;
    let other = database.create(&second, "team").await;
    database
        .member
        .sweep_sessions(clock::now())
        .await
        .expect("answered");
    assert_eq!(
        database.ended_as(session.id).await,
        Some(DestroyedReason::NodeLost)
    );
    assert_eq!(database.ended_as(other.id).await, None);
    let activated = database.sessions.activate(&record(&reserved), 7).await;
    assert!(!activated.expect("answered"), "it has ended meanwhile");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_gets_exactly_its_maximum_at_once() {
    let mut database = Database::start().await;
    let (life, _) = database.register("a").await;
    let database = Arc::new(database);
    for round in 0..3 {
        let team = format!("team{round}");
        let creating = (0..50).map(|_| {
            let reservation = reservation(&life, &team, None);
            let database = Arc::clone(&database);
            async move {
                database
                    .sessions
                    .reserve(&reservation)
                    .await
                    .expect("answered")
            }
        });
        let results = join_all(creating).await;
        let count = |wanted: &Reserved| results.iter().filter(|got| *got == wanted).count();
        assert_eq!(count(&Reserved::Granted(None)), 7);
        assert_eq!(count(&Reserved::TeamIsFull), 43);
        assert_eq!(
            database
                .sessions
                .count(&Team::from(team))
                .await
                .expect("answered"),
            7
        );
    }
}

#[tokio::test]
async fn a_session_that_no_client_knows_leaves_its_place_and_its_lease() {
    let mut database = Database::start().await;
    let (life, _) = database.register("a").await;
    let wanted = reservation(&life, "team", Some("profile"));
    let reserved = database.sessions.reserve(&wanted).await.expect("answered");
    assert!(matches!(reserved, Reserved::Granted(Some(_))));
    assert!(
        database
            .sessions
            .find(wanted.id)
            .await
            .expect("answered")
            .is_none()
    );
    let other = reservation(&life, "team", Some("profile"));
    let refused = database.sessions.reserve(&other).await.expect("answered");
    assert_eq!(refused, Reserved::ProfileIsLeased);
    let team = &wanted.team;
    assert_eq!(
        database.sessions.count(team).await.expect("answered"),
        1,
        "not the other one"
    );
    for _ in 0..2 {
        let withdrawn = database.sessions.withdraw(&life, &[wanted.id]).await;
        withdrawn.expect("a repetition changes nothing");
    }
    assert_eq!(database.sessions.count(team).await.expect("answered"), 0);
    let reserved = database.sessions.reserve(&other).await.expect("answered");
    assert!(matches!(reserved, Reserved::Granted(Some(_))));
    // The late withdrawal of another session does not take the lease away.
    database
        .sessions
        .withdraw(&life, &[wanted.id])
        .await
        .expect("answered");
    let owner = LeaseOwner {
        session_id: Uuid::now_v7(),
        node: "a",
        epoch: life.epoch,
    };
    let taken = database
        .leases
        .acquire("profile", owner)
        .await
        .expect("answered");
    assert_eq!(taken, None);
}

#[tokio::test]
async fn lists_have_the_newest_sessions_that_clients_know() {
    let mut database = Database::start().await;
    let (life, _) = database.register("a").await;
    let mut created = Vec::new();
    for _ in 0..3 {
        created.push(database.create(&life, "team").await);
    }
    database.create(&life, "other").await;
    let hidden = reservation(&life, "team", None);
    database.sessions.reserve(&hidden).await.expect("answered");
    let moved = created[2].created_at + SignedDuration::from_secs(5);
    database
        .sessions
        .touch(&[(created[2].id, moved)])
        .await
        .expect("answered");
    created[2].last_activity = moved;
    let team = Team::from("team".to_owned());
    let listed = database.sessions.newest(&team, 2).await.expect("answered");
    let records: Vec<&SessionRecord> = listed.iter().map(|session| &session.record).collect();
    assert_eq!(records, [&created[2], &created[1]]);
    assert!(
        listed
            .iter()
            .all(|session| session.token_key == Some(7) && session.owner == life)
    );
}

#[tokio::test]
async fn the_store_gets_back_what_it_has_forgotten() {
    let mut database = Database::start().await;
    let (life, number) = database.register("a").await;
    let session = database.create(&life, "team").await;
    let ended = database.create(&life, "team").await;
    database.query("TRUNCATE nodes, sessions, teams, profile_leases");
    assert!(!database.beat(&life).await);
    let latest = database.member.latest_life("a").await.expect("answered");
    assert_eq!(latest, None, "forgotten, and not fenced");
    let (again, same) = database
        .register_again("a", Some((life.epoch, number)))
        .await;
    assert!(again.epoch > life.epoch);
    assert_eq!(same, number, "the ids of its sessions contain the number");
    let adopt = async |record: &SessionRecord| {
        let adopted = database.sessions.adopt(record, &again, 7, None).await;
        adopted.expect("answered")
    };
    assert!(adopt(&session).await);
    assert!(adopt(&session).await, "a repetition changes nothing");
    assert!(adopt(&ended).await);
    let ending = Ending {
        reason: DestroyedReason::Deleted,
        limit: None,
        at: clock::now(),
        duration_ms: 1,
    };
    let record = SessionRecord {
        ending: Some(ending),
        ..ended.clone()
    };
    database.store.end_session(&record).await;
    assert!(!adopt(&ended).await, "a recorded end stands");
    assert_eq!(
        database.ended_as(ended.id).await,
        Some(DestroyedReason::Deleted)
    );
    let open = database.sessions.open_of(&again).await.expect("answered");
    assert_eq!(open, [session.id]);
    let found = database.sessions.find(session.id).await.expect("answered");
    assert_eq!(found.map(|found| found.record), Some(session));
}

#[tokio::test]
async fn sessions_that_their_node_does_not_have_end_after_a_minute() {
    let mut database = Database::start().await;
    let (life, _) = database.register("a").await;
    let (other, _) = database.register("b").await;
    let known = database.create(&life, "team").await;
    let unknown = database.create(&life, "team").await;
    let of_another = database.create(&other, "team").await;
    let soon = clock::now() + SignedDuration::from_secs(30);
    let end = async |at| {
        let ended = database.sessions.end_unknown(&life, at, &[known.id]).await;
        ended.expect("answered")
    };
    assert!(end(soon).await.is_empty(), "it may still be created");
    let later = clock::now() + SignedDuration::from_secs(90);
    assert_eq!(end(later).await, [unknown.id.to_string()]);
    assert_eq!(
        database.ended_as(unknown.id).await,
        Some(DestroyedReason::ServerLost)
    );
    for session in [known, of_another] {
        assert_eq!(database.ended_as(session.id).await, None);
    }
}

#[tokio::test]
async fn a_node_drains_once_and_only_while_it_is_alive() {
    let mut database = Database::start().await;
    let (life, _) = database.register("a").await;
    let state = async |database: &mut Database| {
        let latest = database.member.latest_life("a").await.expect("answered");
        latest.map(|(_, state)| state)
    };
    database.member.drain(&life).await.expect("answered");
    assert_eq!(state(&mut database).await, Some(NodeState::Draining));
    assert!(database.beat(&life).await, "its sessions go on");
    assert!(database.member.drain_named("a").await.expect("answered"));
    assert!(!database.member.drain_named("b").await.expect("answered"));
    database.member.leave(&life).await.expect("answered");
    assert_eq!(state(&mut database).await, Some(NodeState::Left));
    assert!(!database.member.drain_named("a").await.expect("answered"));
    database.query("UPDATE nodes SET ended_at_ms = ended_at_ms - 90000000");
    database.member.forget_ended().await.expect("answered");
    assert_eq!(database.member.all().await.expect("answered"), []);
}
