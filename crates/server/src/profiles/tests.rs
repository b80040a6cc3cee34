//! Profiles on real files, with a line of text for a browser's folder.

use std::io::{Read, Write};

use hearth_browser::CookieJar;
use hearth_contract::ProfileWarning;
use jiff::Timestamp;
use tempfile::TempDir;

use super::*;

struct Ground {
    folder: TempDir,
    profiles: Arc<Profiles>,
}

impl Ground {
    async fn new() -> Ground {
        let folder = tempfile::tempdir().expect("a folder");
        let profiles = Ground::open(folder.path()).await;
        Ground { folder, profiles }
    }

    async fn open(folder: &Path) -> Arc<Profiles> {
        let (store, _writer) = Store::open(folder).await.expect("opened");
        Profiles::open(profiles_folder(folder), store)
            .await
            .expect("opened")
    }

    fn hold(&self, saves: bool) -> Hold {
        self.profiles.hold(profile("p"), saves).expect("free")
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(profiles_folder(self.folder.path())).expect("read");
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

async fn commit(hold: &Hold, cookies: &[&str], content: &str) {
    let content = content.to_owned();
    let pack = async |mut file: File| file.write_all(content.as_bytes());
    hold.commit(jar(cookies), Timestamp::UNIX_EPOCH, pack)
        .await
        .expect("saved");
}

/// What a session would start with.
async fn checked_out(hold: &Hold) -> (String, CheckedOut) {
    let mut content = String::new();
    let unpack = async |mut file: File| file.read_to_string(&mut content).map(drop);
    let checked_out = hold.check_out(unpack).await.expect("read");
    (content, checked_out)
}

#[tokio::test]
async fn what_was_saved_is_checked_out_and_the_last_save_stands() {
    let ground = Ground::new().await;
    for (number, content) in ["one", "two"].iter().enumerate() {
        let hold = ground.hold(true);
        assert!(
            ground.profiles.hold(profile("p"), true).is_none(),
            "it is held"
        );
        assert!(
            ground.profiles.hold(profile("q"), true).is_some(),
            "another one is not"
        );
        commit(&hold, &["a", "b"][..=number], content).await;
    }
    let (content, found) = checked_out(&ground.hold(false)).await;
    assert_eq!(
        (
            content.as_str(),
            found.cookies,
            found.are_all,
            found.has_files
        ),
        ("two", jar(&["a", "b"]), false, true)
    );
    assert_eq!(ground.files().len(), 1);
}

#[tokio::test]
async fn a_checkpoint_is_void_once_its_session_has_saved_and_for_others_while_it_lives() {
    let ground = Ground::new().await;
    let saver = ground.hold(true);
    commit(&saver, &["saved"], "x").await;
    drop(saver);
    let saver = ground.hold(true);
    checked_out(&saver).await;
    saver
        .checkpoint(jar(&["later"]), Timestamp::UNIX_EPOCH)
        .await
        .expect("written");
    assert_eq!(
        checked_out(&ground.hold(false)).await.1.cookies,
        jar(&["saved"])
    );
    // Its server is lost.
    drop(saver);
    for saves in [false, true] {
        let found = checked_out(&ground.hold(saves)).await.1;
        assert_eq!((found.cookies, found.are_all), (jar(&["later"]), true));
    }
    let checkpoint = profiles_folder(ground.folder.path())
        .join(profile("p").id)
        .with_added_extension(CHECKPOINT);
    let old = fs::read(&checkpoint).expect("there");
    let saver = ground.hold(true);
    checked_out(&saver).await;
    commit(&saver, &["saved again"], "y").await;
    assert!(!checkpoint.exists());
    saver.release().await;
    saver
        .checkpoint(jar(&["too late"]), Timestamp::UNIX_EPOCH)
        .await
        .expect("nothing to do");
    // A crash between the two leaves it, and it is still void.
    fs::write(&checkpoint, old).expect("written");
    assert_eq!(
        checked_out(&ground.hold(false)).await.1.cookies,
        jar(&["saved again"])
    );
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_one_that_replaced_it_is_not() {
    let ground = Ground::new().await;
    let saver = ground.hold(true);
    commit(&saver, &[], "old").await;
    let reader = ground.hold(false);
    let unpack = async |_: File| {
        // Saved again while a reader finds damage in what was there before.
        commit(&saver, &[], "new").await;
        Err(ErrorKind::InvalidData.into())
    };
    assert_eq!(
        reader.check_out(unpack).await.expect("read").warning,
        Some(ProfileWarning::Damaged)
    );
    assert_eq!(checked_out(&reader).await.0, "new");
    let damaged = async |_: File| Err(ErrorKind::InvalidData.into());
    assert_eq!(
        reader.check_out(damaged).await.expect("read").warning,
        Some(ProfileWarning::Damaged)
    );
    assert_eq!(ground.files(), [format!("{}.damaged", profile("p").id)]);
    assert_eq!(
        ground
            .profiles
            .list(&Team::from("name:shop"))
            .await
            .expect("listed"),
        []
    );
}

#[tokio::test]
async fn a_disk_that_cannot_be_read_is_no_damage() {
    let ground = Ground::new().await;
    let saver = ground.hold(true);
    commit(&saver, &[], "x").await;
    let failing = async |_: File| Err(io::Error::from(ErrorKind::StorageFull));
    assert!(saver.check_out(failing).await.is_err());
    assert_eq!(checked_out(&saver).await.0, "x");
}

#[tokio::test]
async fn the_files_say_which_profiles_there_are() {
    let ground = Ground::new().await;
    let hold = ground.profiles.hold(profile("saved"), true).expect("free");
    commit(&hold, &[], "x").await;
    let hold = ground
        .profiles
        .hold(profile("only a checkpoint"), true)
        .expect("free");
    hold.checkpoint(jar(&["a"]), Timestamp::UNIX_EPOCH)
        .await
        .expect("written");
    let hold = ground
        .profiles
        .hold(profile("removed by hand"), true)
        .expect("free");
    commit(&hold, &[], "x").await;
    let folder = profiles_folder(ground.folder.path());
    fs::remove_file(folder.join(profile("removed by hand").id)).expect("removed");
    // What a crash may leave, and what nobody of ours has put there.
    fs::write(
        folder.join(profile("saved").id).with_added_extension("new"),
        "half",
    )
    .expect("written");
    fs::write(folder.join("README"), "hello").expect("written");
    fs::copy(
        folder.join(profile("saved").id),
        folder.join(profile("another").id),
    )
    .expect("copied");
    // Nothing else can be made of that, and it is told.
    let missing = ground
        .profiles
        .hold(profile("removed by hand"), false)
        .expect("free");
    assert_eq!(
        checked_out(&missing).await.1.warning,
        Some(ProfileWarning::Missing)
    );
    assert_eq!(checked_out(&missing).await.1.warning, None);
    let profiles = Ground::open(ground.folder.path()).await;
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
    assert!(!ground.files().iter().any(is_draft));
}
