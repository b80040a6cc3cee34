//! Tests of profiles on real files. A line of text is the content of a browser's directory.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;

use hearth_browser::CookieJar;
use hearth_contract::ProfileWarning;
use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::profiles::file::CHECKPOINT;
use crate::profiles::{CheckedOut, ProfileId, profiles_dir};
use crate::store::{Store, StorePlace};
use crate::team::Team;

struct Fixture {
    dir: TempDir,
    profiles: Arc<ProfileFiles>,
}

impl Fixture {
    async fn new() -> Fixture {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let profiles = Fixture::open(dir.path()).await;
        Fixture { dir, profiles }
    }

    async fn open(dir: &Path) -> Arc<ProfileFiles> {
        let (store, _writer) = Store::open(StorePlace::Dir(dir)).await.expect("opened");
        ProfileFiles::open(profiles_dir(dir), store)
            .await
            .expect("opened")
    }

    fn lease(&self, saves: bool) -> FileLease {
        self.profiles.lease(profile("p"), saves).expect("free")
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(profiles_dir(self.dir.path())).expect("read");
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("ASCII")
            })
            .collect();
        names.sort();
        names
    }
}

fn profile(name: &str) -> ProfileId {
    ProfileId::new(Team::from("name:shop"), name.to_owned())
}

fn jar(names: &[&str]) -> CookieJar {
    let cookie = |name: &&str| serde_json::json!({"name": name, "value": "", "domain": "a.example", "path": "/", "secure": false, "httpOnly": false});
    serde_json::from_value(names.iter().map(cookie).collect()).expect("cookies")
}

async fn commit(lease: &FileLease, cookies: &[&str], content: &str) {
    let content = content.to_owned();
    let pack = async |mut file: File| file.write_all(content.as_bytes());
    lease
        .commit(jar(cookies), Timestamp::UNIX_EPOCH, pack)
        .await
        .expect("saved");
}

/// Checks out the profile, as a session would.
async fn checkout_of(lease: &FileLease) -> (String, CheckedOut) {
    let mut content = String::new();
    let unpack = async |mut file: File| file.read_to_string(&mut content).map(drop);
    let checked_out = lease.checkout(unpack).await.expect("read");
    (content, checked_out)
}

#[tokio::test]
async fn the_last_saved_version_is_checkout_of() {
    let fixture = Fixture::new().await;
    for (number, content) in ["one", "two"].iter().enumerate() {
        let lease = fixture.lease(true);
        assert!(
            fixture.profiles.lease(profile("p"), true).is_none(),
            "the profile is leased"
        );
        assert!(
            fixture.profiles.lease(profile("q"), true).is_some(),
            "another profile is free"
        );
        commit(&lease, &["a", "b"][..=number], content).await;
    }
    let (content, found) = checkout_of(&fixture.lease(false)).await;
    assert_eq!(
        (
            content.as_str(),
            found.cookies,
            found.replaces_all,
            found.has_files
        ),
        ("two", jar(&["a", "b"]), false, true)
    );
    assert_eq!(fixture.files().len(), 1);
}

#[tokio::test]
async fn a_checkpoint_is_void_after_a_commit_and_private_while_its_session_runs() {
    let fixture = Fixture::new().await;
    let saver = fixture.lease(true);
    commit(&saver, &["saved"], "x").await;
    drop(saver);
    let saver = fixture.lease(true);
    checkout_of(&saver).await;
    saver
        .checkpoint(jar(&["later"]), Timestamp::UNIX_EPOCH)
        .await
        .expect("written");
    assert_eq!(
        checkout_of(&fixture.lease(false)).await.1.cookies,
        jar(&["saved"])
    );
    // The server crashes.
    drop(saver);
    for saves in [false, true] {
        let found = checkout_of(&fixture.lease(saves)).await.1;
        assert_eq!((found.cookies, found.replaces_all), (jar(&["later"]), true));
    }
    let checkpoint = profiles_dir(fixture.dir.path())
        .join(profile("p").id)
        .with_added_extension(CHECKPOINT);
    let old = fs::read(&checkpoint).expect("there");
    let saver = fixture.lease(true);
    checkout_of(&saver).await;
    commit(&saver, &["saved again"], "y").await;
    assert!(!checkpoint.exists());
    saver.release().await;
    saver
        .checkpoint(jar(&["too late"]), Timestamp::UNIX_EPOCH)
        .await
        .expect("no change");
    // A crash between commit and removal leaves the checkpoint, which stays void.
    fs::write(&checkpoint, old).expect("written");
    assert_eq!(
        checkout_of(&fixture.lease(false)).await.1.cookies,
        jar(&["saved again"])
    );
}

#[tokio::test]
async fn a_damaged_file_is_moved_aside_unless_it_was_replaced() {
    let fixture = Fixture::new().await;
    let saver = fixture.lease(true);
    commit(&saver, &[], "old").await;
    let reader = fixture.lease(false);
    let unpack = async |_: File| {
        // The profile is saved again while a reader finds the old version damaged.
        commit(&saver, &[], "new").await;
        Err(ErrorKind::InvalidData.into())
    };
    assert_eq!(
        reader.checkout(unpack).await.expect("read").warning,
        Some(ProfileWarning::Damaged)
    );
    assert_eq!(checkout_of(&reader).await.0, "new");
    let damaged = async |_: File| Err(ErrorKind::InvalidData.into());
    assert_eq!(
        reader.checkout(damaged).await.expect("read").warning,
        Some(ProfileWarning::Damaged)
    );
    assert_eq!(fixture.files(), [format!("{}.damaged", profile("p").id)]);
    assert_eq!(
        fixture
            .profiles
            .list(&Team::from("name:shop"))
            .await
            .expect("listed"),
        []
    );
}

#[tokio::test]
async fn a_read_error_is_not_damage() {
    let fixture = Fixture::new().await;
    let saver = fixture.lease(true);
    commit(&saver, &[], "x").await;
    let failing = async |_: File| Err(io::Error::from(ErrorKind::StorageFull));
    assert!(saver.checkout(failing).await.is_err());
    assert_eq!(checkout_of(&saver).await.0, "x");
}

#[tokio::test]
async fn the_list_of_profiles_follows_the_files() {
    let fixture = Fixture::new().await;
    let lease = fixture
        .profiles
        .lease(profile("saved"), true)
        .expect("free");
    commit(&lease, &[], "x").await;
    let lease = fixture
        .profiles
        .lease(profile("only a checkpoint"), true)
        .expect("free");
    lease
        .checkpoint(jar(&["a"]), Timestamp::UNIX_EPOCH)
        .await
        .expect("written");
    let lease = fixture
        .profiles
        .lease(profile("removed by hand"), true)
        .expect("free");
    commit(&lease, &[], "x").await;
    let dir = profiles_dir(fixture.dir.path());
    fs::remove_file(dir.join(profile("removed by hand").id)).expect("removed");
    // The remains of a crash, and files of unknown origin.
    fs::write(
        dir.join(profile("saved").id).with_added_extension("new"),
        "half",
    )
    .expect("written");
    fs::write(dir.join("README"), "hello").expect("written");
    fs::copy(
        dir.join(profile("saved").id),
        dir.join(profile("another").id),
    )
    .expect("copied");
    // The first checkout of a missing profile reports it.
    let missing = fixture
        .profiles
        .lease(profile("removed by hand"), false)
        .expect("free");
    assert_eq!(
        checkout_of(&missing).await.1.warning,
        Some(ProfileWarning::Missing)
    );
    assert_eq!(checkout_of(&missing).await.1.warning, None);
    let profiles = Fixture::open(fixture.dir.path()).await;
    let listed = profiles
        .list(&Team::from("name:shop"))
        .await
        .expect("listed");
    let names: Vec<&str> = listed.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["only a checkpoint", "saved"]);
    let is_draft = |name: &String| {
        Path::new(name)
            .extension()
            .is_some_and(|extension| extension == "new")
    };
    assert!(!fixture.files().iter().any(is_draft));
}
