//! Tests of what only a PostgreSQL database does: nodes share it, and it can be away.

use hearth_test_support::eventually;
use tokio_util::task::TaskTracker;

use super::*;

/// Returns a handle for the node with this name.
async fn open_as(url: &DatabaseUrl, node: &str) -> (Store, Writer) {
    let opened = Store::open(StorePlace::Database { url, node }).await;
    opened.expect("an open store")
}

fn database(url: &str) -> DatabaseUrl {
    DatabaseUrl::parse(url).expect("valid")
}

async fn start() -> (TestPostgres, DatabaseUrl) {
    let server = TestPostgres::start().await;
    let url = database(&server.url());
    (server, url)
}

/// Returns the error of an attempt to open a database, and its fix.
async fn error_of(url: &str) -> (String, String) {
    let url = database(url);
    let place = StorePlace::Database {
        url: &url,
        node: "a",
    };
    let error = Store::open(place).await.expect_err("refused");
    let checked = Store::check_database(&url).await.expect_err("refused");
    assert_eq!(fix_of(&checked), fix_of(&error), "{checked}");
    (error.to_string(), fix_of(&error))
}

fn fix_of(error: &StoreError) -> String {
    match error {
        StoreError::Unusable { fix, .. } => fix.clone(),
        _ => String::new(),
    }
}

#[tokio::test]
async fn the_start_of_a_second_node_ends_no_session_and_forgets_no_profile() {
    let (_server, url) = start().await;
    let (first, _writer) = open_as(&url, "first").await;
    first.begin_session(&session(0)).await.expect("written");
    let own = profile("own", "own", 1);
    first.record_profile(&own).await.expect("written");

    let (second, _writer) = open_as(&url, "second").await;
    assert_eq!(second.end_lost_sessions(at(10)).await.expect("none"), 0);
    let found = profile("found", "found", 1);
    second
        .correct_profiles(std::slice::from_ref(&found))
        .await
        .expect("written");
    let mut known = first.profiles("name:shop").await.expect("read");
    known.sort_by_key(|profile| profile.id.clone());
    assert_eq!(known, [found, own]);

    let (restarted, _writer) = open_as(&url, "first").await;
    assert_eq!(restarted.end_lost_sessions(at(10)).await.expect("one"), 1);
}

#[tokio::test]
async fn nodes_that_start_at_the_same_time_migrate_once() {
    let (_server, url) = start().await;
    let [one, two, three] = ["1", "2", "3"].map(|node| open_as(&url, node));
    tokio::join!(one, two, three);
    let state = Store::check_database(&url).await.expect("usable");
    assert_eq!((state.schema, state.is_superuser), (5, true));
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_an_error_with_a_fix() {
    let (mut server, _) = start().await;
    server.query("postgres", "CREATE ROLE guest LOGIN");
    let (error, fix) = error_of(&server.url_of("guest", "postgres")).await;
    assert!(
        error.contains("permission denied for schema public"),
        "{error}"
    );
    assert_eq!(
        fix,
        "run `ALTER DATABASE postgres OWNER TO guest` as a superuser"
    );
    let (error, fix) = error_of(&server.url_of("postgres", "nothing")).await;
    assert!(
        error.contains("database \"nothing\" does not exist"),
        "{error}"
    );
    assert!(fix.contains("createdb --owner=postgres nothing"), "{fix}");
    let (error, fix) = error_of(&server.url_of("nobody", "postgres")).await;
    assert!(error.contains("role \"nobody\" does not exist"), "{error}");
    assert!(fix.contains("correct the user and the password"), "{fix}");
    let tls = format!("{}?sslmode=require", server.url());
    let (error, fix) = error_of(&tls).await;
    assert!(error.contains("TLS failed: "), "{error}");
    assert!(fix.contains("sslmode=disable"), "{fix}");
    let url = server.url();
    server.stop();
    let (error, _) = error_of(&url).await;
    let expected = format!("cannot reach 127.0.0.1:{}/postgres: ", server.port());
    assert!(error.starts_with(&expected), "{error}");
}

#[tokio::test]
async fn a_newer_schema_is_used_as_long_as_it_is_compatible() {
    let (server, url) = start().await;
    let (store, _writer) = open_as(&url, "a").await;
    add_newer_migration(&store).await;
    open_as(&url, "b").await;
    server.query("postgres", "UPDATE compatibility SET oldest_migration = 99");
    let (error, fix) = error_of(url.as_str()).await;
    assert!(
        error.ends_with("a newer Hearth uses it (schema 99, this version supports 5)"),
        "{error}"
    );
    assert!(fix.starts_with("start that version, or "), "{fix}");
}

#[tokio::test]
async fn ends_are_recorded_when_the_database_answers_again() {
    let (mut server, url) = start().await;
    let (store, writer) = open_as(&url, "a").await;
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    tasks.spawn(writer.run(stop.clone()));
    let begun = session(0);
    store.begin_session(&begun).await.expect("written");
    server.stop();
    store
        .begin_session(&session(1))
        .await
        .expect_err("no server");
    let end = ended(&begun, DestroyedReason::Idle, None, at(5));
    store.end_session(&end).await;
    assert_eq!(store.waiting_ends(), 1);
    server.restart().await;
    eventually(Duration::from_secs(30), "the end is recorded", || async {
        match store.waiting_ends() {
            0 => Ok(()),
            count => Err(format!("{count} wait")),
        }
    })
    .await;
    assert_eq!(store.ended_sessions(at(0), 10).await.expect("read"), [end]);
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

#[tokio::test]
async fn a_database_that_does_not_reply_delays_nobody_forever() {
    let (server, url) = start().await;
    let (store, _writer) = open_as(&url, "a").await;
    store.profiles("name:shop").await.expect("read");
    server.pause();
    // More than there are connections.
    let all = [(); 6].map(|()| store.profiles("name:shop"));
    for result in futures_util::future::join_all(all).await {
        assert!(result.is_err());
    }
    server.resume();
    store.profiles("name:shop").await.expect("read");
    store.close().await;
}
