//! Tests of the store on real files and on a real PostgreSQL server.

use hearth_contract::{Language, Limit};
use hearth_test_support::TestPostgres;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;
use crate::team::Team;

mod postgres;

/// A database of a test.
enum TestDatabase {
    Sqlite(TempDir),
    Postgres {
        url: DatabaseUrl,
        _server: TestPostgres,
    },
}

impl TestDatabase {
    fn sqlite() -> TestDatabase {
        TestDatabase::Sqlite(tempfile::tempdir().expect("a temporary directory"))
    }

    async fn postgres() -> TestDatabase {
        let server = TestPostgres::start().await;
        let url = DatabaseUrl::parse(&server.url()).expect("valid");
        TestDatabase::Postgres {
            url,
            _server: server,
        }
    }

    fn place(&self) -> StorePlace<'_> {
        match self {
            TestDatabase::Sqlite(dir) => StorePlace::Dir(dir.path()),
            TestDatabase::Postgres { url, .. } => StorePlace::Database { url, node: "a" },
        }
    }

    async fn open(&self) -> Store {
        Store::open(self.place()).await.expect("an open store").0
    }
}

/// Declares tests that run on both engines.
macro_rules! on_both_engines {
    ($($test:ident,)*) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(&super::TestDatabase::sqlite()).await;
                }
            )*
        }

        mod on_postgres {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(&super::TestDatabase::postgres().await).await;
                }
            )*
        }
    };
}

on_both_engines! {
    what_was_written_is_there_after_it_was_opened_again,
    the_first_end_stands,
    sessions_of_a_lost_server_ended_with_it_and_at_their_ttl_at_the_latest,
    executions_are_written_behind_and_all_of_them_before_it_is_closed,
    what_is_old_is_forgotten_and_what_lives_is_not,
    only_so_many_are_given,
    profiles_have_any_name_and_the_last_word_on_one_stands,
    a_scrape_is_replaced_by_its_own_team_only,
    old_scrapes_are_removed_by_age_and_beyond_a_number_of_each_team,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).expect("in range")
}

fn session(second: i64) -> SessionRecord {
    SessionRecord {
        id: Uuid::now_v7(),
        team: Team::from("name:shop"),
        created_at: at(second),
        expires_at: at(second + 600),
        last_activity: at(second),
        links: Some(["aa".into(), "bb".into()]),
        ending: None,
    }
}

fn ended(
    session: &SessionRecord,
    reason: DestroyedReason,
    limit: Option<Limit>,
    at: Timestamp,
) -> SessionRecord {
    let ending = Ending {
        reason,
        limit,
        at,
        duration_ms: 1234,
    };
    SessionRecord {
        last_activity: at,
        ending: Some(ending),
        ..session.clone()
    }
}

async fn count(store: &Store, table: &'static str) -> i64 {
    let sql = match table {
        "sessions" => "SELECT COUNT(*) AS count FROM sessions",
        "scrapes" => "SELECT COUNT(*) AS count FROM scrapes",
        _ => "SELECT COUNT(*) AS count FROM executions",
    };
    let counted = store
        .pool
        .fetch(Statement::new(sql), |row| row.number("count"));
    counted.await.expect("counted")[0]
}

async fn what_was_written_is_there_after_it_was_opened_again(database: &TestDatabase) {
    let store = database.open().await;
    let (first, second) = (
        session(0),
        SessionRecord {
            links: None,
            ..session(1)
        },
    );
    for session in [&first, &second] {
        store.begin_session(session).await.expect("written");
    }
    let first = ended(
        &first,
        DestroyedReason::Limit,
        Some(Limit::DiskMb(7)),
        at(5),
    );
    let second = ended(&second, DestroyedReason::Deleted, None, at(6));
    for session in [&first, &second] {
        store.end_session(session).await;
    }
    store.close().await;
    let store = database.open().await;
    assert_eq!(
        store.ended_sessions(at(0), 10).await.expect("read"),
        [second, first]
    );
}

async fn the_first_end_stands(database: &TestDatabase) {
    let store = database.open().await;
    let begun = session(0);
    store.begin_session(&begun).await.expect("written");
    let first = ended(&begun, DestroyedReason::Ttl, None, at(3));
    store.end_session(&first).await;
    store
        .end_session(&ended(&begun, DestroyedReason::Deleted, None, at(9)))
        .await;
    assert_eq!(store.end_lost_sessions(at(20)).await.expect("updated"), 0);
    assert_eq!(
        store.ended_sessions(at(0), 10).await.expect("read"),
        [first]
    );
}

async fn sessions_of_a_lost_server_ended_with_it_and_at_their_ttl_at_the_latest(
    database: &TestDatabase,
) {
    let store = database.open().await;
    // A clock that was set back ends the last one before it began.
    let begun = [session(0), session(100), session(700)];
    for session in &begun {
        store.begin_session(session).await.expect("written");
    }
    assert_eq!(store.end_lost_sessions(at(650)).await.expect("ended"), 3);
    let found = store.ended_sessions(at(0), 10).await.expect("read");
    let durations: Vec<_> = found
        .iter()
        .filter_map(|session| session.ending)
        .map(|ending| (ending.reason, ending.duration_ms))
        .collect();
    assert_eq!(
        durations,
        [
            (DestroyedReason::ServerLost, 0),
            (DestroyedReason::ServerLost, 550_000),
            (DestroyedReason::ServerLost, 600_000)
        ]
    );
}

async fn executions_are_written_behind_and_all_of_them_before_it_is_closed(
    database: &TestDatabase,
) {
    let (store, writer) = Store::open(database.place()).await.expect("opened");
    for number in 0..1000 {
        store.record_execution(ExecutionRecord {
            session: Uuid::now_v7(),
            language: Language::Bash,
            ended_at: at(number),
            duration: Duration::from_millis(3),
            exit_code: 137,
            killed: true,
        });
    }
    let stop = CancellationToken::new();
    stop.cancel();
    writer.run(stop).await;
    assert_eq!(count(&store, "executions").await, 1000);
}

async fn what_is_old_is_forgotten_and_what_lives_is_not(database: &TestDatabase) {
    let store = database.open().await;
    let (old, new, active) = (session(0), session(1), session(2));
    for session in [&old, &new, &active] {
        store.begin_session(session).await.expect("written");
    }
    store
        .end_session(&ended(&old, DestroyedReason::Idle, None, at(10)))
        .await;
    store
        .end_session(&ended(&new, DestroyedReason::Idle, None, at(11)))
        .await;
    store.prune(at(10), at(10)).await.expect("pruned");
    assert_eq!(
        store.ended_sessions(at(0), 10).await.expect("read").len(),
        1
    );
    assert_eq!(count(&store, "sessions").await, 2);
}

/// Records a migration that this version does not have.
async fn add_newer_migration(store: &Store) {
    let migration = Statement::new(
        "INSERT INTO _sqlx_migrations
             (version, description, installed_on, success, checksum, execution_time)
         SELECT 99, 'later', installed_on, success, checksum, 0
         FROM _sqlx_migrations WHERE version = 1",
    );
    store.pool.execute(migration).await.expect("written");
}

#[tokio::test]
async fn a_store_of_a_newer_hearth_is_left_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dir = dir.path();
    Store::check(dir).await.expect("no file to check");
    let (store, _writer) = Store::open(StorePlace::Dir(dir)).await.expect("opened");
    Store::check(dir).await.expect("a valid store");
    add_newer_migration(&store).await;
    store.close().await;
    assert!(matches!(
        Store::check(dir).await,
        Err(StoreError::Newer {
            theirs: 99,
            ours: 5
        })
    ));
    let error = Store::open(StorePlace::Dir(dir))
        .await
        .expect_err("refused");
    assert_eq!(
        error.to_string(),
        "a newer Hearth wrote it (schema 99, this version supports 5): start that version, or use another HEARTH_DATA_DIR"
    );
}

#[tokio::test]
async fn a_file_that_is_none_of_ours_is_one_clear_error() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(
        dir.path().join(FILE),
        "not a database, but long enough to contain a header",
    )
    .expect("written");
    assert!(Store::check(dir.path()).await.is_err());
    let opened = Store::open(StorePlace::Dir(dir.path())).await;
    let error = opened.expect_err("refused").to_string();
    assert!(
        error.contains("hearth.db") && error.contains("not a database"),
        "{error}"
    );
}

async fn only_so_many_are_given(database: &TestDatabase) {
    let store = database.open().await;
    for second in 0..5 {
        let begun = session(second);
        store.begin_session(&begun).await.expect("written");
        store
            .end_session(&ended(&begun, DestroyedReason::Idle, None, at(second + 1)))
            .await;
    }
    let newest = store.ended_sessions(at(0), 2).await.expect("read");
    assert_eq!(
        newest
            .iter()
            .map(|session| session.created_at)
            .collect::<Vec<_>>(),
        [at(4), at(3)]
    );
}

fn profile(id: &str, name: &str, size_bytes: u64) -> ProfileRecord {
    ProfileRecord {
        id: id.into(),
        team: Team::from("name:shop"),
        name: name.into(),
        size_bytes,
        saved_at: at(7),
    }
}

async fn profiles_have_any_name_and_the_last_word_on_one_stands(database: &TestDatabase) {
    let store = database.open().await;
    let names = [
        "a",
        "A",
        "a/../b",
        "\0",
        "a\0b",
        "日本 \u{1f36a}",
        "'; DROP TABLE profiles; --",
        " ",
    ];
    for (number, name) in names.iter().enumerate() {
        store
            .record_profile(&profile(&number.to_string(), name, 1))
            .await
            .expect("written");
        store
            .record_profile(&profile(&number.to_string(), name, 2))
            .await
            .expect("written");
    }
    let other = ProfileRecord {
        team: Team::from("name:other"),
        ..profile("other", "a", 3)
    };
    store.record_profile(&other).await.expect("written");
    let mut found = store.profiles("name:shop").await.expect("read");
    found.sort_by_key(|profile| profile.id.clone());
    let expected: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(number, name)| profile(&number.to_string(), name, 2))
        .collect();
    assert_eq!(found, expected);
    store.remove_profile("other").await.expect("removed");
    assert_eq!(store.profiles("name:other").await.expect("read"), []);
}

#[tokio::test]
async fn what_is_found_of_profiles_replaces_what_was_known() {
    let database = TestDatabase::sqlite();
    let store = database.open().await;
    for (id, size) in [("gone", 1), ("kept", 1)] {
        store
            .record_profile(&profile(id, id, size))
            .await
            .expect("written");
    }
    let found = [profile("kept", "kept", 5), profile("new", "new", 1)];
    store.correct_profiles(&found).await.expect("written");
    let mut known = store.profiles("name:shop").await.expect("read");
    known.sort_by_key(|profile| profile.id.clone());
    assert_eq!(known, found);
}

fn scrape(second: i64) -> ScrapeRecord {
    ScrapeRecord {
        id: Uuid::now_v7(),
        team: Team::from("name:shop"),
        used_at: at(second),
        context: Some("{}".to_owned()),
        session: None,
    }
}

async fn a_scrape_is_replaced_by_its_own_team_only(database: &TestDatabase) {
    let store = database.open().await;
    let first = scrape(0);
    store.record_scrape(&first).await.expect("written");
    let foreign = ScrapeRecord {
        team: Team::from("name:other"),
        context: None,
        ..first.clone()
    };
    store.record_scrape(&foreign).await.expect("ignored");
    assert_eq!(
        store.scrape(first.id).await.expect("read"),
        Some(first.clone())
    );
    let bound = ScrapeRecord {
        used_at: at(5),
        context: None,
        session: Some(Uuid::now_v7()),
        ..first
    };
    store.record_scrape(&bound).await.expect("written");
    assert_eq!(store.scrape(bound.id).await.expect("read"), Some(bound));
    assert_eq!(store.scrape(Uuid::nil()).await.expect("read"), None);
}

async fn old_scrapes_are_removed_by_age_and_beyond_a_number_of_each_team(database: &TestDatabase) {
    let store = database.open().await;
    for second in 0..6 {
        store.record_scrape(&scrape(second)).await.expect("written");
    }
    let foreign = ScrapeRecord {
        team: Team::from("name:other"),
        ..scrape(1)
    };
    store.record_scrape(&foreign).await.expect("written");
    store.prune(at(0), at(0)).await.expect("pruned");
    assert_eq!(count(&store, "scrapes").await, 6);
    let team = Team::from("name:shop");
    store.prune_scrapes_of(&team, 3).await.expect("pruned");
    assert_eq!(count(&store, "scrapes").await, 4);
    store.prune_scrapes_of(&team, 3).await.expect("pruned");
    assert_eq!(count(&store, "scrapes").await, 4);
    assert!(store.scrape(foreign.id).await.expect("read").is_some());
}
